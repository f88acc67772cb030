package governance

import (
	"bytes"
	"crypto/sha256"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// KindValidator is the kind of Validator.
const KindValidator tx.Kind = "governance.validator"

// Validator replaces the signing member's consensus key by a fresh one. It needs
// no vote, because it gives nobody a vote and takes none: three keys of the one
// member agree. Its service key signs the transaction, the old consensus key
// says that it hands over, the new one that somebody holds it. Who lost the old
// key asks the members for a SetValidator.
type Validator struct {
	Validator []byte `cbor:"1,keyasint" json:"validator"` // the new key, 32 bytes
	Old       []byte `cbor:"2,keyasint" json:"old"`       // signature by the old key, 64 bytes
	New       []byte `cbor:"3,keyasint" json:"new"`       // signature by the new key, 64 bytes
}

// Validate implements tx.Message.
func (m *Validator) Validate() error {
	if tx.Ed25519Key(m.Validator).Validate() != nil {
		return ErrKeyLength
	}
	if len(m.Old) != 64 || len(m.New) != 64 {
		return ErrPossession
	}
	return nil
}

// handover is what both keys sign.
type handover struct {
	Domain  string     `cbor:"1,keyasint"`
	Chain   string     `cbor:"2,keyasint"`
	Account tx.Account `cbor:"3,keyasint"`
	Old     []byte     `cbor:"4,keyasint"`
	New     []byte     `cbor:"5,keyasint"`
}

// HandoverDigest is what the old and the new consensus key sign, as a
// transaction's digest is signed: SHA-256 of canonical CBOR that no vote or
// proposal of CometBFT can be.
func HandoverDigest(chain string, account tx.Account, old, next []byte) tx.Hash {
	return sha256.Sum256(tx.MustEncode(&handover{"salus/validator-handover/v1", chain, account, old, next}))
}

// A Switch is the last change of a member's consensus key. CometBFT follows
// with two blocks' delay: Old signs up to Height+1, the member's present key
// from Height+2 on.
type Switch struct {
	Height uint64 `cbor:"1,keyasint" json:"height"` // of the block that changed it
	Old    []byte `cbor:"2,keyasint" json:"old"`    // empty: it had none
	Self   bool   `cbor:"3,keyasint" json:"self"`   // without a vote
	Voted  uint64 `cbor:"4,keyasint" json:"voted"`  // height of the last change by vote; 0 if there was none
}

// switchDelay is how many blocks after a change the new validator set signs.
const switchDelay = 2

// ValidatorAt is the consensus key with which the member signs at a height that
// is at most two above the state's; empty if it does not validate there.
func ValidatorAt(r state.Reader, account tx.Account, height uint64) []byte {
	m, ok := LookupMember(r, account)
	s, changed := switches.Get(r, account[:])
	switch {
	case changed && height < s.Height+switchDelay:
		return s.Old
	case ok && m.Active:
		return m.Validator
	}
	return nil
}

// LookupSwitch returns the last change of a member's consensus key since the genesis.
func LookupSwitch(r state.Reader, account tx.Account) (Switch, bool) {
	return switches.Get(r, account[:])
}

// EntryValidator is appended when a member replaces its own consensus key.
const EntryValidator ledger.EntryKind = Prefix<<8 | 4

// ValidatorChanged is the payload of an EntryValidator.
type ValidatorChanged struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
	Old     []byte     `cbor:"2,keyasint" json:"old"`
	New     []byte     `cbor:"3,keyasint" json:"new"`
}

// replaceValidator is the handler of Validator.
func replaceValidator(c *ledger.Context, m *Validator) error {
	by, err := signer(c)
	if err != nil {
		return err
	}
	if len(by.Validator) == 0 {
		return ErrNotValidator
	}
	// A key that ever signed blocks signs no others later.
	if _, known := validators.Get(c.State, m.Validator); known {
		return ErrValidatorTaken
	}
	if err := possessed(c.Chain, by, m); err != nil {
		return err
	}
	if err := paced(c, by); err != nil {
		return err
	}
	old := by.Validator
	setValidator(c, by, m.Validator, itself)
	c.Append(EntryValidator, ValidatorChanged{Account: by.Account, Old: old, New: m.Validator})
	c.Emit("governance.validator", by.Account.String())
	return nil
}

func possessed(chain string, by Member, m *Validator) error {
	digest := HandoverDigest(chain, by.Account, by.Validator, m.Validator)
	for _, p := range []struct{ key, sig []byte }{{by.Validator, m.Old}, {m.Validator, m.New}} {
		key := tx.Ed25519Key(p.key)
		s := tx.Signature{Account: by.Account, Key: key.ID(), Alg: tx.AlgEd25519, Sig: p.sig}
		if key.Verify(digest, &s, tx.PasskeyPolicy{}) != nil {
			return ErrPossession
		}
	}
	return nil
}

// paced refuses a change while as many validators as may fail changed theirs
// within the last ValidatorPause blocks, or this one itself did: if none of the
// new keys comes up, the others still decide.
func paced(c *ledger.Context, by Member) error {
	pause := ParamsOf(c.State).ValidatorPause
	recent, all := 0, Validators(c.State)
	for _, m := range all {
		s, ok := switches.Get(c.State, m.Account[:])
		if !ok || uint64(c.Height) >= s.Height+pause {
			continue
		}
		if m.Account == by.Account {
			return ErrPace
		}
		recent++
	}
	if recent >= max((len(all)-1)/3, 1) {
		return ErrPace
	}
	return nil
}

// A mover is who changes a member's consensus key.
type mover uint8

const (
	byVote mover = iota
	itself
	byRule // after misbehaviour
)

// setValidator gives the member another consensus key, or none, and remembers
// which it had.
func setValidator(c *ledger.Context, m Member, key []byte, by mover) {
	noteSwitch(c, m, by)
	power(c, m.Validator, 0)
	m.Validator = key
	power(c, m.Validator, 1)
	own(c, m)
	members.Put(c.State, m.Account[:], m)
}

// noteSwitch remembers the key that a member is about to change. Of two changes
// in one block, the key before both signs on. The keys of the genesis sign from
// the first block.
func noteSwitch(c *ledger.Context, m Member, by mover) {
	if c.Height == 0 {
		return
	}
	was, ok := switches.Get(c.State, m.Account[:])
	s := Switch{Height: uint64(c.Height), Self: by == itself, Voted: was.Voted}
	if m.Active {
		s.Old = bytes.Clone(m.Validator)
	}
	if ok && was.Height == s.Height {
		s.Old = was.Old
	}
	if by == byVote {
		s.Voted = s.Height
	}
	switches.Put(c.State, m.Account[:], s)
}
