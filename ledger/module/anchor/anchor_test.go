package anchor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// batch makes the hospital's put of a batch; change alters its header.
func batch(name string, change ...func(*seal.Header)) *anchor.Put {
	h := seal.Header{
		Version: seal.Version, Suite: seal.Suite, Chain: "test", Author: account("hospital"),
		PatientCommit: digest("patient/" + name), BatchNonce: digest("nonce/" + name), Epoch: 1, N: 4, T: 3, Count: 10,
		ManifestRoot: digest("manifest"), ShareRoots: digest("shares"), VSSRoot: digest("vss"),
	}
	for _, f := range change {
		f(&h)
	}
	return &anchor.Put{Header: h, Envelopes: digest("envelopes"), Pack: digest("pack/" + name)}
}

func hash(m *anchor.Put) tx.Hash { return m.Header.Hash() }

// receipts lists receipts for the batches in order.
func receipts(holds bool, ms ...*anchor.Put) *anchor.Receipts {
	m := &anchor.Receipts{}
	for _, p := range ms {
		m.List = append(m.List, anchor.Receipt{Header: hash(p), Holds: holds})
	}
	slices.SortFunc(m.List, func(a, b anchor.Receipt) int { return bytes.Compare(a.Header[:], b.Header[:]) })
	return m
}

func (w *world) row(m *anchor.Put) anchor.Batch {
	w.Helper()
	b, ok := anchor.Lookup(w.state, hash(m))
	if !ok {
		w.Fatal("no row")
	}
	return b
}

func TestABatchBecomesActive(t *testing.T) {
	type said struct {
		by    string
		holds bool
	}
	for _, tt := range []struct {
		name   string
		say    []said
		active bool
	}{
		{"nobody has said anything", nil, false},
		{"t hold shares and f+1 the pack", []said{{"clinic", true}, {"insurer", true}, {"institute", false}}, true},
		{"t-1 hold everything", []said{{"clinic", true}, {"insurer", true}}, false},
		{"all hold shares, f the pack", []said{{"hospital", true}, {"clinic", false}, {"insurer", false}, {"institute", false}}, false},
		{"the pack comes later", []said{{"hospital", true}, {"clinic", false}, {"insurer", false}, {"insurer", true}}, true},
		{"a word is not taken back", []said{{"hospital", true}, {"clinic", true}, {"insurer", false}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			m := batch("a")
			w.must("hospital", anchor.KindPut, m)
			put := w.height
			for _, s := range tt.say {
				w.block(5)
				w.must(s.by, anchor.KindReceipts, receipts(s.holds, m))
			}
			b := w.row(m)
			if got := anchor.IsActive(w.state, hash(m)); got != tt.active || got != (b.Active != 0) {
				t.Errorf("got active %v at %d, want %v", got, b.Active, tt.active)
			}
			if tt.active && b.Active != uint64(w.height) {
				t.Errorf("got active at %d, want %d", b.Active, w.height)
			}
			if b.Height != uint64(put) || b.Author != account("hospital") || b.Count != 10 || b.Pack != digest("pack/a") || b.Epoch != 1 {
				t.Errorf("got row %+v", b)
			}
		})
	}
}

func TestActiveNeverEndsAndIsLoggedOnce(t *testing.T) {
	w := newWorld(t)
	m := batch("a")
	w.must("hospital", anchor.KindPut, m)
	for _, by := range []string{"clinic", "insurer"} {
		w.must(by, anchor.KindReceipts, receipts(true, m))
	}
	before := w.state.Size()
	w.must("institute", anchor.KindReceipts, receipts(true, m))
	if got := w.state.Size() - before; got != 2 {
		t.Errorf("the last receipt made %d log entries, want the receipt and the activation", got)
	}
	active, before := w.row(m).Active, w.state.Size()
	w.block(5)
	w.must("hospital", anchor.KindReceipts, receipts(true, m))
	if got := w.row(m); got.Active != active || got.Received() != 4 || got.Held() != 4 || w.state.Size()-before != 1 {
		t.Errorf("got %+v and %d log entries after one more receipt", got, w.state.Size()-before)
	}
}

func TestHoldersAreNamed(t *testing.T) {
	w := newWorld(t)
	m := batch("a")
	w.must("hospital", anchor.KindPut, m)
	w.must("clinic", anchor.KindReceipts, receipts(true, m))
	w.must("institute", anchor.KindReceipts, receipts(false, m))
	e, err := committee.Current(w.state)
	if err != nil {
		t.Fatal(err)
	}
	var shares, packs []tx.Account // in custodian order
	for _, a := range e.Members {
		if a == account("clinic") || a == account("institute") {
			shares = append(shares, a)
		}
		if a == account("clinic") {
			packs = append(packs, a)
		}
	}
	if diff := cmp.Diff(shares, anchor.Custodians(w.state, hash(m))); diff != "" {
		t.Errorf("custodians (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(packs, anchor.Holders(w.state, hash(m))); diff != "" {
		t.Errorf("holders (-want +got):\n%s", diff)
	}
	if anchor.Holders(w.state, digest("none")) != nil || anchor.Custodians(w.state, digest("none")) != nil || anchor.IsActive(w.state, digest("none")) {
		t.Error("an unknown batch is held by somebody")
	}
	var got anchor.Answer
	b, err := anchor.Module().Queries[0].Answer(w.state, ledger.Head{}, tx.MustEncode(anchor.ByHeader{Header: hash(m)}))
	if err == nil {
		err = tx.Decode(b, &got)
	}
	if err != nil || got.Batch != w.row(m) || !slices.Equal(got.Holders, packs) || !slices.Equal(got.Custodians, shares) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestManyReceiptsFoldIntoOneTransaction(t *testing.T) {
	w := newWorld(t)
	var ms []*anchor.Put
	for i := range anchor.MaxReceipts {
		m := batch(fmt.Sprint(i))
		w.must("hospital", anchor.KindPut, m)
		ms = append(ms, m)
	}
	size := w.state.Size()
	for _, by := range []string{"clinic", "insurer", "institute"} {
		w.must(by, anchor.KindReceipts, receipts(true, ms...))
	}
	if got := w.state.Size() - size; got != 3+anchor.MaxReceipts {
		t.Errorf("got %d log entries, want 3 receipts and %d activations", got, anchor.MaxReceipts)
	}
	// Some of it is news: the rest is no reason to refuse.
	m := batch("new")
	w.must("hospital", anchor.KindPut, m)
	w.must("clinic", anchor.KindReceipts, receipts(true, ms[0], m))
	if b := w.row(m); b.Received() != 1 {
		t.Errorf("got %d receipts, want 1", b.Received())
	}
}

func TestAReceiptSettlesAComplaint(t *testing.T) {
	w := newWorld(t)
	m := batch("a")
	w.must("hospital", anchor.KindPut, m)
	w.must("clinic", anchor.KindComplain, &anchor.Complain{Header: hash(m), Reason: anchor.BadCommitment})
	if b := w.row(m); b.Complaints == 0 || b.Receipts != 0 {
		t.Errorf("got %+v after a complaint", b)
	}
	w.must("clinic", anchor.KindReceipts, receipts(false, m))
	if b := w.row(m); b.Complaints != 0 || b.Received() != 1 {
		t.Errorf("got %+v after the receipt", b)
	}
}

// TestEveryRefusal provokes each code of the module.
func TestEveryRefusal(t *testing.T) {
	w := newWorld(t)
	seen := map[uint32]bool{}
	check := func(want *tx.Refusal, by string, kind tx.Kind, m tx.Message) {
		t.Helper()
		seen[want.Code] = true
		w.refuse(want, by, kind, m)
	}
	put := func(want *tx.Refusal, by string, change func(*seal.Header)) {
		t.Helper()
		check(want, by, anchor.KindPut, batch("x", change))
	}
	known := batch("known")
	w.must("hospital", anchor.KindPut, known)

	put(anchor.ErrHeader, "hospital", func(h *seal.Header) { h.Chain = "" })
	put(anchor.ErrHeader, "hospital", func(h *seal.Header) { h.Author = [16]byte{} })
	put(anchor.ErrHeader, "hospital", func(h *seal.Header) { h.T = 0 })
	put(anchor.ErrChain, "hospital", func(h *seal.Header) { h.Chain = "another" })
	put(anchor.ErrVersion, "hospital", func(h *seal.Header) { h.Version++ })
	put(anchor.ErrSuite, "hospital", func(h *seal.Header) { h.Suite++ })
	for _, n := range []uint16{0, anchor.MaxRecords + 1} {
		put(anchor.ErrCount, "hospital", func(h *seal.Header) { h.Count = n })
	}
	for _, change := range []func(*seal.Header){
		func(h *seal.Header) { h.PatientCommit = [32]byte{} }, func(h *seal.Header) { h.BatchNonce = [32]byte{} },
		func(h *seal.Header) { h.ManifestRoot = [32]byte{} }, func(h *seal.Header) { h.ShareRoots = [32]byte{} },
		func(h *seal.Header) { h.VSSRoot = [32]byte{} },
	} {
		put(anchor.ErrCommitment, "hospital", change)
	}
	for _, m := range []*anchor.Put{{Header: known.Header, Pack: known.Pack}, {Header: known.Header, Envelopes: known.Envelopes}} {
		check(anchor.ErrCommitment, "hospital", anchor.KindPut, m)
	}
	for _, by := range []string{"clinic", "doctor"} {
		put(anchor.ErrAuthor, by, func(*seal.Header) {})
	}
	put(anchor.ErrAuthor, "doctor", func(h *seal.Header) { h.Author = account("doctor") })
	for _, e := range []uint64{0, 2} {
		put(anchor.ErrEpoch, "hospital", func(h *seal.Header) { h.Epoch = e })
	}
	put(anchor.ErrCommittee, "hospital", func(h *seal.Header) { h.N, h.T = 7, 5 })
	check(anchor.ErrKnown, "hospital", anchor.KindPut, known)
	again := *known
	again.Pack = digest("another pack")
	check(anchor.ErrKnown, "hospital", anchor.KindPut, &again)

	check(anchor.ErrNotCustodian, "doctor", anchor.KindReceipts, receipts(true, known))
	check(anchor.ErrNotCustodian, "doctor", anchor.KindComplain, &anchor.Complain{Header: hash(known), Reason: 1})
	twice := receipts(true, known)
	twice.List = append(twice.List, twice.List[0])
	sorted := receipts(true, known, batch("b"))
	slices.Reverse(sorted.List)
	for _, m := range []*anchor.Receipts{{}, twice, sorted, {List: make([]anchor.Receipt, anchor.MaxReceipts+1)}} {
		check(anchor.ErrReceipts, "clinic", anchor.KindReceipts, m)
	}
	check(anchor.ErrUnknownBatch, "clinic", anchor.KindReceipts, receipts(true, known, batch("unknown")))
	check(anchor.ErrUnknownBatch, "clinic", anchor.KindComplain, &anchor.Complain{Header: digest("unknown"), Reason: 1})
	if w.row(known).Receipts != 0 {
		t.Error("a refused list of receipts left one behind")
	}
	for _, r := range []uint8{0, 7} {
		check(anchor.ErrReason, "clinic", anchor.KindComplain, &anchor.Complain{Header: hash(known), Reason: r})
	}
	w.must("institute", anchor.KindComplain, &anchor.Complain{Header: hash(known), Reason: 1})
	check(anchor.ErrNoNews, "institute", anchor.KindComplain, &anchor.Complain{Header: hash(known), Reason: 2})
	w.must("clinic", anchor.KindReceipts, receipts(true, known))
	check(anchor.ErrNoNews, "clinic", anchor.KindReceipts, receipts(true, known))
	check(anchor.ErrNoNews, "clinic", anchor.KindReceipts, receipts(false, known))
	check(anchor.ErrHasReceipt, "clinic", anchor.KindComplain, &anchor.Complain{Header: hash(known), Reason: 1})

	q := anchor.Module().Queries[0]
	if _, err := q.Answer(w.state, ledger.Head{}, []byte{0xff}); !errors.Is(err, anchor.ErrQuery) {
		t.Errorf("got %v, want %v", err, anchor.ErrQuery)
	}
	if _, err := q.Answer(w.state, ledger.Head{}, tx.MustEncode(anchor.ByHeader{})); !errors.Is(err, anchor.ErrUnknownBatch) {
		t.Errorf("got %v, want %v", err, anchor.ErrUnknownBatch)
	}
	seen[anchor.ErrQuery.Code] = true
	for _, c := range anchor.Codes() {
		if !seen[c.Code] {
			t.Errorf("no test provokes %s (%#04x)", c.Name, c.Code)
		}
	}
}

func TestKeysNameRows(t *testing.T) {
	w := newWorld(t)
	m := batch("a")
	w.must("hospital", anchor.KindPut, m)
	if _, ok := w.state.Get(anchor.BatchKey(hash(m))); !ok {
		t.Error("there is no row under BatchKey")
	}
}

func TestGenesisHasNothingToSet(t *testing.T) {
	w := newWorld(t)
	for raw, want := range map[string]bool{"": true, "{}": true, " null ": true, `{"batches":[]}`: false} {
		if err := anchor.Module().Genesis(w.context(w.state, ledger.Signer{}), []byte(raw)); (err == nil) != want {
			t.Errorf("%q: got %v, want accepted %v", raw, err, want)
		}
	}
}

func TestPutHasAJSONForm(t *testing.T) {
	want := batch("a")
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(anchor.Put)
	if err := json.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", b, diff)
	}
	if err := json.Unmarshal([]byte(`{"header":{"patient":"x"}}`), got); err == nil {
		t.Error("an unknown field is read")
	}
}
