package custody

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
)

// rotateEvery is how often the custody keys are looked after; where they last for minutes only, an eighth of that.
const rotateEvery = 30 * time.Second

// seedRow is one custody key of this member.
type seedRow struct {
	Epoch  uint64   `cbor:"1,keyasint"`
	Seed   [32]byte `cbor:"2,keyasint"`
	Public []byte   `cbor:"3,keyasint"`
	Until  uint64   `cbor:"4,keyasint"` // unix seconds of block time
}

func (s *seedRow) hash() tx.Hash { return sha256.Sum256(s.Public) }

// rotate keeps one fresh custody key on the ledger: a new one when a quarter of the present
// one's period is left, and the old seed destroyed one grace period after its end, so that
// recorded envelopes become unreadable for everybody.
func (c *Custodian) rotate(ctx context.Context) error {
	for {
		wait := rotateEvery
		if err := c.rotateOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			level := slog.LevelWarn
			if errors.Is(err, errNoBlock) {
				level = slog.LevelDebug // every network begins like this
			}
			c.Log.Log(ctx, level, "custody_key_waits", "err", err)
			if _, refused := tx.CodeOf(err); !refused { // what the ledger refuses, it refuses for a while
				wait = retryPause
			}
		}
		if !sleep(ctx, min(wait, c.keyPeriod()/8)) {
			return ctx.Err()
		}
	}
}

// keyPeriod is for how long a custody key lasts.
func (c *Custodian) keyPeriod() time.Duration {
	v := c.Ledger.View()
	defer v.Close()
	return time.Duration(governance.ParamsOf(v).CustodyKeyPeriod) * time.Second
}

var errNoBlock = errors.New("custody: the ledger has no block yet")

// rotateOnce works by block time alone: what the other members judge a key by.
func (c *Custodian) rotateOnce(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		return nil // no committee yet
	}
	coming, _ := committee.Coming(v)
	_, soon := coming.IndexOf(c.Self)
	if _, ours := epoch.IndexOf(c.Self); !ours && !soon {
		return nil
	}
	now, period := v.Meta().Time, governance.ParamsOf(v).CustodyKeyPeriod
	if v.Meta().Height == 0 {
		return errNoBlock
	}
	if err := c.destroyOld(v); err != nil {
		return err
	}
	seeds, err := c.rows.seeds()
	if err != nil {
		return err
	}
	latest, _ := committee.Latest(v, c.Self)
	fresh := func(s *seedRow) bool { return s.Until > now+period/4 }
	next := latest.KeyEpoch + 1
	var unsent *seedRow
	for i := range seeds {
		s := &seeds[i]
		if s.Epoch == latest.KeyEpoch && s.hash() == latest.Hash && fresh(s) {
			return c.copyKeys(ctx, v, epoch)
		}
		// Drawn before, maybe on its way: a crash in between repeats the transaction.
		if s.Epoch == next && fresh(s) {
			unsent = s
		}
	}
	if unsent == nil {
		if unsent, err = c.newKey(next, now+period); err != nil {
			return err
		}
	}
	_, err = c.Submit.Submit(ctx, committee.KindKey, &committee.Publish{KeyEpoch: unsent.Epoch, Hash: unsent.hash(), From: now, Until: unsent.Until})
	return errors.Join(err, c.copyKeys(ctx, v, epoch))
}

// newKey draws a key and keeps it before anybody can seal to it.
func (c *Custodian) newKey(epoch, until uint64) (*seedRow, error) {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		return nil, errorf("new key", err)
	}
	s := &seedRow{Epoch: epoch, Seed: [32]byte(seed), Public: public, Until: until}
	b, err := tx.Encode(s)
	if err != nil {
		return nil, errorf("encode", err)
	}
	return s, c.rows.setWrapped(s.key(), b)
}

// destroyOld deletes seeds one grace period (a period's length) after their end, and
// replaces the root that wrapped them, which is what makes the deletion real.
func (c *Custodian) destroyOld(v *state.View) error {
	seeds, err := c.rows.seeds()
	if err != nil {
		return err
	}
	var old [][]byte
	for i := range seeds {
		if exchange.KeyGone(v, seeds[i].Until) {
			old = append(old, seeds[i].key())
		}
	}
	if len(old) == 0 {
		return nil
	}
	if err := c.rows.drop(c.rows.update, old...); err != nil {
		return err
	}
	return c.rows.compact(uint64(c.Now().Unix()))
}

// compactions replaces the root of everything at rest when it is CompactEvery old: the age
// is the root's own, so that a node that often starts again compacts all the same.
func (c *Custodian) compactions(ctx context.Context) error {
	for {
		now := uint64(c.Now().Unix())
		born, unfinished := c.rows.roots.born()
		if unfinished || now >= born+uint64(c.CompactEvery/time.Second) {
			start := time.Now()
			if err := c.rows.compact(now); err != nil {
				// The old root stays, and what it wraps stays readable.
				c.Log.ErrorContext(ctx, "compaction_failed", "err", err)
			}
			c.metrics.compaction.Observe(time.Since(start).Seconds())
		}
		if !sleep(ctx, min(c.CompactEvery, rotateEvery)) {
			return ctx.Err()
		}
	}
}

// key is the row of a custody key. The hash is in it because a key may be drawn again for
// an epoch whose first transaction was given up and commits after all.
func (s *seedRow) key() []byte {
	h := s.hash()
	return rowKey(prefixSeed, binary.BigEndian.AppendUint64(nil, s.Epoch), h[:8])
}

// seeds returns the custody keys that are here, oldest epoch first.
func (r *rows) seeds() ([]seedRow, error) {
	var keys [][]byte
	if err := r.scan([]byte{prefixSeed}, func(rest, _ []byte) (bool, error) {
		keys = append(keys, rowKey(prefixSeed, rest))
		return true, nil
	}); err != nil {
		return nil, err
	}
	var out []seedRow
	for _, k := range keys {
		plain, err := r.unwrapped(k)
		if errors.Is(err, errAbsent) {
			continue // destroyed since
		}
		if err != nil {
			return nil, err
		}
		var s seedRow
		if tx.DecodeAny(plain, &s, len(plain)) != nil {
			return nil, errDamaged
		}
		out = append(out, s)
	}
	return out, nil
}
