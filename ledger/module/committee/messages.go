package committee

import "salus/ledger/tx"

// Kinds of this module.
const KindKey tx.Kind = "committee.key"

// Publish announces the signing custodian's next custody key.
type Publish struct {
	KeyEpoch uint64  `cbor:"1,keyasint" json:"keyEpoch"` // one more than its last
	Hash     tx.Hash `cbor:"2,keyasint" json:"hash"`     // SHA-256 of the public key, 1,216 bytes
	From     uint64  `cbor:"3,keyasint" json:"from"`     // unix seconds
	Until    uint64  `cbor:"4,keyasint" json:"until"`    // unix seconds, exclusive
}

// Validate implements tx.Message.
func (m *Publish) Validate() error {
	switch {
	case m.KeyEpoch == 0:
		return ErrKeyEpoch
	case m.Hash == (tx.Hash{}):
		return ErrHash
	case m.From >= m.Until:
		return ErrPeriod
	}
	return nil
}
