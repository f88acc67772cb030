package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// standing is where the members are in consensus, for a liveness failure.
func (w *world) standing() string {
	var b strings.Builder
	for _, n := range w.nodes {
		if !n.up {
			fmt.Fprintf(&b, "\n  member %d is down", n.i)
			continue
		}
		k := n.kept
		fmt.Fprintf(&b, "\n  member %d (Byzantine %v) is at %d, votes on %d/%d step %d, locked %s in %d, valid %s in %d:", n.i, n.byzantine(), n.height(), k.height, k.round, k.step, blockName(k.locked), k.lockedRound, blockName(k.valid), k.validRound)
		for _, at := range slices.SortedFunc(maps.Keys(n.engine.votes), func(a, b voteAt) int { return (a.round-b.round)*4 + int(a.kind) - int(b.kind) }) {
			if at.round < k.round-1 && at.round != k.validRound {
				continue
			}
			fmt.Fprintf(&b, " %d %s", at.round, at.kind)
			for _, from := range slices.Sorted(maps.Keys(n.engine.votes[at])) {
				for _, id := range n.engine.votes[at][from] {
					fmt.Fprintf(&b, " %d:%x", from, short(id))
				}
			}
		}
	}
	return b.String()
}

func blockName(b *block) string {
	if b == nil {
		return "nothing"
	}
	return fmt.Sprintf("%x", short(b.id()))
}
