package summary

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"salus/fhir"
	"salus/fhir/ips"
	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// Config is what a summary says of its maker.
type Config struct {
	Author    string // of the software
	Custodian string // of the organisation; "" is not said
}

// Whom a request is about, when it comes, says for whose records other organisations are asked: its
// address, this header of gateway/chart, or a token that is held to one patient. An identifier does not.
const (
	headerPatient = "Salus-Patient"
	ownAlone      = "The patient was named by an identifier: other organisations were not asked for their records."
)

// maxRead bounds the resources of one patient that a summary is made of.
const maxRead = 200_000

var (
	errForbidden  = rest.ErrForbidden
	errParameter  = rest.NewFault(http.StatusBadRequest, "not-supported", "summary-parameter", "$summary takes identifier and profile, each once")
	errPersistent = rest.NewFault(http.StatusBadRequest, "not-supported", "summary-persistent", "this server keeps no summaries: leave persistent out, and store the answer as a Bundle if it is to be kept")
	errProfile    = rest.NewFault(http.StatusBadRequest, "not-supported", "summary-profile", "profile is "+ips.Composition+", with the version 2.0.0 or 1.1.0 if any: this server makes no other summaries")
	errBody       = rest.NewFault(http.StatusBadRequest, "structure", "summary-body", "the body of $summary is a Parameters resource whose parameters have primitive values")
	errIdentifier = rest.NewFault(http.StatusBadRequest, "required", "summary-identifier", "say whose summary: Patient/[id]/$summary, or Patient/$summary with identifier=[system]|[value]")
	errBoth       = rest.NewFault(http.StatusBadRequest, "invariant", "summary-identifier-and-id", "the address names the patient: leave identifier out")
	errNone       = rest.NewFault(http.StatusNotFound, "not-found", "summary-not-found", "there is no patient with that identifier")
	errSeveral    = rest.NewFault(http.StatusPreconditionFailed, "multiple-matches", "summary-several", "several patients have that identifier: say its system, or call Patient/[id]/$summary")
	errMany       = rest.NewFault(http.StatusForbidden, "too-costly", "summary-many", "this patient has more resources than a summary is made of")
)

// Operations is $summary, for rest.Config.
func Operations(o Config) []rest.Operation {
	return []rest.Operation{{
		Name: "summary", Types: []string{"Patient"}, Instances: []string{"Patient"}, ReadOnly: true,
		Definition: "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
		Handle: func(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
			q, err := ask(c)
			if err != nil {
				return nil, err
			}
			return o.answer(ctx, c, q)
		},
	}}
}

// A question is what a call asks for.
type question struct {
	identifier string
	edition    ips.Edition
}

// ask reads the parameters of a call.
func ask(c *rest.Call) (q question, err error) {
	if err := body(c.Body); err != nil {
		return q, err
	}
	seen := map[string]bool{}
	for _, p := range c.Params {
		if seen[p.Name] {
			return q, errParameter
		}
		seen[p.Name] = true
		switch p.Name {
		case "identifier":
			q.identifier = p.Value
		case "profile":
			switch p.Value {
			case ips.Composition, ips.Composition + "|2.0.0":
			case ips.Composition + "|1.1.0":
				q.edition = ips.V110
			default:
				return q, errProfile
			}
		case "persistent":
			if p.Value != "false" {
				return q, errPersistent
			}
		default:
			return q, errParameter
		}
	}
	switch {
	case c.ID != "" && seen["identifier"]:
		return q, errBoth
	case c.ID == "" && q.identifier == "":
		return q, errIdentifier
	}
	return q, nil
}

// body refuses one with parameters that Call.Params does not have.
func body(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var in struct {
		ResourceType string                       `json:"resourceType"`
		Parameter    []map[string]json.RawMessage `json:"parameter"`
	}
	if json.Unmarshal(b, &in) != nil || in.ResourceType != "Parameters" {
		return errBody
	}
	for _, p := range in.Parameter {
		primitive := false
		for name, v := range p {
			primitive = primitive || strings.HasPrefix(name, "value") && v[0] != '{' && v[0] != '['
		}
		if !primitive {
			return errBody
		}
	}
	return nil
}

// answer makes the document.
func (o *Config) answer(ctx context.Context, c *rest.Call, q question) (*rest.Reply, error) {
	if !c.Leave.Allows(rest.Read, "Patient") {
		return nil, errForbidden
	}
	id := c.ID
	if id == "" {
		var err error
		if id, err = find(ctx, c, q.identifier); err != nil {
			return nil, err
		}
	}
	patient, err := rest.See(ctx, c.Server.Store, c.Leave, "Patient", id)
	if err != nil {
		return nil, err
	}
	subject, err := fhir.Parse(rest.Present(&patient))
	if err != nil {
		return nil, err
	}
	var seen, withheld []string
	for _, t := range ips.Types() {
		if c.Server.Serves(t) && c.Leave.Allows(rest.Read, t) {
			seen = append(seen, t)
		} else if c.Server.Serves(t) {
			withheld = append(withheld, t)
		}
	}
	opts := ips.Options{
		Edition: q.edition, ID: newID(), At: c.Server.Now().UTC().Truncate(time.Second), Base: c.Base, Author: o.Author, Custodian: o.Custodian, Withheld: withheld,
		Lookup: func(typ, id string) (fhir.Resource, error) { return lookup(ctx, c, typ, id) },
	}
	for _, i := range c.Leave.Issues {
		opts.Notes = append(opts.Notes, i.Text)
	}
	if c.ID == "" && c.Leave.Owner == "" && c.Header.Get(headerPatient) == "" {
		opts.Notes = append(opts.Notes, ownAlone)
	}
	doc, err := ips.Document(subject, compartment(ctx, c, "Patient/"+id, seen), opts)
	if err != nil {
		return nil, err
	}
	return &rest.Reply{Body: doc, About: patient.Owner}, nil
}

// find returns the one patient with an identifier among those that the caller sees.
func find(ctx context.Context, c *rest.Call, identifier string) (id string, err error) {
	if !c.Leave.Allows(rest.Search, "Patient") {
		return "", errForbidden
	}
	where, err := c.Server.Condition("Patient", "identifier="+url.QueryEscape(identifier))
	if err != nil {
		return "", err
	}
	p, err := c.Server.Store.Search(ctx, store.Search{Query: &search.Query{Types: []string{"Patient"}, Where: where, Count: 2}, Sight: c.Leave.Sight()})
	switch {
	case err != nil:
		return "", err
	case len(p.Matches) == 0:
		return "", errNone
	case len(p.Matches) > 1:
		return "", errSeveral
	}
	return p.Matches[0].ID, nil
}

// lookup is what a resource refers to, if the caller sees it.
func lookup(ctx context.Context, c *rest.Call, typ, id string) (fhir.Resource, error) {
	if !c.Server.Serves(typ) || !c.Leave.Allows(rest.Read, typ) {
		return fhir.Resource{}, nil
	}
	v, err := rest.See(ctx, c.Server.Store, c.Leave, typ, id)
	switch {
	case rest.IsGone(err):
		return fhir.Resource{}, nil
	case err != nil:
		return fhir.Resource{}, err
	}
	return fhir.Parse(rest.Present(&v))
}

// compartment yields what the caller sees of types in a patient's compartment, page by page.
func compartment(ctx context.Context, c *rest.Call, owner string, types []string) iter.Seq2[fhir.Resource, error] {
	return func(yield func(fhir.Resource, error) bool) {
		q := &search.Query{Types: slices.Clone(types), Count: search.MaxCount}
		for n := 0; len(types) > 0; {
			p, err := c.Server.Store.Search(ctx, store.Search{Query: q, Sight: c.Leave.Sight(), Compartment: owner})
			if err != nil {
				yield(fhir.Resource{}, err)
				return
			}
			if n += len(p.Matches); n > maxRead {
				yield(fhir.Resource{}, errMany)
				return
			}
			for i := range p.Matches {
				if r, err := fhir.Parse(rest.Present(&p.Matches[i])); !yield(r, err) || err != nil {
					return
				}
			}
			if q.Cursor = p.Next; q.Cursor == "" {
				return
			}
		}
	}
}

// newID draws a UUID of version 4 (RFC 9562, 5.4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
