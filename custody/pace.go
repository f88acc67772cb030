package custody

import (
	"sync"
	"time"

	"salus/ledger/tx"
)

// A session may ask this many times at once, and so many times a second from then on: each
// answer costs an fsync and a line in the log of receipts.
const (
	paceBurst  = 256
	pacePerSec = 16
	paceKept   = 1 << 14 // sessions remembered
)

// pace bounds how often one session is answered; nil sets no bound.
type pace struct {
	mu       sync.Mutex // guards sessions
	sessions map[tx.Hash]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// fill is what the bucket holds at now.
func (b bucket) fill(now time.Time) float64 {
	return min(paceBurst, b.left+max(0, now.Sub(b.at).Seconds())*pacePerSec)
}

func newPace() *pace { return &pace{sessions: map[tx.Hash]bucket{}} }

// allow takes one from the session's bucket. Only sessions that exist come here.
func (p *pace) allow(session tx.Hash, now time.Time) bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.sessions[session]
	if !ok {
		if len(p.sessions) >= paceKept {
			p.prune(now)
		}
		b = bucket{paceBurst, now}
	}
	b = bucket{b.fill(now), now}
	allowed := b.left >= 1
	if allowed {
		b.left--
	}
	p.sessions[session] = b
	return allowed
}

// prune forgets the sessions whose buckets are full again.
func (p *pace) prune(now time.Time) {
	for id, b := range p.sessions {
		if b.fill(now) >= paceBurst {
			delete(p.sessions, id)
		}
	}
}
