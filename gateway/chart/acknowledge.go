package chart

import (
	"context"
	"net/http"
	"time"

	"salus/record"
	"salus/store"
)

const (
	// HeaderWait says, in a request that writes, how safe its versions are to be before the answer
	// comes: "stored", durable at this organisation, or "active", which survives the loss of any f
	// members.
	HeaderWait = "Salus-Wait"
	// HeaderStatus says, in the answer, how safe they are: "stored" or "active".
	HeaderStatus = "Salus-Status"
)

// activeTime bounds how long an answer waits for versions to become active. They do in any case:
// the answer then says that they are stored.
const activeTime = 30 * time.Second

// Written implements rest.Config.Written: it waits as long as the sender of a write prefers, or
// this organisation does for those who do not say.
func (s *Service) Written(ctx context.Context, prefers http.Header, versions []store.Version) http.Header {
	wait := prefers.Get(HeaderWait)
	if wait == "" && s.WaitActive {
		wait = record.Active.String()
	}
	status := record.Stored
	if wait == record.Active.String() {
		ctx, cancel := context.WithTimeout(ctx, activeTime)
		defer cancel()
		ctx, end := s.while(ctx) // nothing becomes active while the ledger stands still: stored is the answer
		defer end()
		seqs := make([]int64, len(versions))
		for i := range versions {
			seqs[i] = versions[i].Seq
		}
		if s.Await(ctx, seqs...) == nil {
			status = record.Active
		}
	}
	return http.Header{HeaderStatus: {status.String()}}
}
