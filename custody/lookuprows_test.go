package custody

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/consent"
	"salus/ledger/module/lookup"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
	"salus/record" //nolint:depguard // the tests play both sides of a lookup
)

// passes lets the committee change, and the lookup key follow.
func (w *world) passes(without ...string) {
	w.Helper()
	to := w.inForce().Epoch + 1
	w.order(without...)
	w.until("the epoch changes", w.done(to))
	for range 12 {
		v := w.nodes[0].View()
		k, ok := lookup.Current(v)
		v.Close()
		if ok && k.Epoch == to {
			w.lookups() // shares are kept, rows taken over, what is old destroyed
			w.lookups()
			return
		}
		w.lookups()
	}
	w.Fatalf("the lookup key did not follow to epoch %d", to)
}

// The custodians make the key by themselves, and when all of them are replaced, who was enrolled before is found as
// before: the key is the same, the rows were handed on, and nobody of before holds a share.
func TestLookupsGoOnWhenTheWholeCommitteeIsReplaced(t *testing.T) {
	names := append(append([]string{}, members...), "second", "third", "fourth", "fifth")
	w := newWorldOf(t, names...)
	w.order(names[4:]...)
	w.until("a committee of the first four", func() bool { return w.latest().Phase == reshare.Done })
	for range 4 {
		w.lookups()
	}
	v := w.nodes[0].View()
	old, ok := lookup.Current(v)
	run, _ := lookup.LastCeremony(v)
	v.Close()
	if !ok || len(old.Members) != 4 || run.Number != 1 {
		t.Fatalf("got a key %v of %d, ceremony %d: want the one that the four made by themselves", ok, len(old.Members), run.Number)
	}
	w.enrolIdentifier("alice", national)
	w.enrolIdentifier("bob", person)
	gone := w.enrolIdentifier("carol", record.Identifier{System: "2.999.1", Value: "1"})
	if _, err := record.ForgetIdentifier(context.Background(), signer{w, "carol"}, gone); err != nil {
		t.Fatal(err)
	}
	find := func(when string) {
		t.Helper()
		for patient, id := range map[string]record.Identifier{"alice": national, "bob": person} {
			got, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{id})
			if err != nil || len(got) != 1 || got[0].Patient != account(patient) {
				t.Errorf("%s: %s: got %v %v, want her", when, patient, got, err)
			}
		}
	}
	find("before")
	// Between the change of the committee and that of the key, those who hold the key answer.
	to := w.inForce().Epoch + 1
	w.order(names[:4]...)
	w.until("the epoch changes", w.done(to))
	v = w.nodes[0].View()
	if k, _ := lookup.Current(v); k.Epoch == to {
		t.Error("the key follows before the committee changed")
	}
	v.Close()
	if got, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "other doctor"}, consent.TREAT, []record.Identifier{national}); err != nil || len(got) != 1 {
		t.Errorf("between the two: got %v %v, want her", got, err)
	}
	for range 8 {
		w.lookups()
	}
	v = w.nodes[0].View()
	now, _ := lookup.Current(v)
	v.Close()
	if now.Epoch != to || now.Eval != old.Eval || now.Open != old.Open || now.IndexOf(account("fifth")) == 0 || now.IndexOf(account("hospital")) != 0 {
		t.Fatalf("got a key of epoch %d with %d members, want the same key with the four others", now.Epoch, len(now.Members))
	}
	for _, m := range w.nodes {
		if _, err := m.rows.lookupShare(old.Number); !errors.Is(err, errAbsent) {
			t.Errorf("%s: got %v, want no share of before", m.name, err)
		}
		if n, err := m.rows.count(prefixEnrolled); err != nil || n != 2 {
			t.Errorf("%s: got %d %v rows, want those of the two who are enrolled", m.name, n, err)
		}
	}
	find("with nobody of before")
	// And on, with some of both.
	w.passes(names[5:]...)
	find("with the first four and one of the others")
}

func TestRowsAreForTheHoldersOfTheKey(t *testing.T) {
	w := lookupWorld(t)
	ctx := context.Background()
	entry := w.enrolIdentifier("alice", national)
	if _, err := w.node("lab").Rows(ctx, account("doctor"), &exchange.RowsRequest{}); !errors.Is(err, ErrNotReleased) {
		t.Errorf("who holds no key: got %v, want ErrNotReleased", err)
	}
	got, err := w.node("lab").Rows(ctx, account("clinic"), &exchange.RowsRequest{})
	if err != nil || len(got.Rows) != 1 || got.Rows[0].Entry != entry {
		t.Fatalf("got %v %v, want the one row", got, err)
	}
	if got, err := w.node("lab").Rows(ctx, account("clinic"), &exchange.RowsRequest{After: entry}); err != nil || len(got.Rows) != 0 {
		t.Errorf("behind the last: got %v %v, want none", got, err)
	}
}

// What most tell of an enrolment is kept, and pages are read as far as everybody has told all.
func TestPagesOfRowsAreReadTogether(t *testing.T) {
	row := func(n byte, address byte) exchange.Row {
		return exchange.Row{Entry: tx.Hash{n}, Address: [32]byte{address}, Box: make([]byte, exchange.PointerBox)}
	}
	short := &exchange.RowsReply{Rows: []exchange.Row{row(1, 1), row(9, 1)}}
	liar := &exchange.RowsReply{Rows: []exchange.Row{row(1, 7)}}
	full := &exchange.RowsReply{}
	for i := range rowsPage {
		r := row(2, 1)
		r.Entry[1], r.Entry[2] = byte(i>>8), byte(i)
		full.Rows = append(full.Rows, r)
	}
	full.Rows[0] = row(1, 1)
	made := &exchange.RowsReply{} // that crawls along
	for i := range rowsPage {
		r := row(1, 1)
		r.Entry[30], r.Entry[31] = byte(i>>8), byte(i)
		made.Rows = append(made.Rows, r)
	}
	end, more := endOf([]*exchange.RowsReply{short, liar, full}, 3)
	if last := full.Rows[rowsPage-1].Entry; !more || end != last {
		t.Fatalf("got %x, %v; want the end of the full page", end, more)
	}
	got := mostTold([]*exchange.RowsReply{liar, short, full}, end, more)
	if len(got) != rowsPage || got[tx.Hash{1}].Address != [32]byte{1} {
		t.Errorf("got %d rows, address %x; want the page, and what most tell", len(got), got[tx.Hash{1}].Address)
	}
	if _, ok := got[tx.Hash{9}]; ok {
		t.Error("a row behind the end is kept before everybody has told all")
	}
	if _, more := endOf([]*exchange.RowsReply{short, liar}, 2); more {
		t.Error("short pages: got more")
	}
	if end, more := endOf([]*exchange.RowsReply{full, short, full, made}, 3); !more || end != full.Rows[rowsPage-1].Entry {
		t.Errorf("one tells of what nobody enrolled: got %x, %v; want the end of what three tell", end, more)
	}
	if end, more := endOf([]*exchange.RowsReply{short, short, short, made}, 3); more {
		t.Errorf("three have told all: got more, from %x", end)
	}
	if end, more := endOf([]*exchange.RowsReply{full, full, made}, 3); !more || end != made.Rows[rowsPage-1].Entry {
		t.Errorf("no more than have to answered: got %x, %v; want the end that all of them reach", end, more)
	}
	for _, bad := range [][]exchange.Row{{row(2, 1), row(1, 1)}, {row(1, 1), row(1, 1)}, {{Entry: tx.Hash{1}}}} {
		if ascending(tx.Hash{}, bad) {
			t.Errorf("got %v as a page", bad)
		}
	}
}

// "Nobody found" by who does not know yet who is enrolled would be wrong.
func TestAHolderWithoutRowsAnswersNobody(t *testing.T) {
	w := lookupWorld(t)
	ctx, lab := context.Background(), w.node("lab")
	entry := w.must("doctor", lookup.KindAsk, &lookup.Ask{Use: lookup.Find, Purpose: consent.TREAT, Element: digest("e")})
	req := &exchange.PointersRequest{Entry: entry, Address: digest("x")}
	if _, err := lab.Pointers(ctx, account("clinic"), req); err != nil {
		t.Fatal(err)
	}
	if err := lab.rows.drop(func(f func(*pebble.Batch) error) error { return lab.rows.update(f) }, rowsKey(1)); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second) // not too fast after the first
	w.block()
	if got, err := lab.Pointers(ctx, account("clinic"), req); !errors.Is(err, ErrNotReleased) {
		t.Errorf("got %v %v, want ErrNotReleased", got, err)
	}
}
