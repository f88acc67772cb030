package record

import (
	"context"

	"salus/exchange"
	"salus/ledger/tx"
)

// memberLinks is how an organisation's own reader reaches the custodians and the vaults.
type memberLinks struct{ s *Service }

// Reading gives a session of this organisation its surroundings.
func (s *Service) Reading() Reading {
	return Reading{ChainID: s.Chain, Chain: Replica{s.Ledger.View}, Custodians: memberLinks{s}, Arrived: s.Arrived}
}

// Locate implements Custodians.
func (m memberLinks) Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	var out exchange.Sealed
	return &out, m.s.Links.Call(ctx, custodian, exchange.PathLocate, req, &out)
}

// Release implements Custodians.
func (m memberLinks) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	var out exchange.ReleaseReply
	return &out, m.s.Links.Call(ctx, custodian, exchange.PathRelease, req, &out)
}
