package identity

import (
	"salus/ledger"
	"salus/ledger/tx"
)

// Kinds of this module.
const (
	KindRegister tx.Kind = "identity.register"
	KindUpdate   tx.Kind = "identity.update"
	KindEnrol    tx.Kind = "identity.enrol"
	KindClaim    tx.Kind = "identity.claim"
	KindRotate   tx.Kind = "identity.rotate"
)

// Register adds a practitioner or a device of the signing member.
type Register struct {
	Account    tx.Account     `cbor:"1,keyasint" json:"account"`
	Class      ledger.Class   `cbor:"2,keyasint" json:"class"` // ClassPractitioner or ClassDevice
	Keys       []tx.PublicKey `cbor:"3,keyasint" json:"keys"`  // 1..8
	Roles      []string       `cbor:"4,keyasint" json:"roles"` // ascending, at most 16
	Privileges uint32         `cbor:"5,keyasint" json:"privileges"`
	Credential tx.Hash        `cbor:"6,keyasint" json:"credential"`
}

// Update replaces what a member says about its practitioner or device.
type Update struct {
	Account    tx.Account `cbor:"1,keyasint" json:"account"`
	Roles      []string   `cbor:"2,keyasint" json:"roles"`
	Privileges uint32     `cbor:"3,keyasint" json:"privileges"`
	Active     bool       `cbor:"4,keyasint" json:"active"`
}

// Enrol makes a fresh pseudonym for a patient whose identity the signing
// member, her steward from then on, has proofed. The pseudonym is random,
// derived from nothing (45 CFR 164.514(c)). She signs with the keys named
// here, or with the one she adds with the claim secret, or not at all.
type Enrol struct {
	Patient tx.Account     `cbor:"1,keyasint" json:"patient"`
	Keys    []tx.PublicKey `cbor:"2,keyasint" json:"keys"`  // 0..8
	Claim   tx.Hash        `cbor:"3,keyasint" json:"claim"` // ClaimCommit of a secret handed to her; zero for none
}

// Claim adds a key to a pseudonym by the claim secret, once. The envelope
// carries two signatures of the patient's account: one of the new key, and one
// of the claim key that the secret is the seed of. The secret itself never
// leaves the wallet: a proposer that saw it could claim the pseudonym for a
// key of its own.
type Claim struct {
	Patient  tx.Account   `cbor:"1,keyasint" json:"patient"`
	Key      tx.PublicKey `cbor:"2,keyasint" json:"key"`
	ClaimKey tx.PublicKey `cbor:"3,keyasint" json:"claimKey"` // Ed25519; its ClaimCommit is the one enrolled
}

// Rotate adds and revokes keys of an account from the next block on. Signed by
// the account itself, or by the member of a practitioner or device.
type Rotate struct {
	Account tx.Account     `cbor:"1,keyasint" json:"account"`
	Add     []tx.PublicKey `cbor:"2,keyasint" json:"add"`    // at most 8
	Revoke  []tx.KeyID     `cbor:"3,keyasint" json:"revoke"` // at most 8
}

// Validate implements tx.Message.
func (m *Register) Validate() error {
	switch {
	case m.Account == (tx.Account{}):
		return ErrAccount
	case m.Class != ledger.ClassPractitioner && m.Class != ledger.ClassDevice:
		return ErrClass
	case len(m.Keys) == 0:
		return ErrNoKey
	}
	if err := validRights(m.Roles, m.Privileges); err != nil {
		return err
	}
	return validKeys(m.Keys)
}

// Validate implements tx.Message.
func (m *Update) Validate() error {
	if m.Account == (tx.Account{}) {
		return ErrAccount
	}
	return validRights(m.Roles, m.Privileges)
}

// Validate implements tx.Message.
func (m *Enrol) Validate() error {
	if m.Patient == (tx.Account{}) {
		return ErrAccount
	}
	return validKeys(m.Keys)
}

// Validate implements tx.Message.
func (m *Claim) Validate() error {
	if m.Patient == (tx.Account{}) {
		return ErrAccount
	}
	if m.ClaimKey.Alg != tx.AlgEd25519 || m.ClaimKey.ID() == m.Key.ID() {
		return ErrClaimKey
	}
	return validKeys([]tx.PublicKey{m.Key, m.ClaimKey})
}

// Validate implements tx.Message.
func (m *Rotate) Validate() error {
	switch {
	case m.Account == (tx.Account{}):
		return ErrAccount
	case len(m.Add) == 0 && len(m.Revoke) == 0:
		return ErrNoChange
	case len(m.Revoke) > MaxKeys:
		return ErrTooManyKeys
	}
	return validKeys(m.Add)
}

// validKeys checks the number of keys, each of them, and that none comes twice.
func validKeys(keys []tx.PublicKey) error {
	if len(keys) > MaxKeys {
		return ErrTooManyKeys
	}
	for i, k := range keys {
		if err := k.Validate(); err != nil {
			return err
		}
		for _, other := range keys[:i] {
			if other.ID() == k.ID() {
				return ErrKeyUsed
			}
		}
	}
	return nil
}

func validRights(roles []string, privileges uint32) error {
	if len(roles) > MaxRoles {
		return ErrRoles
	}
	for i, r := range roles {
		if !validRole(r) || i > 0 && roles[i-1] >= r {
			return ErrRoles
		}
	}
	if privileges&^privAll != 0 {
		return ErrPrivileges
	}
	return nil
}

// validRole accepts a code of 1..64 bytes as NUCC, SNOMED CT and local role
// systems write them, optionally with a system before a '|'.
func validRole(s string) bool {
	if s == "" || len(s) > maxRoleLen {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-' || c == '.' || c == '_' || c == '|' || c == ':' || c == '/':
		default:
			return false
		}
	}
	return true
}
