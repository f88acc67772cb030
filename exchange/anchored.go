package exchange

import (
	"errors"

	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ErrNotReleased is a custodian's one answer to everything that the committed state does not
// allow; the reason stays with the custodian.
var ErrNotReleased = tx.Refuse(0x2101, "custody: nothing to release for this request")

// ErrNotNow is a custodian's answer while it cannot decide about anybody: its replica of the ledger
// is behind, or a session asks faster than it may. It says nothing of a patient or a consent, and
// it is no answer: who counts answers must not count it.
var ErrNotNow = tx.Refuse(0x2107, "custody: this custodian cannot decide now; ask again later")

// ErrLog means that the ledger's log does not hold what its state points to.
var ErrLog = errors.New("exchange: the ledger's log does not hold the batch's header")

// PutAt returns the transaction that anchored a batch, from the log of a replica.
func PutAt(v *state.View, b anchor.Batch) (*anchor.Put, error) {
	raw, ok := v.Entry(b.Index)
	if !ok {
		return nil, ErrLog
	}
	put, ok := DecodePut(raw)
	if !ok {
		return nil, ErrLog
	}
	return put, nil
}

// KeyGone reports whether the seed of a custody key that ended at until is destroyed: one period after
// that, by block time. Who still has it then opens nothing with it, so that everybody knows what opens.
func KeyGone(v *state.View, until uint64) bool {
	now := v.Meta().Time
	return until < now && until+governance.ParamsOf(v).CustodyKeyPeriod < now
}

// Stale reports whether a batch was anchored so long ago without becoming ACTIVE that every key that its envelopes
// could be sealed to then is gone. Custodians neither take it in any more nor say for the first time that they
// hold it, so that its author can seal the records again and they are nowhere twice.
func Stale(v *state.View, b *anchor.Batch) bool {
	return b.Active == 0 && KeyGone(v, b.Time+governance.ParamsOf(v).CustodyKeyPeriod)
}

// DecodePut reads a log entry that anchors a batch; false for any other entry.
func DecodePut(raw []byte) (*anchor.Put, bool) {
	var e ledger.Entry
	if tx.Decode(raw, &e) != nil || e.Kind != anchor.EntryHeader {
		return nil, false
	}
	put := new(anchor.Put)
	return put, tx.Decode(e.Payload, put) == nil
}

// Anchored is what the ledger says about one batch, for readers without a replica.
type Anchored struct {
	Put     anchor.Put   `cbor:"1,keyasint"`
	Batch   anchor.Batch `cbor:"2,keyasint"`
	Holders []tx.Account `cbor:"3,keyasint"`
	// Epoch is the custody epoch that holds the shares now, if it is another one than the header's.
	Epoch uint64 `cbor:"4,keyasint,omitempty"`
}

// HeldBy is the custody epoch that holds the batch's shares.
func (a *Anchored) HeldBy() uint64 {
	if a.Epoch != 0 {
		return a.Epoch
	}
	return a.Batch.Epoch
}

// AnchoredIn reads it from a replica; false when the batch is unknown or not active.
func AnchoredIn(v *state.View, header tx.Hash) (*Anchored, bool) {
	b, ok := anchor.Lookup(v, header)
	if !ok || b.Active == 0 {
		return nil, false
	}
	put, err := PutAt(v, b)
	if err != nil {
		return nil, false
	}
	a := &Anchored{Put: *put, Batch: b, Holders: anchor.Holders(v, header)}
	if e := anchor.EpochOf(v, &b); e != b.Epoch {
		a.Epoch = e
	}
	return a, true
}
