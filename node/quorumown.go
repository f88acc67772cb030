package node

import (
	"context"
	"errors"
	"strings"

	"salus/gateway/balp"
	"salus/gateway/portal"
	"salus/ledger/module/anchor"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// ownRecords is what the portal gives a patient of this organisation's own store while no session can be opened.
type ownRecords struct{ n *Node }

// Written implements portal.Own. The event is in the journal before anything is given out; its head is
// anchored when the ledger goes on.
func (o ownRecords) Written(ctx context.Context, patient tx.Account, f func(w portal.Written, body []byte) error) error {
	list, err := o.n.record.Records(patient)
	if err != nil {
		return err
	}
	who := balp.Who{Value: patient.String()}
	if reference, ok := desk(o).Reference(patient); ok {
		who = balp.Who{Reference: reference}
	}
	err = o.n.fhir.event(ctx, balp.Event{
		Kind: balp.Disclose, Outcome: balp.Success, User: who, Recipient: who, Patient: who, Client: balp.Who{Display: "Salus portal"}, Purposes: consent.PurposesOf(consent.PATRQT),
		Query: "GET /api/own", Count: uint32(min(len(list), 1<<31)), What: "her own record, while the ledger stood still", Basis: balp.ToIndividual,
	})
	if err != nil {
		return err
	}
	v := o.n.app.View()
	defer v.Close()
	for _, r := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Erased || strings.HasPrefix(r.Type, "x-") {
			continue // gone, or the author's own index and maps
		}
		body, _, err := o.n.record.Body(r.ID)
		if errors.Is(err, record.ErrErased) {
			continue // meanwhile
		}
		if err != nil {
			return err
		}
		w := portal.Written{ID: r.ID.String(), Type: r.Type}
		if b, ok := anchor.Lookup(v, r.Batch); ok && !r.Batch.IsZero() {
			w.Time, w.Index = b.Time, b.Index
		}
		if err := f(w, body); err != nil {
			return err
		}
	}
	return nil
}
