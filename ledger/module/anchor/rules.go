package anchor

import (
	"salus/ledger/module/committee"
	"salus/seal"
)

// fits checks a header against the custody epoch in force.
func fits(h *seal.Header, e committee.Epoch) error {
	switch {
	case h.Epoch != e.Epoch:
		return ErrEpoch
	case h.N != e.N || h.T != e.T || e.N > MaxCustodians:
		return ErrCommittee
	}
	return nil
}

// receive adds custodian index's receipt to the row and says whether that was
// news. A complaint of the same custodian is settled by it.
func (b *Batch) receive(index int, holds bool) (news bool) {
	bit := uint64(1) << (index - 1)
	news = b.Receipts&bit == 0 || holds && b.Holds&bit == 0
	b.Receipts |= bit
	b.Complaints &^= bit
	if holds {
		b.Holds |= bit
	}
	return news
}

// complete says whether the batch may become ACTIVE: t custodians can open it
// after any f of them are gone, and f+1 members hold the ciphertext, so that at
// least one of them is neither lost nor lying.
func (b *Batch) complete(e committee.Epoch) bool {
	return b.Received() >= int(e.T) && b.Held() >= e.F()+1
}
