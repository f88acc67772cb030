package governance

import (
	"bytes"
	"errors"
	"slices"

	"salus/ledger/tx"
)

// MaxKeys bounds the live keys of one account.
const MaxKeys = 8

// A Key is a public key with the heights at which it counts.
type Key struct {
	Public tx.PublicKey `cbor:"1,keyasint" json:"public"`
	From   uint64       `cbor:"2,keyasint" json:"from"`  // first height at which it may sign
	Until  uint64       `cbor:"3,keyasint" json:"until"` // first height at which it may not any more; 0 while it has no end
}

// LiveAt reports whether the key may sign a transaction of that height.
func (k Key) LiveAt(height uint64) bool {
	return k.From <= height && (k.Until == 0 || height < k.Until)
}

// A Ring is the keys of one account, in order of their ids: those that live
// and those that ended with the last change. Older ones are kept apart, by
// account and id, so that the row stays small however often keys rotate.
type Ring []Key

// Why a ring refuses a change.
var (
	ErrRingUsed    = errors.New("key was already used by this account")
	ErrRingUnknown = errors.New("key is not live in this account")
	ErrRingFull    = errors.New("account has too many keys")
	ErrRingEmpty   = errors.New("account would be left without a key")
)

// NewRing makes the ring of a fresh account whose keys, all different, count
// from that height on.
func NewRing(from uint64, keys []tx.PublicKey) Ring {
	var r Ring
	for _, k := range keys {
		r = append(r, Key{Public: k, From: from})
	}
	r.sort()
	return r
}

// Find returns the key with that id, live or just ended.
func (r Ring) Find(id tx.KeyID) (Key, bool) {
	for _, k := range r {
		if k.Public.ID() == id {
			return k, true
		}
	}
	return Key{}, false
}

// Open returns the keys that have no end.
func (r Ring) Open() []Key {
	var open []Key
	for _, k := range r {
		if k.Until == 0 {
			open = append(open, k)
		}
	}
	return open
}

// A Rotation is a change of a ring by a transaction of block Height. It counts
// from the next block on: within one block, every signature is judged by the
// keys the block began with.
type Rotation struct {
	Height  uint64
	Add     []tx.PublicKey
	Revoke  []tx.KeyID
	Used    func(tx.KeyID) bool // whether the account had that key before it left the ring
	KeepOne bool                // refuse to end the last key of an account that has one
}

// Rotate returns the ring after the change, and the keys that end with it. A
// key that has ended never comes back: its heights would not be one interval.
func (r Ring) Rotate(c Rotation) (next Ring, end []Key, err error) {
	had := len(r.Open())
	for _, k := range r {
		if k.Until == 0 || k.Until > c.Height {
			next = append(next, k)
		}
	}
	for _, id := range c.Revoke {
		i := slices.IndexFunc(next, func(k Key) bool { return k.Until == 0 && k.Public.ID() == id })
		if i < 0 {
			return nil, nil, ErrRingUnknown
		}
		next[i].Until = c.Height + 1
		end = append(end, next[i])
	}
	for _, pub := range c.Add {
		id := pub.ID()
		if _, ok := r.Find(id); ok {
			return nil, nil, ErrRingUsed
		}
		if _, ok := next.Find(id); ok || c.Used(id) {
			return nil, nil, ErrRingUsed
		}
		next = append(next, Key{Public: pub, From: c.Height + 1})
	}
	// A key added and revoked in the same block never counted.
	next = slices.DeleteFunc(next, func(k Key) bool { return k.Until != 0 && k.Until <= k.From })
	switch n := len(next.Open()); {
	case n > MaxKeys:
		return nil, nil, ErrRingFull
	case n == 0 && had > 0 && c.KeepOne:
		return nil, nil, ErrRingEmpty
	}
	next.sort()
	return next, end, nil
}

func (r Ring) sort() {
	slices.SortFunc(r, func(a, b Key) int {
		x, y := a.Public.ID(), b.Public.ID()
		return bytes.Compare(x[:], y[:])
	})
}
