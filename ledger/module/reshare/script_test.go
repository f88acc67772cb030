package reshare_test

import (
	"testing"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

// params is a network of four members, all custodians.
func params() ledgertest.Params {
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"clinic", governance.Clinic}, {"insurer", governance.Insurer}, {"institute", governance.Research}} {
		g.Members = append(g.Members, governance.Admit{
			Account: account(m.name), Name: "Sample " + m.name, Class: m.class, Validator: ledgertest.Public("validator/" + m.name).Key,
			Peer: ledgertest.Public("peer/" + m.name).Key, Address: m.name + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(m.name)},
		})
	}
	return ledgertest.Params{
		Modules: []ledger.Module{
			governance.Module(), identity.Module(), committee.Module(), anchor.Module(), audit.Module(), reshare.Module(),
		},
		Authenticate: identity.Authenticate,
		Params:       governance.LedgerParams,
		Genesis:      map[string]any{"governance": g},
	}
}

func TestScripts(t *testing.T) { ledgertest.Run(t, "testdata", params()) }
