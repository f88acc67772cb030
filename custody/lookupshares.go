package custody

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/governance"
	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
	"salus/threshold/oprf"
)

// The shares of a ceremony's dealings: how their dealers give them, and how their recipients vouch for them.

// Shares answers a recipient of a ceremony with its shares of this member's dealing.
// Errors: ErrMalformed; ErrNotReleased whatever else the reason.
func (c *Custodian) Shares(ctx context.Context, from tx.Account, req *exchange.SharesRequest) (*exchange.Sealed, error) {
	if !validKey(req.ReaderKey) {
		return nil, ErrMalformed
	}
	v := c.Ledger.View()
	defer v.Close()
	run, ok := lookup.LastCeremony(v)
	j := seatOf(run.Recipients, from)
	if !ok || run.Number != req.Ceremony || j == 0 || !has(run.Dealt, seatOf(run.Dealers, c.Self)) {
		return nil, c.refuse(ctx, notSeated)
	}
	row, err := sealedRow[dealRow](c.rows, dealKey(run.Number))
	if err != nil || len(row.EvalShares) != len(run.Recipients) || len(row.OpenShares) != len(run.Recipients) {
		return nil, c.refuse(ctx, notHeld)
	}
	box, err := sealAnswer("shares", ceremonyID(run.Number), req.ReaderKey, &exchange.Shares{Eval: row.EvalShares[j-1], Open: row.OpenShares[j-1]})
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	return box, nil
}

// ceremonyID stands for a ceremony where answers name a session.
func ceremonyID(n uint64) tx.Hash { return seal.Sum("ceremony", number(n)) }

// obtain returns this recipient's checked shares of one dealing: known ones, or those that the dealer gives.
func (c *Custodian) obtain(ctx context.Context, v *state.View, run *lookup.Ceremony, dealer, recipient int) (shareRow, error) {
	row, err := c.known(v, run, dealer, recipient)
	if !errors.Is(err, errAbsent) {
		return row, err
	}
	ctx, cancel := context.WithTimeout(ctx, sharesTime(v))
	defer cancel()
	if row, err = c.request(ctx, run, dealer); err != nil {
		return row, err
	}
	return row, c.keepShares(v, run, dealer, recipient, row)
}

// sharesTime is how long a dealer may take to give shares: a small part of a phase, so that one that takes the question and
// keeps silent does not make the time for vouching pass.
func sharesTime(v *state.View) time.Duration {
	return min(10*time.Second, time.Duration(governance.ParamsOf(v).LookupPhase)*time.Second/8)
}

// known returns this recipient's checked shares of one dealing that nobody has to be asked for: kept ones, its own, opened
// ones. Error: errAbsent.
func (c *Custodian) known(v *state.View, run *lookup.Ceremony, dealer, recipient int) (shareRow, error) {
	row, err := sealedRow[shareRow](c.rows, gotKey(run.Number, dealer))
	if !errors.Is(err, errAbsent) {
		return row, err
	}
	if o, ok := lookup.Answered(v, run.Number, dealer, recipient); ok {
		row = shareRow{Eval: threshold.Share(o.Eval), Open: threshold.Share(o.Open)}
	} else if run.Dealers[dealer-1] == c.Self {
		own, err := sealedRow[dealRow](c.rows, dealKey(run.Number))
		if err != nil {
			return row, err
		}
		row = shareRow{Eval: own.EvalShares[recipient-1], Open: own.OpenShares[recipient-1]}
	} else {
		return row, errAbsent
	}
	return row, c.keepShares(v, run, dealer, recipient, row)
}

// keepShares keeps shares that fit what their dealer committed to.
func (c *Custodian) keepShares(v *state.View, run *lookup.Ceremony, dealer, recipient int, row shareRow) error {
	d, ok := lookup.DealtBy(v, run.Number, dealer)
	if !ok {
		return errDamaged
	}
	if err := errors.Join(oprf.VerifyShare(onGroup(d.Eval), recipient, row.Eval), oprf.VerifyShare(onGroup(d.Open), recipient, row.Open)); err != nil {
		return errorf("dealing", err)
	}
	return c.rows.setSealed(gotKey(run.Number, dealer), &row)
}

func onGroup(in []tx.Hash) []oprf.Element {
	out := make([]oprf.Element, len(in))
	for i := range in {
		out[i] = oprf.Element(in[i])
	}
	return out
}

// request asks another dealer.
func (c *Custodian) request(ctx context.Context, run *lookup.Ceremony, dealer int) (row shareRow, err error) {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		return row, errorf("key", err)
	}
	secret, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		return row, errorf("key", err)
	}
	var box exchange.Sealed
	if err := c.Links.Call(ctx, run.Dealers[dealer-1], exchange.PathShares, &exchange.SharesRequest{Ceremony: run.Number, ReaderKey: public}, &box); err != nil {
		return row, err
	}
	plain, err := seal.Unbox(secret, exchange.AnswerInfo("shares", ceremonyID(run.Number)), box.Box)
	if err != nil {
		return row, errorf("shares", err)
	}
	defer clear(plain)
	var s exchange.Shares
	if tx.DecodeAny(plain, &s, len(plain)) != nil {
		return row, errorf("shares", errDamaged)
	}
	return shareRow{Eval: s.Eval, Open: s.Open}, nil
}

// vouch says whose shares are here. It waits for all of them until half of the phase is over.
func (c *Custodian) vouch(ctx context.Context, v *state.View, run *lookup.Ceremony, recipient int) error {
	sound, failed := c.collect(ctx, v, run, recipient)
	if now := v.Meta().Time; sound != run.Dealt && now+governance.ParamsOf(v).LookupPhase/2 < run.Ends {
		return failed
	}
	return c.tell(ctx, lookup.KindVouch, &lookup.Vouch{Ceremony: run.Number, Sound: sound})
}

// collect obtains the shares of all dealings, whose it says, from their dealers at once.
func (c *Custodian) collect(ctx context.Context, v *state.View, run *lookup.Ceremony, recipient int) (sound uint64, failed error) {
	took := func(dealer int, err error) {
		if err != nil {
			failed = errors.Join(failed, err)
		} else {
			sound |= 1 << (dealer - 1)
		}
	}
	var absent []int
	for dealer := 1; dealer <= len(run.Dealers); dealer++ {
		if !has(run.Dealt, dealer) {
			continue
		}
		if _, err := c.known(v, run, dealer, recipient); errors.Is(err, errAbsent) {
			absent = append(absent, dealer)
		} else {
			took(dealer, err)
		}
	}
	type handed struct {
		dealer int
		row    shareRow
	}
	waits, cancel := context.WithTimeout(ctx, sharesTime(v))
	defer cancel()
	got, silent := hedge.Most(waits, absent, len(absent), 0, func(ctx context.Context, dealer int) (handed, error) {
		row, err := c.request(ctx, run, dealer)
		return handed{dealer, row}, err
	})
	failed = errors.Join(failed, silent)
	for _, g := range got {
		took(g.dealer, c.keepShares(v, run, g.dealer, recipient, g.row))
	}
	return sound, failed
}
