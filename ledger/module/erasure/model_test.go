package erasure_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// A model is the rules of erasure in plain terms: whose each batch is, what was
// asked, held and erased. Its custodians are honest but for one, f of four.
type model struct {
	w       *world
	batches []*modelBatch
	cases   []*modelCase
	held    map[string]map[string]bool // target, matter
	erased  map[string]bool            // targets, for ever
}

type modelBatch struct {
	name, owner string
	hash        tx.Hash
	at          uint64
}

type modelCase struct {
	id       tx.Hash
	patient  string // "" for an order against a batch
	scope    erasure.Scope
	batch    *modelBatch
	leaf     string
	ordered  bool
	open     bool // received
	stands   bool
	said     map[string]bool
	keys     map[string]bool
	packs    map[string]bool
	findings map[erasure.Finding]int
}

func (c *modelCase) target() string {
	switch c.scope {
	case erasure.Record:
		return c.batch.name + "/" + c.leaf
	case erasure.Batch:
		return c.batch.name
	default:
		return c.patient
	}
}

// gone says whether something of that name is erased: by itself, with its batch,
// or, to those that know whose it is, with its patient.
func (m *model) gone(b *modelBatch, leaf string) bool {
	return m.erased[b.name] || leaf != "" && m.erased[b.name+"/"+leaf]
}

// against is what the ledger knows against a case.
func (m *model) against(c *modelCase) error {
	switch {
	case c.scope != erasure.Patient && m.gone(c.batch, c.leaf), c.patient != "" && m.erased[c.patient]:
		return erasure.ErrErased
	case c.batch != nil && len(m.held[c.batch.name]) > 0, c.patient != "" && len(m.held[c.patient]) > 0:
		return erasure.ErrHeld
	case c.batch != nil && !c.ordered && m.w.time < c.batch.at+retention:
		return erasure.ErrRetained
	}
	return nil
}

// finding is what an honest custodian finds: it knows whose each batch is.
func (m *model) finding(c *modelCase) erasure.Finding {
	f := erasure.Clear
	for _, b := range m.batches {
		switch {
		case c.scope == erasure.Patient && b.owner != c.patient, c.scope != erasure.Patient && b != c.batch:
			continue
		case c.scope != erasure.Patient && c.patient != "" && b.owner != c.patient:
			return erasure.NotHers
		case len(m.held[b.name]) > 0, len(m.held[b.owner]) > 0:
			return erasure.Held
		case !c.ordered && m.w.time < b.at+retention:
			f = erasure.Retained
		}
	}
	return f
}

func (m *model) anchor(t *rapid.T) {
	if len(m.batches) >= 6 {
		t.Skip("enough")
	}
	name := fmt.Sprint("batch ", len(m.batches))
	m.batches = append(m.batches, &modelBatch{name: name, owner: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "owner"), hash: m.w.anchored(name), at: m.w.time})
}

func (m *model) some(t *rapid.T) *modelBatch {
	if len(m.batches) == 0 {
		t.Skip("no batch")
	}
	return rapid.SampledFrom(m.batches).Draw(t, "batch")
}

// draw makes a case that somebody may want.
func (m *model) draw(t *rapid.T, c *modelCase) {
	c.scope = erasure.Scope(rapid.IntRange(1, 3).Draw(t, "scope"))
	if c.scope == erasure.Patient {
		return
	}
	c.batch = m.some(t)
	if c.scope == erasure.Record {
		c.leaf = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "leaf")
	}
}

func (m *model) doubled(c *modelCase) bool {
	for _, o := range m.cases {
		if o.open && o.patient == c.patient && o.target() == c.target() {
			return true
		}
	}
	return false
}

func (m *model) begin(c *modelCase) {
	c.open, c.said, c.keys, c.packs, c.findings = true, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[erasure.Finding]int{}
	m.cases = append(m.cases, c)
}

func (m *model) request(t *rapid.T) {
	c := &modelCase{patient: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "patient")}
	m.draw(t, c)
	msg := &erasure.Request{Patient: account(c.patient), Scope: c.scope}
	if c.batch != nil {
		msg.Batch = c.batch.hash
	}
	if c.leaf != "" {
		msg.Leaf = digest(c.batch.name + "/" + c.leaf)
	}
	want := m.against(c)
	if want == nil && m.doubled(c) {
		want = erasure.ErrDoubled
	}
	id, err := m.w.do(c.patient, erasure.KindRequest, msg)
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("request: got %v, want %v", err, want)
	}
	if err == nil {
		c.id = id
		m.begin(c)
	}
}

func (m *model) order(t *rapid.T) {
	c := &modelCase{ordered: true}
	m.draw(t, c)
	e := &governance.Erase{Ground: digest("order")}
	if c.scope == erasure.Patient {
		c.patient = rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "patient")
		e.Patient = account(c.patient)
	} else {
		e.Batch = c.batch.hash
	}
	if c.leaf != "" {
		e.Leaf = digest(c.batch.name + "/" + c.leaf)
	}
	c.id = m.w.vote(governance.Action{Erase: e})
	want := m.against(c)
	if want == nil && m.doubled(c) {
		want = erasure.ErrDoubled
	}
	if want == nil {
		m.begin(c)
		return
	}
	code, _ := tx.CodeOf(want)
	if got := m.w.at(c.id); got.Status != erasure.Refused || got.Code != code {
		t.Fatalf("order: got %s with %#x, want refused with %v", got.Status, got.Code, want)
	}
}

func (m *model) hold(t *rapid.T) {
	h := governance.Hold{Matter: digest(rapid.SampledFrom([]string{"m", "n"}).Draw(t, "matter")), Lift: rapid.Bool().Draw(t, "lift")}
	name := rapid.SampledFrom([]string{"alice", "bob", ""}).Draw(t, "patient")
	if name == "" {
		b := m.some(t)
		name, h.Batch = b.name, b.hash
	} else {
		h.Patient = account(name)
	}
	m.w.hold(h)
	matters := m.held[name]
	if matters == nil {
		matters = map[string]bool{}
		m.held[name] = matters
	}
	switch key := h.Matter.String(); {
	case h.Lift:
		delete(matters, key)
	case !m.erased[name]:
		matters[key] = true
	}
}

func (m *model) pick(t *rapid.T, want func(*modelCase) bool) *modelCase {
	var some []*modelCase
	for _, c := range m.cases {
		if want(c) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		t.Skip("no such case")
	}
	return rapid.SampledFrom(some).Draw(t, "case")
}

// confirm lets a custodian say what it finds. The regulator's lies.
func (m *model) confirm(t *rapid.T) {
	c := m.pick(t, func(c *modelCase) bool { return c.open })
	by := rapid.SampledFrom(members).Draw(t, "by")
	f := m.finding(c)
	if by == "regulator" {
		f = erasure.Finding(rapid.IntRange(0, 3).Draw(t, "lie"))
	}
	_, err := m.w.do(by, erasure.KindConfirm, &erasure.Confirm{Case: c.id, Finding: f})
	if c.said[by] {
		if !errors.Is(err, erasure.ErrNoNews) {
			t.Fatalf("got %v, want %v", err, erasure.ErrNoNews)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	c.said[by] = true
	c.findings[f]++
	if c.findings[f] < 2 {
		return
	}
	c.open = false
	if f == erasure.Clear && m.against(c) == nil {
		c.stands = true
		m.erased[c.target()] = true
	}
}

func (m *model) receive(t *rapid.T) {
	c := m.pick(t, func(c *modelCase) bool { return c.stands })
	by := rapid.SampledFrom(members).Draw(t, "by")
	msg := &erasure.Receipt{Case: c.id, Keys: rapid.Bool().Draw(t, "keys"), Ciphertext: rapid.Bool().Draw(t, "ciphertext")}
	news := msg.Keys && !c.keys[by] || msg.Ciphertext && !c.packs[by]
	if _, err := m.w.do(by, erasure.KindReceipt, msg); (err == nil) != news {
		t.Fatalf("got %v, want news %v", err, news)
	}
	c.keys[by], c.packs[by] = c.keys[by] || msg.Keys, c.packs[by] || msg.Ciphertext
}

// end lets three or all custodians sign for all of a case: by single receipts few cases come to their end.
func (m *model) end(t *rapid.T) {
	c := m.pick(t, func(c *modelCase) bool { return c.stands })
	for _, by := range members[:rapid.IntRange(3, len(members)).Draw(t, "how many")] {
		msg := &erasure.Receipt{Case: c.id, Keys: true, Ciphertext: true}
		news := !c.keys[by] || !c.packs[by]
		if _, err := m.w.do(by, erasure.KindReceipt, msg); (err == nil) != news {
			t.Fatalf("got %v, want news %v", err, news)
		}
		c.keys[by], c.packs[by] = true, true
	}
}

func (m *model) wait(t *rapid.T) {
	m.w.block(rapid.SampledFrom([]uint64{1, retention / 2, retention}).Draw(t, "seconds"))
}

// status is where a case stands by counting.
func (c *modelCase) status() erasure.Status {
	count := func(of map[string]bool) (n int) {
		for _, yes := range of {
			if yes {
				n++
			}
		}
		return n
	}
	due := count(c.packs) == 4 || c.scope != erasure.Patient && c.packs["hospital"] && c.packs["clinic"]
	switch {
	case c.open:
		return erasure.Received
	case !c.stands:
		return erasure.Refused
	case count(c.keys) < 3:
		return erasure.Executing
	case count(c.keys) < 4 || !due:
		return erasure.Certified
	}
	return erasure.Done
}

// check compares everything: what was ever erased is erased, whatever came after.
func (m *model) check(t *rapid.T) {
	for _, p := range []string{"alice", "bob"} {
		if got := erasure.PatientErased(m.w.state, account(p)); got != m.erased[p] {
			t.Fatalf("%s: got erased %v", p, got)
		}
		if got := erasure.HeldPatient(m.w.state, account(p)); got != (len(m.held[p]) > 0) {
			t.Fatalf("%s: got held %v", p, got)
		}
	}
	for _, b := range m.batches {
		for _, leaf := range []string{"", "x", "y"} {
			var h tx.Hash
			if leaf != "" {
				h = digest(b.name + "/" + leaf)
			}
			if got := erasure.Erased(m.w.state, b.hash, h); got != m.gone(b, leaf) {
				t.Fatalf("%s %s: got erased %v", b.name, leaf, got)
			}
		}
	}
	open := 0
	for i, c := range m.cases {
		got, want := m.w.at(c.id).Status, c.status()
		if got != want {
			t.Fatalf("case %d: got %s, want %s", i, got, want)
		}
		if want != erasure.Done && want != erasure.Refused {
			open++
		}
	}
	if got := len(erasure.OpenCases(m.w.state)); got != open {
		t.Fatalf("got %d open cases, want %d", got, open)
	}
}

// TestErasureDominates runs random requests, orders, holds, findings and receipts
// against the model (S7): a tombstone never goes away, never comes without f+1
// custodians, and never against a hold.
func TestErasureDominates(t *testing.T) {
	seen := map[erasure.Status]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(t), held: map[string]map[string]bool{}, erased: map[string]bool{}}
		m.anchor(rt)
		m.w.block(retention)
		rt.Repeat(map[string]func(*rapid.T){
			"anchor": m.anchor, "request": m.request, "order": m.order, "hold": m.hold, "confirm": m.confirm, "agree": m.confirm, "confirm again": m.confirm,
			"receive": m.receive, "receive more": m.receive, "end": m.end, "wait": m.wait, "": m.check,
		})
		for _, c := range m.cases {
			seen[c.status()]++
		}
	})
	for s := erasure.Received; s <= erasure.Refused; s++ {
		if seen[s] == 0 && !testing.Short() {
			t.Error("the test saw no case", s, ": it shows too little")
		}
	}
}
