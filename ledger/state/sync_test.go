package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// export returns the manifest and the chunks of a store.
func export(t testing.TB, s *state.Store) (manifest []byte, chunks [][]byte) {
	t.Helper()
	e, err := s.Export(view(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got, want := e.Hash(), sum(e.Manifest()); got != want {
		t.Fatalf("got hash %x, want %x", got, want)
	}
	for i := range e.Chunks() {
		c, err := e.Chunk(i)
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, c)
	}
	if _, err := e.Chunk(e.Chunks()); err == nil {
		t.Fatal("there is a chunk too many")
	}
	return e.Manifest(), chunks
}

// large is a model whose export has several chunks.
func large() *model {
	m := sample(3000, 700)
	for i := range 40 {
		m.rows[fmt.Sprintf("big %d", i)] = string(bytes.Repeat([]byte{byte(i)}, 60_000))
	}
	for i := range 30 {
		m.entries = append(m.entries, string(bytes.Repeat([]byte{byte(i)}, 50_000)))
	}
	return m
}

func importAll(o state.Options, manifest []byte, chunks [][]byte, want [32]byte) (*state.Store, error) {
	p, err := state.Import("copy", o, manifest)
	if err != nil {
		return nil, err
	}
	for i, c := range chunks {
		if err := p.Add(i, c); err != nil {
			return nil, errors.Join(err, p.Abort())
		}
	}
	return p.Finish(want)
}

// TestExportIsDeterministic: two members cut the same version into the same
// chunks, whatever blocks and restarts led to it, and an export stays what it
// is while blocks are committed.
func TestExportIsDeterministic(t *testing.T) {
	m := large()
	a := storeOf(t, m)
	manifest, chunks := export(t, a)
	if len(chunks) < 4 {
		t.Fatalf("got %d chunks, want several", len(chunks))
	}
	for i, c := range chunks {
		if len(c) > 1<<20 {
			t.Errorf("chunk %d has %d bytes", i, len(c))
		}
	}
	b, err := importAll(state.Options{FS: vfs.NewMem()}, manifest, chunks, m.appHash())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	again, same := export(t, b)
	if !bytes.Equal(again, manifest) || !slices.EqualFunc(chunks, same, bytes.Equal) {
		t.Fatal("the copy exports something else")
	}

	e, err := a.Export(view(t, a))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for range 20 { // more than At keeps
		commit(t, a, func(c *state.Cache) { c.Set([]byte("row 1"), []byte("later")); c.Append(nil) })
	}
	for i := range chunks {
		if c, err := e.Chunk(i); err != nil || !bytes.Equal(c, chunks[i]) {
			t.Fatalf("chunk %d changed: %v", i, err)
		}
	}
}

// TestImportedStoreGoesOn: it proves old entries and takes the next block to
// the same app hash.
func TestImportedStoreGoesOn(t *testing.T) {
	m := large()
	a := storeOf(t, m)
	manifest, chunks := export(t, a)
	disk := vfs.NewStrictMem()
	b, err := importAll(state.Options{FS: disk}, manifest, chunks, m.appHash())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Last(), a.Last(); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
	next := func(c *state.Cache) { c.Set([]byte("row 1"), []byte("next")); c.Append([]byte("next")) }
	if got, want := commit(t, b, next), commit(t, a, next); got != want {
		t.Fatalf("after the next block: got %v, want %v", got, want)
	}
	if err := errors.Join(b.Check(nil), b.Close()); err != nil {
		t.Fatal(err)
	}
	disk.ResetToSyncedState()
	c, err := state.Open("copy", state.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Last(), a.Last(); got != want {
		t.Fatalf("after a power cut: got %v, want %v", got, want)
	}
	if err := errors.Join(c.Check(nil), c.Close()); err != nil {
		t.Fatal(err)
	}
}

// leftovers lists what an import left on the disk.
func leftovers(t testing.TB, disk vfs.FS) []string {
	names, err := disk.List("")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestWrongImportLeavesNothing: whatever a peer sends.
func TestWrongImportLeavesNothing(t *testing.T) {
	m := large()
	manifest, chunks := export(t, storeOf(t, m))
	other := sample(3001, 700)
	_, otherChunks := export(t, storeOf(t, other))

	// forge encodes a manifest of ours over chunks of anybody's.
	forge := func(chunks ...[]byte) []byte {
		type raw struct {
			Version uint64      `cbor:"1,keyasint"`
			Height  uint64      `cbor:"2,keyasint"`
			Time    uint64      `cbor:"3,keyasint"`
			Roots   state.Roots `cbor:"4,keyasint"`
			Chunks  [][32]byte  `cbor:"5,keyasint"`
		}
		f := raw{Version: 1, Height: 1, Time: 1, Roots: m.roots()}
		for _, c := range chunks {
			f.Chunks = append(f.Chunks, sum(c))
		}
		return tx.MustEncode(f)
	}
	row := func(k string) []byte {
		return append([]byte{1, 0, 0, 0, byte(len(k))}, append([]byte(k), 0, 0, 0, 0)...)
	}
	entry := []byte{2, 0, 0, 0, 1, 'e'}
	for _, c := range []struct {
		rule     string
		manifest []byte
		chunks   [][]byte
		hash     [32]byte
		want     error
	}{
		{"another app hash", manifest, chunks, other.appHash(), state.ErrSnapshot},
		{"a chunk missing", manifest, chunks[:len(chunks)-1], m.appHash(), state.ErrSnapshot},
		{"chunks of another state", forge(otherChunks...), otherChunks, m.appHash(), state.ErrSnapshot},
		{"a chunk altered", manifest, [][]byte{append(bytes.Clone(chunks[0]), 0)}, m.appHash(), state.ErrChunk},
		{"chunks out of order", manifest, [][]byte{chunks[1]}, m.appHash(), state.ErrChunk},
		{"a chunk too many", forge(row("a")), [][]byte{row("a"), row("b")}, m.appHash(), state.ErrChunk},
		{"rows out of order", forge(row("b"), row("a")), [][]byte{row("b"), row("a")}, m.appHash(), state.ErrSnapshot},
		{"a row twice", forge(append(row("a"), row("a")...)), [][]byte{append(row("a"), row("a")...)}, m.appHash(), state.ErrSnapshot},
		{"the empty row twice", forge(row(""), row("")), [][]byte{row(""), row("")}, m.appHash(), state.ErrSnapshot},
		{"a row after an entry", forge(append(bytes.Clone(entry), row("a")...)), [][]byte{append(bytes.Clone(entry), row("a")...)}, m.appHash(), state.ErrSnapshot},
		{"a row in the chunk after an entry", forge(entry, row("a")), [][]byte{entry, row("a")}, m.appHash(), state.ErrSnapshot},
		{"an unknown record", forge([]byte{3}), [][]byte{{3}}, m.appHash(), state.ErrSnapshot},
		{"a record cut short", forge([]byte{1, 0, 0, 0, 9}), [][]byte{{1, 0, 0, 0, 9}}, m.appHash(), state.ErrSnapshot},
		{"a manifest cut short", manifest[:40], nil, m.appHash(), state.ErrSnapshot},
		{"a manifest without chunks", forge(), nil, m.appHash(), state.ErrSnapshot},
	} {
		disk := vfs.NewMem()
		s, err := importAll(state.Options{FS: disk}, c.manifest, c.chunks, c.hash)
		if s != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.rule, err, c.want)
		}
		if got := leftovers(t, disk); len(got) > 0 {
			t.Errorf("%s: left %v", c.rule, got)
		}
	}
}

// TestImportGoesOnAfterAWrongChunk: another peer sends the right one.
func TestImportGoesOnAfterAWrongChunk(t *testing.T) {
	m := large()
	manifest, chunks := export(t, storeOf(t, m))
	disk := vfs.NewMem()
	p, err := state.Import("copy", state.Options{FS: disk}, manifest)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range chunks {
		if err := p.Add(i, c[1:]); !errors.Is(err, state.ErrChunk) {
			t.Fatalf("got %v, want ErrChunk", err)
		}
		if err := p.Add(p.Next(), c); err != nil {
			t.Fatal(err)
		}
	}
	s, err := p.Finish(m.appHash())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Check(nil), s.Close(), p.Abort()); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(0, chunks[0]); err == nil {
		t.Fatal("an import takes chunks after its end")
	}
}

// TestImportReplacesOnlyAnEmptyStore.
func TestImportReplacesOnlyAnEmptyStore(t *testing.T) {
	m := sample(30, 3)
	manifest, chunks := export(t, storeOf(t, m))
	for _, blocks := range []int{0, 1} {
		o := state.Options{FS: vfs.NewMem()}
		s, err := state.Open("copy", o)
		if err != nil {
			t.Fatal(err)
		}
		for range blocks {
			commit(t, s, func(c *state.Cache) { c.Set([]byte("mine"), nil) })
		}
		want := s.Last()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := importAll(o, manifest, chunks, m.appHash())
		if blocks > 0 {
			if !errors.Is(err, state.ErrNotEmpty) {
				t.Fatalf("got %v, want ErrNotEmpty", err)
			}
			if got, err = state.Open("copy", o); err != nil || got.Last() != want {
				t.Fatal("the store that was there is not as it was", err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrashDuringImportLeavesNoHalfStore: after a crash there is the whole
// store, or none and the import can begin again.
func TestCrashDuringImportLeavesNoHalfStore(t *testing.T) {
	m := sample(600, 50)
	manifest, chunks := export(t, storeOf(t, m))
	o := crashOptions
	run := func(fs *crashFS) {
		o.FS = fs
		s, err := importAll(o, manifest, chunks, m.appHash())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	whole := newCrashFS(0, false)
	run(whole)
	for at := 1; at <= whole.steps; at += 3 {
		for _, kill := range []bool{false, true} {
			fs := newCrashFS(at, kill)
			run(fs)
			if !fs.crashed() {
				continue
			}
			o.FS = fs.disk()
			s, err := state.Open("copy", o)
			if err != nil {
				t.Fatal(err)
			}
			if s.Last().Height == 0 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = importAll(o, manifest, chunks, m.appHash()); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Last().AppHash; got != m.appHash() {
				t.Fatalf("step %d: got app hash %x", at, got)
			}
			if err := errors.Join(s.Check(nil), s.Close()); err != nil {
				t.Fatalf("step %d: %v", at, err)
			}
		}
	}
	t.Logf("%d steps", whole.steps)
}
