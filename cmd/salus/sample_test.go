package main

import (
	"crypto/ed25519"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// sampleTransaction is a revocation signed by a key that is in no wallet.
func sampleTransaction() ([]byte, error) {
	account := tx.Account{7: 7}
	signer := tx.NewEd25519Signer(account, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	raw, _, err := tx.Sign("sample-chain", consent.KindRevoke, &consent.Revoke{Patient: account}, account, 1, 100, signer)
	return raw, err
}
