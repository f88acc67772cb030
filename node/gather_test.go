package node

import (
	"testing"
	"time"
)

// Nobody waits after a block without transactions, a few wait a little, and many no longer than a block takes.
func TestPauseGrowsWithWhatABlockHeld(t *testing.T) {
	for txs, want := range map[int]time.Duration{0: 0, 1: pausePerTx, 4: 4 * pausePerTx, 12: mostPause, 5_000: mostPause} {
		if got := pauseAfter(txs); got != want {
			t.Errorf("%d transactions: got %s, want %s", txs, got, want)
		}
	}
}
