// Package committee keeps who the custodians are: the custody epochs, each with
// its members and its threshold, and the weekly keys to which custodians' key
// shares are sealed.
//
// In an epoch of n custodians f = ⌊(n−1)/3⌋ may be faulty, and t = n − f shares
// open a record. A custodian is a validator; custodian i of an epoch is its
// i-th member, counted from 1, in account order, for as long as the epoch lasts.
//
// The module must never let two epochs mix: an index means nothing without its
// epoch. It never sees a custody key, only the hash of its public half.
package committee

import (
	"errors"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x04

// MaxCustodians bounds the members of an epoch.
const MaxCustodians = 128

// An Epoch is one committee of custodians.
type Epoch struct {
	Epoch   uint64       `cbor:"1,keyasint" json:"epoch"`   // 1, 2, 3 ...
	N       uint8        `cbor:"2,keyasint" json:"n"`       // custodians
	T       uint8        `cbor:"3,keyasint" json:"t"`       // shares that open a record
	Members []tx.Account `cbor:"4,keyasint" json:"members"` // custodian i is Members[i-1]
	From    uint64       `cbor:"5,keyasint" json:"from"`    // height
}

// F is how many custodians may be faulty.
func (e Epoch) F() int { return int(e.N) - int(e.T) }

// IndexOf returns a member's custodian index, from 1.
func (e Epoch) IndexOf(member tx.Account) (index int, ok bool) {
	for i, m := range e.Members {
		if m == member {
			return i + 1, true
		}
	}
	return 0, false
}

// A CustodyKey is one custodian's HPKE key for a period of time. The public key
// itself (1,216 bytes) travels between the members; anyone checks it here.
type CustodyKey struct {
	Member   tx.Account `cbor:"1,keyasint" json:"member"`
	KeyEpoch uint64     `cbor:"2,keyasint" json:"keyEpoch"` // 1, 2, 3 ... of that member
	Hash     tx.Hash    `cbor:"3,keyasint" json:"hash"`     // SHA-256 of the public key
	From     uint64     `cbor:"4,keyasint" json:"from"`     // unix seconds
	Until    uint64     `cbor:"5,keyasint" json:"until"`    // unix seconds, exclusive
	Height   uint64     `cbor:"6,keyasint" json:"height"`   // of its publication
}

// ValidAt reports whether envelopes may be sealed to the key at that time.
func (k CustodyKey) ValidAt(now uint64) bool { return k.From <= now && now < k.Until }

// A LiveKey is a custodian's newest valid key, with its index in the epoch.
type LiveKey struct {
	Index int        `cbor:"1,keyasint" json:"index"` // from 1
	Key   CustodyKey `cbor:"2,keyasint" json:"key"`
}

// Log entries of this module.
const (
	// EntryEpoch has the Epoch that begins as payload.
	EntryEpoch ledger.EntryKind = Prefix<<8 | 1
	// EntryKey has a published CustodyKey as payload.
	EntryKey ledger.EntryKind = Prefix<<8 | 2
)

// ErrNoEpoch means that the network has no committee.
var ErrNoEpoch = errors.New("committee: there is no custody epoch")

// Current returns the epoch in force.
func Current(r state.Reader) (Epoch, error) {
	now, ok := current.Shared(r, nil)
	if !ok {
		return Epoch{}, ErrNoEpoch
	}
	return At(r, now.Epoch)
}

// At returns an epoch by its number, past ones included.
func At(r state.Reader, n uint64) (Epoch, error) {
	e, ok := epochs.Shared(r, number(n))
	if !ok {
		return Epoch{}, ErrNoEpoch
	}
	return e, nil
}

// Key returns a custodian's key by its key epoch, past ones included.
func Key(r state.Reader, member tx.Account, keyEpoch uint64) (CustodyKey, bool) {
	return keys.Shared(r, memberNumber(member, keyEpoch))
}

// Latest returns the last key a custodian published, valid yet or not.
func Latest(r state.Reader, member tx.Account) (CustodyKey, bool) {
	l, ok := latest.Shared(r, member[:])
	if !ok {
		return CustodyKey{}, false
	}
	return Key(r, member, l.KeyEpoch)
}

// LiveKeys returns the newest valid key of each custodian of the current
// epoch, in index order. A custodian without a valid key is missing from it.
func LiveKeys(r state.Reader, now uint64) []LiveKey {
	e, err := Current(r)
	if err != nil {
		return nil
	}
	var live []LiveKey
	for i, m := range e.Members {
		if k, ok := newest(r, m, now); ok {
			live = append(live, LiveKey{Index: i + 1, Key: k})
		}
	}
	return live
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryEpoch, Name: "committee.epoch", Payload: Epoch{}},
		{Kind: EntryKey, Name: "committee.key", Payload: CustodyKey{}},
	}
}
