package gateway

import (
	"context"
	"net/http"

	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/record"
)

// erasureReceipt proves where a case of erasure stands.
func (g *Gateway) erasureReceipt(w http.ResponseWriter, r *http.Request) error {
	id, err := tx.ParseHash(r.PathValue("case"))
	if err != nil {
		return errArgument
	}
	return g.sendReceipt(w, r, func(ctx context.Context) (*receipt.Receipt, error) { return g.Prover.Row(ctx, erasure.CaseKey(id)) })
}

// probeErasure tries what this node could still get at of an erased case.
func (g *Gateway) probeErasure(w http.ResponseWriter, r *http.Request) error {
	id, err := tx.ParseHash(r.PathValue("case"))
	if err != nil {
		return errArgument
	}
	if g.Probe == nil {
		return errUnknown
	}
	out, err := g.Probe(r.Context(), id)
	if err != nil {
		return err
	}
	return answer(w, out)
}

// A Place is where a record is: what a request to erase it names.
type Place struct {
	Batch tx.Hash `json:"batch"`
	Leaf  tx.Hash `json:"leaf"`
	Index tx.Hash `json:"index"` // leaf of the index record that tells of it; zero if there is none
}

// place says where one of the own records is.
func (g *Gateway) place(w http.ResponseWriter, r *http.Request) error {
	id, err := record.ParseID(r.PathValue("id"))
	if err != nil {
		return errArgument
	}
	o, err := g.Record.Record(id)
	if err != nil {
		return err
	}
	leaf, index, err := g.Custody.Leaves(o.Batch, int(o.Index))
	if err != nil {
		return err
	}
	return answer(w, Place{o.Batch, leaf, index})
}
