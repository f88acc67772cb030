package node

import "testing"

// Whoever may be dishonest cannot say how far the network is.
func TestABlockIsCertainWhenAnHonestPeerSaysSo(t *testing.T) {
	for _, s := range []struct {
		rule       string
		deciding   []int64
		validators int
		want       int64
	}{
		{"alone", nil, 1, 0},
		{"one validator, who is asked", []int64{8}, 1, 7},
		{"nobody connected", nil, 4, 0},
		{"one of four", []int64{900}, 4, 0},
		{"the second of four", []int64{8, 1 << 60}, 4, 7},
		{"all level", []int64{8, 8, 8}, 4, 7},
		{"one is late", []int64{3, 8, 8}, 4, 7},
		{"one lies", []int64{8, 1 << 60, 8}, 4, 7},
		{"two of seven lie", []int64{9, 1 << 60, 8, 1 << 60, 8, 9}, 7, 8},
		{"six peers of seven, two of them connected", []int64{9, 9}, 7, 0},
	} {
		if got := certain(s.deciding, s.validators); got != s.want {
			t.Errorf("%s: got block %d, want %d", s.rule, got, s.want)
		}
	}
}
