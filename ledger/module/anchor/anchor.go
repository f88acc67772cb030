// Package anchor keeps the commitments of the records: one row per batch of
// encrypted records, which custodians hold its shares and ciphertext, and from
// when on it counts as ACTIVE.
//
// A batch is anchored by its author's signed header. Each custodian of the
// current epoch that has verified its shares says so with a receipt, and says
// whether it also holds the ciphertext pack. The batch is ACTIVE once t
// custodians hold shares and f+1 members hold the pack; only then do custodians
// release anything of it. A custodian that was sent bad shares complains.
//
// Contract: a header is anchored once, under the epoch, n and t of the committee
// in force; bits are only ever added to a row, and ACTIVE never ends. The log
// keeps the header, each receipt and the activation.
//
// The module must never learn whose records a batch holds, or how they are
// labelled: the header binds the patient and the slots by salted commitments.
package anchor

import (
	"math/bits"

	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x05

// Limits.
const (
	MaxRecords    = 1024 // records of one batch
	MaxReceipts   = 512  // receipts of one transaction
	MaxCustodians = 64   // of an epoch: the width of a batch's bitmaps
)

// A Batch is what the ledger knows of a batch. Bit i-1 of a bitmap is custodian
// i of the batch's epoch.
type Batch struct {
	Author     tx.Account `cbor:"1,keyasint" json:"author"`
	Epoch      uint64     `cbor:"2,keyasint" json:"epoch"`
	Count      uint16     `cbor:"3,keyasint" json:"count"` // records
	Pack       tx.Hash    `cbor:"4,keyasint" json:"pack"`  // vault.PackID of the ciphertexts
	Height     uint64     `cbor:"5,keyasint" json:"height"`
	Time       uint64     `cbor:"6,keyasint" json:"time"`        // unix seconds
	Index      uint64     `cbor:"7,keyasint" json:"index"`       // log index of the header's entry
	Receipts   uint64     `cbor:"8,keyasint" json:"receipts"`    // custodians that hold verified shares
	Holds      uint64     `cbor:"9,keyasint" json:"holds"`       // custodians that hold the pack
	Complaints uint64     `cbor:"10,keyasint" json:"complaints"` // custodians that were sent bad shares and have none yet
	Active     uint64     `cbor:"11,keyasint" json:"active"`     // height; 0 = not active
}

// Received is how many custodians hold verified shares.
func (b *Batch) Received() int { return bits.OnesCount64(b.Receipts) }

// Held is how many custodians hold the ciphertext pack.
func (b *Batch) Held() int { return bits.OnesCount64(b.Holds) }

// Log entries of this module.
const (
	// EntryHeader has the Put message as payload.
	EntryHeader ledger.EntryKind = Prefix<<8 | 1
	// EntryReceipts has a Receipted as payload.
	EntryReceipts ledger.EntryKind = Prefix<<8 | 2
	// EntryActive has an Activated as payload.
	EntryActive ledger.EntryKind = Prefix<<8 | 3
	// EntryComplaint has a Complained as payload.
	EntryComplaint ledger.EntryKind = Prefix<<8 | 4
)

// Receipted is the payload of an EntryReceipts.
type Receipted struct {
	Custodian uint8    `cbor:"1,keyasint" json:"custodian"` // 1-based index in the epoch
	Epoch     uint64   `cbor:"2,keyasint" json:"epoch"`
	Message   Receipts `cbor:"3,keyasint" json:"message"`
}

// Activated is the payload of an EntryActive.
type Activated struct {
	Header   tx.Hash `cbor:"1,keyasint" json:"header"`
	Receipts uint64  `cbor:"2,keyasint" json:"receipts"`
	Holds    uint64  `cbor:"3,keyasint" json:"holds"`
}

// Complained is the payload of an EntryComplaint.
type Complained struct {
	Custodian uint8    `cbor:"1,keyasint" json:"custodian"` // 1-based index in the epoch
	Epoch     uint64   `cbor:"2,keyasint" json:"epoch"`
	Message   Complain `cbor:"3,keyasint" json:"message"`
}

// Lookup returns the batch of that header hash.
func Lookup(r state.Reader, header tx.Hash) (Batch, bool) {
	return batches.Shared(r, header[:])
}

// IsActive reports whether the batch is anchored and ACTIVE.
func IsActive(r state.Reader, header tx.Hash) bool {
	b, ok := Lookup(r, header)
	return ok && b.Active != 0
}

// Holders returns the members that said they hold the batch's pack, in
// custodian order; nobody for an unknown batch.
func Holders(r state.Reader, header tx.Hash) []tx.Account {
	b, ok := Lookup(r, header)
	if !ok {
		return nil
	}
	return seats(r, b.Epoch, b.Holds)
}

// Custodians returns the members that said they hold verified shares of the
// batch, in custodian order; nobody for an unknown batch.
func Custodians(r state.Reader, header tx.Hash) []tx.Account {
	b, ok := Lookup(r, header)
	if !ok {
		return nil
	}
	return seats(r, b.Epoch, b.Receipts)
}

func seats(r state.Reader, epoch, bitmap uint64) []tx.Account {
	e, err := committee.At(r, epoch)
	if err != nil {
		panic("anchor: corrupt state: batch of an epoch that never was")
	}
	var members []tx.Account
	for i, m := range e.Members {
		if bitmap&(1<<i) != 0 {
			members = append(members, m)
		}
	}
	return members
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryHeader, Name: "anchor.header", Payload: Put{}},
		{Kind: EntryReceipts, Name: "anchor.receipts", Payload: Receipted{}},
		{Kind: EntryActive, Name: "anchor.active", Payload: Activated{}},
		{Kind: EntryComplaint, Name: "anchor.complaint", Payload: Complained{}},
	}
}
