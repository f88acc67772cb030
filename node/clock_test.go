package node

import (
	"testing"
	"time"
)

func TestAClockThatIsOffIsNoticed(t *testing.T) {
	const heartbeat = 5 * time.Second
	at := time.Unix(1_800_000_000, 0)
	run := func(ahead func(i int) time.Duration, blocks int) (offset time.Duration, off bool) {
		c := &clockWatch{heartbeat: heartbeat}
		for i := range blocks {
			block := at.Add(time.Duration(i) * heartbeat)
			offset, off = c.saw(block.Add(ahead(i)), block)
			if got := time.Duration(c.offset.Load()); got != offset {
				t.Fatalf("the gauge has %v, want %v", got, offset)
			}
		}
		return offset, off
	}
	always := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	for _, x := range []struct {
		name   string
		ahead  func(int) time.Duration
		blocks int
		offset time.Duration
		off    bool
	}{
		{"a busy network", always(300 * time.Millisecond), 40, 300 * time.Millisecond, false},
		{"an idle one", always(heartbeat + time.Second), 40, heartbeat + time.Second, false},
		{"a little behind", always(-time.Second), 40, -time.Second, false},
		{"behind", always(-3 * time.Second), 40, -3 * time.Second, true},
		{"ahead", always(heartbeat + 6*time.Second), 40, heartbeat + 6*time.Second, true},
		{"too few blocks to say", always(-time.Hour), clockBlocks - 1, -time.Hour, false},
		{"as many as it takes", always(-time.Hour), clockBlocks, -time.Hour, true},
		{"one old block after a stop", func(i int) time.Duration {
			if i == 0 {
				return 24 * time.Hour
			}
			return time.Second
		}, 2, time.Second, false},
		{"one block that says it is right", func(i int) time.Duration {
			if i == 30 {
				return time.Second
			}
			return time.Hour
		}, 31 + clockBlocks - 1, time.Second, false},
		{"the clock jumps", func(i int) time.Duration {
			if i < 20 {
				return time.Second
			}
			return time.Minute
		}, 20 + clockBlocks, time.Minute, true},
		{"and is set right", func(i int) time.Duration {
			if i < 20 {
				return time.Minute
			}
			return time.Second
		}, 21, time.Second, false},
	} {
		if offset, off := run(x.ahead, x.blocks); offset != x.offset || off != x.off {
			t.Errorf("%s: got %v, off %t, want %v, off %t", x.name, offset, off, x.offset, x.off)
		}
	}
}
