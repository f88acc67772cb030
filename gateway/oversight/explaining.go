package oversight

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"salus/fhir"
	"salus/gateway/pcf"
	"salus/gateway/rest"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// OperationExplain is the definition of Consent/$explain.
const OperationExplain = "urn:salus:operation:consent-explain"

var (
	errExplain   = rest.NewFault(http.StatusForbidden, "forbidden", "oversight-explain", "what somebody may read is told to the patient herself, and to staff about their own requests")
	errPurpose   = rest.NewFault(http.StatusBadRequest, "value", "oversight-purpose", "say what for: purpose=<code of PurposeOfUse>")
	errActor     = rest.NewFault(http.StatusBadRequest, "value", "oversight-actor", "say who: actor=Practitioner/<id>, Device/<id>, Patient/<id> or RelatedPerson/<id>")
	errParameter = rest.NewFault(http.StatusBadRequest, "structure", "oversight-parameters", "a Parameters resource with patient, purpose, actor and, for the patient, consent")
)

// An explaining is what was asked with Consent/$explain.
type explaining struct {
	patient, purpose, actor string
	consent                 []byte // what would be signed; nil: nothing
	id                      string // of the Consent that it would replace
}

// asked reads the question: of GET in the address, of POST in a Parameters resource.
func asked(r *http.Request) (q explaining, err error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		v := r.URL.Query()
		for name := range v {
			if !slices.Contains([]string{"patient", "purpose", "actor", "_format"}, name) {
				return q, errParameter
			}
		}
		return explaining{patient: v.Get("patient"), purpose: v.Get("purpose"), actor: v.Get("actor")}, nil
	}
	raw, err := rest.ReadBody(r, pcf.MaxSize)
	if err != nil {
		return q, err
	}
	var p struct {
		ResourceType string
		Parameter    []struct {
			Name           string
			ValueCode      string
			ValueReference struct{ Reference string }
			Resource       json.RawMessage
		}
	}
	if json.Unmarshal(raw, &p) != nil || p.ResourceType != "Parameters" {
		return q, errParameter
	}
	for _, x := range p.Parameter {
		switch x.Name {
		case "patient":
			q.patient = x.ValueReference.Reference
		case "actor":
			q.actor = x.ValueReference.Reference
		case "purpose":
			q.purpose = x.ValueCode
		case "consent":
			var c struct{ ID string }
			if json.Unmarshal(x.Resource, &c) != nil {
				return q, errParameter
			}
			q.consent, q.id = x.Resource, c.ID
		default:
			return q, errParameter
		}
	}
	return q, nil
}

// explain serves Consent/$explain: what somebody may read of a patient, decided as the ledger would. The
// patient's own app asks about anybody, and learns why and what a Consent would change. Staff ask about their
// own requests alone and learn what they may read: not what is denied, nor by which consents.
func (s *Service) explain(x *recording, r *http.Request) (reply, error) {
	a := &x.asker
	if err := a.may(rest.Read, "Consent"); err != nil {
		return reply{}, err
	}
	own := a.own()
	if !own && a.Name == "" {
		return reply{}, errExplain
	}
	q, err := asked(r)
	if err != nil {
		return reply{}, err
	}
	if q.patient == "" {
		q.patient = a.Patient
	}
	if q.patient == "" {
		return reply{}, errPatient
	}
	patient, err := s.patientOf(a, q.patient)
	if err != nil {
		return reply{}, err
	}
	x.About("Patient/" + strings.TrimPrefix(q.patient, "Patient/"))
	purpose, err := consent.ParsePurpose(q.purpose)
	if err != nil {
		return reply{}, errPurpose
	}
	self := "Practitioner/" + a.Name
	if own {
		self = a.Patient
	}
	if q.actor == "" {
		q.actor = self
	}
	actor, ok := s.account(q.actor)
	if !ok || strings.HasPrefix(q.actor, "Patient/") && q.actor != self && !named(q.actor) {
		return reply{}, errActor
	}
	if !own {
		if me, ok := s.account(self); !ok || me != actor || q.consent != nil {
			return reply{}, errExplain
		}
	}
	e, err := s.Consents.Explain(r.Context(), patient, actor, purpose, q.id, q.consent)
	if err != nil {
		return reply{}, err
	}
	out := parameters{ResourceType: "Parameters", Parameter: []parameter{answered("now", e.Now, own)}}
	if q.consent != nil {
		out.Parameter = append(out.Parameter, answered("then", e.Then, own))
		for _, n := range e.Notes {
			out.Parameter = append(out.Parameter, parameter{Name: "note", String: n.Text})
		}
	}
	body, err := json.Marshal(out)
	return reply{status: http.StatusOK, body: body}, err
}

// account is who a reference is, of those who could ask.
func (s *Service) account(ref string) (tx.Account, bool) {
	r := pcf.Reference{Reference: ref}
	if g, ok := s.Consents.Directory.Grantee(r); ok && g.Kind == consent.OnePractitioner {
		return g.Account, true
	}
	return s.Consents.Directory.Person(r)
}

// named says whether a patient is referred to by her account on the ledger: whether a number of this organisation
// is anybody's is told to nobody.
func named(ref string) bool {
	_, ok := pcf.Accounts{}.Person(pcf.Reference{Reference: ref})
	return ok
}

type parameters struct {
	ResourceType string      `json:"resourceType"`
	Parameter    []parameter `json:"parameter"`
}

type parameter struct {
	Name      string      `json:"name"`
	Coding    *coding     `json:"valueCoding,omitempty"`
	Reference *reference  `json:"valueReference,omitempty"`
	String    string      `json:"valueString,omitempty"`
	Part      []parameter `json:"part,omitempty"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type reference struct {
	Reference string `json:"reference"`
}

// answered is one answer; why says whether it tells more than what may be read.
func answered(name string, a pcf.Answer, why bool) parameter {
	p := parameter{Name: name}
	labels := func(name string, list []fhir.Label) {
		for _, l := range list {
			p.Part = append(p.Part, parameter{Name: name, Coding: &coding{pcf.SystemLabel, string(l)}})
		}
	}
	consents := func(name string, ids []string) {
		for _, id := range ids {
			p.Part = append(p.Part, parameter{Name: name, Reference: &reference{"Consent/" + id}})
		}
	}
	labels("may-read", a.Labels)
	if why {
		consents("permitted-by", a.Consents)
		consents("denied-by", a.Denied)
		labels("withheld-by-merged", a.Withheld)
	}
	return p
}
