package lookup

import (
	"crypto/sha256"
	"math/bits"

	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/threshold/oprf"
)

// ElementHash is what an entry commits to: SHA-256("salus/lookup/v1/element" ‖ blinded
// element). The element itself is uniformly random, so the hash is of nothing guessable.
func ElementHash(blinded oprf.Element) tx.Hash {
	return sha256.Sum256(append([]byte("salus/lookup/v1/element"), blinded[:]...))
}

// Label is what a pointer is bound to: one network's pointers open nowhere else.
func Label(chain string) []byte { return []byte("salus/lookup/v1/" + chain) }

// CardHash names a card on the ledger: SHA-256("salus/lookup/v1/card" ‖ its Ed25519 key).
func CardHash(public []byte) tx.Hash {
	return sha256.Sum256(append([]byte("salus/lookup/v1/card"), public...))
}

// mayFind refuses who may not look anybody up.
func mayFind(c *ledger.Context, purpose consent.Purpose) error {
	p, m, ok := identity.Standing(c.State, c.Signer.Account)
	if !ok || !m.Active {
		return ErrSigner
	}
	switch p.Class {
	case ledger.ClassMember:
		if purpose == consent.BTG || purpose == consent.ETREAT {
			return ErrSigner // a person declares an emergency
		}
		return nil
	case ledger.ClassPractitioner, ledger.ClassDevice:
		need := identity.PrivRead
		if purpose == consent.BTG || purpose == consent.ETREAT {
			need |= identity.PrivEmergency
		}
		if p.Has(need) {
			return nil
		}
	}
	return ErrSigner
}

// mayEnrol refuses everybody but the patient's steward.
func mayEnrol(c *ledger.Context, patient tx.Account) error {
	p, ok := identity.Lookup(c.State, patient)
	switch {
	case !ok || p.Class != ledger.ClassPatient || !p.Active:
		return ErrPatient
	case c.Signer.Class != ledger.ClassMember || c.Signer.Account != p.Member:
		return ErrSteward
	}
	return nil
}

// recent drops the hours that do not count any more at now.
func recent(u Usage, now uint64) Usage {
	for i, h := range u.Recent {
		if h.Hour+window > now/3600 {
			return Usage{u.Recent[i:]}
		}
	}
	return Usage{}
}

func (u Usage) total() (n uint64) {
	for _, h := range u.Recent {
		n += h.Count
	}
	return n
}

// spend counts one entry of the account, or refuses it.
func spend(w state.Writer, account tx.Account, now, quota uint64) error {
	u, _ := usages.Get(w, account[:])
	u = recent(u, now)
	if u.total() >= quota {
		return ErrQuota
	}
	list := append([]Hour(nil), u.Recent...)
	if n := len(list); n > 0 && list[n-1].Hour == now/3600 {
		list[n-1].Count++
	} else {
		list = append(list, Hour{Hour: now / 3600, Count: 1})
	}
	usages.Put(w, account[:], Usage{list})
	return nil
}

// seat returns the signer's index among the accounts; it must be an active member.
func seat(c *ledger.Context, among []tx.Account) (int, error) {
	m, ok := governance.LookupMember(c.State, c.Signer.Account)
	i := indexOf(among, c.Signer.Account)
	if !ok || !m.Active || c.Signer.Class != ledger.ClassMember || i == 0 {
		return 0, ErrCustodian
	}
	return i, nil
}

func bit(i int) uint64 { return 1 << (i - 1) }

func all(n int) uint64 { return ^uint64(0) >> (64 - n) }

func size(set uint64) int { return bits.OnesCount64(set) }

// indices lists the members of a set, ascending, from 1.
func indices(set uint64) (out []int) {
	for ; set != 0; set &= set - 1 {
		out = append(out, bits.TrailingZeros64(set)+1)
	}
	return out
}
