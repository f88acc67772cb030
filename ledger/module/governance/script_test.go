package governance_test

import (
	"testing"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// network is four validating members, h1, h2, i1 and c1, each with the service
// key of its name.
func network() ledgertest.Params {
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"h1", governance.Hospital}, {"h2", governance.Hospital}, {"i1", governance.Insurer}, {"c1", governance.Clinic}} {
		g.Members = append(g.Members, governance.Admit{
			Account:   ledgertest.Account(m.name),
			Name:      "Sample " + m.name,
			Class:     m.class,
			Validator: ledgertest.Public("validator/" + m.name).Key,
			Peer:      ledgertest.Public("peer/" + m.name).Key,
			Address:   m.name + ".example:7000",
			Keys:      []tx.PublicKey{ledgertest.Public(m.name)},
		})
	}
	return ledgertest.Params{
		Modules:      []ledger.Module{governance.Module(), identity.Module(), committee.Module(), audit.Module()},
		Authenticate: identity.Authenticate,
		Params:       governance.LedgerParams,
		Genesis:      map[string]any{"governance": g},
	}
}

func TestScripts(t *testing.T) { ledgertest.Run(t, "testdata", network()) }
