package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	cmttypes "github.com/cometbft/cometbft/types"

	"salus/internal/durable"
	"salus/receipt"
)

// A Trail keeps, durably, the signed blocks that lead from the genesis over every change of validators:
// what a receipt needs of blocks that a node has pruned. It is safe for concurrent use; Extend and Adopt are
// for one caller.
type Trail struct {
	dir     string
	genesis receipt.Trust

	at atomic.Int64 // up to here the validators are those of the last kept block

	mu   sync.Mutex
	kept []*cmttypes.LightBlock // each follows from the one before, the first from the genesis
	tip  receipt.Trust          // after the last
}

// ErrGap means that blocks which a trail would need are gone here: it goes on when a member gives its own.
var ErrGap = errors.New("client: blocks between two sets of validators are pruned, so that nothing leads from the genesis to the later one")

// OpenTrail reads the trail of a directory, or begins one. Files that do not follow from the genesis are no
// part of it.
func OpenTrail(dir string, doc *cmttypes.GenesisDoc) (*Trail, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("client: trail: %w", err)
	}
	from, err := receipt.TrustGenesis(doc)
	if err != nil {
		return nil, err
	}
	t := &Trail{dir: dir, genesis: from, tip: from}
	files, err := os.ReadDir(dir) // in the order of heights
	if err != nil {
		return nil, fmt.Errorf("client: trail: %w", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), blockSuffix) {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("client: trail: %w", err)
		}
		b, err := receipt.DecodeBlock(raw)
		if err != nil {
			continue
		}
		if after, err := t.tip.Follow(b); err == nil {
			t.kept, t.tip = append(t.kept, b), after
		}
	}
	t.at.Store(max(t.tip.Height(), 0))
	return t, nil
}

const blockSuffix = ".block"

// Needs is the lowest block that must not be pruned yet: what comes after it was not looked at.
func (t *Trail) Needs() int64 { return t.at.Load() }

// After returns the kept blocks above a height, lowest first, as receipts carry them, of about that many
// bytes; at least one, if there is one.
func (t *Trail) After(height int64, size int) ([][]byte, error) {
	var out [][]byte
	for _, b := range t.blocks() {
		if b.Height <= height {
			continue
		}
		raw, err := receipt.EncodeBlock(b)
		if err != nil {
			return nil, err
		}
		if size -= len(raw); size < 0 && len(out) > 0 {
			break
		}
		out = append(out, raw)
	}
	return out, nil
}

func (t *Trail) blocks() []*cmttypes.LightBlock {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept
}

// Adopt takes over, of another member's blocks, those that follow from the last one here. It reports whether
// any did.
func (t *Trail) Adopt(raws [][]byte) (bool, error) {
	took := false
	for _, raw := range raws {
		b, err := receipt.DecodeBlock(raw)
		if err != nil {
			return took, err
		}
		switch err := t.keep(b); {
		case err == nil:
			took = true
		case !errors.Is(err, receipt.ErrBlock):
			return took, err
		}
	}
	return took, nil
}

// keep makes a block durable that follows from the last one.
func (t *Trail) keep(b *cmttypes.LightBlock) error {
	after, err := t.tip.Follow(b)
	if err != nil {
		return err
	}
	raw, err := receipt.EncodeBlock(b)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(t.dir, fmt.Sprintf("%020d%s", b.Height, blockSuffix)), raw); err != nil {
		return fmt.Errorf("client: trail: %w", err)
	}
	t.mu.Lock()
	t.kept, t.tip = append(t.kept, b), after
	t.mu.Unlock()
	t.at.Store(max(t.at.Load(), b.Height))
	return nil
}

// Keep makes the prover's receipts lead over a trail.
func (p *Prover) Keep(t *Trail) { p.kept = t }

// Extend looks at the blocks up to a height, of which those from base on are here, and keeps what later
// receipts need. Errors: ErrGap; then the trail stays where it is until Adopt helps or Skip gives up.
func (p *Prover) Extend(ctx context.Context, base, height int64) error {
	t := p.kept
	at := t.at.Load()
	if height <= at {
		return nil
	}
	to, err := p.block(ctx, height)
	if err != nil {
		return err
	}
	if string(to.ValidatorsHash) == string(t.tip.ValidatorsHash()) {
		t.at.Store(height)
		return nil
	}
	// The last block of the tip's validators that is known of; after a start, the first one that is here.
	var last *cmttypes.LightBlock
	from := t.tip
	if at = max(at, base); at >= height {
		if err := t.keep(to); err != nil {
			return fmt.Errorf("%w: %w", ErrGap, err)
		}
		return nil
	}
	if at > from.Height() {
		if last, err = p.block(ctx, at); err != nil {
			return err
		}
		if from, err = t.tip.Follow(last); err != nil {
			return fmt.Errorf("%w: %w", ErrGap, err)
		}
	}
	steps, _, err := p.walk(ctx, from, to, at)
	if err != nil {
		return err
	}
	steps = append(steps, to)
	if last != nil && last.Height < steps[0].Height {
		if _, err := t.tip.Follow(steps[0]); err != nil {
			steps = append([]*cmttypes.LightBlock{last}, steps...)
		}
	}
	for _, b := range steps {
		if err := t.keep(b); err != nil {
			return err
		}
	}
	t.at.Store(height)
	return nil
}

// Skip gives up on blocks below a height: nothing leads over them, but newer ones may be pruned.
func (t *Trail) Skip(height int64) { t.at.Store(max(t.at.Load(), height)) }

// trail finds blocks between what is trusted and a later block that lead from the one's validators to the
// other's: over those that are kept, then over those that are here. It returns them and what is trusted
// after the last.
func (p *Prover) trail(ctx context.Context, from receipt.Trust, to *cmttypes.LightBlock) ([]*cmttypes.LightBlock, receipt.Trust, error) {
	var kept []*cmttypes.LightBlock
	var here int64
	if p.kept != nil {
		here = p.kept.Needs()
		for _, b := range p.kept.blocks() {
			if b.Height < to.Height {
				kept = append(kept, b)
			}
		}
	}
	return p.over(ctx, from, kept, to, here)
}

// over bisects the kept blocks.
func (p *Prover) over(ctx context.Context, from receipt.Trust, kept []*cmttypes.LightBlock, to *cmttypes.LightBlock, here int64) ([]*cmttypes.LightBlock, receipt.Trust, error) {
	if after, err := from.Follow(to); err == nil {
		return nil, after, nil
	}
	if len(kept) == 0 {
		return p.walk(ctx, from, to, here)
	}
	mid := kept[len(kept)/2]
	first, from, err := p.over(ctx, from, kept[:len(kept)/2], mid, here)
	if err != nil {
		return nil, from, err
	}
	rest, after, err := p.over(ctx, from, kept[len(kept)/2+1:], to, here)
	if err != nil {
		return nil, from, err
	}
	return append(append(first, mid), rest...), after, nil
}

// walk bisects the heights between, of which those from here on are not pruned: none while the set is the
// same or changes little.
func (p *Prover) walk(ctx context.Context, from receipt.Trust, to *cmttypes.LightBlock, here int64) ([]*cmttypes.LightBlock, receipt.Trust, error) {
	after, err := from.Follow(to)
	if err == nil {
		return nil, after, nil
	}
	middle := (from.Height() + to.Height) / 2
	if here > middle && here < to.Height {
		middle = here
	}
	if middle <= from.Height() {
		// Neighbours always follow from each other, so one of the two is not of this chain.
		return nil, from, fmt.Errorf("client: trail to block %d: %w", to.Height, err)
	}
	mid, err := p.block(ctx, middle)
	if err != nil {
		return nil, from, err
	}
	first, from, err := p.walk(ctx, from, mid, 0)
	if err != nil {
		return nil, from, err
	}
	rest, after, err := p.walk(ctx, from, to, 0)
	if err != nil {
		return nil, from, err
	}
	return append(append(first, mid), rest...), after, nil
}

// HeightOf is the height of a block as a receipt carries it. Nothing of it is verified.
func HeightOf(raw []byte) (int64, error) {
	b, err := receipt.DecodeBlock(raw)
	if err != nil {
		return 0, err
	}
	return b.Height, nil
}
