package record

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

// order passes an order to deal the shares again, without these members.
func (w *world) order(without ...string) {
	w.Helper()
	a := governance.Action{Reshare: &governance.Reshare{}}
	for _, name := range without {
		a.Reshare.Without = append(a.Reshare.Without, account(name))
	}
	slices.SortFunc(a.Reshare.Without, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	id := w.must("hospital", governance.KindPropose, &governance.Propose{Action: a}).ID
	for _, name := range []string{"clinic", "insurer", "lab"}[:2*len(w.orgs)/3] {
		w.must(name, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
}

// passedOn waits until an epoch is in force and the one before holds nothing.
func (w *world) passedOn(to uint64) {
	w.Helper()
	w.await("the shares are passed on", func(v *state.View) bool {
		r, ok := reshare.Lookup(v, to)
		return ok && r.Phase == reshare.Done
	})
}

// takenOver waits until every custodian of an epoch has its shares. Three of four are enough to end a
// resharing; but one that is late, beside one that lies or is away, is one fault too many.
func (w *world) takenOver(to uint64) {
	w.Helper()
	w.await("everybody has taken over", func(v *state.View) bool {
		r, ok := reshare.Lookup(v, to)
		return ok && r.Complete()
	})
}

// What cannot become active any more, because the committee changed, is sealed again when the
// epoch changes, and not when the round of its delivery has run out.
func TestALapsedWriteIsSealedAgainAtOnce(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p := w.patient("Patient/p")
	w.grant(p)
	reached, ended := make(chan struct{}, 64), make(chan error, 64)
	h.setGate(func(ctx context.Context, step string) error {
		if step != stepPut && step != stepParcel && step != stepPack {
			return nil
		}
		reached <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	})
	acks, err := s.Put(t.Context(), p.Patient, []fhir.Resource{observation(t, "a", "first")})
	if err != nil {
		t.Fatal(err)
	}
	<-reached // sealed for the first epoch
	w.order()
	w.passedOn(2)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("its delivery ended with %v, want %v", err, context.Canceled)
	}
	h.setGate(nil)
	w.active(acks[0].ID)
	if got := w.read(p); len(got) != 1 {
		t.Errorf("a reader sees %d records, want 1", len(got))
	}
}

// silent lets nobody ask for the keys of one custodian.
type silent struct {
	Links
	hash tx.Hash
}

func (s silent) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	if q, ok := req.(exchange.KeyRequest); ok && q.Hash == s.hash {
		return errors.New("nobody has it")
	}
	return s.Links.Call(ctx, to, path, req, resp)
}

// A custodian that was away when its committee came into force holds up no write for longer than a
// moment; one that took part is waited for.
func TestACommitteeDoesNotWaitForWhoWasAwayWhenItBegan(t *testing.T) {
	w := newWorld(t)
	w.orgs["lab"].away()
	w.order()
	w.passedOn(2)

	v := w.app.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		t.Fatal(err)
	}
	first, err := committee.At(v, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range epoch.Members {
		want := graceTime
		if m == account("lab") {
			want = lateTime
		}
		if got := patience(v, epoch, i); got != want {
			t.Errorf("custodian %d is waited for %s, want %s", i+1, got, want)
		}
		if got := patience(v, first, i); got != graceTime {
			t.Errorf("custodian %d of the first committee is waited for %s, want %s", i+1, got, graceTime)
		}
	}

	key, ok := committee.Latest(v, account("lab"))
	if !ok {
		t.Fatal("no key")
	}
	k, now := newCustodyKeys(w.app, silent{w.orgs["hospital"], key.Hash}), time.Unix(start, 0)
	k.now = func() time.Time { return now }
	for range 2 {
		if _, _, err := k.current(t.Context()); !errors.Is(err, errNoKeys) {
			t.Errorf("got %v, want %v", err, errNoKeys)
		}
		now = now.Add(lateTime - 1)
	}
	now = now.Add(1)
	if _, keys, err := k.current(t.Context()); err != nil || len(keys) != 4 {
		t.Errorf("after %s: got %d keys, %v", lateTime, len(keys), err)
	}
}

// A member that leaves takes its copies along. The author makes others, and who reads finds them.
func TestCopiesAreMadeAnewWhenAHolderLeaves(t *testing.T) {
	w := newWorldOf(t, append(slices.Clone(members), "pharmacy")...)
	h := w.orgs["hospital"]
	h.open("")
	p := w.patient("Patient/p")
	w.grant(p)
	w.active(w.put(p.Patient, observation(t, "a", "first"))...)
	var holders []tx.Account
	var pack vault.PackID
	v := w.app.View()
	anchor.EachActive(v, 0, 1<<40, func(hh tx.Hash, b anchor.Batch) bool {
		holders, pack = anchor.Holders(v, hh), vault.PackID(b.Pack)
		return true
	})
	v.Close()
	var leaves *org
	for _, o := range w.orgs {
		if o != h && slices.Contains(holders, account(o.name)) {
			leaves = o
		}
	}
	if leaves == nil {
		t.Fatal("nobody but the author holds the ciphertext")
	}
	w.order(leaves.name)
	w.takenOver(2)
	copies := func() (n int) {
		for _, o := range w.orgs {
			if o != leaves && o.vault.HasPack(pack) {
				n++
			}
		}
		return n
	}
	for done := uint64(0); done != 2; { // written when the copies are made
		if err := h.record.store.get(copiedKey(), &done); err != nil && !errors.Is(err, errNotFound) {
			t.Fatal(err)
		}
		if t.Context().Err() != nil {
			t.Fatal("the copies are never made")
		}
		w.block()
	}
	if got := copies(); got != 2 {
		t.Errorf("got %d copies among four custodians, want 2", got)
	}

	leaves.setDown(true)
	h.close()
	h.setDown(true) // one of the four may be away: the author
	if got := w.read(p); len(got) != 1 {
		t.Errorf("a reader sees %d records, want 1", len(got))
	}
}

// expel has the members remove one, and the others pass the shares on without it.
func (w *world) expel(o *org) {
	w.Helper()
	id := w.must("clinic", governance.KindPropose, &governance.Propose{Action: governance.Action{Remove: &governance.Remove{Account: account(o.name)}}}).ID
	for _, name := range []string{"insurer", "lab", "pharmacy"} {
		w.must(name, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
	id = w.must("clinic", governance.KindPropose, &governance.Propose{Action: governance.Action{Reshare: &governance.Reshare{}}}).ID
	for _, name := range []string{"insurer", "lab"} {
		w.must(name, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
}

// When the author itself has gone, the first of the holders that is still there makes the copies, and nobody else does.
func TestAHolderMakesTheCopiesOfAnAuthorThatIsGone(t *testing.T) {
	w := newWorldOf(t, append(slices.Clone(members), "pharmacy")...)
	h := w.orgs["hospital"]
	h.open("")
	p := w.patient("Patient/p")
	w.grant(p)
	w.active(w.put(p.Patient, observation(t, "a", "first"))...)
	var hh tx.Hash
	var b anchor.Batch
	v := w.app.View()
	anchor.EachActive(v, 0, 1<<40, func(id tx.Hash, of anchor.Batch) bool { hh, b = id, of; return true })
	var heir *org
	for _, m := range ReplicaOrder(anchor.Holders(v, hh), b.Author, hh) {
		for _, o := range w.orgs {
			if heir == nil && account(o.name) == m {
				heir = o
			}
		}
	}
	v.Close()
	if heir == nil {
		t.Fatal("nobody but the author holds the ciphertext")
	}
	copies := func() (n int) {
		for _, o := range w.orgs {
			if o != h && o.vault.HasPack(vault.PackID(b.Pack)) {
				n++
			}
		}
		return n
	}
	for _, o := range w.orgs {
		if o != h {
			o.open("")
		}
	}
	if got := copies(); got != 1 {
		t.Fatalf("got %d copies besides the author's, want 1", got)
	}
	h.close()
	h.setDown(true)
	w.expel(h)
	w.takenOver(2)
	looked := func(o *org) (r lookedRow) {
		if err := o.record.store.get(orphansKey(), &r); err != nil && !errors.Is(err, errNotFound) {
			t.Fatal(err)
		}
		return r
	}
	for looked(heir) != (lookedRow{Epoch: 2, Gone: 1}) { // written when the copies are made
		if t.Context().Err() != nil {
			t.Fatal("the copies are never made")
		}
		w.block()
	}
	if got := copies(); got != 2 {
		t.Errorf("got %d copies among four custodians, want 2", got)
	}
	v = w.app.View()
	defer v.Close()
	for _, o := range w.orgs {
		if o != h && o.record.inherits(v, hh, &b) != (o == heir) {
			t.Errorf("%s makes copies: %v; it is the heir: %v", o.name, o != heir, o == heir)
		}
	}
}
