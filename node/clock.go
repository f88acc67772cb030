package node

import (
	"context"
	"sync/atomic"
	"time"
)

// Block time is the median of the validators' clocks at the block before, so the last block's is at most a heartbeat
// old when it comes. What is more than that is this machine's clock, or the network.
const (
	clockBlocks = 12              // that all have to say it
	clockBehind = 2 * time.Second // as much as custodians allow (package custody)
	clockAhead  = 5 * time.Second // beyond a heartbeat, for a block that takes its time
)

// A clockWatch compares this machine's clock with block time. Audit events bear this clock's time, and a custodian
// whose clock is off releases nothing: an operator is told before somebody misses a record.
type clockWatch struct {
	heartbeat time.Duration
	last      [clockBlocks]time.Duration // of the last blocks: by how much this clock was ahead of theirs
	seen      int

	offset atomic.Int64 // nanoseconds: the least of these
}

// saw notes a block that came now. It returns by how much this clock is ahead of block time, negative if it is
// behind, as the best of the last blocks has it, and whether that is too much.
func (c *clockWatch) saw(now, block time.Time) (offset time.Duration, off bool) {
	c.last[c.seen%clockBlocks] = now.Sub(block)
	c.seen++
	offset = c.last[0]
	for _, d := range c.last[:min(c.seen, clockBlocks)] {
		if d.Abs() < offset.Abs() {
			offset = d
		}
	}
	c.offset.Store(int64(offset))
	return offset, c.seen >= clockBlocks && (offset < -clockBehind || offset > c.heartbeat+clockAhead)
}

// watchClock looks at each block that comes while this node is level with the others, and says when the clock goes
// wrong and when it is right again.
func (n *Node) watchClock(ctx context.Context) error {
	var height int64
	was := false
	for {
		changed := n.hub.Changed()
		h := n.app.Head()
		if r := n.comet.Load(); r != nil && h.Height > height && n.quorumLevel(r, h.Height) {
			offset, off := n.clock.saw(time.Now(), time.Unix(int64(h.Time), 0))
			switch {
			case off && !was:
				n.log.WarnContext(ctx, "clock_off", "ahead_seconds", offset.Seconds())
			case was && !off:
				n.log.InfoContext(ctx, "clock_right", "ahead_seconds", offset.Seconds())
			}
			was = off
		}
		height = h.Height
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
