package record

import (
	"context"

	"salus/exchange"
	"salus/ledger/tx"
)

// An Arrival is what became of one list of records that a session committed to: the ledger says that it was
// asked for, and who asked says here that it came, or why not.
type Arrival struct {
	Session tx.Hash
	Patient tx.Account
	List    tx.Hash // the committed root
	Count   uint32  // records of the list
	Came    int     // that were opened
	Err     error   // why not all did
}

// arrived tells what ReadFetch's answer says of a list, before anything of it is handed on; an error keeps it back.
func (s *Session) arrived(ctx context.Context, list *exchange.List, res *Result, err error) error {
	if s.reading.Arrived == nil {
		return nil
	}
	a := Arrival{Session: s.ID, Patient: s.Patient, List: list.Root(), Count: uint32(len(list.Items)), Err: err}
	if res != nil {
		for i := range res.Records {
			if res.Records[i].Body != nil {
				a.Came++
			}
		}
	}
	return s.reading.Arrived(context.WithoutCancel(ctx), a)
}
