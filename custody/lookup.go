package custody

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/internal/peer"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/governance"
	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/threshold/oprf"
)

// Lookups of patients, spec/lookup.md. What an entry allows is decided here as a release is:
// from the own replica, inside the lock that no commit can pass, with a receipt written ahead.

// asked reports the entry if custodians still answer for it, and the key with this custodian's
// index. Whatever is wrong looks alike from outside.
func (c *Custodian) asked(v *state.View, h ledger.Head, id tx.Hash) (lookup.Entry, lookup.Key, int, error) {
	var none lookup.Entry
	if err := c.fresh(v, h); err != nil {
		return none, lookup.Key{}, 0, err
	}
	e, ok := lookup.Lookup(v, id)
	// Expiry needs no transaction, so a stalled chain must not stretch an entry.
	if !ok || !e.Live(h.Time) || c.Now().After(time.Unix(int64(e.Asked+lookup.Valid), 0).Add(skew)) {
		return none, lookup.Key{}, 0, noSession
	}
	k, ok := lookup.Current(v)
	i := k.IndexOf(c.Self)
	m, member := governance.LookupMember(v, c.Self)
	if !ok || i == 0 || !member || !m.Active {
		return none, k, 0, notSeated
	}
	if access.ReleasedBy(v, c.Self).Next > c.wal.last()+1 {
		return none, k, 0, notReported
	}
	return e, k, i, nil
}

// fresh refuses to decide from a replica that may lack the last blocks (custody.md B.6).
func (c *Custodian) fresh(v *state.View, h ledger.Head) error {
	lease := time.Duration(governance.ParamsOf(v).LeaseSeconds) * time.Second
	if age := c.Now().Sub(time.Unix(int64(h.Time), 0)); age > lease || age < -lease || c.behind(v) {
		return notFresh
	}
	return nil
}

// Evaluate answers with this custodian's part in the one evaluation that an entry allows:
// of the element that it commits to, and of no other.
// Errors: exchange.ErrNotNow; ErrNotReleased whatever else the reason.
func (c *Custodian) Evaluate(ctx context.Context, req *exchange.EvaluateRequest) (*exchange.EvaluateReply, error) {
	in := oprf.Element(req.Element)
	if in.Validate() != nil {
		return nil, ErrMalformed
	}
	if !c.pace.allow(req.Entry, c.Now()) {
		return nil, c.refuse(ctx, tooFast)
	}
	var key lookup.Key
	var index int
	err := c.Ledger.Hold(func(v *state.View, h ledger.Head) error {
		e, k, i, err := c.asked(v, h, req.Entry)
		if err != nil {
			return err
		}
		if lookup.ElementHash(in) != e.Element {
			return wrongList
		}
		key, index = k, i
		return c.wal.append(&ReleaseReceipt{Session: req.Entry, List: e.Element, Height: uint64(h.Height), Time: h.Time})
	})
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	share, err := c.rows.lookupShare(key.Number)
	if err != nil {
		return nil, c.refuse(ctx, notHeld)
	}
	defer clear(share.Eval[:])
	defer clear(share.Open[:])
	p, err := oprf.EvaluatePartial(rand.Reader, index, share.Eval, in)
	if err != nil {
		return nil, c.refuse(ctx, errorf("evaluate", err))
	}
	return &exchange.EvaluateReply{Index: uint8(index), Key: key.Number, Element: p.Element, Proof: p.Proof[:]}, nil
}

// Point takes the row of an enrolment from the member that enrolled: once.
// Errors: ErrMalformed; exchange.ErrNotNow; ErrNotReleased whatever else the reason.
func (c *Custodian) Point(ctx context.Context, from tx.Account, req *exchange.PointRequest) error {
	if len(req.Box) != exchange.PointerBox {
		return ErrMalformed
	}
	v := c.Ledger.View()
	defer v.Close()
	e, ok := lookup.Lookup(v, req.Entry)
	if !ok || e.Standing != lookup.Enrolled || e.Member != from {
		return c.refuse(ctx, noSession)
	}
	if b, err := c.rows.get(rowKey(prefixEnrolled, req.Entry[:])); err == nil {
		if [32]byte(b) != req.Address {
			return c.refuse(ctx, wrongList)
		}
		return nil // it is here already
	} else if !errors.Is(err, errAbsent) {
		return c.refuse(ctx, err)
	}
	if err := c.keepRow(req.Entry, req.Address, req.Box); err != nil {
		return c.refuse(ctx, err)
	}
	return nil
}

// Pointers answers with the rows at the one address that may be asked for under an entry.
// Errors: exchange.ErrNotNow; ErrNotReleased whatever else the reason.
func (c *Custodian) Pointers(ctx context.Context, from tx.Account, req *exchange.PointersRequest) (*exchange.PointersReply, error) {
	v := c.Ledger.View()
	defer v.Close()
	e, key, _, err := c.asked(v, headOf(v), req.Entry)
	if err == nil && (e.Use != lookup.Find || e.Member != from) {
		err = noSession
	}
	if err == nil && !c.rows.has(rowsKey(key.Number)) {
		err = notHeld // it does not know yet who is enrolled
	}
	if err == nil && !c.pace.allow(req.Entry, c.Now()) {
		err = tooFast
	}
	if err == nil {
		err = c.addressed(req)
	}
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	out := &exchange.PointersReply{}
	var keys [][]byte
	prefix := rowKey(prefixPointer, req.Address[:])
	err = c.rows.scan(prefix, func(rest, _ []byte) (bool, error) {
		keys = append(keys, rowKey(prefixPointer, req.Address[:], rest))
		return len(keys) < 64, nil
	})
	for _, k := range keys {
		if err != nil || len(out.Rows) == lookup.MaxPointers {
			break
		}
		id := tx.Hash(k[len(prefix):])
		if now, ok := lookup.Lookup(v, id); !ok || now.Standing != lookup.Enrolled {
			continue
		}
		var box []byte
		if box, err = c.rows.unwrapped(k); err == nil {
			out.Rows = append(out.Rows, exchange.PointerRow{Entry: id, Box: box})
		}
	}
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	return out, nil
}

// addressed binds an entry to the first address that is asked for under it: one guess, one
// entry. It is on disk before anything is answered.
func (c *Custodian) addressed(req *exchange.PointersRequest) error {
	c.dueMu.Lock()
	defer c.dueMu.Unlock()
	k := rowKey(prefixGuess, req.Entry[:])
	b, err := c.rows.get(k)
	if errors.Is(err, errAbsent) {
		return c.rows.set(k, req.Address[:])
	}
	if err == nil && [32]byte(b) != req.Address {
		return wrongList
	}
	return err
}

// openings of pointers: this custodian's part in each resolution that waits for it, on the
// ledger and nowhere else.
func (c *Custodian) openWaiting(ctx context.Context) error {
	v := c.Ledger.View()
	k, ok := lookup.Current(v)
	i := k.IndexOf(c.Self)
	var tasks []lookup.Resolve
	if ok && i != 0 {
		tasks = lookup.Waiting(v, k.Number, i, maxWaiting)
	}
	v.Close()
	if len(tasks) == 0 {
		return nil
	}
	share, err := c.rows.lookupShare(k.Number)
	if err != nil {
		return err
	}
	defer clear(share.Eval[:])
	defer clear(share.Open[:])
	for _, task := range tasks {
		m := &lookup.Open{Entry: task.Entry, Key: k.Number}
		for _, q := range task.Pointers {
			p := q.Sealed()
			// The ledger has checked it. To be sure costs little: a seal alone must never be evaluated.
			if p.Validate(lookup.Label(c.Chain)) != nil {
				return errorf("pointer", errDamaged)
			}
			part, err := oprf.EvaluatePartial(rand.Reader, i, share.Open, p.Seal)
			if err != nil {
				return errorf("open", err)
			}
			m.Parts = append(m.Parts, lookup.Part{Element: tx.Hash(part.Element), Proof: part.Proof[:]})
		}
		if _, err := c.Submit.Submit(ctx, lookup.KindOpen, m); err != nil && !settledByOthers(err) {
			return err
		}
	}
	return nil
}

// maxWaiting is how many resolutions one round looks at.
const maxWaiting = 64

// settledByOthers reports whether the ledger refused because it needs this no more.
func settledByOthers(err error) bool {
	return errors.Is(err, lookup.ErrUnknown) || errors.Is(err, lookup.ErrAgain) || errors.Is(err, lookup.ErrPart) ||
		errors.Is(err, lookup.ErrCeremony) || errors.Is(err, lookup.ErrRunning) || errors.Is(err, lookup.ErrAnswer)
}

var keyLookupCursor = []byte{prefixMeta, 'l'}

// forgetRows destroys the rows of enrolments that were withdrawn.
func (c *Custodian) forgetRows() error {
	v := c.Ledger.View()
	defer v.Close()
	next, err := c.rows.number(keyLookupCursor)
	if err != nil {
		return err
	}
	if next == 0 {
		if n, err := c.rows.count(prefixEnrolled); err != nil || n == 0 {
			return err // nothing to forget: do not read the log for it
		}
	}
	for next < v.Size() {
		end := min(v.Size(), next+readChunk)
		var gone [][]byte
		for ; next < end; next++ {
			id, ok := forgotten(v, next)
			if !ok {
				continue
			}
			at := rowKey(prefixEnrolled, id[:])
			if address, err := c.rows.get(at); err == nil {
				gone = append(gone, at, rowKey(prefixPointer, address, id[:]))
			}
		}
		commit := c.rows.updateLazy // reading entries twice is harmless
		if len(gone) > 0 {
			commit = c.rows.update
		}
		err := commit(func(b *pebble.Batch) error {
			for _, k := range gone {
				if err := b.Delete(k, nil); err != nil {
					return errorf("store", err)
				}
			}
			return b.Set(keyLookupCursor, number(next), nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func forgotten(v *state.View, i uint64) (tx.Hash, bool) {
	raw, ok := v.Entry(i)
	var e ledger.Entry
	var m lookup.Forget
	if !ok || tx.DecodeAny(raw, &e, len(raw)) != nil || e.Kind != lookup.EntryForgot || tx.Decode(e.Payload, &m) != nil {
		return tx.Hash{}, false
	}
	return m.Entry, true
}

// lookupRoutes serves the custodian's part in lookups.
func (c *Custodian) lookupRoutes(s *peer.Server) {
	handle(s, exchange.PathEvaluate, func(ctx context.Context, q *exchange.EvaluateRequest) (*exchange.EvaluateReply, error) {
		if !c.await(ctx, q.Height) {
			return nil, c.refuse(ctx, notFresh)
		}
		return c.Evaluate(ctx, q)
	})
	s.Handle(exchange.PathShares, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.SharesRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		return c.Shares(ctx, r.From, &q)
	})
	s.Handle(exchange.PathPoint, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.PointRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		if !c.await(ctx, q.Height) {
			return nil, c.refuse(ctx, notFresh)
		}
		return struct{}{}, c.Point(ctx, r.From, &q)
	})
	s.Handle(exchange.PathRows, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.RowsRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		return c.Rows(ctx, r.From, &q)
	})
	s.Handle(exchange.PathPointers, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.PointersRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		if !c.await(ctx, q.Height) {
			return nil, c.refuse(ctx, notFresh)
		}
		return c.Pointers(ctx, r.From, &q)
	})
}
