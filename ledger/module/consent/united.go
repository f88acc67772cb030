package consent

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Two pseudonyms that are merged keep their consents apart, but for one thing: what either denies is denied under
// both (spec/merge.md). The slots of two patients differ and are secret, so the merge brings a translation, one
// slot to one slot, which says nothing about any label.

// MaxUnited bounds how many pseudonyms hang together by merges.
const MaxUnited = 8

var (
	// ErrTranslation: what should translate slots is no permutation of 64.
	ErrTranslation = errors.New("consent: a translation of slots is a permutation of 64")
	// ErrUnited: more than MaxUnited pseudonyms would hang together.
	ErrUnited = errors.New("consent: too many pseudonyms would hang together")
)

// A Translation of slots: slot i of one pseudonym is slot Translation[i] of the other. Its 64 bytes are a
// permutation of 0 to 63, so that a translation has one shape whatever it translates.
type Translation []byte

// Validate checks that it is a permutation of 64 slots: ErrTranslation.
func (t Translation) Validate() error {
	var seen uint64
	for _, s := range t {
		if s > 63 {
			return ErrTranslation
		}
		seen |= 1 << s
	}
	if len(t) != 64 || seen != ^uint64(0) {
		return ErrTranslation
	}
	return nil
}

// Of translates a mask.
func (t Translation) Of(mask uint64) (out uint64) {
	for ; mask != 0; mask &= mask - 1 {
		out |= 1 << t[bits.TrailingZeros64(mask)]
	}
	return out
}

// Inverse translates the other way.
func (t Translation) Inverse() Translation {
	out := make(Translation, len(t))
	for i, s := range t {
		out[s] = byte(i)
	}
	return out
}

func (t Translation) then(next Translation) Translation {
	out := make(Translation, len(t))
	for i, s := range t {
		out[i] = next[s]
	}
	return out
}

// United are the pseudonyms that one is merged with.
type United struct {
	With []Joint `cbor:"1,keyasint" json:"with"` // ascending by patient
}

// A Joint is one of them, and what its slots are among the slots of the row's own patient.
type Joint struct {
	Patient tx.Account  `cbor:"1,keyasint" json:"patient"`
	Slots   Translation `cbor:"2,keyasint" json:"slots"`
}

// UnitedKey is the state key of the row of a patient's merges, for proofs.
func UnitedKey(patient tx.Account) []byte { return append([]byte{Prefix, 0x04}, patient[:]...) }

// UnitedOf returns the merges of one pseudonym.
func UnitedOf(r state.Reader, patient tx.Account) United {
	u, _ := united.Get(r, patient[:])
	return u
}

// Unite makes what either of two pseudonyms denies hold for both, from this transaction on. Slots translates
// those of a into those of b. Error: ErrUnited, if more than MaxUnited would hang together.
func Unite(c *ledger.Context, a, b tx.Account, slots Translation) error {
	together := Together(c.State, a)
	for _, j := range Together(c.State, b) {
		if !slices.ContainsFunc(together, func(k Joint) bool { return k.Patient == j.Patient }) {
			together = append(together, j)
		}
	}
	if len(together) > MaxUnited {
		return ErrUnited
	}
	join(c, b, Joint{a, slots})
	join(c, a, Joint{b, slots.Inverse()})
	return nil
}

// Divide undoes Unite: every decision is again what it was without.
func Divide(c *ledger.Context, a, b tx.Account) {
	part(c, a, b)
	part(c, b, a)
}

func join(c *ledger.Context, patient tx.Account, j Joint) {
	u := UnitedOf(c.State, patient)
	i, found := slices.BinarySearchFunc(u.With, j.Patient, order)
	list := slices.Clone(u.With)
	if found {
		list[i] = j
	} else {
		list = slices.Insert(list, i, j)
	}
	united.Put(c.State, patient[:], United{list})
	changed(c, patient)
}

func part(c *ledger.Context, patient, from tx.Account) {
	u := UnitedOf(c.State, patient)
	i, found := slices.BinarySearchFunc(u.With, from, order)
	if !found {
		return
	}
	if list := slices.Delete(slices.Clone(u.With), i, i+1); len(list) > 0 {
		united.Put(c.State, patient[:], United{list})
	} else {
		united.Delete(c.State, patient[:])
	}
	changed(c, patient)
}

func order(j Joint, patient tx.Account) int { return bytes.Compare(j.Patient[:], patient[:]) }

// changed makes it known that decisions about a patient may have become others.
func changed(c *ledger.Context, patient tx.Account) {
	h := HeadOf(c.State, patient)
	h.Version++
	heads.Put(c.State, patient[:], h)
}

// Together returns all pseudonyms that hang together with one by merges, itself first, each with what its slots
// are among that one's.
func Together(r state.Reader, patient tx.Account) []Joint {
	same := make(Translation, 64)
	for i := range same {
		same[i] = byte(i)
	}
	all := []Joint{{patient, same}}
	for i := 0; i < len(all) && len(all) <= MaxUnited; i++ {
		at := all[i]
		for _, j := range UnitedOf(r, at.Patient).With {
			if !slices.ContainsFunc(all, func(k Joint) bool { return k.Patient == j.Patient }) {
				all = append(all, Joint{j.Patient, j.Slots.then(at.Slots)})
			}
		}
	}
	return all
}

// Across returns what denies says of every other pseudonym of the patient, in the patient's own slots.
func Across(r state.Reader, patient tx.Account, denies func(other tx.Account) uint64) (mask uint64) {
	if len(UnitedOf(r, patient).With) == 0 {
		return 0
	}
	for _, j := range Together(r, patient)[1:] {
		mask |= j.Slots.Of(denies(j.Patient))
	}
	return mask
}

// denied are the slots that the consents of one pseudonym deny to who asks, whatever they allow.
func denied(q Question, c Consents) (mask uint64) {
	switch q.Actor.Class {
	case ledger.ClassPatient:
		if p, ok := c.proxy(q.Actor.Account); ok && p.Proxy.holds(q.Purpose, q.Now) {
			mask = p.Proxy.Except
		}
	case ledger.ClassPractitioner, ledger.ClassDevice:
		for i := range c.Grants {
			if _, except, ok := c.Grants[i].reach(q, c); ok {
				mask |= except
			}
		}
	}
	return mask
}
