package anchor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"salus/ledger/tx"
	"salus/seal"
)

// Kinds of this module.
const (
	KindPut      tx.Kind = "anchor.put"
	KindReceipts tx.Kind = "anchor.receipts"
	KindComplain tx.Kind = "anchor.complain"
)

// Put anchors a batch. Signed by the member that authored it.
type Put struct {
	Header    seal.Header `cbor:"1,keyasint" json:"header"`
	Envelopes tx.Hash     `cbor:"2,keyasint" json:"envelopes"` // seal.EnvelopesHash of all n envelopes
	Pack      tx.Hash     `cbor:"3,keyasint" json:"pack"`      // vault.PackID
}

// putText is the JSON form of a Put: the header's byte strings as hex, accounts as text.
type putText struct {
	Header    headerText `json:"header"`
	Envelopes tx.Hash    `json:"envelopes"`
	Pack      tx.Hash    `json:"pack"`
}

type headerText struct {
	Version       uint8      `json:"version"`
	Suite         uint16     `json:"suite"`
	Chain         string     `json:"chain"`
	Author        tx.Account `json:"author"`
	PatientCommit tx.Hash    `json:"patientCommit"`
	BatchNonce    tx.Hash    `json:"batchNonce"`
	Epoch         uint64     `json:"epoch"`
	N             uint8      `json:"n"`
	T             uint8      `json:"t"`
	Count         uint16     `json:"count"`
	ManifestRoot  tx.Hash    `json:"manifestRoot"`
	ShareRoots    tx.Hash    `json:"shareRoots"`
	VSSRoot       tx.Hash    `json:"vssRoot"`
}

// MarshalJSON writes the message with its hashes as hex.
func (m Put) MarshalJSON() ([]byte, error) {
	h := m.Header
	return json.Marshal(putText{Envelopes: m.Envelopes, Pack: m.Pack, Header: headerText{
		Version: h.Version, Suite: h.Suite, Chain: h.Chain, Author: h.Author, PatientCommit: h.PatientCommit, BatchNonce: h.BatchNonce,
		Epoch: h.Epoch, N: h.N, T: h.T, Count: h.Count, ManifestRoot: h.ManifestRoot, ShareRoots: h.ShareRoots, VSSRoot: h.VSSRoot,
	}})
}

// UnmarshalJSON reads what MarshalJSON writes; an unknown field is an error.
func (m *Put) UnmarshalJSON(b []byte) error {
	var t putText
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return fmt.Errorf("anchor: put: %w", err)
	}
	h := t.Header
	*m = Put{Envelopes: t.Envelopes, Pack: t.Pack, Header: seal.Header{
		Version: h.Version, Suite: h.Suite, Chain: h.Chain, Author: h.Author, PatientCommit: h.PatientCommit, BatchNonce: h.BatchNonce,
		Epoch: h.Epoch, N: h.N, T: h.T, Count: h.Count, ManifestRoot: h.ManifestRoot, ShareRoots: h.ShareRoots, VSSRoot: h.VSSRoot,
	}}
	return nil
}

// Receipts says that the signing custodian holds verified shares of these
// batches. It may be sent again: what it said before is not undone.
type Receipts struct {
	List []Receipt `cbor:"1,keyasint" json:"list"` // 1..512, in rising order of the header hash
}

// A Receipt is a custodian's word for one batch.
type Receipt struct {
	Header tx.Hash `cbor:"1,keyasint" json:"header"`
	Holds  bool    `cbor:"2,keyasint" json:"holds"` // it also holds the ciphertext pack on disk
}

// Reasons of a complaint: which check of the envelope failed.
const (
	BadEnvelope   uint8 = 1 // it does not open under the committed header
	BadShareRoot  uint8 = 2 // the shares do not match their committed root
	BadCommitment uint8 = 3 // the shares do not match the Pedersen commitments
	BadOpening    uint8 = 4 // the patient commitment does not open
	BadManifest   uint8 = 5 // the manifest does not match its root
	BadParcel     uint8 = 6 // the parcel is not the one the header and the put commit to
	lastReason          = BadParcel
)

// Complain says that what the author sent the signing custodian is bad. A later
// receipt of the custodian settles it.
type Complain struct {
	Header tx.Hash `cbor:"1,keyasint" json:"header"`
	Reason uint8   `cbor:"2,keyasint" json:"reason"`
}

// Validate implements tx.Message.
func (m *Put) Validate() error {
	h := &m.Header
	switch {
	case h.Version != seal.Version:
		return ErrVersion
	case h.Suite != seal.Suite:
		return ErrSuite
	case h.Count < 1 || h.Count > MaxRecords:
		return ErrCount
	case zero(m.Envelopes, m.Pack, h.PatientCommit, h.BatchNonce, h.ManifestRoot, h.ShareRoots, h.VSSRoot):
		return ErrCommitment
	}
	if h.Validate() != nil {
		return ErrHeader
	}
	return nil
}

// zero reports whether one of the hashes is missing. A random nonce or a hash is
// never zero, so a zero is a field that was left out.
func zero(hashes ...[32]byte) bool {
	return slices.Contains(hashes, [32]byte{})
}

// Validate implements tx.Message.
func (m *Receipts) Validate() error {
	if len(m.List) < 1 || len(m.List) > MaxReceipts {
		return ErrReceipts
	}
	for i := 1; i < len(m.List); i++ {
		if bytes.Compare(m.List[i-1].Header[:], m.List[i].Header[:]) >= 0 {
			return ErrReceipts
		}
	}
	return nil
}

// Validate implements tx.Message.
func (m *Complain) Validate() error {
	if m.Reason < 1 || m.Reason > lastReason {
		return ErrReason
	}
	return nil
}
