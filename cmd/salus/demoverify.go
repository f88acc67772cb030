package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"salus/internal/devnet"
	"salus/receipt"
)

// verify checks the receipt as a stranger would, and that a changed one fails.
func (d *demo) verify() (string, error) {
	genesis, err := os.ReadFile(filepath.Join(devnet.Home(d.dir, "hospital"), "genesis.json"))
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(d.audit)
	if err != nil {
		return "", err
	}
	r, err := receipt.DecodeReceipt(b)
	if err != nil {
		return "", err
	}
	f, err := receipt.Verify(genesis, r)
	if err != nil {
		return "", err
	}
	// The last entry left out: everything else of the receipt is true.
	short := *r
	claim := *r.Audit
	claim.Entries = claim.Entries[:len(claim.Entries)-1]
	short.Audit = &claim
	if _, err := receipt.Verify(genesis, &short); err == nil {
		return "", errors.New("a receipt with an entry left out was accepted")
	}
	return fmt.Sprintf("%s.\n    Proven by block %d, signed by %d of %d validators. With one entry left out, the same receipt fails.", claimText(f), f.Block, f.Signed, f.Of), nil
}
