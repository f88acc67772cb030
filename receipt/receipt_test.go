package receipt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/google/go-cmp/cmp"

	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// principalKey is the row of an account in module identity.
func principalKey(a tx.Account) []byte { return append([]byte{identity.Prefix, 0x01}, a[:]...) }

// receipts is one of each kind.
func (w *world) receipts() map[string]*Receipt {
	patientRow := principalKey(ledgertest.Account(patient))
	return map[string]*Receipt{
		"entry":          w.entry(2),
		"row":            w.row(patientRow),
		"absent row":     w.row([]byte("\x06\x01nobody's row")),
		"access log":     w.log(patient),
		"no access log":  w.log("patient-nobody"),
		"one of six not": w.changed(),
	}
}

// changed is a receipt whose block was signed by other validators than those of the genesis,
// with a commit in which some are absent and some voted nil, and one change in the trail.
func (w *world) changed() *Receipt {
	v := w.view()
	six := set("v1", "v2", "v3", "v4", "v5", "v6", "v7")
	last := above(v)
	last.height += 40
	last.set = six
	last.absent, last.against = []string{"v2"}, []string{"v3"}
	r := w.entry(1)
	r.Block = encodeBlock(w.tb, block(w.tb, last))
	r.Trail = [][]byte{
		encodeBlock(w.tb, block(w.tb, blockSpec{height: 2, set: set("v1", "v2", "v3", "v4", "v5")})),
		encodeBlock(w.tb, block(w.tb, blockSpec{height: 9, set: six})),
	}
	return r
}

func TestReceiptsVerifyWithTheGenesisFileAlone(t *testing.T) {
	w := newWorld(t)
	for name, r := range w.receipts() {
		f, err := Verify(w.genesis, clone(t, r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Chain != ledgertest.ChainID || f.Block != f.Height+1 {
			t.Errorf("%s: got %+v", name, f)
		}
	}
	f, err := Verify(w.genesis, w.log(patient))
	if err != nil {
		t.Fatal(err)
	}
	var got []audit.Action
	for _, l := range f.Audit {
		got = append(got, l.Record.Action)
	}
	want := []audit.Action{audit.Enrolled, audit.ConsentGranted, audit.ConsentGranted, audit.ConsentGranted, audit.ConsentRevoked}
	if d := cmp.Diff(want, got); d != "" || f.Patient != ledgertest.Account(patient) {
		t.Errorf("access log: %s", d)
	}
	if f, err := Verify(w.genesis, w.changed()); err != nil || f.Signed != 5 || f.Of != 7 {
		t.Errorf("got %+v, %v; want 5 of 7 signatures", f, err)
	}
}

// Every byte of every receipt, each changed in some way.
func TestEveryAlteredByteFails(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	for name, r := range w.receipts() {
		t.Run(name, func(t *testing.T) {
			good := must[[]byte](t)(r.Encode())
			if _, err := check(w.genesis, good); err != nil {
				t.Fatal(err)
			}
			bad := slices.Clone(good)
			for i := range good {
				x := byte(1) << random.IntN(8)
				if random.IntN(2) == 0 {
					x = byte(1 + random.IntN(255))
				}
				bad[i] = good[i] ^ x
				_, err := check(w.genesis, bad)
				if err == nil {
					t.Fatalf("byte %d of %d changed from %02x to %02x and nobody noticed", i, len(good), good[i], bad[i])
				}
				if code, ok := tx.CodeOf(err); !ok || code>>8 != 0x25 {
					t.Fatalf("byte %d: got %v, want a code of this package", i, err)
				}
				bad[i] = good[i]
			}
			for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
				if _, err := check(w.genesis, good[:n]); !errors.Is(err, ErrFormat) {
					t.Errorf("cut to %d bytes: got %v, want %v", n, err, ErrFormat)
				}
			}
			if _, err := check(w.genesis, append(slices.Clone(good), 0)); !errors.Is(err, ErrFormat) {
				t.Error("a byte appended and nobody noticed")
			}
		})
	}
}

func check(genesis, raw []byte) (*Finding, error) {
	r, err := DecodeReceipt(raw)
	if err != nil {
		return nil, err
	}
	f, err := Verify(genesis, r)
	if err != nil && f != nil {
		return nil, fmt.Errorf("a finding beside the error: %w", err)
	}
	return f, err
}

func TestFalsifiedAccessLogIsFound(t *testing.T) {
	w := newWorld(t)
	foreign := w.log("patient-2")
	for _, s := range []struct {
		rule string
		want error
		edit func(c *AuditClaim)
	}{
		{"the first entry left out", ErrChain, func(c *AuditClaim) { c.Entries = c.Entries[1:] }},
		{"an entry left out", ErrChain, func(c *AuditClaim) { c.Entries = slices.Delete(c.Entries, 2, 3) }},
		{"the last entry left out", ErrChain, func(c *AuditClaim) { c.Entries = c.Entries[:len(c.Entries)-1] }},
		{"all entries left out", ErrChain, func(c *AuditClaim) { c.Entries = nil }},
		{"an entry twice", ErrChain, func(c *AuditClaim) { c.Entries = slices.Insert(c.Entries, 1, c.Entries[1]) }},
		{"two entries exchanged", ErrChain, func(c *AuditClaim) { c.Entries[1], c.Entries[2] = c.Entries[2], c.Entries[1] }},
		{"another pseudonym's entry added", ErrChain, func(c *AuditClaim) { c.Entries = append(c.Entries, foreign.Audit.Entries[0]) }},
		{"another pseudonym's whole log", ErrProof, func(c *AuditClaim) { c.Entries, c.Position = foreign.Audit.Entries, foreign.Audit.Position }},
		{"said to be of another pseudonym", ErrProof, func(c *AuditClaim) { c.Patient = ledgertest.Account("patient-2") }},
		{"one entry less, and the position to match", ErrProof, func(c *AuditClaim) {
			n := len(c.Entries) - 1
			_, rec, err := audit.Decode(c.Entries[n])
			if err != nil {
				t.Fatal(err)
			}
			c.Entries, c.Position = c.Entries[:n], audit.Position{Seq: uint64(n), Head: rec.Prev, Index: rec.PrevIndex}
		}},
		{"said to be none", ErrProof, func(c *AuditClaim) { c.Entries, c.Position = nil, audit.Position{} }},
	} {
		r := w.log(patient)
		s.edit(r.Audit)
		if _, err := Verify(w.genesis, clone(t, r)); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
	// An older receipt stays true for its height, and says which.
	before := w.log(patient)
	height := w.chain.Head().Height
	w.do(identity.KindEnrol, &identity.Enrol{Patient: ledgertest.Account("patient-3"), Keys: []tx.PublicKey{ledgertest.Public("patient-3")}}, "hospital")
	if f, err := Verify(w.genesis, before); err != nil || f.Height != height {
		t.Errorf("got %+v, %v; want a proof for height %d", f, err, height)
	}
}

func TestAbsenceIsProvenOnlyWhereItIs(t *testing.T) {
	w := newWorld(t)
	there, gone := principalKey(ledgertest.Account(patient)), principalKey(ledgertest.Account("nobody"))
	for _, s := range []struct {
		rule string
		want error
		edit func() *Receipt
	}{
		{"a row said to be absent", ErrProof, func() *Receipt { r := w.row(there); r.Row.Value, r.Row.Absent = nil, true; return r }},
		{"an absent row given a value", ErrProof, func() *Receipt { r := w.row(gone); r.Row.Value, r.Row.Absent = []byte{1}, false; return r }},
		{"absence of another key", ErrProof, func() *Receipt { r := w.row(gone); r.Row.Key = append(gone, 0); return r }},
		{"absence with the proof of a row", ErrProof, func() *Receipt { r := w.row(gone); r.Row.Proof = w.row(there).Row.Proof; return r }},
		{"absent, with a value", ErrFormat, func() *Receipt { r := w.row(gone); r.Row.Value = []byte{1}; return r }},
		{"present, without a value", ErrFormat, func() *Receipt { r := w.row(there); r.Row.Value = nil; return r }},
	} {
		if _, err := Verify(w.genesis, s.edit()); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
}

func TestReceiptOfAnotherNetworkFails(t *testing.T) {
	w := newWorld(t)
	r := w.entry(1)
	for _, s := range []struct {
		rule    string
		genesis []byte
		want    error
	}{
		{"another chain id", genesis(t, "salus-other", validators...), ErrGenesis},
		{"other validators under the same chain id", genesis(t, ledgertest.ChainID, "v5", "v6", "v7", "v8"), ErrBlock},
		{"half of the validators", genesis(t, ledgertest.ChainID, "v1", "v2", "v5", "v6"), ErrBlock},
		{"one validator more", genesis(t, ledgertest.ChainID, "v1", "v2", "v3", "v4", "v5", "v6", "v7"), ErrBlock},
		{"no validators", genesis(t, ledgertest.ChainID), ErrGenesis},
		{"a validator twice", genesis(t, ledgertest.ChainID, "v1", "v1"), ErrGenesis},
		{"a validator without a key", []byte(`{"chain_id":"` + ledgertest.ChainID + `","validators":[{"power":"1"}]}`), ErrGenesis},
		{"not JSON", []byte("salus"), ErrGenesis},
		{"empty", nil, ErrGenesis},
	} {
		if f, err := Verify(s.genesis, r); !errors.Is(err, s.want) || f != nil {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
	other := above(w.view())
	other.chain = "salus-other"
	r.Block = encodeBlock(t, block(t, other))
	if _, err := Verify(w.genesis, r); !errors.Is(err, ErrBlock) {
		t.Errorf("a block of another chain: got %v, want %v", err, ErrBlock)
	}
}

func TestBlockNeedsTwoThirdsOfItsValidators(t *testing.T) {
	w := newWorld(t)
	spec := above(w.view())
	with := func(edit func(*blockSpec)) *Receipt {
		s, r := spec, w.entry(1)
		edit(&s)
		r.Block = encodeBlock(t, block(t, s))
		return r
	}
	if _, err := Verify(w.genesis, with(func(s *blockSpec) { s.absent = []string{"v4"} })); err != nil {
		t.Errorf("three of four: %v", err)
	}
	for _, s := range []struct {
		rule string
		want error
		r    *Receipt
	}{
		{"two of four", ErrBlock, with(func(s *blockSpec) { s.absent = []string{"v3", "v4"} })},
		{"two of four, two against", ErrBlock, with(func(s *blockSpec) { s.against = []string{"v3", "v4"} })},
		{"strangers", ErrBlock, with(func(s *blockSpec) { s.set = set("v5", "v6", "v7", "v8") })},
		{"half strangers", ErrBlock, with(func(s *blockSpec) { s.set = set("v1", "v2", "v5", "v6") })},
		{"another app hash", ErrProof, with(func(s *blockSpec) { s.app[0] ^= 1 })},
	} {
		if _, err := Verify(w.genesis, s.r); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
	// A valid header under the commit of another block.
	mixed := block(t, spec)
	other := spec
	other.app = [32]byte{9}
	mixed.Commit = block(t, other).Commit
	r := w.entry(1)
	r.Block = encodeBlock(t, mixed)
	if _, err := Verify(w.genesis, r); !errors.Is(err, ErrBlock) {
		t.Errorf("the commit of another block: got %v, want %v", err, ErrBlock)
	}
	// The same signature counted twice.
	twice := block(t, blockSpec{height: spec.height, app: spec.app, set: spec.set, absent: []string{"v3", "v4"}})
	i := slices.IndexFunc(twice.Commit.Signatures, func(c cmttypes.CommitSig) bool { return c.BlockIDFlag == cmttypes.BlockIDFlagAbsent })
	j := slices.IndexFunc(twice.Commit.Signatures, func(c cmttypes.CommitSig) bool { return c.BlockIDFlag == cmttypes.BlockIDFlagCommit })
	twice.Commit.Signatures[i] = twice.Commit.Signatures[j]
	r.Block = encodeBlock(t, twice)
	if _, err := Verify(w.genesis, r); !errors.Is(err, ErrBlock) {
		t.Errorf("one signature twice: got %v, want %v", err, ErrBlock)
	}
}

func TestTrailLeadsOverChangesOfValidators(t *testing.T) {
	w := newWorld(t)
	spec := above(w.view())
	spec.height += 100
	four, five := set("v1", "v2", "v3", "v4"), set("v1", "v2", "v3", "v4", "v5")
	others := set("v5", "v6", "v7", "v8")
	at := func(height int64, s, next *cmttypes.ValidatorSet) *cmttypes.LightBlock {
		return block(t, blockSpec{height: height, set: s, next: next})
	}
	for _, s := range []struct {
		rule  string
		last  *cmttypes.ValidatorSet
		trail []*cmttypes.LightBlock
		want  error
	}{
		{"one more, out of sight", five, nil, nil},
		{"all replaced, block by block", others, []*cmttypes.LightBlock{at(5, four, others), at(6, others, nil)}, nil},
		{"all replaced, the last named by the one before", set("v6"), []*cmttypes.LightBlock{at(spec.height-1, four, set("v6"))}, nil},
		{"all replaced, named but not the next block", others, []*cmttypes.LightBlock{at(5, four, others), at(7, others, nil)}, ErrBlock},
		{"all replaced, unnamed", others, []*cmttypes.LightBlock{at(5, four, nil), at(6, others, nil)}, ErrBlock},
		{"all replaced, no trail", others, nil, ErrBlock},
		{"a trail that falls", five, []*cmttypes.LightBlock{at(9, four, nil), at(8, four, nil)}, ErrBlock},
		{"the same block twice", five, []*cmttypes.LightBlock{at(9, four, nil), at(9, four, nil)}, ErrBlock},
		{"a trail beyond the block", five, []*cmttypes.LightBlock{at(spec.height, four, nil)}, ErrBlock},
		{"a trail nobody signed enough", five, []*cmttypes.LightBlock{block(t, blockSpec{height: 5, set: four, absent: []string{"v1", "v2"}})}, ErrBlock},
	} {
		spec.set = s.last
		r := w.entry(1)
		last := w.receipt(block(t, spec), s.trail...)
		r.Block, r.Trail = last.Block, last.Trail
		if _, err := Verify(w.genesis, clone(t, r)); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
}

func TestMalformedReceiptsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, s := range []struct {
		rule string
		edit func(r *Receipt)
	}{
		{"another version", func(r *Receipt) { r.Version = 2 }},
		{"no claim", func(r *Receipt) { r.Entry = nil }},
		{"two claims", func(r *Receipt) { r.Row = w.row([]byte{1}).Row }},
		{"no proof", func(r *Receipt) { r.Entry.Proof = nil }},
		{"no block", func(r *Receipt) { r.Block = nil }},
		{"a block of noise", func(r *Receipt) { r.Block = []byte("block") }},
		{"a block without validators", func(r *Receipt) { r.Block = []byte{0x0a, 0x00} }},
		{"a trail of noise", func(r *Receipt) { r.Trail = [][]byte{{1}} }},
		{"an entry of noise", func(r *Receipt) { r.Entry.Entry = nil }},
	} {
		r := clone(t, w.entry(1))
		s.edit(r)
		if f, err := Verify(w.genesis, r); err == nil || f != nil {
			t.Errorf("%s: got no error", s.rule)
		} else if code, ok := tx.CodeOf(err); !ok || code>>8 != 0x25 {
			t.Errorf("%s: got %v, want a code of this package", s.rule, err)
		}
	}
}
