package state_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"salus/ledger/state"
)

// crashFS counts what changes the disk and crashes at one step. A power cut
// makes nothing durable from then on: what was not synced is lost. A kill keeps
// all that was written so far, and half of the write it falls into. The store
// is not told and goes on.
type crashFS struct {
	vfs.FS
	mem  *vfs.MemFS
	kill *vfs.MemFS // what a kill leaves; nil for a power cut

	mu    sync.Mutex
	at    int // the step of the crash; 0 for never
	steps int
}

func newCrashFS(at int, kill bool) *crashFS {
	c := &crashFS{mem: vfs.NewStrictMem(), at: at}
	c.FS = c.mem
	if kill {
		c.kill = vfs.NewMem()
	}
	return c
}

// disk returns what is there after the crash.
func (c *crashFS) disk() vfs.FS {
	if c.kill != nil {
		return c.kill
	}
	c.mem.ResetToSyncedState()
	c.mem.SetIgnoreSyncs(false)
	return c.mem
}

// step counts; torn does the first half of what the crash falls into.
func (c *crashFS) step(torn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps++; c.steps != c.at {
		return
	}
	if c.kill == nil {
		c.mem.SetIgnoreSyncs(true)
		return
	}
	torn()
	names, err := c.mem.List("")
	if err != nil {
		panic(err)
	}
	for _, n := range names {
		if _, err := vfs.Clone(c.mem, c.kill, n, n); err != nil {
			panic(err)
		}
	}
}

func nothing() {}

func (c *crashFS) crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at > 0 && c.steps >= c.at
}

func (c *crashFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &crashFile{f, c}, nil
}

func (c *crashFS) Create(n string) (vfs.File, error) {
	c.step(nothing)
	return c.wrap(c.FS.Create(n))
}

func (c *crashFS) ReuseForWrite(a, b string) (vfs.File, error) {
	c.step(nothing)
	return c.wrap(c.FS.ReuseForWrite(a, b))
}

func (c *crashFS) OpenReadWrite(n string, o ...vfs.OpenOption) (vfs.File, error) {
	return c.wrap(c.FS.OpenReadWrite(n, o...))
}

func (c *crashFS) OpenDir(n string) (vfs.File, error) { return c.wrap(c.FS.OpenDir(n)) }
func (c *crashFS) Rename(a, b string) error           { c.step(nothing); return c.FS.Rename(a, b) }
func (c *crashFS) Remove(n string) error              { c.step(nothing); return c.FS.Remove(n) }
func (c *crashFS) RemoveAll(n string) error           { c.step(nothing); return c.FS.RemoveAll(n) }
func (c *crashFS) Link(a, b string) error             { c.step(nothing); return c.FS.Link(a, b) }

type crashFile struct {
	vfs.File
	fs *crashFS
}

func (f *crashFile) Write(p []byte) (int, error) {
	half := 0
	f.fs.step(func() { half, _ = f.File.Write(p[:len(p)/2]) })
	n, err := f.File.Write(p[half:])
	return half + n, err
}

func (f *crashFile) Sync() error                  { f.fs.step(nothing); return f.File.Sync() }
func (f *crashFile) SyncData() error              { f.fs.step(nothing); return f.File.SyncData() }
func (f *crashFile) SyncTo(n int64) (bool, error) { f.fs.step(nothing); return f.File.SyncTo(n) }

var crashOptions = state.Options{PageCache: 64 << 10, BlockCache: 1 << 20, MemTable: 64 << 10}

// blockOf changes both the model and the cache the same way.
func blockOf(r *rand.Rand, m *model, c *state.Cache) {
	for range 60 {
		k := fmt.Sprintf("row %d", r.IntN(400))
		if r.IntN(4) == 0 {
			c.Delete([]byte(k))
			delete(m.rows, k)
			continue
		}
		v := fmt.Sprintf("value %d", r.Uint64())
		c.Set([]byte(k), []byte(v))
		m.rows[k] = v
	}
	for range r.IntN(5) {
		e := fmt.Sprintf("entry %d", r.Uint64())
		c.Append([]byte(e))
		m.entries = append(m.entries, e)
	}
}

// runToCrash commits blocks until the disk has crashed, and returns the app hashes by
// height and the last height acknowledged before the crash.
func runToCrash(t *testing.T, fs *crashFS, seed uint64, blocks int) (hashes [][32]byte, acked int) {
	o := crashOptions
	o.FS = fs
	m := newModel()
	hashes = [][32]byte{m.appHash()}
	s, err := state.Open("s", o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(seed, 0))
	for h := 1; h <= blocks && !fs.crashed(); h++ {
		v := s.View()
		c := state.NewCache(v)
		blockOf(r, m, c)
		hash, err := s.Stage(state.Block{Height: int64(h), Changes: c, Side: []state.Row{{Key: []byte("h"), Value: []byte(fmt.Sprint(h))}}})
		if err != nil {
			t.Fatal(err)
		}
		if hash != m.appHash() {
			t.Fatal("app hash differs from the model's")
		}
		hashes = append(hashes, hash)
		if err := s.Commit(); err != nil {
			t.Fatal(err)
		}
		v.Close()
		if !fs.crashed() {
			acked = h
		}
	}
	return hashes, acked
}

// verifyAfterCrash opens what is on disk: one of the versions since acked,
// whole, and able to go on.
func verifyAfterCrash(t *testing.T, disk vfs.FS, hashes [][32]byte, acked int) {
	t.Helper()
	o := crashOptions
	o.FS = disk
	s, err := state.Open("s", o)
	if err != nil {
		t.Fatalf("acknowledged %d: %v", acked, err)
	}
	defer s.Close()
	m := s.Last()
	if m.Height < int64(acked) || m.Height >= int64(len(hashes)) {
		t.Fatalf("height %d after the crash, but %d was acknowledged and %d staged", m.Height, acked, len(hashes)-1)
	}
	if m.AppHash != hashes[m.Height] {
		t.Fatalf("height %d has another app hash than before the crash", m.Height)
	}
	if err := s.Check(nil); err != nil {
		t.Fatal(err)
	}
	v := s.View()
	defer v.Close()
	if side, ok := v.Side([]byte("h")); ok != (m.Height > 0) || ok && string(side) != fmt.Sprint(m.Height) {
		t.Fatalf("side row %q at height %d", side, m.Height)
	}
	c := state.NewCache(v)
	c.Set([]byte("after"), []byte("the crash"))
	if _, err := s.Stage(state.Block{Height: m.Height + 1, Changes: c}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(nil); err != nil {
		t.Fatal(err)
	}
}

// TestCrashLeavesOneVersion cuts the power, and kills the process, at steps all
// over a life of 40 blocks with flushes and compactions.
func TestCrashLeavesOneVersion(t *testing.T) {
	whole := newCrashFS(0, false)
	hashes, _ := runToCrash(t, whole, 1, 40)
	if len(hashes) != 41 {
		t.Fatalf("got %d versions", len(hashes))
	}
	stride := *crashStride
	if testing.Short() {
		stride *= 10
	}
	for at := 1; at <= whole.steps; at += stride {
		for _, kill := range []bool{false, true} {
			fs := newCrashFS(at, kill)
			hashes, acked := runToCrash(t, fs, 1, 40)
			if fs.crashed() { // flushes run beside the writer: lives differ in length
				verifyAfterCrash(t, fs.disk(), hashes, acked)
			}
		}
	}
	t.Logf("%d steps, crashed at every %d", whole.steps, stride)
}

var crashStride = flag.Int("crash.stride", 17, "test a crash at every n-th step of the disk")
