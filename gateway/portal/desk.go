package portal

import (
	"context"
	"errors"
	"net/http"

	"salus/ledger"
	"salus/ledger/tx"
	"salus/record"
)

// A Desk is what the portal asks for clinicians beside the FHIR server.
type Desk interface {
	// Opened is the ledger session under which a practitioner has a patient's chart open; reference is
	// "Patient/<id>", purpose an HL7 code.
	Opened(name, purpose, reference string) (session tx.Hash, ok bool)
	// Close ends a session of a practitioner's chart.
	Close(ctx context.Context, name string, session tx.Hash) error
	// Consent is the version of a patient's consents.
	Consent(patient tx.Account) uint64
	// Pseudonym is whom this organisation calls so, the inverse of Reference.
	Pseudonym(reference string) (patient tx.Account, ok bool)
	// Reference is what this organisation calls a patient; ok is false if it does not know her.
	Reference(patient tx.Account) (reference string, ok bool)
	// Adopt makes a patient known here under a fresh reference.
	Adopt(patient tx.Account) (reference string, err error)
}

// Chart is the answer of GET /api/chart and GET /api/chart/{session}: how a session stands, and
// nothing of what it allows.
type Chart struct {
	Session tx.Hash `json:"session"`
	Purpose string  `json:"purpose"`
	Height  uint64  `json:"height"`
	Opened  uint64  `json:"opened"`  // unix seconds
	Expires uint64  `json:"expires"` // unix seconds
	Now     uint64  `json:"now"`     // block time
	// State is "open", "expired", "closed", or "changed": the patient's consents changed, so that a
	// new session has to be asked for.
	State string `json:"state"`
}

// States of a Chart.
const (
	chartOpen    = "open"
	chartExpired = "expired"
	chartClosed  = "closed"
	chartChanged = "changed"
)

// chartOf answers the session of the chart that this clinician has open: ?patient=Patient/<id>.
func (p *Portal) chartOf(w http.ResponseWriter, r *http.Request, s *session) error {
	reference := r.URL.Query().Get("patient")
	if p.Desk == nil || reference == "" {
		return errUnknown
	}
	id, ok := p.Desk.Opened(s.name, s.purpose, reference)
	if !ok {
		return errUnknown
	}
	return p.sendChart(w, r, id, s)
}

func (p *Portal) chartState(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := tx.ParseHash(r.PathValue("session"))
	if err != nil {
		return errArgument
	}
	return p.sendChart(w, r, id, s)
}

// sendChart answers how a session stands to who opened it; anybody else's is unknown.
func (p *Portal) sendChart(w http.ResponseWriter, r *http.Request, id tx.Hash, s *session) error {
	if p.Desk == nil {
		return errUnknown
	}
	x, err := p.Reading.Session(r.Context(), id)
	if errors.Is(err, record.ErrNoSession) || err == nil && x.Actor != s.account {
		return errUnknown
	}
	if err != nil {
		return err
	}
	c := Chart{Session: id, Height: x.Height, Opened: x.Opened, Expires: x.Expires, Now: max(p.Ledger.Head().Time, uint64(max(0, p.Now().Unix()))), State: chartOpen}
	if code, err := x.Purpose.MarshalText(); err == nil {
		c.Purpose = string(code)
	}
	switch {
	case x.Closed:
		c.State = chartClosed
	case c.Now >= x.Expires:
		c.State = chartExpired
	case p.Desk.Consent(x.Patient) > x.Consent:
		c.State = chartChanged
	}
	return answer(w, c)
}

func (p *Portal) closeChart(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := tx.ParseHash(r.PathValue("session"))
	if err != nil {
		return errArgument
	}
	if p.Desk == nil {
		return errUnknown
	}
	if x, err := p.Reading.Session(r.Context(), id); err != nil || x.Actor != s.account {
		return errUnknown
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTime)
	defer cancel()
	if err := p.Desk.Close(ctx, s.name, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Found is the answer of /api/patients/{account}; Reference is empty for a patient of the network
// whom this organisation does not know yet.
type Found struct {
	Account   tx.Account `json:"account"`
	Reference string     `json:"reference"`
}

// findPatient looks for the holder of a pseudonym, which she or her claim form told the clinician.
func (p *Portal) findPatient(w http.ResponseWriter, r *http.Request, _ *session) error {
	a, err := p.patientOf(r)
	if err != nil {
		return err
	}
	reference, _ := p.Desk.Reference(a)
	return answer(w, Found{a, reference})
}

// adoptPatient makes her known here, so that her chart can be asked for. It opens nothing.
func (p *Portal) adoptPatient(w http.ResponseWriter, r *http.Request, _ *session) error {
	a, err := p.patientOf(r)
	if err != nil {
		return err
	}
	reference, ok := p.Desk.Reference(a)
	if !ok {
		if reference, err = p.Desk.Adopt(a); err != nil {
			return err
		}
	}
	return answer(w, Found{a, reference})
}

func (p *Portal) patientOf(r *http.Request) (tx.Account, error) {
	a, err := tx.ParseAccount(r.PathValue("account"))
	if err != nil {
		return a, errArgument
	}
	if p.Desk == nil {
		return a, errUnknown
	}
	if who, ok := p.Ledger.Standing(a); !ok || who.Class != ledger.ClassPatient {
		return a, errUnknown
	}
	return a, nil
}
