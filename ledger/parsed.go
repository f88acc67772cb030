package ledger

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"

	"salus/ledger/tx"
)

// parsedBytes bounds the transactions whose decoded form is kept, in bytes as
// they travel: more than what waits in a full mempool of common ones.
const parsedBytes = 16 << 20

// A parsed transaction is what its bytes alone say. It is shared by all who run
// the same bytes: nobody may write to it.
type parsed struct {
	env  *tx.Envelope
	body *tx.Body
	id   tx.Hash

	call    *Call      // nil if no module knows the kind
	message tx.Message // nil if the payload is refused
	refusal error      // why it is; a *tx.Refusal

	// doubtful is set when the handler refused it in a proposal of this node's.
	// It waits on, because it may be good after the next block; checking it
	// again after that block runs its handler.
	doubtful atomic.Bool
}

// A shelf keeps parsed transactions by the hash of their bytes, because each is
// checked, checked again after every block it waits for, proposed, processed and
// delivered. It forgets the oldest when it is full. What does not decode is not
// kept.
type shelf struct {
	mu    sync.Mutex
	byRaw map[[32]byte]*parsed
	queue []place // oldest first from head on; a place may be of one that was dropped
	head  int
	bytes int // of everything in queue from head on
}

type place struct {
	raw   [32]byte
	bytes int
}

func newShelf() *shelf { return &shelf{byRaw: map[[32]byte]*parsed{}} }

// parse decodes a transaction, or finds it decoded. The error is a *tx.Refusal.
func (a *App) parse(raw []byte) (*parsed, error) {
	key := sha256.Sum256(raw)
	if p := a.shelf.get(key); p != nil {
		return p, nil
	}
	env, body, err := tx.DecodeEnvelope(raw)
	if err != nil {
		return nil, err
	}
	p := &parsed{env: env, body: body, id: tx.Digest(env.Body, body.Chain)}
	if call, known := a.calls[body.Kind]; known {
		p.call = call
		p.message, p.refusal = call.Decode(body.Payload)
	}
	a.shelf.put(key, p, len(raw))
	return p, nil
}

func (s *shelf) get(key [32]byte) *parsed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byRaw[key]
}

func (s *shelf) put(key [32]byte, p *parsed, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.byRaw[key]; known {
		return
	}
	s.byRaw[key] = p
	s.queue = append(s.queue, place{key, bytes})
	s.bytes += bytes
	for s.bytes > parsedBytes {
		oldest := s.queue[s.head]
		delete(s.byRaw, oldest.raw)
		s.bytes -= oldest.bytes
		s.head++
	}
	if s.head > len(s.queue)/2 {
		s.queue = append(s.queue[:0], s.queue[s.head:]...)
		s.head = 0
	}
}

// drop forgets transactions that are committed: nobody runs them again.
func (s *shelf) drop(txs [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, raw := range txs {
		delete(s.byRaw, sha256.Sum256(raw))
	}
}

// CheckShared reports a handler that wrote to something shared, a message or a
// row, for tests of handlers.
func (a *App) CheckShared() error {
	a.check.RLock()
	defer a.check.RUnlock()
	a.shelf.mu.Lock()
	defer a.shelf.mu.Unlock()
	for _, at := range a.shelf.queue[a.shelf.head:] {
		p := a.shelf.byRaw[at.raw]
		if p == nil || p.message == nil {
			continue
		}
		if b, err := tx.Encode(p.message); err != nil || !bytes.Equal(b, p.body.Payload) {
			return fmt.Errorf("ledger: the handler of %s wrote to its message", p.body.Kind)
		}
	}
	return a.base.view.CheckShared()
}
