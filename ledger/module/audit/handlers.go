package audit

import "salus/ledger"

// Module returns the module's description for the ledger. It takes no
// transactions and has nothing in the genesis.
func Module() ledger.Module {
	return ledger.Module{
		Name:    "audit",
		Prefix:  Prefix,
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}
