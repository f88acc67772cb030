package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"salus/client"
)

// retryAfter is when it is worth asking again for what could not be done, in seconds: two heartbeats.
const retryAfter = 10

// lostText is what everybody is told while the ledger stands still.
const lostText = "too few members can be reached since %s: the ledger stands still and nothing of other organisations can be opened; what this organisation has can be read and written as always"

// standing says that the ledger stands still, and since when; ok is false while it goes on. A gateway
// without a Quorum takes it for going on.
func (g *Gateway) standing() (since time.Time, ok bool) {
	if g.Quorum == nil {
		return since, false
	}
	return g.Quorum.Since()
}

// while is a context that also ends when the ledger stands still.
func (g *Gateway) while(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.Quorum == nil {
		return context.WithCancel(ctx)
	}
	return g.Quorum.While(ctx)
}

// noQuorum refuses what needs the ledger: nothing of it was kept.
func (g *Gateway) noQuorum() *Problem {
	text := client.ErrNoQuorum.Text
	if since, ok := g.standing(); ok {
		text = "gateway: nothing was sent: " + g.lost(since)
	}
	return &Problem{fmt.Sprintf("%#04x", client.ErrNoQuorum.Code), text, http.StatusServiceUnavailable}
}

// unsettled is said of what was sent before the ledger stood still.
func (g *Gateway) unsettled() *Problem {
	return &Problem{client.CodeUnsettled, "gateway: the ledger stands still, because too few members can be reached; what was sent before may be committed when they are back: look before you send it again", http.StatusServiceUnavailable}
}

func (g *Gateway) lost(since time.Time) string {
	return fmt.Sprintf(lostText, since.UTC().Format(time.RFC3339))
}

// later tells a client when to ask again.
func later(w http.ResponseWriter, p *Problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
}
