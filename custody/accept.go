package custody

import (
	"context"
	"errors"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
)

// Accept parks a parcel durably until its header is committed in the own replica. What is
// not on the ledger yet only its author may bring, within bounds; what is, anybody may
// relay, and it is compared with the ledger before it is written.
// Errors: ErrParcel, ErrBusy.
func (c *Custodian) Accept(_ context.Context, from tx.Account, p *exchange.Parcel) error {
	if p.Header.Chain != c.Chain || p.Validate() != nil {
		return ErrParcel
	}
	hh := p.Header.Hash()
	if c.settled(hh) {
		return nil
	}
	v := c.Ledger.View()
	defer v.Close()
	if erasure.Erased(v, hh, tx.Hash{}) {
		return nil // nobody needs it, and who asks is told nothing
	}
	if epoch, err := committee.At(v, p.Header.Epoch); err == nil {
		if _, ours := epoch.IndexOf(c.Self); !ours {
			return ErrParcel
		}
	}
	b, committed := anchor.Lookup(v, hh)
	switch {
	case committed:
		put, err := exchange.PutAt(v, b)
		if err != nil {
			return err
		}
		if !committedTo(put, p) {
			return ErrParcel
		}
	case tx.Account(p.Header.Author) != from:
		return ErrParcel
	}
	if err := c.parking.put(hh, p, c.Now(), committed); err != nil {
		return err
	}
	nudge(c.wake)
	return nil
}

// committedTo reports whether the parcel is the one that the author's transaction commits
// to. Only the key epochs are not under it.
func committedTo(put *anchor.Put, p *exchange.Parcel) bool {
	return put.Header == p.Header && tx.Hash(p.Pack) == put.Pack && tx.Hash(seal.EnvelopesHash(p.Envelopes)) == put.Envelopes
}

// settled reports whether the batch is stored or erased, or its envelope found bad for ever.
func (c *Custodian) settled(hh [32]byte) bool {
	return c.rows.has(rowKey(prefixErased, hh[:])) || c.rows.has(rowKey(prefixBatch, hh[:])) || c.rows.has(rowKey(prefixRefused, hh[:]))
}

// Parcel gives what this custodian keeps for relay: with t = n - f, the f+1 honest holders
// of an active batch could not rebuild what a lagging honest one misses, so everybody keeps
// all envelopes until every custodian has its own (B.2). Only custodians of the batch's
// epoch get it: the manifest in it is nobody else's business.
// Errors: ErrNoParcel, whatever the reason.
func (c *Custodian) Parcel(_ context.Context, from tx.Account, req *exchange.ParcelRequest) (*exchange.Parcel, error) {
	p, err := c.rows.relay(req.Header)
	if errors.Is(err, errAbsent) {
		p, err = c.parking.get(req.Header)
	}
	if errors.Is(err, errAbsent) {
		return nil, ErrNoParcel
	}
	if err != nil {
		return nil, err
	}
	v := c.Ledger.View()
	defer v.Close()
	if !seated(v, p.Header.Epoch, from) || erasure.Erased(v, req.Header, tx.Hash{}) {
		return nil, ErrNoParcel
	}
	return p, nil
}

func seated(v *state.View, epoch uint64, member tx.Account) bool {
	e, err := committee.At(v, epoch)
	if err != nil {
		return false
	}
	_, ok := e.IndexOf(member)
	return ok
}
