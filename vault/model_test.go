package vault_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/vfs"
	"pgregory.net/rapid"

	"salus/vault"
	"salus/vault/vaulttest"
)

// model is the naive vault: what was acknowledged.
type model struct {
	packs   map[vault.PackID][][]byte
	dropped map[vault.Address]bool
}

func (m *model) whole(id vault.PackID) bool {
	for _, b := range m.packs[id] {
		if m.dropped[vault.AddressOf(b)] {
			return false
		}
	}
	return true
}

// TestStoreIsTheModel does anything in any order, crashes and damage included, and compares with the naive model.
func TestStoreIsTheModel(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		sim, disk := vaulttest.NewSim(1, nil), vfs.NewMem()
		var s *vault.Store
		open := func() {
			var err error
			if s, err = vault.OpenIn(disk, "v", vault.Options{Backend: sim, SegmentSize: 1500, OpenFiles: 2}); err != nil {
				t.Fatal(err)
			}
		}
		open()
		peer, err := vault.Open("", vault.Options{Backend: vault.NewMemory(0)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close(); peer.Close() }()
		m := model{packs: map[vault.PackID][][]byte{}, dropped: map[vault.Address]bool{}}
		draw := func(t *rapid.T) (vault.PackID, []byte, [][]byte) {
			seed := rapid.Uint64Range(0, 9).Draw(t, "seed")
			blobs := vaulttest.Blobs(seed, int(1+seed%4), 120)
			if seed == 9 { // one blob in two packs
				blobs = append(blobs, vaulttest.Blobs(8, 1, 120)[0])
			}
			id, raw := vault.EncodePack(blobs)
			return id, raw, blobs
		}
		heal := func(t *rapid.T) {
			if r, err := s.Scrub(ctx, nil); err != nil {
				t.Fatalf("scrub: %+v, %v", r, err)
			}
			if r, err := s.Repair(ctx, vaulttest.From(peer)); err != nil || len(r.Failed)+len(r.Corrupt)+len(r.Suspect) > 0 {
				t.Fatalf("repair: %+v, %v", r, err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				id, _, blobs := draw(t)
				got, err := s.PutPack(ctx, blobs)
				refuse := slices.ContainsFunc(blobs, func(b []byte) bool { return m.dropped[vault.AddressOf(b)] })
				if refuse != errors.Is(err, vault.ErrDropped) || !refuse && (err != nil || got != id) {
					t.Fatalf("got %v, want refused %v", err, refuse)
				}
				if !refuse {
					m.packs[id] = blobs
					if _, err := peer.PutPack(ctx, blobs); err != nil {
						t.Fatal(err)
					}
				}
			},
			"import": func(t *rapid.T) {
				id, raw, blobs := draw(t)
				if err := s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))); err != nil {
					t.Fatal(err)
				}
				m.packs[id] = blobs
				if _, err := peer.PutPack(ctx, blobs); err != nil {
					t.Fatal(err)
				}
			},
			"drop": func(t *rapid.T) {
				_, _, blobs := draw(t)
				b := blobs[rapid.IntRange(0, len(blobs)-1).Draw(t, "blob")]
				if err := s.Drop(ctx, []vault.Address{vault.AddressOf(b)}); err != nil {
					t.Fatal(err)
				}
				m.dropped[vault.AddressOf(b)] = true
				names, _ := sim.List()
				for _, n := range names {
					if bytes.Contains(sim.Bytes(n), b) {
						t.Fatal("dropped bytes are still there")
					}
				}
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				open()
			},
			"crash": func(t *rapid.T) {
				s.Die()
				sim = sim.Restart(rapid.SampledFrom(vaulttest.Keeps()).Draw(t, "keep"), rapid.Uint64().Draw(t, "chance"), nil)
				if rapid.Bool().Draw(t, "index lost") {
					disk = vfs.NewMem()
				}
				open()
			},
			"damage": func(t *rapid.T) {
				names, _ := sim.List()
				if len(names) == 0 {
					return
				}
				name := rapid.SampledFrom(names).Draw(t, "file")
				sim.Flip(name, rapid.IntRange(0, len(sim.Bytes(name))-1).Draw(t, "byte"), 1<<rapid.IntRange(0, 7).Draw(t, "bit"))
				if rapid.Bool().Draw(t, "reopen") {
					s.Close()
					open()
				}
				heal(t)
			},
			"": func(t *rapid.T) {
				blobs := 0
				for _, id := range slices.SortedFunc(maps.Keys(m.packs), func(a, b vault.PackID) int { return bytes.Compare(a[:], b[:]) }) {
					raw, err := s.ReadPack(ctx, id)
					if m.whole(id) != (err == nil && vault.IDOf(raw) == id) || !m.whole(id) && !errors.Is(err, vault.ErrDropped) || !s.HasPack(id) {
						t.Fatalf("pack: whole %v, got %v, held %v", m.whole(id), err, s.HasPack(id))
					}
					for _, b := range m.packs[id] {
						a := vault.AddressOf(b)
						got, err := s.Get(ctx, a)
						if m.dropped[a] && !errors.Is(err, vault.ErrDropped) || !m.dropped[a] && !bytes.Equal(got, b) {
							t.Fatalf("blob: dropped %v, got %v", m.dropped[a], err)
						}
						if !m.dropped[a] {
							blobs++
						}
					}
				}
				st := s.Stats()
				if st.Packs != int64(len(m.packs)) || st.Blobs != int64(blobs) || st.Dropped != int64(len(m.dropped)) || st.Damaged != 0 {
					t.Fatalf("got %+v, want %d packs, %d blobs, %d dropped", st, len(m.packs), blobs, len(m.dropped))
				}
			},
		})
	})
}
