package emergency_test

import (
	"slices"
	"testing"

	"salus/ledger/module/access"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// The checklist's E-09, as far as the ledger can see it: who declares often, again, or again after a doubt is reviewed sooner.
func TestWhatIsOftenOrAgainIsEscalated(t *testing.T) {
	w := newWorld(t)
	declare := func(want ...string) tx.Hash {
		t.Helper()
		id := w.must("doctor", access.KindEmergency, declaration())
		w.must("doctor", access.KindClose, &access.Close{Session: id})
		e, _ := emergency.Lookup(w.state, id)
		if got := emergency.FlagsOf(w.state, id).Strings(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if escalated := e.ReviewBy == e.AttestBy; escalated != (len(want) > 0) {
			t.Errorf("flags %v: review by %d, attestation by %d", want, e.ReviewBy, e.AttestBy)
		}
		return id
	}
	first := declare()
	w.must("doctor", emergency.KindAttest, attest(first))
	declare("again")
	second := declare("again")
	w.must("reviewer", emergency.KindReview, judge(second, emergency.Unjustified))
	declare("again", "doubted")
	for range governance.DefaultParams().EmergencyQuota/2 - 4 {
		declare("again")
	}
	declare("often", "again")
	if got, want := emergency.EscalatedOf(w.state, account("clinic")), (emergency.Escalated{Cases: 5, Often: 1, Again: 5, Doubted: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
