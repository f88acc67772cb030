package ledger

import (
	"reflect"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// An EntryKind numbers the kinds of log entries: module prefix << 8 | n.
type EntryKind uint16

// An Entry is one leaf of the ledger's append-only log, in canonical CBOR.
type Entry struct {
	Kind    EntryKind `cbor:"1,keyasint" json:"kind"`
	Height  uint64    `cbor:"2,keyasint" json:"height"`  // of the block
	Time    uint64    `cbor:"3,keyasint" json:"time"`    // of the block, unix seconds
	Tx      tx.Hash   `cbor:"4,keyasint" json:"tx"`      // transaction that caused it; zero if the block itself did
	Payload []byte    `cbor:"5,keyasint" json:"payload"` // canonical CBOR of what EntryInfo says
}

// maxEntry bounds the bytes of one entry: a payload may hold a whole
// transaction and what the module adds to it.
const maxEntry = 2 * tx.MaxTx

// DecodeEntry reads the bytes of a log entry. The error is a *tx.Refusal.
func DecodeEntry(b []byte) (*Entry, error) {
	e := new(Entry)
	if err := tx.DecodeAny(b, e, maxEntry); err != nil {
		return nil, err
	}
	return e, nil
}

// EntriesAtOnce is how many entries of the log are read from one view: an open one keeps what was since replaced on
// the disk.
const EntriesAtOnce = 4096

// ReadEntries gives fn those of a kind among the next entries of the log, EntriesAtOnce of all kinds at most. It returns
// where to go on, which after an error is where that was, and whether there are more in the view. Errors: that of
// EntryAt, or fn's.
func ReadEntries(v *state.View, from uint64, kind EntryKind, fn func(index uint64, e *Entry) error) (next uint64, more bool, err error) {
	size := v.Size()
	for next = from; next < min(size, from+EntriesAtOnce); next++ {
		e, err := EntryAt(v, next)
		if err == nil && e.Kind == kind {
			err = fn(next, e)
		}
		if err != nil {
			return next, false, err
		}
	}
	return next, next < size, nil
}

// EntryAt reads one entry of the log. The error is a *tx.Refusal.
func EntryAt(v *state.View, index uint64) (*Entry, error) {
	raw, ok := v.Entry(index)
	if !ok {
		return nil, errNoEntry
	}
	return DecodeEntry(raw)
}

// EntryInfo describes one kind of log entry for documents and tools.
type EntryInfo struct {
	Kind    EntryKind
	Name    string // "<module>.<what>"
	Payload any    // a zero value of the payload's type
}

// Decode reads a payload of this kind and returns a pointer to its type.
func (i EntryInfo) Decode(payload []byte) (any, error) {
	v := reflect.New(reflect.TypeOf(i.Payload)).Interface()
	if err := tx.DecodeAny(payload, v, maxEntry); err != nil {
		return nil, err
	}
	return v, nil
}
