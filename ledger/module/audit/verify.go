package audit

import (
	"errors"
	"fmt"

	"salus/ledger"
	"salus/ledger/tx"
)

// Why a chain does not verify. Each comes wrapped with the position of the
// first entry at fault.
var (
	ErrEntry   = errors.New("entry is not an audit entry in canonical form")
	ErrPatient = errors.New("entry is about another pseudonym")
	ErrGap     = errors.New("sequence number does not follow")
	ErrLink    = errors.New("entry does not extend the one before")
	ErrOrder   = errors.New("height, time or log index goes backwards")
	ErrHead    = errors.New("chain does not end at the committed position")
)

// A Link is a verified entry of a chain, with where and when it was committed.
type Link struct {
	Index  uint64  // in the ledger's log
	Height uint64  // of the block
	Time   uint64  // of the block, unix seconds
	Tx     tx.Hash // transaction that caused it
	Record Record
}

// VerifyChain checks that entries, the bytes of log entries with the oldest
// first, are the whole chain of the pseudonym up to the position that the
// state tree committed to: none is missing, added, changed or out of order. It
// needs no state and no network. The caller has proved the position (Key) or
// its absence, which is the zero Position, against an app hash.
func VerifyChain(patient tx.Account, entries [][]byte, at Position) ([]Link, error) {
	return VerifyExtension(patient, Position{}, entries, at)
}

// VerifyExtension checks that entries lead from one position of the chain,
// already verified, to a later one.
func VerifyExtension(patient tx.Account, from Position, entries [][]byte, to Position) ([]Link, error) {
	links := make([]Link, 0, len(entries))
	pos := from
	for i, raw := range entries {
		l, err := link(raw)
		if err == nil {
			err = follows(patient, pos, l.Record, i > 0)
		}
		if err == nil && i > 0 {
			prev := &links[i-1]
			prev.Index = l.Record.PrevIndex
			if l.Height < prev.Height || l.Time < prev.Time || i > 1 && prev.Index <= links[i-2].Index ||
				i == 1 && from.Seq > 0 && prev.Index <= from.Index {
				err = ErrOrder
			}
		}
		if err != nil {
			return nil, fmt.Errorf("audit: entry %d: %w", from.Seq+uint64(i)+1, err)
		}
		pos = Position{Seq: l.Record.Seq, Head: Extend(pos.Head, raw)}
		links = append(links, l)
	}
	if n := len(links); n > 0 {
		links[n-1].Index = to.Index
		if n > 1 && to.Index <= links[n-2].Index || n == 1 && from.Seq > 0 && to.Index <= from.Index {
			return nil, fmt.Errorf("audit: entry %d: %w", pos.Seq, ErrOrder)
		}
		pos.Index = to.Index
	}
	if pos != to {
		return nil, fmt.Errorf("audit: after entry %d: %w", pos.Seq, ErrHead)
	}
	return links, nil
}

// link decodes one log entry of this module.
func link(raw []byte) (Link, error) {
	e, rec, err := Decode(raw)
	if err != nil {
		return Link{}, err
	}
	return Link{Height: e.Height, Time: e.Time, Tx: e.Tx, Record: rec}, nil
}

// follows checks what an entry says about the one before it. Inside a chain
// the index of the one before is known only from the entry itself; the log's
// own inclusion proofs bind it.
func follows(patient tx.Account, pos Position, r Record, inside bool) error {
	switch {
	case r.Patient != patient:
		return ErrPatient
	case r.Seq != pos.Seq+1:
		return ErrGap
	case r.Prev != pos.Head:
		return ErrLink
	case !inside && r.PrevIndex != pos.Index:
		return ErrLink
	}
	return nil
}

// Decode returns the log entry and the record in it, or ErrEntry if the bytes
// are not the canonical form of an audit entry.
func Decode(raw []byte) (ledger.Entry, Record, error) {
	e, err := ledger.DecodeEntry(raw)
	if err != nil || e.Kind != EntryEvent {
		return ledger.Entry{}, Record{}, ErrEntry
	}
	var rec Record
	if err := tx.Decode(e.Payload, &rec); err != nil || !rec.Action.Known() {
		return ledger.Entry{}, Record{}, ErrEntry
	}
	return *e, rec, nil
}
