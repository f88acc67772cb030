package terminology

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"salus/fhir/terminology"
	"salus/gateway/rest"
)

// A question is a call with its parameters read.
type question struct {
	*rest.Call
	ctx    context.Context //nolint:containedctx // it lives as long as the call
	stored stored
	engine *terminology.Engine
	given  []given
}

// given is one parameter of a Parameters resource.
type given struct {
	Name            string              `json:"name"`
	Coding          *terminology.Coding `json:"valueCoding"`
	CodeableConcept *concept            `json:"valueCodeableConcept"`
	Resource        json.RawMessage     `json:"resource"`
	Part            []given             `json:"part"`
	URI             string              `json:"valueUri"`
	ValueString     string              `json:"valueString"`
	Code            string              `json:"valueCode"`
}

type concept struct {
	Coding []terminology.Coding `json:"coding"`
}

type handler func(q *question) (*rest.Reply, error)

var (
	errParameters = rest.NewFault(http.StatusBadRequest, "invalid", "terminology-parameters", "send a Parameters resource, or parameters in the address")
	errNumber     = rest.NewFault(http.StatusBadRequest, "value", "terminology-number", "offset and count are numbers from 0")
	errBoolean    = rest.NewFault(http.StatusBadRequest, "value", "terminology-boolean", "this parameter is true or false")
	errNoSet      = rest.NewFault(http.StatusBadRequest, "required", "terminology-which-value-set", "name a value set by url, send one as valueSet, or call the operation on one")
	errNoSystem   = rest.NewFault(http.StatusBadRequest, "required", "terminology-which-code-system", "name a code system, or call the operation on one")
	errNoCode     = rest.NewFault(http.StatusBadRequest, "required", "terminology-which-code", "send code and system, coding, or codeableConcept; one of them")
	errUnoffered  = rest.NewFault(http.StatusBadRequest, "not-supported", "terminology-parameter", "the operation has a parameter that this server does not offer, or does not know")
)

// handle reads a call and answers it.
func (s *Service) handle(h handler) func(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	return func(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
		q := &question{Call: c, ctx: ctx, stored: stored{s, c.Leave}, engine: s.engine(c.Leave)}
		if len(c.Body) > 0 {
			var in struct {
				ResourceType string  `json:"resourceType"`
				Parameter    []given `json:"parameter"`
			}
			if err := json.Unmarshal(c.Body, &in); err != nil {
				return nil, errParameters
			}
			switch in.ResourceType {
			case "Parameters":
				q.given = in.Parameter
			case c.Type: // the one resource parameter alone (R4 3.2.0.1)
				q.given = []given{{Name: resourceParameter[c.Type], Resource: c.Body}}
			default:
				return nil, errParameters
			}
		}
		r, err := h(q)
		if err != nil {
			return nil, seen(err)
		}
		return r, nil
	}
}

var resourceParameter = map[string]string{"ValueSet": "valueSet", "CodeSystem": "codeSystem", "ConceptMap": "conceptMap"}

// only refuses every parameter but those named.
func (q *question) only(names ...string) error {
	for _, p := range q.Params {
		if !slices.Contains(names, p.Name) {
			return errUnoffered
		}
	}
	for _, g := range q.given {
		if !slices.Contains(names, g.Name) {
			return errUnoffered
		}
	}
	return nil
}

func (q *question) text(name string) string {
	v, _ := q.Param(name)
	return v
}

func (q *question) texts(name string) (out []string) {
	for _, p := range q.Params {
		if p.Name == name {
			out = append(out, p.Value)
		}
	}
	return out
}

func (q *question) flag(name string) (bool, error) {
	switch v, ok := q.Param(name); {
	case !ok || v == "false":
		return false, nil
	case v == "true":
		return true, nil
	}
	return false, errBoolean
}

func (q *question) number(name string, otherwise int) (int, error) {
	v, ok := q.Param(name)
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || len(v) > 9 {
		return 0, errNumber
	}
	return n, nil
}

func (q *question) resource(name string) []byte {
	for _, g := range q.given {
		if g.Name == name && len(g.Resource) > 0 {
			return g.Resource
		}
	}
	return nil
}

// codings are those of code and system, coding, or codeableConcept.
func (q *question) codings(system, version string) ([]terminology.Coding, error) {
	var all [][]terminology.Coding
	if code, ok := q.Param("code"); ok && code != "" {
		all = append(all, []terminology.Coding{{System: system, Version: version, Code: code, Display: q.text("display")}})
	}
	for _, g := range q.given {
		switch {
		case g.Name == "coding" && g.Coding != nil:
			all = append(all, []terminology.Coding{*g.Coding})
		case g.Name == "codeableConcept" && g.CodeableConcept != nil:
			all = append(all, g.CodeableConcept.Coding)
		}
	}
	if len(all) != 1 || len(all[0]) == 0 || len(all[0]) > maxCodings {
		return nil, errNoCode
	}
	for i := range all[0] {
		if all[0][i].Code == "" {
			return nil, errNoCode
		}
	}
	return all[0], nil
}

// maxCodings bounds the codings of one question.
const maxCodings = 100

// set is the value set that a question is about.
func (q *question) set() (*terminology.ValueSet, error) {
	if q.ID != "" {
		v, err := q.stored.see(q.ctx, "ValueSet", q.ID)
		if err != nil {
			return nil, err
		}
		return terminology.ParseValueSet(rest.Present(v))
	}
	if b := q.resource("valueSet"); b != nil {
		return terminology.ParseValueSet(b)
	}
	ref := q.text("url")
	if ref == "" {
		return nil, errNoSet
	}
	url, version := terminology.Cut(ref)
	if v := q.text("valueSetVersion"); v != "" {
		version = v
	}
	return q.engine.Source.ValueSet(q.ctx, url, version)
}

// system is the code system that a question is about; named is the parameter with its canonical.
func (q *question) system(named string) (*terminology.CodeSystem, error) {
	if q.ID != "" {
		v, err := q.stored.see(q.ctx, "CodeSystem", q.ID)
		if err != nil {
			return nil, err
		}
		return q.stored.system(v)
	}
	if b := q.resource("codeSystem"); b != nil {
		return terminology.ParseCodeSystem(b)
	}
	url, version := terminology.Cut(q.text(named))
	if v := q.text("version"); v != "" {
		version = v
	}
	for _, g := range q.given {
		if g.Coding != nil && url == "" {
			url, version = g.Coding.System, g.Coding.Version
		}
	}
	if url == "" {
		return nil, errNoSystem
	}
	return q.engine.Source.CodeSystem(q.ctx, url, version)
}
