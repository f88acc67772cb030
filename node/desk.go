package node

import (
	"context"
	"crypto/rand"
	"fmt"

	"salus/client"
	"salus/gateway/portal"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// desk is what the portal asks for clinicians.
type desk struct{ n *Node }

// Opened implements portal.Desk.
func (d desk) Opened(name, purpose, reference string) (session tx.Hash, ok bool) {
	patient, err := d.n.record.Known(reference)
	if err != nil {
		return session, false
	}
	p, err := consent.ParsePurpose(purpose)
	if err != nil {
		return session, false
	}
	return d.n.fhir.chart.Opened(name, patient, p)
}

// Close implements portal.Desk.
func (d desk) Close(ctx context.Context, name string, session tx.Hash) error {
	return d.n.fhir.chart.Close(ctx, name, session)
}

// Consent implements portal.Desk.
func (d desk) Consent(patient tx.Account) uint64 {
	v := d.n.app.View()
	defer v.Close()
	return consent.HeadOf(v, patient).Version
}

// Pseudonym implements portal.Desk.
func (d desk) Pseudonym(reference string) (tx.Account, bool) {
	patient, err := d.n.record.Known(reference)
	return patient, err == nil
}

// Reference implements portal.Desk.
func (d desk) Reference(patient tx.Account) (reference string, ok bool) {
	reference, err := d.n.record.Reference(patient)
	return reference, err == nil && reference != "" // who enrolled herself has none before she is adopted
}

// Adopt implements portal.Desk. The reference is random: the pseudonym would go wherever her
// resources go.
func (d desk) Adopt(patient tx.Account) (reference string, err error) {
	reference = "Patient/" + rand.Text()
	if err := d.n.record.Adopt(patient, reference); err != nil {
		return "", err
	}
	return reference, nil
}

// Txs implements portal.Chain.
func (r replica) Txs(ctx context.Context, height int64) ([]portal.Tx, error) {
	c := r.comet.Load()
	if c == nil {
		return nil, client.ErrUnreachable
	}
	block, err := c.rpc.Block(ctx, &height)
	if err != nil {
		return nil, fmt.Errorf("node: block: %w", err)
	}
	out := []portal.Tx{}
	for _, raw := range block.Block.Txs {
		e, b, err := tx.DecodeEnvelope(raw)
		if err != nil {
			continue // none of the ledger's: it was refused
		}
		t := portal.Tx{Kind: b.Kind, Bytes: len(raw), Signer: b.Signer}
		// CometBFT keeps no results here; the replica keeps the last of each id, if it was there.
		if r, ok := r.app.Result(tx.Digest(e.Body, b.Chain)); ok && r.Height == height {
			t.Known, t.Code = true, r.Code
		}
		out = append(out, t)
	}
	return out, nil
}
