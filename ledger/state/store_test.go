package state_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"salus/ledger/state"
)

func TestStageRefusesWhatDoesNotFit(t *testing.T) {
	s := storeOf(t, sample(10, 3))
	old := view(t, s)
	commit(t, s, func(c *state.Cache) { c.Set([]byte("k"), nil) })
	now := view(t, s)
	for _, c := range []struct {
		rule  string
		block state.Block
		want  error
	}{
		{"the same height", state.Block{Height: 2}, state.ErrHeight},
		{"a height below", state.Block{Height: 1}, state.ErrHeight},
		{"the genesis again", state.Block{Height: 0}, state.ErrHeight},
		{"a negative height", state.Block{Height: -1}, state.ErrHeight},
		{"changes over an older version", state.Block{Height: 3, Changes: state.NewCache(old)}, state.ErrStale},
		{"changes over changes", state.Block{Height: 3, Changes: state.NewCache(state.NewCache(now))}, state.ErrStale},
		{"changes over another store", state.Block{Height: 3, Changes: state.NewCache(view(t, storeOf(t, sample(10, 3))))}, state.ErrStale},
	} {
		if _, err := s.Stage(c.block); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.rule, err, c.want)
		}
		if err := s.Commit(); err == nil {
			t.Errorf("%s: something was staged", c.rule)
		}
	}
	if got := s.Last().Height; got != 2 {
		t.Fatalf("got height %d, want 2", got)
	}
}

// TestViewStays: a view shows its version while blocks are committed beside it.
func TestViewStays(t *testing.T) {
	m := sample(200, 10)
	s := storeOf(t, m)
	v := view(t, s)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p, err := v.ProveKey([]byte("row 3"))
				if err != nil || p.Verify(m.appHash(), []byte("row 3"), []byte("value 3")) != nil {
					t.Error("the proof changed")
					return
				}
				if got, ok := v.Get([]byte("row 3")); !ok || string(got) != "value 3" {
					t.Errorf("got %q, %v", got, ok)
					return
				}
				w := s.View()
				if got, _ := w.Get([]byte("row 4")); !strings.HasPrefix(string(got), "value 4") {
					t.Errorf("got %q", got)
				}
				w.Close()
			}
		})
	}
	for range 60 {
		commit(t, s, func(c *state.Cache) {
			c.Set([]byte("row 3"), []byte("another"))
			c.Set([]byte("row 4"), []byte("value 4 "+string(rune('a'+c.Size()%26))))
			c.Append(nil)
		})
	}
	close(stop)
	wg.Wait()
	if v.Size() != 10 {
		t.Fatalf("got size %d, want 10", v.Size())
	}
	if _, ok := v.Entry(10); ok {
		t.Fatal("an entry appended later is visible")
	}
	v.Close()
	v.Close() // again: nothing
}

func TestCloseReportsOpenViews(t *testing.T) {
	s, err := state.Open("s", state.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	s.View()
	if err := s.Close(); err == nil {
		t.Fatal("got no error, want one")
	}
}

// TestSideRowsAreNotAuthenticated and come and go with blocks.
func TestSideRowsAreNotAuthenticated(t *testing.T) {
	s := storeOf(t, sample(3, 3))
	want := s.Last().AppHash
	hash, err := s.Stage(state.Block{Height: 2, Side: []state.Row{{Key: []byte("tx/1"), Value: []byte("x")}, {Key: []byte("tx/2"), Value: []byte{}}, {Key: []byte("ty"), Value: []byte("y")}}})
	if err != nil {
		t.Fatal(err)
	}
	if hash != want {
		t.Fatal("side rows changed the app hash")
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	v := view(t, s)
	if got, ok := v.Side([]byte("tx/1")); !ok || string(got) != "x" {
		t.Fatalf("got %q, %v", got, ok)
	}
	if _, ok := v.Get([]byte("tx/1")); ok {
		t.Fatal("a side row is a row")
	}
	var keys []string
	v.ScanSide([]byte("tx/"), func(k, _ []byte) bool { keys = append(keys, string(k)); return true })
	if got := strings.Join(keys, " "); got != "tx/1 tx/2" {
		t.Fatalf("got %q", got)
	}
	if _, err := s.Stage(state.Block{Height: 3, Side: []state.Row{{Key: []byte("tx/1")}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, ok := view(t, s).Side([]byte("tx/1")); ok {
		t.Fatal("the side row was not removed")
	}
}

// TestFullDiskRefusesAndKeepsWhatWasAcknowledged: a commit that fails is an
// error, the store is broken, and reopening it finds the last version.
func TestFullDiskRefusesAndKeepsWhatWasAcknowledged(t *testing.T) {
	mem := vfs.NewMem()
	full := &fullFS{FS: mem}
	s, err := state.Open("s", state.Options{FS: full})
	if err != nil {
		t.Fatal(err)
	}
	want := commit(t, s, func(c *state.Cache) { c.Set([]byte("k"), []byte("v")) })
	full.full.Store(true)
	v := s.View()
	c := state.NewCache(v)
	c.Set([]byte("k"), []byte("w"))
	if _, err := s.Stage(state.Block{Height: 2, Changes: c}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); err == nil {
		t.Fatal("a full disk took the commit")
	}
	if _, err := s.Stage(state.Block{Height: 2, Changes: c}); !errors.Is(err, state.ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	if err := s.Commit(); !errors.Is(err, state.ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	if got := s.Last(); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
	if got, _ := v.Get([]byte("k")); string(got) != "v" {
		t.Fatalf("got %q", got)
	}
	v.Close()
	if err := s.Close(); err == nil {
		t.Fatal("closing a broken store reported nothing")
	}
	again, err := state.Open("t", state.Options{FS: cloneOf(t, mem, "s", "t")})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Last(); got != want {
		t.Fatalf("reopened: got %v, want %v", got, want)
	}
	if err := errors.Join(again.Check(nil), again.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestPageCacheStaysInItsLimit however large the tree, and the tree is the same.
func TestPageCacheStaysInItsLimit(t *testing.T) {
	const limit = 256 << 10
	small, err := state.Open("s", state.Options{FS: vfs.NewMem(), PageCache: limit})
	if err != nil {
		t.Fatal(err)
	}
	large, err := state.Open("s", state.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*state.Store{small, large} {
		fill(t, s, 0, 0, 20_000)
	}
	if got := small.PageCacheUsed(); got > limit {
		t.Errorf("got %d bytes of pages, want at most %d", got, limit)
	}
	if large.PageCacheUsed() < 4*limit {
		t.Errorf("the tree of the test is too small: %d bytes", large.PageCacheUsed())
	}
	if small.Last() != large.Last() {
		t.Error("the size of the cache changes the state")
	}
	for _, s := range []*state.Store{small, large} {
		if err := errors.Join(s.Check(nil), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
