package portal

import (
	"net/http"
	"time"
)

// Standing is the answer of GET /api/node: whether the ledger goes on, as far as this node sees.
type Standing struct {
	// NoQuorum is since when the ledger stands still, in unix seconds: the time of its last block; 0 while
	// it goes on. Then nothing of other organisations can be opened and no decision is taken.
	NoQuorum uint64 `json:"noQuorum"`
	// Seconds is for how long that has been so, by this node's clock; 0 while it goes on.
	Seconds uint64 `json:"seconds"`
}

func (p *Portal) standing(w http.ResponseWriter, _ *http.Request, _ *session) error {
	var s Standing
	if p.Quorum != nil {
		if since, lost := p.Quorum.Since(); lost {
			s.NoQuorum = uint64(since.Unix())
			s.Seconds = uint64(max(0, p.Now().Sub(since)/time.Second))
		}
	}
	return answer(w, s)
}
