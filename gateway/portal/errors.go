package portal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"salus/client"
	"salus/internal/peer"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

// A Problem is an error on the wire. Code is stable: "0x0601" for a refusal of the ledger, a
// word for everything else.
type Problem struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Status int    `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

var (
	errOrigin    = &Problem{"origin", "portal: the request did not come from this portal's own pages", http.StatusForbidden}
	errSession   = &Problem{"session", "portal: sign in first; sessions end when they are not used", http.StatusUnauthorized}
	errRole      = &Problem{"role", "portal: this session's holder may not do that", http.StatusForbidden}
	errAccount   = &Problem{"account", "portal: that is not this session's account", http.StatusForbidden}
	errArgument  = &Problem{"argument", "portal: an argument of the request is missing or malformed", http.StatusBadRequest}
	errTooLarge  = &Problem{"too-large", "portal: the request is larger than allowed", http.StatusRequestEntityTooLarge}
	errUnknown   = &Problem{"unknown", "portal: there is no such thing here", http.StatusNotFound}
	errProof     = &Problem{"proof", "portal: the signature is not one by a live key of that account over this challenge", http.StatusUnauthorized}
	errRate      = &Problem{"rate", "portal: too many tries; wait a minute", http.StatusTooManyRequests}
	errSignUp    = &Problem{"sign-up", "portal: this organisation opens no accounts on the web; ask it for a claim code", http.StatusForbidden}
	errClaim     = &Problem{"claim", "portal: that code opens nothing here: it is wrong, was replaced, or was used", http.StatusNotFound}
	errStale     = &Problem{"stale", "portal: sign in again for this: it was too long ago", http.StatusForbidden}
	errPasskey   = &Problem{"passkey", "portal: that is no passkey of this host with a verified user", http.StatusBadRequest}
	errPasskeys  = &Problem{"passkeys", "portal: that passkey is registered already, or there are as many as one person may have", http.StatusConflict}
	errNoPasskey = &Problem{"no-passkey", "portal: no passkey is registered for this person; sign in anew for the purpose", http.StatusConflict}
	errClaimed   = &Problem{"claimed", "portal: that code was used already", http.StatusConflict}
	errFull      = &Problem{"full", "portal: too many sessions or sign-ins are open; try again in a minute", http.StatusServiceUnavailable}
	errAway      = &Problem{"unreachable", "portal: too few members can be reached for this at the moment", http.StatusServiceUnavailable}
	errStill     = &Problem{fmt.Sprintf("%#04x", client.ErrNoQuorum.Code), client.ErrNoQuorum.Text, http.StatusServiceUnavailable}
	errBusy      = &Problem{"busy", "portal: the ledger takes no transactions at the moment; try again", http.StatusServiceUnavailable}
	// errUnsettled is said of what was sent before the ledger stood still.
	errUnsettled = &Problem{client.CodeUnsettled, client.ErrUnsettled.Error(), http.StatusServiceUnavailable}
	errInternal  = &Problem{"internal", "portal: the node failed; its log says why", http.StatusInternalServerError}
)

// problemOf is the one place where an error becomes an answer. What it does not know is "internal".
func (p *Portal) problemOf(ctx context.Context, err error) *Problem {
	var problem *Problem
	var refusal *tx.Refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.Is(err, client.ErrUnsettled):
		return errUnsettled
	case errors.Is(err, client.ErrNoQuorum):
		return errStill
	case errors.As(err, &large):
		return errTooLarge
	case errors.As(err, &refusal):
		return &Problem{fmt.Sprintf("%#04x", refusal.Code), refusal.Text, http.StatusUnprocessableEntity}
	case errors.Is(err, vault.ErrNotFound), errors.Is(err, record.ErrUnknownRecord), errors.Is(err, record.ErrUnknownPatient):
		return errUnknown
	case errors.Is(err, client.ErrBusy):
		return errBusy
	case errors.Is(err, record.ErrTooFew), errors.Is(err, peer.ErrUnreachable), errors.Is(err, client.ErrUnreachable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(ctx.Err(), context.Canceled): // the caller has gone, whatever the database calls that
		return errAway
	}
	p.Log.ErrorContext(ctx, "portal_request_failed", "err", err)
	return errInternal
}

func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := p.problemOf(r.Context(), err)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if problem.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	w.WriteHeader(problem.Status)
	_ = json.NewEncoder(w).Encode(problem)
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

func cbor(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Type", "application/cbor")
	_, err := w.Write(b)
	return err
}

// body decodes a JSON request strictly: one value, no unknown fields, nothing behind it.
func body(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return errArgument
}
