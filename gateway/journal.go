package gateway

import (
	"net/http"

	"salus/gateway/balp"
	"salus/ledger/tx"
)

// JournalReport is GET /v1/journal: this gateway's own journal, read from disk and compared with every
// head of it that the ledger has.
type JournalReport struct {
	Member  tx.Account   `json:"member"`
	Events  int          `json:"events"`
	First   uint64       `json:"first"` // number of the oldest event that is kept
	Last    uint64       `json:"last"`
	Head    tx.Hash      `json:"head"`
	Heads   uint64       `json:"heads"`             // anchored so far
	Through uint64       `json:"through"`           // the last number that is anchored
	Time    uint64       `json:"time,omitempty"`    // of its block, unix seconds
	Waiting uint64       `json:"waiting,omitempty"` // events that are not anchored yet
	Faults  []balp.Fault `json:"faults"`
	// Unmatched are lists of records that were asked for in this organisation's name, of which only the ledger tells, or only the journal.
	Unmatched []balp.Unmatched `json:"unmatched"`
}

func (g *Gateway) journal(w http.ResponseWriter, r *http.Request) error {
	rep, err := g.Journal(r.Context())
	if err != nil {
		return err
	}
	return answer(w, rep)
}
