package places

import "testing"

func TestWhatSomebodyDecidedStays(t *testing.T) {
	for _, c := range []struct {
		variable              string
		now, processors, want int
	}{
		{"", 2, 2, 4},
		{"", 64, 64, 128},
		{"2", 2, 2, 0},
		{"8", 8, 2, 0},
		{"", 2, 64, 0}, // a container's limit
		{"", 4, 2, 0},  // called twice
	} {
		if got := of(c.variable, c.now, c.processors); got != c.want {
			t.Errorf("GOMAXPROCS=%q, %d places, %d processors: got %d, want %d", c.variable, c.now, c.processors, got, c.want)
		}
	}
}
