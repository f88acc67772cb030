package recovery_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// A model is the rules of recovery in plain terms: every case that ever was, looked at anew at
// every step, where the ledger keeps slots, a queue and a lock.
type model struct {
	w         *world
	cases     []*modelCase
	opened    map[string][]uint64
	key       string // alice's
	keys      int    // drawn so far
	threshold int    // of her guardians; 0: none named
	version   uint64
	dead      bool
	executor  string
	suspended map[string]bool
}

type modelCase struct {
	terms       recovery.Terms
	staff       bool
	needed      int
	approvals   []string
	from, until uint64
	status      recovery.Status
	key         string
}

var (
	people = []string{"registrar", "officer", "third"}
	others = []string{"stranger", "clerk", "bob", "mother"}
)

func (c *modelCase) waits() bool { return c.from != 0 }

// running returns the case of that kind that can still be finished.
func (m *model) running(k recovery.Kind) *modelCase {
	for _, c := range m.cases {
		if c.terms.Kind == k && c.status.Running() {
			return c
		}
	}
	return nil
}

func (m *model) expect(t *rapid.T, want error, by string, kind tx.Kind, msg tx.Message) bool {
	_, err := m.w.do(by, kind, msg)
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("%s by %s: got %v, want %v", kind, by, err, want)
	}
	return err == nil
}

func (m *model) name(t *rapid.T) {
	n := rapid.IntRange(2, 3).Draw(t, "threshold")
	msg := guardians(func(g *recovery.SetGuardians) { g.Version, g.Threshold = m.version+1, uint8(n) })
	if m.dead {
		t.Skip("the dead name nobody")
	}
	var want error
	if m.running(recovery.Keys) != nil {
		want = recovery.ErrLocked
	}
	if m.expect(t, want, "alice", recovery.KindGuardians, msg) {
		m.version, m.threshold = m.version+1, n
	}
}

// approver draws who approves, how she signs, and whether she may at all.
func (m *model) approver(t *rapid.T, staff bool, terms recovery.Terms) (who, by string, p *recovery.Proof, may error) {
	if staff {
		who = rapid.SampledFrom(people).Draw(t, "staff")
		if rapid.IntRange(0, 5).Draw(t, "a stranger") == 0 {
			who = rapid.SampledFrom(others).Draw(t, "other")
		}
		switch {
		case m.suspended[who]:
			t.Skip("she cannot sign")
		case who == "stranger", who == "clerk", who == "bob", who == "mother":
			may = recovery.ErrStaff
		}
		return who, who, nil, may
	}
	who = rapid.SampledFrom([]string{"friend", "sister", "paper key", "friend", "sister", "bob"}).Draw(t, "guardian")
	by, p = who, byAccount()
	if who == "paper key" {
		by, p = "mother", byKey(who, terms)
	}
	switch {
	case m.threshold == 0:
		may = recovery.ErrNoGuardians
	case who == "bob":
		may = recovery.ErrGuardian
	}
	return who, by, p, may
}

func (m *model) request(t *rapid.T) {
	kinds := []int{1, 1, 1, 2, 2, 3, 4}
	if m.dead {
		kinds = []int{1, 2, 3, 4, 4, 4}
	}
	kind := recovery.Kind(rapid.SampledFrom(kinds).Draw(t, "kind"))
	staff := kind != recovery.Keys || rapid.Bool().Draw(t, "by staff")
	c := m.ask(kind, staff)
	who, by, p, may := m.approver(t, staff, c.terms)
	m.begin(t, c, who, by, p, may)
}

// ask makes the terms of the next case.
func (m *model) ask(kind recovery.Kind, staff bool) *modelCase {
	number := uint64(len(m.cases)) + 1
	terms := recovery.Terms{Patient: account("alice"), Number: number, Kind: kind}
	c := &modelCase{staff: staff, needed: m.threshold, status: recovery.Gathering, until: m.w.time + governance.DefaultParams().RecoveryPeriod}
	switch kind {
	case recovery.Keys:
		c.key = string(rune('a'+m.keys%26)) + string(rune('a'+m.keys/26))
		terms.Keys = []tx.PublicKey{key(c.key)}
	case recovery.Executor:
		terms.Executor = &consent.Mandate{Account: account("lawyer"), Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.PWATRNY)}
	case recovery.Death, recovery.Life:
	}
	if staff {
		terms.Document, c.needed = digest("papers"), recovery.Staff
	}
	c.terms = terms
	return c
}

// begin opens a case.
func (m *model) begin(t *rapid.T, c *modelCase, who, by string, p *recovery.Proof, may error) {
	kind, terms := c.terms.Kind, c.terms
	recent := 0
	for _, at := range m.opened[who] {
		if m.w.time < at+30*day {
			recent++
		}
	}
	want := may
	switch dies := kind == recovery.Keys || kind == recovery.Death; {
	case m.dead && dies:
		want = recovery.ErrDeceased
	case !m.dead && !dies:
		want = recovery.ErrAlive
	case m.running(kind) != nil:
		want = recovery.ErrRunning
	case may == nil && recent >= 3:
		want = recovery.ErrQuota
	}
	if m.expect(t, want, by, recovery.KindRequest, &recovery.Request{Terms: terms, Proof: p}) {
		m.keys++
		m.opened[who] = append(m.opened[who], m.w.time)
		c.approvals = []string{who}
		m.cases = append(m.cases, c)
	}
}

func (m *model) some(t *rapid.T) *modelCase {
	if len(m.cases) == 0 {
		t.Skip("no case")
	}
	// Mostly the last ones: what is closed stays closed.
	return m.cases[max(0, len(m.cases)-1-rapid.IntRange(0, 2).Draw(t, "case"))]
}

func (m *model) approve(t *rapid.T) {
	c := m.some(t)
	staff := c.staff
	if rapid.IntRange(0, 7).Draw(t, "other way") == 0 {
		staff = !staff
	}
	who, by, p, want := m.approver(t, staff, c.terms)
	m.approval(t, c, staff, who, by, p, want)
}

// play carries one case from its request to its end.
func (m *model) play(t *rapid.T, kind recovery.Kind, first, second string) {
	c := m.ask(kind, true)
	m.begin(t, c, first, first, nil, nil)
	m.approval(t, c, true, second, second, nil, nil)
	if c.waits() {
		m.through(t)
	}
}

// carry has everybody of the staff approve the last case, so that the later parts of a life
// are not left to chance.
func (m *model) carry(t *rapid.T) {
	if len(m.cases) == 0 || !m.cases[len(m.cases)-1].staff {
		t.Skip("nothing for the staff")
	}
	c := m.cases[len(m.cases)-1]
	for _, who := range people {
		if !m.suspended[who] {
			m.approval(t, c, true, who, who, nil, nil)
		}
	}
}

func (m *model) approval(t *rapid.T, c *modelCase, staff bool, who, by string, p *recovery.Proof, want error) {
	switch {
	case !c.status.Running():
		want = recovery.ErrClosed
	case c.waits():
		want = recovery.ErrApproved
	case staff && !c.staff && want == nil, !staff && c.staff:
		want = recovery.ErrRoute
	case want == nil:
		for _, a := range c.approvals {
			if a == who {
				want = recovery.ErrSamePerson
			}
		}
	}
	if !m.expect(t, want, by, recovery.KindApprove, &recovery.Approve{Case: c.terms.ID("test"), Proof: p}) {
		return
	}
	c.approvals = append(c.approvals, who)
	if !m.carried(c) {
		return
	}
	params := governance.DefaultParams()
	switch c.terms.Kind {
	case recovery.Death:
		c.status, m.dead = recovery.Finished, true
		if k := m.running(recovery.Keys); k != nil {
			k.status = recovery.Cancelled
		}
	case recovery.Life:
		c.status, m.dead, m.executor = recovery.Finished, false, ""
		if k := m.running(recovery.Executor); k != nil {
			k.status = recovery.Cancelled
		}
	case recovery.Keys:
		c.from = m.w.time + params.RecoveryDelay
	case recovery.Executor:
		c.from = m.w.time + params.ExecutorDelay
	}
	if c.waits() {
		c.status, c.until = recovery.Waiting, c.from+params.RecoveryPeriod
	}
}

// carried says whether enough approvals stand.
func (m *model) carried(c *modelCase) bool {
	n := 0
	for _, a := range c.approvals {
		if !c.staff || !m.suspended[a] {
			n++
		}
	}
	return n >= c.needed
}

func (m *model) cancel(t *rapid.T) {
	c := m.some(t)
	who := rapid.SampledFrom([]string{"alice", "friend", "third", "stranger"}).Draw(t, "who")
	if who == "alice" && m.dead || m.suspended[who] {
		t.Skip("cannot sign")
	}
	var want error
	switch {
	case !c.status.Running():
		want = recovery.ErrClosed
	case who == "alice", who == "third" && c.staff:
	default:
		want = recovery.ErrCancel
	}
	if m.expect(t, want, who, recovery.KindCancel, &recovery.Cancel{Case: c.terms.ID("test")}) {
		c.status = recovery.Cancelled
	}
}

func (m *model) finish(t *rapid.T) { m.done(t, m.some(t)) }

func (m *model) done(t *rapid.T, c *modelCase) {
	var want error
	switch {
	case !c.status.Running():
		want = recovery.ErrClosed
	case !c.waits(), !m.carried(c):
		want = recovery.ErrApprovals
	case m.w.time < c.from:
		want = recovery.ErrEarly
	}
	if !m.expect(t, want, "bob", recovery.KindFinish, &recovery.Finish{Case: c.terms.ID("test")}) {
		return
	}
	c.status = recovery.Finished
	if c.terms.Kind == recovery.Keys {
		m.key = c.key
	} else {
		m.executor = "lawyer"
	}
}

func (m *model) suspend(t *rapid.T) {
	who := rapid.SampledFrom(people).Draw(t, "who")
	on := m.suspended[who]
	m.w.must("hospital", identity.KindUpdate, &identity.Update{Account: account(who), Privileges: identity.PrivRead | identity.PrivReproof, Active: on})
	m.suspended[who] = !on
}

// through sees the last case that waits to its end.
func (m *model) through(t *rapid.T) {
	for _, c := range m.cases {
		if c.status == recovery.Waiting && c.from > m.w.time {
			m.pass(c.from - m.w.time)
			m.done(t, c)
			return
		}
	}
	t.Skip("nothing waits")
}

func (m *model) wait(t *rapid.T) {
	m.pass(rapid.SampledFrom([]uint64{1, hour, day, 3 * day, 14 * day}).Draw(t, "seconds"))
}

func (m *model) pass(seconds uint64) {
	m.w.block(seconds)
	for _, c := range m.cases {
		if c.status.Running() && m.w.time >= c.until {
			c.status = recovery.Lapsed
		}
	}
}

// check compares everything that can be asked with the model.
func (m *model) check(t *rapid.T) {
	alice := account("alice")
	for i, c := range m.cases {
		k, ok := recovery.Lookup(m.w.state, c.terms.ID("test"))
		if !ok || k.Status != c.status || len(k.Approvals) != len(c.approvals) {
			t.Fatalf("case %d: got %v with %d approvals, want %v with %d", i, k.Status, len(k.Approvals), c.status, len(c.approvals))
		}
	}
	if got, want := identity.Recovering(m.w.state, alice), m.running(recovery.Keys) != nil; got != want {
		t.Fatalf("got locked %v, want %v", got, want)
	}
	if got := identity.Deceased(m.w.state, alice); got != m.dead {
		t.Fatalf("got dead %v, want %v", got, m.dead)
	}
	if got, want := identity.ConditionOf(m.w.state, alice).Executor, m.executor; want == "" && !got.IsZero() || want != "" && got != account(want) {
		t.Fatalf("got executor %v, want %q", got, want)
	}
	if got := consent.IsProxy(m.w.state, alice, account("lawyer"), m.w.time); got != (m.executor != "") {
		t.Fatalf("the lawyer stands in: %v, want %v", got, m.executor != "")
	}
	p, _ := identity.Lookup(m.w.state, alice)
	if open := p.Keys.Open(); len(open) != 1 || open[0].Public.ID() != key(m.key).ID() {
		t.Fatalf("got %d keys, want the one named %s", len(open), m.key)
	}
}

// TestRecoveriesAgreeWithTheModel runs random lives of a patient's cases against the model.
func TestRecoveriesAgreeWithTheModel(t *testing.T) {
	kinds := map[recovery.Kind]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(t), key: "alice", opened: map[string][]uint64{}, suspended: map[string]bool{}}
		for i, kind := range rapid.SampledFrom([][]recovery.Kind{
			nil, {recovery.Keys}, {recovery.Death}, {recovery.Death, recovery.Life}, {recovery.Death, recovery.Executor},
		}).Draw(rt, "begins with") {
			m.play(rt, kind, people[i], people[i+1])
		}
		rt.Repeat(map[string]func(*rapid.T){
			"name": m.name, "request": m.request, "approve": m.approve, "approve more": m.approve, "carry": m.carry,
			"cancel": m.cancel, "finish": m.finish, "through": m.through, "suspend": m.suspend, "wait": m.wait,
			"": m.check,
		})
		for _, c := range m.cases {
			if c.status == recovery.Finished {
				kinds[c.terms.Kind]++
			}
		}
	})
	if testing.Short() {
		return
	}
	for k := recovery.Keys; k <= recovery.Executor; k++ {
		if kinds[k] == 0 {
			t.Errorf("the test saw no finished case about %v: it shows too little", k)
		}
	}
}
