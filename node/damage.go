package node

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble"

	"salus/gateway/balp"
	"salus/hl7/feed"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

var (
	// errDamaged ends a start whose stores do not hold what was written to them.
	errDamaged = tx.Refuse(0x2407, "node: a store of this node is damaged: salus node fsck says which")
	// errHalted is why a node that is still answering no longer takes part.
	errHalted = tx.Refuse(0x2408, "node: the ledger of this node has halted: its log says why")
)

// damaged gives an error about what was read from a disk its code, and makes one of a panic about it: CometBFT
// and the state machine know no other answer to a row that cannot be read. A mistake in a program stays a
// panic. Use with defer.
func damaged(err *error) {
	if p := recover(); p != nil {
		if bug, ok := p.(runtime.Error); ok {
			panic(bug)
		}
		*err = errors.Join(*err, fmt.Errorf("%w: %v", errDamaged, p))
		return
	}
	if errors.Is(*err, state.ErrCorrupt) || errors.Is(*err, vault.ErrCorrupt) || errors.Is(*err, feed.ErrDamaged) || errors.Is(*err, balp.ErrDamaged) || errors.Is(*err, balp.ErrKey) || pebble.IsCorruptionError(*err) {
		*err = fmt.Errorf("%w: %w", errDamaged, *err)
	}
}
