package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"salus/vault"
	"salus/vault/vaulttest"
)

// patch is a small closed store in three segments, one blob of it dropped, and a peer that has every pack.
type patch struct {
	sim    *vaulttest.Sim
	disk   *vfs.MemFS
	packs  [][][]byte
	peer   *vault.Store
	erased vault.Address
}

func newPatch(t *testing.T) *patch {
	t.Helper()
	ctx := context.Background()
	p := &patch{sim: vaulttest.NewSim(1, nil), disk: vfs.NewMem()}
	var err error
	if p.peer, err = vault.Open("", vault.Options{Backend: vault.NewMemory(0)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.peer.Close() })
	s := p.open(t)
	for i := range 5 {
		b := vaulttest.Blobs(uint64(i), 2, 60)
		p.packs = append(p.packs, b)
		for _, st := range []*vault.Store{s, p.peer} {
			if _, err := st.PutPack(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.erased = vault.AddressOf(p.packs[1][1])
	if err := s.Drop(ctx, []vault.Address{p.erased}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *patch) open(t *testing.T) *vault.Store {
	t.Helper()
	s, err := vault.OpenIn(p.disk, "v", vault.Options{Backend: p.sim, SegmentSize: 600})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holds says which packs are wholly readable; it fails on wrong bytes and on the erased blob.
func (p *patch) holds(s *vault.Store) (whole []bool, err error) {
	ctx := context.Background()
	for _, blobs := range p.packs {
		ok := true
		for _, b := range blobs {
			a := vault.AddressOf(b)
			got, err := s.Get(ctx, a)
			switch {
			case a == p.erased:
				if err == nil {
					return nil, errors.New("the erased blob came back")
				}
			case err != nil:
				ok = false
				if !errors.Is(err, vault.ErrCorrupt) && !errors.Is(err, vault.ErrNotFound) {
					return nil, err
				}
			case !bytes.Equal(got, b):
				return nil, errors.New("wrong bytes")
			}
		}
		whole = append(whole, ok)
	}
	return whole, nil
}

// after opens the damaged store and checks: at most one pack suffers (all, if many is set), scrub names what suffers, and
// repair from the peer brings everything back.
func (p *patch) after(t *testing.T, many bool) error {
	ctx := context.Background()
	s := p.open(t)
	defer s.Close()
	check := func(when string, most int) ([]bool, error) {
		whole, err := p.holds(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", when, err)
		}
		bad := 0
		for _, ok := range whole {
			if !ok {
				bad++
			}
		}
		if bad > most {
			return nil, fmt.Errorf("%s: %d packs suffer", when, bad)
		}
		return whole, nil
	}
	most := 1
	if many {
		most = len(p.packs)
	}
	whole, err := check("opened", most)
	if err != nil {
		return err
	}
	r, err := s.Scrub(ctx, nil)
	if err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	listed := map[vault.PackID]bool{}
	for _, id := range append(r.Corrupt, r.Suspect...) {
		listed[id] = true
	}
	for i, ok := range whole {
		id, raw := vault.EncodePack(p.packs[i])
		if !ok && !listed[id] || s.HasPack(id) == listed[id] && ok {
			// Two faults (the index and this pack's header): the pack is unknown. Whoever knows that it ought to be here sees it.
			if s.HasPack(id) {
				return fmt.Errorf("pack %d suffers, scrub does not list it, and it is said to be held", i)
			}
			if err := s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))); err != nil {
				return err
			}
		}
	}
	if r, err = s.Repair(ctx, vaulttest.From(p.peer)); err != nil || len(r.Corrupt)+len(r.Suspect)+len(r.Failed) > 0 {
		return fmt.Errorf("repair: %+v, %v", r, err)
	}
	if _, err := check("repaired", 0); err != nil {
		return err
	}
	if r, err = s.Scrub(ctx, nil); err != nil || len(r.Corrupt)+len(r.Suspect) > 0 || r.Rebuilt {
		return fmt.Errorf("scrub after repair: %+v, %v", r, err)
	}
	if st := s.Stats(); st.Damaged != 0 || st.Dropped != 1 {
		return fmt.Errorf("stats after repair: %+v", st)
	}
	s.Close()
	s = p.open(t)
	_, err = check("reopened", 0)
	s.Close()
	return err
}

func eachSegment(t *testing.T, fn func(t *testing.T, p *patch, name string, size int)) {
	p := newPatch(t)
	names, _ := p.sim.List()
	if len(names) < 3 {
		t.Fatalf("got segments %v, want at least 3", names)
	}
	for _, n := range names {
		fn(t, p, n, len(p.sim.Bytes(n)))
	}
}

func clone(p *patch, keepIndex bool) *patch {
	q := *p
	q.sim = p.sim.Restart(vaulttest.KeepAll, 1, nil)
	q.disk = vfs.NewMem()
	if keepIndex {
		if ok, err := vfs.Clone(p.disk, q.disk, "v", "v"); !ok || err != nil {
			panic(fmt.Sprint("clone: ", ok, err))
		}
	}
	return &q
}

func TestFlippedByteCostsAtMostItsPack(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 13
	}
	eachSegment(t, func(t *testing.T, p *patch, name string, size int) {
		for off := 0; off < size; off += step {
			for _, index := range []bool{true, false} {
				q := clone(p, index)
				q.sim.Flip(name, off, byte(1<<(off%8)))
				if err := q.after(t, false); err != nil {
					t.Fatalf("%s byte %d, index kept %v: %v", name, off, index, err)
				}
			}
		}
	})
}

func TestTruncatedSegmentIsRepaired(t *testing.T) {
	step := 3
	if testing.Short() {
		step = 29
	}
	eachSegment(t, func(t *testing.T, p *patch, name string, size int) {
		for cut := 0; cut < size; cut += step {
			for _, index := range []bool{true, false} {
				q := clone(p, index)
				q.sim.Cut(name, cut)
				if err := q.after(t, true); err != nil {
					t.Fatalf("%s cut to %d, index kept %v: %v", name, cut, index, err)
				}
			}
		}
	})
}

func TestLostSegmentIsLostNotForgotten(t *testing.T) {
	eachSegment(t, func(t *testing.T, p *patch, name string, size int) {
		q := clone(p, true)
		if err := q.sim.Remove(name); err != nil {
			t.Fatal(err)
		}
		s := q.open(t)
		whole, err := q.holds(s)
		if err != nil {
			t.Fatal(err)
		}
		for i, ok := range whole {
			id, _ := vault.EncodePack(q.packs[i])
			if _, err := s.ReadPack(context.Background(), id); !ok && !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("%s pack %d: got %v, want ErrCorrupt", name, i, err)
			}
		}
		s.Close()
		if err := q.after(t, true); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDamageWhileOpenIsFoundByTheReader(t *testing.T) {
	ctx := context.Background()
	p := newPatch(t)
	s := p.open(t)
	defer s.Close()
	id, raw := vault.EncodePack(p.packs[4])
	names, _ := p.sim.List()
	for _, n := range names {
		if at := bytes.Index(p.sim.Bytes(n), p.packs[4][0]); at >= 0 {
			p.sim.Flip(n, at+3, 1)
		}
	}
	if _, err := s.Get(ctx, vault.AddressOf(p.packs[4][0])); !errors.Is(err, vault.ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
	if got, err := s.Get(ctx, vault.AddressOf(p.packs[4][1])); err != nil || !bytes.Equal(got, p.packs[4][1]) {
		t.Fatalf("the pack's other blob: %v", err)
	}
	if _, err := s.ReadPack(ctx, id); !errors.Is(err, vault.ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
	if s.HasPack(id) || s.Stats().Damaged != 1 {
		t.Fatalf("damaged pack is said to be held: %+v", s.Stats())
	}
	// The replication that asks what is missing sends it again, and that heals it.
	if err := s.ImportPack(ctx, id, bytes.NewReader(raw), int64(len(raw))); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReadPack(ctx, id); err != nil || !bytes.Equal(got, raw) || s.Stats().Damaged != 0 {
		t.Fatalf("after import: %v, %+v", err, s.Stats())
	}
}

func TestRepairRefusesAPeersLies(t *testing.T) {
	ctx := context.Background()
	p := newPatch(t)
	names, _ := p.sim.List()
	p.sim.Flip(names[0], len(p.sim.Bytes(names[0]))-1, 1)
	liar, err := vault.Open("", vault.Options{Backend: vault.NewMemory(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	other, err := liar.PutPack(ctx, vaulttest.Blobs(77, 2, 60))
	if err != nil {
		t.Fatal(err)
	}
	s := p.open(t)
	defer s.Close()
	found, err := s.Scrub(ctx, nil)
	if err != nil || len(found.Corrupt) != 1 {
		t.Fatalf("scrub: %+v, %v", found, err)
	}
	get := vaulttest.From(liar)
	r, err := s.Repair(ctx, func(ctx context.Context, _ vault.PackID) (io.ReadCloser, error) { return get(ctx, other) })
	if err != nil || len(r.Failed) != 1 || len(r.Corrupt) != 1 || len(r.Repaired) != 0 || s.HasPack(other) {
		t.Fatalf("repair from a liar: %+v, %v", r, err)
	}
	if r, err = s.Repair(ctx, vaulttest.Missing); err != nil || len(r.Failed) != 1 {
		t.Fatalf("acknowledged pack forgotten because no peer has it: %+v, %v", r, err)
	}
	if r, err = s.Repair(ctx, vaulttest.From(p.peer)); err != nil || len(r.Repaired) != 1 || len(r.Corrupt) != 0 {
		t.Fatalf("repair: %+v, %v", r, err)
	}
}

// TestDamagedIndexIsRebuilt flips a byte in each file of the index, and removes each.
func TestDamagedIndexIsRebuilt(t *testing.T) {
	p := newPatch(t)
	files, err := p.disk.List("v/index")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		path := p.disk.PathJoin("v/index", name)
		info, err := p.disk.Stat(path)
		if err != nil || name == "LOCK" {
			continue
		}
		for off := int64(-1); off < info.Size(); off += 37 {
			q := clone(p, true)
			if off < 0 {
				q.disk.Remove(path)
			} else if strings.HasPrefix(name, "OPTIONS") {
				continue // Pebble may refuse options of a later version; they are not data
			} else {
				f, err := q.disk.OpenReadWrite(path)
				if err != nil {
					t.Fatal(err)
				}
				var b [1]byte
				f.ReadAt(b[:], off)
				b[0] ^= 0x10
				f.WriteAt(b[:], off)
				f.Close()
			}
			s := q.open(t)
			whole, err := q.holds(s)
			if err != nil {
				t.Fatalf("%s byte %d: %v", name, off, err)
			}
			r, err := s.Scrub(context.Background(), nil)
			if err != nil || len(r.Corrupt)+len(r.Suspect) > 0 {
				t.Fatalf("%s byte %d: scrub: %+v, %v", name, off, r, err)
			}
			for i, ok := range whole {
				if id, _ := vault.EncodePack(q.packs[i]); !ok || !s.HasPack(id) {
					t.Fatalf("%s byte %d: pack %d is not held", name, off, i)
				}
			}
			s.Close()
		}
	}
}

func TestRebuildThatCrashedBetweenItsRenamesIsUsed(t *testing.T) {
	for _, old := range []bool{true, false} {
		p := newPatch(t)
		if ok, err := vfs.Clone(p.disk, p.disk, "v/index", "v/index.new"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if old {
			if err := p.disk.Rename("v/index", "v/index.old"); err != nil {
				t.Fatal(err)
			}
		}
		s := p.open(t)
		if whole, err := p.holds(s); err != nil || !whole[0] || !whole[4] || s.Stats().Rebuilds != 0 {
			t.Errorf("old left %v: %v, %v, %+v", old, whole, err, s.Stats())
		}
		for _, suffix := range []string{".old", ".new"} {
			if _, err := p.disk.Stat("v/index" + suffix); err == nil {
				t.Errorf("old left %v: index%s is still there", old, suffix)
			}
		}
		s.Close()
	}
}
