package identity

import (
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Condition is what is out of the ordinary with a patient. Module recovery alone
// changes it, by the functions of this file; a patient to whom nothing happened has
// no row.
type Condition struct {
	Recovery  tx.Hash    `cbor:"1,keyasint" json:"recovery"`  // the case by which other keys are asked for; zeros: none
	Recovered uint64     `cbor:"2,keyasint" json:"recovered"` // height of the last recovery of keys; 0: none
	Deceased  uint64     `cbor:"3,keyasint" json:"deceased"`  // height at which her death was recorded; 0: not
	Executor  tx.Account `cbor:"4,keyasint" json:"executor"`  // who acts for what she left; zero: nobody
}

// ConditionOf returns the patient's condition; it is zero for everybody else.
func ConditionOf(r state.Reader, patient tx.Account) Condition {
	c, _ := conditions.Get(r, patient[:])
	return c
}

// Recovering reports whether other keys are asked for, so that nothing is accepted
// that widens what anybody may do, from whichever side it comes.
func Recovering(r state.Reader, patient tx.Account) bool {
	return ConditionOf(r, patient).Recovery != (tx.Hash{})
}

// Deceased reports whether the patient's death is recorded.
func Deceased(r state.Reader, patient tx.Account) bool {
	return ConditionOf(r, patient).Deceased != 0
}

// alter writes a condition, or nothing where nothing is left to say.
func alter(c *ledger.Context, patient tx.Account, change func(*Condition)) {
	cond := ConditionOf(c.State, patient)
	change(&cond)
	if cond == (Condition{}) {
		conditions.Delete(c.State, patient[:])
		return
	}
	conditions.Put(c.State, patient[:], cond)
}

// Lock begins a recovery of keys: the patient's own keys stay as they are until
// Unlock.
func Lock(c *ledger.Context, patient tx.Account, recovery tx.Hash) {
	alter(c, patient, func(cond *Condition) { cond.Recovery = recovery })
}

// Unlock ends a recovery, however it ended.
func Unlock(c *ledger.Context, patient tx.Account) {
	alter(c, patient, func(cond *Condition) { cond.Recovery = tx.Hash{} })
}

// Replaceable says whether Replace would succeed: ErrUnknown, ErrKeyUsed,
// ErrKeyUnknown or ErrTooManyKeys.
func Replaceable(c *ledger.Context, patient tx.Account, add []tx.PublicKey, revoke []tx.KeyID) error {
	_, _, _, err := exchanged(c, patient, add, revoke)
	return err
}

// Replace adds keys to a patient's and ends those named, or all that are live if
// none is, from the next block on. A claim code that was never used is void from
// then on. What the old keys signed stays verifiable at its heights.
func Replace(c *ledger.Context, patient tx.Account, add []tx.PublicKey, revoke []tx.KeyID) error {
	p, ring, end, err := exchanged(c, patient, add, revoke)
	if err != nil {
		return err
	}
	p.Keys, p.Claim = ring, tx.Hash{}
	retire(c.State, patient, end)
	principals.Put(c.State, patient[:], p)
	alter(c, patient, func(cond *Condition) { cond.Recovered = uint64(c.Height) })
	return nil
}

func exchanged(c *ledger.Context, patient tx.Account, add []tx.PublicKey, revoke []tx.KeyID) (p Principal, ring Ring, end []Key, err error) {
	p, ok := principals.Get(c.State, patient[:])
	if !ok || p.Class != ledger.ClassPatient {
		return p, nil, nil, ErrUnknown
	}
	if len(revoke) == 0 {
		for _, k := range p.Keys.Open() {
			revoke = append(revoke, k.Public.ID())
		}
	}
	ring, end, err = p.Keys.Rotate(governance.Rotation{
		Height: uint64(c.Height), Add: add, Revoke: revoke, KeepOne: true,
		Used: func(id tx.KeyID) bool {
			_, was := ended.Get(c.State, keyID(patient, id))
			return was
		},
	})
	if err != nil {
		return p, nil, nil, keyRefusal(err)
	}
	return p, ring, end, nil
}

// Die records a patient's death: from this block on none of her keys signs.
func Die(c *ledger.Context, patient tx.Account) {
	active(c, patient, false)
	alter(c, patient, func(cond *Condition) { cond.Deceased = uint64(c.Height) })
}

// Live takes a death back that was recorded by mistake: her keys sign again, and
// nobody executes what she left. It returns who did.
func Live(c *ledger.Context, patient tx.Account) (executor tx.Account) {
	active(c, patient, true)
	alter(c, patient, func(cond *Condition) {
		executor = cond.Executor
		cond.Deceased, cond.Executor = 0, tx.Account{}
	})
	return executor
}

// SetExecutor says who acts for what a patient left, and returns who did before.
func SetExecutor(c *ledger.Context, patient, executor tx.Account) (before tx.Account) {
	alter(c, patient, func(cond *Condition) { before, cond.Executor = cond.Executor, executor })
	return before
}

func active(c *ledger.Context, patient tx.Account, on bool) {
	p, ok := principals.Get(c.State, patient[:])
	if !ok || p.Class != ledger.ClassPatient {
		panic("identity: internal error: life and death of somebody who is no patient")
	}
	p.Active = on
	principals.Put(c.State, patient[:], p)
}
