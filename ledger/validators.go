package ledger

import (
	"bytes"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
)

// A vote is the row of a consensus key that votes; a key without a row does not.
type vote struct {
	Power uint64 `cbor:"1,keyasint"` // always 1: votes are equal
}

var powers = state.NewTable[vote]("validators", Prefix, 0x03)

// setPower writes or removes the row of a consensus key.
func setPower(w state.Writer, pub [32]byte, power int64) {
	switch power {
	case 0:
		powers.Delete(w, pub[:])
	case 1:
		powers.Put(w, pub[:], vote{Power: 1})
	default:
		panic("ledger: internal error: a validator's power is 0 or 1")
	}
}

func powerOf(r state.Reader, pub [32]byte) int64 {
	v, _ := powers.Get(r, pub[:])
	return int64(v.Power)
}

// voters returns the consensus keys that vote, in ascending order.
func voters(r state.Reader) [][32]byte {
	var all [][32]byte
	powers.Scan(r, nil, func(id []byte, _ vote) bool {
		all = append(all, [32]byte(id))
		return true
	})
	return all
}

// validatorUpdates tells CometBFT the present power of those keys.
func validatorUpdates(r state.Reader, pubs [][32]byte) []abci.ValidatorUpdate {
	var updates []abci.ValidatorUpdate
	for _, pub := range pubs {
		updates = append(updates, abci.Ed25519ValidatorUpdate(bytes.Clone(pub[:]), powerOf(r, pub)))
	}
	return updates
}

// changedValidators returns, of the keys whose power was set, those whose power
// differs between two states, each once and in ascending order. CometBFT halts
// on an update that names a key twice or removes one that does not vote.
func changedValidators(from, to state.Reader, set [][32]byte) [][32]byte {
	set = slices.Clone(set)
	slices.SortFunc(set, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	set = slices.Compact(set)
	return slices.DeleteFunc(set, func(pub [32]byte) bool { return powerOf(from, pub) == powerOf(to, pub) })
}
