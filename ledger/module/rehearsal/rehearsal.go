//go:build rehearsal

package rehearsal

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x0f

// Since is the version that the module comes with.
const Since = 2

// KindMark is the kind of Mark.
const KindMark tx.Kind = "rehearsal.mark"

// Mark counts one up for the signing account.
type Mark struct {
	Note uint64 `cbor:"1,keyasint" json:"note"` // anything but 0
}

// Validate implements tx.Message.
func (m *Mark) Validate() error {
	if m.Note == 0 {
		return errNote
	}
	return nil
}

var (
	errNote  = tx.Refuse(0x0f01, "rehearsal: a mark has a note")
	errQuery = tx.Refuse(0x0f02, "rehearsal: nobody has marked yet")
)

// A Tally is what the module keeps.
type Tally struct {
	From  uint64 `cbor:"1,keyasint" json:"from"`  // version before
	Begun uint64 `cbor:"2,keyasint" json:"begun"` // height of the first block of version 2
	Marks uint64 `cbor:"3,keyasint" json:"marks"`
}

var tallies = state.NewTable[Tally]("tally", Prefix, 0x01)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "rehearsal",
		Prefix: Prefix,
		Since:  Since,
		Calls:  []ledger.Call{ledger.On(KindMark, mark)},
		Queries: []ledger.Query{{Path: "rehearsal/tally", Reply: Tally{}, Answer: func(r state.Reader, _ ledger.Head, _ []byte) ([]byte, error) {
			t, ok := tallies.Get(r, nil)
			if !ok {
				return nil, errQuery
			}
			return tx.Encode(t)
		}}},
		Upgrade: func(c *ledger.Context, from uint64) error {
			if from < Since {
				tallies.Put(c.State, nil, Tally{From: from, Begun: uint64(c.Height)})
			}
			return nil
		},
		Codes: []tx.CodeInfo{
			{Code: errNote.Code, Name: "rehearsal-note", Text: errNote.Text},
			{Code: errQuery.Code, Name: "rehearsal-query", Text: errQuery.Text},
		},
		Tables: []state.TableInfo{tallies.Info()},
	}
}

func mark(c *ledger.Context, _ *Mark) error {
	t, _ := tallies.Get(c.State, nil)
	t.Marks++
	tallies.Put(c.State, nil, t)
	return nil
}
