package client

import (
	"context"
	"fmt"

	"salus/ledger/state"
	"salus/receipt"
)

// Claims are rows and entries proven under one block: what receipts for each would say, with the
// block and the way to it once. spec/receipt.md section 4.
type Claims struct {
	Version uint8                `cbor:"1,keyasint"` // receipt.Version
	Chain   string               `cbor:"2,keyasint"`
	Block   []byte               `cbor:"3,keyasint"` // as in a receipt
	Trail   [][]byte             `cbor:"4,keyasint"`
	Rows    []receipt.RowClaim   `cbor:"5,keyasint"`
	Entries []receipt.EntryClaim `cbor:"6,keyasint"`
}

// Claims proves the rows and the entries that choose names, all of one state. The state is the one
// before the last, whose block is there already, if that is of height least or later; else it is the
// last one, and Claims waits for the block above it.
func (p *Prover) Claims(ctx context.Context, least int64, choose func(v *state.View) (rows [][]byte, entries []uint64, err error)) (*Claims, error) {
	v := p.proven(least)
	defer v.Close()
	rows, entries, err := choose(v)
	if err != nil {
		return nil, err
	}
	c := &Claims{Version: receipt.Version, Rows: []receipt.RowClaim{}, Entries: []receipt.EntryClaim{}, Trail: [][]byte{}}
	for _, key := range rows {
		r, err := rowClaim(v, key)
		if err != nil {
			return nil, err
		}
		c.Rows = append(c.Rows, *r)
	}
	for _, index := range entries {
		e, err := entryClaim(v, index)
		if err != nil {
			return nil, err
		}
		c.Entries = append(c.Entries, *e)
	}
	r, err := p.seal(ctx, v, &receipt.Receipt{})
	if err != nil {
		return nil, err
	}
	c.Chain, c.Block, c.Trail = r.Chain, r.Block, append(c.Trail, r.Trail...)
	return c, nil
}

// proven is the newest state that needs no waiting for, if it is of height least or later.
func (p *Prover) proven(least int64) *state.View {
	if before := p.app.Head().Height - 1; before >= max(least, 1) {
		if v, ok := p.app.ViewAt(before); ok {
			return v
		}
	}
	return p.app.View()
}

func rowClaim(v *state.View, key []byte) (*receipt.RowClaim, error) {
	value, ok := v.Get(key)
	proof, err := v.ProveKey(key)
	if err != nil {
		return nil, fmt.Errorf("client: prove row: %w", err)
	}
	return &receipt.RowClaim{Key: key, Value: value, Absent: !ok, Proof: proof}, nil
}

func entryClaim(v *state.View, index uint64) (*receipt.EntryClaim, error) {
	entry, ok := v.Entry(index)
	if !ok {
		return nil, errNoEntry
	}
	proof, err := v.ProveEntry(index)
	if err != nil {
		return nil, fmt.Errorf("client: prove entry: %w", err)
	}
	return &receipt.EntryClaim{Index: index, Entry: entry, Proof: proof}, nil
}
