package oversight

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/pcf"
	"salus/gateway/rest"
	"salus/ledger/tx"
)

// An Asker is who sends a request.
type Asker struct {
	chart.Caller
	// Operator may read the log of everybody: the organisation's compliance office.
	Operator bool
	// User is the person, zero for a system alone.
	User balp.Who
}

// own says that it is a patient's own app, not a practitioner's or a carer's in her context.
func (a *Asker) own() bool {
	return a.Patient != "" && strings.HasPrefix(a.User.Reference, "Patient/") && a.User.Reference == a.Patient
}

// Config is what a Service is made of; every field is required.
type Config struct {
	Next   http.Handler // the FHIR server
	Base   string       // the address that clients reach it at
	Prefix string       // of the paths that ServeHTTP sees
	// Asker says who sends a request. Errors: those of a rest.Guard.
	Asker func(*http.Request) (Asker, error)
	// Known is the pseudonym of a patient, "Patient/<id>". Error: of an unknown one.
	Known func(ref string) (tx.Account, error)
	// Patients are the references of all that are known.
	Patients func() ([]string, error)
	Consents *pcf.Service
	// Steward signs what staff record from a form, as the organisation.
	Steward pcf.Submitter
	// Events reads and, by its Recorder, records.
	Events *balp.Reader
	// Real are the slots of a patient's map that stand for a label, 0 if it is not at hand.
	Real func(tx.Account) uint64
	// Organization is this one.
	Organization balp.Who
	Log          *slog.Logger
}

// A Service is an http.Handler in front of a FHIR server. It is safe for concurrent use.
type Service struct{ Config }

// New makes a service.
func New(c Config) (*Service, error) {
	if c.Next == nil || c.Asker == nil || c.Known == nil || c.Patients == nil || c.Consents == nil || c.Steward == nil || c.Events == nil || c.Real == nil || c.Log == nil {
		return nil, errors.New("oversight: configuration is incomplete")
	}
	return &Service{c}, nil
}

// Types are the resource types that it serves instead of the FHIR server.
func Types() []string { return []string{"AuditEvent", "Consent"} }

// Beside is what it serves, for the CapabilityStatement.
func Beside() []rest.Beside {
	token, date, ref := "token", "date", "reference"
	return []rest.Beside{
		{Type: "AuditEvent", Interactions: []string{"read", "search-type"}, Params: [][2]string{
			{"action", token}, {"address", "string"}, {"agent", ref}, {"date", date}, {"entity", ref}, {"outcome", token}, {"patient", ref}, {"source", ref}, {"subtype", token}, {"type", token},
		}},
		{Type: "Consent", Interactions: []string{"create", "read", "vread", "update", "delete", "history-instance", "search-type"}, Params: [][2]string{{"patient", ref}, {"status", token}}, Operations: [][2]string{{"explain", OperationExplain}, {"readers", OperationReaders}}},
	}
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	echo(w, r)
	parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, s.Prefix), "/"), "/")
	if parts[0] == "metadata" || strings.HasPrefix(parts[0], ".") || r.Method == http.MethodOptions {
		s.Next.ServeHTTP(w, r) // everybody may know what is served: nobody's record
		return
	}
	asker, err := s.Asker(r)
	x := s.recording(w, r, asker)
	switch {
	case err != nil && !unauthorised(err):
		x.fault(err)
	case parts[0] == "Consent" && err == nil:
		s.consent(x, r, parts)
	case parts[0] == "AuditEvent" && err == nil:
		s.auditEvent(x, r, parts)
	default:
		s.Next.ServeHTTP(x, r)
	}
	x.Finish()
}

// Around records what another part of the FHIR server answers, as it does its own.
func (s *Service) Around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echo(w, r)
		asker, _ := s.Asker(r) // who is nobody is refused there
		x := s.recording(w, r, asker)
		next.ServeHTTP(x, r)
		x.Finish()
	})
}

// echo returns the client's name of its request, under which its AuditEvent is found.
func echo(w http.ResponseWriter, r *http.Request) {
	if id := balp.RequestID(r); id != "" {
		w.Header().Set("X-Request-Id", id)
	}
}

// unauthorised reports whether the FHIR server says the same of a request in its own words.
func unauthorised(err error) bool {
	f := rest.FaultOf(err)
	return f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden || f.Status == http.StatusBadRequest
}
