package recovery_test

import (
	"testing"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

func TestScripts(t *testing.T) { ledgertest.Run(t, "testdata", params()) }

// params is a network of three members, all custodians.
func params() ledgertest.Params {
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"clinic", governance.Clinic}, {"regulator", governance.Regulator}} {
		g.Members = append(g.Members, governance.Admit{
			Account: account(m.name), Name: "Sample " + m.name, Class: m.class, Validator: ledgertest.Public("validator/" + m.name).Key,
			Peer: ledgertest.Public("peer/" + m.name).Key, Address: m.name + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(m.name)},
		})
	}
	return ledgertest.Params{
		Modules: []ledger.Module{
			governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(), emergency.Module(), recovery.Module(),
		},
		Authenticate: identity.Authenticate,
		Params:       governance.LedgerParams,
		Genesis:      map[string]any{"governance": g},
	}
}
