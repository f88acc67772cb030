package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"salus/vault"
	"salus/vault/vaulttest"
)

// life is what a store was told and what it acknowledged.
type life struct {
	acked    [][][]byte
	maybe    [][][]byte // begun, never acknowledged
	dropped  map[vault.Address]bool
	dropping map[vault.Address]bool
}

// live runs a fixed story until the backend crashes. reopen gives the same files to a new store.
func (l *life) live(s *vault.Store, reopen func() (*vault.Store, error)) (*vault.Store, error) {
	ctx := context.Background()
	l.dropped, l.dropping = map[vault.Address]bool{}, map[vault.Address]bool{}
	put := func(seed uint64, n int) error {
		b := vaulttest.Blobs(seed, n, 250)
		_, err := s.PutPack(ctx, b)
		if err == nil {
			l.acked = append(l.acked, b)
		} else {
			l.maybe = append(l.maybe, b)
		}
		return err
	}
	drop := func(blobs ...[]byte) error {
		var list []vault.Address
		for _, b := range blobs {
			list = append(list, vault.AddressOf(b))
			l.dropping[vault.AddressOf(b)] = true
		}
		err := s.Drop(ctx, list)
		if err == nil {
			for _, a := range list {
				l.dropped[a] = true
			}
		}
		return err
	}
	for i := range 4 {
		if err := put(uint64(i), 1+2*i); err != nil {
			return s, err
		}
	}
	if err := drop(l.acked[1][0], l.acked[3][2], l.acked[3][5]); err != nil {
		return s, err
	}
	if err := put(10, 3); err != nil {
		return s, err
	}
	if err := s.Close(); err != nil {
		return s, err
	}
	s, err := reopen()
	if err != nil {
		return s, err
	}
	b := vaulttest.Blobs(11, 4, 250)
	id, raw := vault.EncodePack(b)
	if err := s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))); err != nil {
		l.maybe = append(l.maybe, b)
		return s, err
	}
	l.acked = append(l.acked, b)
	if err := drop(append(b[:3:3], l.acked[0][0])...); err != nil {
		return s, err
	}
	return s, put(12, 6)
}

// check opens the store after the crash and compares it with what was acknowledged.
func (l *life) check(sim *vaulttest.Sim, s *vault.Store) error {
	ctx := context.Background()
	for p, blobs := range l.acked {
		for i, b := range blobs {
			a := vault.AddressOf(b)
			got, err := s.Get(ctx, a)
			switch {
			case l.dropped[a]:
				if !errors.Is(err, vault.ErrDropped) {
					return fmt.Errorf("pack %d blob %d was dropped: got %d bytes, %v", p, i, len(got), err)
				}
			case l.dropping[a] && errors.Is(err, vault.ErrDropped):
			case err != nil || !bytes.Equal(got, b):
				return fmt.Errorf("pack %d blob %d was acknowledged: got %d bytes, %v", p, i, len(got), err)
			}
			if errors.Is(err, vault.ErrDropped) {
				names, _ := sim.List()
				for _, n := range names {
					if bytes.Contains(sim.Bytes(n), b) {
						return fmt.Errorf("pack %d blob %d was dropped and lies in %s", p, i, n)
					}
				}
			}
		}
	}
	for p, blobs := range l.maybe {
		n := 0
		for _, b := range blobs {
			got, err := s.Get(ctx, vault.AddressOf(b))
			if err == nil && !bytes.Equal(got, b) {
				return fmt.Errorf("unacknowledged pack %d: wrong bytes", p)
			}
			if err == nil {
				n++
			}
		}
		if id, _ := vault.EncodePack(blobs); s.HasPack(id) && n != len(blobs) {
			return fmt.Errorf("unacknowledged pack %d: held with %d of %d blobs", p, n, len(blobs))
		}
	}
	r, err := s.Scrub(ctx, nil)
	if err != nil || len(r.Corrupt) > 0 || r.Rebuilt {
		return fmt.Errorf("scrub: %+v, %v", r, err)
	}
	if r, err = s.Repair(ctx, vaulttest.Missing); err != nil || len(r.Corrupt)+len(r.Suspect)+len(r.Failed) > 0 {
		return fmt.Errorf("repair: %+v, %v", r, err)
	}
	more := vaulttest.Blobs(99, 3, 200)
	if _, err := s.PutPack(ctx, more); err != nil {
		return fmt.Errorf("put after the crash: %w", err)
	}
	for _, b := range append(more, l.maybeWhole()...) {
		if _, err := s.PutPack(ctx, [][]byte{b}); err != nil && !errors.Is(err, vault.ErrDropped) {
			return err
		}
		if got, err := s.Get(ctx, vault.AddressOf(b)); err == nil && !bytes.Equal(got, b) {
			return errors.New("wrong bytes after the crash")
		}
	}
	return nil
}

func (l *life) maybeWhole() (all [][]byte) {
	for _, b := range l.maybe {
		all = append(all, b...)
	}
	return all
}

// TestCrashAtEveryWritePoint stops the machine in the middle of every operation on the segment files, in every way of
// losing unsynced writes, with the index lost, and with the index as old as its last flush.
func TestCrashAtEveryWritePoint(t *testing.T) {
	const segment = 2 << 10
	dry := vaulttest.NewSim(1, nil)
	openDry := func() (*vault.Store, error) {
		return vault.Open("", vault.Options{Backend: dry, SegmentSize: segment})
	}
	s, err := openDry()
	if err != nil {
		t.Fatal(err)
	}
	var l life
	if s, err = l.live(s, openDry); err != nil {
		t.Fatal(err)
	}
	if err := l.check(dry, s); err != nil {
		t.Fatal(err)
	}
	s.Close()
	total := dry.Ops()
	t.Logf("%d operations", total)
	for _, indexLost := range []bool{true, false} {
		for n := 1; n <= total; n++ {
			for _, keep := range vaulttest.Keeps() {
				if testing.Short() && (n+int(keep))%4 != 0 {
					continue
				}
				if err := crashAt(n, keep, indexLost, segment); err != nil {
					t.Fatalf("crash in operation %d, keep %d, index lost %v: %v", n, keep, indexLost, err)
				}
			}
		}
	}
}

func crashAt(n int, keep vaulttest.Keep, indexLost bool, segment int64) error {
	seed := uint64(n)*16 + uint64(keep)
	sim := vaulttest.NewSim(seed, func(i int, _ string) vaulttest.Fault {
		if i == n {
			return vaulttest.Crash
		}
		return vaulttest.None
	})
	disk := vfs.NewMem()
	log := slog.New(slog.DiscardHandler)
	open := func() (*vault.Store, error) {
		return vault.OpenIn(disk, "v", vault.Options{Backend: sim, SegmentSize: segment, Logger: log})
	}
	var l life
	s, err := open()
	if err == nil {
		s, err = l.live(s, open)
	}
	if s != nil {
		s.Die()
	}
	if err != nil && !sim.Crashed() {
		return err
	}
	// The machine crashes once more while it recovers, then recovers undisturbed.
	sim = sim.Restart(keep, seed, func(i int, _ string) vaulttest.Fault {
		if i == 1+n%3 {
			return vaulttest.Crash
		}
		return vaulttest.None
	})
	if indexLost {
		disk = vfs.NewMem()
	}
	if s, err := open(); err == nil {
		s.Die()
	} else if !sim.Crashed() {
		return fmt.Errorf("open: %w", err)
	}
	sim = sim.Restart(keep, seed+1, nil)
	if indexLost {
		disk = vfs.NewMem()
	}
	var said bytes.Buffer
	log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelError}))
	if s, err = open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer s.Close()
	if said.Len() > 0 { // a crash leaves no segment that cannot be read
		return errors.New(said.String())
	}
	return l.check(sim, s)
}

// TestFailedOperationStoresNothingAndStopsNothing lets every operation fail once, without a crash.
func TestFailedOperationStoresNothingAndStopsNothing(t *testing.T) {
	ctx := context.Background()
	for n := 1; n <= 60; n++ {
		sim := vaulttest.NewSim(uint64(n), func(i int, _ string) vaulttest.Fault {
			if i == n {
				return vaulttest.Fail
			}
			return vaulttest.None
		})
		open := func() *vault.Store {
			s, err := vault.Open("", vault.Options{Backend: sim, SegmentSize: 2 << 10})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		failed := 0
		var acked [][]byte
		for i := range 12 {
			b := vaulttest.Blobs(uint64(i), 4, 200)
			if _, err := s.PutPack(ctx, b); err != nil {
				failed++
				if id, _ := vault.EncodePack(b); s.HasPack(id) {
					t.Fatalf("operation %d: a refused pack is held", n)
				}
				continue
			}
			acked = append(acked, b[1:]...)
			if err := s.Drop(ctx, []vault.Address{vault.AddressOf(b[0])}); err != nil {
				failed++
			}
		}
		if failed > 1 {
			t.Errorf("operation %d: one fault failed %d calls", n, failed)
		}
		for range 2 {
			for _, b := range acked {
				if got, err := s.Get(ctx, vault.AddressOf(b)); err != nil || !bytes.Equal(got, b) {
					t.Fatalf("operation %d: acknowledged blob: %v", n, err)
				}
			}
			s.Die()
			s = open()
		}
		s.Close()
	}
}
