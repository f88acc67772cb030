package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"salus/ledger/tx"
)

// memoSize is how many good signatures are remembered. A transaction is
// verified when it is checked, proposed, processed and delivered; the memory
// must span what waits in the mempool.
const memoSize = 1 << 16

// A memo remembers signatures that verified, so that each is computed once per
// node. It holds hashes over everything the verdict depends on and forgets the
// oldest. Bad signatures are not kept: they could push out good ones.
type memo struct {
	mu   sync.Mutex
	good map[[32]byte]struct{}
	ring [][32]byte // insertion order; next is the oldest once full
	next int
}

func newMemo(size int) *memo {
	return &memo{good: make(map[[32]byte]struct{}, size), ring: make([][32]byte, 0, size)}
}

// verify implements VerifyFunc.
func (m *memo) verify(key tx.PublicKey, digest tx.Hash, s *tx.Signature, pol tx.PasskeyPolicy) error {
	id := verdictOf(key, digest, s, pol)
	m.mu.Lock()
	_, ok := m.good[id]
	m.mu.Unlock()
	if ok {
		return nil
	}
	if err := key.Verify(digest, s, pol); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.good[id]; ok {
		return nil
	}
	if len(m.ring) < cap(m.ring) {
		m.ring = append(m.ring, id)
	} else {
		delete(m.good, m.ring[m.next])
		m.ring[m.next] = id
		m.next = (m.next + 1) % len(m.ring)
	}
	m.good[id] = struct{}{}
	return nil
}

// verdictOf hashes, length by length, all that Verify looks at.
func verdictOf(key tx.PublicKey, digest tx.Hash, s *tx.Signature, pol tx.PasskeyPolicy) [32]byte {
	buf := make([]byte, 0, 512)
	put := func(b []byte) {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(b)))
		buf = append(buf, b...)
	}
	uv := byte(0)
	if pol.RequireUV {
		uv = 1
	}
	put([]byte{byte(key.Alg), byte(s.Alg), uv})
	put(key.Key)
	put(key.RPIDHash)
	put(digest[:])
	put(s.Account[:])
	put(s.Key[:])
	put(s.Sig)
	put(s.AuthData)
	put(s.ClientData)
	for _, o := range pol.Origins {
		put([]byte(o))
	}
	return sha256.Sum256(buf)
}
