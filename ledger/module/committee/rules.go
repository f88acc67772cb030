package committee

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Threshold returns how many of n custodians may be faulty and how many shares
// open a record: f = ⌊(n−1)/3⌋ and t = n − f. With t = f+1, replicas that lag
// could still open records after a revocation.
func Threshold(n int) (f, t int) {
	f = (n - 1) / 3
	return f, n - f
}

// newest returns the custodian's valid key with the highest key epoch. At most
// one key is published ahead, so it is the last or the one before.
func newest(r state.Reader, member tx.Account, now uint64) (CustodyKey, bool) {
	l, ok := Latest(r, member)
	if ok && now < l.From {
		l, ok = Key(r, member, l.KeyEpoch-1)
	}
	return l, ok && l.ValidAt(now)
}

// follows checks the next key of a custodian against the ones before it.
// period is the longest a key may last, in seconds.
func follows(r state.Reader, member tx.Account, m *Publish, now, period uint64) error {
	last, ok := Latest(r, member)
	switch {
	case m.KeyEpoch != last.KeyEpoch+1:
		return ErrKeyEpoch
	case m.Until <= now, m.Until-m.From > period:
		return ErrPeriod
	case m.From > now && m.From-now > period:
		return ErrTooEarly
	case !ok:
		return nil
	case last.From > now:
		return ErrTooEarly
	case m.From <= last.From || m.Until <= last.Until:
		return ErrOrder
	}
	if before, ok := Key(r, member, last.KeyEpoch-1); ok && m.From < before.Until {
		return ErrOverlap
	}
	return nil
}
