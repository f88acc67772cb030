package anchor

import (
	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// EpochOf returns the custody epoch that holds a batch's shares now. It is a rule and not a
// row of each batch: a batch that is ACTIVE goes with the committee, the late ones of a change
// a little after it; one that is not ACTIVE stays with the epoch that it was sealed for.
func EpochOf(r state.Reader, b *Batch) uint64 {
	held := committee.HeldNow(r)
	switch {
	case b.Active == 0 || b.Epoch == held.Epoch:
		return b.Epoch
	case held.Late && b.Active > held.Cut:
		return held.Epoch - 1
	}
	return held.Epoch
}

// Lapsed reports whether the batch can never become ACTIVE: the epoch that it was sealed for
// was over before enough custodians held it. Its author seals the records again.
func Lapsed(r state.Reader, b *Batch) bool {
	return b.Active == 0 && b.Epoch < committee.HeldNow(r).Epoch
}

// Active returns how many batches are ACTIVE.
func Active(r state.Reader) uint64 {
	n, _ := active.Get(r, nil)
	return n.Batches
}

// EachActive calls fn with the header hash of every batch that became ACTIVE above height
// after and up to height upTo, in the order of the hashes, until fn returns false. No batch
// ever joins or leaves such a set once height upTo is over.
func EachActive(r state.Reader, after, upTo uint64, fn func(header tx.Hash, b Batch) bool) {
	batches.Scan(r, nil, func(id []byte, b Batch) bool {
		if b.Active == 0 || b.Active <= after || b.Active > upTo {
			return true
		}
		return fn(tx.Hash(id), b)
	})
}

func count(c *ledger.Context, n int) {
	if n == 0 {
		return
	}
	now, _ := active.Get(c.State, nil)
	now.Batches += uint64(n)
	active.Put(c.State, nil, now)
}
