package custody

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// reshareEvery is how often a resharing is looked after; what is new on the ledger wakes it too.
const reshareEvery = 2 * time.Second

// errWaits means that others have to do something first.
var errWaits = errors.New("custody: the resharing waits for others")

// reshare deals to the next committee, takes over from the one before, moves what was taken
// over into its place when the epoch changes, and destroys the old shares. Each step is found
// again from the ledger and the store, so a crash repeats at most work.
func (c *Custodian) reshare(ctx context.Context) error {
	for {
		changed := c.Changed()
		if err := c.reshareOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !errors.Is(err, errWaits) {
				c.Log.WarnContext(ctx, "resharing_waits", "err", err)
			}
		}
		if !sleep(ctx, retryPause) {
			return ctx.Err()
		}
		t := time.NewTimer(reshareEvery)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// A change is one resharing as this custodian's ledger has it.
type change struct {
	v     *state.View
	row   reshare.Resharing
	old   committee.Epoch
	next  committee.Epoch
	deals uint8 // own index in old, 0 if not in it
	takes uint8 // own index in next, 0 if not in it
}

// changeAt is the last resharing; false if there never was one.
func (c *Custodian) changeAt(v *state.View) (*change, bool) {
	row, ok := reshare.Latest(v)
	if !ok {
		return nil, false
	}
	return c.changeOf(v, row)
}

func (c *Custodian) changeOf(v *state.View, row reshare.Resharing) (*change, bool) {
	old, next, err := reshare.Members(v, &row)
	if err != nil {
		return nil, false
	}
	i, _ := old.IndexOf(c.Self)
	j, _ := next.IndexOf(c.Self)
	return &change{v: v, row: row, old: old, next: next, deals: uint8(i), takes: uint8(j)}, true
}

func (h *change) name(pass int) reshare.Name {
	return reshare.Name{To: h.row.To, Start: h.row.Start, Pass: uint8(pass)}
}

// batches lists the header hashes of a pass, in order.
func (h *change) batches(pass int) [][32]byte {
	p := &h.row.Passes[pass-1]
	list := make([][32]byte, 0, p.Count)
	anchor.EachActive(h.v, p.After, p.UpTo, func(hh tx.Hash, _ anchor.Batch) bool {
		list = append(list, hh)
		return true
	})
	return list
}

// reshareOnce takes every step that can be taken now.
func (c *Custodian) reshareOnce(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	h, ok := c.changeAt(v)
	if !ok || c.behind(v) {
		return nil
	}
	var errs []error
	var before reshare.Name
	// A resharing that begins ends the one before: what was taken over in that is dealt in this.
	if row, ok := reshare.Lookup(v, h.row.To-1); ok {
		if last, ok := c.changeOf(v, row); ok {
			before = last.name(1)
			if err := c.moveAll(ctx, last, true); err != nil {
				return err
			}
			if row.Spent(v.Meta().Time, graceOf(v)) {
				errs = append(errs, c.destroyEpoch(ctx, last))
			}
		}
	}
	if err := c.dropAbandoned(h, before); err != nil {
		return err
	}
	spent := h.row.Spent(v.Meta().Time, graceOf(v))
	if pass := h.row.Open(); pass != 0 && h.deals != 0 {
		errs = append(errs, c.dealPass(ctx, h, pass))
	}
	if h.takes != 0 && !spent {
		for pass := 1; pass <= len(h.row.Passes); pass++ {
			if !h.row.Passes[pass-1].Confirmed(h.takes) {
				errs = append(errs, c.takePass(ctx, h, pass))
			}
		}
	}
	if h.row.Changed != 0 {
		errs = append(errs, c.moveAll(ctx, h, spent))
		c.beginAnew(h)
	}
	if spent {
		errs = append(errs, c.destroyEpoch(ctx, h))
	}
	return errors.Join(errs...)
}

// beginAnew lets a lost log of release receipts begin behind what the ledger knows of it, when
// all that is of an epoch before: under that one this custodian releases nothing any more.
func (c *Custodian) beginAnew(h *change) {
	if last := access.ReleasedBy(h.v, c.Self); last.Next > 1 && last.Height < h.next.From {
		c.wal.resume(last.Next)
	}
}

// gone is the seam to erasure: whether nothing of the batch is to be handed on.
func gone(v *state.View, hh tx.Hash) bool { return erasure.Erased(v, hh, tx.Hash{}) }

// partly reports whether records of the batch are erased: its commitments, which go over all
// of them, prove nothing any more about the shares that are left.
func partly(v *state.View, hh tx.Hash) bool { return erasure.ErasedRecords(v, hh) > 0 }

// holding returns the epoch that a request is about: the one in force, or the one before it
// while that still holds late batches.
func holding(v *state.View, asked uint64) (committee.Epoch, error) {
	now, err := committee.Current(v)
	if err != nil {
		return now, notSeated
	}
	switch {
	case asked == 0 || asked == now.Epoch:
		return now, nil
	case asked == now.Epoch-1 && committee.HeldNow(v).Late:
		if e, err := committee.At(v, asked); err == nil {
			return e, nil
		}
	}
	return now, notFresh // the epoch changes under the reader: it asks again
}

// passKey is the part of a key that names a pass.
func passKey(n reshare.Name) []byte {
	b := binary.BigEndian.AppendUint64(nil, n.To)
	return append(binary.BigEndian.AppendUint64(b, n.Start), n.Pass)
}

// A claim is one dealer's, in one pass, to have destroyed what it dealt.
type claim struct {
	name   reshare.Name
	dealer uint8
}

// A commitRow is what proves the shares of a batch in the epoch that holds it.
type commitRow struct {
	Epoch       uint64        `cbor:"1,keyasint"`
	Commitments [][32]byte    `cbor:"2,keyasint"`
	Since       reshare.Place `cbor:"3,keyasint"` // under the root of the resharing that made the epoch
}

// A stagedRow is what this custodian has taken over of a batch for the epoch to be.
type stagedRow struct {
	Name        reshare.Name  `cbor:"1,keyasint"`
	Used        uint64        `cbor:"2,keyasint"` // bitmap of the dealers combined
	Gone        bool          `cbor:"3,keyasint,omitempty"`
	Row         []byte        `cbor:"4,keyasint,omitempty"` // batchRow
	Manifest    []byte        `cbor:"5,keyasint,omitempty"` // manifestRow
	Commitments [][32]byte    `cbor:"6,keyasint,omitempty"`
	Since       reshare.Place `cbor:"7,keyasint"`
}

// commitments reads what proves the shares that are held of a batch.
func (r *rows) commitments(hh [32]byte) (*commitRow, error) {
	b, err := r.get(rowKey(prefixCommit, hh[:]))
	if err != nil {
		return nil, err
	}
	row := new(commitRow)
	if tx.DecodeAny(b, row, len(b)) != nil {
		return nil, errDamaged
	}
	return row, nil
}

func (r *rows) staged(hh [32]byte) (*stagedRow, error) {
	plain, err := r.unwrapped(rowKey(prefixStaged, hh[:]))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	row := new(stagedRow)
	if tx.DecodeAny(plain, row, len(plain)) != nil {
		return nil, errDamaged
	}
	return row, nil
}

// epochOf is the epoch of the shares in a batch's row; a row from before commitments were
// kept is of its header's.
func (r *rows) epochOf(hh [32]byte) (uint64, error) {
	row, err := r.commitments(hh)
	if err != nil {
		return 0, err
	}
	return row.Epoch, nil
}

// batchIn reads the shares of a batch in one epoch, also when they are taken over and not
// moved into their place yet. errAbsent: this custodian has none of that epoch.
func (r *rows) batchIn(hh [32]byte, epoch uint64) (*batchRow, error) {
	for {
		before, err := r.epochOf(hh)
		if err != nil && !errors.Is(err, errAbsent) {
			return nil, err
		}
		if err == nil && before == epoch {
			row, err := r.batch(hh)
			if after, aerr := r.epochOf(hh); aerr == nil && after != before {
				continue // it moved meanwhile
			}
			return row, err
		}
		s, err := r.staged(hh)
		if errors.Is(err, errAbsent) {
			if now, nerr := r.epochOf(hh); nerr == nil && now == epoch {
				continue // it moved meanwhile
			}
		}
		if err != nil {
			return nil, err
		}
		if s.Name.To != epoch || s.Gone {
			return nil, errAbsent
		}
		row, ok := decodeBatch(s.Row)
		if !ok {
			return nil, errDamaged
		}
		return row, nil
	}
}

// Resharing is how far a resharing has come, as one custodian sees it.
type Resharing struct {
	To        uint64 `json:"to"`
	Phase     string `json:"phase"`
	Batches   uint64 `json:"batches"`   // of the open pass, or the last one
	Dealt     uint64 `json:"dealt"`     // batches that this custodian has dealt
	Taken     uint64 `json:"taken"`     // batches that it has taken over and not moved yet
	Confirmed bool   `json:"confirmed"` // it has confirmed everything
}

// Resharing tells how far the last resharing has come here; false if there never was one.
func (c *Custodian) Resharing() (Resharing, bool) {
	v := c.Ledger.View()
	defer v.Close()
	h, ok := c.changeAt(v)
	if !ok {
		return Resharing{}, false
	}
	pass := len(h.row.Passes)
	out := Resharing{To: h.row.To, Phase: h.row.Phase.String(), Batches: h.row.Passes[pass-1].Count, Confirmed: h.takes != 0}
	for i := range h.row.Passes {
		out.Confirmed = out.Confirmed && h.row.Passes[i].Confirmed(h.takes)
	}
	n := uint64(0)
	_ = c.rows.scan(rowKey(prefixDealt, passKey(h.name(pass))), func(_, _ []byte) (bool, error) { n++; return true, nil }) // a count for people
	out.Dealt = n
	out.Taken, _ = c.rows.count(prefixStaged)
	return out, true
}

// zeroHash reports whether nothing was said.
func zeroHash(h tx.Hash) bool { return bytes.Equal(h[:], make([]byte, 32)) }
