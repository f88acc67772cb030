package main

import (
	"strings"
	"testing"

	"salus/ledger/module/erasure"
	"salus/ledger/tx"
)

// What a proof of a case says offline names who was removed and has not signed, and nobody else.
func TestAProofOfACaseSaysWhoDidNotSign(t *testing.T) {
	gone := tx.Account{7}
	c := erasure.Case{Scope: erasure.Batch, Status: erasure.Final, Height: 5, Epoch: 1, Keys: 0b0111, Closed: 9, Unsigned: []tx.Account{gone}}
	text := caseText(tx.MustEncode(&c))
	for _, want := range []string{"final", "3 custodians", "did not sign", gone.String()} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q without %q", text, want)
		}
	}
	c.Status, c.Unsigned = erasure.Certified, nil
	if text := caseText(tx.MustEncode(&c)); strings.Contains(text, "did not sign") {
		t.Errorf("got %q of a case that waits", text)
	}
}
