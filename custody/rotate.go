package custody

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/seal"
)

// How often the custody keys are looked after.
const rotateEvery = 30 * time.Second

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
			c.Log.WarnContext(ctx, "custody_key_waits", "err", err)
			wait = retryPause
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

func (c *Custodian) rotateOnce(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		return nil // no committee yet
	}
	if _, ours := epoch.IndexOf(c.Self); !ours {
		return nil
	}
	now, period := v.Meta().Time, governance.ParamsOf(v).CustodyKeyPeriod
	if now == 0 {
		return errors.New("custody: the ledger has no block yet")
	}
	if err := c.destroyOld(now, period); err != nil {
		return err
	}
	if err := c.copyKeys(ctx, committee.LiveKeys(v, now), epoch); err != nil {
		return err
	}
	newest, err := c.rows.newestKey()
	if err == nil && newest.Until > now+period/4 {
		// Drawn before, maybe not committed: a crash between the two repeats the transaction.
		if _, ok := committee.Key(v, c.Self, newest.Epoch); ok {
			return nil
		}
	} else if err == nil || errors.Is(err, errAbsent) {
		if newest, err = c.newKey(newest.Epoch+1, now+period); err != nil {
			return err
		}
	} else {
		return err
	}
	_, err = c.Submit.Submit(ctx, committee.KindKey, &committee.Publish{KeyEpoch: newest.Epoch, Hash: sha256.Sum256(newest.Public), From: now, Until: newest.Until})
	return err
}

// newKey draws a key and keeps it before anybody can seal to it.
func (c *Custodian) newKey(epoch, until uint64) (seedRow, error) {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		return seedRow{}, errorf("new key", err)
	}
	s := seedRow{Epoch: epoch, Seed: [32]byte(seed), Public: public, Until: until}
	b, err := tx.Encode(&s)
	if err != nil {
		return s, errorf("encode", err)
	}
	k := seedKey(epoch)
	if err := c.rows.db.Set(k, c.rows.wrap(k, b), pebble.Sync); err != nil {
		return s, errorf("store", err)
	}
	return s, nil
}

// destroyOld deletes seeds one grace period (a period's length) after their end, and
// replaces the root that wrapped them, which is what makes the deletion real.
func (c *Custodian) destroyOld(now, grace uint64) error {
	destroyed := false
	var old [][]byte
	err := c.rows.eachSeed(func(k []byte, s seedRow) {
		if s.Until+grace < now {
			old = append(old, k)
		}
	})
	if err != nil {
		return err
	}
	for _, k := range old {
		if err := c.rows.db.Delete(k, pebble.Sync); err != nil {
			return errorf("store", err)
		}
		destroyed = true
	}
	if destroyed {
		return c.rows.compactRoots()
	}
	return nil
}

// copyKeys keeps copies of the other custodians' live public keys, to answer authors while
// their owner is down.
func (c *Custodian) copyKeys(ctx context.Context, live []committee.LiveKey, epoch committee.Epoch) error {
	for _, l := range live {
		k := l.Key
		c.mu.Lock()
		_, known := c.copies[k.Hash]
		c.mu.Unlock()
		if known || k.Member == c.Self {
			continue
		}
		var reply exchange.KeyReply
		for _, m := range append([]tx.Account{k.Member}, epoch.Members...) {
			if m == c.Self || c.Links.Call(ctx, m, exchange.PathKey, exchange.KeyRequest{Hash: k.Hash}, &reply) != nil {
				continue
			}
			if tx.Hash(sha256.Sum256(reply.Public)) == k.Hash {
				c.mu.Lock()
				c.copies[k.Hash] = reply.Public
				c.mu.Unlock()
				break
			}
		}
	}
	return ctx.Err()
}

// Key answers for a public custody key by its hash: an own one or a copy.
func (c *Custodian) Key(_ context.Context, req *exchange.KeyRequest) (*exchange.KeyReply, error) {
	c.mu.Lock()
	public, ok := c.copies[req.Hash]
	c.mu.Unlock()
	if !ok {
		err := c.rows.eachSeed(func(_ []byte, s seedRow) {
			if tx.Hash(sha256.Sum256(s.Public)) == req.Hash {
				public, ok = s.Public, true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, ErrNoKey
	}
	return &exchange.KeyReply{Public: public}, nil
}

func seedKey(epoch uint64) []byte {
	return rowKey(prefixSeed, binary.BigEndian.AppendUint64(nil, epoch))
}

func (r *rows) seed(epoch uint64) (seedRow, error) {
	var s seedRow
	k := seedKey(epoch)
	b, err := r.get(k)
	if err != nil {
		return s, err
	}
	plain, err := r.unwrap(k, b)
	if err != nil {
		return s, err
	}
	if err := tx.DecodeAny(plain, &s, len(plain)); err != nil {
		return s, errDamaged
	}
	return s, nil
}

func (r *rows) eachSeed(f func(k []byte, s seedRow)) error {
	var epochs []uint64
	if err := r.scan([]byte{prefixSeed}, func(rest, _ []byte) (bool, error) {
		epochs = append(epochs, binary.BigEndian.Uint64(rest))
		return true, nil
	}); err != nil {
		return err
	}
	for _, e := range epochs {
		s, err := r.seed(e)
		if err != nil {
			return err
		}
		f(seedKey(e), s)
	}
	return nil
}

func (r *rows) newestKey() (newest seedRow, err error) {
	err = r.eachSeed(func(_ []byte, s seedRow) {
		if s.Epoch >= newest.Epoch {
			newest = s
		}
	})
	if err == nil && newest.Epoch == 0 {
		err = errAbsent
	}
	return newest, err
}
