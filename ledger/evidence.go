package ledger

import (
	"encoding/binary"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
)

// EntryMisbehavior is the log entry for a validator that CometBFT caught; its
// payload is a Misbehavior.
const EntryMisbehavior EntryKind = Prefix<<8 | 1

// Misbehavior is the payload of an EntryMisbehavior. The evidence itself is in
// the block.
type Misbehavior struct {
	Kind      uint8  `cbor:"1,keyasint" json:"kind"`      // as ABCI numbers it: 1 duplicate vote, 2 light client attack
	Validator []byte `cbor:"2,keyasint" json:"validator"` // address, 20 bytes
	Height    uint64 `cbor:"3,keyasint" json:"height"`    // at which it misbehaved
}

// noted is the row of a misbehaviour that the log tells of.
type noted struct {
	Height uint64 `cbor:"1,keyasint"` // of the block with the evidence
}

var offences = state.NewTable[noted]("misbehaviour", Prefix, 0x04)

func offenceID(m *Misbehavior) []byte {
	return append(binary.BigEndian.AppendUint64(append([]byte{}, m.Validator...), m.Height), m.Kind)
}

// catch writes the evidence of a block into the log, and keeps it for the hooks
// of the modules. What the log tells of already is not told again: two votes of
// one height prove as much as three, in whatever block they come.
func (e *execution) catch(c *Context, evidence []abci.Misbehavior) {
	for i := range evidence {
		m := Misbehavior{
			Kind:      uint8(evidence[i].Type),
			Validator: evidence[i].Validator.Address,
			Height:    uint64(evidence[i].Height),
		}
		if id := offenceID(&m); !offences.Has(c.State, id) {
			offences.Put(c.State, id, noted{Height: uint64(c.Height)})
			c.Append(EntryMisbehavior, m)
			e.caught = append(e.caught, m)
		}
	}
}
