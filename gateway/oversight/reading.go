package oversight

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"salus/gateway/pcf"
	"salus/gateway/rest"
	"salus/ledger/module/consent"
)

// OperationReaders is the definition of Consent/$readers.
const OperationReaders = "urn:salus:operation:consent-readers"

var (
	errReaders = rest.NewFault(http.StatusForbidden, "forbidden", "oversight-readers", "who may read a patient's records is told to her alone")
	errForWhat = rest.NewFault(http.StatusBadRequest, "invalid", "oversight-parameters", "the parameters are patient and purpose")
)

// readers serves Consent/$readers: who could open something of the patient's now for a purpose, decided as the ledger would. Her own
// app asks, and nobody else.
func (s *Service) readers(x *recording, r *http.Request) (reply, error) {
	a := &x.asker
	if err := a.may(rest.Read, "Consent"); err != nil {
		return reply{}, err
	}
	if !a.own() {
		return reply{}, errReaders
	}
	q := r.URL.Query()
	for name := range q {
		if !slices.Contains([]string{"patient", "purpose", "_format"}, name) {
			return reply{}, errForWhat
		}
	}
	if p := q.Get("patient"); p != "" && "Patient/"+strings.TrimPrefix(p, "Patient/") != a.Patient {
		return reply{}, errReaders
	}
	patient, err := s.patientOf(a, a.Patient)
	if err != nil {
		return reply{}, err
	}
	x.About(a.Patient)
	purpose, err := consent.ParsePurpose(q.Get("purpose"))
	if err != nil {
		return reply{}, errPurpose
	}
	list, err := s.Consents.Readers(r.Context(), patient, purpose)
	if err != nil {
		return reply{}, err
	}
	out := parameters{ResourceType: "Parameters", Parameter: []parameter{}}
	for i := range list {
		out.Parameter = append(out.Parameter, s.reader(&list[i]))
	}
	body, err := json.Marshal(out)
	return reply{status: http.StatusOK, body: body}, err
}

// reader is one of them: who, then what as Consent/$explain has it.
func (s *Service) reader(e *pcf.Reader) parameter {
	p := answered("reader", e.Answer, true)
	account, typ := e.Member, "Organization"
	switch {
	case e.Proxy:
		account, typ = e.One, "RelatedPerson"
	case !e.One.IsZero():
		account, typ = e.One, "Practitioner"
	}
	who := []parameter{{Name: "actor", Reference: &reference{s.Consents.Directory.Agent(account, typ).Reference}}}
	if e.Role != "" {
		who = append(who, parameter{Name: "role", Coding: &coding{pcf.SystemRole, e.Role}})
	}
	p.Part = append(who, p.Part...)
	return p
}
