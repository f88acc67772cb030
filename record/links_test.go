package record

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/vault"
)

// pass asks the gate about a step.
func (o *org) pass(ctx context.Context, step string) error {
	o.mu.Lock()
	gate := o.gate
	o.mu.Unlock()
	if gate == nil {
		return nil
	}
	return gate(ctx, step)
}

func (o *org) setGate(gate func(ctx context.Context, step string) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gate = gate
}

func (o *org) setDown(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

// away stops the organisation's custodian, which answers nobody any more.
func (o *org) away() {
	o.setDown(true)
	o.serving.Lock() // whoever is being answered is answered
	stop := o.stop
	o.stop = func() {}
	o.serving.Unlock()
	stop()
}

// restart ends the organisation's custodian and starts it again.
func (o *org) restart() {
	o.Helper()
	o.away()
	o.setGate(nil)
	o.serving.Lock()
	defer o.serving.Unlock()
	o.runCustody()
	o.setDown(false)
}

func (o *org) isDown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down
}

// Submit implements Submitter for the organisation itself.
func (o *org) Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	if step := map[tx.Kind]string{anchor.KindPut: stepPut, anchor.KindReceipts: stepTell}[kind]; step != "" {
		if err := o.pass(ctx, step); err != nil {
			return client.Committed{}, err
		}
	}
	got, err := o.submit(kind, msg, signer(o.name))
	if kind == anchor.KindPut && err == nil {
		err = o.pass(ctx, stepAfter)
	}
	return got, err
}

// Call implements Links: the other side sees only bytes.
func (o *org) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	step := map[string]string{exchange.PathKey: stepKeys, exchange.PathParcels: stepParcel}[path]
	if err := o.pass(ctx, step); err != nil {
		return err
	}
	other, err := o.reach(to)
	if err != nil {
		return err
	}
	question := tx.MustEncode(req)
	o.hear(question)
	b, err := other.serve(ctx, account(o.name), path, question)
	o.hear(b)
	if err != nil || resp == nil {
		return err
	}
	return tx.DecodeAny(b, resp, len(b))
}

func (o *org) reach(to tx.Account) (*org, error) {
	for _, other := range o.orgs {
		if account(other.name) == to && !other.isDown() {
			return other, nil
		}
	}
	return nil, client.ErrUnreachable
}

func (o *org) serve(ctx context.Context, from tx.Account, path string, b []byte) ([]byte, error) {
	o.serving.RLock()
	defer o.serving.RUnlock()
	if o.isDown() {
		return nil, client.ErrUnreachable
	}
	switch path {
	case exchange.PathParcels:
		return answer(b, func(l *exchange.Load) (*exchange.LoadReply, error) { return o.custody.AcceptLoad(ctx, from, l) })
	case exchange.PathParcelOf:
		return answer(b, func(q *exchange.ParcelRequest) (*exchange.Parcel, error) { return o.custody.Parcel(ctx, from, q) })
	case exchange.PathKey:
		return answer(b, func(q *exchange.KeyRequest) (*exchange.KeyReply, error) { return o.custody.Key(ctx, q) })
	case exchange.PathSubdeal:
		return answer(b, func(q *exchange.SubdealRequest) (*exchange.Sealed, error) { return o.custody.Subdealt(ctx, from, q) })
	case exchange.PathLocate:
		return answer(b, func(q *exchange.LocateRequest) (*exchange.Sealed, error) { return o.custody.Locate(ctx, q) })
	case exchange.PathRelease:
		return answer(b, func(q *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) { return o.custody.Release(ctx, q) })
	case exchange.PathOpenings:
		return answer(b, func(q *exchange.OpeningsRequest) (*exchange.Sealed, error) { return o.custody.Openings(ctx, q) })
	case exchange.PathSlots:
		return answer(b, func(q *exchange.SlotsRequest) (*exchange.SlotsReply, error) { return o.record.Slots(ctx, from, q) })
	}
	return nil, fmt.Errorf("no path %s", path)
}

func answer[Q, A any](b []byte, f func(*Q) (*A, error)) ([]byte, error) {
	q := new(Q)
	if err := tx.DecodeAny(b, q, len(b)); err != nil {
		return nil, err
	}
	a, err := f(q)
	if err != nil {
		return nil, err
	}
	return tx.Encode(a)
}

// Upload implements Links.
func (o *org) Upload(ctx context.Context, to tx.Account, _, arg string, body io.Reader, size int64) error {
	if err := o.pass(ctx, stepPack); err != nil {
		return err
	}
	other, err := o.reach(to)
	if err != nil {
		return err
	}
	id, err := vault.ParsePackID(arg)
	if err != nil {
		return err
	}
	var pack bytes.Buffer
	if err := other.vault.ImportPack(ctx, id, io.TeeReader(body, &pack), size); err != nil {
		return err
	}
	o.hear(pack.Bytes())
	return other.custody.PackArrived(id)
}

// Download implements Links.
func (o *org) Download(ctx context.Context, to tx.Account, _, arg string) (io.ReadCloser, int64, error) {
	other, err := o.reach(to)
	if err != nil {
		return nil, 0, err
	}
	raw, err := hex.DecodeString(arg)
	if err != nil {
		return nil, 0, err
	}
	b, err := other.vault.Get(ctx, vault.Address(raw))
	o.hear(b)
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), err
}

// enrol is the EnrolFunc of an organisation.
func (o *org) enrol(ctx context.Context, patient tx.Account, claim tx.Hash) error {
	_, err := o.Submit(ctx, identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim})
	return err
}
