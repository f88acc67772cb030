// Package receipt is the proof that a stranger checks offline: that an entry is
// in the ledger's log, that a row has a value or is absent, or that a pseudonym's
// access log is complete, each under a block that more than two thirds of the
// validators signed.
//
//	receipt  the format                                  receipt.go
//	verify   what each claim has to show                 verify.go
//	trust    from the genesis validators to the block    trust.go, block.go
//
// Contract: Verify needs nothing but the network's genesis file; it reads no
// clock, network or disk, and every altered byte of a receipt makes it fail. A
// receipt holds what the ledger holds: no patient data. It must never trust
// anything in the receipt that it has not recomputed. spec/receipt.md.
package receipt

import (
	"fmt"

	"salus/ledger/module/audit"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Version is the format's version.
const Version = 1

// Receipt claims one thing and proves it. Exactly one of Entry, Row and Audit is set.
// Its canonical CBOR (DecodeReceipt, Encode) is its only form on disk; spec/receipt.md.
type Receipt struct {
	Version uint8       `cbor:"1,keyasint"`
	Chain   string      `cbor:"2,keyasint"`
	Entry   *EntryClaim `cbor:"3,keyasint,omitempty"`
	Row     *RowClaim   `cbor:"4,keyasint,omitempty"`
	Audit   *AuditClaim `cbor:"5,keyasint,omitempty"`
	// Block is the light block (CometBFT protobuf: signed header and validator set) whose
	// header carries the AppHash the claim is proven against: one above the claim's height.
	Block []byte `cbor:"6,keyasint"`
	// Trail holds earlier light blocks, oldest first: enough of those at which the validator
	// set changed to get from the genesis validators to those of Block (Trust).
	Trail [][]byte `cbor:"7,keyasint,omitempty"`
}

// EntryClaim says that the log holds Entry at Index.
type EntryClaim struct {
	Index uint64            `cbor:"1,keyasint"`
	Entry []byte            `cbor:"2,keyasint"`
	Proof *state.EntryProof `cbor:"3,keyasint"`
}

// RowClaim says that the tree holds Value under Key, or nothing when Absent.
type RowClaim struct {
	Key    []byte          `cbor:"1,keyasint"`
	Value  []byte          `cbor:"2,keyasint"`
	Absent bool            `cbor:"3,keyasint"`
	Proof  *state.KeyProof `cbor:"4,keyasint"`
}

// AuditClaim says that Entries are all that the ledger ever recorded about Patient, oldest first.
type AuditClaim struct {
	Patient tx.Account `cbor:"1,keyasint"`
	Entries [][]byte   `cbor:"2,keyasint"`
	// Position is the pseudonym's row; zero when it has none, which Proof then shows.
	Position audit.Position  `cbor:"3,keyasint"`
	Proof    *state.KeyProof `cbor:"4,keyasint"`
}

// maxSize bounds a receipt; a pseudonym with 100,000 entries needs about 25 MB.
const maxSize = 64 << 20

// Errors of verification: the first thing that does not fit. Their codes are stable
// (prefix 0x25 is no ledger module's); what wraps them says more.
var (
	ErrFormat  = tx.Refuse(0x2501, "receipt: not a receipt of a known version")
	ErrGenesis = tx.Refuse(0x2502, "receipt: the genesis file cannot be read or is of another network")
	ErrBlock   = tx.Refuse(0x2503, "receipt: the block is not signed by two thirds of the validators")
	ErrProof   = tx.Refuse(0x2504, "receipt: the proof does not lead to the signed block")
	ErrChain   = tx.Refuse(0x2505, "receipt: the entries do not form the pseudonym's complete chain")
)

// Encode returns the receipt's canonical bytes.
func (r *Receipt) Encode() ([]byte, error) {
	b, err := tx.Encode(r)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return b, nil
}

// DecodeReceipt reads canonical bytes; anything else is ErrFormat.
func DecodeReceipt(b []byte) (*Receipt, error) {
	var r Receipt
	if err := tx.DecodeAny(b, &r, maxSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !r.wellFormed() {
		return nil, ErrFormat
	}
	return &r, nil
}

// wellFormed reports whether the receipt is of this version and makes one whole claim.
func (r *Receipt) wellFormed() bool {
	claims := 0
	for _, c := range []struct{ made, proven bool }{
		{r.Entry != nil, r.Entry != nil && r.Entry.Proof != nil},
		{r.Row != nil, r.Row != nil && r.Row.Proof != nil && r.Row.Absent == (len(r.Row.Value) == 0)},
		{r.Audit != nil, r.Audit != nil && r.Audit.Proof != nil},
	} {
		if c.made != c.proven {
			return false
		}
		if c.made {
			claims++
		}
	}
	return r.Version == Version && claims == 1
}
