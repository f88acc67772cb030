package lookup_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/governance"
	"salus/ledger/module/lookup"
	"salus/ledger/tx"
)

// A model is the rules of entries in plain terms: lists of all that happened, looked
// through at every step, where the ledger keeps hours and counters.
type model struct {
	w       *world
	k       lookup.Key
	entries []*modelEntry
	chains  map[string]uint64
}

type modelEntry struct {
	id       tx.Hash
	actor    string
	at       uint64
	enrolled string // the patient of an enrolment
	gone     bool
	standing lookup.Standing
	leads    []*modelEntry // what the pointers lead to
	pointers []lookup.Pointer
	opened   map[int]bool
}

// quota of a practitioner and of a member in the model's network.
const few, all = 4, 9

func (m *model) recent(of func(*modelEntry) bool) (n int) {
	for _, e := range m.entries {
		if e.at/3600+24 > m.w.time/3600 && of(e) {
			n++
		}
	}
	return n
}

func memberOf(actor string) string {
	if actor == "doctor" || actor == "clerk" {
		return "clinic"
	}
	return actor
}

func (m *model) expect(t *rapid.T, want error, by string, kind tx.Kind, msg tx.Message) (tx.Hash, bool) {
	id, err := m.w.do(by, kind, msg)
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("%s by %s: got %v, want %v", kind, by, err, want)
	}
	return id, err == nil
}

func (m *model) ask(t *rapid.T) {
	who := rapid.SampledFrom([]string{"doctor", "clerk", "clinic", "hospital"}).Draw(t, "who")
	patient, msg := "", find("x")
	if who == "hospital" {
		patient = rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "patient")
		msg = enrol("x", patient)
	}
	var want error
	if memberOf(who) != who && m.recent(func(e *modelEntry) bool { return e.actor == who }) >= few ||
		m.recent(func(e *modelEntry) bool { return memberOf(e.actor) == memberOf(who) }) >= all {
		want = lookup.ErrQuota
	}
	id, ok := m.expect(t, want, who, lookup.KindAsk, msg)
	if !ok {
		return
	}
	e := &modelEntry{id: id, actor: who, at: m.w.time, enrolled: patient, standing: lookup.Asked, opened: map[int]bool{}}
	if patient != "" {
		e.standing = lookup.Enrolled
		m.chains[patient]++
	}
	m.entries = append(m.entries, e)
}

func (m *model) some(t *rapid.T) *modelEntry {
	if len(m.entries) == 0 {
		t.Skip("no entry")
	}
	return rapid.SampledFrom(m.entries).Draw(t, "entry")
}

func (m *model) resolve(t *rapid.T) {
	e := m.some(t)
	msg := &lookup.Resolve{Entry: e.id}
	var leads []*modelEntry
	for range rapid.IntRange(1, 2).Draw(t, "pointers") {
		to := m.some(t)
		leads, msg.Pointers = append(leads, to), append(msg.Pointers, m.w.pointer(m.k, to.id))
	}
	var want error
	if e.standing != lookup.Asked || m.w.time >= e.at+lookup.Valid {
		want = lookup.ErrExpired
	}
	if _, ok := m.expect(t, want, e.actor, lookup.KindResolve, msg); ok {
		e.standing, e.leads, e.pointers = lookup.Opening, leads, msg.Pointers
	}
}

func (m *model) open(t *rapid.T) {
	e, i := m.some(t), rapid.IntRange(1, 4).Draw(t, "custodian")
	var want error
	switch {
	case e.standing != lookup.Opening:
		want = lookup.ErrUnknown
	case e.opened[i]:
		want = lookup.ErrAgain
	}
	pointers := e.pointers
	if len(pointers) == 0 {
		pointers = []lookup.Pointer{m.w.pointer(m.k, e.id)}
	}
	if _, ok := m.expect(t, want, m.w.members()[i-1], lookup.KindOpen, m.w.part(m.k, i, e.id, pointers...)); !ok {
		return
	}
	e.opened[i] = true
	if len(e.opened) < 3 {
		return
	}
	e.standing = lookup.Resolved
	found := map[string]bool{}
	for _, to := range e.leads {
		if to.enrolled != "" && !to.gone {
			found[to.enrolled] = true
		}
	}
	for p := range found {
		m.chains[p]++
	}
	if got, _ := lookup.Lookup(m.w.state, e.id); len(got.Found) != len(found) {
		t.Fatalf("got %d found, want %d", len(got.Found), len(found))
	}
}

func (m *model) forget(t *rapid.T) {
	e := m.some(t)
	by := rapid.SampledFrom([]string{"alice", "bob", "hospital", "clinic"}).Draw(t, "by")
	var want error
	switch {
	case e.enrolled == "":
		want = lookup.ErrUnknown
	case by != e.enrolled && by != "hospital":
		want = lookup.ErrNotYours
	case e.gone:
		want = lookup.ErrAgain
	}
	if _, ok := m.expect(t, want, by, lookup.KindForget, &lookup.Forget{Entry: e.id}); ok {
		e.gone = true
		m.chains[e.enrolled]++
	}
}

func TestEntriesFollowTheModel(t *testing.T) {
	base := newWorld(t)
	p := governance.ParamsOf(base.state)
	p.LookupQuota, p.LookupMemberQuota = few, all
	setParams(base, p)
	k := base.makeKey()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{w: base.fork(), k: k, chains: map[string]uint64{"alice": 1, "bob": 1}}
		t.Repeat(map[string]func(*rapid.T){
			"ask": m.ask, "resolve": m.resolve, "open": m.open, "forget": m.forget,
			"block": func(t *rapid.T) {
				m.w.block(rapid.SampledFrom([]uint64{1, 5, lookup.Valid - 1, 3600, 20 * 3600}).Draw(t, "seconds"))
			},
			"": func(t *rapid.T) {
				for name, want := range m.chains {
					if got := m.w.chain(name); got != want {
						t.Fatalf("chain of %s: got %d entries, want %d", name, got, want)
					}
				}
			},
		})
	})
}
