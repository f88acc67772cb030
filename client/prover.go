package client

import (
	"bytes"
	"context"
	"fmt"

	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/receipt"
)

// Blocks is the part of CometBFT's RPC that receipts are made from.
type Blocks interface {
	Commit(ctx context.Context, height *int64) (*ctypes.ResultCommit, error)
	Validators(ctx context.Context, height *int64, page, perPage *int) (*ctypes.ResultValidators, error)
}

// Prover makes receipts from a node's own replica. What it makes verifies with nothing but
// the genesis file (package receipt).
type Prover struct {
	app       *ledger.App
	transport Transport
	blocks    func() Blocks // nil while the node is not started
	genesis   *cmttypes.GenesisDoc
	kept      *Trail // nil: whatever receipts lead over is asked of blocks
}

// NewProver makes a prover over a node.
func NewProver(app *ledger.App, t Transport, blocks func() Blocks, genesis *cmttypes.GenesisDoc) *Prover {
	return &Prover{app: app, transport: t, blocks: blocks, genesis: genesis}
}

// Entry proves that the ledger's log holds its entry at index.
func (p *Prover) Entry(ctx context.Context, index uint64) (*receipt.Receipt, error) {
	v := p.app.View()
	defer v.Close()
	claim, err := entryClaim(v, index)
	if err != nil {
		return nil, err
	}
	return p.seal(ctx, v, &receipt.Receipt{Entry: claim})
}

// Row proves the value of a state key, or that it is absent.
func (p *Prover) Row(ctx context.Context, key []byte) (*receipt.Receipt, error) {
	v := p.app.View()
	defer v.Close()
	claim, err := rowClaim(v, key)
	if err != nil {
		return nil, err
	}
	return p.seal(ctx, v, &receipt.Receipt{Row: claim})
}

// Audit proves a pseudonym's whole access log.
func (p *Prover) Audit(ctx context.Context, patient tx.Account) (*receipt.Receipt, error) {
	v := p.app.View()
	defer v.Close()
	at, entries, err := AuditEntries(v, patient)
	if err != nil {
		return nil, err
	}
	proof, err := v.ProveKey(audit.Key(patient))
	if err != nil {
		return nil, fmt.Errorf("client: prove access log: %w", err)
	}
	return p.seal(ctx, v, &receipt.Receipt{Audit: &receipt.AuditClaim{Patient: patient, Entries: entries, Position: at, Proof: proof}})
}

var (
	errNoEntry = tx.Refuse(0x2301, "client: the ledger's log has no such entry")
	errLog     = fmt.Errorf("client: the access log does not lead back to its first entry")
)

// AuditEntries follows a pseudonym's chain back from its position and returns its entries,
// oldest first.
func AuditEntries(v *state.View, patient tx.Account) (audit.Position, [][]byte, error) {
	at, ok := audit.At(v, patient)
	if !ok {
		return at, nil, nil
	}
	entries := make([][]byte, at.Seq)
	for i, index := int(at.Seq)-1, at.Index; i >= 0; i-- {
		raw, ok := v.Entry(index)
		if !ok {
			return at, nil, errLog
		}
		_, rec, err := audit.Decode(raw)
		if err != nil {
			return at, nil, fmt.Errorf("client: access log: %w", err)
		}
		entries[i], index = raw, rec.PrevIndex
	}
	return at, entries, nil
}

// seal adds the signed block above the view's height, which carries its app hash.
func (p *Prover) seal(ctx context.Context, v *state.View, r *receipt.Receipt) (*receipt.Receipt, error) {
	height := v.Meta().Height
	if err := p.transport.WaitChange(ctx, height); err != nil {
		return nil, fmt.Errorf("%w: waiting for the block that proves it: %w", ErrUnreachable, err)
	}
	block, err := p.block(ctx, height+1)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(block.AppHash, appHash(v)) {
		return nil, fmt.Errorf("client: block %d does not carry this replica's app hash", height+1)
	}
	r.Version, r.Chain = receipt.Version, p.genesis.ChainID
	if r.Block, err = receipt.EncodeBlock(block); err != nil {
		return nil, err
	}
	from, err := receipt.TrustGenesis(p.genesis)
	if err != nil {
		return nil, err
	}
	trail, _, err := p.trail(ctx, from, block)
	if err != nil {
		return nil, err
	}
	for _, b := range trail {
		raw, err := receipt.EncodeBlock(b)
		if err != nil {
			return nil, err
		}
		r.Trail = append(r.Trail, raw)
	}
	return r, nil
}

func appHash(v *state.View) []byte { h := v.Meta().AppHash; return h[:] }

func (p *Prover) block(ctx context.Context, height int64) (*cmttypes.LightBlock, error) {
	blocks := p.blocks()
	if blocks == nil {
		return nil, ErrUnreachable
	}
	c, err := blocks.Commit(ctx, &height)
	if err != nil {
		return nil, fmt.Errorf("client: block %d: %w", height, err)
	}
	if c == nil {
		return nil, fmt.Errorf("client: block %d is not here", height)
	}
	var vals []*cmttypes.Validator
	for page, per := 1, 100; ; page++ { // it gives no more at once
		vs, err := blocks.Validators(ctx, &height, &page, &per)
		if err != nil {
			return nil, fmt.Errorf("client: validators of block %d: %w", height, err)
		}
		vals = append(vals, vs.Validators...)
		if len(vs.Validators) == 0 || len(vals) >= vs.Total {
			break
		}
	}
	set, err := cmttypes.ValidatorSetFromExistingValidators(vals)
	if err != nil {
		return nil, fmt.Errorf("client: validators of block %d: %w", height, err)
	}
	return &cmttypes.LightBlock{SignedHeader: &c.SignedHeader, ValidatorSet: set}, nil
}
