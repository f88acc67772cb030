package recovery_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

const (
	hour = 3600
	day  = 24 * hour

	mask   = 0xffff_ffff
	except = 0xff_ffff << 32
)

var salt = digest("salt")

// guardians names guardians of alice: two with accounts, one with a bare key.
func guardians(change ...func(*recovery.SetGuardians)) *recovery.SetGuardians {
	m := &recovery.SetGuardians{Patient: account("alice"), Version: 1, Threshold: 2, Commitments: []tx.Hash{
		recovery.CommitAccount(salt, account("alice"), account("friend")),
		recovery.CommitAccount(salt, account("alice"), account("sister")),
		recovery.CommitKey(salt, account("alice"), key("paper key").ID()),
		recovery.CommitAccount(digest("other salt"), account("alice"), account("friend")),
		recovery.CommitAccount(salt, account("alice"), account("alice")),
	}}
	for _, f := range change {
		f(m)
	}
	slices.SortFunc(m.Commitments, func(a, b tx.Hash) int { return slices.Compare(a[:], b[:]) })
	return m
}

// asks are terms for a new key of alice, number 1.
func asks(change ...func(*recovery.Terms)) recovery.Terms {
	t := recovery.Terms{Patient: account("alice"), Number: 1, Kind: recovery.Keys, Keys: []tx.PublicKey{key("new")}}
	for _, f := range change {
		f(&t)
	}
	return t
}

func number(n uint64) func(*recovery.Terms) { return func(t *recovery.Terms) { t.Number = n } }

func proofed(t *recovery.Terms) { t.Document = digest("papers") }

func about(k recovery.Kind, n uint64) recovery.Terms {
	return asks(proofed, number(n), func(t *recovery.Terms) {
		t.Kind, t.Keys = k, nil
		if k == recovery.Executor {
			t.Executor = &consent.Mandate{Account: account("lawyer"), Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.PWATRNY, consent.TREAT)}
		}
	})
}

func byAccount() *recovery.Proof { return &recovery.Proof{Salt: salt} }

// byKey is the proof of a guardian with a bare key over the terms.
func byKey(name string, t recovery.Terms) *recovery.Proof {
	id, seed, pub := t.ID("test"), digest("key/"+name), key(name)
	return &recovery.Proof{Salt: salt, Key: &pub, Signature: &tx.Signature{
		Key: pub.ID(), Alg: tx.AlgEd25519, Sig: ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), id[:]),
	}}
}

// open has somebody open a case and returns its id.
func (w *world) open(by string, t recovery.Terms, p *recovery.Proof) tx.Hash {
	w.Helper()
	w.must(by, recovery.KindRequest, &recovery.Request{Terms: t, Proof: p})
	return t.ID("test")
}

func (w *world) approve(by string, id tx.Hash, p *recovery.Proof) {
	w.Helper()
	w.must(by, recovery.KindApprove, &recovery.Approve{Case: id, Proof: p})
}

func (w *world) finish(by string, id tx.Hash) {
	w.Helper()
	w.must(by, recovery.KindFinish, &recovery.Finish{Case: id})
}

func (w *world) status(id tx.Hash) recovery.Status {
	k, _ := recovery.Lookup(w.state, id)
	return k.Status
}

// lost is a world in which alice named guardians.
func lost(t *testing.T) *world {
	w := newWorld(t)
	w.must("alice", recovery.KindGuardians, guardians())
	w.block(5)
	return w
}

func grant(n byte, to string) *consent.Give {
	return &consent.Give{Patient: account("alice"), Grant: consent.Grant{
		ID: consent.GrantID{n}, Version: 1, Grantee: consent.Grantee{Kind: consent.OfMember, Account: account(to)},
		Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.TREAT, consent.HPAYMT),
	}}
}

func session(purpose consent.Purpose) *access.Request {
	return &access.Request{Patient: account("alice"), Purpose: purpose, Mask: ^uint64(0), ReaderKey: digest("reader"), TTL: hour}
}

func (w *world) allowed(id tx.Hash) uint64 {
	_, m, err := access.Open(w.state, id, w.time)
	if err != nil {
		return 0
	}
	return m
}

func TestTwoOfThreeGuardiansBringNewKeysAfterTheTimeLock(t *testing.T) {
	w := lost(t)
	old := w.must("alice", access.KindRequest, session(consent.PATRQT))
	before := w.height
	w.block(5)
	terms := asks()
	id := w.open("friend", terms, byAccount())
	if got := w.status(id); got != recovery.Gathering {
		t.Fatalf("got %v after one approval, want gathering", got)
	}
	w.refuse(recovery.ErrApprovals, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
	w.block(5)
	w.approve("bob", id, byKey("paper key", terms)) // a stranger brings the paper key's signature
	if got := w.status(id); got != recovery.Waiting {
		t.Fatalf("got %v after two approvals, want waiting", got)
	}
	w.refuse(recovery.ErrApproved, "sister", recovery.KindApprove, &recovery.Approve{Case: id, Proof: byAccount()})
	w.block(3*day - 1)
	w.refuse(recovery.ErrEarly, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
	if w.allowed(old) != 0 { // it has expired anyway; the rule is tested below
		t.Error("a session of 72 hours ago is open")
	}
	w.block(1)
	fresh := w.must("alice", access.KindRequest, session(consent.PATRQT))
	if w.allowed(fresh) == 0 {
		t.Fatal("her old key reads nothing before the recovery is finished")
	}
	w.block(1)
	w.finish("bob", id)
	at := w.height
	if w.allowed(fresh) != 0 {
		t.Error("a session that the old key opened still reads")
	}
	w.block(5)
	switch {
	case !w.live("alice", "new", w.height), w.live("alice", "new", at):
		t.Error("the new key does not count from the next block on")
	case w.live("alice", "alice", w.height), !w.live("alice", "alice", at):
		t.Error("the old key has not ended with the block")
	case !w.live("alice", "alice", before):
		t.Error("what the old key signed before does not verify any more")
	}
	w.refuse(recovery.ErrClosed, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
	w.refuse(recovery.ErrClosed, "alice", recovery.KindCancel, &recovery.Cancel{Case: id})
	// The same terms again are a replay.
	w.refuse(recovery.ErrNumber, "friend", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: byAccount()})
}

func TestTwoStaffOfTheStewardBringNewKeys(t *testing.T) {
	w := newWorld(t)
	id := w.open("registrar", asks(proofed), nil)
	w.approve("officer", id, nil)
	w.block(3 * day)
	w.finish("stranger", id)
	w.block(1)
	if !w.live("alice", "new", w.height) || w.live("alice", "alice", w.height) {
		t.Error("the keys were not replaced")
	}
}

func TestOnlyTheKeysNamedEnd(t *testing.T) {
	w := newWorld(t)
	w.must("alice", identity.KindRotate, &identity.Rotate{Account: account("alice"), Add: []tx.PublicKey{key("phone")}})
	w.block(1)
	id := w.open("registrar", asks(proofed, func(t *recovery.Terms) { t.Revoke = []tx.KeyID{key("phone").ID()} }), nil)
	w.approve("officer", id, nil)
	w.block(3 * day)
	w.finish("bob", id)
	w.block(1)
	if !w.live("alice", "new", w.height) || !w.live("alice", "alice", w.height) || w.live("alice", "phone", w.height) {
		t.Error("other keys live than were asked for")
	}
}

func TestAnyLiveDeviceCancels(t *testing.T) {
	w := lost(t)
	id := w.open("friend", asks(), byAccount())
	w.approve("sister", id, byAccount())
	w.block(day)
	w.unverified = true
	w.refuse(recovery.ErrUserVerification, "alice", recovery.KindCancel, &recovery.Cancel{Case: id})
	w.unverified = false
	for _, who := range []string{"friend", "bob", "registrar", "hospital"} {
		w.refuse(recovery.ErrCancel, who, recovery.KindCancel, &recovery.Cancel{Case: id})
	}
	w.must("alice", recovery.KindCancel, &recovery.Cancel{Case: id})
	w.block(3 * day)
	w.refuse(recovery.ErrClosed, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
	if !w.live("alice", "alice", w.height) || identity.Recovering(w.state, account("alice")) {
		t.Error("a cancelled recovery left something behind")
	}
	// Re-proofing is also stopped by those who carry it, and by no other member's staff.
	id = w.open("registrar", asks(proofed, number(2)), nil)
	w.refuse(recovery.ErrCancel, "stranger", recovery.KindCancel, &recovery.Cancel{Case: id})
	w.must("third", recovery.KindCancel, &recovery.Cancel{Case: id})
}

func TestApprovalsOfGuardiansAreRefused(t *testing.T) {
	w := lost(t)
	terms := asks()
	w.refuse(recovery.ErrGuardian, "bob", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: byAccount()})
	w.refuse(recovery.ErrGuardian, "friend", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: &recovery.Proof{Salt: digest("guess")}})
	w.refuse(recovery.ErrNoGuardians, "friend", recovery.KindRequest, &recovery.Request{
		Terms: asks(func(t *recovery.Terms) { t.Patient = account("bob") }), Proof: byAccount(), // a guardian of somebody else
	})
	w.refuse(recovery.ErrGuardian, "alice", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: byAccount()}) // she named herself
	w.refuse(recovery.ErrSignature, "bob", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: byKey("paper key", asks(number(2)))})
	w.refuse(recovery.ErrGuardian, "bob", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: byKey("found key", terms)})
	w.refuse(recovery.ErrNumber, "friend", recovery.KindRequest, &recovery.Request{Terms: asks(number(2)), Proof: byAccount()})
	w.unverified = true
	w.refuse(recovery.ErrUserVerification, "friend", recovery.KindRequest, &recovery.Request{Terms: terms, Proof: byAccount()})
	w.unverified = false

	id := w.open("friend", terms, byAccount())
	w.refuse(recovery.ErrSamePerson, "friend", recovery.KindApprove, &recovery.Approve{Case: id, Proof: byAccount()})
	w.refuse(recovery.ErrSamePerson, "friend", recovery.KindApprove, &recovery.Approve{Case: id, Proof: &recovery.Proof{Salt: digest("other salt")}}) // by another commitment
	w.refuse(recovery.ErrRoute, "registrar", recovery.KindApprove, &recovery.Approve{Case: id})
	w.refuse(recovery.ErrRunning, "sister", recovery.KindRequest, &recovery.Request{Terms: asks(number(2)), Proof: byAccount()})
	w.refuse(recovery.ErrRunning, "registrar", recovery.KindRequest, &recovery.Request{Terms: asks(number(2), proofed)})
	w.refuse(recovery.ErrUnknown, "sister", recovery.KindApprove, &recovery.Approve{Case: digest("none"), Proof: byAccount()})
}

func TestApprovalsOfStaffAreRefused(t *testing.T) {
	w := lost(t)
	for who, want := range map[string]error{
		"clerk": recovery.ErrStaff, "stranger": recovery.ErrStaff, "payer": recovery.ErrStaff, "hospital": recovery.ErrStaff, "bob": recovery.ErrStaff,
	} {
		w.refuse(want, who, recovery.KindRequest, &recovery.Request{Terms: asks(proofed)})
	}
	w.unverified = true
	w.refuse(recovery.ErrUserVerification, "registrar", recovery.KindRequest, &recovery.Request{Terms: asks(proofed)})
	w.unverified = false
	w.refuse(recovery.ErrPatient, "registrar", recovery.KindRequest, &recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Patient = account("doctor") })})
	w.refuse(identity.ErrKeyUsed, "registrar", recovery.KindRequest, &recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Keys = []tx.PublicKey{key("alice")} })})
	w.refuse(identity.ErrKeyUnknown, "registrar", recovery.KindRequest, &recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Revoke = []tx.KeyID{key("none").ID()} })})

	id := w.open("registrar", asks(proofed), nil)
	w.refuse(recovery.ErrSamePerson, "registrar", recovery.KindApprove, &recovery.Approve{Case: id})
	w.refuse(recovery.ErrStaff, "stranger", recovery.KindApprove, &recovery.Approve{Case: id}) // of another member
	w.refuse(recovery.ErrRoute, "friend", recovery.KindApprove, &recovery.Approve{Case: id, Proof: byAccount()})
	w.approve("officer", id, nil)
	// One of the two is found out during the time lock: the case stands no longer.
	w.must("hospital", identity.KindUpdate, &identity.Update{Account: account("officer"), Privileges: identity.PrivRead | identity.PrivReproof})
	w.block(3 * day)
	w.refuse(recovery.ErrApprovals, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
}

func TestStaffOfAnotherMemberOnlyWhenTheStewardLeft(t *testing.T) {
	w := newWorld(t)
	w.must("hospital", governance.KindPropose, &governance.Propose{Action: governance.Action{Remove: &governance.Remove{Account: account("hospital")}}})
	ps := governance.OpenProposals(w.state)
	for _, m := range []string{"clinic", "insurer"} {
		w.must(m, governance.KindVote, &governance.Vote{Proposal: ps[0].ID, Approve: true})
	}
	if err := governance.Module().EndBlock(w.context(w.state, ledgerSigner)); err != nil {
		t.Fatal(err)
	}
	w.refuse(recovery.ErrStaff, "payer", recovery.KindRequest, &recovery.Request{Terms: asks(proofed)}) // not clinical
	id := w.open("stranger", asks(proofed), nil)
	w.approve("stranger2", id, nil)
	w.block(3 * day)
	w.finish("bob", id)
	w.block(1)
	if !w.live("alice", "new", w.height) {
		t.Error("a patient whose steward left cannot get her keys back")
	}
}

func TestNothingIsWidenedWhileKeysAreAskedFor(t *testing.T) {
	w := lost(t)
	w.must("alice", consent.KindGrant, grant(1, "clinic"))
	w.must("alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Active: true, Proxy: proxy("mother")})
	id := w.open("friend", asks(), byAccount())
	w.refuse(consent.ErrLocked, "alice", consent.KindGrant, grant(2, "insurer"))
	w.refuse(consent.ErrLocked, "mother", consent.KindGrant, grant(2, "insurer"))
	recorded := grant(2, "insurer")
	recorded.Grant.Recorded, recorded.Grant.Document = true, digest("form")
	w.refuse(consent.ErrLocked, "hospital", consent.KindGrant, recorded)
	w.refuse(consent.ErrLocked, "alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Active: true, Proxy: proxy("bob")})
	w.refuse(identity.ErrLocked, "alice", identity.KindRotate, &identity.Rotate{Account: account("alice"), Add: []tx.PublicKey{key("phone")}})
	w.refuse(recovery.ErrLocked, "alice", recovery.KindGuardians, guardians(func(m *recovery.SetGuardians) { m.Version = 2 }))
	d := &emergency.SetDirective{Patient: account("alice"), Version: 1, Set: mask, More: mask, Except: except >> 8}
	w.refuse(emergency.ErrLocked, "alice", emergency.KindDirective, d)
	w.refuse(emergency.ErrLocked, "hospital", emergency.KindDirective, d)
	// What narrows is taken.
	w.must("alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Proxy: consent.Proxy{Account: account("mother")}})
	w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice"), ID: consent.GrantID{1}})
	w.must("alice", recovery.KindCancel, &recovery.Cancel{Case: id})
	w.must("alice", consent.KindGrant, grant(2, "insurer"))
}

func proxy(who string) consent.Proxy {
	return consent.Proxy{Account: account(who), Version: 1, Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.FAMRQT, consent.TREAT)}
}

func TestARecoveryLapses(t *testing.T) {
	w := lost(t)
	id := w.open("friend", asks(), byAccount())
	w.block(14 * day)
	if got := w.status(id); got != recovery.Lapsed {
		t.Fatalf("got %v, want lapsed", got)
	}
	if identity.Recovering(w.state, account("alice")) {
		t.Error("a lapsed recovery still locks")
	}
	w.refuse(recovery.ErrClosed, "sister", recovery.KindApprove, &recovery.Approve{Case: id, Proof: byAccount()})
	// Approved, but never finished.
	id = w.open("friend", asks(number(2)), byAccount())
	w.approve("sister", id, byAccount())
	w.block(17*day - 1)
	if got := w.status(id); got != recovery.Waiting {
		t.Fatalf("got %v, want waiting", got)
	}
	w.block(1)
	w.refuse(recovery.ErrClosed, "bob", recovery.KindFinish, &recovery.Finish{Case: id})
}

func TestRepeatedRequestsMeetTheQuota(t *testing.T) {
	w := lost(t)
	for n := uint64(1); n <= 3; n++ {
		id := w.open("friend", asks(number(n)), byAccount())
		w.must("alice", recovery.KindCancel, &recovery.Cancel{Case: id})
		w.block(day)
	}
	w.refuse(recovery.ErrQuota, "friend", recovery.KindRequest, &recovery.Request{Terms: asks(number(4)), Proof: byAccount()})
	w.must("alice", recovery.KindCancel, &recovery.Cancel{Case: w.open("sister", asks(number(4)), byAccount())}) // another's is her own
	w.block(27 * day)
	w.open("friend", asks(number(5)), byAccount())
}

func TestGuardiansAreThePatientsToName(t *testing.T) {
	w := newWorld(t)
	for _, who := range []string{"hospital", "bob", "registrar"} {
		w.refuse(recovery.ErrNotPatient, who, recovery.KindGuardians, guardians())
	}
	w.unverified = true
	w.refuse(recovery.ErrUserVerification, "alice", recovery.KindGuardians, guardians())
	w.unverified = false
	for _, c := range []struct {
		want   error
		change func(*recovery.SetGuardians)
	}{
		{recovery.ErrVersion, func(m *recovery.SetGuardians) { m.Version = 2 }},
		{recovery.ErrThreshold, func(m *recovery.SetGuardians) { m.Threshold = 1 }},
		{recovery.ErrThreshold, func(m *recovery.SetGuardians) { m.Threshold = 6 }},
		{recovery.ErrThreshold, func(m *recovery.SetGuardians) { m.Commitments = nil }},
		{recovery.ErrThreshold, func(m *recovery.SetGuardians) { m.Commitments = make([]tx.Hash, 17) }},
		{recovery.ErrCommitments, func(m *recovery.SetGuardians) { m.Commitments[1] = m.Commitments[0] }},
		{recovery.ErrCommitments, func(m *recovery.SetGuardians) { m.Commitments[1] = tx.Hash{} }},
		{recovery.ErrPatient, func(m *recovery.SetGuardians) { m.Patient = tx.Account{} }},
	} {
		w.refuse(c.want, "alice", recovery.KindGuardians, guardians(c.change))
	}
	w.must("alice", recovery.KindGuardians, guardians())
	w.must("alice", recovery.KindGuardians, &recovery.SetGuardians{Patient: account("alice"), Version: 2})
	w.refuse(recovery.ErrNoGuardians, "friend", recovery.KindRequest, &recovery.Request{Terms: asks(), Proof: byAccount()})
}

func TestTermsAreComplete(t *testing.T) {
	for what, c := range map[string]struct {
		want error
		m    recovery.Request
	}{
		"nobody":                     {recovery.ErrPatient, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Patient = tx.Account{} })}},
		"number zero":                {recovery.ErrNumber, recovery.Request{Terms: asks(proofed, number(0))}},
		"no kind":                    {recovery.ErrKind, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Kind = 5 })}},
		"no keys":                    {recovery.ErrKeys, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Keys = nil })}},
		"a key twice":                {recovery.ErrKeys, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Keys = append(t.Keys, t.Keys[0]) })}},
		"five keys":                  {recovery.ErrKeys, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Keys = make([]tx.PublicKey, 5) })}},
		"an end twice":               {recovery.ErrKeys, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Revoke = make([]tx.KeyID, 2) })}},
		"keys of the dead":           {recovery.ErrKeys, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Kind = recovery.Death })}},
		"staff without papers":       {recovery.ErrDocument, recovery.Request{Terms: asks()}},
		"guardians with papers":      {recovery.ErrDocument, recovery.Request{Terms: asks(proofed), Proof: byAccount()}},
		"guardians about a death":    {recovery.ErrStaff, recovery.Request{Terms: asks(func(t *recovery.Terms) { t.Kind, t.Keys = recovery.Death, nil }), Proof: byAccount()}},
		"no executor":                {recovery.ErrExecutor, recovery.Request{Terms: asks(proofed, func(t *recovery.Terms) { t.Kind, t.Keys = recovery.Executor, nil })}},
		"herself her executor":       {recovery.ErrExecutor, recovery.Request{Terms: executes(func(m *consent.Mandate) { m.Account = account("alice") })}},
		"an executor without a mask": {consent.ErrMask, recovery.Request{Terms: executes(func(m *consent.Mandate) { m.Mask = 1 })}},
		"an executor for nothing":    {consent.ErrPurposes, recovery.Request{Terms: executes(func(m *consent.Mandate) { m.Purposes = 0 })}},
		"a proof without a salt":     {recovery.ErrProof, recovery.Request{Terms: asks(), Proof: &recovery.Proof{}}},
		"a key without a signature":  {recovery.ErrProof, recovery.Request{Terms: asks(), Proof: &recovery.Proof{Salt: salt, Key: &tx.PublicKey{}}}},
	} {
		if err := c.m.Validate(); err != c.want {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
}

func executes(change func(*consent.Mandate)) recovery.Terms {
	t := about(recovery.Executor, 1)
	change(t.Executor)
	return t
}

// All her devices and her steward follow her chain: a step that is not in it is
// a step in silence.
func TestEveryStepIsInHerChain(t *testing.T) {
	w := lost(t)
	at := w.chain()
	next := func(what string, n uint64) {
		t.Helper()
		if got := w.chain() - at; got != n {
			t.Errorf("%s: got %d entries, want %d", what, got, n)
		}
		at = w.chain()
	}
	id := w.open("friend", asks(), byAccount())
	next("requested", 1)
	w.approve("sister", id, byAccount())
	next("approved", 1)
	w.must("alice", recovery.KindCancel, &recovery.Cancel{Case: id})
	next("cancelled", 1)
	id = w.open("friend", asks(number(2)), byAccount())
	w.approve("sister", id, byAccount())
	w.block(3 * day)
	at = w.chain()
	w.finish("bob", id)
	next("finished", 1)
	w.open("registrar", about(recovery.Death, 3), nil)
	next("a death, requested", 1)
	w.block(14 * day)
	next("lapsed", 1)
}
