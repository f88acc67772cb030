package reshare

import (
	"salus/ledger/module/anchor"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// Kinds of this module.
const (
	KindDeal      tx.Kind = "reshare.deal"
	KindConfirm   tx.Kind = "reshare.confirm"
	KindComplain  tx.Kind = "reshare.complain"
	KindReport    tx.Kind = "reshare.report"
	KindDestroyed tx.Kind = "reshare.destroyed"
)

// A Name names a pass of a resharing.
type Name struct {
	To    uint64 `cbor:"1,keyasint" json:"to"`    // epoch it makes
	Start uint64 `cbor:"2,keyasint" json:"start"` // height at which the resharing started
	Pass  uint8  `cbor:"3,keyasint" json:"pass"`  // 1 or 2
}

// DealAll commits the signing custodian of the epoch before to all that it deals in a pass.
type DealAll struct {
	Name  Name    `cbor:"1,keyasint" json:"name"`
	Count uint64  `cbor:"2,keyasint" json:"count"` // batches, in the order of their header hashes
	Root  tx.Hash `cbor:"3,keyasint" json:"root"`  // over DealtLeaf
}

// ConfirmAll says that the signing custodian of the next epoch holds the shares of every
// batch of the pass, made of the first sound dealers that hold the batch, and none of what was begun before for
// this epoch and came to nothing.
type ConfirmAll struct {
	Name Name    `cbor:"1,keyasint" json:"name"`
	Left uint64  `cbor:"2,keyasint" json:"left"` // dealers it left out: those the ledger does
	Root tx.Hash `cbor:"3,keyasint" json:"root"` // over NextLeaf
}

// Complain opens the dealing of one batch by one dealer to the signing new custodian. The
// shares in it become public: they are of no use, for a dealer that is at fault is left out.
type Complain struct {
	Name        Name        `cbor:"1,keyasint" json:"name"`
	Dealer      uint8       `cbor:"2,keyasint" json:"dealer"`      // index in the epoch before
	Header      seal.Header `cbor:"3,keyasint" json:"header"`      // of the batch
	Previous    [][]byte    `cbor:"4,keyasint" json:"previous"`    // its commitments in the epoch before, 32 bytes each
	Since       Place       `cbor:"5,keyasint" json:"since"`       // of Previous under the root of the resharing before; empty if there was none for the batch
	Commitments [][]byte    `cbor:"6,keyasint" json:"commitments"` // of the dealing, 32 bytes each
	Sums        []tx.Hash   `cbor:"7,keyasint" json:"sums"`        // ShareSum for each new custodian
	At          Place       `cbor:"8,keyasint" json:"at"`          // of the dealing under the dealer's root
	Shares      []byte      `cbor:"9,keyasint" json:"shares"`      // 32 bytes each, blinding share first
}

// A Place is a leaf's number in a tree and its path.
type Place struct {
	Number uint64    `cbor:"1,keyasint" json:"number"`
	Path   []tx.Hash `cbor:"2,keyasint" json:"path"`
}

// ReportDealer says that a dealer has not handed over to the signing new custodian, directly or by
// way of another, what it committed to.
type ReportDealer struct {
	Name   Name  `cbor:"1,keyasint" json:"name"`
	Dealer uint8 `cbor:"2,keyasint" json:"dealer"` // index in the epoch before
}

// Destroy says that the signing member holds no share of an epoch any more, nor of those before, nor of
// what was begun for the one after it and came to nothing, in no form.
type Destroy struct {
	Epoch uint64 `cbor:"1,keyasint" json:"epoch"`
}

// Limits of a complaint.
const maxPath = 64

func (n *Name) validate() error {
	if n.To < 2 || n.Pass < 1 || n.Pass > 2 {
		return ErrPass
	}
	return nil
}

// Validate implements tx.Message.
func (m *DealAll) Validate() error {
	switch {
	case m.Count == 0:
		return ErrNoPlainDeal
	case m.Root == (tx.Hash{}):
		return ErrRoot
	}
	return m.Name.validate()
}

// Validate implements tx.Message.
func (m *ConfirmAll) Validate() error {
	if m.Root == (tx.Hash{}) {
		return ErrRoot
	}
	return m.Name.validate()
}

// Validate implements tx.Message.
func (m *Complain) Validate() error {
	switch {
	case m.Dealer < 1 || m.Dealer > threshold.MaxCustodians:
		return ErrDealer
	case len(m.Previous) < 1 || len(m.Previous) > threshold.MaxCustodians,
		len(m.Commitments) < 1 || len(m.Commitments) > threshold.MaxCustodians,
		len(m.Sums) < 1 || len(m.Sums) > threshold.MaxCustodians,
		len(m.Since.Path) > maxPath, len(m.At.Path) > maxPath,
		len(m.Shares)%32 != 0 || len(m.Shares) < 32 || len(m.Shares) > 32*(anchor.MaxRecords+2):
		return ErrShape
	}
	for _, list := range [][][]byte{m.Previous, m.Commitments} {
		for _, c := range list {
			if len(c) != 32 {
				return ErrShape
			}
		}
	}
	if m.Header.Validate() != nil {
		return ErrBatch
	}
	return m.Name.validate()
}

// Validate implements tx.Message.
func (m *ReportDealer) Validate() error {
	if m.Dealer < 1 || m.Dealer > threshold.MaxCustodians {
		return ErrDealer
	}
	return m.Name.validate()
}

// Validate implements tx.Message.
func (m *Destroy) Validate() error {
	if m.Epoch == 0 {
		return ErrUnknown
	}
	return nil
}

// Arrays turns what a message carries into what package threshold takes.
func Arrays(list [][]byte) [][32]byte {
	out := make([][32]byte, len(list))
	for i := range list {
		copy(out[i][:], list[i])
	}
	return out
}

// Slices is the inverse of Arrays.
func Slices(list [][32]byte) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i][:]
	}
	return out
}

// Vector splits concatenated shares.
func Vector(b []byte) []threshold.Share {
	out := make([]threshold.Share, len(b)/32)
	for i := range out {
		copy(out[i][:], b[32*i:])
	}
	return out
}
