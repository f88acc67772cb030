package recovery

import (
	"crypto/sha256"
	"slices"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// CommitAccount is the commitment to a guardian who has an account:
// SHA-256("salus/guardian/v1\0" ‖ salt[32] ‖ patient[16] ‖ 01 ‖ account[16]).
func CommitAccount(salt tx.Hash, patient, guardian tx.Account) tx.Hash {
	return commit(salt, patient, 1, guardian)
}

// CommitKey is the commitment to a guardian who has a key and no account:
// SHA-256("salus/guardian/v1\0" ‖ salt[32] ‖ patient[16] ‖ 02 ‖ key id[16]).
func CommitKey(salt tx.Hash, patient tx.Account, guardian tx.KeyID) tx.Hash {
	return commit(salt, patient, 2, guardian)
}

func commit(salt tx.Hash, patient tx.Account, what byte, who [16]byte) tx.Hash {
	h := sha256.New()
	h.Write([]byte("salus/guardian/v1\x00"))
	h.Write(salt[:])
	h.Write(patient[:])
	h.Write([]byte{what})
	h.Write(who[:])
	return tx.Hash(h.Sum(nil))
}

// guardian returns who approves the case by the proof: the signer, or the bearer
// of a bare key whatever the signer is.
func guardian(c *ledger.Context, g Guardians, patient tx.Account, id tx.Hash, p *Proof) (Approver, error) {
	if g.Threshold == 0 {
		return Approver{}, ErrNoGuardians
	}
	a := Approver{Height: uint64(c.Height)}
	if p.Key != nil {
		a.Who = tx.Account(p.Key.ID())
		a.Commitment = CommitKey(p.Salt, patient, p.Key.ID())
	} else {
		a.Who = c.Signer.Account
		a.Commitment = CommitAccount(p.Salt, patient, a.Who)
	}
	if _, named := slices.BinarySearchFunc(g.Commitments, a.Commitment, compare); !named {
		return a, ErrGuardian
	}
	if p.Key == nil {
		switch {
		case a.Who == patient, c.Signer.Class != ledger.ClassPatient && c.Signer.Class != ledger.ClassPractitioner:
			return a, ErrGuardian // of whatever use is a commitment to herself
		case !c.Signer.UserVerified:
			return a, ErrUserVerification
		}
		return a, nil
	}
	policy := tx.PasskeyPolicy{Origins: governance.ParamsOf(c.State).Origins, RequireUV: true}
	if p.Key.Verify(id, p.Signature, policy) != nil {
		return a, ErrSignature
	}
	return a, nil
}

func compare(a, b tx.Hash) int { return slices.Compare(a[:], b[:]) }

// staff returns the signer as somebody who may carry a case of the patient, with
// her member: a practitioner with the privilege reproof of the patient's steward,
// or, if that left the network, of any active clinical member.
func staff(c *ledger.Context, patient identity.Principal) (Approver, tx.Account, error) {
	p, m, ok := identity.Standing(c.State, c.Signer.Account)
	switch {
	case !ok, p.Class != ledger.ClassPractitioner, !p.Has(identity.PrivReproof):
		return Approver{}, tx.Account{}, ErrStaff
	case p.Member != patient.Member && (stands(c.State, patient.Member) || !m.Clinical):
		return Approver{}, tx.Account{}, ErrStaff
	case !c.Signer.UserVerified:
		return Approver{}, tx.Account{}, ErrUserVerification
	}
	return Approver{Who: p.Account, Height: uint64(c.Height)}, p.Member, nil
}

func stands(r state.Reader, member tx.Account) bool {
	m, ok := governance.LookupMember(r, member)
	return ok && m.Active
}

// carried says whether enough of the approvals stand now. A guardian's stands for
// ever; a practitioner's as long as she may still give it, so that suspending
// somebody who was found out stops what she approved.
func (k *Case) carried(r state.Reader) bool {
	if k.Member == (tx.Account{}) {
		return len(k.Approvals) >= int(k.Needed)
	}
	n := 0
	for _, a := range k.Approvals {
		p, _, ok := identity.Standing(r, a.Who)
		if ok && p.Member == k.Member && p.Has(identity.PrivReproof) {
			n++
		}
	}
	return n >= int(k.Needed)
}

// approve adds an approval, once per person and per commitment.
func (k *Case) approve(a Approver) error {
	for _, b := range k.Approvals {
		if b.Who == a.Who || a.Commitment != (tx.Hash{}) && b.Commitment == a.Commitment {
			return ErrSamePerson
		}
	}
	k.Approvals = append(slices.Clip(k.Approvals), a)
	return nil
}

// recent returns the openings that count against the quota at now.
func recent(times []uint64, now uint64) []uint64 {
	for i, t := range times {
		if now < t+window {
			return times[i:]
		}
	}
	return nil
}

// Restored reports whether the key came to the patient by this case.
func Restored(r state.Reader, id tx.Hash, patient tx.Account, key tx.KeyID) bool {
	k, ok := Lookup(r, id)
	return ok && k.Status == Finished && k.Terms.Kind == Keys && k.Terms.Patient == patient &&
		slices.ContainsFunc(k.Terms.Keys, func(p tx.PublicKey) bool { return p.ID() == key })
}
