package custody

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// order passes an order to deal the shares again, without these members.
func (w *world) order(without ...string) {
	w.Helper()
	a := governance.Action{Reshare: &governance.Reshare{}}
	for _, name := range without {
		a.Reshare.Without = append(a.Reshare.Without, account(name))
	}
	slices.SortFunc(a.Reshare.Without, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	id := w.must("hospital", governance.KindPropose, &governance.Propose{Action: a})
	for _, name := range append([]string{"clinic", "insurer"}, w.names()[len(members):]...)[:2*len(w.nodes)/3] {
		w.must(name, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
}

// names are the members' names, the four first ones first.
func (w *world) names() (names []string) {
	for _, m := range w.nodes {
		names = append(names, m.name)
	}
	return names
}

// latest is the last resharing on the ledger.
func (w *world) latest() reshare.Resharing {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	r, ok := reshare.Latest(v)
	if !ok {
		w.Fatal("no resharing")
	}
	return r
}

func (w *world) inForce() committee.Epoch {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	e, err := committee.Current(v)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// turn lets every custodian that is up take what steps it can.
func (w *world) turn() {
	w.Helper()
	w.rotate()
	for _, m := range w.nodes {
		if m.Custodian == nil || m.down {
			continue
		}
		if m.lies {
			m.lie()
			continue
		}
		if err := m.readLog(context.Background()); err != nil {
			w.Fatal(err)
		}
		if err := m.reshareOnce(context.Background()); err != nil && !errors.Is(err, errWaits) && !errors.Is(err, errAccused) {
			w.Fatalf("%s: %v", m.name, err)
		}
	}
	w.block()
}

// until takes turns until the rule holds.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	for range 20 {
		if holds() {
			return
		}
		w.turn()
	}
	w.Fatalf("never: %s; %+v", what, w.latest())
}

func (w *world) done(to uint64) func() bool {
	return func() bool { r := w.latest(); return r.To == to && r.Phase == reshare.Done }
}

// opens reads a record under the epoch in force from these custodians.
func (r *reading) opens(b *seal.Batch, i int, from ...*member) {
	r.w.Helper()
	req := r.commit(items(b, i)...)
	e := r.w.inForce()
	if err := r.combines(b, req, e, from...); err != nil {
		r.w.Fatal(err)
	}
}

func (r *reading) combines(b *seal.Batch, req *exchange.ReleaseRequest, e committee.Epoch, from ...*member) error {
	r.w.Helper()
	hh, i := b.Header.Hash(), int(req.List.Items[0].Index)
	shares := map[int][]threshold.Share{}
	for _, m := range from {
		reply, err := m.Release(context.Background(), req)
		if err != nil {
			return errors.Join(err, m.why(req))
		}
		if at, _ := e.IndexOf(account(m.name)); int(reply.Custodian) != at {
			r.w.Fatalf("%s answers as custodian %d, is %d", m.name, reply.Custodian, at)
		}
		shares[int(reply.Custodian)] = r.shares(req, reply)[hh]
	}
	h := b.Header
	h.N, h.T = e.N, e.T
	keys, err := seal.Combine(&h, b.Entries[i:i+1], []int{i}, shares)
	if err != nil {
		return err
	}
	rec, err := seal.Decrypt(&b.Header, &b.Entries[i], keys[0], b.Ciphertexts[i])
	if err != nil || !bytes.Equal(rec, plain(i)) {
		return errors.Join(err, errors.New("another record"))
	}
	return nil
}

func (w *world) checkAll() {
	w.Helper()
	for _, m := range w.nodes {
		if err := m.Check(context.Background()); err != nil {
			w.Errorf("%s: %v", m.name, err)
		}
	}
}

// One leaves, and its shares are destroyed; then it comes again and holds shares of the
// records of both times. A session that is open goes on all the while.
func TestAMemberLeavesAndJoins(t *testing.T) {
	w := newWorld(t)
	first := w.batch("alice", allowedSlot, deniedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	lab, rest := w.node("lab"), slices.DeleteFunc(slices.Clone(w.nodes), func(m *member) bool { return m.name == "lab" })
	r.opens(first, 0, w.nodes[:3]...)

	w.order("lab")
	late := w.batch("alice", allowedSlot) // becomes active while the first pass runs
	w.until("the epoch changes", func() bool { return w.latest().Changed != 0 })
	if w.latest().Phase == reshare.Second {
		// Between the change and the end of the second pass each batch has one epoch.
		r.opens(first, 0, rest...)
		req := r.commit(items(late, 0)...)
		if got := rest[0].why(req); !errors.Is(got, wrongEpoch) {
			t.Errorf("a late batch under the new epoch: got %v, want %v", got, wrongEpoch)
		}
		req.Epoch = 1
		v := w.nodes[0].app.View()
		old, err := committee.At(v, 1)
		v.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.combines(late, req, old, lab, rest[0], rest[1]); err != nil {
			t.Error(err)
		}
		early := r.commit(items(first, 0)...)
		early.Epoch = 1
		for _, m := range w.nodes {
			if got := m.why(early); !errors.Is(got, wrongEpoch) {
				t.Errorf("an early batch under the old epoch: got %v, want %v", got, wrongEpoch)
			}
		}
	} else {
		t.Error("there is no second pass for the late batch")
	}
	w.until("it is done", w.done(2))
	w.until("the old shares are destroyed", func() bool { r := w.latest(); return r.Wiped() == 4 })
	for _, b := range []*seal.Batch{first, late} {
		r.opens(b, 0, rest...)
		if _, err := lab.rows.batch(b.Header.Hash()); !errors.Is(err, errAbsent) {
			t.Errorf("who left still has shares: %v", err)
		}
	}
	req := r.commit(items(first, 0)...)
	if got := lab.why(req); !errors.Is(got, notSeated) {
		t.Errorf("who left: got %v, want %v", got, notSeated)
	}
	req.Epoch = 1
	if got := rest[0].why(req); !errors.Is(got, notFresh) {
		t.Errorf("an epoch that is over: got %v, want %v", got, notFresh)
	}

	lab.down = true // no custodian now, so nobody sends it a parcel
	third := w.batch("alice", allowedSlot)
	lab.down = false
	w.order()
	w.until("it is done", w.done(3))
	w.until("the old shares are destroyed", func() bool { r := w.latest(); return r.Wiped() == 3 })
	for _, b := range []*seal.Batch{first, late, third} {
		r.opens(b, 0, lab, rest[0], rest[2])
	}
	w.checkAll()
	if n := lab.batches.Load(); n != 3 {
		t.Errorf("got %d batches at the newcomer, want 3", n)
	}
	if found := r.locate(lab); len(found) != 3 {
		t.Errorf("the newcomer locates %d batches, want 3", len(found))
	}
}

// A custodian that lost its disk, and its log of receipts with it, is whole again after the
// shares were dealt to the same members.
func TestALostDiskIsRebuilt(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	r.opens(b, 0, w.nodes...)
	lab := w.node("lab")
	if err := lab.sendRoot(context.Background()); err != nil {
		t.Fatal(err)
	}
	lab.close()
	if err := os.RemoveAll(filepath.Join(w.dir, "lab")); err != nil {
		t.Fatal(err)
	}
	lab.reopen(filepath.Join(w.dir, "lab"))
	req := r.commit(items(b, 0)...)
	if _, err := lab.Release(context.Background(), req); err == nil {
		t.Fatal("a custodian without a disk releases")
	}
	w.order()
	w.until("it is done", w.done(2))
	w.until("the old shares are destroyed", func() bool { r := w.latest(); return r.Wiped() == 4 })
	for _, from := range [][]*member{w.nodes[:3], {lab, w.nodes[0], w.nodes[3]}} {
		r.opens(b, 0, from...)
	}
	if err := lab.sendRoot(context.Background()); err != nil {
		t.Fatal(err)
	}
	lab.reopen(filepath.Join(w.dir, "lab"))
	r.opens(b, 0, lab, w.nodes[0], w.nodes[3])
	w.checkAll()
}

// Every custodian is stopped and started again after each of its steps.
func TestAResharingSurvivesCrashes(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	w.order("lab")
	crash := errors.New("the process ends here")
	for range 30 {
		if l := w.latest(); l.Phase == reshare.Done && l.Wiped() == 4 {
			break
		}
		for _, m := range w.nodes {
			// Once before and once after what it says is on the ledger.
			m.beforeSubmit = func(tx.Kind) error { return crash }
			_ = m.reshareOnce(context.Background())
			m.beforeSubmit, m.afterSubmit = nil, func(tx.Kind) error { return crash }
			_ = m.reshareOnce(context.Background())
			m.afterSubmit = nil
			m.reopen(filepath.Join(w.dir, m.name))
		}
		w.block()
	}
	if l := w.latest(); l.Phase != reshare.Done || l.Wiped() != 4 {
		t.Fatalf("got %+v", l)
	}
	r.opens(b, 0, w.node("hospital"), w.node("clinic"), w.node("insurer"))
	w.checkAll()
}

// spoil gives a custodian other shares than it holds, so that it deals something else.
func (m *member) spoil(hh tx.Hash) {
	m.w.Helper()
	row, err := m.rows.batch(hh)
	if err != nil {
		m.w.Fatal(err)
	}
	row.Shares[1] = row.Shares[0]
	key, err := m.rows.unwrapped(rowKey(prefixKey, hh[:]))
	if err != nil {
		m.w.Fatal(err)
	}
	kb := rowKey(prefixBatch, hh[:])
	if err := m.rows.update(func(b *pebble.Batch) error { return b.Set(kb, sealRow([32]byte(key), kb, row.encode()), nil) }); err != nil {
		m.w.Fatal(err)
	}
}

// A dealer that deals other shares than it holds is named on the ledger and left out; one
// that is down is not needed.
func TestACheatIsLeftOut(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	cheat := w.node("clinic")
	cheat.spoil(b.Header.Hash())
	w.order()
	w.until("it is done", w.done(2))
	p := w.latest().Passes[0]
	v := w.nodes[0].app.View()
	old, err := committee.At(v, 1)
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	index, _ := old.IndexOf(account("clinic"))
	if p.Left != 1<<(index-1) || len(p.Faults) != 1 || p.Faults[0].Header != b.Header.Hash() {
		t.Errorf("got %b left out for %+v, want custodian %d alone", p.Left, p.Faults, index)
	}
	w.until("the old shares are destroyed", func() bool { r := w.latest(); return r.Wiped() == 4 })
	r.opens(b, 0, cheat, w.nodes[0], w.nodes[2]) // it takes over as everybody else
	w.checkAll()
}

// A dealer that answers nobody is reported when its time is over. One that answers some is
// asked by those for the others.
func TestADealerThatHandsNothingOverIsReported(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot)
	w.grant("alice")
	silent := w.node("hospital")
	var to []string
	refuse := func(from tx.Account) bool {
		return !slices.ContainsFunc(to, func(name string) bool { return account(name) == from })
	}
	silent.refuses = refuse
	w.order()
	for range 3 {
		w.turn()
	}
	if w.latest().Phase != reshare.First {
		t.Fatal("the pass closed without a dealer's dealings")
	}
	to = []string{"clinic"} // it answers one
	w.until("it is done", w.done(2))
	if p := w.latest().Passes[0]; p.Left != 0 {
		t.Errorf("got %b left out of a resharing in which others relay", p.Left)
	}
	w.until("the old shares are destroyed", func() bool { r := w.latest(); return r.Wiped() == 4 })

	to = nil
	w.order()
	for range 3 {
		w.turn()
	}
	w.advance(w.reshareWait())
	w.until("it is done", w.done(3))
	if p := w.latest().Passes[0]; p.Left == 0 || p.Faults[0].By != 0 {
		t.Errorf("got %+v, want the silent dealer left out by reports", p)
	}
	w.session("doctor", "alice").opens(b, 0, w.nodes[1:]...)
}

// What was not active at the change lapses, and its author seals it again.
func TestABatchThatIsNotActiveLapses(t *testing.T) {
	w := newWorld(t)
	w.order()
	p, _ := w.deal("hospital", "alice", allowedSlot)
	hh := w.put("hospital", p) // and delivers it to nobody
	w.until("it is done", w.done(2))
	row := w.row(hh)
	v := w.nodes[0].app.View()
	defer v.Close()
	if !anchor.Lapsed(v, &row) {
		t.Error("the batch has not lapsed")
	}
	w.until("the old shares are destroyed", func() bool { r := w.latest(); return r.Wiped() == 4 })
	for _, m := range w.nodes {
		if n, err := m.rows.count(prefixWanted); n != 0 || err != nil {
			t.Errorf("%s still wants %d batches, %v", m.name, n, err)
		}
	}
}

// Nobody but a custodian to be gets a dealing, and only its own.
func TestDealingsAreForTheirRecipients(t *testing.T) {
	w := newWorld(t)
	w.batch("alice", allowedSlot)
	w.order("lab")
	w.turn()
	l := w.latest()
	from := w.node("clinic")
	v := from.app.View()
	defer v.Close()
	h, _ := from.changeAt(v)
	seeds, err := w.node("insurer").rows.seeds()
	if err != nil {
		t.Fatal(err)
	}
	to, _ := h.next.IndexOf(account("insurer"))
	good := exchange.SubdealRequest{Name: reshare.Name{To: l.To, Start: l.Start, Pass: 1}, Dealer: h.deals, Recipient: uint8(to), Count: 1, Key: seeds[0].Public}
	ask := func(by string, change func(q *exchange.SubdealRequest)) error {
		q := good
		change(&q)
		_, err := from.Subdealt(context.Background(), account(by), &q)
		return err
	}
	same := func(*exchange.SubdealRequest) {}
	if err := ask("insurer", same); err != nil {
		t.Fatal(err)
	}
	if err := ask("hospital", same); err != nil { // on the recipient's behalf
		t.Fatal(err)
	}
	own, err := w.node("hospital").rows.seeds()
	if err != nil {
		t.Fatal(err)
	}
	for rule, err := range map[string]error{
		"who leaves":            ask("lab", same),
		"another's key":         ask("hospital", func(q *exchange.SubdealRequest) { q.Key = own[0].Public }),
		"another resharing":     ask("insurer", func(q *exchange.SubdealRequest) { q.Name.Start++ }),
		"another epoch":         ask("insurer", func(q *exchange.SubdealRequest) { q.Name.To++ }),
		"a pass to come":        ask("insurer", func(q *exchange.SubdealRequest) { q.Name.Pass = 2 }),
		"no pass":               ask("insurer", func(q *exchange.SubdealRequest) { q.Name.Pass = 0 }),
		"no recipient":          ask("insurer", func(q *exchange.SubdealRequest) { q.Recipient = 4 }),
		"no dealer":             ask("insurer", func(q *exchange.SubdealRequest) { q.Dealer = 0 }),
		"no batch":              ask("insurer", func(q *exchange.SubdealRequest) { q.From = 9 }),
		"behalf of another one": ask("hospital", func(q *exchange.SubdealRequest) { q.Dealer = h.deals%h.old.N + 1 }),
	} {
		if !errors.Is(err, ErrNoParcel) {
			t.Errorf("%s: got %v, want %v", rule, err, ErrNoParcel)
		}
	}
}

// FuzzSubdealMessages: what decodes encodes to the same bytes.
func FuzzSubdealMessages(f *testing.F) {
	f.Add(true, tx.MustEncode(&exchange.SubdealRequest{Dealer: 1, Recipient: 2, Key: []byte{1}}))
	f.Add(false, tx.MustEncode(&exchange.Subdealings{Items: []exchange.Subdealing{{Commitments: [][32]byte{{1}}, Sums: []tx.Hash{{2}}, Shares: []byte{3}, Card: &exchange.Card{Manifest: []byte{1}}}}}))
	f.Fuzz(func(t *testing.T, request bool, b []byte) {
		var m any = &exchange.Subdealings{}
		if request {
			m = &exchange.SubdealRequest{}
		}
		if tx.DecodeAny(b, m, len(b)) != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func (w *world) reshareWait() time.Duration {
	v := w.nodes[0].app.View()
	defer v.Close()
	return time.Duration(governance.ParamsOf(v).ReshareWait) * time.Second
}
