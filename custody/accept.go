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

// An arrival is a parcel that may be parked.
type arrival struct {
	part      int      // of the load
	header    [32]byte // its hash
	author    tx.Account
	raw       []byte // the parcel's encoding
	committed bool   // its header is on the ledger
	err       error  // why it is not parked; nil once it is
}

// AcceptLoad parks parcels durably, all of a load in one write, until their headers are committed in the own
// replica. Each is judged by itself. What is not on the ledger yet only its author may bring, within bounds; what
// is, anybody may relay, and it is compared with the ledger before it is written.
// Codes: ErrParcel, ErrBusy. Errors: ErrMalformed.
func (c *Custodian) AcceptLoad(_ context.Context, from tx.Account, l *exchange.Load) (*exchange.LoadReply, error) {
	if l.Validate() != nil {
		return nil, ErrMalformed
	}
	reply := &exchange.LoadReply{Codes: make([]uint32, len(l.Parts))}
	for i, err := range c.accept(from, l.Parts) {
		code, refused := tx.CodeOf(err)
		if !refused { // of the own store or ledger, and no word on the parcel
			return nil, err
		}
		reply.Codes[i] = code
	}
	return reply, nil
}

// Accept is AcceptLoad for one parcel.
// Errors: ErrParcel, ErrBusy.
func (c *Custodian) Accept(_ context.Context, from tx.Account, p *exchange.Parcel) error {
	b, err := tx.Encode(p)
	if err != nil {
		return ErrParcel
	}
	return c.accept(from, [][]byte{b})[0]
}

// accept returns what became of each part.
func (c *Custodian) accept(from tx.Account, parts [][]byte) []error {
	v := c.Ledger.View()
	defer v.Close()
	errs := make([]error, len(parts))
	var park []*arrival
	seen := map[[32]byte]bool{}
	for i, raw := range parts {
		a, err := c.door(v, from, raw)
		if a != nil && seen[a.header] {
			a, err = nil, ErrParcel // a load names a batch once
		}
		if errs[i] = err; a != nil {
			a.part, seen[a.header] = i, true
			park = append(park, a)
		}
	}
	if len(park) == 0 {
		return errs
	}
	c.parking.put(park, c.Now())
	for _, a := range park {
		errs[a.part] = a.err
	}
	nudge(c.wake)
	return errs
}

// door checks a parcel; nil without an error is one that there is no need to keep.
func (c *Custodian) door(v *state.View, from tx.Account, raw []byte) (*arrival, error) {
	p := new(exchange.Parcel)
	if tx.DecodeAny(raw, p, len(raw)) != nil || p.Header.Chain != c.Chain || p.Validate() != nil {
		return nil, ErrParcel
	}
	hh := p.Header.Hash()
	if c.settled(hh) {
		return nil, nil
	}
	if erasure.Erased(v, hh, tx.Hash{}) {
		return nil, nil // nobody needs it, and who asks is told nothing
	}
	if epoch, err := committee.At(v, p.Header.Epoch); err == nil {
		if _, ours := epoch.IndexOf(c.Self); !ours {
			return nil, ErrParcel
		}
	}
	b, committed := anchor.Lookup(v, hh)
	switch {
	case committed:
		put, err := exchange.PutAt(v, b)
		if err != nil {
			return nil, err
		}
		if !committedTo(put, p) {
			return nil, ErrParcel
		}
	case tx.Account(p.Header.Author) != from:
		return nil, ErrParcel
	}
	return &arrival{header: hh, author: p.Header.Author, raw: raw, committed: committed}, nil
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
