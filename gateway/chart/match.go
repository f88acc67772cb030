package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"salus/client"
	"salus/gateway/rest"
	"salus/ledger/module/lookup"
	"salus/ledger/module/merge"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

// Patient/$match (R4 operation patient-match; IHE PDQm 3.0, ITI-119) asks the whole network: each identifier
// that is looked up is an entry of the ledger, with who asks and what for, before any custodian evaluates it, and an
// entry of the log of whoever it leads to. There is no likeness search and no browsing (spec/lookup.md).

const (
	systemPatient = "urn:salus:patient" // value: the pseudonym
	gradeURL      = "http://hl7.org/fhir/StructureDefinition/match-grade"
	maxMatch      = 4 // identifiers of one call
)

var (
	errMatchWho      = rest.NewFault(http.StatusForbidden, "forbidden", "match-caller", "a patient is looked for by a practitioner or device of this organisation, who may see its patients")
	errMatchPurpose  = rest.NewFault(http.StatusForbidden, "required", "match-purpose", "name the purpose of use: nobody is looked for without one")
	errMatchParam    = rest.NewFault(http.StatusBadRequest, "not-supported", "match-parameter", "the parameters are resource, onlyCertainMatches and count, each once")
	errMatchResource = rest.NewFault(http.StatusBadRequest, "required", "match-resource", "the parameter resource is a Patient to look for")
	errMatchCertain  = rest.NewFault(http.StatusBadRequest, "value", "match-only-certain", "onlyCertainMatches is true or false")
	errMatchCount    = rest.NewFault(http.StatusBadRequest, "value", "match-count", "count is a number from 1")
	errMatchNothing  = rest.NewFault(http.StatusUnprocessableEntity, "required", "match-identifier", "say an identifier with system and value, or family name, given name, a whole birthDate and gender")
	errMatchTwo      = rest.NewFault(http.StatusUnprocessableEntity, "business-rule", "match-two-identifiers", "in an emergency two different identifiers are needed that lead to one patient")
	errMatchQuorum   = rest.NewFault(http.StatusServiceUnavailable, "transient", "match-no-quorum", "too few custodians can be reached to look anybody up; try again")
)

// sought is a Patient to look for, as far as it is looked at.
type sought struct {
	ResourceType string `json:"resourceType"`
	Identifier   []struct {
		Use    string `json:"use"`
		System string `json:"system"`
		Value  string `json:"value"`
	} `json:"identifier"`
	Name []struct {
		Use    string   `json:"use"`
		Family string   `json:"family"`
		Given  []string `json:"given"`
	} `json:"name"`
	BirthDate string `json:"birthDate"`
	Gender    string `json:"gender"`
}

// identifiers are what she is looked for by: first those of systems, then names with birth date and sex. What does not
// suffice to lead to anybody is left out, and so is what is said twice.
func (p *sought) identifiers() (out []record.Identifier) {
	seen := map[string]bool{}
	add := func(id record.Identifier) {
		kind, text, err := id.Normal()
		if err != nil || seen[kind+"\x00"+text] {
			return
		}
		seen[kind+"\x00"+text] = true
		out = append(out, id)
	}
	for _, i := range p.Identifier {
		if i.Use != "old" && i.System != "" {
			add(record.Identifier{System: i.System, Value: i.Value})
		}
	}
	for _, n := range p.Name {
		if len(n.Given) > 0 {
			add(record.Identifier{Family: n.Family, Given: n.Given[0], Born: p.BirthDate, Sex: p.Gender})
		}
	}
	return out
}

// A matching is a call of $match.
type matching struct {
	by      []record.Identifier
	more    bool // than may be looked up at once were said
	certain bool
	count   int // 0: all
}

func matchingOf(c *rest.Call) (m matching, err error) {
	seen := map[string]bool{}
	for _, p := range c.Params {
		if seen[p.Name] {
			return m, errMatchParam
		}
		seen[p.Name] = true
		switch p.Name {
		case "onlyCertainMatches":
			if m.certain, err = strconv.ParseBool(p.Value); err != nil || p.Value != strconv.FormatBool(m.certain) {
				return m, errMatchCertain
			}
		case "count":
			if m.count, err = strconv.Atoi(p.Value); err != nil || m.count < 1 {
				return m, errMatchCount
			}
		default:
			return m, errMatchParam
		}
	}
	var p sought
	if b := c.Resource("resource"); len(b) == 0 || json.Unmarshal(b, &p) != nil || p.ResourceType != "Patient" {
		return m, errMatchResource
	}
	if m.by = p.identifiers(); len(m.by) == 0 {
		return m, errMatchNothing
	}
	if m.more = len(m.by) > maxMatch; m.more {
		m.by = m.by[:maxMatch]
	}
	return m, nil
}

// match looks for a patient in the network.
func (s *Service) match(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	r, err := http.NewRequestWithContext(ctx, c.Method, "/", nil)
	if err != nil {
		return nil, err
	}
	r.Header = c.Header
	who, err := s.Caller(r)
	switch {
	case err != nil:
		return nil, err
	case who.Name == "", who.Patient != "", len(who.Within["Patient"]) > 0, !c.Leave.Allows(rest.Search, "Patient"):
		return nil, errMatchWho // who is held to some patients looks for no other
	case who.Purpose == 0:
		return nil, errMatchPurpose
	}
	m, err := matchingOf(c)
	if err != nil {
		return nil, err
	}
	by, err := s.Signer(who.Name)
	if err != nil {
		return nil, rest.ErrForbidden
	}
	going, cancel := s.while(ctx)
	defer cancel()
	found, err := s.Record.LookUp(going, s.Client.As(by), who.Purpose, m.by)
	if err != nil {
		if going.Err() != nil && ctx.Err() == nil {
			err = client.ErrUnsettled
		}
		return nil, notMatched(err)
	}
	if m.certain {
		found = slices.DeleteFunc(found, func(x record.Match) bool { return x.Grade != "certain" })
	}
	out := matchSet{ResourceType: "Bundle", Type: "searchset", Total: len(found), Entry: []matchEntry{}}
	if m.count > 0 && len(found) > m.count {
		found = found[:m.count]
	}
	for _, x := range found {
		ref, err := s.Record.Reference(x.Patient)
		if err != nil && !errors.Is(err, record.ErrUnknownPatient) {
			return nil, err
		}
		e, err := s.matched(ctx, c, x, ref)
		if err != nil {
			return nil, err
		}
		out.Entry = append(out.Entry, e)
	}
	if m.more {
		out.Entry = append(out.Entry, matchEntry{Resource: rest.Outcome([]rest.Issue{{
			Severity: "warning", Type: "too-costly", Code: "match-identifiers-left-out",
			Text: fmt.Sprintf("only the first %d identifiers were looked up: each is an entry of the ledger", maxMatch),
		}}), Search: matchSearch{Mode: "outcome"}})
	}
	body, err := json.Marshal(out)
	return &rest.Reply{Body: body}, err
}

type matchSet struct {
	ResourceType string       `json:"resourceType"`
	Type         string       `json:"type"`
	Total        int          `json:"total"`
	Entry        []matchEntry `json:"entry,omitempty"`
}

type matchEntry struct {
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource json.RawMessage `json:"resource"`
	Search   matchSearch     `json:"search"`
}

type matchSearch struct {
	Extension []matchGrade `json:"extension,omitempty"`
	Mode      string       `json:"mode"`
	Score     json.Number  `json:"score,omitempty"`
}

type matchGrade struct {
	URL  string `json:"url"`
	Code string `json:"valueCode"`
}

// matched is a patient who was found: this organisation's own Patient, if it has one and the caller sees it, or
// one that says the pseudonym and, where there is one, with which other the pseudonym is merged.
func (s *Service) matched(ctx context.Context, c *rest.Call, x record.Match, ref string) (matchEntry, error) {
	e := matchEntry{Search: matchSearch{
		Mode: "match", Score: json.Number(strconv.FormatFloat(x.Score, 'f', 2, 64)), Extension: []matchGrade{{gradeURL, x.Grade}},
	}}
	if id, ok := strings.CutPrefix(ref, "Patient/"); ok && c.Leave.Allows(rest.Read, "Patient") {
		v, err := rest.See(ctx, s.Store, c.Leave, "Patient", id)
		if err == nil {
			e.FullURL, e.Resource = c.Base+"/"+ref, rest.Present(&v)
			return e, nil
		}
		if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrGone) {
			return e, err
		}
	}
	type identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	type other struct {
		Type       string     `json:"type"`
		Identifier identifier `json:"identifier"`
	}
	type link struct {
		Other other  `json:"other"`
		Type  string `json:"type"`
	}
	p := struct {
		ResourceType string       `json:"resourceType"`
		Identifier   []identifier `json:"identifier"`
		Active       bool         `json:"active"`
		Link         []link       `json:"link,omitempty"`
	}{ResourceType: "Patient", Identifier: []identifier{{systemPatient, x.Patient.String()}}, Active: true}
	v := s.View()
	defer v.Close()
	for _, l := range merge.LinksOf(v, x.Patient) {
		typ := "replaces"
		if l.Replaced {
			typ, p.Active = "replaced-by", false
		}
		p.Link = append(p.Link, link{other{"Patient", identifier{systemPatient, l.Other.String()}}, typ})
	}
	var err error
	e.FullURL = systemPatient + ":" + x.Patient.String()
	e.Resource, err = json.Marshal(p)
	return e, err
}

// notMatched is why nobody could be looked for, as the caller sees it. None of these depends on whether anybody
// would have been found.
func notMatched(err error) error {
	var r *tx.Refusal
	switch {
	case errors.Is(err, client.ErrUnsettled), errors.Is(err, client.ErrNoQuorum), errors.Is(err, record.ErrNoEvaluation), errors.Is(err, client.ErrUnreachable), errors.Is(err, client.ErrBusy):
		return errMatchQuorum
	case errors.Is(err, context.DeadlineExceeded):
		return errMatchQuorum
	case errors.Is(err, record.ErrTwoIdentifiers):
		return errMatchTwo
	case errors.Is(err, record.ErrIdentifier):
		return errMatchNothing
	case !errors.As(err, &r):
		return err
	}
	codes := lookup.Codes()
	i := slices.IndexFunc(codes, func(c tx.CodeInfo) bool { return c.Code == r.Code })
	if i < 0 {
		return err
	}
	status, typ := http.StatusForbidden, "forbidden"
	switch {
	case errors.Is(err, lookup.ErrQuota):
		status, typ = http.StatusTooManyRequests, "throttled"
	case errors.Is(err, lookup.ErrNoKey), errors.Is(err, lookup.ErrExpired):
		status, typ = http.StatusServiceUnavailable, "transient"
	}
	return rest.NewFault(status, typ, codes[i].Name, codes[i].Text)
}
