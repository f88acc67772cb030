package audit

import "salus/ledger"

// Module returns the module's description for the ledger. It has nothing in the genesis.
func Module() ledger.Module {
	return ledger.Module{
		Name:    "audit",
		Prefix:  Prefix,
		Calls:   []ledger.Call{ledger.On(KindJournal, journal)},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}
