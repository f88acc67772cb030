package lookup_test

import (
	"testing"

	"salus/ledger/ledgertest"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
)

func TestScripts(t *testing.T) {
	g := genesis()
	for i := range g.Members { // with the keys that scripts sign with
		g.Members[i].Keys[0] = ledgertest.Public(names[i])
		g.Members[i].Validator = ledgertest.Public("validator/" + names[i]).Key
	}
	ledgertest.Run(t, "testdata", ledgertest.Params{
		Modules: modules(), Authenticate: identity.Authenticate, Params: governance.LedgerParams, Genesis: map[string]any{"governance": g},
	})
}
