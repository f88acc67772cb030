package committee

import (
	"math/bits"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Shares outlive the time in which a committee is in force: they are handed to the next one
// before it is, and kept by the old one for those who take over late. A committee that was
// prepared and never came into force may have got some too. What is to be destroyed everywhere
// has to be destroyed by all of these, so the ledger keeps who they are.

// A Holding is a committee whose custodians can hold shares, or have held them. Epoch and Start
// name it: of several that were prepared for an epoch the last one came into force.
type Holding struct {
	Committee Epoch  `cbor:"1,keyasint" json:"committee"`
	Start     uint64 `cbor:"2,keyasint" json:"start"`     // height at which it was prepared; 0 if it was before this was kept
	Destroyed uint64 `cbor:"3,keyasint" json:"destroyed"` // bit i-1: custodian i says that it holds nothing of it any more
}

// Spent reports whether so many of the committee have destroyed what they had that the rest,
// and those that lied, hold fewer shares than open a record.
func (h *Holding) Spent(r state.Reader) bool { return h.Committee.Spent(r, h.Destroyed) }

// Spent reports whether those of a committee that a bitmap names are enough to say of its shares
// that they are destroyed. T are. Where everybody else is a member no more, and so signs nothing
// ever again, 2F+1 are: F of them may lie, so F+1 have destroyed their shares, and T-1 are left.
func (e Epoch) Spent(r state.Reader, destroyed uint64) bool {
	switch said := bits.OnesCount64(destroyed); {
	case said >= int(e.T):
		return true
	case said <= 2*e.F():
		return false
	}
	for i, m := range e.Members {
		signed := i < 64 && destroyed&(1<<i) != 0
		if member, _ := governance.LookupMember(r, m); member.Active && !signed {
			return false
		}
	}
	return true
}

// A Span is the committees that were prepared for epoch From or later and, of those for epoch
// To, before height Start; none for a later one.
type Span struct{ From, To, Start uint64 }

// Has reports whether the committee of an epoch that was prepared at height start is in the span.
func (s Span) Has(epoch, start uint64) bool {
	return epoch >= s.From && (epoch < s.To || epoch == s.To && start < s.Start)
}

// Others returns the committees besides the one in force that can hold shares: the one that is
// being prepared, those before it that came to nothing, and those of epochs that are over, as
// long as they are not spent.
func Others(r state.Reader) (out []Holding) {
	now, _ := current.Shared(r, nil)
	rows := holdingRows(r)
	for i, h := range rows {
		inForce := h.Committee.Epoch == now.Epoch && (i+1 == len(rows) || rows[i+1].Committee.Epoch != now.Epoch)
		if !inForce && !h.Spent(r) {
			out = append(out, h)
		}
	}
	return out
}

// HoldingOf returns the committee of that name.
func HoldingOf(r state.Reader, epoch, start uint64) (Holding, bool) {
	return holdings.Get(r, holdingKey(epoch, start))
}

// Rid notes that a member holds nothing any more of the committees of a span, and says whether
// that was news.
func Rid(c *ledger.Context, member tx.Account, of Span) (news bool) {
	for _, h := range holdingRows(c.State) {
		i, seated := h.Committee.IndexOf(member)
		if !seated || i > 64 || !of.Has(h.Committee.Epoch, h.Start) || h.Destroyed&(1<<(i-1)) != 0 {
			continue
		}
		h.Destroyed |= 1 << (i - 1)
		holdings.Put(c.State, holdingKey(h.Committee.Epoch, h.Start), h)
		news = true
	}
	return news
}

// holdingRows lists them by epoch and then by height.
func holdingRows(r state.Reader) (rows []Holding) {
	holdings.Scan(r, nil, func(_ []byte, h Holding) bool {
		rows = append(rows, h)
		return true
	})
	return rows
}

// prepared notes a committee that shares are about to be handed to, and the one they come from.
func prepared(c *ledger.Context, next Epoch) {
	known := false
	holdings.Scan(c.State, number(next.Epoch-1), func([]byte, Holding) bool {
		known = true
		return false
	})
	if now, err := Current(c.State); !known && err == nil {
		holdings.Put(c.State, holdingKey(now.Epoch, 0), Holding{Committee: now})
	}
	h := Holding{Committee: next, Start: uint64(c.Height)}
	holdings.Put(c.State, holdingKey(next.Epoch, h.Start), h)
}

func holdingKey(epoch, start uint64) []byte { return append(number(epoch), number(start)...) }
