//go:build rehearsal

package node

import (
	"salus/ledger"
	"salus/ledger/module/rehearsal"
)

// later are the modules of versions that no release knows yet.
func later() []ledger.Module { return []ledger.Module{rehearsal.Module()} }
