package node

import (
	"context"
	"errors"

	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

// A Probe is what this node could still get at of an erased case, by each path. All of it is 0 when the case is carried
// out here.
type Probe struct {
	Case    tx.Hash `json:"case"`
	Tried   int     `json:"tried"`   // blobs, records and versions that were looked for
	Shares  int     `json:"shares"`  // that the custodian could read, or parcels that hold some
	Blobs   int     `json:"blobs"`   // that the vault gave out
	Records int     `json:"records"` // that the own store could read
	Store   int     `json:"store"`   // versions, index rows and cached copies in the clinical store
}

// Clean reports whether nothing was found.
func (p *Probe) Clean() bool { return p.Shares+p.Blobs+p.Records+p.Store == 0 }

// probe tries every path to what a case erased, past every rule of access.
func (n *Node) probe(ctx context.Context, id tx.Hash) (any, error) {
	v := n.app.View()
	e, ok := erasure.Lookup(v, id)
	v.Close()
	switch {
	case !ok:
		return nil, erasure.ErrUnknown
	case !e.Stands():
		return nil, erasure.ErrStatus
	}
	p := &Probe{Case: id}
	var err error
	if p.Shares, err = n.custody.Probe(&e); err != nil {
		return nil, err
	}
	blobs, err := n.custody.Blobs()
	if err != nil {
		return nil, err
	}
	var ids []record.ID
	for _, b := range blobs {
		p.Tried++
		ids = append(ids, b.Record)
		if _, err := n.vault.Get(ctx, b.Address); err == nil {
			p.Blobs++
		} else if !errors.Is(err, vault.ErrNotFound) {
			return nil, err
		}
	}
	for _, id := range ids {
		if _, _, err := n.record.Body(id); err == nil {
			p.Records++
		} else if !errors.Is(err, record.ErrErased) && !errors.Is(err, record.ErrUnknownRecord) {
			return nil, err
		}
	}
	what, _, err := outside{n}.erasureOf(nil, []tx.Hash{e.Batch}, ids)
	if err != nil {
		return nil, err
	}
	p.Tried += len(what.Versions)
	p.Store, err = n.fhir.store.Left(ctx, what)
	return p, err
}
