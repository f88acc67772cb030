package erasure_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/seal"
)

var (
	members = []string{"hospital", "clinic", "insurer", "regulator"}
	zero    tx.Hash
)

// anchored puts a batch of the hospital on the ledger, whose ciphertext the first
// two members hold, and returns its header's hash.
func (w *world) anchored(name string) tx.Hash {
	w.Helper()
	m := &anchor.Put{Envelopes: digest("envelopes"), Pack: digest("pack/" + name), Header: seal.Header{
		Version: seal.Version, Suite: seal.Suite, Chain: "test", Author: account("hospital"),
		PatientCommit: digest("patient/" + name), BatchNonce: digest("nonce/" + name), Epoch: 1, N: 4, T: 3, Count: 10,
		ManifestRoot: digest("manifest"), ShareRoots: digest("shares"), VSSRoot: digest("vss"),
	}}
	w.must("hospital", anchor.KindPut, m)
	h := tx.Hash(m.Header.Hash())
	for i, by := range members[:3] {
		w.must(by, anchor.KindReceipts, &anchor.Receipts{List: []anchor.Receipt{{Header: h, Holds: i < 2}}})
	}
	return h
}

func all(patient string) *erasure.Request {
	return &erasure.Request{Patient: account(patient), Scope: erasure.Patient}
}

func batch(patient string, h tx.Hash) *erasure.Request {
	return &erasure.Request{Patient: account(patient), Scope: erasure.Batch, Batch: h}
}

func record(patient string, h tx.Hash, leaf string) *erasure.Request {
	return &erasure.Request{Patient: account(patient), Scope: erasure.Record, Batch: h, Leaf: digest(leaf)}
}

func (w *world) at(id tx.Hash) erasure.Case {
	w.Helper()
	c, ok := erasure.Lookup(w.state, id)
	if !ok {
		w.Fatal("no such case")
	}
	return c
}

// find lets members find something about a case.
func (w *world) find(id tx.Hash, f erasure.Finding, by ...string) {
	w.Helper()
	for _, m := range by {
		w.must(m, erasure.KindConfirm, &erasure.Confirm{Case: id, Finding: f})
	}
}

// vote passes an action at the end of the block, and returns its proposal.
func (w *world) vote(a governance.Action) tx.Hash {
	w.Helper()
	id := w.must("hospital", governance.KindPropose, &governance.Propose{Action: a})
	for _, m := range members[1:3] {
		w.must(m, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
	w.block(5)
	return id
}

func (w *world) hold(h governance.Hold) { w.Helper(); w.vote(governance.Action{Hold: &h}) }

// refused expects a case that closed with that refusal.
func (w *world) refused(id tx.Hash, want *tx.Refusal) {
	w.Helper()
	if c := w.at(id); c.Status != erasure.Refused || c.Code != want.Code || c.Stands() || c.Closed == 0 {
		w.Errorf("got %s, code %#04x, want refused with %#04x", c.Status, c.Code, want.Code)
	}
}

func TestAPatientHasARecordErased(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	id := w.must("alice", erasure.KindRequest, record("alice", h, "leaf"))
	if c := w.at(id); c.Status != erasure.Received || erasure.Erased(w.state, h, digest("leaf")) {
		t.Errorf("got %s before any custodian looked", c.Status)
	}
	w.find(id, erasure.Clear, "clinic")
	if erasure.Erased(w.state, h, digest("leaf")) {
		t.Error("the word of f custodians put a tombstone up")
	}
	w.find(id, erasure.Clear, "insurer")
	if c := w.at(id); c.Status != erasure.Executing || !erasure.Erased(w.state, h, digest("leaf")) || c.Epoch != 1 {
		t.Errorf("got %+v", c)
	}
	if erasure.Erased(w.state, h, zero) || erasure.Erased(w.state, h, digest("other")) || erasure.ErasedRecords(w.state, h) != 1 {
		t.Error("more than the record is erased")
	}
	w.refuse(erasure.ErrStatus, "hospital", erasure.KindConfirm, &erasure.Confirm{Case: id})
	w.refuse(erasure.ErrErased, "alice", erasure.KindRequest, record("alice", h, "leaf"))
	// The batch as a whole can still be erased.
	w.must("alice", erasure.KindRequest, batch("alice", h))
}

func TestACaseIsDoneOnlyWhenNobodyIsMissing(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	id := w.must("alice", erasure.KindRequest, batch("alice", h))
	keys := &erasure.Receipt{Case: id, Keys: true}
	w.refuse(erasure.ErrStatus, "clinic", erasure.KindReceipt, keys)
	if _, err := erasure.Certify(w.state, id); !errors.Is(err, erasure.ErrStatus) {
		t.Errorf("got %v, want no certificate before the tombstone", err)
	}
	w.find(id, erasure.Clear, "clinic", "insurer")
	for i, step := range []struct {
		by      string
		m       erasure.Receipt
		want    erasure.Status
		missing int
	}{
		{"clinic", erasure.Receipt{Keys: true}, erasure.Executing, 4},
		{"insurer", erasure.Receipt{Keys: true, Ciphertext: true}, erasure.Executing, 3},
		{"regulator", erasure.Receipt{Keys: true}, erasure.Certified, 2},
		{"hospital", erasure.Receipt{Keys: true, Records: true}, erasure.Certified, 2},
		{"clinic", erasure.Receipt{Ciphertext: true}, erasure.Certified, 1},
		{"hospital", erasure.Receipt{Ciphertext: true}, erasure.Done, 0},
	} {
		step.m.Case = id
		w.must(step.by, erasure.KindReceipt, &step.m)
		c, err := erasure.Certify(w.state, id)
		if err != nil || c.Case.Status != step.want || len(c.Missing) != step.missing || int(c.Left) != 4-len(c.Keys) {
			t.Errorf("step %d: got %s, missing %d, %v; want %s, %d", i, c.Case.Status, len(c.Missing), err, step.want, step.missing)
		}
		if c.Case.Status >= erasure.Certified && c.Left >= c.T {
			t.Errorf("step %d: certified with %d shares left of %d", i, c.Left, c.T)
		}
		w.refuse(erasure.ErrNoNews, step.by, erasure.KindReceipt, &step.m)
	}
	if got := erasure.OpenCases(w.state); len(got) != 0 {
		t.Errorf("got %d open cases, want none", len(got))
	}
	if erasure.Certified.String() != "incomplete" {
		t.Error("a case with missing receipts does not say that it is incomplete")
	}
}

func TestWhoMayNotAsk(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	for _, who := range []string{"bob", "doctor", "hospital"} {
		w.refuse(erasure.ErrSigner, who, erasure.KindRequest, batch("alice", h))
	}
	w.refuse(erasure.ErrPatient, "hospital", erasure.KindRequest, batch("hospital", h))
	w.refuse(erasure.ErrPatient, "alice", erasure.KindRequest, batch("nobody", h))
	w.refuse(erasure.ErrPatient, "alice", erasure.KindRequest, &erasure.Request{Scope: erasure.Patient})
	w.refuse(erasure.ErrBatch, "alice", erasure.KindRequest, batch("alice", digest("none")))
	for _, m := range []erasure.Request{
		{Scope: 0},
		{Scope: 4, Batch: h},
		{Scope: erasure.Record, Batch: h},
		{Scope: erasure.Record, Leaf: digest("leaf")},
		{Scope: erasure.Batch},
		{Scope: erasure.Batch, Batch: h, Leaf: digest("leaf")},
		{Scope: erasure.Patient, Batch: h},
		{Scope: erasure.Patient, Leaf: digest("leaf")},
	} {
		m.Patient = account("alice")
		w.refuse(erasure.ErrScope, "alice", erasure.KindRequest, &m)
	}
	w.unverified = true
	w.refuse(erasure.ErrUserVerification, "alice", erasure.KindRequest, batch("alice", h))
	w.unverified = false
	id := w.must("alice", erasure.KindRequest, batch("alice", h))
	w.refuse(erasure.ErrDoubled, "alice", erasure.KindRequest, batch("alice", h))
	// Somebody who names another's batch stands in nobody's way, and custodians
	// find that it is not hers.
	other := w.must("bob", erasure.KindRequest, batch("bob", h))
	w.find(other, erasure.NotHers, "clinic", "insurer")
	w.refused(other, erasure.ErrNotHers)
	w.refuse(erasure.ErrNotCustodian, "doctor", erasure.KindConfirm, &erasure.Confirm{Case: id})
	w.refuse(erasure.ErrNotCustodian, "alice", erasure.KindConfirm, &erasure.Confirm{Case: id})
	w.refuse(erasure.ErrFinding, "clinic", erasure.KindConfirm, &erasure.Confirm{Case: id, Finding: 4})
	w.refuse(erasure.ErrUnknown, "clinic", erasure.KindConfirm, &erasure.Confirm{})
	w.refuse(erasure.ErrUnknown, "clinic", erasure.KindConfirm, &erasure.Confirm{Case: digest("none")})
	w.find(id, erasure.Clear, "clinic")
	w.refuse(erasure.ErrNoNews, "clinic", erasure.KindConfirm, &erasure.Confirm{Case: id, Finding: erasure.NotHers})
	w.find(id, erasure.Clear, "insurer")
	w.refuse(erasure.ErrNotCustodian, "doctor", erasure.KindReceipt, &erasure.Receipt{Case: id, Keys: true})
	w.refuse(erasure.ErrNoNews, "clinic", erasure.KindReceipt, &erasure.Receipt{Case: id})
	w.refuse(erasure.ErrUnknown, "clinic", erasure.KindReceipt, &erasure.Receipt{Keys: true})
	w.refuse(erasure.ErrUnknown, "clinic", erasure.KindReceipt, &erasure.Receipt{Case: digest("none"), Keys: true})
	w.refuse(erasure.ErrErased, "alice", erasure.KindRequest, batch("alice", h))
	w.refuse(erasure.ErrErased, "alice", erasure.KindRequest, record("alice", h, "leaf"))
	if len(erasure.OpenCases(w.state)) != 1 {
		t.Error("a refused case stayed open")
	}
}

func TestAPatientHasAtMostSixtyFourOpenCases(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	var last tx.Hash
	for i := range erasure.MaxOpen {
		last = w.must("alice", erasure.KindRequest, record("alice", h, string(rune('a'+i))))
	}
	w.refuse(erasure.ErrTooMany, "alice", erasure.KindRequest, record("alice", h, "one more"))
	w.must("bob", erasure.KindRequest, record("bob", h, "one more"))
	w.find(last, erasure.NotHers, "clinic", "insurer")
	w.must("alice", erasure.KindRequest, record("alice", h, "one more"))
}

func TestRetentionStandsAgainstARequestAndNotAgainstAnOrder(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention - 1)
	w.refuse(erasure.ErrRetained, "alice", erasure.KindRequest, batch("alice", h))
	for _, cite := range []string{"Art. 17(3)(b)", "45 CFR 164.316(b)(2)"} {
		if !bytes.Contains([]byte(erasure.ErrRetained.Text), []byte(cite)) {
			t.Errorf("the refusal does not name %s", cite)
		}
	}
	// Which batches a whole patient has, only custodians know.
	id := w.must("alice", erasure.KindRequest, all("alice"))
	w.find(id, erasure.Retained, "clinic", "regulator")
	w.refused(id, erasure.ErrRetained)
	id = w.vote(governance.Action{Erase: &governance.Erase{Batch: h, Ground: digest("order")}})
	w.find(id, erasure.Clear, "clinic", "regulator")
	if c := w.at(id); !c.Ordered || c.Scope != erasure.Batch || c.Status != erasure.Executing || c.By != account("hospital") {
		t.Errorf("got %+v", c)
	}
	if got := erasure.RetainedUntil(w.state, 5); got != 5+retention {
		t.Errorf("got %d", got)
	}
}

func TestALegalHoldStandsAgainstEverything(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	id := w.must("alice", erasure.KindRequest, batch("alice", h))
	onBatch := governance.Hold{Batch: h, Matter: digest("matter")}
	onAlice := governance.Hold{Patient: account("alice"), Matter: digest("another matter")}
	w.hold(onBatch)
	// A hold that comes while a case is received is found when it would be carried out.
	w.find(id, erasure.Clear, "clinic", "insurer")
	w.refused(id, erasure.ErrHeld)
	w.refuse(erasure.ErrHeld, "alice", erasure.KindRequest, record("alice", h, "leaf"))
	w.refused(w.vote(governance.Action{Erase: &governance.Erase{Batch: h, Ground: digest("order")}}), erasure.ErrHeld)
	id = w.must("alice", erasure.KindRequest, all("alice"))
	w.find(id, erasure.Held, "clinic", "insurer") // custodians know that the batch is hers
	w.refused(id, erasure.ErrHeld)
	// Two matters hold one target: each is lifted by itself.
	second := onBatch
	second.Matter = digest("second")
	w.hold(second)
	lift := func(h governance.Hold) { h.Lift = true; w.hold(h) }
	lift(onBatch)
	w.refuse(erasure.ErrHeld, "alice", erasure.KindRequest, batch("alice", h))
	lift(second)
	w.hold(onAlice)
	for _, m := range []*erasure.Request{all("alice"), batch("alice", h), record("alice", h, "leaf")} {
		w.refuse(erasure.ErrHeld, "alice", erasure.KindRequest, m)
	}
	w.refused(w.vote(governance.Action{Erase: &governance.Erase{Patient: account("alice"), Ground: digest("order")}}), erasure.ErrHeld)
	if got := erasure.Holds(w.state); len(got) != 1 || got[0].Patient != account("alice") {
		t.Errorf("got %+v", got)
	}
	lift(onAlice)
	w.must("alice", erasure.KindRequest, batch("alice", h))
}

func TestConflictingHoldsChangeNothing(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	hold := governance.Hold{Batch: h, Matter: digest("matter")}
	lift := hold
	lift.Lift = true
	stands := func(want int) {
		t.Helper()
		if got := erasure.Holds(w.state); len(got) != want {
			t.Errorf("got %d holds, want %d", len(got), want)
		}
	}
	w.hold(lift)
	stands(0)
	w.hold(hold)
	since := erasure.Holds(w.state)[0].Since
	w.hold(hold)
	stands(1)
	if got := erasure.Holds(w.state)[0].Since; got != since {
		t.Errorf("a hold that stands was set again: since %d, want %d", got, since)
	}
	w.hold(lift)
	stands(0)
	id := w.vote(governance.Action{Erase: &governance.Erase{Batch: h, Ground: digest("order")}})
	w.find(id, erasure.Clear, "clinic", "insurer")
	w.hold(hold)
	stands(0)
	if erasure.HeldBatch(w.state, h) {
		t.Error("what is erased is held")
	}
}

func TestOrdersThatCannotBeCarriedOut(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	order := func(e governance.Erase) tx.Hash {
		e.Ground = digest("order")
		return w.vote(governance.Action{Erase: &e})
	}
	w.refused(order(governance.Erase{Batch: digest("none")}), erasure.ErrBatch)
	w.refused(order(governance.Erase{Patient: account("nobody")}), erasure.ErrPatient)
	w.refused(order(governance.Erase{Patient: account("doctor")}), erasure.ErrPatient)
	first := order(governance.Erase{Batch: h, Leaf: digest("leaf")})
	w.refused(order(governance.Erase{Batch: h, Leaf: digest("leaf")}), erasure.ErrDoubled)
	w.find(first, erasure.NotHers, "clinic", "insurer") // no such record in it
	w.refused(first, erasure.ErrNotHers)
	for _, a := range []governance.Action{
		{Erase: &governance.Erase{Ground: digest("order")}},
		{Erase: &governance.Erase{Batch: h}},
		{Erase: &governance.Erase{Batch: h, Patient: account("alice"), Ground: digest("order")}},
		{Erase: &governance.Erase{Leaf: h, Patient: account("alice"), Ground: digest("order")}},
		{Hold: &governance.Hold{Matter: h}},
		{Hold: &governance.Hold{Batch: h}},
		{Hold: &governance.Hold{Batch: h, Patient: account("alice"), Matter: h}},
	} {
		w.refuse(governance.ErrTarget, "hospital", governance.KindPropose, &governance.Propose{Action: a})
	}
}

// TestNothingBringsAPatientBack: sessions of before and after, grants,
// emergencies and their second step open nothing, and look as they always do.
func TestNothingBringsAPatientBack(t *testing.T) {
	w := newWorld(t)
	const mask = uint64(0xffffffff)
	w.must("alice", emergency.KindDirective, &emergency.SetDirective{Patient: account("alice"), Version: 1, Set: mask, More: mask << 16, Except: 0xffffff << 40})
	grant := func(version uint64) {
		id := digest("grant")
		w.must("alice", consent.KindGrant, &consent.Give{Patient: account("alice"), Grant: consent.Grant{
			ID: consent.GrantID(id[:16]), Version: version, Grantee: consent.Grantee{Kind: consent.AnyClinical}, Mask: mask, Except: 0xffffff << 40, Purposes: consent.PurposesOf(consent.TREAT),
		}})
	}
	grant(1)
	ask := func(who string, purpose consent.Purpose) tx.Hash {
		return w.must(who, access.KindRequest, &access.Request{Patient: account("alice"), Purpose: purpose, Mask: ^uint64(0), ReaderKey: digest("reader"), TTL: 3600})
	}
	declare := func() tx.Hash {
		return w.must("doctor", access.KindEmergency, &access.Emergency{Patient: account("alice"), Reason: emergency.OVRER, ReaderKey: digest("reader"), TTL: 10})
	}
	allowed := func(id tx.Hash) uint64 {
		_, m, err := access.Open(w.state, id, w.time)
		if err != nil {
			t.Error(err)
		}
		return m
	}
	before := []tx.Hash{ask("doctor", consent.TREAT), ask("alice", consent.PATRQT), declare()}
	for i, id := range before {
		if allowed(id) == 0 {
			t.Errorf("session %d opens nothing before", i)
		}
	}
	id := w.must("alice", erasure.KindRequest, all("alice"))
	w.find(id, erasure.Clear, "clinic", "insurer")
	w.must("doctor", access.KindWiden, &access.Widen{Session: before[2]})
	for i, id := range before {
		if allowed(id) != 0 {
			t.Errorf("session %d of before opens %#x", i, allowed(id))
		}
	}
	grant(2)
	w.block(11)
	for i, id := range []tx.Hash{ask("doctor", consent.TREAT), ask("alice", consent.PATRQT), declare()} {
		s, _ := access.Lookup(w.state, id)
		if allowed(id) != 0 || s.Mask != 0 || len(s.Grants) != 0 {
			t.Errorf("session %d of after: %+v", i, s)
		}
	}
	// A patient without anything looks the same.
	none := w.must("doctor", access.KindRequest, &access.Request{Patient: account("bob"), Purpose: consent.TREAT, Mask: ^uint64(0), ReaderKey: digest("reader"), TTL: 3600})
	a, _ := access.Lookup(w.state, none)
	b, _ := access.Lookup(w.state, ask("doctor", consent.TREAT))
	if b.ID, b.Patient, b.Consent = a.ID, a.Patient, a.Consent; !bytes.Equal(tx.MustEncode(a), tx.MustEncode(b)) {
		t.Errorf("an erased patient's session %+v differs from %+v", b, a)
	}
	// The chain goes on, and says that she was erased.
	pos, _ := audit.At(w.state, account("alice"))
	if pos.Seq == 0 {
		t.Error("no chain")
	}
}

func TestTombstonesAreListedAndProvable(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	var want []tx.Hash
	for _, m := range []*erasure.Request{record("alice", h, "x"), batch("alice", h), all("bob")} {
		by := "alice"
		if m.Scope == erasure.Patient {
			by = "bob"
		}
		id := w.must(by, erasure.KindRequest, m)
		w.find(id, erasure.Clear, "clinic", "insurer")
		want = append(want, id)
		if _, ok := w.state.Get(erasure.CaseKey(id)); !ok {
			t.Error("no row under CaseKey")
		}
	}
	var got []tx.Hash
	erasure.Tombstones(w.state, func(c erasure.Case) bool { got = append(got, c.ID); return true })
	slices.SortFunc(got, func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) })
	slices.SortFunc(want, func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) })
	if !slices.Equal(got, want) {
		t.Errorf("got %d tombstones, want %d", len(got), len(want))
	}
	if c := w.at(want[0]); len(erasure.Missing(w.state, c)) != 4 {
		t.Errorf("got %d missing, want all", len(erasure.Missing(w.state, c)))
	}
	e, _ := committee.Current(w.state)
	if e.T != 3 {
		t.Fatal("the test supposes four custodians")
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	h := w.anchored("a")
	w.block(retention)
	id := w.must("alice", erasure.KindRequest, batch("alice", h))
	for _, q := range erasure.Module().Queries {
		if q.Arg == nil {
			if b, err := q.Answer(w.state, ledger.Head{}, nil); err != nil || len(b) == 0 {
				t.Errorf("%s: %v", q.Path, err)
			}
			continue
		}
		if _, err := q.Answer(w.state, ledger.Head{}, []byte{0xff}); !errors.Is(err, erasure.ErrQuery) {
			t.Errorf("%s: got %v, want %v", q.Path, err, erasure.ErrQuery)
		}
		if _, err := q.Answer(w.state, ledger.Head{}, tx.MustEncode(erasure.ByCase{Case: digest("none")})); !errors.Is(err, erasure.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", q.Path, err, erasure.ErrUnknown)
		}
	}
	w.find(id, erasure.Clear, "clinic", "insurer")
	for _, q := range erasure.Module().Queries[:2] {
		if b, err := q.Answer(w.state, ledger.Head{}, tx.MustEncode(erasure.ByCase{Case: id})); err != nil || !bytes.Contains(b, id[:]) {
			t.Errorf("%s: %v", q.Path, err)
		}
	}
}

func TestGenesisHasNothingToSet(t *testing.T) {
	w := newWorld(t)
	for raw, want := range map[string]bool{"": true, "{}": true, " null ": true, `{"cases":[]}`: false} {
		if err := erasure.Module().Genesis(w.context(w.state, ledger.Signer{}), []byte(raw)); (err == nil) != want {
			t.Errorf("%q: got %v, want accepted %v", raw, err, want)
		}
	}
}

func TestWordsAreReadAsTheyAreWritten(t *testing.T) {
	for s := erasure.Record; s <= erasure.Patient; s++ {
		var got erasure.Scope
		if b, err := s.MarshalText(); err != nil || got.UnmarshalText(b) != nil || got != s {
			t.Errorf("got %v, want %v", got, s)
		}
	}
	for s := erasure.Received; s <= erasure.Refused; s++ {
		var got erasure.Status
		if b, err := s.MarshalText(); err != nil || got.UnmarshalText(b) != nil || got != s {
			t.Errorf("got %v, want %v", got, s)
		}
	}
	if new(erasure.Scope).UnmarshalText([]byte("unknown")) == nil || new(erasure.Status).UnmarshalText([]byte("unknown")) == nil {
		t.Error("an unknown word is read")
	}
	if erasure.Scope(9).String() != "unknown" || erasure.Status(9).String() != "unknown" {
		t.Error("a number without a word has one")
	}
}

// FuzzMessages: whatever decodes as a message of the module re-encodes to the same
// bytes, and validates or is refused with a code of the module.
func FuzzMessages(f *testing.F) {
	f.Add(uint8(0), tx.MustEncode(record("alice", digest("h"), "leaf")))
	f.Add(uint8(0), tx.MustEncode(all("alice")))
	f.Add(uint8(1), tx.MustEncode(&erasure.Confirm{Case: digest("c"), Finding: erasure.Held}))
	f.Add(uint8(2), tx.MustEncode(&erasure.Receipt{Case: digest("c"), Keys: true, Ciphertext: true}))
	calls := erasure.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != erasure.Prefix {
				t.Errorf("got %v, want a refusal of this module", err)
			}
		}
	})
}

// TestCodesAreUniqueAndOurs: the tests above provoke each of them; ErrHolding, ErrNoHold
// and ErrNotHers are codes of cases and holds, not of transactions.
func TestCodesAreUniqueAndOurs(t *testing.T) {
	seen := map[uint32]bool{}
	for _, c := range erasure.Codes() {
		if c.Code>>8 != erasure.Prefix || seen[c.Code] {
			t.Errorf("%s: %#04x", c.Name, c.Code)
		}
		seen[c.Code] = true
	}
}
