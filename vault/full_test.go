package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"salus/vault"
	"salus/vault/vaulttest"
)

func openMemory(t *testing.T, b vault.Backend, o vault.Options) *vault.Store {
	t.Helper()
	o.Backend = b
	s, err := vault.Open("", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestFullDiskRefusesAndKeepsServing(t *testing.T) {
	ctx := context.Background()
	mem := vault.NewMemory(20_000)
	s := openMemory(t, mem, vault.Options{SegmentSize: 6 << 10})
	var acked [][]byte
	var refused [][]byte
	for i := uint64(0); refused == nil; i++ {
		b := vaulttest.Blobs(i, 3, 500)
		_, err := s.PutPack(ctx, b)
		if err == nil {
			acked = append(acked, b...)
			continue
		}
		if !errors.Is(err, vault.ErrNoSpace) {
			t.Fatalf("got %v, want ErrNoSpace", err)
		}
		refused = b
	}
	check := func(when string) {
		t.Helper()
		for _, b := range acked {
			if got, err := s.Get(ctx, vault.AddressOf(b)); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%s: acknowledged blob: %v", when, err)
			}
		}
		for _, b := range refused {
			if _, err := s.Get(ctx, vault.AddressOf(b)); !errors.Is(err, vault.ErrNotFound) {
				t.Fatalf("%s: refused blob: got %v, want ErrNotFound", when, err)
			}
		}
		if r, err := s.Scrub(ctx, nil); err != nil || len(r.Corrupt)+len(r.Suspect) > 0 {
			t.Fatalf("%s: scrub: %+v, %v", when, r, err)
		}
	}
	check("full")
	s.Close()
	s = openMemory(t, mem, vault.Options{SegmentSize: 6 << 10})
	check("reopened full")

	// No room to rewrite: Drop says so; what it was told is unreadable all the same, and it is finished when there is room.
	victim := acked[0]
	acked = acked[1:]
	mem.SetLimit(20_000 - mustFree(t, mem) + 100)
	if err := s.Drop(ctx, []vault.Address{vault.AddressOf(victim)}); !errors.Is(err, vault.ErrNoSpace) {
		t.Fatalf("drop: got %v, want ErrNoSpace", err)
	}
	if _, err := s.Get(ctx, vault.AddressOf(victim)); !errors.Is(err, vault.ErrDropped) {
		t.Fatalf("got %v, want ErrDropped", err)
	}
	mem.SetLimit(1 << 20)
	if err := s.Drop(ctx, []vault.Address{vault.AddressOf(victim)}); err != nil {
		t.Fatal(err)
	}
	if holdsBytes(t, mem, victim) {
		t.Fatal("dropped bytes are still there")
	}
	check("grown")
	if _, err := s.PutPack(ctx, refused); err != nil {
		t.Fatal(err)
	}
	acked, refused = append(acked, refused...), nil
	check("put again")
}

func mustFree(t *testing.T, b vault.Backend) int64 {
	t.Helper()
	n, err := b.Free()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func holdsBytes(t *testing.T, b vault.Backend, blob []byte) bool {
	t.Helper()
	names, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		f, err := b.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		all := make([]byte, size)
		f.ReadAt(all, 0)
		f.Close()
		if bytes.Contains(all, blob) {
			return true
		}
	}
	return false
}

func TestReserveIsKept(t *testing.T) {
	mem := vault.NewMemory(20_000)
	s := openMemory(t, mem, vault.Options{Reserve: 15_000})
	ctx := context.Background()
	if _, err := s.PutPack(ctx, [][]byte{make([]byte, 4000)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPack(ctx, [][]byte{make([]byte, 4001)}); !errors.Is(err, vault.ErrNoSpace) {
		t.Fatalf("got %v, want ErrNoSpace", err)
	}
	if free := mustFree(t, mem); free < 15_000 {
		t.Errorf("got %d free, want at least 15000", free)
	}
}

// gate is a backend whose fsyncs wait.
type gate struct {
	vault.Backend
	mu   sync.Mutex
	wait chan struct{} // nil: do not wait
	in   chan struct{} // told when a fsync begins to wait
}

func (g *gate) Create(name string) (vault.File, error) {
	f, err := g.Backend.Create(name)
	return gateFile{f, g}, err
}

type gateFile struct {
	vault.File
	g *gate
}

func (f gateFile) Sync() error {
	f.g.mu.Lock()
	wait := f.g.wait
	f.g.mu.Unlock()
	if wait != nil {
		f.g.in <- struct{}{}
		<-wait
	}
	return f.File.Sync()
}

func TestConcurrentPutsShareOneFsync(t *testing.T) {
	const puts = 64
	ctx := context.Background()
	g := &gate{Backend: vault.NewMemory(0), in: make(chan struct{}, 1)}
	s := openMemory(t, g, vault.Options{})
	if _, err := s.PutPack(ctx, [][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	g.mu.Lock()
	g.wait = open
	g.mu.Unlock()
	var eg errgroup.Group
	put := func(i int) func() error {
		return func() error {
			b := [][]byte{fmt.Appendf(nil, "blob %d", i)}
			id, err := s.PutPack(ctx, b)
			if err == nil && !s.HasPack(id) {
				err = errors.New("acknowledged and not held")
			}
			return err
		}
	}
	eg.Go(put(0))
	<-g.in // the first is in its fsync; all others must wait for the next
	for i := range puts {
		eg.Go(put(1 + i))
	}
	for s.Queued() < puts {
		runtime.Gosched()
	}

	// One that gives up while it waits is not stored.
	gone, cancel := context.WithCancel(ctx)
	quit := make(chan error, 1)
	go func() {
		_, err := s.PutPack(gone, [][]byte{[]byte("given up")})
		quit <- err
	}()
	for s.Queued() < puts+1 {
		runtime.Gosched()
	}
	cancel()
	if err := <-quit; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if _, err := s.Get(ctx, vault.AddressOf([]byte("blob 5"))); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("readable before its fsync: %v", err)
	}
	g.mu.Lock()
	g.wait = nil
	g.mu.Unlock()
	close(open)
	if err := eg.Wait(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Syncs != 3 || st.Puts != puts+2 {
		t.Errorf("got %d fsyncs for %d packs, want 3 for %d", st.Syncs, st.Puts, puts+2)
	}
	if _, err := s.Get(ctx, vault.AddressOf([]byte("given up"))); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("given up: got %v, want ErrNotFound", err)
	}
}

// TestDropBeatsThePutThatWaits: whichever of the two goes first, the dropped bytes are nowhere in the end.
func TestDropBeatsThePutThatWaits(t *testing.T) {
	ctx := context.Background()
	for i := range uint64(40) {
		g := &gate{Backend: vault.NewMemory(0), in: make(chan struct{}, 1)}
		s := openMemory(t, g, vault.Options{SegmentSize: 2000})
		if _, err := s.PutPack(ctx, [][]byte{{1}}); err != nil {
			t.Fatal(err)
		}
		open := make(chan struct{})
		g.mu.Lock()
		g.wait = open
		g.mu.Unlock()
		blobs := vaulttest.Blobs(i, 2, 100)
		var eg errgroup.Group
		eg.Go(func() error {
			_, err := s.PutPack(ctx, [][]byte{{2}})
			return err
		})
		<-g.in
		eg.Go(func() error {
			if _, err := s.PutPack(ctx, blobs); err != nil && !errors.Is(err, vault.ErrDropped) {
				return err
			}
			return nil
		})
		for s.Queued() < 1 {
			runtime.Gosched()
		}
		eg.Go(func() error { return s.Drop(ctx, []vault.Address{vault.AddressOf(blobs[0])}) })
		for range 100 {
			runtime.Gosched() // let it reach the turn
		}
		g.mu.Lock()
		g.wait = nil
		g.mu.Unlock()
		close(open)
		if err := eg.Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, vault.AddressOf(blobs[0])); !errors.Is(err, vault.ErrDropped) || holdsBytes(t, g, blobs[0]) {
			t.Fatalf("got %v; bytes on disk: %v", err, holdsBytes(t, g, blobs[0]))
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(dir, vault.Options{}); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = vault.Open(dir, vault.Options{}); err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestFewOpenFilesServeManySegments(t *testing.T) {
	ctx := context.Background()
	s := openMemory(t, vault.NewMemory(0), vault.Options{SegmentSize: 400, OpenFiles: 2})
	var g errgroup.Group
	for w := range 4 {
		g.Go(func() error {
			for i := range 30 {
				b := vaulttest.Blobs(uint64(w*100+i), 1, 300)
				if _, err := s.PutPack(ctx, b); err != nil {
					return err
				}
				old := vaulttest.Blobs(uint64(w*100+i/2), 1, 300)
				if _, err := s.Get(ctx, vault.AddressOf(old[0])); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Segments < 50 {
		t.Errorf("got %d segments, want many", st.Segments)
	}
}
