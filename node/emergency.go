package node

import (
	"time"

	"salus/gateway/summary"
	"salus/store"
)

// openKeeper keeps the summaries that emergencies open first, if the configuration wants them.
func (n *Node) openKeeper(st *store.Store) *summary.Keeper {
	if n.cfg.FHIR.Summary.Duration == 0 {
		return nil
	}
	return &summary.Keeper{KeeperConfig: summary.KeeperConfig{
		Config: summary.Config{Author: "Salus node " + n.cfg.Name, Custodian: n.cfg.Name}, Store: st, Records: n.record,
		View: n.app.View, Changed: n.hub.Changed, Quiet: n.cfg.FHIR.Summary.Duration, Now: time.Now, Log: n.log,
	}}
}
