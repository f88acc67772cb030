package governance

import (
	"bytes"
	"crypto/sha256"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// EntryMisbehaved is appended for each misbehaviour of a member; its payload is
// Misbehaved.
const EntryMisbehaved ledger.EntryKind = Prefix<<8 | 5

// Misbehaved is the payload of an EntryMisbehaved: who it was, and what follows.
type Misbehaved struct {
	Account     tx.Account  `cbor:"1,keyasint" json:"account"`
	Validator   []byte      `cbor:"2,keyasint" json:"validator"` // consensus key that misbehaved, 32 bytes
	Kind        uint8       `cbor:"3,keyasint" json:"kind"`      // as in ledger.Misbehavior
	Height      uint64      `cbor:"4,keyasint" json:"height"`    // at which it misbehaved
	Consequence Consequence `cbor:"5,keyasint" json:"consequence"`
}

// A Consequence is what a misbehaviour leads to.
type Consequence uint8

// The consequences. Numbers are unique for ever.
const (
	Removed  Consequence = 1 // it leaves consensus with this block
	Floor    Consequence = 2 // none: fewer than validatorFloor validators would be left
	Gone     Consequence = 3 // none: the member does not validate any more
	Forgiven Consequence = 4 // none: the members voted on its consensus key after that height
)

// String returns the consequence as a word.
func (c Consequence) String() string {
	switch c {
	case Removed:
		return "removed"
	case Floor:
		return "floor"
	case Gone:
		return "gone"
	case Forgiven:
		return "forgiven"
	}
	return "unknown"
}

// sanction takes the power of validators that misbehaved, in the order of the
// block's evidence. A member answers for every consensus key it had, since who
// signs twice and then replaces its key would go free else, until the members
// vote on a key for it: then they knew what they did.
func sanction(c *ledger.Context) {
	for i := range c.Caught {
		o := &c.Caught[i]
		key, account, known := keyOfAddress(c.State, o.Validator)
		if !known {
			continue // CometBFT tells of validators only, and each of them is somebody's
		}
		m, _ := LookupMember(c.State, account)
		what := consequence(c.State, m, o.Height)
		if what == Removed {
			setValidator(c, m, nil, byRule)
			c.Emit("governance.misbehaved", account.String())
		}
		c.Append(EntryMisbehaved, Misbehaved{Account: account, Validator: key, Kind: o.Kind, Height: o.Height, Consequence: what})
	}
}

// consequence says what a misbehaviour of the member at a height leads to now.
func consequence(r state.Reader, m Member, height uint64) Consequence {
	s, _ := LookupSwitch(r, m.Account)
	switch {
	case !m.IsValidator():
		return Gone
	case s.Voted > 0 && height < s.Voted+switchDelay: // the key before the vote signed there
		return Forgiven
	case uint64(len(Validators(r))) <= ParamsOf(r).ValidatorFloor:
		return Floor
	}
	return Removed
}

// keyOfAddress finds whose consensus key it is that CometBFT names by its address: the first 20 bytes of
// the key's SHA-256.
func keyOfAddress(r state.Reader, address []byte) (key []byte, account tx.Account, ok bool) {
	validators.Scan(r, nil, func(k []byte, o owner) bool {
		k = k[len(k)-32:]
		if h := sha256.Sum256(k); bytes.Equal(h[:20], address) {
			key, account, ok = bytes.Clone(k), o.Account, true
		}
		return !ok
	})
	return key, account, ok
}
