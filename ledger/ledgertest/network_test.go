package ledgertest_test

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
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// network is four organisations that all validate, with every module.
func network() ledgertest.Params {
	p := ledgertest.Params{
		Modules: []ledger.Module{
			governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(), emergency.Module(), erasure.Module(),
		},
		Authenticate: identity.Authenticate,
		Params:       governance.LedgerParams,
	}
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"clinic", governance.Clinic}, {"insurer", governance.Insurer}, {"institute", governance.Research}} {
		validator := "validator " + m.name
		p.Validators = append(p.Validators, validator)
		g.Members = append(g.Members, governance.Admit{
			Account:   ledgertest.Account(m.name),
			Name:      "Sample " + m.name,
			Class:     m.class,
			Validator: ledgertest.Public(validator).Key,
			Peer:      ledgertest.Public("peer " + m.name).Key,
			Address:   m.name + ".example:7000",
			Keys:      []tx.PublicKey{ledgertest.Public(m.name)},
		})
	}
	p.Genesis = map[string]any{"governance": g}
	return p
}

func TestNetworkStories(t *testing.T) { ledgertest.Run(t, "testdata", network()) }
