package recovery_test

import (
	"testing"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
)

var ledgerSigner = ledger.Signer{}

func TestOnlyARecoveredKeyOpensARecoverySession(t *testing.T) {
	w := newWorld(t)
	id := w.open("registrar", asks(proofed), nil)
	open := &access.Recover{Patient: account("alice"), Case: id, ReaderKey: digest("reader"), TTL: hour}
	w.refuse(access.ErrRecovery, "alice", access.KindRecover, open) // not finished
	w.approve("officer", id, nil)
	w.refuse(access.ErrRecovery, "alice", access.KindRecover, open)
	w.block(3 * day)
	w.finish("bob", id)
	w.block(1)
	w.refuse(access.ErrRecovery, "alice", access.KindRecover, open) // by another key than it brought
	w.keys["alice"] = "new"
	w.refuse(access.ErrRecovery, "registrar", access.KindRecover, open)
	long := *open
	long.TTL = 31 * day
	w.refuse(access.ErrTTL, "alice", access.KindRecover, &long)
	w.unverified = true
	w.refuse(access.ErrUserVerification, "alice", access.KindRecover, open)
	w.unverified = false
	other := *open
	other.Case = digest("none")
	w.refuse(access.ErrRecovery, "alice", access.KindRecover, &other)
	s := w.must("alice", access.KindRecover, open)
	if got := w.allowed(s); got != ^uint64(0) {
		t.Errorf("got %#x, want every slot", got)
	}
	row, _ := access.Lookup(w.state, s)
	if row.Purpose != consent.PATRQT || row.Actor != account("alice") {
		t.Errorf("got %+v", row)
	}
	// A death recorded afterwards ends it.
	w.die(2)
	if w.allowed(s) != 0 {
		t.Error("it reads on after a death")
	}
}
