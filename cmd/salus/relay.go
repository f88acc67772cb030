package main

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// relay is how a wallet reaches ledger and custodians: through a node that passes on
// sealed answers it cannot open.
type relay struct{ api *client.API }

func (r relay) reading(chain string) record.Reading {
	return record.Reading{ChainID: chain, Chain: r, Custodians: r}
}

// Committee implements record.Chain.
func (r relay) Committee(ctx context.Context) (c record.Committee, err error) {
	return c, r.api.CBOR(ctx, "GET", "/v1/relay/committee", nil, &c)
}

// Anchored implements record.Chain.
func (r relay) Anchored(ctx context.Context, header tx.Hash) (*exchange.Anchored, error) {
	var a exchange.Anchored
	return &a, r.api.CBOR(ctx, "GET", "/v1/relay/batch/"+header.String(), nil, &a)
}

// Session implements record.Chain.
func (r relay) Session(ctx context.Context, id tx.Hash) (s access.Session, err error) {
	return s, r.api.CBOR(ctx, "GET", "/v1/relay/session/"+id.String(), nil, &s)
}

// Locate implements record.Custodians.
func (r relay) Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	var out exchange.Sealed
	return &out, r.api.CBOR(ctx, "POST", "/v1/relay/"+custodian.String()+"/locate", req, &out)
}

// Release implements record.Custodians.
func (r relay) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	var out exchange.ReleaseReply
	return &out, r.api.CBOR(ctx, "POST", "/v1/relay/"+custodian.String()+"/release", req, &out)
}

// Ciphertext implements record.Custodians.
func (r relay) Ciphertext(ctx context.Context, holders []tx.Account, address [32]byte) ([]byte, error) {
	q := url.Values{}
	for _, h := range holders {
		q.Add("holder", h.String())
	}
	return r.api.Bytes(ctx, "GET", "/v1/relay/blob/"+hex.EncodeToString(address[:])+"?"+q.Encode(), nil)
}

// readOwn opens a session of the patient's own and reads everything.
func readOwn(e *env, path string) (*record.Result, error) {
	w, api, by, err := e.wallet(path)
	if err != nil {
		return nil, err
	}
	s, err := record.OpenSession(e.ctx, relay{api}.reading(w.Chain), by, w.Patient, consent.PATRQT, 10*time.Minute)
	if err != nil {
		return nil, err
	}
	found, err := s.Locate(e.ctx)
	if err != nil {
		return nil, err
	}
	var clinical []record.Located
	for _, l := range found {
		if l.Clinical() {
			clinical = append(clinical, l)
		}
	}
	if len(clinical) == 0 {
		return &record.Result{}, s.Close(e.ctx)
	}
	res, err := s.Read(e.ctx, clinical)
	return res, errors.Join(err, s.Close(e.ctx))
}
