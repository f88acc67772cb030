package gateway

import (
	"context"
	"io"
	"net/http"

	"salus/ledger/tx"
	"salus/vault"
)

// relay passes a wallet's question to a custodian and the sealed answer back.
func relay[Q, A any](w http.ResponseWriter, r *http.Request, call func(context.Context, tx.Account, *Q) (*A, error)) error {
	to, err := accountOf(r, "custodian")
	if err != nil {
		return err
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var q Q
	if err := tx.DecodeAny(b, &q, len(b)); err != nil {
		return errArgument
	}
	a, err := call(r.Context(), to, &q)
	if err != nil {
		return err
	}
	return cbor(w, a)
}

func cbor(w http.ResponseWriter, v any) error {
	b, err := tx.Encode(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, err = w.Write(b)
	return err
}

func (g *Gateway) relayLocate(w http.ResponseWriter, r *http.Request) error {
	return relay(w, r, g.Record.Reading().Custodians.Locate)
}

func (g *Gateway) relayRelease(w http.ResponseWriter, r *http.Request) error {
	return relay(w, r, g.Record.Reading().Custodians.Release)
}

func (g *Gateway) relayOpenings(w http.ResponseWriter, r *http.Request) error {
	return relay(w, r, g.Record.Openings)
}

// relayBlob serves ciphertext by its address, from this vault or from one of ?holder=.
func (g *Gateway) relayBlob(w http.ResponseWriter, r *http.Request) error {
	address, err := vault.ParseAddress(r.PathValue("address"))
	if err != nil {
		return errArgument
	}
	var holders []tx.Account
	for _, h := range r.URL.Query()["holder"] {
		a, err := tx.ParseAccount(h)
		if err != nil {
			return errArgument
		}
		holders = append(holders, a)
	}
	b, err := g.Record.Reading().Custodians.Ciphertext(r.Context(), holders, address)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err = w.Write(b)
	return err
}

// The three answers of record.Chain, for a wallet that has no replica.

func (g *Gateway) relayBatch(w http.ResponseWriter, r *http.Request) error {
	header, err := hashOf(r, "header")
	if err != nil {
		return err
	}
	a, err := g.Record.Reading().Chain.Anchored(r.Context(), header)
	if err != nil {
		return errUnknown
	}
	return cbor(w, a)
}

func (g *Gateway) relaySession(w http.ResponseWriter, r *http.Request) error {
	id, err := hashOf(r, "session")
	if err != nil {
		return err
	}
	s, err := g.Record.Reading().Chain.Session(r.Context(), id)
	if err != nil {
		return errUnknown
	}
	return cbor(w, s)
}

func (g *Gateway) relayCommittee(w http.ResponseWriter, r *http.Request) error {
	c, err := g.Record.Reading().Chain.Committee(r.Context())
	if err != nil {
		return err
	}
	return cbor(w, c)
}
