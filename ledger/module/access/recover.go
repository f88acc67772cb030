package access

import (
	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// KindRecover opens a session after a recovery of keys.
const KindRecover tx.Kind = "access.recover"

// Recover opens a session in which a patient gets back what only her wallet held:
// the map of her labels, what was opened to whom, her records. It is a session for
// PATRQT like any of hers; the ledger says of it that it is a recovery. Signed by the
// patient with a key that the recovery brought.
type Recover struct {
	Patient   tx.Account `cbor:"1,keyasint" json:"patient"`
	Case      tx.Hash    `cbor:"2,keyasint" json:"case"`                         // the finished recovery
	ReaderKey tx.Hash    `cbor:"3,keyasint" json:"readerKey"`                    // SHA-256 of the HPKE public key to release to
	TTL       uint64     `cbor:"4,keyasint" json:"ttl"`                          // seconds, 1 to governance's SessionMax
	Delegate  []byte     `cbor:"5,keyasint,omitempty" json:"delegate,omitempty"` // as in Request
}

// Validate implements tx.Message.
func (m *Recover) Validate() error {
	switch {
	case m.Patient == (tx.Account{}):
		return ErrPatient
	case m.Case == (tx.Hash{}):
		return ErrRecovery
	case m.ReaderKey == (tx.Hash{}):
		return ErrReaderKey
	case m.TTL == 0:
		return ErrTTL
	case !validDelegate(m.Delegate):
		return ErrDelegate
	}
	return nil
}

func restore(c *ledger.Context, m *Recover) error {
	switch {
	case c.Signer.Account != m.Patient, !recovery.Restored(c.State, m.Case, m.Patient, c.Signer.Key):
		return ErrRecovery
	case !c.Signer.UserVerified:
		return ErrUserVerification
	case m.TTL > governance.ParamsOf(c.State).SessionMax:
		return ErrTTL
	}
	s := Session{
		ID: c.Tx, Patient: m.Patient, Actor: m.Patient, Member: c.Signer.Member, Purpose: consent.PATRQT, Mask: ^uint64(0),
		ReaderKey: m.ReaderKey, Opened: c.Time, Expires: c.Time + m.TTL, Height: uint64(c.Height),
		Consent: consent.HeadOf(c.State, m.Patient).Version, Delegation: delegation(c, m.Delegate),
	}
	sessions.Put(c.State, s.ID[:], s)
	report(c, &s, audit.Event{Action: audit.RecoverySession, Mask: s.Mask})
	return nil
}
