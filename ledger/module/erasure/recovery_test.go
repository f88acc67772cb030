package erasure_test

import (
	"testing"

	"salus/ledger"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
)

// Who holds a stolen device, and sees that its owner is getting new keys, does not
// erase her record before she has them.
func TestNothingIsErasedByRequestWhileKeysAreRecovered(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	before := w.must("alice", erasure.KindRequest, batch("alice", h))
	identity.Lock(w.context(w.state, ledger.Signer{}), account("alice"), digest("a recovery"))
	w.refuse(identity.ErrLocked, "alice", erasure.KindRequest, all("alice"))
	w.find(before, erasure.Clear, "clinic", "regulator")
	w.refused(before, identity.ErrLocked)
	// The members' order is not hers, and goes on.
	id := w.vote(governance.Action{Erase: &governance.Erase{Batch: h, Ground: digest("order")}})
	w.find(id, erasure.Clear, "clinic", "regulator")
	if c := w.at(id); c.Status != erasure.Executing {
		t.Errorf("an order: got %v", c.Status)
	}
	identity.Unlock(w.context(w.state, ledger.Signer{}), account("alice"))
	w.must("alice", erasure.KindRequest, all("alice"))
}
