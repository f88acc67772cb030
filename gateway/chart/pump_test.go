package chart

import (
	"testing"
	"time"
)

// While many versions wait, few compartments go, so that versions share a batch; as many as somebody waits for go at
// once and share a block. When nobody writes any more there is nothing to gather.
func TestFewCompartmentsGoWhileManyVersionsWait(t *testing.T) {
	for _, x := range []struct{ versions, awaited, want int }{
		{0, 0, usual},
		{crowd, 0, fewest},
		{window, 0, fewest},
		{64, 64, 64},
		{crowd, 64, 64},
		{window, 1, fewest},
		{window, window, most},
	} {
		p := &pump{came: time.Now(), road: make([]int64, x.versions), waits: map[int64][]chan struct{}{}}
		for i := range x.awaited {
			p.waits[int64(i)] = nil
		}
		if got := p.places(); got != x.want {
			t.Errorf("%d versions, %d awaited: got %d places, want %d", x.versions, x.awaited, got, x.want)
		}
		p.came = time.Now().Add(-time.Minute)
		if got, want := p.places(), max(usual, min(most, x.awaited)); got != want {
			t.Errorf("%d versions, %d awaited, nobody writes: got %d places, want %d", x.versions, x.awaited, got, want)
		}
	}
}
