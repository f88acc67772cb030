package emergency_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/access"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// A model is the rules of break-glass in plain terms: a list of cases, and for
// each what it owes by when. It looks at all of them at every step, where the
// ledger keeps a queue and counters.
type model struct {
	w         *world
	directive *emergency.SetDirective
	cases     []*modelCase
	counts    emergency.Counts
}

type modelCase struct {
	id                     tx.Hash
	actor, patient         string
	declared, until        uint64
	widened                bool
	extender               string
	attestBy, reviewBy     uint64
	attested, reviewed     bool // met; a review also meets the attestation
	signed                 bool // attested by the actor herself
	attestLate, reviewLate bool // its time passed before it was met
	excluded               string
	disputed               bool
}

var (
	clinicians = []string{"doctor", "second", "nurse", "head"}
	reviewers  = []string{"reviewer", "head", "inspector", "steward's reviewer"}
	patients   = []string{"alice", "bob"}
)

// overdue says what a case owes beyond its time.
func (c *modelCase) overdue() bool {
	return c.attestLate && !c.attested || c.reviewLate && !c.reviewed
}

func (m *model) suspended(who string) bool {
	for _, c := range m.cases {
		if c.actor == who && c.overdue() {
			return true
		}
	}
	return false
}

func (m *model) some(t *rapid.T) *modelCase {
	if len(m.cases) == 0 {
		t.Skip("no case")
	}
	return rapid.SampledFrom(m.cases).Draw(t, "case")
}

// expect runs a transaction and compares its refusal with the model's.
func (m *model) expect(t *rapid.T, want error, by string, kind tx.Kind, msg tx.Message) (tx.Hash, bool) {
	id, err := m.w.do(by, kind, msg)
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("%s by %s: got %v, want %v", kind, by, err, want)
	}
	return id, err == nil
}

func (m *model) declare(t *rapid.T) {
	who, patient := rapid.SampledFrom(clinicians).Draw(t, "who"), rapid.SampledFrom(patients).Draw(t, "patient")
	ttl := rapid.Uint64Range(1, 4*hour+600).Draw(t, "ttl")
	p := governance.DefaultParams()
	var want error
	recent, running := uint64(0), false
	for _, c := range m.cases {
		if c.actor == who {
			if m.w.time < c.declared+day {
				recent++
			}
			running = running || c.patient == patient && m.w.time < c.until
		}
	}
	switch {
	case m.suspended(who):
		want = emergency.ErrSuspended
	case ttl > p.EmergencyMax:
		want = emergency.ErrTTL
	case recent >= p.EmergencyQuota:
		want = emergency.ErrQuota
	case running:
		want = emergency.ErrRunning
	}
	var flags emergency.Flags
	if recent+1 > p.EmergencyQuota/2 {
		flags |= emergency.Often
	}
	for _, c := range m.cases { // the last one of this pair counts
		if c.actor == who && c.patient == patient {
			flags &= emergency.Often
			if m.w.time < c.declared+30*day {
				flags |= emergency.Again
				if last, _ := emergency.Lookup(m.w.state, c.id); last.Verdict == emergency.Unjustified || last.Verdict == emergency.Inconclusive {
					flags |= emergency.Doubted
				}
			}
		}
	}
	id, ok := m.expect(t, want, who, access.KindEmergency, &access.Emergency{
		Patient: account(patient), Reason: emergency.Reason(rapid.IntRange(1, 5).Draw(t, "reason")), ReaderKey: digest("reader"), TTL: ttl,
	})
	if ok {
		m.cases = append(m.cases, &modelCase{
			id: id, actor: who, patient: patient, declared: m.w.time, until: m.w.time + ttl,
			attestBy: m.w.time + p.AttestPeriod, reviewBy: m.w.time + p.ReviewPeriod,
		})
		if flags != 0 { // escalated
			m.cases[len(m.cases)-1].reviewBy = m.w.time + min(p.AttestPeriod, p.ReviewPeriod)
		}
		if got := emergency.FlagsOf(m.w.state, id); got != flags {
			t.Fatalf("flags: got %v, want %v", got.Strings(), flags.Strings())
		}
		if who != "nurse" {
			m.counts.Declared++
		}
	}
}

// ours says whether the counts of the clinic are about the case.
func ours(c *modelCase) uint64 {
	if c.actor == "nurse" {
		return 0
	}
	return 1
}

func (m *model) widen(t *rapid.T) {
	c, who := m.some(t), rapid.SampledFrom(clinicians).Draw(t, "who")
	if rapid.Bool().Draw(t, "own") {
		who = c.actor
	}
	want := m.ended(c)
	switch {
	case want != nil:
	case who != c.actor:
		want = emergency.ErrNotYours
	case c.widened:
		want = emergency.ErrWidened
	case m.suspended(who):
		want = emergency.ErrSuspended
	}
	if _, ok := m.expect(t, want, who, access.KindWiden, &access.Widen{Session: c.id}); ok {
		c.widened = true
		m.counts.Widened += ours(c)
	}
}

// ended is how the ledger refuses to go on with a session that is over.
func (m *model) ended(c *modelCase) error {
	s, _ := access.Lookup(m.w.state, c.id)
	switch {
	case s.Closed:
		return access.ErrClosed
	case m.w.time >= c.until:
		return access.ErrExpired
	}
	return nil
}

func (m *model) extend(t *rapid.T) {
	c, who := m.some(t), rapid.SampledFrom(clinicians).Draw(t, "who")
	want := m.ended(c)
	switch {
	case want != nil:
	case m.suspended(who):
		want = emergency.ErrSuspended
	case who == c.actor:
		want = emergency.ErrSamePerson
	case c.extender != "":
		want = emergency.ErrExtended
	}
	if _, ok := m.expect(t, want, who, access.KindExtend, &access.Extend{Session: c.id}); ok {
		c.extender = who
		c.until += c.until - c.declared
		m.counts.Extended += ours(c)
	}
}

func (m *model) closeIt(t *rapid.T) {
	c := m.some(t)
	want := m.ended(c)
	if _, ok := m.expect(t, want, c.patient, access.KindClose, &access.Close{Session: c.id}); ok {
		c.until = m.w.time
	}
}

func (m *model) attest(t *rapid.T) {
	c := m.some(t)
	var want error
	if c.signed {
		want = emergency.ErrAttested
	}
	if _, ok := m.expect(t, want, c.actor, emergency.KindAttest, attest(c.id)); ok {
		c.attested, c.signed = true, true
		m.counts.Attested += ours(c)
	}
}

func (m *model) review(t *rapid.T) {
	c, who := m.some(t), rapid.SampledFrom(reviewers).Draw(t, "who")
	var want error
	switch {
	case c.reviewed:
		want = emergency.ErrReviewed
	// Of the hospital's case only the hospital, which is also the steward, and the regulator.
	case c.actor == "nurse" && (who == "reviewer" || who == "head"):
		want = emergency.ErrReviewer
	case who == c.actor, who == c.extender, who == c.excluded:
		want = emergency.ErrSamePerson
	}
	v := emergency.Verdict(rapid.IntRange(1, 3).Draw(t, "verdict"))
	if _, ok := m.expect(t, want, who, emergency.KindReview, judge(c.id, v)); ok {
		c.reviewed, c.attested, c.excluded = true, true, who
		switch v {
		case emergency.Justified:
			m.counts.Justified += ours(c)
		case emergency.Unjustified:
			m.counts.Unjustified += ours(c)
		case emergency.Inconclusive:
			m.counts.Inconclusive += ours(c)
		}
	}
}

func (m *model) dispute(t *rapid.T) {
	c := m.some(t)
	var want error
	if c.disputed {
		want = emergency.ErrDisputed
	}
	if _, ok := m.expect(t, want, c.patient, emergency.KindDispute, &emergency.Dispute{Case: c.id}); ok {
		c.disputed = true
		m.counts.Disputed += ours(c)
		if c.reviewed {
			c.reviewed, c.reviewLate = false, false
			c.reviewBy = m.w.time + governance.DefaultParams().ReviewPeriod
		}
	}
}

func (m *model) direct(t *rapid.T) {
	d := directive(1, func(s *emergency.SetDirective) {
		s.Set, s.More, s.Except = bits(t, 32, "set"), bits(t, 32, "more"), bits(t, 24, "except")
	})
	if m.directive != nil {
		d.Version = m.directive.Version + 1
	}
	m.w.must("alice", emergency.KindDirective, d)
	m.directive = d
}

func bits(t *rapid.T, n int, label string) (v uint64) {
	slots := make([]int, 64)
	for i := range slots {
		slots[i] = i
	}
	for _, s := range rapid.Permutation(slots).Draw(t, label)[:n] {
		v |= 1 << s
	}
	return v
}

func (m *model) wait(t *rapid.T) {
	m.w.block(rapid.SampledFrom([]uint64{1, 600, hour, 5 * hour, day - 1, day, 3 * day}).Draw(t, "seconds"))
	for _, c := range m.cases {
		if !c.attested && !c.attestLate && m.w.time >= c.attestBy {
			c.attestLate = true
			m.counts.Overdue += ours(c)
		}
		if !c.reviewed && !c.reviewLate && m.w.time >= c.reviewBy {
			c.reviewLate = true
			m.counts.Overdue += ours(c)
		}
	}
}

// check compares everything that can be asked with the model.
func (m *model) check(t *rapid.T) {
	for _, who := range clinicians {
		if got, want := emergency.Suspended(m.w.state, account(who)), m.suspended(who); got != want {
			t.Fatalf("%s: got suspended %v, want %v", who, got, want)
		}
	}
	for i, c := range m.cases {
		var want uint64
		if c.patient == "alice" && m.directive != nil && m.w.time < c.until && !m.suspended(c.actor) {
			want = m.directive.Set
			if c.widened {
				want |= m.directive.More
			}
			want &^= m.directive.Except
		}
		s, _ := access.Lookup(m.w.state, c.id)
		got := m.w.allowed(c.id)
		if got != want&s.Mask {
			t.Fatalf("case %d: may read %#x, want %#x", i, got, want&s.Mask)
		}
		if m.directive != nil && got&m.directive.Except != 0 {
			t.Fatalf("case %d: reads what she excluded", i)
		}
	}
	if got := emergency.CountsOf(m.w.state, account("clinic")); got != m.counts {
		t.Fatalf("counts: got %+v, want %+v", got, m.counts)
	}
}

// TestCasesAgreeWithTheModel runs random lives of several practitioners' cases
// against the model: S8, that break-glass always leaves its obligations.
func TestCasesAgreeWithTheModel(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(t)}
		m.direct(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"declare": m.declare, "again": m.declare, "widen": m.widen, "extend": m.extend, "close": m.closeIt,
			"attest": m.attest, "review": m.review, "dispute": m.dispute, "direct": m.direct, "wait": m.wait,
			"": m.check,
		})
		seen["case"] += len(m.cases)
		seen["overdue"] += int(m.counts.Overdue)
		seen["widened"] += int(m.counts.Widened)
	})
	for _, what := range []string{"case", "overdue", "widened"} {
		if seen[what] == 0 && !testing.Short() {
			t.Error(fmt.Sprint("the test saw no ", what, ": it shows too little"))
		}
	}
}
