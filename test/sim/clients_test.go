package sim

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Slots 0 to 31 may be read under every grant of a run, the others never.
const (
	grantMask   = uint64(1)<<32 - 1
	grantExcept = ^uint64(0) &^ (uint64(1)<<40 - 1) // 24 bits, none of them in the mask
	openSlot    = uint64(1) << 3
	closedSlot  = uint64(1) << 35
)

// The clients are the people: patients, practitioners, and the authors at each member. They
// live beside the members and never crash.
type clients struct {
	w        *world
	patients []string
	readers  []string
	steward  map[string]int // member at which a patient is enrolled
	pending  []string       // what has begun and not ended, for a liveness failure
	batches  map[tx.Hash]*batchInfo
	order    []*batchInfo // by time
	grants   []*grantInfo
	sessions []*session
	history  history
	ids      uint64
	takes    int
}

type grantInfo struct {
	patient, reader string
	id              consent.GrantID
	revoked         bool
}

func newClients(w *world) *clients {
	c := &clients{w: w, steward: map[string]int{}, batches: map[tx.Hash]*batchInfo{}}
	for i := range 2 {
		c.patients = append(c.patients, fmt.Sprintf("patient-%d", i))
		c.steward[c.patients[i]] = (i + int(w.Seed)) % w.Members
	}
	for i := range 3 {
		c.readers = append(c.readers, fmt.Sprintf("reader-%d", i))
	}
	return c
}

// homeOf is the member whose replica a person looks at.
func (c *clients) homeOf(name string) *node {
	if i, ok := c.steward[name]; ok {
		return c.w.nodes[c.honestFrom(i)]
	}
	var i int
	if _, err := fmt.Sscanf(name, "reader-%d", &i); err == nil {
		return c.w.nodes[c.honestFrom(i)]
	}
	if _, err := fmt.Sscanf(name, "member-%d", &i); err == nil {
		return c.w.nodes[c.honestFrom(i)]
	}
	return c.w.nodes[c.honestFrom(0)]
}

// honestFrom is the first member from i on whose own node can be trusted: a person whose own
// member lies to her sees what it likes.
func (c *clients) honestFrom(i int) int {
	for k := range c.w.nodes {
		if j := (i + k) % len(c.w.nodes); !c.w.nodes[j].byzantine() {
			return j
		}
	}
	return i
}

func (c *clients) anyPatient() string { return c.patients[c.w.rng.IntN(len(c.patients))] }
func (c *clients) anyReader() string  { return c.readers[c.w.rng.IntN(len(c.readers))] }

func (c *clients) anyPatientNotOf(i int) string {
	for _, p := range c.patients {
		if c.steward[p] != i {
			return p
		}
	}
	return c.patients[0]
}

// settled reports whether nothing is under way.
func (c *clients) settled() bool { return len(c.pending) == 0 }

func (c *clients) waiting() string {
	return fmt.Sprintf("%d operations have not ended: %s", len(c.pending), strings.Join(c.pending, ", "))
}

// begins notes an operation and returns what ends it.
func (c *clients) begins(what string) (ends func()) {
	c.ids++
	what = fmt.Sprintf("%s #%d", what, c.ids)
	c.pending = append(c.pending, what)
	c.w.log("begin %s", what)
	return func() {
		i := slices.Index(c.pending, what)
		c.pending = slices.Delete(c.pending, i, i+1)
		c.w.log("end %s", what)
	}
}

// every calls f now and then until it returns true.
func (c *clients) every(pause int64, f func() bool) {
	if !f() {
		c.w.at(pause, func() { c.every(pause, f) })
	}
}

// send brings a transaction to the chain and calls then with how it went, as soon as the
// person's own member has committed it; with nil when it can never be committed any more.
func (c *clients) send(name string, kind tx.Kind, msg tx.Message, then func(id tx.Hash, f *fact)) {
	home := c.homeOf(name)
	height := c.w.truth.tip
	raw, id := c.w.sign(name, kind, msg, height)
	if kind == consent.KindGrant || kind == consent.KindRevoke || kind == consent.KindChange {
		c.w.truth.signed[id] = true
	}
	next := int64(0)
	c.every(100, func() bool {
		if home.up {
			f := c.w.truth.txs[id]
			if f != nil && home.height() >= f.height {
				then(id, f)
				return true
			}
			if f == nil && home.height() > height+txLife {
				c.w.saw("transactions that expired")
				then(id, nil)
				return true
			}
		}
		if c.w.now >= next {
			next = c.w.now + 1500
			home.step(func() { home.pool.add(raw, true) })
			other := c.w.nodes[c.w.rng.IntN(len(c.w.nodes))]
			other.step(func() { other.pool.add(raw, true) })
		}
		return false
	})
}

// insist is send until it succeeds.
func (c *clients) insist(name string, kind tx.Kind, msg tx.Message, then func()) {
	c.send(name, kind, msg, func(_ tx.Hash, f *fact) {
		if f == nil {
			c.insist(name, kind, msg, then)
			return
		}
		if f.code != tx.CodeOK {
			c.w.fail("%s by %s was refused: %#04x", kind, name, f.code)
		}
		then()
	})
}

// begin enrols everybody.
func (c *clients) begin() {
	for i, r := range c.readers {
		by := memberName(i % c.w.Members)
		c.insist(by, identity.KindRegister, &identity.Register{
			Account: accountOf(r), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{c.w.public(r)}, Privileges: identity.PrivRead,
		}, c.begins("register "+r))
	}
	for _, p := range c.patients {
		by := memberName(c.steward[p])
		c.insist(by, identity.KindEnrol, &identity.Enrol{Patient: accountOf(p), Keys: []tx.PublicKey{c.w.public(p)}}, c.begins("enrol "+p))
	}
	keys := c.begins("custody keys")
	c.every(500, func() bool {
		if c.custodyKeys(c.w.nodes[c.honestFrom(0)]) == nil {
			return false
		}
		keys()
		return true
	})
}

// act lets everybody do things over the next so many milliseconds.
func (c *clients) act(span int64) {
	// Something to read and somebody who may, before chance has its way.
	c.w.at(1, func() { c.write(c.patients[0]) })
	c.w.at(2, func() { c.write(c.patients[1]) })
	c.w.at(3, func() { c.give(c.patients[0], c.readers[0], 0) })
	c.w.at(4, func() { c.give(c.patients[0], c.readers[len(c.readers)-1], 1) })
	for range c.w.Ops {
		c.w.at(c.w.between(10, span), c.something)
	}
}

// something is one thing that somebody does.
func (c *clients) something() {
	p, r := c.anyPatient(), c.anyReader()
	if len(c.grants) > 0 && c.w.chance(0.6) { // somebody who may, or might lately
		g := c.grants[c.w.rng.IntN(len(c.grants))]
		p, r = g.patient, g.reader
	}
	switch k := c.w.rng.IntN(100); {
	case k < 18:
		c.write(p)
	case k < 32:
		if last := len(c.readers) - 1; r == c.readers[last] && c.w.chance(0.8) {
			r = c.readers[c.w.rng.IntN(last)] // the last reader mostly has limited grants alone
		}
		c.give(p, r, 0)
	case k < 40:
		c.give(p, c.readers[len(c.readers)-1], 1+uint16(c.w.rng.IntN(2)))
	case k < 52:
		c.take(p)
	case k < 78:
		c.read(p, r)
	case k < 90:
		c.readAgain()
	case k < 93:
		c.shut()
	default:
		c.steal()
	}
}

// grantTo is a grant of the only kind there is: every record in an open slot.
func (c *clients) grantTo(reader string, uses uint16) consent.Grant {
	if bits.OnesCount64(grantMask) != consent.MaskBits || bits.OnesCount64(grantExcept) != consent.ExceptBits {
		c.w.fail("the masks of the simulation are not ones a wallet makes")
	}
	c.ids++
	d := digestOf(fmt.Sprintf("grant/%d/%d", c.w.Seed, c.ids))
	return consent.Grant{
		ID: consent.GrantID(d[:16]), Version: 1, Grantee: consent.Grantee{Kind: consent.OnePractitioner, Account: accountOf(reader)},
		Mask: grantMask, Except: grantExcept, Purposes: consent.PurposesOf(consent.TREAT), Uses: uses,
	}
}

// give grants.
func (c *clients) give(patient, reader string, uses uint16) {
	g := c.grantTo(reader, uses)
	ends := c.begins(fmt.Sprintf("grant %s to %s, uses %d", patient, reader, uses))
	op := c.history.call(patient, action{kind: "grant", id: g.ID.String(), who: reader, uses: int(uses)})
	c.send(patient, consent.KindGrant, &consent.Give{Patient: accountOf(patient), Grant: g}, func(_ tx.Hash, f *fact) {
		if f != nil && f.code == tx.CodeOK {
			c.grants = append(c.grants, &grantInfo{patient: patient, reader: reader, id: g.ID})
			c.history.answer(op, f.stamp, yes)
			for range uses { // a limited one is used up, and tried once more
				c.w.at(c.w.between(100, 3000), func() { c.read(patient, reader) })
			}
			if uses > 0 && !c.w.calmed {
				c.w.at(c.w.between(4000, 9000), func() { c.read(patient, reader) })
			}
		} else if f != nil {
			c.w.fail("a grant was refused: %#04x", f.code)
		} else {
			c.history.drop(op)
		}
		ends()
	})
}

// take revokes one grant, every third time in one transaction with a new one to another reader. It is done when
// its certificate is complete: 2f+1 members have executed it.
func (c *clients) take(patient string) {
	i := slices.IndexFunc(c.grants, func(g *grantInfo) bool { return g.patient == patient && !g.revoked })
	if i < 0 {
		return
	}
	g := c.grants[i]
	g.revoked = true
	ends := c.begins("revoke " + patient)
	op := c.history.call(patient, action{kind: "revoke", id: g.id.String(), who: g.reader})
	kind, msg, given := consent.KindRevoke, tx.Message(&consent.Revoke{Patient: accountOf(patient), ID: g.id}), func(*fact) {}
	if c.takes++; c.takes%3 == 0 {
		reader := c.readers[c.takes%len(c.readers)]
		next := c.grantTo(reader, 0)
		kind, msg = consent.KindChange, &consent.Change{Patient: accountOf(patient), Revoke: []consent.GrantID{g.id}, Give: []consent.Grant{next}}
		op := c.history.call(patient, action{kind: "grant", id: next.ID.String(), who: reader})
		given = func(f *fact) {
			if f == nil {
				c.history.drop(op)
				return
			}
			c.grants = append(c.grants, &grantInfo{patient: patient, reader: reader, id: next.ID})
			c.history.answer(op, f.stamp, yes)
		}
	}
	c.send(patient, kind, msg, func(_ tx.Hash, f *fact) {
		if given(f); f == nil {
			g.revoked = false
			c.history.drop(op)
			ends()
			return
		}
		if f.code != tx.CodeOK {
			c.w.fail("a %s was refused: %#04x", kind, f.code)
		}
		c.every(50, func() bool {
			if !c.w.truth.certified(f.height) {
				return false
			}
			c.w.saw("revocations certified")
			c.history.answer(op, f.stamp, yes)
			ends()
			// Whoever still has a session tries again now.
			for _, s := range c.sessions {
				if s.patient == patient && s.granted {
					c.again(s)
				}
			}
			return true
		})
	})
}

// shut ends a session.
func (c *clients) shut() {
	if len(c.sessions) == 0 {
		return
	}
	s := c.sessions[c.w.rng.IntN(len(c.sessions))]
	if s.shut {
		return
	}
	s.shut = true
	ends := c.begins("close a session of " + s.reader)
	op := c.history.call(s.patient, action{kind: "close", id: s.id.String(), who: s.reader})
	c.send(s.reader, access.KindClose, &access.Close{Session: s.id}, func(_ tx.Hash, f *fact) {
		if f == nil || f.code != tx.CodeOK { // it may have expired
			c.history.drop(op)
			ends()
			return
		}
		c.every(50, func() bool {
			if !c.w.truth.certified(f.height) {
				return false
			}
			c.history.answer(op, f.stamp, yes)
			ends()
			return true
		})
	})
}
