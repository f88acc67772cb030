// Package access keeps the sessions: who asked for whose records, for which
// purpose, which lists of records were committed to, and the custodians'
// release receipts.
//
// A request that is well formed, and signed by somebody who may ask at all,
// always opens a session; what the patient's consent allows is in its mask and
// nowhere else. A session whose mask is empty looks like a patient without data,
// so a refusal is not visible (EHDS Art. 8). Before a record is released, the
// reader commits to a salted Merkle list of the records, and a custodian releases
// nothing that is not in a committed list.
//
// Contract: Open is what a custodian asks, at every release: the mask of the
// session, cut down to what consent and the actor's standing allow at that
// moment. So a revocation, a suspension or an expiry ends also what earlier
// sessions could still read. A use of a one-time grant is taken when the session
// opens, by exactly one session.
//
// The module must never say why something was not allowed, and never hold a
// list of records or a reader's key, only their hashes.
package access

import (
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// Prefix begins the module's keys, codes and log entry kinds.
const Prefix = 0x07

// Limits.
const (
	MaxList    = 4096    // records in one committed list
	MaxFetches = 4096    // access.fetch of one session
	MaxBatch   = 1 << 20 // releases behind one receipt root
)

// A Session is the answer to a request. Its id is the transaction id of the
// request.
type Session struct {
	ID        tx.Hash           `cbor:"1,keyasint" json:"id"`
	Patient   tx.Account        `cbor:"2,keyasint" json:"patient"`
	Actor     tx.Account        `cbor:"3,keyasint" json:"actor"`
	Member    tx.Account        `cbor:"4,keyasint" json:"member"` // the actor's; a patient's steward
	Purpose   consent.Purpose   `cbor:"5,keyasint" json:"purpose"`
	Mask      uint64            `cbor:"6,keyasint" json:"mask"`      // slots granted when it opened
	ReaderKey tx.Hash           `cbor:"7,keyasint" json:"readerKey"` // SHA-256 of the HPKE public key releases are sealed to
	Opened    uint64            `cbor:"8,keyasint" json:"opened"`    // unix seconds
	Expires   uint64            `cbor:"9,keyasint" json:"expires"`   // unix seconds, exclusive
	Height    uint64            `cbor:"10,keyasint" json:"height"`
	Consent   uint64            `cbor:"11,keyasint" json:"consent"` // version of the patient's consents
	Grants    []consent.GrantID `cbor:"12,keyasint" json:"grants"`  // that allowed the mask
	Taken     []consent.Use     `cbor:"13,keyasint" json:"taken"`   // uses of one-time grants it has taken
	Fetches   uint32            `cbor:"14,keyasint" json:"fetches"` // access.fetch so far
	Closed    bool              `cbor:"15,keyasint" json:"closed"`

	Delegation *Delegation `cbor:"16,keyasint,omitempty" json:"delegation,omitempty"`
}

// A Fetch is one committed list of records: number 0 is the request's own,
// number n the one of the n-th access.fetch.
type Fetch struct {
	Root   tx.Hash `cbor:"1,keyasint" json:"root"`
	Count  uint32  `cbor:"2,keyasint" json:"count"`
	Height uint64  `cbor:"3,keyasint" json:"height"`
}

// Released is how far a custodian's release receipts have come.
type Released struct {
	Next   uint64  `cbor:"1,keyasint" json:"next"` // sequence number of the next release to report; the first is 1
	Root   tx.Hash `cbor:"2,keyasint" json:"root"` // of the last report
	Height uint64  `cbor:"3,keyasint" json:"height"`
}

// EntryReceipts is the log entry of this module, with a Reported as payload.
// Sessions and fetches are entries of the patient's audit chain.
const EntryReceipts ledger.EntryKind = Prefix<<8 | 1

// Reported is the payload of an EntryReceipts.
type Reported struct {
	Custodian tx.Account `cbor:"1,keyasint" json:"custodian"`
	Message   Receipts   `cbor:"2,keyasint" json:"message"`
}

func entries() []ledger.EntryInfo {
	return []ledger.EntryInfo{
		{Kind: EntryReceipts, Name: "access.receipts", Payload: Reported{}},
	}
}
