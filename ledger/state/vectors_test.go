package state_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/state"
	"salus/ledger/tx"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../spec/vectors/state"

// The vectors that other implementations share; spec/state-tree.md. Bytes are hex.
type (
	stateVector struct {
		Name     string      `json:"name"`
		Rows     [][2]string `json:"rows"` // key, value
		Entries  []string    `json:"entries"`
		TreeRoot string      `json:"treeRoot"`
		LogRoot  string      `json:"logRoot"`
		AppHash  string      `json:"appHash"`
	}
	proofVector struct {
		Name    string       `json:"name"`
		AppHash string       `json:"appHash"`
		Key     *string      `json:"key,omitempty"`   // of a key proof
		Value   *string      `json:"value,omitempty"` // left out for absence
		Index   *uint64      `json:"index,omitempty"` // of an entry proof
		Entry   *string      `json:"entry,omitempty"`
		Old     *rootsVector `json:"old,omitempty"` // of an extension proof
		Proof   string       `json:"proof"`         // canonical CBOR
		Valid   bool         `json:"valid"`
	}
	rootsVector struct {
		AppHash  string `json:"appHash"`
		TreeRoot string `json:"treeRoot"`
		LogRoot  string `json:"logRoot"`
		LogSize  uint64 `json:"logSize"`
	}
)

func hexOf[T ~[]byte | ~string](b T) string { return hex.EncodeToString([]byte(b)) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hash32(t testing.TB, s string) [32]byte { return [32]byte(unhex(t, s)) }

// vectorModels are the states of the vectors.
func vectorModels() []struct {
	name string
	m    *model
} {
	few := newModel()
	for _, k := range []string{"row 5", "row 96", "row 128", "row 5 again"} {
		few.rows[k] = "v"
	}
	return []struct {
		name string
		m    *model
	}{
		{"empty", newModel()},
		{"one row", sample(1, 0)},
		{"one entry", sample(0, 1)},
		{"empty key, value and entry", &model{rows: map[string]string{"": ""}, entries: []string{""}}},
		{"two rows, two entries", sample(2, 2)},
		{"few rows", few},
		{"seven entries", sample(3, 7)},
		{"many", sample(64, 21)},
	}
}

func stateVectors() (out []stateVector) {
	for _, v := range vectorModels() {
		r := v.m.roots()
		hash := v.m.appHash()
		s := stateVector{
			Name: v.name, Rows: [][2]string{}, Entries: []string{},
			TreeRoot: hexOf(r.Tree[:]), LogRoot: hexOf(r.Log[:]), AppHash: hexOf(hash[:]),
		}
		for _, k := range sortedKeys(v.m.rows) {
			s.Rows = append(s.Rows, [2]string{hexOf(k), hexOf(v.m.rows[k])})
		}
		for _, e := range v.m.entries {
			s.Entries = append(s.Entries, hexOf(e))
		}
		out = append(out, s)
	}
	return out
}

func proofVectors(t *testing.T) (out []proofVector) {
	must := func(p any, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return hexOf(tx.MustEncode(p))
	}
	m := sample(64, 21)
	v := view(t, storeOf(t, m))
	sum := m.appHash()
	hash := hexOf(sum[:])
	there, absent := must(v.ProveKey([]byte("row 9"))), must(v.ProveKey([]byte("no row")))
	entry, extend := must(v.ProveEntry(10)), must(v.ProveExtension(10))
	empty := sample(0, 21)
	none := must(view(t, storeOf(t, empty)).ProveKey([]byte("row 9")))
	emptySum := empty.appHash()
	old := sample(3, 10)
	oldSum, oldRoots := old.appHash(), old.roots()
	before := &rootsVector{hexOf(oldSum[:]), hexOf(oldRoots.Tree[:]), hexOf(oldRoots.Log[:]), oldRoots.Size}
	wrong := *before
	wrong.LogRoot = hexOf(sum[:])
	row, no, value, other := hexOf("row 9"), hexOf("no row"), hexOf("value 9"), hexOf("value 8")
	return []proofVector{
		{Name: "a row", AppHash: hash, Key: &row, Value: &value, Proof: there, Valid: true},
		{Name: "a row of another value", AppHash: hash, Key: &row, Value: &other, Proof: there},
		{Name: "a row of another key", AppHash: hash, Key: &no, Value: &value, Proof: there},
		{Name: "a row denied", AppHash: hash, Key: &row, Proof: there},
		{Name: "a row denied with another's absence", AppHash: hash, Key: &row, Proof: absent},
		{Name: "no row", AppHash: hash, Key: &no, Proof: absent, Valid: true},
		{Name: "no row said to be empty", AppHash: hash, Key: &no, Value: new(""), Proof: absent},
		{Name: "no rows at all", AppHash: hexOf(emptySum[:]), Key: &row, Proof: none, Valid: true},
		{Name: "no rows at all, of another state", AppHash: hash, Key: &row, Proof: none},
		{Name: "an entry", AppHash: hash, Index: new(uint64(10)), Entry: new(hexOf("entry 10")), Proof: entry, Valid: true},
		{Name: "an entry at another index", AppHash: hash, Index: new(uint64(11)), Entry: new(hexOf("entry 10")), Proof: entry},
		{Name: "another entry", AppHash: hash, Index: new(uint64(10)), Entry: new(hexOf("entry 11")), Proof: entry},
		{Name: "an extension", AppHash: hash, Old: before, Proof: extend, Valid: true},
		{Name: "an extension of another log", AppHash: hash, Old: &wrong, Proof: extend},
		{Name: "a proof cut short", AppHash: hash, Key: &row, Value: &value, Proof: there[:len(there)-2]},
		{Name: "a proof with a byte after it", AppHash: hash, Key: &row, Value: &value, Proof: there + "00"},
	}
}

// TestVectorsAreWhatWeMake; run with -update to write them.
func TestVectorsAreWhatWeMake(t *testing.T) {
	golden(t, "states.json", stateVectors())
	golden(t, "proofs.json", proofVectors(t))
}

func golden[T any](t *testing.T, name string, want []T) {
	path := filepath.Join(vectorDir, name)
	if *update {
		b, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []T
	load(t, name, &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s differs (-made +file):\n%s", name, diff)
	}
}

func load(t *testing.T, name string, v any) {
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// TestStateVectors builds each state of the vectors in a store.
func TestStateVectors(t *testing.T) {
	var vectors []stateVector
	load(t, "states.json", &vectors)
	for _, c := range vectors {
		m := newModel()
		for _, r := range c.Rows {
			m.rows[string(unhex(t, r[0]))] = string(unhex(t, r[1]))
		}
		for _, e := range c.Entries {
			m.entries = append(m.entries, string(unhex(t, e)))
		}
		got := storeOf(t, m).Last()
		if got.TreeRoot != hash32(t, c.TreeRoot) || got.LogRoot != hash32(t, c.LogRoot) || got.AppHash != hash32(t, c.AppHash) {
			t.Errorf("%s: got %x, %x, %x", c.Name, got.TreeRoot, got.LogRoot, got.AppHash)
		}
	}
}

func TestProofVectors(t *testing.T) {
	var vectors []proofVector
	load(t, "proofs.json", &vectors)
	for _, c := range vectors {
		err := verifyVector(t, c)
		if c.Valid && err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if !c.Valid && err == nil {
			t.Errorf("%s: verifies", c.Name)
		}
	}
}

func verifyVector(t *testing.T, c proofVector) error {
	b, hash := unhex(t, c.Proof), hash32(t, c.AppHash)
	switch {
	case c.Key != nil:
		var value []byte
		if c.Value != nil {
			value = unhex(t, *c.Value)
		}
		var p state.KeyProof
		return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(hash, unhex(t, *c.Key), value) })
	case c.Index != nil:
		var p state.EntryProof
		return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(hash, *c.Index, unhex(t, *c.Entry)) })
	case c.Old != nil:
		var p state.ExtensionProof
		old := state.Roots{Tree: hash32(t, c.Old.TreeRoot), Log: hash32(t, c.Old.LogRoot), Size: c.Old.LogSize}
		return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(hash32(t, c.Old.AppHash), old, hash) })
	}
	return errors.New("a vector of no kind")
}
