package erasure

import (
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Erased reports whether a tombstone stands on the batch, or on the record of
// that manifest leaf in it; a zero leaf asks for the batch alone. Whose it is
// nobody has to know for it.
func Erased(r state.Reader, batch, leaf tx.Hash) bool {
	return marks.Has(r, markKey(Batch, batch)) || leaf != (tx.Hash{}) && marks.Has(r, markKey(Record, leaf))
}

// PatientErased reports whether a tombstone stands on all of the patient.
func PatientErased(r state.Reader, patient tx.Account) bool {
	return marks.Has(r, markKey(Patient, padded(patient)))
}

// ErasedBy reports whether such a tombstone stands since that height or longer.
func ErasedBy(r state.Reader, batch, leaf tx.Hash, height uint64) bool {
	return markedBy(r, Batch, batch, height) || leaf != (tx.Hash{}) && markedBy(r, Record, leaf, height)
}

// PatientErasedBy reports whether all of the patient is erased since that height or longer.
func PatientErasedBy(r state.Reader, patient tx.Account, height uint64) bool {
	return markedBy(r, Patient, padded(patient), height)
}

func markedBy(r state.Reader, s Scope, target tx.Hash, height uint64) bool {
	m, ok := marks.Get(r, markKey(s, target))
	return ok && m.Height <= height
}

// ErasedRecords is how many records of the batch were erased one by one: if it is
// 0, no leaf needs to be asked for.
func ErasedRecords(r state.Reader, batch tx.Hash) int {
	p, _ := partly.Get(r, batch[:])
	return int(p.Records)
}

// HeldBatch reports whether a legal hold stands on the batch.
func HeldBatch(r state.Reader, batch tx.Hash) bool { return held(r, batch) }

// HeldPatient reports whether a legal hold stands on the patient.
func HeldPatient(r state.Reader, patient tx.Account) bool { return held(r, padded(patient)) }

func held(r state.Reader, target tx.Hash) bool {
	found := false
	holds.Scan(r, target[:], func([]byte, LegalHold) bool {
		found = true
		return false
	})
	return found
}

// RetainedUntil is when a patient may have a batch erased that was anchored at
// that time, unix seconds.
func RetainedUntil(r state.Reader, anchored uint64) uint64 {
	return anchored + governance.ParamsOf(r).RetentionPeriod
}

// against says what the ledger itself knows against the case now.
func against(r state.Reader, c *Case, now uint64) error {
	if !c.Ordered && identity.Recovering(r, c.Patient) {
		return identity.ErrLocked // who asks may be whom the recovery is against
	}
	if c.Scope == Patient {
		switch {
		case PatientErased(r, c.Patient):
			return ErrErased
		case HeldPatient(r, c.Patient):
			return ErrHeld
		}
		return nil
	}
	b, ok := anchor.Lookup(r, c.Batch)
	switch {
	case !ok:
		return ErrBatch
	case Erased(r, c.Batch, c.Leaf), !c.Patient.IsZero() && PatientErased(r, c.Patient):
		return ErrErased
	case HeldBatch(r, c.Batch), !c.Patient.IsZero() && HeldPatient(r, c.Patient):
		return ErrHeld
	case !c.Ordered && now < RetainedUntil(r, b.Time):
		return ErrRetained
	}
	return nil
}

// refusal is why a case ends that f+1 custodians found this against.
func refusal(f Finding) *tx.Refusal {
	switch f {
	case Retained:
		return ErrRetained
	case Held:
		return ErrHeld
	default:
		return ErrNotHers
	}
}

// say adds a custodian's finding and returns how many agree with it. It is no
// news if the custodian has found something already.
func (c *Case) say(index int, f Finding) (agree int, news bool) {
	bit := uint64(1) << (index - 1)
	if (c.Clear|c.NotHers|c.Retained|c.Held)&bit != 0 {
		return 0, false
	}
	of := &c.Clear
	switch f {
	case NotHers:
		of = &c.NotHers
	case Retained:
		of = &c.Retained
	case Held:
		of = &c.Held
	case Clear:
	}
	*of |= bit
	return ones(*of), true
}

// holders are the custodians of the epoch that may hold the case's ciphertext:
// those that said so, or all of them where nobody knows which batches it is about.
func holders(r state.Reader, c *Case, e committee.Epoch) (bitmap uint64) {
	if c.Scope == Patient {
		return all(e.N)
	}
	for _, m := range anchor.Holders(r, c.Batch) {
		if i, ok := e.IndexOf(m); ok && i <= maxCustodians {
			bitmap |= 1 << (i - 1)
		}
	}
	return bitmap
}

// all is the bitmap of every custodian of n.
func all(n uint8) uint64 {
	if n >= maxCustodians {
		return ^uint64(0)
	}
	return 1<<n - 1
}
