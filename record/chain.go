package record

import (
	"context"
	"crypto/ed25519"
	"errors"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Chain tells a reader what the ledger says: an organisation asks its own replica, a
// wallet its node.
type Chain interface {
	// Committee is the custody epoch in force, with each custodian's live service keys.
	Committee(ctx context.Context) (Committee, error)
	// Anchored is an active batch; ErrNotAnchored when there is none.
	Anchored(ctx context.Context, header tx.Hash) (*exchange.Anchored, error)
	// Session is a committed session.
	Session(ctx context.Context, id tx.Hash) (access.Session, error)
}

// Committee is who holds the shares.
type Committee struct {
	Epoch committee.Epoch `cbor:"1,keyasint"`
	Keys  [][][]byte      `cbor:"2,keyasint"` // Ed25519 service keys of custodian i+1
	// Before is the committee before, while it still holds batches of its own; its Before is nil.
	Before *Committee `cbor:"3,keyasint,omitempty"`
}

// errMoved means that the shares have gone to another committee meanwhile.
var errMoved = errors.New("record: the shares have gone to another committee")

// of returns the committee of an epoch; 0 is the one in force.
func (c Committee) of(epoch uint64) (Committee, error) {
	switch {
	case epoch == 0 || epoch == c.Epoch.Epoch:
		return c, nil
	case c.Before != nil && epoch == c.Before.Epoch.Epoch:
		return *c.Before, nil
	}
	return c, errMoved
}

// Errors of a Chain.
var (
	ErrNotAnchored = errors.New("record: the batch is not active on the ledger")
	ErrNoSession   = errors.New("record: no such session on the ledger")
)

// Replica is the Chain of a node.
type Replica struct{ View func() *state.View }

// Committee implements Chain.
func (r Replica) Committee(context.Context) (Committee, error) {
	v := r.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		return Committee{}, err
	}
	c := committeeOf(v, epoch)
	if committee.HeldNow(v).Late {
		last, err := committee.At(v, epoch.Epoch-1)
		if err != nil {
			return Committee{}, err
		}
		before := committeeOf(v, last)
		c.Before = &before
	}
	return c, nil
}

func committeeOf(v *state.View, epoch committee.Epoch) Committee {
	c := Committee{Epoch: epoch}
	for _, account := range epoch.Members {
		var keys [][]byte
		m, _ := governance.LookupMember(v, account)
		for _, k := range m.Keys.Open() {
			if k.Public.Alg == tx.AlgEd25519 {
				keys = append(keys, k.Public.Key)
			}
		}
		c.Keys = append(c.Keys, keys)
	}
	return c
}

// signed reports whether one of custodian index's keys (1-based) made the signature.
func (c *Committee) signed(index int, digest [32]byte, signature []byte) bool {
	for _, k := range c.Keys[index-1] {
		if len(k) == ed25519.PublicKeySize && ed25519.Verify(k, digest[:], signature) {
			return true
		}
	}
	return false
}

// Anchored implements Chain.
func (r Replica) Anchored(_ context.Context, header tx.Hash) (*exchange.Anchored, error) {
	v := r.View()
	defer v.Close()
	a, ok := exchange.AnchoredIn(v, header)
	if !ok {
		return nil, ErrNotAnchored
	}
	return a, nil
}

// Session implements Chain.
func (r Replica) Session(_ context.Context, id tx.Hash) (access.Session, error) {
	v := r.View()
	defer v.Close()
	s, ok := access.Lookup(v, id)
	if !ok {
		return s, ErrNoSession
	}
	return s, nil
}
