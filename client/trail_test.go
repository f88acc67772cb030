package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"salus/receipt"
)

// validators is count sets of four, of which each differs from the one before by what turn says.
func validators(every int64, turn int) func(int64) []string {
	return func(h int64) []string {
		first := int((h-1)/every) * turn
		var names []string
		for i := range 4 {
			names = append(names, fmt.Sprintf("v%d", first+i))
		}
		return names
	}
}

// prunes runs a prover's trail as a node does that keeps few blocks: it looks at each block, or at every
// step-th, and blocks are pruned as far as it allows.
func prunes(t *testing.T, c *consensus, p *Prover, trail *Trail, from, to, step int64) {
	t.Helper()
	p.Keep(trail)
	for h := from; h <= to; h += step {
		if err := p.Extend(t.Context(), c.base, h); err != nil {
			t.Fatalf("block %d: %v", h, err)
		}
		c.base = max(c.base, min(h-5, trail.Needs()))
	}
}

func openTrail(t *testing.T, p *Prover, dir string) *Trail {
	t.Helper()
	trail, err := OpenTrail(dir, p.genesis)
	if err != nil {
		t.Fatal(err)
	}
	return trail
}

// A receipt for an old entry leads over a dozen changes of validators although their blocks are pruned, with
// the genesis file alone.
func TestReceiptsLeadOverPrunedBlocks(t *testing.T) {
	for _, s := range []struct {
		rule string
		turn int
		step int64 // of blocks looked at
	}{
		{"one replaced at a time", 1, 1},
		{"one replaced at a time, and not every block is looked at", 1, 7},
		{"all replaced at once, a dozen times", 4, 1},
		{"all replaced at once, and not every block is looked at", 4, 3},
	} {
		t.Run(s.rule, func(t *testing.T) {
			const every, blocks = 10, 130
			c, p, genesis := newConsensus(t, blocks, validators(every, s.turn))
			dir := filepath.Join(t.TempDir(), "trail")
			prunes(t, c, p, openTrail(t, p, dir), 1, blocks, s.step)
			if c.base < blocks-10 {
				t.Fatalf("blocks are kept from %d on: the trail holds pruning up", c.base)
			}
			bare := *p
			bare.kept = nil
			if r, err := bare.Entry(t.Context(), 0); err == nil {
				t.Fatalf("without a trail: got a receipt over %d blocks", len(r.Trail))
			}
			for _, state := range []string{"running", "started again"} {
				if state != "running" {
					p.Keep(openTrail(t, p, dir))
					if err := p.Extend(t.Context(), c.base, blocks); err != nil {
						t.Fatal(err)
					}
				}
				r, err := p.Entry(t.Context(), 0)
				if err != nil {
					t.Fatalf("%s: %v", state, err)
				}
				f, err := receipt.Verify(genesis, r)
				if err != nil || f.Height != blocks {
					t.Fatalf("%s: got %+v, %v", state, f, err)
				}
				raw, err := r.Encode()
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d blocks on the way, %d bytes", state, len(r.Trail), len(raw))
				if len(r.Trail) > 3*blocks/every || len(raw) > 50_000 {
					t.Errorf("%s: got %d blocks on the way and %d bytes", state, len(r.Trail), len(raw))
				}
			}
		})
	}
}

// A node that did not see the changes goes on with another member's trail, and believes none that does not
// follow from the genesis.
func TestTrailGoesOnWithAnotherMembersBlocks(t *testing.T) {
	const every, blocks = 10, 130
	c, p, genesis := newConsensus(t, blocks, validators(every, 4))
	old := openTrail(t, p, t.TempDir())
	prunes(t, c, p, old, 1, blocks, 1)
	raws, err := old.After(0, 1)
	if err != nil || len(raws) != 1 {
		t.Fatalf("got %d blocks, %v, want at least and at most one that does not fit", len(raws), err)
	}
	if raws, err = old.After(0, 1<<20); err != nil || len(raws) != len(old.kept) {
		t.Fatalf("got %d blocks, %v", len(raws), err)
	}

	dir := t.TempDir()
	fresh := openTrail(t, p, dir) // it joined by a snapshot
	p.Keep(fresh)
	if err := p.Extend(t.Context(), c.base, blocks); !errors.Is(err, ErrGap) {
		t.Fatalf("got %v, want %v", err, ErrGap)
	}
	if took, err := fresh.Adopt(raws[5:]); took || err != nil {
		t.Errorf("blocks that do not follow: took %v, %v", took, err)
	}
	if took, err := fresh.Adopt([][]byte{raws[0][:40]}); took || !errors.Is(err, receipt.ErrFormat) {
		t.Errorf("no block: took %v, %v", took, err)
	}
	_, other, _ := newConsensus(t, blocks, func(int64) []string { return []string{"x1", "x2", "x3", "x4"} })
	if took, err := openTrail(t, other, t.TempDir()).Adopt(raws); took || err != nil {
		t.Errorf("blocks of another genesis: took %v, %v", took, err)
	}
	if took, err := fresh.Adopt(raws); !took || err != nil {
		t.Fatalf("took %v, %v", took, err)
	}
	if err := p.Extend(t.Context(), c.base, blocks); err != nil {
		t.Fatal(err)
	}
	r, err := p.Entry(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(genesis, r); err != nil {
		t.Error(err)
	}

	// Damage in a file cuts the trail there, and another member mends it.
	files, err := filepath.Glob(filepath.Join(dir, "*"+blockSuffix))
	if err != nil || len(files) != len(raws) {
		t.Fatalf("got %d files, %v, want %d", len(files), err, len(raws))
	}
	if err := os.WriteFile(files[3], []byte("damage"), 0o600); err != nil {
		t.Fatal(err)
	}
	mended := openTrail(t, p, dir)
	if len(mended.kept) >= len(raws) {
		t.Fatalf("got %d blocks of %d", len(mended.kept), len(raws))
	}
	p.Keep(mended)
	if err := p.Extend(t.Context(), c.base, blocks); !errors.Is(err, ErrGap) {
		t.Errorf("got %v, want %v", err, ErrGap)
	}
	mended.Skip(blocks)
	if mended.Needs() != blocks {
		t.Errorf("a gap holds pruning up at %d", mended.Needs())
	}
	if took, err := mended.Adopt(raws); !took || err != nil {
		t.Errorf("took %v, %v", took, err)
	}
	if again := openTrail(t, p, dir); len(again.kept) != len(raws) {
		t.Errorf("got %d blocks after mending, want %d", len(again.kept), len(raws))
	}
}
