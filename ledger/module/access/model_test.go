package access_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// A model is what the ledger should do, in plain terms: a list of grants, who is
// suspended, and the sessions with what they took.
type model struct {
	w         *world
	grants    []*modelGrant
	suspended map[string]bool
	sessions  []*modelSession
	next      int
}

type modelGrant struct {
	name         string
	version      uint64
	to           string // a practitioner, or "" for any clinical
	mask, except uint64
	purpose      consent.Purpose
	until        uint64
	limited      bool
	left         int
}

type modelSession struct {
	id      tx.Hash
	actor   string
	purpose consent.Purpose
	mask    uint64
	expires uint64
	closed  bool
	took    map[string]uint64 // grant name to version
}

var readers = []string{"doctor", "emergency doctor", "nurse"}

func (g *modelGrant) matches(actor string, p consent.Purpose, now uint64) bool {
	// Under TREAT lies COC, and of these purposes nothing else lies under another.
	covered := g.purpose == p || g.purpose == consent.TREAT && p == consent.COC
	return covered && now < g.until && (g.to == "" || g.to == actor)
}

// slots is what the grants that count give an actor now.
func (m *model) slots(actor string, p consent.Purpose, counts func(*modelGrant) bool) uint64 {
	var permit, deny uint64
	for _, g := range m.grants {
		if g.matches(actor, p, m.w.time) {
			deny |= g.except
			if counts(g) {
				permit |= g.mask
			}
		}
	}
	if m.suspended[actor] {
		return 0
	}
	return permit &^ deny
}

// TestSessionsAgreeWithTheModel runs random lives of one patient's consents and
// everybody's sessions against the model: S3, S4 and S7, and that of a grant's uses
// no more are ever taken than there are.
func TestSessionsAgreeWithTheModel(t *testing.T) {
	granted, narrowed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(t), suspended: map[string]bool{}}
		rt.Repeat(map[string]func(*rapid.T){
			"grant":   m.grant,
			"revoke":  m.revoke,
			"suspend": m.suspend,
			"request": m.request,
			"again":   m.request,
			"close":   m.close,
			"wait":    func(t *rapid.T) { m.w.block(rapid.Uint64Range(1, 60).Draw(t, "seconds")) },
			"": func(t *rapid.T) {
				g, n := m.check(t)
				granted, narrowed = granted+g, narrowed+n
			},
		})
	})
	if (granted == 0 || narrowed == 0) && !testing.Short() { // a short run may miss one
		t.Errorf("%d sessions were granted something, %d narrowed later: the test shows too little", granted, narrowed)
	}
}

// bitsOf draws a mask with exactly n bits.
func bitsOf(t *rapid.T, n int, label string) uint64 {
	perm := rapid.Permutation(slotNumbers()).Draw(t, label)
	var v uint64
	for _, s := range perm[:n] {
		v |= 1 << s
	}
	return v
}

func slotNumbers() []int {
	s := make([]int, 64)
	for i := range s {
		s[i] = i
	}
	return s
}

func (m *model) grant(t *rapid.T) {
	g := &modelGrant{
		version: 1,
		to:      rapid.SampledFrom(append([]string{""}, readers...)).Draw(t, "to"),
		mask:    bitsOf(t, consent.MaskBits, "mask"), except: bitsOf(t, consent.ExceptBits, "except"),
		purpose: rapid.SampledFrom([]consent.Purpose{consent.TREAT, consent.TREAT, consent.COC, consent.ETREAT}).Draw(t, "purpose"),
		until:   m.w.time + rapid.Uint64Range(1, 200).Draw(t, "period"),
		left:    rapid.IntRange(0, 2).Draw(t, "uses"),
	}
	g.limited = g.left > 0
	if len(m.grants) > 0 && rapid.Bool().Draw(t, "replace") {
		old := rapid.SampledFrom(m.grants).Draw(t, "old")
		g.name, g.version = old.name, old.version+1
		*old = *g
		g = old
	} else {
		m.next++
		g.name = fmt.Sprint("grant ", m.next)
		m.grants = append(m.grants, g)
	}
	m.w.must("alice", consent.KindGrant, grant(g.name, func(x *consent.Grant) {
		x.Version, x.Mask, x.Except, x.Purposes, x.NotAfter, x.Uses = g.version, g.mask, g.except, consent.PurposesOf(g.purpose), g.until, uint16(g.left)
		x.Grantee = consent.Grantee{Kind: consent.AnyClinical}
		if g.to != "" {
			x.Grantee = consent.Grantee{Kind: consent.OnePractitioner, Account: account(g.to)}
		}
	}))
}

func (m *model) revoke(t *rapid.T) {
	if len(m.grants) == 0 {
		t.Skip("nothing to revoke")
	}
	i := rapid.IntRange(-1, len(m.grants)-1).Draw(t, "which")
	r := &consent.Revoke{Patient: account("alice")}
	if i < 0 {
		m.grants = nil
	} else {
		r.ID = gid(m.grants[i].name)
		m.grants = append(m.grants[:i:i], m.grants[i+1:]...)
	}
	m.w.must("alice", consent.KindRevoke, r)
}

func (m *model) suspend(t *rapid.T) {
	who := rapid.SampledFrom(readers).Draw(t, "who")
	p, _ := identity.Lookup(m.w.state, account(who))
	m.suspended[who] = !m.suspended[who]
	member := "clinic"
	if who == "nurse" {
		member = "hospital"
	}
	m.w.must(member, identity.KindUpdate, &identity.Update{
		Account: account(who), Roles: p.Roles, Privileges: p.Privileges, Active: !m.suspended[who],
	})
}

func (m *model) request(t *rapid.T) {
	who := rapid.SampledFrom(readers).Draw(t, "who")
	s := &modelSession{
		actor: who, purpose: rapid.SampledFrom([]consent.Purpose{consent.TREAT, consent.COC, consent.ETREAT}).Draw(t, "purpose"),
		expires: m.w.time + rapid.Uint64Range(1, 300).Draw(t, "ttl"), took: map[string]uint64{},
	}
	id, err := m.w.do(who, access.KindRequest, request(purpose(s.purpose), func(r *access.Request) { r.TTL = s.expires - m.w.time }))
	switch {
	case m.suspended[who]:
		if err == nil {
			t.Fatal("a suspended practitioner opened a session")
		}
		return
	case s.purpose == consent.ETREAT && who != "emergency doctor":
		if !errors.Is(err, access.ErrEmergency) {
			t.Fatalf("got %v, want %v", err, access.ErrEmergency)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	got, _ := access.Lookup(m.w.state, id)
	s.id, s.mask = id, m.slots(who, s.purpose, func(g *modelGrant) bool { return !g.limited || g.left > 0 })
	if got.Mask != s.mask {
		t.Fatalf("%s for %s: got mask %#x, want %#x", who, s.purpose, got.Mask, s.mask)
	}
	// Which uses are taken when several grants would do is the ledger's to choose,
	// but they must be there, and without them the mask would be smaller.
	for _, u := range got.Taken {
		for _, g := range m.grants {
			if gid(g.name) == u.Grant {
				if !g.limited || g.left == 0 || g.version != u.Version {
					t.Fatalf("%s: a use was taken that is not there", g.name)
				}
				g.left--
				s.took[g.name] = g.version
			}
		}
	}
	if len(s.took) != len(got.Taken) {
		t.Fatalf("took %v, the model knows %v", got.Taken, s.took)
	}
	if with := m.slots(who, s.purpose, m.counts(s)); with != s.mask {
		t.Fatalf("the uses taken give %#x, want %#x", with, s.mask)
	}
	m.sessions = append(m.sessions, s)
}

// counts says which grants a session that is open may read by.
func (m *model) counts(s *modelSession) func(*modelGrant) bool {
	return func(g *modelGrant) bool { return !g.limited || s.took[g.name] == g.version }
}

func (m *model) close(t *rapid.T) {
	if len(m.sessions) == 0 {
		t.Skip("no session")
	}
	s := rapid.SampledFrom(m.sessions).Draw(t, "session")
	_, err := m.w.do("alice", access.KindClose, &access.Close{Session: s.id})
	switch {
	case s.closed:
		if !errors.Is(err, access.ErrClosed) {
			t.Fatalf("got %v, want %v", err, access.ErrClosed)
		}
	case m.w.time >= s.expires:
		if !errors.Is(err, access.ErrExpired) {
			t.Fatalf("got %v, want %v", err, access.ErrExpired)
		}
	case err != nil:
		t.Fatal(err)
	default:
		s.closed = true
	}
}

// check asks about every session what a custodian would ask now.
func (m *model) check(t *rapid.T) (granted, narrowed int) {
	for _, s := range m.sessions {
		got, allowed, err := access.Open(m.w.state, s.id, m.w.time)
		switch {
		case s.closed:
			if !errors.Is(err, access.ErrClosed) || allowed != 0 {
				t.Fatalf("closed: got %#x, %v", allowed, err)
			}
			continue
		case m.w.time >= s.expires:
			if !errors.Is(err, access.ErrExpired) || allowed != 0 {
				t.Fatalf("expired: got %#x, %v", allowed, err)
			}
			continue
		case err != nil:
			t.Fatal(err)
		}
		want := s.mask & m.slots(s.actor, s.purpose, m.counts(s))
		if allowed != want || allowed&^got.Mask != 0 {
			t.Fatalf("%s for %s: may read %#x, want %#x of %#x", s.actor, s.purpose, allowed, want, s.mask)
		}
		if s.mask != 0 {
			granted++
			if allowed != s.mask {
				narrowed++
			}
		}
	}
	return granted, narrowed
}
