package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"salus/client"
	"salus/fhir"
	"salus/gateway/intake"
	"salus/gateway/rest"
	"salus/gateway/smart"
	"salus/internal/peer"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

// A Problem is an error on the wire. Code is stable: "0x0601" for a refusal of the
// ledger, a word for everything else.
type Problem struct {
	Code string `json:"code"`
	Text string `json:"text"`
	// Status is the HTTP status; it is not in the body.
	Status int `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

var (
	errToken    = &Problem{"token", "gateway: the bearer token in the node's home is needed", http.StatusUnauthorized}
	errArgument = &Problem{"argument", "gateway: an argument of the request is missing or malformed", http.StatusBadRequest}
	errUnknown  = &Problem{"unknown", "gateway: there is no such thing here", http.StatusNotFound}
	errErased   = &Problem{"erased", "gateway: it was here and is erased", http.StatusGone}
	errSession  = &Problem{"session", "gateway: no such session here; sessions live in memory and end when the node stops", http.StatusNotFound}
	errTooLarge = &Problem{"too-large", "gateway: the request is larger than allowed", http.StatusRequestEntityTooLarge}
	errMedia    = &Problem{"media-type", "gateway: an import is application/fhir+json, or application/fhir+ndjson with a resource a line", http.StatusUnsupportedMediaType}
	errInternal = &Problem{"internal", "gateway: the node failed; its log says why", http.StatusInternalServerError}
	errAway     = &Problem{"unreachable", "gateway: too few members can be reached for this at the moment", http.StatusServiceUnavailable}
	errListLost = &Problem{"session-lost", "gateway: whether the last record list was committed is unknown; open another session", http.StatusConflict}
	errBusy     = &Problem{"busy", "gateway: the ledger takes no transactions at the moment; try again", http.StatusServiceUnavailable}
)

// problemOf is the one place where an error becomes an answer. What it does not know is
// "internal": logged here, and without a word of it sent.
func (g *Gateway) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	var refusal *tx.Refusal
	var large *http.MaxBytesError
	var issue *fhir.Issue
	var taking *intake.Problem
	var fault *rest.Fault
	switch {
	case errors.As(err, &p):
		return p
	case feedProblem(err) != nil:
		return feedProblem(err)
	case errors.Is(err, client.ErrUnsettled): // before a refusal that may be with it
		return g.unsettled()
	case errors.Is(err, client.ErrNoQuorum):
		return g.noQuorum()
	case errors.As(err, &large): // before what a reader made of it
		return errTooLarge
	case errors.As(err, &taking):
		return &Problem{taking.Code, taking.Text, taking.Status}
	case errors.As(err, &fault) && len(fault.Issues) > 0:
		return &Problem{fault.Issues[0].Code, fault.Issues[0].Text, fault.Status}
	case errors.As(err, &issue):
		return &Problem{issue.Code, issue.Error(), http.StatusUnprocessableEntity}
	case errors.Is(err, record.ErrNoSpace):
		return &Problem{fmt.Sprintf("%#04x", record.ErrNoSpace.Code), record.ErrNoSpace.Text, http.StatusInsufficientStorage}
	case errors.As(err, &refusal):
		return &Problem{fmt.Sprintf("%#04x", refusal.Code), refusal.Text, http.StatusUnprocessableEntity}
	case errors.Is(err, record.ErrUnknownPatient):
		return &Problem{"patient", err.Error(), http.StatusNotFound}
	case errors.Is(err, record.ErrTooFew), errors.Is(err, peer.ErrUnreachable), errors.Is(err, client.ErrUnreachable):
		g.Log.WarnContext(ctx, "members_unreachable", "err", err)
		return errAway
	case errors.Is(err, smart.ErrClient), errors.Is(err, smart.ErrLaunch):
		return &Problem{"app", err.Error(), http.StatusUnprocessableEntity}
	case errors.Is(err, record.ErrErased):
		return errErased
	case errors.Is(err, record.ErrUnknownRecord), errors.Is(err, vault.ErrNotFound), errors.Is(err, smart.ErrNoRow):
		return errUnknown
	case errors.Is(err, record.ErrSessionLost):
		return errListLost
	case errors.Is(err, record.ErrClosed):
		return errAway
	case errors.Is(err, client.ErrBusy):
		return errBusy
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(ctx.Err(), context.Canceled): // the caller has gone, whatever the database calls that
		return errAway
	}
	g.Log.ErrorContext(ctx, "request_failed", "err", err)
	return errInternal
}

func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := g.problemOf(r.Context(), err)
	w.Header().Set("Content-Type", "application/json")
	later(w, p)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller sees a short body
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
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

func accountOf(r *http.Request, name string) (tx.Account, error) {
	a, err := tx.ParseAccount(r.PathValue(name))
	if err != nil {
		return a, errArgument
	}
	return a, nil
}

func hashOf(r *http.Request, name string) (tx.Hash, error) {
	h, err := tx.ParseHash(r.PathValue(name))
	if err != nil {
		return h, errArgument
	}
	return h, nil
}
