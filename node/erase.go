package node

import (
	"context"
	"errors"
	"fmt"

	"salus/custody"
	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
	"salus/vault"
)

// outside erases what this organisation keeps beyond its custodian's store.
type outside struct{ n *Node }

// Ciphertext implements custody.Outside.
func (o outside) Ciphertext(ctx context.Context, id vault.PackID, blobs []vault.Address) error {
	if blobs == nil {
		b, err := o.n.vault.ReadPack(ctx, id)
		if errors.Is(err, vault.ErrNotFound) {
			return nil // it never was here, or blobs of it were erased: those that are left come by their addresses
		}
		if err != nil {
			return err
		}
		p, err := vault.DecodePack(b)
		if err != nil {
			return err
		}
		blobs = p.Addresses
	}
	if len(blobs) == 0 {
		return nil
	}
	return o.n.vault.Drop(ctx, blobs)
}

// Records implements custody.Outside: first the clinical store and what feeds have still to send of it, whose contents are
// found by what the records hold, then the records. It may be repeated.
func (o outside) Records(ctx context.Context, c erasure.Case, erased []custody.Blob) error {
	var patients []tx.Account
	if c.Scope == erasure.Patient {
		patients = []tx.Account{c.Patient}
	}
	return o.records(ctx, patients, []tx.Hash{c.Batch}, erased)
}

func (o outside) records(ctx context.Context, patients []tx.Account, batches []tx.Hash, erased []custody.Blob) error {
	var ids []record.ID
	for i := range erased {
		ids = append(ids, erased[i].Record)
	}
	e, ids, err := o.erasureOf(patients, batches, ids)
	if err != nil {
		return err
	}
	if err := o.n.fhir.store.Erase(ctx, e); err != nil {
		return err
	}
	if err := o.n.feeds.erase(e); err != nil {
		return err
	}
	for _, p := range patients {
		if err := o.n.record.ErasePatient(ctx, p); err != nil {
			return err
		}
	}
	return o.n.record.Erase(ctx, ids)
}

// erasureOf is what the clinical store may have of these patients, batches and records, and the records with those of the
// patients.
func (o outside) erasureOf(patients []tx.Account, batches []tx.Hash, ids []record.ID) (e store.Erasure, all []record.ID, err error) {
	headers, err := o.n.custody.Headers()
	if err != nil {
		return e, nil, err
	}
	for _, h := range append(headers, batches...) {
		if h != (tx.Hash{}) {
			e.Records = append(e.Records, h.String())
		}
	}
	for _, p := range patients {
		of, err := o.n.record.OfPatient(p)
		if err != nil {
			return e, nil, err
		}
		ids = append(ids, of...)
		ref, err := o.n.record.Reference(p)
		if err != nil && !errors.Is(err, record.ErrUnknownPatient) {
			return e, nil, err
		}
		if err == nil {
			e.Owners = append(e.Owners, ref)
		}
	}
	named, err := o.n.record.Named(ids)
	for _, n := range named {
		e.Versions = append(e.Versions, store.Named{Type: n.Type, ID: n.ID, VID: n.Version})
	}
	return e, ids, err
}

// reconcile brings stores that may be older copies to what the ledger says is erased, before
// anything is served.
func (n *Node) reconcile(ctx context.Context) error {
	if err := n.custody.Reconcile(ctx); err != nil {
		return err
	}
	blobs, err := n.custody.Blobs()
	if err != nil {
		return err
	}
	patients, err := n.erasedPatients()
	if err == nil && len(blobs) > 0 {
		err = outside{n}.Ciphertext(ctx, vault.PackID{}, custody.Addresses(blobs))
	}
	if err == nil && (len(blobs) > 0 || len(patients) > 0) {
		err = outside{n}.records(ctx, patients, nil, blobs)
	}
	if err != nil {
		return fmt.Errorf("node: erasure: %w", err)
	}
	return nil
}

// erasedPatients are those whom this organisation knows and the ledger calls erased.
func (n *Node) erasedPatients() (out []tx.Account, err error) {
	known, err := n.record.Patients()
	if err != nil {
		return nil, err
	}
	v := n.app.View()
	defer v.Close()
	for _, p := range known {
		if erasure.PatientErased(v, p.Patient) {
			out = append(out, p.Patient)
		}
	}
	return out, nil
}
