package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"
)

// openTestRows opens a store of n wrapped keys.
func openTestRows(t testing.TB, dir string) *rows {
	t.Helper()
	r, err := openRows(disk{}, dir, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wrappedKey(i int) []byte { return rowKey(prefixKey, fmt.Appendf(nil, "%032d", i)) }

func fill(t testing.TB, r *rows, n int) {
	t.Helper()
	err := r.update(func(b *pebble.Batch) error {
		for i := range n {
			if err := b.Set(wrappedKey(i), r.roots.wrap(wrappedKey(i), fmt.Append(nil, "value ", i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func intact(t testing.TB, r *rows, n int) {
	t.Helper()
	for i := range n {
		if got, err := r.unwrapped(wrappedKey(i)); err != nil || string(got) != fmt.Sprint("value ", i) {
			t.Fatalf("row %d: got %q, %v", i, got, err)
		}
	}
}

// After a compaction nothing that was copied before can be read, and everything else can.
func TestCompactionMakesDeletionReal(t *testing.T) {
	dir := t.TempDir()
	r := openTestRows(t, dir)
	const n = 2*rewrapChunk + 10
	fill(t, r, n)
	gone, err := r.get(wrappedKey(0))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "roots"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.compact(start + 1); err != nil {
		t.Fatal(err)
	}
	intact(t, r, n)
	if _, err := r.roots.unwrap(wrappedKey(0), gone); !errors.Is(err, errDamaged) {
		t.Errorf("a row from before the compaction: got %v, want %v", err, errDamaged)
	}
	after, err := os.ReadFile(filepath.Join(dir, "roots"))
	if err != nil {
		t.Fatal(err)
	}
	old := &roots{}
	if err := old.decode(before); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(after, old.list[0].key[:]) {
		t.Error("the old root is still in the file")
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	r = openTestRows(t, dir)
	defer r.close()
	intact(t, r, n)
	if born, unfinished := r.roots.born(); born != start+1 || unfinished {
		t.Errorf("got a root of %d, unfinished %v", born, unfinished)
	}
}

// A crash anywhere in a compaction loses nothing, and the next one ends it.
func TestACrashInACompactionLosesNothing(t *testing.T) {
	const n = 2*rewrapChunk + 10
	dir := t.TempDir()
	var copies []string
	snapshot := func(name string) {
		to := filepath.Join(dir, "crash", name)
		if err := os.CopyFS(to, os.DirFS(filepath.Join(dir, "live"))); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, to)
	}
	r := openTestRows(t, filepath.Join(dir, "live"))
	fill(t, r, n)
	snapshot("before")
	fresh, err := r.roots.begin(start + 1)
	if err != nil {
		t.Fatal(err)
	}
	snapshot("fresh root in the file")
	at, err := r.rewrap([]byte{prefixKey}, fresh.generation)
	if err != nil || at == nil {
		t.Fatal(at, err)
	}
	snapshot("first rows wrapped again")
	for at != nil {
		if at, err = r.rewrap(at, fresh.generation); err != nil {
			t.Fatal(err)
		}
	}
	snapshot("all rows wrapped again")
	// The replacement of the file, cut off after its first step.
	if err := (disk{}).writeSync(filepath.Join(dir, "live", "roots.next"), r.roots.encode()[:50]); err != nil {
		t.Fatal(err)
	}
	snapshot("torn next file")
	if err := r.roots.end(); err != nil {
		t.Fatal(err)
	}
	snapshot("old root gone")
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		t.Run(filepath.Base(c), func(t *testing.T) {
			r := openTestRows(t, c)
			defer r.close()
			intact(t, r, n)
			if err := r.compact(start + 2); err != nil {
				t.Fatal(err)
			}
			intact(t, r, n)
			if _, unfinished := r.roots.born(); unfinished {
				t.Error("the compaction left two roots")
			}
			if _, err := os.Stat(filepath.Join(c, "roots.next")); err == nil {
				t.Error("the torn file is still there")
			}
		})
	}
}

// oldest is the generation of the oldest root: it changes when one is destroyed.
func (r *roots) oldest() uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.list[0].generation
}

// What was read before a compaction can be opened after it, unless it is gone.
func TestReadersOutliveACompaction(t *testing.T) {
	r := openTestRows(t, t.TempDir())
	defer r.close()
	fill(t, r, 2)
	read := func(i int) []byte {
		b, err := r.get(wrappedKey(i))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stays, goes := read(0), read(1)
	if err := r.compact(start); err != nil {
		t.Fatal(err)
	}
	if err := r.drop(r.update, wrappedKey(1)); err != nil {
		t.Fatal(err)
	}
	if got, err := r.unwrap(wrappedKey(0), stays); err != nil || string(got) != "value 0" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := r.unwrap(wrappedKey(1), goes); !errors.Is(err, errAbsent) {
		t.Errorf("got %v, want %v", err, errAbsent)
	}
	bad := read(0)
	bad[10] ^= 1
	if err := r.set(wrappedKey(0), bad); err != nil {
		t.Fatal(err)
	}
	if _, err := r.unwrapped(wrappedKey(0)); !errors.Is(err, errDamaged) {
		t.Errorf("got %v, want %v", err, errDamaged)
	}
}

// What is deleted, replaced or added while a compaction runs is gone, replaced or there
// after it.
func TestCompactionDoesNotRaceWithWriters(t *testing.T) {
	r := openTestRows(t, t.TempDir())
	defer r.close()
	const n = 3 * rewrapChunk
	fill(t, r, n)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		defer close(stop)
		for i := range 4 {
			if err := r.compact(start + uint64(i)); err != nil {
				t.Error(err)
			}
		}
	})
	write := func(step int, f func(i int) error) {
		wg.Go(func() {
			for i := step; i < n; i += 3 {
				if err := f(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	lazy := func(f func(*pebble.Batch) error) error { return r.updateLazy(f) }
	write(0, func(i int) error { return r.drop(lazy, wrappedKey(i)) })
	write(1, func(i int) error {
		return lazy(func(b *pebble.Batch) error {
			return b.Set(wrappedKey(i), r.roots.wrap(wrappedKey(i), []byte("replaced")), nil)
		})
	})
	write(2, func(i int) error {
		return lazy(func(b *pebble.Batch) error {
			return b.Set(wrappedKey(n+i), r.roots.wrap(wrappedKey(n+i), []byte("added")), nil)
		})
	})
	wg.Go(func() { // readers never see a row without its root
		for i := 2; ; i = (i + 3) % n {
			select {
			case <-stop:
				return
			default:
			}
			if i%3 == 2 {
				if _, err := r.unwrapped(wrappedKey(i)); err != nil {
					t.Errorf("row %d while compacting: %v", i, err)
					return
				}
			}
		}
	})
	wg.Wait()
	for i := range n {
		want := []string{"", "replaced", fmt.Sprint("value ", i)}[i%3]
		got, err := r.unwrapped(wrappedKey(i))
		if want == "" {
			if !errors.Is(err, errAbsent) {
				t.Fatalf("row %d came back: %v", i, err)
			}
		} else if err != nil || string(got) != want {
			t.Fatalf("row %d: got %q, %v, want %q", i, got, err, want)
		}
		if i%3 == 2 {
			if got, err := r.unwrapped(wrappedKey(n + i)); err != nil || string(got) != "added" {
				t.Fatalf("row %d: got %q, %v", n+i, got, err)
			}
		}
	}
}

// A lost or damaged file of roots is an error: fresh roots would hide the loss.
func TestALostFileOfRootsIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	r := openTestRows(t, dir)
	fill(t, r, 1)
	good := r.roots.encode()
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "roots")
	for i := -1; i < len(good); i++ {
		bad := bytes.Clone(good)
		if i < 0 {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		} else {
			bad[i] ^= 0x10
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := new(roots).decode(bad); !errors.Is(err, errRoots) {
				t.Fatalf("byte %d: got %v, want %v", i, err, errRoots)
			}
		}
		if i < 4 {
			if _, err := openRows(disk{}, dir, start); !errors.Is(err, errRoots) {
				t.Fatalf("byte %d: got %v, want %v", i, err, errRoots)
			}
		}
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	r = openTestRows(t, dir)
	defer r.close()
	intact(t, r, 1)
}

// A root is replaced when it is a day old by its own date, also if the process never lives
// a day; and what a crash left is ended at once.
func TestRootsAreReplacedByTheirOwnAge(t *testing.T) {
	w := newWorld(t)
	m := w.node("lab")
	b := w.batch("alice", allowedSlot)
	generation := m.rows.roots.oldest()
	tick := func() {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // one round
		if err := m.compactions(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	w.advance(compactEvery - 2*time.Minute)
	m.reopen(filepath.Join(w.dir, "lab"))
	tick()
	if m.rows.roots.oldest() != generation {
		t.Error("a root was replaced before its day was over")
	}
	w.advance(compactEvery)
	m.reopen(filepath.Join(w.dir, "lab"))
	tick()
	if m.rows.roots.oldest() != generation+1 {
		t.Error("an old root was not replaced")
	}
	if _, err := m.rows.roots.begin(0); err != nil {
		t.Fatal(err)
	}
	m.reopen(filepath.Join(w.dir, "lab"))
	tick()
	if _, unfinished := m.rows.roots.born(); unfinished {
		t.Error("an unfinished compaction was not ended")
	}
	if _, err := m.rows.batch(b.Header.Hash()); err != nil {
		t.Error(err)
	}
	if err := m.Check(context.Background()); err != nil {
		t.Error(err)
	}
}
