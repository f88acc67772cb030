package record

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Card is what a patient prints as a QR code for an emergency: it leads to her pseudonym
// without a lookup. Whoever holds it learns the pseudonym and nothing else; it opens no record.
type Card struct {
	Patient tx.Account
	Secret  [32]byte // the ledger has its hash, by a transaction of the patient
}

// ErrCard: the card's text is damaged, or the patient never issued it or revoked it.
var ErrCard = tx.Refuse(0x2804, "record: the card is damaged, was never issued, or was revoked")

const cardPrefix = "SALUS1:"

var cardText = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewCard draws a card of the patient. It is good once lookup.card is committed.
func NewCard(patient tx.Account) (Card, error) {
	c := Card{Patient: patient}
	if _, err := rand.Read(c.Secret[:]); err != nil {
		return c, fmt.Errorf("record: random numbers: %w", err)
	}
	return c, nil
}

// Hash names the card on the ledger.
func (c Card) Hash() tx.Hash { return lookup.CardHash(c.Secret[:]) }

// Text is what the QR code holds: "SALUS1:" and base32 of pseudonym, secret and four bytes of
// their SHA-256, 91 characters of QR's alphanumeric mode.
func (c Card) Text() string {
	b := append(append([]byte(nil), c.Patient[:]...), c.Secret[:]...)
	sum := sha256.Sum256(b)
	return cardPrefix + cardText.EncodeToString(append(b, sum[:4]...))
}

// String hides the card from logs.
func (Card) String() string { return "[sealed]" }

// ParseCard reads a card's text. Error: ErrCard.
func ParseCard(s string) (c Card, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), cardPrefix)
	b, err := cardText.DecodeString(rest)
	if !ok || err != nil || len(b) != 52 {
		return c, ErrCard
	}
	copy(c.Patient[:], b)
	copy(c.Secret[:], b[16:])
	if c.Text() != cardPrefix+rest { // also the only way to write the last bits
		return c, ErrCard
	}
	return c, nil
}

// CheckCard reports ErrCard unless the patient issued the card and has not revoked it.
func CheckCard(r state.Reader, c Card) error {
	row, ok := lookup.LookupCard(r, c.Hash())
	if !ok || row.Revoked || row.Patient != c.Patient {
		return ErrCard
	}
	return nil
}
