package ledger

import (
	"errors"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Class says what an account is.
type Class uint8

// The classes of accounts. Numbers are unique for ever.
const (
	ClassMember       Class = 1 // an organisation of the network
	ClassPractitioner Class = 2 // a person who works for a member
	ClassDevice       Class = 3 // a machine that works for a member
	ClassPatient      Class = 4 // a random pseudonym
)

var classNames = [...]string{
	ClassMember:       "member",
	ClassPractitioner: "practitioner",
	ClassDevice:       "device",
	ClassPatient:      "patient",
}

// Known reports whether c is one of the classes.
func (c Class) Known() bool { return c >= ClassMember && c <= ClassPatient }

// String returns the class as a word.
func (c Class) String() string {
	if !c.Known() {
		return "unknown"
	}
	return classNames[c]
}

// MarshalText writes the class as a word; an unknown class is an error.
func (c Class) MarshalText() ([]byte, error) {
	if !c.Known() {
		return nil, errors.New("ledger: unknown class of account")
	}
	return []byte(classNames[c]), nil
}

// UnmarshalText reads a class from its word.
func (c *Class) UnmarshalText(b []byte) error {
	if i := slices.Index(classNames[:], string(b)); i > 0 {
		*c = Class(i)
		return nil
	}
	return errors.New("ledger: a class is member, practitioner, device or patient")
}

// A Signer is who a transaction comes from, as the Authenticator found it.
type Signer struct {
	Account      tx.Account
	Class        Class
	Member       tx.Account // the sponsor: the member itself, a practitioner's or device's member, a patient's steward
	Key          tx.KeyID   // of the signer's own signature
	UserVerified bool       // the key is held by software that needs none, or the passkey verified its user
}

// A Head names a block: the one just committed, or the one that is being run.
type Head struct {
	Height  int64  // of the block; 0 for the genesis
	Time    uint64 // of the block, unix seconds
	AppHash [32]byte
	Chain   string
}

// A Context is everything a handler may see. It is a value of one transaction,
// or of one block in Genesis, BeginBlock and EndBlock, where Tx and Signer are
// zero; it must not be kept.
type Context struct {
	Height  int64   // of the block that is run
	Time    uint64  // of that block, unix seconds: the only clock
	Chain   string  // chain id
	Version uint64  // of the state machine, see Version
	Tx      tx.Hash // id of the transaction
	Signer  Signer
	State   state.Writer

	// Caught is who misbehaved, as this block tells of it for the first time: in
	// block hooks only, in the order of the block's evidence.
	Caught []Misbehavior

	dry        bool // nothing of it is kept: a check
	events     []abci.Event
	validators [][32]byte // whose power was set
}

// Append adds an entry to the ledger's Merkle log and returns its index.
// payload is a struct with integer keys; the entry is canonical CBOR. It
// becomes part of the log only if the transaction is not refused.
func (c *Context) Append(kind EntryKind, payload any) (index uint64) {
	if c.dry {
		return c.State.Size()
	}
	return c.State.Append(tx.MustEncode(&Entry{
		Kind:    kind,
		Height:  uint64(c.Height),
		Time:    c.Time,
		Tx:      c.Tx,
		Payload: tx.MustEncode(payload),
	}))
}

// Emit reports an ABCI event of that kind about key: an account, an id. Events
// are not part of the state and carry no personal data; subscribers of a node
// see them, and whoever was not connected never will. What must last is a log
// entry.
func (c *Context) Emit(kind string, key string) {
	c.events = append(c.events, abci.Event{
		Type:       kind,
		Attributes: []abci.EventAttribute{{Key: "key", Value: key}},
	})
}

// SetValidator gives the Ed25519 consensus key pub its one vote (power 1) or
// takes it away (power 0) from the block after next on. Votes are equal: any
// other power is a programming error and panics.
func (c *Context) SetValidator(pub [32]byte, power int64) {
	setPower(c.State, pub, power)
	c.validators = append(c.validators, pub)
}
