package reshare

import (
	"errors"
	"math/bits"
	"slices"
	"strconv"

	"salus/ledger/module/anchor"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

func governanceNumber(n uint64) string { return strconv.FormatUint(n, 10) }

// confirm keeps a custodian's last word and says whether it is news.
func (p *Pass) confirm(said Confirm) bool {
	i, found := slices.BinarySearchFunc(p.Confirms, said.Custodian, func(c Confirm, index uint8) int { return int(c.Custodian) - int(index) })
	if !found {
		p.Confirms = slices.Insert(slices.Clone(p.Confirms), i, said)
		return true
	}
	if p.Confirms[i] == said {
		return false
	}
	p.Confirms = slices.Clone(p.Confirms)
	p.Confirms[i] = said
	return true
}

// leaveOut takes a dealer out of those that count. Whoever has confirmed by it confirms anew.
func (p *Pass) leaveOut(f Fault) {
	p.Left |= bit(f.Dealer)
	p.Faults = append(slices.Clone(p.Faults), f)
}

// report counts a report against a dealer. One of more custodians than may be faulty is honest.
func (p *Pass) report(dealer, by uint8, faulty int) (enough, news bool) {
	p.Reports = slices.Clone(p.Reports)
	i := slices.IndexFunc(p.Reports, func(r Report) bool { return r.Dealer == dealer })
	if i < 0 {
		i, p.Reports = len(p.Reports), append(p.Reports, Report{Dealer: dealer})
	}
	r := &p.Reports[i]
	news = r.By&bit(by) == 0
	r.By |= bit(by)
	return bits.OnesCount64(r.By) > faulty, news
}

// close fixes the root and notes who never dealt.
func (p *Pass) close(root tx.Hash, old uint8) {
	p.Next = root
	if p.Count == 0 {
		return
	}
	for i := uint8(1); i <= old; i++ {
		if _, dealt := p.DealOf(i); !dealt {
			p.Late |= bit(i)
		}
	}
}

// Before says where the commitments of a batch in an epoch come from: moved is false if they
// are those of its header, else they are under the root of the resharing that made the epoch,
// in a tree of size leaves.
func Before(r state.Reader, epoch uint64, h *seal.Header, b *anchor.Batch) (root tx.Hash, size uint64, moved bool) {
	if h.Epoch == epoch {
		return root, 0, false
	}
	last, _ := Lookup(r, epoch)
	for i := range last.Passes {
		if p := &last.Passes[i]; b.Active > p.After && b.Active <= p.UpTo {
			return p.Next, p.Count, true
		}
	}
	return root, 0, true
}

// upheld checks a complaint: nil means that the dealer is at fault and everybody can see it.
// What is opened must be what the dealer committed to, and it must be wrong.
func (m *Complain) upheld(r *Resharing, count uint64, dealt tx.Hash, by uint8, moved, partly bool, root tx.Hash, size uint64) error {
	id := tx.Hash(m.Header.Hash())
	previous, commitments, shares := Arrays(m.Previous), Arrays(m.Commitments), Vector(m.Shares)
	if moved {
		if !VerifyPath(root, NextLeaf(id, previous), m.Since.Number, size, m.Since.Path) {
			return ErrPrevious
		}
	} else if seal.CommitmentsHash(previous) != m.Header.VSSRoot {
		return ErrPrevious
	}
	if !VerifyPath(dealt, DealtLeaf(id, commitments, m.Sums), m.At.Number, count, m.At.Path) {
		return ErrNotProved
	}
	if len(m.Sums) != int(r.N) {
		return nil // no honest dealer commits to another number of vectors
	}
	if ShareSum(shares) != m.Sums[by-1] {
		return ErrNotOpened
	}
	if len(commitments) != int(r.T) || len(shares) != int(m.Header.Count)+1 {
		return nil
	}
	if partly {
		previous = commitments[:1]
	}
	err := threshold.VerifySubdeal(previous, int(m.Dealer), commitments, int(by), shares)
	switch {
	case errors.Is(err, threshold.ErrSubdealer), errors.Is(err, threshold.ErrElement), errors.Is(err, threshold.ErrScalar), errors.Is(err, threshold.ErrShares):
		return nil
	}
	return ErrSoundDeal
}
