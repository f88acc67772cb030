package balp

import (
	"crypto/ed25519"
	"encoding/binary"
	"time"

	"salus/ledger/tx"
)

// A Checkpoint is a head of a journal that its member signed. Whoever keeps one can show later that
// events were taken off the journal's end, or that it was written anew.
type Checkpoint struct {
	Member    tx.Account `json:"member"`
	Head      Head       `json:"head"`
	Time      uint64     `json:"time"` // unix seconds
	Signature []byte     `json:"signature"`
}

func (c *Checkpoint) signed() []byte {
	b := append([]byte("salus/balp/checkpoint/v1\x00"), c.Member[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Head.Seq)
	b = append(b, c.Head.Hash[:]...)
	return binary.BigEndian.AppendUint64(b, c.Time)
}

// Checkpoint signs where the journal stands.
func (j *Journal) Checkpoint(member tx.Account, key ed25519.PrivateKey, now time.Time) Checkpoint {
	c := Checkpoint{Member: member, Head: j.Head(), Time: uint64(now.Unix())}
	c.Signature = ed25519.Sign(key, c.signed())
	return c
}

// Verify says whether the member's key signed the checkpoint.
func (c *Checkpoint) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, c.signed(), c.Signature)
}
