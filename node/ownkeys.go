package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"salus/config"
	"salus/ledger/tx"
)

// nextSuffix marks the key that takes a file's place when the ledger has it.
const nextSuffix = ".next"

// NextKey draws the key that will replace the one in a file of a home, and keeps it durably beside that one.
// Called again, it returns the same until InstallKey.
func NextKey(path string) (ed25519.PublicKey, error) {
	seed, err := WriteSeed(path + nextSuffix)
	if err == nil {
		err = syncPath(path + nextSuffix)
	}
	if err == nil {
		err = syncPath(filepath.Dir(path))
	}
	if err != nil {
		return nil, err
	}
	return publicOf(seed), nil
}

// InstallKey puts the next key in the place of a file's key, which is lost with that. A running node has read
// the one of before.
func InstallKey(path string) error {
	if _, err := readSeed(path + nextSuffix); err != nil {
		return err
	}
	if err := os.Rename(path+nextSuffix, path); err != nil {
		return fmt.Errorf("node: key: %w", err)
	}
	return syncPath(filepath.Dir(path))
}

// MemberKeyID is the id of the service key with which a node of that home signs after its next start.
func MemberKeyID(c *config.Config) (tx.KeyID, error) {
	seed, err := readSeed(c.MemberKeyFile())
	if err != nil {
		return tx.KeyID{}, err
	}
	return tx.Ed25519Key(publicOf(seed)).ID(), nil
}

func publicOf(seed [32]byte) ed25519.PublicKey {
	pub, _ := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	return pub
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("node: key: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("node: key: %w", err)
	}
	return nil
}
