package gateway

import (
	"net/http"
	"time"

	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/record"
)

var (
	errReason   = &Problem{"reason", "gateway: an emergency (BTG) needs a reason: OVRER, OVRINCOMP, OVRPJ, OVRPS or OVRTPS", http.StatusUnprocessableEntity}
	errNoReason = &Problem{"reason", "gateway: a reason belongs to an emergency (BTG) and to no other purpose", http.StatusUnprocessableEntity}
)

// reason returns the coded reason of an emergency, 0 for another purpose.
func (in *OpenSession) reason() (emergency.Reason, error) {
	if in.Purpose != consent.BTG {
		if in.Reason != "" {
			return 0, errNoReason
		}
		return 0, nil
	}
	r, err := emergency.ParseReason(in.Reason)
	if err != nil {
		return 0, errReason
	}
	return r, nil
}

// begin opens the session that is asked for.
func (g *Gateway) begin(r *http.Request, in *OpenSession) (*record.Session, error) {
	reason, err := in.reason()
	if err != nil {
		return nil, err
	}
	by, err := g.Staff.Signer(in.As)
	if err != nil {
		return nil, err
	}
	as, lasts := g.Client.As(by), time.Duration(in.Seconds)*time.Second
	if reason != 0 {
		return record.OpenEmergency(r.Context(), g.Record.Reading(), as, in.Patient, reason, lasts)
	}
	return record.OpenSession(r.Context(), g.Record.Reading(), as, in.Patient, in.Purpose, lasts)
}

// widen takes the second step of an emergency.
func (g *Gateway) widen(w http.ResponseWriter, r *http.Request) error {
	s, err := g.sessions.get(r)
	if err != nil {
		return err
	}
	if err := s.Widen(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
