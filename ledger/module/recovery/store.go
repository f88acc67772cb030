package recovery

import (
	"encoding/binary"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x0e:
//
//	0e 01 patient[16]              -> Guardians
//	0e 02 case[32]                 -> Case
//	0e 03 patient[16]              -> Standing: the last number, and what is running
//	0e 04 patient[16] opener[16]   -> openings: when this person opened cases about this patient
//	0e 05 until[8] case[32]        -> running: the next one to lapse first
var (
	guardians = state.NewTable[Guardians]("recovery guardians", Prefix, 0x01)
	cases     = state.NewTable[Case]("recovery cases", Prefix, 0x02)
	patients  = state.NewTable[Standing]("recovery patients", Prefix, 0x03)
	opened    = state.NewTable[openings]("recovery openings", Prefix, 0x04)
	queue     = state.NewTable[running]("recovery queue", Prefix, 0x05)
)

// A Standing is where a patient's cases stand.
type Standing struct {
	Number  uint64  `cbor:"1,keyasint" json:"number"`  // of the last case; 0 for none
	Running []Slot  `cbor:"2,keyasint" json:"running"` // at most one of each kind, by kind
	Last    tx.Hash `cbor:"3,keyasint" json:"last"`    // the last case
}

// A Slot is a running case.
type Slot struct {
	Kind Kind    `cbor:"1,keyasint" json:"kind"`
	Case tx.Hash `cbor:"2,keyasint" json:"case"`
}

type openings struct {
	Recent []uint64 `cbor:"1,keyasint"` // times within the window, ascending; at most the quota
}

type running struct{}

func lapseAt(time uint64, id tx.Hash) []byte {
	return append(binary.BigEndian.AppendUint64(nil, time), id[:]...)
}

func pair(patient, opener tx.Account) []byte { return append(patient[:], opener[:]...) }

// Lookup returns the case of that id.
func Lookup(r state.Reader, id tx.Hash) (Case, bool) { return cases.Get(r, id[:]) }

// GuardiansOf returns a patient's guardians; zero if she named none.
func GuardiansOf(r state.Reader, patient tx.Account) Guardians {
	g, _ := guardians.Get(r, patient[:])
	return g
}

// StandingOf returns where a patient's cases stand.
func StandingOf(r state.Reader, patient tx.Account) Standing {
	s, _ := patients.Get(r, patient[:])
	return s
}

// Of returns the running case of that kind.
func (s Standing) Of(k Kind) (tx.Hash, bool) {
	for _, slot := range s.Running {
		if slot.Kind == k {
			return slot.Case, true
		}
	}
	return tx.Hash{}, false
}

func tables() []state.TableInfo {
	return []state.TableInfo{guardians.Info(), cases.Info(), patients.Info(), opened.Info(), queue.Info()}
}
