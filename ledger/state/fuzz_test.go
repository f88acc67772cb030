package state_test

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// fuzzProof: what decodes encodes to the same bytes, and verifying it neither
// panics nor succeeds for what is not there.
func fuzzProof[P any](f *testing.F, seeds []*P, verify func(p *P) error) {
	for _, p := range seeds {
		f.Add(tx.MustEncode(p))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p P
		if tx.DecodeAny(b, &p, 1<<20) != nil {
			return
		}
		if again := tx.MustEncode(&p); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, but encodes to %x", b, again)
		}
		if verify(&p) == nil {
			t.Fatalf("%x proves what is not so", b)
		}
	})
}

func FuzzKeyProof(f *testing.F) {
	m := sample(50, 3)
	v := view(f, storeOf(f, m))
	var seeds []*state.KeyProof
	for _, k := range []string{"row 1", "row 2", "no row", "no"} {
		p, err := v.ProveKey([]byte(k))
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, p)
	}
	hash := m.appHash()
	fuzzProof(f, append(seeds, &state.KeyProof{}), func(p *state.KeyProof) error {
		if p.Verify(hash, []byte("row 3"), []byte("value 4")) == nil {
			return nil
		}
		return p.Verify(hash, []byte("row 3"), nil)
	})
}

// FuzzICS23 reaches the part of a KeyProof that is not CBOR.
func FuzzICS23(f *testing.F) {
	m := sample(50, 3)
	v := view(f, storeOf(f, m))
	for _, k := range []string{"row 1", "row 3", "no row", "no"} {
		p, err := v.ProveKey([]byte(k))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Proof)
	}
	hash, at := m.appHash(), v.Meta()
	f.Fuzz(func(t *testing.T, b []byte) {
		p := state.KeyProof{Proof: b, LogRoot: at.LogRoot, LogSize: at.LogSize}
		if p.Verify(hash, []byte("row 3"), []byte("value 4")) == nil || p.Verify(hash, []byte("row 3"), nil) == nil {
			t.Fatalf("%x proves what is not so", b)
		}
	})
}

func FuzzEntryProof(f *testing.F) {
	m := sample(3, 20)
	v := view(f, storeOf(f, m))
	p, err := v.ProveEntry(7)
	if err != nil {
		f.Fatal(err)
	}
	hash := m.appHash()
	fuzzProof(f, []*state.EntryProof{p, {}}, func(p *state.EntryProof) error {
		return p.Verify(hash, 7, []byte("entry 8"))
	})
}

func FuzzExtensionProof(f *testing.F) {
	m, old := sample(3, 20), sample(3, 9)
	v := view(f, storeOf(f, m))
	p, err := v.ProveExtension(9)
	if err != nil {
		f.Fatal(err)
	}
	old.entries[2] = "never there"
	fuzzProof(f, []*state.ExtensionProof{p, {}}, func(p *state.ExtensionProof) error {
		return p.Verify(old.appHash(), old.roots(), m.appHash())
	})
}

// fuzzRecode: what decodes encodes to the same bytes.
func fuzzRecode(f *testing.F, recode func([]byte) ([]byte, error)) {
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := recode(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%x decodes, but encodes to %x", b, again)
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add(append([]byte{0, 1, 0x80, 0}, make([]byte, 96)...))
	f.Add(append([]byte{0, 1, 0, 0}, make([]byte, 64)...))
	fuzzRecode(f, state.RecodePage)
}

func FuzzMeta(f *testing.F) {
	f.Add(append([]byte{1}, make([]byte, 88)...))
	fuzzRecode(f, state.RecodeMeta)
}

func FuzzChunk(f *testing.F) {
	_, chunks := export(f, storeOf(f, sample(5, 5)))
	f.Add(chunks[0])
	fuzzRecode(f, state.RecodeChunk)
}

// FuzzImport: whatever a peer sends, an import makes the state it was asked for
// or leaves nothing.
func FuzzImport(f *testing.F) {
	m := sample(5, 5)
	manifest, chunks := export(f, storeOf(f, m))
	f.Add(manifest, chunks[0], true)
	f.Add(manifest, chunks[0], false)
	f.Fuzz(func(t *testing.T, manifest, chunk []byte, relist bool) {
		if relist { // let the chunk pass its hash
			hash := sum(chunk)
			if at := len(manifest) - 32; at > 0 {
				manifest = append(bytes.Clone(manifest[:at]), hash[:]...)
			}
		}
		disk := vfs.NewMem()
		o := crashOptions
		o.FS = disk
		s, err := importAll(o, manifest, [][]byte{chunk}, m.appHash())
		if err != nil {
			if got := leftovers(t, disk); len(got) > 0 {
				t.Fatalf("left %v", got)
			}
			return
		}
		if err := s.Check(nil); err != nil {
			t.Fatal(err)
		}
		v := s.View()
		got := 0
		v.Scan(nil, func(k, value []byte) bool {
			if m.rows[string(k)] != string(value) {
				t.Fatal("a row is wrong")
			}
			got++
			return true
		})
		v.Close()
		if got != len(m.rows) || s.Close() != nil {
			t.Fatalf("got %d rows", got)
		}
	})
}
