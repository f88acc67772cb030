package exchange

import (
	"encoding/binary"

	"salus/ledger/module/reshare"
	"salus/ledger/tx"
	"salus/seal"
)

// PathSubdeal hands over what an old custodian has dealt to a new one: SubdealRequest, Sealed.
const PathSubdeal = "custody/subdeal"

// A SubdealRequest asks for a dealer's dealings to one new custodian. Who is no dealer asks the
// dealer on the recipient's behalf: the answer is sealed to the recipient, whoever asks.
type SubdealRequest struct {
	Name      reshare.Name `cbor:"1,keyasint"`
	Dealer    uint8        `cbor:"2,keyasint"` // index in the old committee
	Recipient uint8        `cbor:"3,keyasint"` // index in the new committee
	From      uint64       `cbor:"4,keyasint"` // number of the first batch, in the order of the header hashes
	Count     uint64       `cbor:"5,keyasint"` // at most so many
	Key       []byte       `cbor:"6,keyasint"` // the recipient's custody key, whose hash is on the ledger
	Cards     bool         `cbor:"7,keyasint"` // the recipient has nothing of these batches
}

// SubdealInfo is the info under which an answer to the request is sealed.
func SubdealInfo(chain string, q *SubdealRequest) [32]byte {
	var n [8 + 8 + 1 + 1 + 1 + 8]byte
	binary.BigEndian.PutUint64(n[0:], q.Name.To)
	binary.BigEndian.PutUint64(n[8:], q.Name.Start)
	n[16], n[17], n[18] = q.Name.Pass, q.Dealer, q.Recipient
	binary.BigEndian.PutUint64(n[19:], q.From)
	return seal.Sum("subdeal", []byte(chain), n[:])
}

// Subdealings is the plaintext of the answer: a run of batches from number From on, at least one.
type Subdealings struct {
	Items []Subdealing `cbor:"1,keyasint"`
}

// A Subdealing is one batch's. Without commitments the dealer does not hold the batch. Gone
// says that it was erased after the pass began: then there are no shares in it, and what is public is that of the dealing as it
// was. Partly says the same of some of its records: their shares, and the blinding share, are zeros.
type Subdealing struct {
	Gone        bool       `cbor:"1,keyasint,omitempty"`
	Commitments [][32]byte `cbor:"2,keyasint,omitempty"`
	Sums        []tx.Hash  `cbor:"3,keyasint,omitempty"` // of the vectors of all recipients
	Path        []tx.Hash  `cbor:"4,keyasint,omitempty"` // to the dealer's root
	Shares      []byte     `cbor:"5,keyasint,omitempty"` // the recipient's vector, 32 bytes each, blinding share first
	Card        *Card      `cbor:"6,keyasint,omitempty"`
	Partly      bool       `cbor:"7,keyasint,omitempty"`
}

// A Card is what a custodian that was not there when a batch was dealt needs besides shares.
type Card struct {
	Patient  tx.Account    `cbor:"1,keyasint"`
	Opening  [32]byte      `cbor:"2,keyasint"` // of the header's patient commitment
	Manifest []byte        `cbor:"3,keyasint"` // entries, share roots and pack, as a custodian keeps them
	Previous [][32]byte    `cbor:"4,keyasint"` // commitments of the batch in the old epoch
	Since    reshare.Place `cbor:"5,keyasint"` // of them under the root of the resharing before
}
