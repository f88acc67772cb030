package main

import (
	"bytes"
	"fmt"
	"os"

	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/node"
	"salus/receipt"
)

// verifyCmd needs no node and no network: only the receipt and the genesis file.
type verifyCmd struct {
	Receipts []string `arg:"" help:"Receipt files." type:"existingfile"`
	Genesis  string   `help:"The network's genesis file." required:"" type:"existingfile"`
}

func (c *verifyCmd) Run(e *env) error {
	genesis, err := os.ReadFile(c.Genesis)
	if err != nil {
		return usageError{err.Error()}
	}
	var all []*receipt.Finding
	for _, path := range c.Receipts {
		b, err := os.ReadFile(path)
		if err != nil {
			return usageError{err.Error()}
		}
		r, err := receipt.DecodeReceipt(b)
		if err != nil {
			return err
		}
		f, err := receipt.Verify(genesis, r)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	return e.show(all, "", func(add func(...any)) {
		for i, f := range all {
			add(c.Receipts[i], "VALID")
			add("  chain", f.Chain)
			add("  proven by", fmt.Sprintf("block %d, signed by %d of %d validators", f.Block, f.Signed, f.Of))
			add("  claim", claimText(f))
		}
	})
}

func claimText(f *receipt.Finding) string {
	switch {
	case f.Entry != nil:
		return fmt.Sprintf("entry %d of the log is %q of block %d", f.Index, node.EntryName(f.Entry.Kind), f.Entry.Height)
	case f.Row != nil && f.Row.Absent:
		return "the state has no such row"
	case f.Row != nil:
		if bytes.HasPrefix(f.Row.Key, erasure.CaseKey(tx.Hash{})[:2]) {
			return caseText(f.Row.Value)
		}
		return "the state has this row"
	default:
		return fmt.Sprintf("the access log of %s is complete up to block %d: %d entries", f.Patient, f.Height, len(f.Audit))
	}
}
