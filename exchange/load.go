package exchange

import "errors"

// A Load is what goes to one member together: parts that have nothing to do with each other, each the
// encoding of a message of its own, so that each is judged by itself.
type Load struct {
	Parts [][]byte `cbor:"1,keyasint"`
}

// A LoadReply says what became of each part, in their order: 0, or the code of its refusal.
type LoadReply struct {
	Codes []uint32 `cbor:"1,keyasint"`
}

// What goes together is bounded: with MaxParts parts of at most MaxShared bytes a load stays well below what
// a member takes in one request. A larger part goes alone.
const (
	MaxParts  = 64
	MaxShared = 64 << 10
)

var errLoad = errors.New("exchange: a load must hold 1 to 64 parts, and be answered part by part")

// Validate checks the number of parts.
func (l *Load) Validate() error {
	if len(l.Parts) == 0 || len(l.Parts) > MaxParts {
		return errLoad
	}
	return nil
}

// Answers checks that the reply is one to the load.
func (r *LoadReply) Answers(l *Load) error {
	if len(r.Codes) != len(l.Parts) {
		return errLoad
	}
	return nil
}
