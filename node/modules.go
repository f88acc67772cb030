package node

import (
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/lookup"
	"salus/ledger/module/merge"
	"salus/ledger/module/recovery"
	"salus/ledger/module/reshare"
)

// Modules lists every module in the order in which blocks run them. The order is part of
// consensus: adding at the end needs a new state-machine version, reordering a good reason.
func Modules() []ledger.Module {
	return append([]ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(),
		emergency.Module(),
		erasure.Module(), recovery.Module(),
		reshare.Module(),
		lookup.Module(), merge.Module(),
	}, later()...)
}

// Calls lists what may be sent, in the order of the modules.
func Calls() []ledger.Call {
	var out []ledger.Call
	for _, m := range Modules() {
		out = append(out, m.Calls...)
	}
	return out
}

// EntryName is the name of a kind of log entry, "unknown" for one this program does not know.
func EntryName(kind ledger.EntryKind) string {
	for _, m := range Modules() {
		for _, e := range m.Entries {
			if e.Kind == kind {
				return e.Name
			}
		}
	}
	return "unknown"
}
