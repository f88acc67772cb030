package erasure

import (
	"bytes"
	"slices"

	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// What a certificate counts. The shares of one record are of as many polynomials as there are
// committees that can hold some, and t of any one of them open it. Which committees these are is fixed
// at the tombstone: what starts after it deals nothing that is erased (custody.md section 7a).

// others are the committees besides the one in force that can hold shares of the case now. One that was
// over before a batch was sealed never had a share of it.
func others(r state.Reader, c *Case, now committee.Epoch) (out []Others) {
	sealed, _ := anchor.Lookup(r, c.Batch) // of a whole patient there is none: epoch 0
	for _, h := range committee.Others(r) {
		if h.Committee.Epoch < sealed.Epoch {
			continue
		}
		due := uint64(0)
		for i, m := range h.Committee.Members {
			if _, both := now.IndexOf(m); !both && i < maxCustodians {
				due |= 1 << i
			}
		}
		out = append(out, Others{
			Epoch: h.Committee.Epoch, Start: h.Start, N: h.Committee.N, T: h.Committee.T, Due: due & holders(r, c, h.Committee), Keys: h.Destroyed,
		})
	}
	return out
}

// A seat is a member's place in one committee of a case.
type seat struct {
	epoch, start              uint64 // start: after all that are abandoned, for the epoch in force
	bit                       uint64
	keys, ciphertext, records *uint64
}

// add adds what the member says, and tells whether it is news.
func (s *seat) add(keys, ciphertext, records bool) (news bool) {
	for _, said := range []struct {
		yes bool
		to  *uint64
	}{{keys, s.keys}, {ciphertext, s.ciphertext}, {records, s.records}} {
		if said.yes && *said.to&s.bit == 0 {
			*said.to |= s.bit
			news = true
		}
	}
	return news
}

// inForce sorts the committee in force behind those that were prepared for its epoch and came to nothing.
const inForce = ^uint64(0)

// seatsOf returns a member's seats in the committees of a case; their bitmaps are the case's own.
func seatsOf(r state.Reader, c *Case, member tx.Account) (seats []seat) {
	if i := index(r, c, member); i != 0 {
		seats = append(seats, seat{c.Epoch, inForce, 1 << (i - 1), &c.Keys, &c.Ciphertext, &c.Records})
	}
	// A row that was read may be the table's own: what is changed is a copy.
	c.Others = slices.Clone(c.Others)
	for k := range c.Others {
		o := &c.Others[k]
		h, _ := committee.HoldingOf(r, o.Epoch, o.Start)
		if i, ok := h.Committee.IndexOf(member); ok && i <= maxCustodians {
			seats = append(seats, seat{o.Epoch, o.Start, 1 << (i - 1), &o.Keys, &o.Ciphertext, &o.Records})
		}
	}
	return seats
}

// index is a member's index in the case's epoch, 0 if it is not in it.
func index(r state.Reader, c *Case, member tx.Account) uint8 {
	e, err := committee.At(r, c.Epoch)
	if err != nil {
		return 0
	}
	i, ok := e.IndexOf(member)
	if !ok || i > maxCustodians {
		return 0
	}
	return uint8(i)
}

// counts says whether enough of each committee have destroyed their keys, and whether nobody's receipt is missing.
func (c *Case) counts(r state.Reader) (certified, done bool) {
	e, err := committee.At(r, c.Epoch)
	if err != nil {
		return false, false
	}
	certified, done = e.Spent(r, c.Keys), c.Keys == all(e.N) && c.Due&^c.Ciphertext == 0
	for i := range c.Others {
		o := &c.Others[i]
		h, known := committee.HoldingOf(r, o.Epoch, o.Start)
		certified = certified && known && h.Committee.Spent(r, o.Keys)
		done = done && o.Keys == all(o.N) && o.Due&^o.Ciphertext == 0
	}
	return certified, done
}

// Awaits reports whether a receipt of the member says anything new for a case: it sits in a committee of
// it and has not said all this.
func Awaits(r state.Reader, c Case, member tx.Account, m *Receipt) bool {
	for _, s := range seatsOf(r, &c, member) {
		if s.add(m.Keys, m.Ciphertext, m.Records) {
			return true
		}
	}
	return false
}

// Missing returns the custodians whose receipt is missing, those of the case's epoch first: for
// shares everybody's is due, for ciphertext that of who may hold it.
func Missing(r state.Reader, c Case) (out []tx.Account) {
	e, err := committee.At(r, c.Epoch)
	if err != nil || !c.Stands() {
		return nil
	}
	out = names(nil, e, all(e.N)&^c.Keys|c.Due&^c.Ciphertext)
	for i := range c.Others {
		o := &c.Others[i]
		h, _ := committee.HoldingOf(r, o.Epoch, o.Start)
		out = names(out, h.Committee, all(o.N)&^o.Keys|o.Due&^o.Ciphertext)
	}
	return out
}

// unsigned returns who has not signed for a case, in account order, and whether nobody of them is a member any more.
func unsigned(r state.Reader, c Case) (out []tx.Account, final bool) {
	out, final = Missing(r, c), true
	for _, m := range out {
		member, _ := governance.LookupMember(r, m)
		final = final && !member.Active
	}
	slices.SortFunc(out, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	return out, final
}

// names adds the members of a committee that a bitmap means and that are not in the list yet.
func names(to []tx.Account, e committee.Epoch, bitmap uint64) []tx.Account {
	for i, m := range e.Members {
		if i < maxCustodians && bitmap&(1<<i) != 0 && !slices.Contains(to, m) {
			to = append(to, m)
		}
	}
	return to
}
