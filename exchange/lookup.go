package exchange

import "salus/ledger/tx"

// Paths of the members' link that serve lookups of patients (spec/lookup.md).
const (
	PathShares   = "lookup/shares"   // recipient to dealer: SharesRequest, Sealed
	PathEvaluate = "lookup/evaluate" // EvaluateRequest, EvaluateReply
	PathPoint    = "lookup/point"    // steward to custodian: PointRequest
	PathPointers = "lookup/pointers" // PointersRequest, PointersReply
	PathRows     = "lookup/rows"     // custodian to custodian: RowsRequest, RowsReply
)

// A SharesRequest asks a dealer for the caller's shares of a ceremony. ReaderKey is a fresh
// HPKE key of the caller, who is known by the link.
type SharesRequest struct {
	Ceremony  uint64 `cbor:"1,keyasint"`
	ReaderKey []byte `cbor:"2,keyasint"`
}

// Shares is the plaintext of a SharesRequest's answer: scalars, 32 bytes little endian.
type Shares struct {
	Eval [32]byte `cbor:"1,keyasint"`
	Open [32]byte `cbor:"2,keyasint"`
}

// An EvaluateRequest asks for a custodian's part in the evaluation that an entry allows.
type EvaluateRequest struct {
	Entry   tx.Hash  `cbor:"1,keyasint"`
	Element [32]byte `cbor:"2,keyasint"` // blinded; the entry commits to it
	Height  uint64   `cbor:"3,keyasint"` // block of the entry; waited for as in LocateRequest
}

// An EvaluateReply is that part. It is of use only to who knows the blind.
type EvaluateReply struct {
	Index   uint8    `cbor:"1,keyasint"` // of the custodian, from 1
	Key     uint64   `cbor:"2,keyasint"` // number of the key
	Element [32]byte `cbor:"3,keyasint"`
	Proof   []byte   `cbor:"4,keyasint"` // 64 bytes
}

// PointerBox is the size of a sealed pointer: nonce, pointer, tag.
const PointerBox = 12 + 160 + 16

// A PointRequest gives a custodian the row of one enrolment.
type PointRequest struct {
	Entry   tx.Hash  `cbor:"1,keyasint"` // of the enrolment, whose member calls
	Address [32]byte `cbor:"2,keyasint"`
	Box     []byte   `cbor:"3,keyasint"` // PointerBox bytes, sealed under the row key
	Height  uint64   `cbor:"4,keyasint"`
}

// A PointersRequest asks for the rows at an address, one address for each entry.
type PointersRequest struct {
	Entry   tx.Hash  `cbor:"1,keyasint"`
	Address [32]byte `cbor:"2,keyasint"`
	Height  uint64   `cbor:"3,keyasint"`
}

// PointersReply holds the rows there, none if there are none.
type PointersReply struct {
	Rows []PointerRow `cbor:"1,keyasint"`
}

// A PointerRow is one enrolment's sealed pointer.
type PointerRow struct {
	Entry tx.Hash `cbor:"1,keyasint"`
	Box   []byte  `cbor:"2,keyasint"`
}

// A RowsRequest asks another custodian for the rows of enrolments that it holds, those behind an entry.
type RowsRequest struct {
	After tx.Hash `cbor:"1,keyasint"`
}

// RowsReply holds the next rows, ascending by their entries. Fewer than a full page are the last ones.
type RowsReply struct {
	Rows []Row `cbor:"1,keyasint"`
}

// A Row is where an enrolment's sealed pointer is, and the pointer.
type Row struct {
	Entry   tx.Hash  `cbor:"1,keyasint"`
	Address [32]byte `cbor:"2,keyasint"`
	Box     []byte   `cbor:"3,keyasint"`
}
