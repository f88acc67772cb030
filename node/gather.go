package node

import "time"

// A block has its price whatever is in it: everybody's votes, their signatures, their fsyncs. What many do at
// once therefore gathers for a moment before the next: pausePerTx for each transaction of the block before,
// mostPause at most, counted from its commit. One writer alone loses nothing by it: her next transaction would
// otherwise miss the empty block that carries the new app hash, and wait for the end of that one. After an idle time nobody
// waits.
const (
	pausePerTx = 8 * time.Millisecond
	mostPause  = 96 * time.Millisecond
)

// pauseAfter is the pause after a block of so many transactions.
func pauseAfter(txs int) time.Duration {
	return pausePerTx * time.Duration(min(txs, int(mostPause/pausePerTx)))
}
