package recovery_test

import (
	"testing"

	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// die records the death of alice as case n.
func (w *world) die(n uint64) {
	w.Helper()
	id := w.open("registrar", about(recovery.Death, n), nil)
	w.approve("officer", id, nil)
	if got := w.status(id); got != recovery.Finished {
		w.Fatalf("got %v, want finished", got)
	}
}

func TestADeathFreezesWhatShePermitted(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant(1, "clinic"))
	w.must("alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Active: true, Proxy: proxy("mother")})
	treat := w.must("doctor", access.KindRequest, session(consent.TREAT))
	bill := w.must("doctor", access.KindRequest, session(consent.HPAYMT))
	hers := w.must("alice", access.KindRequest, session(consent.PATRQT))
	kin := w.must("mother", access.KindRequest, session(consent.FAMRQT))
	for _, s := range []tx.Hash{treat, bill, hers, kin} {
		if w.allowed(s) == 0 {
			t.Fatal("a session opens nothing before")
		}
	}
	w.block(5)
	w.die(1)
	w.block(5)
	if w.allowed(treat) != 0 || w.allowed(hers) != 0 || w.allowed(kin) != 0 {
		t.Error("a session of before still reads for a purpose that a death ends")
	}
	if w.allowed(bill) == 0 {
		t.Error("her care is not billed any more")
	}
	if w.allowed(w.must("doctor", access.KindRequest, session(consent.TREAT))) != 0 {
		t.Error("her grant still allows treatment")
	}
	w.refuse(access.ErrNotProxy, "mother", access.KindRequest, session(consent.FAMRQT))
	w.refuse(consent.ErrPatient, "mother", consent.KindGrant, grant(2, "insurer"))
	recorded := grant(2, "insurer")
	recorded.Grant.Recorded, recorded.Grant.Document = true, digest("form")
	w.refuse(consent.ErrPatient, "hospital", consent.KindGrant, recorded)
	if _, _, ok := identity.Standing(w.state, account("alice")); ok {
		t.Error("her keys still sign")
	}
	w.refuse(recovery.ErrDeceased, "registrar", recovery.KindRequest, &recovery.Request{Terms: asks(proofed, number(2))})
	w.refuse(recovery.ErrDeceased, "registrar", recovery.KindRequest, &recovery.Request{Terms: about(recovery.Death, 2)})
}

// A death can be recorded by mistake: whoever is brought in alive is not left
// without her emergency set.
func TestBreakingTheGlassOutlivesADeath(t *testing.T) {
	w := newWorld(t)
	w.must("hospital", emergency.KindDirective, &emergency.SetDirective{Patient: account("alice"), Version: 1, Set: mask, More: mask, Except: except})
	w.die(1)
	id := w.must("doctor", access.KindEmergency, &access.Emergency{Patient: account("alice"), Reason: emergency.OVRER, ReaderKey: digest("r"), TTL: hour})
	if w.allowed(id) == 0 {
		t.Error("nothing opens")
	}
}

func TestTwoStaffRecordADeath(t *testing.T) {
	w := newWorld(t)
	id := w.open("registrar", about(recovery.Death, 1), nil)
	w.refuse(recovery.ErrSamePerson, "registrar", recovery.KindApprove, &recovery.Approve{Case: id})
	w.refuse(recovery.ErrStaff, "clerk", recovery.KindApprove, &recovery.Approve{Case: id})
	w.refuse(recovery.ErrStaff, "stranger", recovery.KindApprove, &recovery.Approve{Case: id})
	if identity.Deceased(w.state, account("alice")) {
		t.Fatal("one practitioner recorded a death")
	}
	w.must("alice", consent.KindGrant, grant(1, "clinic"))           // it locks nothing
	w.must("alice", recovery.KindCancel, &recovery.Cancel{Case: id}) // and she is alive
	w.refuse(recovery.ErrClosed, "officer", recovery.KindApprove, &recovery.Approve{Case: id})
	w.refuse(recovery.ErrAlive, "registrar", recovery.KindRequest, &recovery.Request{Terms: about(recovery.Life, 2)})
	w.refuse(recovery.ErrAlive, "registrar", recovery.KindRequest, &recovery.Request{Terms: about(recovery.Executor, 2)})
}

func TestADeathEndsARunningRecovery(t *testing.T) {
	w := newWorld(t)
	id := w.open("registrar", asks(proofed), nil)
	w.approve("third", id, nil)
	w.die(2)
	if got := w.status(id); got != recovery.Cancelled {
		t.Errorf("got %v, want cancelled", got)
	}
	w.block(3 * day)
	w.refuse(recovery.ErrClosed, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
}

func TestAMistakenDeathIsUndone(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant(1, "clinic"))
	w.die(1)
	w.block(5)
	exec := w.open("registrar", about(recovery.Executor, 2), nil)
	w.approve("officer", exec, nil)
	life := w.open("third", about(recovery.Life, 3), nil)
	w.refuse(recovery.ErrSamePerson, "third", recovery.KindApprove, &recovery.Approve{Case: life})
	w.approve("registrar", life, nil)
	if w.status(exec) != recovery.Cancelled {
		t.Error("the executor's case outlives the patient's return")
	}
	w.block(5)
	if w.allowed(w.must("doctor", access.KindRequest, session(consent.TREAT))) == 0 {
		t.Error("her grants did not come back")
	}
	w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice")})
}

func TestAnExecutorActsAfterTheTimeLock(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant(1, "clinic"))
	w.die(1)
	terms := about(recovery.Executor, 2)
	id := w.open("registrar", terms, nil)
	w.refuse(access.ErrNotProxy, "lawyer", access.KindRequest, session(consent.PWATRNY))
	w.approve("officer", id, nil)
	w.block(14*day - 1)
	w.refuse(recovery.ErrEarly, "lawyer", recovery.KindFinish, &recovery.Finish{Case: id})
	w.block(1)
	w.finish("lawyer", id)
	w.block(1)
	own := w.must("lawyer", access.KindRequest, session(consent.PWATRNY))
	if got := w.allowed(own); got != mask {
		t.Errorf("got %#x, want the mandate's mask", got)
	}
	w.refuse(access.ErrNotProxy, "mother", access.KindRequest, session(consent.PWATRNY))
	// What she grants holds; what the patient granted for treatment rests on.
	if w.allowed(w.must("doctor", access.KindRequest, session(consent.TREAT))) != 0 {
		t.Fatal("an executor brought an old grant back")
	}
	g := grant(2, "clinic")
	g.Grant.Purposes = consent.PurposesOf(consent.TREAT)
	w.must("lawyer", consent.KindGrant, g)
	if w.allowed(w.must("doctor", access.KindRequest, session(consent.TREAT))) == 0 {
		t.Error("an executor's grant allows nothing")
	}
	w.refuse(consent.ErrDelegation, "lawyer", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Active: true, Proxy: proxy("bob")})
	// Another executor takes her place.
	next := about(recovery.Executor, 3)
	next.Executor.Account = account("friend")
	id = w.open("registrar", next, nil)
	w.approve("third", id, nil)
	w.block(14 * day)
	w.finish("friend", id)
	w.block(1)
	w.refuse(access.ErrNotProxy, "lawyer", access.KindRequest, session(consent.PWATRNY))
	if w.allowed(w.must("doctor", access.KindRequest, session(consent.TREAT))) != 0 {
		t.Error("the grant of an executor who was replaced still allows something")
	}
	// And the patient's return ends her.
	life := w.open("third", about(recovery.Life, 4), nil)
	w.approve("officer", life, nil)
	w.refuse(access.ErrNotProxy, "friend", access.KindRequest, session(consent.PWATRNY))
}

// A parent's proxy ends by block time when the child comes of age, and the child
// claims the pseudonym with a key of her own.
func TestAParentsProxyEndsWithoutATransaction(t *testing.T) {
	w := newWorld(t)
	code := digest("code")
	signer := identity.ClaimSigner(account("child"), code)
	w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account("child"), Claim: identity.ClaimCommit(signer.Public())})
	p := proxy("mother")
	p.Recorded, p.Document, p.NotAfter = true, digest("form"), w.time+day
	w.must("hospital", consent.KindProxy, &consent.SetProxy{Patient: account("child"), Active: true, Proxy: p})
	ask := session(consent.FAMRQT)
	ask.Patient = account("child")
	ask.TTL = 12 * hour
	g := grant(1, "clinic")
	g.Patient, g.Grant.Purposes, g.Grant.NotAfter = account("child"), consent.PurposesOf(consent.TREAT), p.NotAfter
	w.must("mother", consent.KindGrant, g)
	w.block(20 * hour)
	mothers := w.must("mother", access.KindRequest, ask)
	doctors := session(consent.TREAT)
	doctors.Patient, doctors.TTL = account("child"), 12*hour
	treat := w.must("doctor", access.KindRequest, doctors)
	if w.allowed(mothers) == 0 || w.allowed(treat) == 0 {
		t.Fatal("a parent reads nothing and grants nothing")
	}
	w.block(4 * hour)
	if w.allowed(mothers) != 0 || w.allowed(treat) != 0 {
		t.Error("a parent's session, or a session by her grant, outlives the proxy")
	}
	w.refuse(access.ErrNotProxy, "mother", access.KindRequest, ask)
	w.refuse(consent.ErrSigner, "mother", consent.KindGrant, g)
	w.must("child", identity.KindClaim, &identity.Claim{Patient: account("child"), Key: key("child's phone"), ClaimKey: signer.Public()})
	w.block(1)
	ask.Purpose = consent.PATRQT
	if w.allowed(w.must("child", access.KindRequest, ask)) == 0 {
		t.Error("who came of age reads nothing of her own")
	}
}
