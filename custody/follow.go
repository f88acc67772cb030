package custody

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/state"
)

var keyCursor = []byte{prefixMeta, 'c'}

// readChunk is how many log entries one step of reading the log takes.
const readChunk = 4096

// follow reads the ledger's log from a durable cursor, so that a crash, a late parcel or a
// long stop misses nothing: every batch header is first noted as wanted, then ingested.
func (c *Custodian) follow(ctx context.Context) error {
	for {
		changed := c.Changed()
		if err := c.readLog(ctx); err != nil {
			return err
		}
		if err := c.destroyNoted(ctx); err != nil {
			return err
		}
		if err := c.ingestReady(ctx); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-c.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readLog notes what the log has new: wanted batches of committees this member sits in.
func (c *Custodian) readLog(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	next, err := c.cursor()
	for err == nil && next < v.Size() {
		if next, err = c.readSome(v, next); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

// cursor is the index of the first log entry not read yet.
func (c *Custodian) cursor() (uint64, error) {
	b, err := c.rows.get(keyCursor)
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

func (c *Custodian) readSome(v *state.View, next uint64) (uint64, error) {
	end := min(v.Size(), next+readChunk)
	write := func(b *pebble.Batch) error {
		for ; next < end; next++ {
			raw, ok := v.Entry(next)
			if !ok {
				return errorf("ledger log", errDamaged)
			}
			if err := noteErasure(b, raw); err != nil {
				return errorf("store", err)
			}
			put, ok := exchange.DecodePut(raw)
			if !ok {
				continue
			}
			hh := put.Header.Hash()
			if !seated(v, put.Header.Epoch, c.Self) || c.settled(hh) {
				continue
			}
			if err := b.Set(rowKey(prefixWanted, hh[:]), binary.BigEndian.AppendUint64(nil, next), nil); err != nil {
				return errorf("store", err)
			}
		}
		return b.Set(keyCursor, binary.BigEndian.AppendUint64(nil, next), nil)
	}
	// Reading an entry twice is harmless, so the cursor needs no fsync of its own; it rides
	// along with the next durable write. Nor does a wanted batch: it is found again.
	if err := c.rows.updateLazy(write); err != nil {
		return next, err
	}
	c.read.Store(next)
	return next, nil
}

// behind reports whether the replica lacks what this custodian has already read of it.
func (c *Custodian) behind(v *state.View) bool { return v.Size() < c.read.Load() }
