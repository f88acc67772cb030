package audit

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Any sequence of heads from any members: what is anchored only rises, each entry names the one before,
// and the row says the last. A model of one number for each member agrees throughout.
func TestJournalsOnlyGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &ledger.Context{Height: 1, Time: 1_800_000_000, Chain: "test", State: state.NewCache(nothing{})}
		last, count := map[tx.Account]uint64{}, map[tx.Account]uint64{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			who := account(fmt.Sprint("m", rapid.IntRange(0, 2).Draw(t, "member")))
			class := rapid.SampledFrom([]ledger.Class{ledger.ClassMember, ledger.ClassMember, ledger.ClassMember, ledger.ClassPractitioner, ledger.ClassDevice, ledger.ClassPatient}).Draw(t, "class")
			m := &Journal{Seq: rapid.Uint64Range(1, 30).Draw(t, "seq"), Head: tx.Hash{byte(rapid.IntRange(1, 255).Draw(t, "head"))}}
			c.Signer, c.Time = ledger.Signer{Account: who, Class: class, Member: who}, c.Time+1
			was, _ := JournalAt(c.State, who)
			err := journal(c, m)
			var want error
			switch {
			case class != ledger.ClassMember:
				want = ErrJournalMember
			case m.Seq <= last[who]:
				want = ErrJournalBack
			}
			at, ok := JournalAt(c.State, who)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if want != nil {
				if at != was {
					t.Fatal("a refusal changed the row")
				}
				continue
			}
			last[who], count[who] = m.Seq, count[who]+1
			if !ok || at.Seq != m.Seq || at.Head != m.Head || at.Count != count[who] || at.Time != c.Time {
				t.Fatalf("got %+v after %+v", at, m)
			}
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add(tx.MustEncode(&Journal{Seq: 7, Head: tx.Hash{1}}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var m Journal
		if tx.Decode(payload, &m) != nil {
			return
		}
		if again := tx.MustEncode(&m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil && !errors.Is(err, ErrJournal) {
			t.Errorf("got %v, want %v", err, ErrJournal)
		}
	})
}

func FuzzJournalEntry(f *testing.F) {
	f.Add(tx.MustEncode(ledger.Entry{Kind: EntryJournal, Height: 1, Time: 2, Payload: tx.MustEncode(JournalRecord{Seq: 7, Head: tx.Hash{1}})}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, rec, err := JournalEntry(raw)
		if err != nil {
			return
		}
		if e.Payload = tx.MustEncode(rec); !bytes.Equal(tx.MustEncode(e), raw) {
			t.Errorf("an entry that decodes does not encode to the same bytes")
		}
	})
}
