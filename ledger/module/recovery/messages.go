package recovery

import (
	"bytes"

	"salus/ledger/tx"
)

// Kinds of this module.
const (
	KindGuardians tx.Kind = "recovery.guardians"
	KindRequest   tx.Kind = "recovery.request"
	KindApprove   tx.Kind = "recovery.approve"
	KindCancel    tx.Kind = "recovery.cancel"
	KindFinish    tx.Kind = "recovery.finish"
)

// SetGuardians names the guardians, all at once; no commitments and threshold 0
// mean none. Signed by the patient.
type SetGuardians struct {
	Patient     tx.Account `cbor:"1,keyasint" json:"patient"`
	Version     uint64     `cbor:"2,keyasint" json:"version"` // one more than the one it replaces
	Threshold   uint8      `cbor:"3,keyasint" json:"threshold"`
	Commitments []tx.Hash  `cbor:"4,keyasint" json:"commitments"` // ascending, at most 16
}

// A Proof shows that somebody is a guardian. Who has an account signs the
// transaction and gives the salt. Who has a bare key gives the key and its
// signature over the case's id, and anybody brings it.
type Proof struct {
	Salt      tx.Hash       `cbor:"1,keyasint" json:"salt"`
	Key       *tx.PublicKey `cbor:"2,keyasint,omitempty" json:"key,omitempty"`
	Signature *tx.Signature `cbor:"3,keyasint,omitempty" json:"signature,omitempty"` // its account is zero
}

// Request opens a case; who opens it thereby approves it. Signed by a guardian, by
// whoever brings a guardian's proof, or by staff.
type Request struct {
	Terms Terms  `cbor:"1,keyasint" json:"terms"`
	Proof *Proof `cbor:"2,keyasint,omitempty" json:"proof,omitempty"` // of a guardian; absent from staff
}

// Approve adds an approval to a case.
type Approve struct {
	Case  tx.Hash `cbor:"1,keyasint" json:"case"`
	Proof *Proof  `cbor:"2,keyasint,omitempty" json:"proof,omitempty"`
}

// Cancel ends a running case. Signed by the patient with any live key, or by staff
// of the member that carries it.
type Cancel struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// Finish carries a case out after its time lock. Signed by anybody.
type Finish struct {
	Case tx.Hash `cbor:"1,keyasint" json:"case"`
}

// Validate implements tx.Message.
func (m *SetGuardians) Validate() error {
	n := len(m.Commitments)
	switch {
	case m.Patient == (tx.Account{}):
		return ErrPatient
	case m.Version == 0:
		return ErrVersion
	case n == 0 && m.Threshold == 0:
		return nil
	case n > MaxGuardians, m.Threshold < MinThreshold, int(m.Threshold) > n:
		return ErrThreshold
	}
	for i, c := range m.Commitments {
		if c == (tx.Hash{}) || i > 0 && bytes.Compare(m.Commitments[i-1][:], c[:]) >= 0 {
			return ErrCommitments
		}
	}
	return nil
}

// Validate implements tx.Message.
func (m *Request) Validate() error {
	if err := m.Terms.Validate(); err != nil {
		return err
	}
	if (m.Proof == nil) != (m.Terms.Document != (tx.Hash{})) {
		return ErrDocument
	}
	if m.Proof != nil && m.Terms.Kind != Keys {
		return ErrStaff
	}
	return m.Proof.validate()
}

// Validate checks the terms by themselves, before anything on the ledger is known.
func (t *Terms) Validate() error {
	switch {
	case t.Patient == (tx.Account{}):
		return ErrPatient
	case t.Number == 0:
		return ErrNumber
	case !t.Kind.Known():
		return ErrKind
	case (t.Kind == Keys) != (len(t.Keys) > 0), t.Kind != Keys && len(t.Revoke) > 0:
		return ErrKeys
	case len(t.Keys) > MaxKeys, len(t.Revoke) > 8:
		return ErrKeys
	case (t.Kind == Executor) != (t.Executor != nil):
		return ErrExecutor
	}
	for i, k := range t.Keys {
		if err := k.Validate(); err != nil {
			return err
		}
		for _, other := range t.Keys[:i] {
			if other.ID() == k.ID() {
				return ErrKeys
			}
		}
	}
	for i, k := range t.Revoke {
		if i > 0 && bytes.Compare(t.Revoke[i-1][:], k[:]) >= 0 {
			return ErrKeys
		}
	}
	if t.Executor != nil {
		if t.Executor.Account == t.Patient {
			return ErrExecutor
		}
		return t.Executor.Validate()
	}
	return nil
}

func (p *Proof) validate() error {
	switch {
	case p == nil:
		return nil
	case p.Salt == (tx.Hash{}):
		return ErrProof
	case (p.Key == nil) != (p.Signature == nil):
		return ErrProof
	case p.Key == nil:
		return nil
	case p.Signature.Account != (tx.Account{}):
		return ErrProof
	}
	if err := p.Key.Validate(); err != nil {
		return err
	}
	return p.Signature.Validate()
}

// Validate implements tx.Message.
func (m *Approve) Validate() error {
	if m.Case == (tx.Hash{}) {
		return ErrUnknown
	}
	return m.Proof.validate()
}

// Validate implements tx.Message.
func (m *Cancel) Validate() error {
	if m.Case == (tx.Hash{}) {
		return ErrUnknown
	}
	return nil
}

// Validate implements tx.Message.
func (m *Finish) Validate() error { return (*Cancel)(m).Validate() }
