package anchor

import (
	"errors"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// TestRowAgreesWithASetModel runs random receipts and complaints on a row and on
// plain sets.
func TestRowAgreesWithASetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, MaxCustodians).Draw(t, "n")
		_, thr := committee.Threshold(n)
		e := committee.Epoch{Epoch: 1, N: uint8(n), T: uint8(thr), Members: make([]tx.Account, n)}
		var b Batch
		shares, packs := map[int]bool{}, map[int]bool{}
		wasComplete := false
		for range rapid.IntRange(0, 3*n).Draw(t, "receipts") {
			i := rapid.IntRange(1, n).Draw(t, "custodian")
			holds := rapid.Bool().Draw(t, "holds")
			news := !shares[i] || holds && !packs[i]
			shares[i], packs[i] = true, packs[i] || holds
			if got := b.receive(i, holds); got != news {
				t.Fatalf("custodian %d: got news %v, want %v", i, got, news)
			}
			held := 0
			for j := 1; j <= n; j++ {
				if packs[j] {
					held++
				}
			}
			if b.Received() != len(shares) || b.Held() != held {
				t.Fatalf("got %d shares, %d packs, want %d, %d", b.Received(), b.Held(), len(shares), held)
			}
			complete := len(shares) >= thr && held >= n-thr+1
			if got := b.complete(e); got != complete || wasComplete && !got {
				t.Fatalf("got complete %v, want %v", got, complete)
			}
			wasComplete = complete
			if b.Holds&^b.Receipts != 0 || bits.Len64(b.Receipts) > n {
				t.Fatalf("got bitmaps %b and %b of %d custodians", b.Receipts, b.Holds, n)
			}
		}
	})
}

func TestHeaderMustFitTheEpochInForce(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    seal.Header
		e    committee.Epoch
		want error
	}{
		{"fits", seal.Header{Epoch: 2, N: 4, T: 3}, committee.Epoch{Epoch: 2, N: 4, T: 3}, nil},
		{"an old epoch", seal.Header{Epoch: 1, N: 4, T: 3}, committee.Epoch{Epoch: 2, N: 4, T: 3}, ErrEpoch},
		{"an epoch to come", seal.Header{Epoch: 3, N: 4, T: 3}, committee.Epoch{Epoch: 2, N: 4, T: 3}, ErrEpoch},
		{"a lower threshold", seal.Header{Epoch: 2, N: 4, T: 2}, committee.Epoch{Epoch: 2, N: 4, T: 3}, ErrCommittee},
		{"fewer custodians", seal.Header{Epoch: 2, N: 3, T: 3}, committee.Epoch{Epoch: 2, N: 4, T: 3}, ErrCommittee},
		{"more custodians than a row can count", seal.Header{Epoch: 2, N: 65, T: 44}, committee.Epoch{Epoch: 2, N: 65, T: 44}, ErrCommittee},
	} {
		if got := fits(&tt.h, tt.e); !errors.Is(got, tt.want) || (got == nil) != (tt.want == nil) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
