package node

import (
	"context"

	"salus/client"
	"salus/fhir/definition"
	"salus/gateway/intake"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// importer takes files of FHIR resources in, by way of the FHIR server. member signs as the organisation.
func (n *Node) importer(member *client.Submitter) *intake.Importer {
	p := n.fhir
	return intake.NewImporter(intake.ImportConfig{
		Load: p.server.LoadNew, Lead: p.server.Lead, Owner: p.index.Owner, Local: p.index.Local, Await: p.chart.Await, Event: p.asked,
		Enrol: func(ctx context.Context, reference string) (tx.Account, error) {
			return n.record.Enrol(ctx, reference, func(ctx context.Context, patient tx.Account, claim tx.Hash) error {
				_, err := member.Repeatable().Submit(ctx, identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim})
				return err
			})
		},
		Free: n.record.Room, Dir: n.cfg.Data("fhir"), Set: definition.R4(), Log: n.log,
	})
}
