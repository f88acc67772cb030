package state_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/vfs"
	ics23 "github.com/cosmos/ics23/go"
	"github.com/google/go-cmp/cmp"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// storeOf returns a store in memory with the model's rows and entries.
func storeOf(t testing.TB, m *model) *state.Store {
	t.Helper()
	s, err := state.Open("s", state.Options{FS: vfs.NewMem(), BlockCache: 1 << 20, MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	commit(t, s, func(c *state.Cache) {
		for k, v := range m.rows {
			c.Set([]byte(k), []byte(v))
		}
		for _, e := range m.entries {
			c.Append([]byte(e))
		}
	})
	if got, want := s.Last().AppHash, m.appHash(); got != want {
		t.Fatalf("got app hash %x, want %x", got, want)
	}
	return s
}

// commit commits one block over the last version.
func commit(t testing.TB, s *state.Store, change func(*state.Cache)) state.Meta {
	t.Helper()
	v := s.View()
	defer v.Close()
	c := state.NewCache(v)
	change(c)
	if _, err := s.Stage(state.Block{Height: s.Last().Height + 1, Time: 1_700_000_000, Changes: c}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	return s.Last()
}

func sample(rows, entries int) *model {
	m := newModel()
	for i := range rows {
		m.rows[fmt.Sprintf("row %d", i)] = fmt.Sprintf("value %d", i)
	}
	for i := range entries {
		m.entries = append(m.entries, fmt.Sprintf("entry %d", i))
	}
	return m
}

// view returns a view that the test closes.
func view(t testing.TB, s *state.Store) *state.View {
	v := s.View()
	t.Cleanup(v.Close)
	return v
}

// TestStockICS23Verifies: a client with nothing but the ICS23 library and its
// SmtSpec can check what we prove.
func TestStockICS23Verifies(t *testing.T) {
	for _, n := range []int{1, 2, 3, 17, 300, 5000} {
		m := sample(n, 0)
		v := view(t, storeOf(t, m))
		root := v.Meta().TreeRoot
		for i := range 300 {
			for _, k := range []string{fmt.Sprintf("row %d", i), fmt.Sprintf("no row %d", i)} {
				p, err := v.ProveKey([]byte(k))
				if err != nil {
					t.Fatal(err)
				}
				var c ics23.CommitmentProof
				if err := c.Unmarshal(p.Proof); err != nil {
					t.Fatal(err)
				}
				key := sha256.Sum256([]byte(k))
				value, there := m.rows[k]
				var ok bool
				if there {
					sum := sha256.Sum256([]byte(value))
					ok = ics23.VerifyMembership(ics23.SmtSpec, root[:], &c, key[:], sum[:])
				} else {
					ok = ics23.VerifyNonMembership(ics23.SmtSpec, root[:], &c, key[:])
				}
				if !ok {
					t.Fatalf("%d rows: ICS23 refuses the proof of %q", n, k)
				}
				if bytes.Contains(p.Proof, []byte("row ")) || bytes.Contains(p.Proof, []byte("value ")) {
					t.Fatal("a proof shows a key or a value")
				}
			}
		}
	}
}

// TestProofOfAnotherThingFails: each proof holds for one claim only.
func TestProofOfAnotherThingFails(t *testing.T) {
	m := sample(100, 33)
	v := view(t, storeOf(t, m))
	hash := v.Meta().AppHash
	other := sample(101, 33).appHash()
	there, _ := v.ProveKey([]byte("row 5"))
	absent, _ := v.ProveKey([]byte("no row"))
	empty, _ := view(t, storeOf(t, sample(0, 33))).ProveKey([]byte("row 5"))
	entry, _ := v.ProveEntry(7)
	extend, _ := v.ProveExtension(20)
	short := sample(100, 20)
	shorter := sample(100, 19)

	for _, c := range []struct {
		rule string
		err  error
		ok   bool
	}{
		{"value", there.Verify(hash, []byte("row 5"), []byte("value 5")), true},
		{"other app hash", there.Verify(other, []byte("row 5"), []byte("value 5")), false},
		{"other key", there.Verify(hash, []byte("row 6"), []byte("value 5")), false},
		{"other value", there.Verify(hash, []byte("row 5"), []byte("value 6")), false},
		{"empty value", there.Verify(hash, []byte("row 5"), []byte{}), false},
		{"membership for absence", there.Verify(hash, []byte("row 5"), nil), false},
		{"absence", absent.Verify(hash, []byte("no row"), nil), true},
		{"absence of another key", absent.Verify(hash, []byte("no row 2"), nil), false},
		{"absence of a key that is there", absent.Verify(hash, []byte("row 5"), nil), false},
		{"absence for membership", absent.Verify(hash, []byte("no row"), []byte{}), false},
		{"absence from another tree", empty.Verify(hash, []byte("no row"), nil), false},
		{"absence from the empty tree", empty.Verify(sample(0, 33).appHash(), []byte("no row"), nil), true},
		{"value in the empty tree", empty.Verify(sample(0, 33).appHash(), []byte("no row"), []byte{}), false},
		{"no proof", new(state.KeyProof).Verify(hash, []byte("row 5"), nil), false},
		{"entry", entry.Verify(hash, 7, []byte("entry 7")), true},
		{"entry at another index", entry.Verify(hash, 8, []byte("entry 7")), false},
		{"another entry", entry.Verify(hash, 7, []byte("entry 8")), false},
		{"entry at another app hash", entry.Verify(other, 7, []byte("entry 7")), false},
		{"entry beyond the log", entry.Verify(hash, 1<<63, []byte("entry 7")), false},
		{"no entry proof", new(state.EntryProof).Verify(hash, 0, nil), false},
		{"extension", extend.Verify(short.appHash(), short.roots(), hash), true},
		{"extension of another log", extend.Verify(shorter.appHash(), shorter.roots(), hash), false},
		{"extension to another app hash", extend.Verify(short.appHash(), short.roots(), other), false},
		{"roots of another app hash", extend.Verify(other, short.roots(), hash), false},
		{"no extension", new(state.ExtensionProof).Verify(short.appHash(), short.roots(), hash), false},
		{"shrinking", extend.Verify(hash, m.roots(), short.appHash()), false},
	} {
		if c.ok && c.err != nil {
			t.Errorf("%s: %v", c.rule, c.err)
		}
		if !c.ok && !errors.Is(c.err, state.ErrProof) {
			t.Errorf("%s: got %v, want ErrProof", c.rule, c.err)
		}
	}
	if _, err := v.ProveEntry(33); !errors.Is(err, state.ErrRange) {
		t.Errorf("entry beyond the log: got %v", err)
	}
	if _, err := v.ProveExtension(34); !errors.Is(err, state.ErrRange) {
		t.Errorf("extension from beyond the log: got %v", err)
	}
}

// TestForgedEmptyLogFails: the root of no entries is fixed too.
func TestForgedEmptyLogFails(t *testing.T) {
	v := view(t, storeOf(t, sample(3, 3)))
	p, err := v.ProveExtension(0)
	if err != nil {
		t.Fatal(err)
	}
	old := sample(1, 0).roots()
	if err := p.Verify(old.AppHash(), old, v.Meta().AppHash); err != nil {
		t.Fatal(err)
	}
	old.Log[0] ^= 1
	if err := p.Verify(old.AppHash(), old, v.Meta().AppHash); !errors.Is(err, state.ErrProof) {
		t.Fatalf("got %v, want ErrProof", err)
	}
}

// TestAlteredProofFails flips every bit of encoded proofs: whatever still
// decodes does not verify.
func TestAlteredProofFails(t *testing.T) {
	m := sample(40, 21)
	v := view(t, storeOf(t, m))
	hash := v.Meta().AppHash
	short := sample(40, 13)
	verify := map[string]func(b []byte) error{
		"row 3": func(b []byte) error {
			var p state.KeyProof
			return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(hash, []byte("row 3"), []byte("value 3")) })
		},
		"no row": func(b []byte) error {
			var p state.KeyProof
			return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(hash, []byte("no row"), nil) })
		},
		"entry": func(b []byte) error {
			var p state.EntryProof
			return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(hash, 20, []byte("entry 20")) })
		},
		"extension": func(b []byte) error {
			var p state.ExtensionProof
			return first(tx.DecodeAny(b, &p, 1<<20), func() error { return p.Verify(short.appHash(), short.roots(), hash) })
		},
	}
	there, _ := v.ProveKey([]byte("row 3"))
	absent, _ := v.ProveKey([]byte("no row"))
	entry, _ := v.ProveEntry(20)
	extend, _ := v.ProveExtension(13)
	for name, p := range map[string]any{"row 3": there, "no row": absent, "entry": entry, "extension": extend} {
		b := tx.MustEncode(p)
		if err := verify[name](b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range b {
			for bit := range 8 {
				c := bytes.Clone(b)
				c[i] ^= 1 << bit
				if verify[name](c) == nil {
					t.Errorf("%s: verifies with bit %d of byte %d of %d flipped", name, bit, i, len(b))
				}
			}
			if verify[name](b[:i]) == nil {
				t.Errorf("%s: verifies when cut to %d bytes", name, i)
			}
		}
	}
}

func first(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// TestForgedAbsenceFails tries to deny a row with the proofs of its neighbours.
func TestForgedAbsenceFails(t *testing.T) {
	m := sample(60, 0)
	v := view(t, storeOf(t, m))
	proofs := []*ics23.ExistenceProof{nil}
	for i := range 60 {
		p, err := v.ProveKey(fmt.Appendf(nil, "row %d", i))
		if err != nil {
			t.Fatal(err)
		}
		var c ics23.CommitmentProof
		if err := c.Unmarshal(p.Proof); err != nil {
			t.Fatal(err)
		}
		proofs = append(proofs, c.GetExist())
	}
	target := sha256.Sum256([]byte("row 30"))
	for _, l := range proofs {
		for _, r := range proofs {
			c := ics23.CommitmentProof{Proof: &ics23.CommitmentProof_Nonexist{Nonexist: &ics23.NonExistenceProof{
				Key: target[:], Left: l, Right: r,
			}}}
			b, err := c.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			p := state.KeyProof{Proof: b, LogRoot: v.Meta().LogRoot, LogSize: v.Meta().LogSize}
			if err := p.Verify(v.Meta().AppHash, []byte("row 30"), nil); !errors.Is(err, state.ErrProof) {
				t.Fatalf("got %v, want ErrProof", err)
			}
		}
	}
}

// TestAppHashStaysWhenNothingChanges, whatever the block does to get there.
func TestAppHashStaysWhenNothingChanges(t *testing.T) {
	s := storeOf(t, sample(50, 5))
	want := s.Last()
	got := commit(t, s, func(c *state.Cache) {
		c.Set([]byte("row 7"), []byte("value 7"))
		c.Set([]byte("row 8"), []byte("another"))
		c.Set([]byte("row 8"), []byte("value 8"))
		c.Delete([]byte("never there"))
		c.Set([]byte("come"), []byte("and gone"))
		c.Delete([]byte("come"))
	})
	want.Height++
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if _, err := s.Stage(state.Block{Height: got.Height + 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if s.Last().AppHash != want.AppHash {
		t.Fatal("an empty block changed the app hash")
	}
	if err := s.Check(nil); err != nil {
		t.Fatal(err)
	}
}
