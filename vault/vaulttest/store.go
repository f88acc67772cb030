package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/sync/errgroup"

	"salus/vault"
)

// Blobs makes n blobs of about size bytes that depend on seed alone.
func Blobs(seed uint64, n, size int) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, max(1, size/2+rng.IntN(size)))
		for j := range out[i] {
			out[i][j] = byte(rng.Uint32())
		}
	}
	return out
}

// Missing is a fetch function for Repair of peers that have nothing.
func Missing(context.Context, vault.PackID) (io.ReadCloser, error) { return nil, vault.ErrNotFound }

// From is a fetch function for Repair out of another store.
func From(peer *vault.Store) func(context.Context, vault.PackID) (io.ReadCloser, error) {
	return func(ctx context.Context, id vault.PackID) (io.ReadCloser, error) {
		b, err := peer.ReadPack(ctx, id)
		return io.NopCloser(bytes.NewReader(b)), err
	}
}

// TestStore checks what a store promises, on one kind of backend. open returns a store on the same files as before in this
// test if again is true, an empty one otherwise; segments are to be small (64 KiB).
func TestStore(t *testing.T, open func(t *testing.T, again bool) *vault.Store) {
	ctx := context.Background()
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mustPut := func(t *testing.T, s *vault.Store, blobs [][]byte) vault.PackID {
		t.Helper()
		id, err := s.PutPack(ctx, blobs)
		must(t, err)
		return id
	}
	holds := func(t *testing.T, s *vault.Store, blobs [][]byte) {
		t.Helper()
		for i, b := range blobs {
			got, err := s.Get(ctx, vault.AddressOf(b))
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("blob %d: got %d bytes, %v, want %d bytes", i, len(got), err, len(b))
			}
		}
		id, raw := vault.EncodePack(blobs)
		got, err := s.ReadPack(ctx, id)
		if err != nil || !bytes.Equal(got, raw) || !s.HasPack(id) {
			t.Fatalf("pack: got %d bytes, %v, has %v, want %d bytes", len(got), err, s.HasPack(id), len(raw))
		}
	}
	wants := func(t *testing.T, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}

	t.Run("PutIsReadBackNowAndAfterReopening", func(t *testing.T) {
		s := open(t, false)
		var all [][][]byte
		for i := range 20 {
			all = append(all, Blobs(uint64(i), 1+i*3, 700))
			if got, want := mustPut(t, s, all[i]), first(vault.EncodePack(all[i])); got != want {
				t.Fatalf("got id %s, want %s", got, want)
			}
		}
		for _, b := range all {
			holds(t, s, b)
		}
		before := s.Stats()
		must(t, s.Close())
		s = open(t, true)
		for _, b := range all {
			holds(t, s, b)
		}
		after := s.Stats()
		if before.Packs != 20 || before.Packs != after.Packs || before.Blobs != after.Blobs ||
			before.PackBytes != after.PackBytes || before.DiskBytes != after.DiskBytes || after.Segments < 2 || after.DeadBytes != 0 {
			t.Errorf("stats before %+v, after %+v", before, after)
		}
	})
	t.Run("UnknownIsNotFound", func(t *testing.T) {
		s := open(t, false)
		mustPut(t, s, Blobs(1, 2, 100))
		_, err := s.Get(ctx, vault.Address{1})
		wants(t, err, vault.ErrNotFound)
		_, err = s.ReadPack(ctx, vault.PackID{1})
		wants(t, err, vault.ErrNotFound)
		if s.HasPack(vault.PackID{1}) {
			t.Error("has a pack nobody put")
		}
	})
	t.Run("PutTwiceStoresOnce", func(t *testing.T) {
		s := open(t, false)
		b := Blobs(1, 5, 300)
		mustPut(t, s, b)
		before := s.Stats()
		mustPut(t, s, b)
		id, raw := vault.EncodePack(b)
		must(t, s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))))
		if after := s.Stats(); after.DiskBytes != before.DiskBytes || after.Packs != 1 {
			t.Errorf("got %+v, want %+v", after, before)
		}
	})
	t.Run("WrongPacksAreRefused", func(t *testing.T) {
		s := open(t, false)
		_, err := s.PutPack(ctx, nil)
		wants(t, err, vault.ErrInvalid)
		_, err = s.PutPack(ctx, [][]byte{{1}, {}})
		wants(t, err, vault.ErrInvalid)
		_, err = s.PutPack(ctx, make([][]byte, vault.MaxBlobs+1))
		wants(t, err, vault.ErrTooLarge)
		id, raw := vault.EncodePack(Blobs(1, 3, 100))
		size := int64(len(raw))
		bad := bytes.Clone(raw)
		bad[len(bad)-1] ^= 1
		wants(t, s.ImportPack(ctx, id, bytes.NewReader(bad), size), vault.ErrMismatch)
		wants(t, s.ImportPack(ctx, vault.IDOf(bad), bytes.NewReader(bad), size), vault.ErrInvalid)
		wants(t, s.ImportPack(ctx, id, bytes.NewReader(raw[:50]), size), io.ErrUnexpectedEOF)
		wants(t, s.ImportPack(ctx, id, bytes.NewReader(raw), vault.MaxPack+1), vault.ErrTooLarge)
		wants(t, s.ImportPack(ctx, id, bytes.NewReader(raw), -1), vault.ErrInvalid)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		wants(t, s.ImportPack(gone, id, bytes.NewReader(raw), size), context.Canceled)
		_, err = s.PutPack(gone, Blobs(1, 3, 100))
		wants(t, err, context.Canceled)
		if st := s.Stats(); st.Packs != 0 || s.HasPack(id) {
			t.Errorf("something was stored: %+v", st)
		}
		must(t, s.ImportPack(ctx, id, bytes.NewReader(raw), size))
		holds(t, s, Blobs(1, 3, 100))
	})
	t.Run("DropErasesAndNothingElse", func(t *testing.T) {
		s := open(t, false)
		var all [][][]byte
		for i := range 12 {
			all = append(all, Blobs(uint64(i), 8, 1500))
			mustPut(t, s, all[i])
		}
		gone := map[vault.Address]bool{}
		for i, b := range all[:6] {
			for j := range b {
				if i == 5 || j == i {
					gone[vault.AddressOf(b[j])] = true
				}
			}
		}
		var list []vault.Address
		for a := range gone {
			list = append(list, a, a)
		}
		list = append(list, vault.Address{7}) // never stored
		must(t, s.Drop(ctx, list))
		must(t, s.Drop(ctx, list))
		for again := range 2 {
			for i, b := range all {
				for _, x := range b {
					got, err := s.Get(ctx, vault.AddressOf(x))
					if gone[vault.AddressOf(x)] {
						wants(t, err, vault.ErrDropped)
						wants(t, err, vault.ErrNotFound)
					} else if err != nil || !bytes.Equal(got, x) {
						t.Fatalf("another blob was lost: %v", err)
					}
				}
				id, raw := vault.EncodePack(b)
				if _, err := s.ReadPack(ctx, id); i < 6 {
					wants(t, err, vault.ErrDropped)
					_, err = s.PutPack(ctx, b)
					wants(t, err, vault.ErrDropped)
					must(t, s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))))
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if st := s.Stats(); st.Dropped != int64(len(gone)+1) || st.Damaged != 0 {
				t.Errorf("stats %+v, want %d dropped", st, len(gone)+1)
			}
			r, err := s.Scrub(ctx, nil)
			if err != nil || len(r.Corrupt)+len(r.Suspect) > 0 || r.Rebuilt || r.Packs != 12 {
				t.Errorf("scrub: %+v, %v", r, err)
			}
			if again == 0 {
				must(t, s.Close())
				s = open(t, true)
			}
		}
	})
	t.Run("DroppedBlobsAreLeftOutOfLaterImports", func(t *testing.T) {
		s := open(t, false)
		b := Blobs(1, 4, 300)
		must(t, s.Drop(ctx, []vault.Address{vault.AddressOf(b[2])}))
		id, raw := vault.EncodePack(b)
		must(t, s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))))
		for i, x := range b {
			got, err := s.Get(ctx, vault.AddressOf(x))
			if i == 2 {
				wants(t, err, vault.ErrDropped)
			} else if !bytes.Equal(got, x) {
				t.Fatal(err)
			}
		}
	})
	t.Run("ScrubOfGoodStoreFindsNothing", func(t *testing.T) {
		s := open(t, false)
		for i := range 10 {
			mustPut(t, s, Blobs(uint64(i), 20, 900))
		}
		var last vault.Progress
		r, err := s.Scrub(ctx, func(p vault.Progress) { last = p })
		must(t, err)
		if r.Packs != 10 || r.Blobs != 200 || len(r.Corrupt)+len(r.Suspect) > 0 || r.Rebuilt || last.Segment != last.Segments {
			t.Errorf("got %+v, progress %+v", r, last)
		}
		r, err = s.Repair(ctx, Missing)
		if err != nil || r.Packs != 0 {
			t.Errorf("repair: got %+v, %v", r, err)
		}
	})
	t.Run("ManyAtOnceWithReadersScrubAndDrop", func(t *testing.T) {
		s := open(t, false)
		var g errgroup.Group
		for w := range 8 {
			g.Go(func() error {
				for i := range 25 {
					b := Blobs(uint64(w*1000+i), 1+i%5, 400)
					if _, err := s.PutPack(ctx, b); err != nil {
						return err
					}
					for _, x := range b {
						if got, err := s.Get(ctx, vault.AddressOf(x)); err != nil || !bytes.Equal(got, x) {
							return fmt.Errorf("own write not seen: %w", err)
						}
					}
					if i%10 == 9 {
						if err := s.Drop(ctx, []vault.Address{vault.AddressOf(b[0])}); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		g.Go(func() error {
			for range 3 {
				if r, err := s.Scrub(ctx, nil); err != nil || len(r.Corrupt)+len(r.Suspect) > 0 || r.Rebuilt {
					return fmt.Errorf("scrub: %+v, %w", r, err)
				}
				s.Stats()
			}
			return nil
		})
		must(t, g.Wait())
		if st := s.Stats(); st.Packs != 200 || st.Dropped != 16 || st.Rebuilds != 0 {
			t.Errorf("got %+v", st)
		}
	})
	t.Run("ClosedRefusesEverything", func(t *testing.T) {
		s := open(t, false)
		b := Blobs(1, 1, 10)
		id := mustPut(t, s, b)
		must(t, s.Close())
		must(t, s.Close())
		_, err := s.PutPack(ctx, b)
		wants(t, err, vault.ErrClosed)
		_, err = s.Get(ctx, vault.AddressOf(b[0]))
		wants(t, err, vault.ErrClosed)
		_, err = s.ReadPack(ctx, id)
		wants(t, err, vault.ErrClosed)
		wants(t, s.Drop(ctx, []vault.Address{{1}}), vault.ErrClosed)
		_, err = s.Scrub(ctx, nil)
		wants(t, err, vault.ErrClosed)
		_, err = s.Repair(ctx, Missing)
		wants(t, err, vault.ErrClosed)
	})
}

func first[A, B any](a A, _ B) A { return a }
