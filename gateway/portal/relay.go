package portal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"

	"golang.org/x/sync/errgroup"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/tx"
	"salus/vault"
)

// mine returns a ledger session that is about the portal session's patient, or that she opened.
// Of any other it is not even said that it exists.
func (p *Portal) mine(ctx context.Context, id tx.Hash, s *session) (access.Session, error) {
	ls, err := p.Reading.Session(ctx, id)
	if err != nil || ls.Patient != s.account && ls.Actor != s.account {
		return access.Session{}, errUnknown
	}
	return ls, nil
}

// opened is mine for what only she who opened it can use.
func (p *Portal) opened(ctx context.Context, id tx.Hash, s *session) error {
	ls, err := p.mine(ctx, id, s)
	if err == nil && ls.Actor != s.account {
		return errAccount
	}
	return err
}

// relay passes a wallet's question to a custodian and the sealed answer back.
func relay[Q, A any](w http.ResponseWriter, r *http.Request, check func(*Q) error, call func(context.Context, tx.Account, *Q) (*A, error)) error {
	to, err := tx.ParseAccount(r.PathValue("custodian"))
	if err != nil {
		return errArgument
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var q Q
	if err := tx.DecodeAny(b, &q, len(b)); err != nil {
		return errArgument
	}
	if err := check(&q); err != nil {
		return err
	}
	a, err := call(r.Context(), to, &q)
	if err != nil {
		return err
	}
	return encoded(w, a)
}

func encoded(w http.ResponseWriter, v any) error {
	b, err := tx.Encode(v)
	if err != nil {
		return err
	}
	return cbor(w, b)
}

func (p *Portal) relayLocate(w http.ResponseWriter, r *http.Request, s *session) error {
	return relay(w, r, func(q *exchange.LocateRequest) error { return p.opened(r.Context(), q.Session, s) }, p.Relay.Locate)
}

func (p *Portal) relayRelease(w http.ResponseWriter, r *http.Request, s *session) error {
	return relay(w, r, func(q *exchange.ReleaseRequest) error { return p.opened(r.Context(), q.Session, s) }, p.Relay.Release)
}

func (p *Portal) relayOpenings(w http.ResponseWriter, r *http.Request, s *session) error {
	return relay(w, r, func(q *exchange.OpeningsRequest) error {
		ls, err := p.mine(r.Context(), q.Session, s)
		if err == nil && ls.Patient != s.account {
			return errAccount
		}
		return err
	}, p.Relay.Openings)
}

// relayBlob serves ciphertext by its address, which says nothing of whose it is.
func (p *Portal) relayBlob(w http.ResponseWriter, r *http.Request, _ *session) error {
	address, err := vault.ParseAddress(r.PathValue("address"))
	if err != nil {
		return errArgument
	}
	var holders []tx.Account
	for _, h := range r.URL.Query()["holder"] {
		a, err := tx.ParseAccount(h)
		if err != nil || len(holders) == 64 {
			return errArgument
		}
		holders = append(holders, a)
	}
	b, err := p.Relay.Ciphertext(r.Context(), holders, address)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err = w.Write(b)
	return err
}

// maxBlobs is how many ciphertexts one request asks for.
const maxBlobs = 64

// relayBlobs serves several ciphertexts of the same holders at once, each behind its length in four
// bytes, big endian, in the order of the request; one that nobody has is left out with the length
// 2^32 - 1. What a record costs is then not a request.
func (p *Portal) relayBlobs(w http.ResponseWriter, r *http.Request, _ *session) error {
	var in struct {
		Addresses []string     `json:"addresses"`
		Holders   []tx.Account `json:"holders"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Addresses) == 0 || len(in.Addresses) > maxBlobs || len(in.Holders) > 64 {
		return errArgument
	}
	addresses := make([]vault.Address, len(in.Addresses))
	for i, a := range in.Addresses {
		var err error
		if addresses[i], err = vault.ParseAddress(a); err != nil {
			return errArgument
		}
	}
	found := make([][]byte, len(addresses))
	var g errgroup.Group
	g.SetLimit(8)
	for i, a := range addresses {
		g.Go(func() error {
			if b, err := p.Relay.Ciphertext(r.Context(), in.Holders, a); err == nil {
				found[i] = b
			}
			return nil // it is told as missing
		})
	}
	if err := errors.Join(g.Wait(), r.Context().Err()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	for _, b := range found {
		n := uint32(math.MaxUint32)
		if b != nil {
			n = uint32(len(b)) // a ciphertext is at most some 17 MiB
		}
		if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, n), b...)); err != nil {
			return err
		}
	}
	return nil
}

// relayBatch answers what the ledger says of a batch: whose it is, is committed to, not said.
func (p *Portal) relayBatch(w http.ResponseWriter, r *http.Request, _ *session) error {
	header, err := tx.ParseHash(r.PathValue("header"))
	if err != nil {
		return errArgument
	}
	a, err := p.Reading.Anchored(r.Context(), header)
	if err != nil {
		return errUnknown
	}
	return encoded(w, a)
}

func (p *Portal) relaySession(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := tx.ParseHash(r.PathValue("session"))
	if err != nil {
		return errArgument
	}
	ls, err := p.mine(r.Context(), id, s)
	if err != nil {
		return err
	}
	return encoded(w, ls)
}

func (p *Portal) relayCommittee(w http.ResponseWriter, r *http.Request, _ *session) error {
	c, err := p.Reading.Committee(r.Context())
	if err != nil {
		return err
	}
	return encoded(w, c)
}
