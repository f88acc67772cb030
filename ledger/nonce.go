package ledger

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// The replay window follows RFC 4303 section 3.4.3: a row per account keeps the
// highest nonce used and which of the ones just below it were used. So an
// account may send many transactions at once, in any order, and one that is
// lost blocks none.
const (
	nonceWindow = 1024    // how far below the highest a nonce may still be used
	nonceAhead  = 1 << 16 // how far above the highest a nonce may be
)

// window is the row of an account: bit n mod 1024 of Used says whether nonce n
// of (Highest-1024, Highest] was used.
type window struct {
	Highest uint64                `cbor:"1,keyasint"`
	Used    [nonceWindow / 8]byte `cbor:"2,keyasint"`
}

var windows = state.NewTable[window]("nonce windows", Prefix, 0x01)

// check refuses a nonce that is used, too old, or too far ahead.
func (w *window) check(n uint64) error {
	switch {
	case n == 0:
		return errNonceTooOld // the first nonce is 1
	case n > w.Highest:
		if n-w.Highest > nonceAhead {
			return errNonceTooFar
		}
		return nil
	case w.Highest-n >= nonceWindow:
		return errNonceTooOld
	case w.Used[n%nonceWindow/8]&(1<<(n%8)) != 0:
		return errNonceReplay
	}
	return nil
}

// use marks a nonce that check let pass.
func (w *window) use(n uint64) {
	if n > w.Highest {
		if n-w.Highest >= nonceWindow {
			w.Used = [nonceWindow / 8]byte{}
		} else {
			for i := w.Highest + 1; i < n; i++ {
				w.Used[i%nonceWindow/8] &^= 1 << (i % 8)
			}
		}
		w.Highest = n
	}
	w.Used[n%nonceWindow/8] |= 1 << (n % 8)
}

// NextNonce returns one above the highest nonce the account has used. A sender
// that has transactions under way counts on from there by itself.
func NextNonce(r state.Reader, account tx.Account) uint64 {
	w, _ := windows.Get(r, account[:])
	return w.Highest + 1
}
