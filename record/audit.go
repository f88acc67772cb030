package record

import (
	"fmt"

	"salus/client"
	"salus/ledger/module/audit"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Log returns everything the ledger recorded about a pseudonym, oldest first, verified to be
// complete against the state of this replica. A receipt (client.Prover.Audit) proves the same
// to others.
func Log(v *state.View, patient tx.Account) ([]audit.Link, audit.Position, error) {
	at, entries, err := client.AuditEntries(v, patient)
	if err != nil {
		return nil, at, err
	}
	links, err := audit.VerifyChain(patient, entries, at)
	if err != nil {
		return nil, at, fmt.Errorf("record: access log: %w", err)
	}
	return links, at, nil
}
