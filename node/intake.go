package node

import (
	"context"
	"maps"
	"net/http"
	"path/filepath"
	"time"

	"salus/fhir/definition"
	"salus/gateway/balp"
	"salus/gateway/intake"
	"salus/ledger/module/consent"
)

// parts are what the gateway's listener serves beside its own API.
func (n *Node) parts() map[string]http.Handler {
	p := n.fhir
	s := intake.New(intake.Config{
		Store: p.store, Params: p.index, Set: definition.R4(), Base: n.cfg.FHIRBase(), Admit: p.chart.Admit, Check: p.server.Check, Transact: p.within.execute, Room: n.space.fhir,
		Event: p.asked, Mappings: filepath.Join(n.cfg.Home, "mappings"), Now: time.Now, Log: n.log,
	})
	out := map[string]http.Handler{intake.PathCCDA: s, intake.PathCSV: s}
	maps.Copy(out, p.handlers())
	return out
}

// asked puts into the log what the sender of a request did; nil says that it is on disk.
func (p *fhirPart) asked(r *http.Request, e balp.Event) error {
	if a, err := p.front.Asker(r); err == nil { // who is refused is nobody
		e.User = a.User
		if a.Client != "" {
			e.Client.Display = a.Client
		}
		if a.Purpose != 0 {
			e.Purposes = consent.PurposesOf(a.Purpose)
		}
	}
	e.Request = balp.RequestID(r)
	return p.event(context.WithoutCancel(r.Context()), e)
}
