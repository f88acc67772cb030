package custody

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/threshold"
	"salus/threshold/oprf"
)

// The custodians' lookup key: this member's part in the ceremonies that make it and pass it
// on (spec/lookup.md section 4). What must be kept is on disk before the ledger hears of it.

// dealRow is what this member dealt in one ceremony.
type dealRow struct {
	Eval       [][32]byte `cbor:"1,keyasint"` // commitments
	Open       [][32]byte `cbor:"2,keyasint"`
	EvalShares [][32]byte `cbor:"3,keyasint"` // of recipient j at j-1
	OpenShares [][32]byte `cbor:"4,keyasint"`
}

// shareRow is a pair of shares: of one dealing, or of the key.
type shareRow struct {
	Eval threshold.Share `cbor:"1,keyasint"`
	Open threshold.Share `cbor:"2,keyasint"`
}

// Rows under prefixLookup: 'd' + ceremony: dealRow; 'g' + ceremony + dealer: shareRow got from
// a dealer; 's' + ceremony: shareRow of the key that the ceremony made; 'r' + ceremony: the rows of enrolments that
// belong to that key are here.
func dealKey(n uint64) []byte { return rowKey(prefixLookup, []byte{'d'}, number(n)) }

func gotKey(n uint64, dealer int) []byte {
	return rowKey(prefixLookup, []byte{'g'}, number(n), []byte{byte(dealer)})
}
func lookupShareKey(n uint64) []byte { return rowKey(prefixLookup, []byte{'s'}, number(n)) }

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// number reads a counter, 0 if it is absent.
func (r *rows) number(k []byte) (uint64, error) {
	b, err := r.get(k)
	if errors.Is(err, errAbsent) {
		return 0, nil
	}
	if err == nil && len(b) != 8 {
		err = errDamaged
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// sealedRow reads a row that is wrapped under a root and decodes it.
func sealedRow[T any](r *rows, k []byte) (v T, err error) {
	b, err := r.unwrapped(k)
	if err != nil {
		return v, err
	}
	defer clear(b)
	if tx.DecodeAny(b, &v, len(b)) != nil {
		return v, errDamaged
	}
	return v, nil
}

func (r *rows) setSealed(k []byte, v any) error {
	b, err := tx.Encode(v)
	if err != nil {
		return errorf("encode", err)
	}
	defer clear(b)
	return r.setWrapped(k, b)
}

// lookupShare is this member's share of the key of that number.
func (r *rows) lookupShare(n uint64) (shareRow, error) {
	return sealedRow[shareRow](r, lookupShareKey(n))
}

// lookups does what lookups ask of a custodian whenever a block says so.
func (c *Custodian) lookups(ctx context.Context) error {
	for {
		changed := c.Changed()
		if err := c.lookupOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.Log.DebugContext(ctx, "lookup_waits", "err", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookupOnce opens what is waited for before it takes part in a ceremony, where dealers may keep it waiting.
func (c *Custodian) lookupOnce(ctx context.Context) error {
	return errors.Join(c.openWaiting(ctx), c.ceremonyOnce(ctx), c.forgetRows())
}

// seatOf is an account's place among the members, from 1; 0 if it has none.
func seatOf(members []tx.Account, who tx.Account) int {
	for i, m := range members {
		if m == who {
			return i + 1
		}
	}
	return 0
}

func has(set uint64, i int) bool { return i > 0 && set&(1<<(i-1)) != 0 }

// ceremonyOnce does this member's next step in the ceremony that runs, or ran last.
func (c *Custodian) ceremonyOnce(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	run, ok := lookup.LastCeremony(v)
	if !ok {
		return c.passOn(ctx, v, &run)
	}
	dealer, recipient := seatOf(run.Dealers, c.Self), seatOf(run.Recipients, c.Self)
	switch run.Phase {
	case lookup.Dealing:
		if dealer > 0 && !has(run.Dealt, dealer) {
			return c.deal(ctx, &run)
		}
	case lookup.Vouching:
		if recipient > 0 && !has(run.Vouched, recipient) {
			return c.vouch(ctx, v, &run, recipient)
		}
	case lookup.Answering:
		for j, missing := range run.Missing {
			if has(missing, dealer) {
				return c.answerComplaint(ctx, &run, j+1)
			}
		}
	case lookup.Done:
		if recipient > 0 {
			if err := c.keepLookupShare(ctx, v, &run, recipient); err != nil {
				return err
			}
		}
		if err := errors.Join(c.takeRows(ctx, v, &run), c.dropOld(&run)); err != nil {
			return err
		}
		fallthrough
	case lookup.Failed:
		return c.passOn(ctx, v, &run)
	}
	return nil
}

// passOn begins a ceremony when there is no key yet, or the one in force is another committee's. Whoever of
// the committee sees it first begins.
func (c *Custodian) passOn(ctx context.Context, v *state.View, run *lookup.Ceremony) error {
	k, ok := lookup.Current(v)
	e, err := committee.Current(v)
	if err != nil || ok && k.Epoch == e.Epoch || seatOf(e.Members, c.Self) == 0 {
		return nil
	}
	now := v.Meta().Time
	if c.began == run.Number+1 && now < c.beganAt+governance.ParamsOf(v).LookupPhase {
		return nil // what the ledger refuses once it refuses at the next block too
	}
	err = c.tell(ctx, lookup.KindBegin, &lookup.Begin{Number: run.Number + 1})
	if _, refused := errors.AsType[*tx.Refusal](err); err == nil || refused {
		c.began, c.beganAt = run.Number+1, now
	}
	return err
}

// tell submits; that others were faster is no error.
func (c *Custodian) tell(ctx context.Context, kind tx.Kind, m tx.Message) error {
	if _, err := c.Submit.Submit(ctx, kind, m); err != nil && !settledByOthers(err) {
		return err
	}
	return nil
}

// deal draws, or deals its old share again, and keeps all of it before it commits to it.
func (c *Custodian) deal(ctx context.Context, run *lookup.Ceremony) error {
	row, err := sealedRow[dealRow](c.rows, dealKey(run.Number))
	if errors.Is(err, errAbsent) {
		if row, err = c.draw(run); err == nil {
			err = c.rows.setSealed(dealKey(run.Number), &row)
		}
	}
	if err != nil {
		return err
	}
	m := &lookup.Deal{Ceremony: run.Number}
	for k := range row.Eval {
		m.Eval, m.Open = append(m.Eval, row.Eval[k]), append(m.Open, row.Open[k])
	}
	return c.tell(ctx, lookup.KindDeal, m)
}

func (c *Custodian) draw(run *lookup.Ceremony) (row dealRow, err error) {
	n, t := len(run.Recipients), int(run.T)
	one := func(share *threshold.Share) (*oprf.Dealing, error) {
		if run.From == 0 {
			return oprf.Deal(rand.Reader, n, t)
		}
		return oprf.Redeal(rand.Reader, *share, n, t)
	}
	var old shareRow
	if run.From != 0 {
		if old, err = c.rows.lookupShare(run.From); err != nil {
			return row, err
		}
	}
	eval, err := one(&old.Eval)
	if err != nil {
		return row, errorf("deal", err)
	}
	open, err := one(&old.Open)
	if err != nil {
		return row, errorf("deal", err)
	}
	for k := range eval.Commitments {
		row.Eval, row.Open = append(row.Eval, eval.Commitments[k]), append(row.Open, open.Commitments[k])
	}
	for j := range eval.Shares {
		row.EvalShares, row.OpenShares = append(row.EvalShares, eval.Shares[j]), append(row.OpenShares, open.Shares[j])
	}
	return row, nil
}

func (c *Custodian) answerComplaint(ctx context.Context, run *lookup.Ceremony, recipient int) error {
	row, err := sealedRow[dealRow](c.rows, dealKey(run.Number))
	if err != nil {
		return err
	}
	return c.tell(ctx, lookup.KindAnswer, &lookup.Answer{
		Ceremony: run.Number, Recipient: uint8(recipient), Eval: row.EvalShares[recipient-1], Open: row.OpenShares[recipient-1],
	})
}

// keepLookupShare adds up the agreed dealings, and compares with what the ledger says this
// member's share is.
func (c *Custodian) keepLookupShare(ctx context.Context, v *state.View, run *lookup.Ceremony, recipient int) error {
	k, ok := lookup.Current(v)
	if !ok || k.Number != run.Number || c.rows.has(lookupShareKey(k.Number)) {
		return nil
	}
	var dealers []int
	var evals, opens []threshold.Share
	for i := range run.Dealers {
		if !has(run.Agreed, i+1) {
			continue
		}
		row, err := c.obtain(ctx, v, run, i+1, recipient)
		if err != nil {
			return err
		}
		dealers, evals, opens = append(dealers, i+1), append(evals, row.Eval), append(opens, row.Open)
	}
	add := oprf.JoinShares
	if run.From != 0 {
		add = func(got []threshold.Share) (threshold.Share, error) { return oprf.CarryShares(dealers, got) }
	}
	var own shareRow
	var err error
	if own.Eval, err = add(evals); err == nil {
		own.Open, err = add(opens)
	}
	if err != nil {
		return errorf("lookup key", err)
	}
	e, err1 := oprf.Public(own.Eval)
	o, err2 := oprf.Public(own.Open)
	if err1 != nil || err2 != nil || tx.Hash(e) != k.Evals[recipient-1] || tx.Hash(o) != k.Opens[recipient-1] {
		return errorf("lookup key", errDamaged)
	}
	return c.rows.setSealed(lookupShareKey(k.Number), &own)
}

// dropOld destroys what a finished ceremony makes useless: what was got and dealt for it once
// everybody has vouched, and every share of the key before it.
func (c *Custodian) dropOld(run *lookup.Ceremony) error {
	var gone [][]byte
	err := c.rows.scan([]byte{prefixLookup}, func(rest, _ []byte) (bool, error) {
		if len(rest) < 9 {
			return false, errDamaged
		}
		n := binary.BigEndian.Uint64(rest[1:])
		complete := n == run.Number && rest[0] == 'g' && c.rows.has(lookupShareKey(n)) || n == run.Number && rest[0] == 'd' && run.Vouched == ^uint64(0)>>(64-len(run.Recipients))
		if n < run.Number || complete {
			gone = append(gone, rowKey(prefixLookup, rest))
		}
		return true, nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return c.rows.drop(func(f func(*pebble.Batch) error) error { return c.rows.update(f) }, gone...)
}
