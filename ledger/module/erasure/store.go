package erasure

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x0a:
//
//	0a 01 case[32]                 -> Case
//	0a 02 scope[1] target[32]      -> Mark: a tombstone; the target is a leaf, a header hash, or a pseudonym and zeros
//	0a 03 batch[32]                -> partial: how many of its records are erased one by one
//	0a 04 patient[16] target[32]   -> pointer: the case of this target that is received
//	0a 05 case[32]                 -> (empty) cases that are not closed
//	0a 06 target[32] matter[32]    -> LegalHold
//	0a 07 patient[16]              -> tally of open cases
var (
	cases   = state.NewTable[Case]("erasure cases", Prefix, 0x01)
	marks   = state.NewTable[Mark]("tombstones", Prefix, 0x02)
	partly  = state.NewTable[partial]("partly erased batches", Prefix, 0x03)
	pending = state.NewTable[pointer]("pending erasures", Prefix, 0x04)
	open    = state.NewTable[openMark]("open erasures", Prefix, 0x05)
	holds   = state.NewTable[LegalHold]("legal holds", Prefix, 0x06)
	tallies = state.NewTable[tally]("open erasures of patients", Prefix, 0x07)
)

type partial struct {
	Records uint32 `cbor:"1,keyasint"`
}

type pointer struct {
	Case tx.Hash `cbor:"1,keyasint"`
}

type openMark struct{}

type tally struct {
	Open uint32 `cbor:"1,keyasint"`
}

// CaseKey is the state key of a case, for proofs.
func CaseKey(id tx.Hash) []byte { return cases.Key(id[:]) }

// Lookup returns the case of that id.
func Lookup(r state.Reader, id tx.Hash) (Case, bool) { return cases.Get(r, id[:]) }

// OpenCases returns the cases that are not closed, in the order of their ids.
func OpenCases(r state.Reader) (out []Case) {
	open.Scan(r, nil, func(key []byte, _ openMark) bool {
		if c, ok := Lookup(r, tx.Hash(key)); ok {
			out = append(out, c)
		}
		return true
	})
	return out
}

// Tombstones calls f with the case of every tombstone, in no order that means
// anything, until f says no.
func Tombstones(r state.Reader, f func(Case) (more bool)) {
	marks.Scan(r, nil, func(_ []byte, m Mark) bool {
		c, ok := Lookup(r, m.Case)
		return !ok || f(c)
	})
}

// Holds returns the legal holds that stand.
func Holds(r state.Reader) (out []LegalHold) {
	holds.Scan(r, nil, func(_ []byte, h LegalHold) bool {
		out = append(out, h)
		return true
	})
	return out
}

// target is what names a case's tombstone.
func (c *Case) target() tx.Hash {
	switch c.Scope {
	case Record:
		return c.Leaf
	case Batch:
		return c.Batch
	default:
		return padded(c.Patient)
	}
}

func padded(a tx.Account) (h tx.Hash) {
	copy(h[:], a[:])
	return h
}

func markKey(s Scope, target tx.Hash) []byte { return append([]byte{byte(s)}, target[:]...) }

func pendingKey(patient tx.Account, target tx.Hash) []byte { return append(patient[:], target[:]...) }

func holdKey(target, matter tx.Hash) []byte { return append(target[:], matter[:]...) }

func tables() []state.TableInfo {
	return []state.TableInfo{cases.Info(), marks.Info(), partly.Info(), pending.Info(), open.Info(), holds.Info(), tallies.Info()}
}
