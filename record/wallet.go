package record

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"salus/internal/durable"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Wallet is a patient's keys on a computer of her own, for the command line and the
// sample network. A browser keeps the same in passkeys. The file has mode 0600; who
// reads it can act for the patient.
type Wallet struct {
	Patient tx.Account `json:"patient"`
	Chain   string     `json:"chain"`
	Seed    []byte     `json:"seed"`            // Ed25519
	Slots   []byte     `json:"slots,omitempty"` // SlotMap in canonical CBOR
}

// NewWallet draws a wallet's key.
func NewWallet(chain string, patient tx.Account) (*Wallet, error) {
	w := &Wallet{Patient: patient, Chain: chain, Seed: make([]byte, ed25519.SeedSize)}
	if _, err := rand.Read(w.Seed); err != nil {
		return nil, fmt.Errorf("record: random numbers: %w", err)
	}
	return w, nil
}

// LoadWallet reads a wallet file.
func LoadWallet(path string) (*Wallet, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("record: wallet: %w", err)
	}
	var w Wallet
	if err := json.Unmarshal(b, &w); err != nil || len(w.Seed) != ed25519.SeedSize {
		return nil, errors.New("record: the wallet file is damaged")
	}
	return &w, nil
}

// Save writes the wallet file so that a crash leaves the old or the new one.
func (w *Wallet) Save(path string) error {
	b, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return fmt.Errorf("record: wallet: %w", err)
	}
	if err := durable.WriteFile(path, b); err != nil {
		return fmt.Errorf("record: wallet: %w", err)
	}
	return nil
}

// WalletFor makes a wallet from a claim code. It is the patient's once Claim has put its key on
// the ledger; save it before, because the code works once and a key that is lost then is lost
// for good.
func WalletFor(chain string, code ClaimCode) (*Wallet, error) {
	if len(code.Secret) != 32 {
		return nil, errClaimCode
	}
	w, err := NewWallet(chain, code.Patient)
	if err != nil {
		return nil, err
	}
	w.Slots = code.Slots
	_, err = w.SlotMap()
	return w, err
}

var errClaimCode = errors.New("record: the claim code is damaged")

// Claim puts the wallet's key on the ledger: from then on the pseudonym obeys it. submit
// builds a submitter for the given signers.
func (w *Wallet) Claim(ctx context.Context, code ClaimCode, submit func(...tx.Signer) Submitter) error {
	if len(code.Secret) != 32 || code.Patient != w.Patient {
		return errClaimCode
	}
	claim := identity.ClaimSigner(code.Patient, [32]byte(code.Secret))
	msg := &identity.Claim{Patient: code.Patient, Key: w.Signer().Public(), ClaimKey: claim.Public()}
	_, err := submit(w.Signer(), claim).Submit(ctx, identity.KindClaim, msg)
	return err
}

// ClaimWallet is WalletFor and Claim for a wallet that lives in memory only.
func ClaimWallet(ctx context.Context, chain string, code ClaimCode, submit func(...tx.Signer) Submitter) (*Wallet, error) {
	w, err := WalletFor(chain, code)
	if err != nil {
		return nil, err
	}
	return w, w.Claim(ctx, code, submit)
}

// Signer signs as the patient.
func (w *Wallet) Signer() tx.Signer {
	return tx.NewEd25519Signer(w.Patient, ed25519.NewKeyFromSeed(w.Seed))
}

// SlotMap decodes the patient's slot map.
func (w *Wallet) SlotMap() (*SlotMap, error) {
	var m SlotMap
	if len(w.Slots) == 0 {
		return nil, errors.New("record: this wallet has no slot map yet; open it from the record or get it from the steward")
	}
	if err := tx.DecodeAny(w.Slots, &m, len(w.Slots)); err != nil {
		return nil, errSlotMap
	}
	return &m, m.Validate()
}

// String keeps keys out of logs.
func (w *Wallet) String() string { return "wallet [sealed]" }
