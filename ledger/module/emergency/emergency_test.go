package emergency_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

const (
	set    = uint64(0x00000000ffffffff)
	more   = uint64(0x0000ffffffff0000)
	except = uint64(0x00ff00000000ffff)
	hour   = 60 * 60
	day    = 24 * hour
)

func directive(version uint64, change ...func(*emergency.SetDirective)) *emergency.SetDirective {
	m := &emergency.SetDirective{Patient: account("alice"), Version: version, Set: set, More: more, Except: except}
	for _, f := range change {
		f(m)
	}
	return m
}

func declaration(change ...func(*access.Emergency)) *access.Emergency {
	m := &access.Emergency{Patient: account("alice"), Reason: emergency.OVRER, ReaderKey: digest("reader"), TTL: hour}
	for _, f := range change {
		f(m)
	}
	return m
}

// open is a world in which alice has a directive and the doctor has declared an
// emergency.
func open(t testing.TB) (*world, tx.Hash) {
	w := newWorld(t)
	w.must("hospital", emergency.KindDirective, directive(1))
	return w, w.must("doctor", access.KindEmergency, declaration())
}

func (w *world) allowed(id tx.Hash) uint64 {
	w.Helper()
	_, allowed, err := access.Open(w.state, id, w.time)
	if err != nil && allowed != 0 {
		w.Errorf("a refused session may read %#x", allowed)
	}
	return allowed
}

func (w *world) at(id tx.Hash) emergency.Case {
	w.Helper()
	c, ok := emergency.Lookup(w.state, id)
	if !ok {
		w.Fatal("no such case")
	}
	return c
}

func attest(id tx.Hash) *emergency.Attest {
	return &emergency.Attest{Case: id, Account: digest("account")}
}

func judge(id tx.Hash, v emergency.Verdict) *emergency.Judge {
	return &emergency.Judge{Case: id, Verdict: v, Findings: digest("findings")}
}

func TestAnEmergencyOpensTheSetAtOnceWithoutAnyGrant(t *testing.T) {
	w, id := open(t)
	if got, want := w.allowed(id), set&^except; got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
	s, _ := access.Lookup(w.state, id)
	if s.Purpose != consent.BTG || s.Expires != w.time+hour {
		t.Errorf("got a session for %s until %d", s.Purpose, s.Expires)
	}
	gid := digest("grant")
	w.must("alice", consent.KindGrant, &consent.Give{Patient: account("alice"), Grant: consent.Grant{
		ID: consent.GrantID(gid[:16]), Version: 1, Grantee: consent.Grantee{Kind: consent.AnyClinical}, Mask: set, Except: except, Purposes: consent.PurposesOf(consent.TREAT),
	}})
	w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice")})
	if got := w.allowed(id); got != set&^except {
		t.Errorf("a patient who revokes every consent closed an emergency: got %#x", got)
	}
}

func TestTheSecondStepOpensMoreButNeverWhatIsExcluded(t *testing.T) {
	w, id := open(t)
	w.refuse(emergency.ErrNotYours, "second", access.KindWiden, &access.Widen{Session: id})
	w.must("doctor", access.KindWiden, &access.Widen{Session: id})
	if got, want := w.allowed(id), (set|more)&^except; got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
	w.refuse(emergency.ErrWidened, "doctor", access.KindWiden, &access.Widen{Session: id})
	// What she excludes later holds from its block on, and gives nothing.
	w.must("alice", emergency.KindDirective, directive(2, func(m *emergency.SetDirective) { m.Set, m.More, m.Except = ^set, ^set, set&^0xff }))
	if got, want := w.allowed(id), (set|more)&^except&^set; got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

func TestWithoutADirectiveNothingIsOpenAndItLooksTheSame(t *testing.T) {
	w := newWorld(t)
	id := w.must("doctor", access.KindEmergency, declaration())
	w.must("doctor", access.KindWiden, &access.Widen{Session: id})
	if got := w.allowed(id); got != 0 {
		t.Errorf("got %#x", got)
	}
}

func TestWhoMayNotDeclare(t *testing.T) {
	w := newWorld(t)
	for who, want := range map[string]error{
		"clerk": emergency.ErrClinician, "reviewer": emergency.ErrClinician, "clinic": emergency.ErrClinician,
		"alice": emergency.ErrClinician, "insurer's reviewer": emergency.ErrClinician,
	} {
		w.refuse(want, who, access.KindEmergency, declaration())
	}
	w.refuse(emergency.ErrPatient, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.Patient = account("nobody") }))
	w.refuse(emergency.ErrPatient, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.Patient = account("second") }))
	w.refuse(emergency.ErrReason, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.Reason = 0 }))
	w.refuse(emergency.ErrReason, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.Reason = 6 }))
	w.refuse(emergency.ErrTTL, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.TTL = 0 }))
	w.refuse(emergency.ErrTTL, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.TTL = 4*hour + 1 }))
	w.refuse(access.ErrReaderKey, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.ReaderKey = tx.Hash{} }))
	w.refuse(access.ErrList, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.Count = 1 }))
	w.refuse(access.ErrPatient, "doctor", access.KindEmergency, declaration(func(m *access.Emergency) { m.Patient = tx.Account{} }))
	w.unverified = true
	w.refuse(emergency.ErrUserVerification, "doctor", access.KindEmergency, declaration())
}

func TestTreatmentNeverImpliesAnEmergency(t *testing.T) {
	w := newWorld(t)
	w.must("hospital", emergency.KindDirective, directive(1))
	id := w.must("doctor", access.KindRequest, &access.Request{Patient: account("alice"), Purpose: consent.TREAT, Mask: ^uint64(0), ReaderKey: digest("reader"), TTL: 60})
	if got := w.allowed(id); got != 0 {
		t.Errorf("got %#x", got)
	}
	w.refuse(emergency.ErrUnknown, "doctor", access.KindWiden, &access.Widen{Session: id})
	w.refuse(emergency.ErrUnknown, "second", access.KindExtend, &access.Extend{Session: id})
	// Nor does asking for BTG without a declaration, whatever her grants say.
	w.refuse(access.ErrDeclare, "doctor", access.KindRequest, &access.Request{Patient: account("alice"), Purpose: consent.BTG, Mask: ^uint64(0), ReaderKey: digest("reader"), TTL: 60})
}

func TestItEndsByBlockTimeAndIsExtendedOnceBySomebodyElse(t *testing.T) {
	w, id := open(t)
	w.block(hour - 1)
	if w.allowed(id) == 0 {
		t.Error("it ended too early")
	}
	ext := &access.Extend{Session: id}
	w.refuse(emergency.ErrSamePerson, "doctor", access.KindExtend, ext)
	w.refuse(emergency.ErrClinician, "clerk", access.KindExtend, ext)
	w.must("nurse", access.KindExtend, ext)
	w.refuse(emergency.ErrExtended, "second", access.KindExtend, ext)
	w.block(hour)
	if w.allowed(id) == 0 {
		t.Error("it was not extended")
	}
	w.block(1)
	if _, _, err := access.Open(w.state, id, w.time); !errors.Is(err, access.ErrExpired) {
		t.Errorf("got %v, want %v", err, access.ErrExpired)
	}
	w.refuse(access.ErrExpired, "doctor", access.KindWiden, &access.Widen{Session: id})
	w.refuse(access.ErrExpired, "second", access.KindExtend, ext)
}

func TestThePatientClosesItAndTheObligationsStay(t *testing.T) {
	w, id := open(t)
	w.refuse(emergency.ErrRunning, "doctor", access.KindEmergency, declaration())
	w.must("alice", access.KindClose, &access.Close{Session: id})
	if w.allowed(id) != 0 {
		t.Error("a closed emergency opens something")
	}
	w.must("doctor", access.KindEmergency, declaration()) // another one is another entry
	w.block(day)
	if !emergency.Suspended(w.state, account("doctor")) {
		t.Error("closing it took the obligation away")
	}
}

func TestTheQuotaIsOfAPractitionerAndADay(t *testing.T) {
	w := newWorld(t)
	n := governance.DefaultParams().EmergencyQuota
	again := func() error {
		id, err := w.do("doctor", access.KindEmergency, declaration())
		if err == nil {
			w.must("doctor", access.KindClose, &access.Close{Session: id})
		}
		return err
	}
	for range n {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	if err := again(); !errors.Is(err, emergency.ErrQuota) {
		t.Errorf("got %v, want %v", err, emergency.ErrQuota)
	}
	w.must("second", access.KindEmergency, declaration())
	if got := emergency.CountsOf(w.state, account("clinic")).Declared; got != n+1 {
		t.Errorf("got %d declarations, want %d", got, n+1)
	}
	if got := emergency.ConductOf(w.state, account("doctor")); uint64(len(got.Recent)) != n {
		t.Errorf("got %d times kept, want %d", len(got.Recent), n)
	}
}

func TestAnOverdueAttestationSuspendsUntilItIsMadeGood(t *testing.T) {
	w, id := open(t)
	w.block(day - 1)
	if emergency.Suspended(w.state, account("doctor")) {
		t.Error("suspended before the time")
	}
	w.block(1)
	if !emergency.Suspended(w.state, account("doctor")) {
		t.Fatal("not suspended at the time")
	}
	w.refuse(emergency.ErrSuspended, "doctor", access.KindEmergency, declaration())
	w.refuse(emergency.ErrSuspended, "doctor", access.KindRequest, &access.Request{Patient: account("alice"), Purpose: consent.ETREAT, Mask: 1, ReaderKey: digest("reader"), TTL: 60})
	w.refuse(emergency.ErrNotYours, "second", emergency.KindAttest, attest(id))
	w.must("doctor", emergency.KindAttest, attest(id))
	w.refuse(emergency.ErrAttested, "doctor", emergency.KindAttest, attest(id))
	w.must("doctor", access.KindEmergency, declaration())
	if got := w.at(id); got.Overdue != 0 || got.Attested == 0 {
		t.Errorf("got %+v", got)
	}
}

func TestAnOverdueReviewSuspendsAndEndsWhatIsOpen(t *testing.T) {
	w, id := open(t)
	w.must("doctor", emergency.KindAttest, attest(id))
	w.block(3*day - 60)
	running := w.must("doctor", access.KindEmergency, declaration())
	w.must("doctor", emergency.KindAttest, attest(running))
	if w.allowed(running) == 0 {
		t.Fatal("nothing is open")
	}
	w.block(60)
	if got := w.allowed(running); got != 0 {
		t.Errorf("a suspended practitioner reads %#x", got)
	}
	w.refuse(emergency.ErrSuspended, "doctor", access.KindWiden, &access.Widen{Session: running})
	if got := w.waiting("clinic"); !slices.Equal(got, []tx.Hash{id, running}) {
		t.Errorf("got %v, want what is overdue and then what is due", got)
	}
	w.must("reviewer", emergency.KindReview, judge(id, emergency.Justified))
	if got := w.waiting("clinic"); !slices.Equal(got, []tx.Hash{running}) {
		t.Errorf("got %v after the review", got)
	}
	if w.allowed(running) == 0 {
		t.Error("a review that was made good left the suspension")
	}
	if got := emergency.CountsOf(w.state, account("clinic")); got.Overdue != 1 || got.Justified != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestWhoReviews(t *testing.T) {
	w := newWorld(t)
	w.must("hospital", emergency.KindDirective, directive(1))
	id := w.must("head", access.KindEmergency, declaration())
	w.must("second", access.KindExtend, &access.Extend{Session: id})
	m := judge(id, emergency.Justified)
	w.refuse(emergency.ErrSamePerson, "head", emergency.KindReview, m)
	for _, who := range []string{"doctor", "second", "insurer's reviewer", "alice", "clinic"} {
		w.refuse(emergency.ErrReviewer, who, emergency.KindReview, m)
	}
	w.refuse(emergency.ErrUnknown, "reviewer", emergency.KindReview, judge(digest("none"), emergency.Justified))
	w.refuse(emergency.ErrVerdict, "reviewer", emergency.KindReview, judge(id, 0))
	w.refuse(emergency.ErrVerdict, "reviewer", emergency.KindReview, judge(id, 4))
	w.refuse(emergency.ErrCommitment, "reviewer", emergency.KindReview, &emergency.Judge{Case: id, Verdict: emergency.Justified})
	for _, who := range []string{"reviewer", "steward's reviewer", "inspector"} {
		c := state.NewCache(w.state)
		before := w.state
		w.state = c
		w.must(who, emergency.KindReview, m)
		w.state = before
	}
	w.must("inspector", emergency.KindReview, judge(id, emergency.Unjustified))
	w.refuse(emergency.ErrReviewed, "reviewer", emergency.KindReview, m)
	if got := w.at(id); !got.Closed() || got.Verdict != emergency.Unjustified || got.Reviewer != account("inspector") {
		t.Errorf("got %+v", got)
	}
	w.block(4 * day)
	if emergency.Suspended(w.state, account("head")) {
		t.Error("a reviewed case still owes an attestation")
	}
}

func TestAnExtenderWithTheReviewPrivilegeDoesNotReview(t *testing.T) {
	w, id := open(t)
	w.must("head", access.KindExtend, &access.Extend{Session: id})
	w.refuse(emergency.ErrSamePerson, "head", emergency.KindReview, judge(id, emergency.Justified))
}

func TestADisputeAsksForAnotherReviewer(t *testing.T) {
	w, id := open(t)
	w.must("doctor", emergency.KindAttest, attest(id))
	w.must("reviewer", emergency.KindReview, judge(id, emergency.Justified))
	d := &emergency.Dispute{Case: id}
	for _, who := range []string{"bob", "doctor", "hospital", "mother"} {
		w.refuse(emergency.ErrDisputer, who, emergency.KindDispute, d)
	}
	w.refuse(emergency.ErrUnknown, "alice", emergency.KindDispute, &emergency.Dispute{Case: digest("none")})
	w.must("alice", emergency.KindDispute, d)
	w.refuse(emergency.ErrDisputed, "alice", emergency.KindDispute, d)
	w.refuse(emergency.ErrSamePerson, "reviewer", emergency.KindReview, judge(id, emergency.Justified))
	w.block(3 * day)
	if !emergency.Suspended(w.state, account("doctor")) {
		t.Error("the second review has no deadline")
	}
	w.must("inspector", emergency.KindReview, judge(id, emergency.Inconclusive))
	if emergency.Suspended(w.state, account("doctor")) {
		t.Error("the second review left the suspension")
	}
	want := emergency.Counts{Declared: 1, Attested: 1, Justified: 1, Inconclusive: 1, Overdue: 1, Disputed: 1}
	if d := cmp.Diff(want, emergency.CountsOf(w.state, account("clinic"))); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
}

func TestWhoSetsTheDirective(t *testing.T) {
	w := newWorld(t)
	for _, who := range []string{"clinic", "bob", "doctor"} {
		w.refuse(emergency.ErrSigner, who, emergency.KindDirective, directive(1))
	}
	w.must("hospital", emergency.KindDirective, directive(1))
	w.refuse(emergency.ErrVersion, "hospital", emergency.KindDirective, directive(1))
	w.refuse(emergency.ErrVersion, "hospital", emergency.KindDirective, directive(3))
	w.must("hospital", emergency.KindDirective, directive(2))
	w.unverified = true
	w.refuse(emergency.ErrUserVerification, "alice", emergency.KindDirective, directive(3))
	w.unverified = false
	w.must("alice", emergency.KindDirective, directive(3))
	w.refuse(emergency.ErrSigner, "hospital", emergency.KindDirective, directive(4))
	w.refuse(emergency.ErrMask, "alice", emergency.KindDirective, directive(4, func(m *emergency.SetDirective) { m.Set |= 1 << 40 }))
	w.refuse(emergency.ErrMask, "alice", emergency.KindDirective, directive(4, func(m *emergency.SetDirective) { m.More = 0 }))
	w.refuse(emergency.ErrExcept, "alice", emergency.KindDirective, directive(4, func(m *emergency.SetDirective) { m.Except = 0 }))
	w.refuse(emergency.ErrPatient, "alice", emergency.KindDirective, directive(4, func(m *emergency.SetDirective) { m.Patient = account("nobody") }))
}

func TestASuspendedOrDepartedPractitionerReadsNothing(t *testing.T) {
	w, id := open(t)
	p, _ := identity.Lookup(w.state, account("doctor"))
	w.must("clinic", identity.KindUpdate, &identity.Update{Account: p.Account, Roles: p.Roles, Privileges: identity.PrivRead, Active: true})
	if w.allowed(id) != 0 {
		t.Error("a withdrawn privilege still opens")
	}
	w.must("clinic", identity.KindUpdate, &identity.Update{Account: p.Account, Roles: p.Roles, Privileges: p.Privileges})
	if w.allowed(id) != 0 {
		t.Error("a suspended practitioner still reads")
	}
}

func TestEveryStepIsInThePatientsLogAtOnce(t *testing.T) {
	w := newWorld(t)
	before := w.chain()
	steps := func(want uint64, what string) {
		t.Helper()
		if got := w.chain() - before; got != want {
			t.Errorf("%s: got %d entries, want %d", what, got, want)
		}
	}
	w.must("hospital", emergency.KindDirective, directive(1))
	id := w.must("doctor", access.KindEmergency, declaration())
	steps(3, "directive, declaration, session")
	w.must("doctor", access.KindWiden, &access.Widen{Session: id})
	w.must("second", access.KindExtend, &access.Extend{Session: id})
	steps(5, "widened, extended")
	w.block(day)
	steps(6, "attestation overdue")
	w.must("doctor", emergency.KindAttest, attest(id))
	w.must("reviewer", emergency.KindReview, judge(id, emergency.Justified))
	w.must("alice", emergency.KindDispute, &emergency.Dispute{Case: id})
	steps(9, "attested, reviewed, disputed")
	for a := audit.EmergencyDeclared; a <= audit.EmergencyDirective; a++ {
		if !a.Known() || a.String() == "unknown" {
			t.Errorf("action %d has no words", a)
		}
	}
}

func TestTheTimerLooksAtWhatIsDueOnly(t *testing.T) {
	w, _ := open(t)
	w.block(1)
	n := 0
	counting := &counter{Cache: w.state, n: &n}
	c := w.context(state.NewCache(counting), ledgerSigner)
	if err := emergency.Module().EndBlock(c); err != nil {
		t.Fatal(err)
	}
	if n > 1 {
		t.Errorf("the timer read %d rows with nothing due, want at most one", n)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(uint8(0), tx.MustEncode(directive(1)))
	f.Add(uint8(1), tx.MustEncode(attest(digest("a"))))
	f.Add(uint8(2), tx.MustEncode(judge(digest("a"), emergency.Justified)))
	f.Add(uint8(3), tx.MustEncode(&emergency.Dispute{Case: digest("a")}))
	calls := emergency.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != emergency.Prefix {
				t.Errorf("got %v, want a refusal of this module", err)
			}
		}
	})
}

func TestCodesHaveTheirText(t *testing.T) {
	for _, r := range []emergency.Reason{emergency.OVRER, emergency.OVRINCOMP, emergency.OVRPJ, emergency.OVRPS, emergency.OVRTPS} {
		got, err := emergency.ParseReason(r.String())
		if err != nil || got != r {
			t.Errorf("%s: got %v, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "TREAT", "unknown", "ovrer"} {
		if _, err := emergency.ParseReason(s); err == nil {
			t.Errorf("%q is a reason", s)
		}
	}
	if _, err := emergency.Reason(9).MarshalText(); err == nil {
		t.Error("an unknown reason has a text")
	}
	for v := emergency.Verdict(0); v <= emergency.Inconclusive; v++ {
		var got emergency.Verdict
		text, _ := v.MarshalText()
		if err := got.UnmarshalText(text); err != nil || got != v {
			t.Errorf("%s: got %v, %v", v, got, err)
		}
	}
}

func TestReachEndsWithTheCaseWhateverTheSessionSays(t *testing.T) {
	w, id := open(t)
	c := w.at(id)
	if got := emergency.Reach(w.state, c, c.Until-1); got != set&^except {
		t.Errorf("before the end: got %#x", got)
	}
	if got := emergency.Reach(w.state, c, c.Until); got != 0 {
		t.Errorf("at the end: got %#x", got)
	}
}

// Members vote a disaster: for its time, and for its class, nobody is kept from the next patient. What is
// owed stays owed, and the quota is back by block time with no transaction.
func TestADisasterLiftsTheQuotaAndNothingElse(t *testing.T) {
	w := newWorld(t)
	again := func() error {
		id, err := w.do("doctor", access.KindEmergency, declaration())
		if err == nil {
			w.must("doctor", access.KindClose, &access.Close{Session: id})
		}
		return err
	}
	settle := func() {
		t.Helper()
		w.block(1)
		if err := governance.Module().EndBlock(w.context(w.state, ledger.Signer{})); err != nil {
			t.Fatal(err)
		}
	}
	vote := func(d governance.Disaster) {
		t.Helper()
		id := w.must("hospital", governance.KindPropose, &governance.Propose{Action: governance.Action{Disaster: &d}})
		for _, m := range []string{"clinic", "regulator"} {
			w.must(m, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
		}
		settle()
	}
	n := governance.DefaultParams().EmergencyQuota
	for range n {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	lifted := func(want bool, when string) {
		t.Helper()
		if err := again(); want != (err == nil) || err != nil && !errors.Is(err, emergency.ErrQuota) {
			t.Errorf("%s: got %v", when, err)
		}
	}
	lifted(false, "before")
	w.refuse(governance.ErrDisaster, "hospital", governance.KindPropose, &governance.Propose{Action: governance.Action{Disaster: &governance.Disaster{Seconds: governance.MaxDisaster + 1}}})
	w.refuse(governance.ErrDisaster, "hospital", governance.KindPropose, &governance.Propose{Action: governance.Action{Disaster: &governance.Disaster{Class: governance.Insurer, Seconds: 60}}})
	w.refuse(governance.ErrNotMember, "doctor", governance.KindPropose, &governance.Propose{Action: governance.Action{Disaster: &governance.Disaster{Seconds: 60}}})
	w.must("hospital", governance.KindPropose, &governance.Propose{Action: governance.Action{Disaster: &governance.Disaster{Seconds: hour}}})
	settle()
	lifted(false, "when one member proposed it")
	vote(governance.Disaster{Class: governance.Hospital, Seconds: hour})
	lifted(false, "in a disaster of hospitals, at a clinic")
	vote(governance.Disaster{Class: governance.Clinic, Seconds: hour})
	for range n {
		lifted(true, "in it")
	}
	if got := emergency.ConductOf(w.state, account("doctor")); uint64(len(got.Recent)) != n {
		t.Errorf("got %d times kept, want %d", len(got.Recent), n)
	}
	w.refuse(emergency.ErrClinician, "clerk", access.KindEmergency, declaration())
	w.block(hour)
	lifted(false, "after it")
	vote(governance.Disaster{Seconds: 2 * hour})
	lifted(true, "in a disaster of all")
	vote(governance.Disaster{})
	lifted(false, "when members ended it")
	w.block(24 * hour)
	if !emergency.Suspended(w.state, account("doctor")) {
		t.Error("an obligation was lifted with the quota")
	}
}

func TestTheQuotaOpensAgainADayAfterTheFirst(t *testing.T) {
	w := newWorld(t)
	n := governance.DefaultParams().EmergencyQuota
	for i := range n {
		id := w.must("doctor", access.KindEmergency, declaration())
		w.must("doctor", access.KindClose, &access.Close{Session: id})
		w.must("doctor", emergency.KindAttest, attest(id))
		if i == 0 {
			w.block(hour)
		}
	}
	w.block(day - hour - 1)
	w.refuse(emergency.ErrQuota, "doctor", access.KindEmergency, declaration())
	w.block(1)
	w.must("doctor", access.KindEmergency, declaration())
	if got := emergency.ConductOf(w.state, account("doctor")).Recent; uint64(len(got)) != n {
		t.Errorf("got %d times kept, want %d", len(got), n)
	}
}

func TestEveryStepNeedsAVerifiedUser(t *testing.T) {
	w, id := open(t)
	w.unverified = true
	want := emergency.ErrUserVerification
	w.refuse(want, "doctor", access.KindWiden, &access.Widen{Session: id})
	w.refuse(want, "second", access.KindExtend, &access.Extend{Session: id})
	w.refuse(want, "doctor", emergency.KindAttest, attest(id))
	w.refuse(want, "reviewer", emergency.KindReview, judge(id, emergency.Justified))
	w.refuse(want, "alice", emergency.KindDispute, &emergency.Dispute{Case: id})
}

// A parameter changed by vote moves no deadline of a case that is open.
func TestDeadlinesAreFixedWhenTheCaseOpens(t *testing.T) {
	w, id := open(t)
	before := w.at(id)
	short := uint64(60)
	propose := &governance.Propose{Action: governance.Action{SetParams: &governance.Changes{AttestPeriod: &short, ReviewPeriod: &short}}}
	p := w.must("hospital", governance.KindPropose, propose)
	for _, m := range []string{"clinic", "insurer", "regulator"} {
		if _, err := w.do(m, governance.KindVote, &governance.Vote{Proposal: p, Approve: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := governance.Module().EndBlock(w.context(w.state, ledgerSigner)); err != nil {
		t.Fatal(err)
	}
	w.block(61)
	if emergency.Suspended(w.state, account("doctor")) || w.at(id).AttestBy != before.AttestBy {
		t.Error("a vote moved the deadline of an open case")
	}
	later := w.must("second", access.KindEmergency, declaration())
	w.block(60)
	if !emergency.Suspended(w.state, account("second")) || w.at(later).Overdue != emergency.Attestation|emergency.Review {
		t.Error("the new periods do not hold for a new case")
	}
}
