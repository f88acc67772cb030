package governance

import (
	"bytes"
	"errors"
	"slices"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Limits of what is open and how large the validator set may grow.
const (
	MaxOpen         = 64  // undecided proposals of the network
	MaxOpenOfMember = 8   // undecided proposals of one member
	MaxValidators   = 128 // custodians are validators, and each holds a share of every key
)

// Outcome decides a proposal among the members active now. It passes when at
// least two thirds approve, is rejected when so many reject that two thirds
// cannot be reached any more, and lapses from its deadline on. Votes of
// members that have left meanwhile do not count.
func Outcome(p Proposal, active []tx.Account, now uint64) Status {
	n, yes, no := len(active), count(p.Approvals, active), count(p.Rejections, active)
	switch {
	case 3*yes >= 2*n && n > 0:
		return Executed
	case 3*(n-no) < 2*n:
		return Rejected
	case now >= p.Deadline:
		return Lapsed
	}
	return Open
}

// count is the size of the intersection of two lists in account order.
func count(votes, active []tx.Account) int {
	n := 0
	for _, v := range votes {
		if _, ok := slices.BinarySearchFunc(active, v, compare); ok {
			n++
		}
	}
	return n
}

func compare(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) }

// with inserts an account into a list in account order.
func with(list []tx.Account, a tx.Account) []tx.Account {
	i, _ := slices.BinarySearchFunc(list, a, compare)
	return slices.Insert(slices.Clone(list), i, a)
}

func voted(p Proposal, a tx.Account) bool {
	return slices.Contains(p.Approvals, a) || slices.Contains(p.Rejections, a)
}

func accounts(ms []Member) []tx.Account {
	var as []tx.Account
	for _, m := range ms {
		as = append(as, m.Account)
	}
	return as
}

// executable says whether the action could be carried out now. It is asked
// when the action is proposed and again when it has passed.
func executable(c *ledger.Context, a Action) error {
	r := c.State
	switch {
	case a.Admit != nil:
		return admissible(r, a.Admit)
	case a.Remove != nil:
		return removable(r, a.Remove.Account)
	case a.SetParams != nil:
		return ParamsOf(r).With(a.SetParams).Validate()
	case a.SetValidator != nil:
		return validatorSettable(r, a.SetValidator)
	case a.Erase != nil, a.Hold != nil:
		return nil // what stands against it, module erasure finds when it carries it out
	case a.Reshare != nil:
		return resharable(r, a.Reshare)
	case a.Upgrade != nil:
		return upgradable(c, a.Upgrade)
	case a.CancelUpgrade != nil:
		return cancellable(c, a.CancelUpgrade)
	case a.Disaster != nil:
		return nil
	}
	return ErrAction
}

func admissible(r state.Reader, a *Admit) error {
	m, known := LookupMember(r, a.Account)
	if known && m.Active {
		return ErrMemberExists
	}
	if err := ownable(r, a.Account, a.Validator, a.Peer); err != nil {
		return err
	}
	if len(a.Validator) > 0 && len(Validators(r)) >= MaxValidators {
		return ErrTooManyValidators
	}
	for _, k := range a.Keys {
		id := k.ID()
		if _, was := ended.Get(r, keyID(a.Account, id)); was {
			return ErrKeyUsed
		}
	}
	return nil
}

// ownable refuses a validator or peer key that belongs, or ever belonged, to
// another account: what it signed must never be ascribed to someone else.
func ownable(r state.Reader, account tx.Account, validator, peer []byte) error {
	if o, taken := validators.Get(r, validator); len(validator) > 0 && taken && o.Account != account {
		return ErrValidatorTaken
	}
	if o, taken := peers.Get(r, peer); len(peer) > 0 && taken && o.Account != account {
		return ErrPeerTaken
	}
	return nil
}

func removable(r state.Reader, account tx.Account) error {
	m, ok := LookupMember(r, account)
	switch {
	case !ok || !m.Active:
		return ErrUnknownMember
	case len(Active(r)) == 1:
		return ErrLastMember
	case m.IsValidator() && len(Validators(r)) == 1:
		return ErrLastValidator
	}
	return nil
}

func validatorSettable(r state.Reader, a *SetValidator) error {
	m, ok := LookupMember(r, a.Account)
	switch {
	case !ok || !m.Active:
		return ErrUnknownMember
	case bytes.Equal(m.Validator, a.Validator):
		return ErrNoChange
	case len(a.Validator) == 0 && len(Validators(r)) == 1:
		return ErrLastValidator
	case len(m.Validator) == 0 && len(Validators(r)) >= MaxValidators:
		return ErrTooManyValidators
	}
	return ownable(r, a.Account, a.Validator, nil)
}

// keyRefusal gives a ring's refusal this module's code.
func keyRefusal(err error) error {
	switch {
	case errors.Is(err, ErrRingUsed):
		return ErrKeyUsed
	case errors.Is(err, ErrRingUnknown):
		return ErrKeyUnknown
	case errors.Is(err, ErrRingFull):
		return ErrTooManyKeys
	case errors.Is(err, ErrRingEmpty):
		return ErrLastKey
	}
	return err
}
