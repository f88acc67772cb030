package audit

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A member's gateway keeps a journal of its own: who asked it for what, also for records that it wrote
// itself and that no session is needed for. The journal stays with the member. What is here is where it
// stands, so that taking events off its end, or writing it anew, is evident to whoever reads the journal.

// KindJournal anchors where a member's journal stands.
const KindJournal tx.Kind = "audit.journal"

// Journal is the head of the signing member's journal. Signed by the member.
type Journal struct {
	Seq  uint64  `cbor:"1,keyasint" json:"seq"`  // of the last event: 1, 2, 3 ... without a gap
	Head tx.Hash `cbor:"2,keyasint" json:"head"` // over all events up to it
}

// Validate implements tx.Message. Error: ErrJournal.
func (m *Journal) Validate() error {
	if m.Seq == 0 || m.Head.IsZero() {
		return ErrJournal
	}
	return nil
}

// A JournalPosition is the last head that a member anchored.
type JournalPosition struct {
	Seq   uint64  `cbor:"1,keyasint" json:"seq"`
	Head  tx.Hash `cbor:"2,keyasint" json:"head"`
	Time  uint64  `cbor:"3,keyasint" json:"time"`  // of the block, unix seconds
	Index uint64  `cbor:"4,keyasint" json:"index"` // of the log entry
	Count uint64  `cbor:"5,keyasint" json:"count"` // of heads anchored so far
}

// EntryJournal is the log entry of an anchored head; its payload is a JournalRecord.
const EntryJournal ledger.EntryKind = Prefix<<8 | 2

// A JournalRecord is one anchored head, which names the one before.
type JournalRecord struct {
	Member    tx.Account `cbor:"1,keyasint" json:"member"`
	Seq       uint64     `cbor:"2,keyasint" json:"seq"`
	Head      tx.Hash    `cbor:"3,keyasint" json:"head"`
	Prev      uint64     `cbor:"4,keyasint" json:"prev"`      // sequence number anchored before; 0 for the first
	PrevIndex uint64     `cbor:"5,keyasint" json:"prevIndex"` // log index of that entry; 0 for the first
}

// JournalAt returns the last head that a member anchored; ok is false if there is none.
func JournalAt(r state.Reader, member tx.Account) (JournalPosition, bool) {
	return journals.Get(r, member[:])
}

// JournalEntry decodes a log entry of an anchored head. Error: ErrEntry.
func JournalEntry(raw []byte) (ledger.Entry, JournalRecord, error) {
	var e ledger.Entry
	var rec JournalRecord
	if tx.DecodeAny(raw, &e, len(raw)) != nil || e.Kind != EntryJournal || tx.DecodeAny(e.Payload, &rec, len(e.Payload)) != nil {
		return e, rec, ErrEntry
	}
	return e, rec, nil
}

func journal(c *ledger.Context, m *Journal) error {
	if c.Signer.Class != ledger.ClassMember {
		return ErrJournalMember
	}
	member := c.Signer.Account
	at, _ := JournalAt(c.State, member)
	if m.Seq <= at.Seq {
		return ErrJournalBack
	}
	index := c.Append(EntryJournal, JournalRecord{Member: member, Seq: m.Seq, Head: m.Head, Prev: at.Seq, PrevIndex: at.Index})
	journals.Put(c.State, member[:], JournalPosition{Seq: m.Seq, Head: m.Head, Time: c.Time, Index: index, Count: at.Count + 1})
	c.Emit("audit.journal", member.String())
	return nil
}
