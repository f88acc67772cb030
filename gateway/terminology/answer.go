package terminology

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"salus/fhir/terminology"
	"salus/gateway/rest"
)

var errTwoSystems = rest.NewFault(http.StatusBadRequest, "not-supported", "terminology-two-systems", "codes of different code systems are not compared")

// statuses of the kinds of terminology.Error, with the issue-type of R4.
var statuses = map[terminology.Kind]struct {
	status int
	typ    string
}{
	terminology.NotFound:     {http.StatusNotFound, "not-found"},
	terminology.NotSupported: {http.StatusUnprocessableEntity, "not-supported"},
	terminology.TooCostly:    {http.StatusUnprocessableEntity, "too-costly"},
	terminology.Invalid:      {http.StatusUnprocessableEntity, "invalid"},
}

// seen is an error as the caller sees it.
func seen(err error) error {
	var e *terminology.Error
	if !errors.As(err, &e) {
		return err
	}
	k := statuses[e.Kind]
	return rest.NewFault(k.status, k.typ, e.Code, e.Text)
}

// parameters is a Parameters resource being written.
type parameters struct{ list []map[string]any }

func (p *parameters) add(name, typ string, value any) {
	p.list = append(p.list, map[string]any{"name": name, "value" + typ: value})
}

// text adds a parameter that has a text.
func (p *parameters) text(name, typ, value string) {
	if value != "" {
		p.add(name, typ, value)
	}
}

func (p *parameters) parts(name string, parts *parameters) {
	p.list = append(p.list, map[string]any{"name": name, "part": parts.list})
}

func (p *parameters) reply() *rest.Reply {
	b, err := json.Marshal(struct {
		ResourceType string           `json:"resourceType"`
		Parameter    []map[string]any `json:"parameter,omitempty"`
	}{"Parameters", p.list})
	if err != nil {
		panic("terminology: internal error: an answer does not encode")
	}
	return &rest.Reply{Body: b}
}

// looked is the answer of $lookup. wanted are the properties that are asked for; all if none is.
func looked(l *terminology.Looked, wanted []string) *rest.Reply {
	want := func(name string) bool { return len(wanted) == 0 || slices.Contains(wanted, name) }
	p := parameters{}
	name := l.System.Name
	if name == "" {
		name = l.System.URL
	}
	p.text("name", "String", name)
	p.text("version", "String", l.System.Version)
	p.text("display", "String", l.Display)
	for _, d := range l.Designations {
		if !want("designation") && !slices.Contains(wanted, "lang."+d.Language) {
			continue
		}
		part := parameters{}
		part.text("language", "Code", d.Language)
		if d.Use != nil {
			part.add("use", "Coding", d.Use)
		}
		part.text("value", "String", d.Value)
		p.parts("designation", &part)
	}
	for i := range l.Properties {
		x := &l.Properties[i]
		if !want(x.Code) || x.Type == "" {
			continue
		}
		part := parameters{}
		part.text("code", "Code", x.Code)
		part.add("value", x.Type, x.Value)
		part.text("description", "String", x.Description)
		p.parts("property", &part)
	}
	return p.reply()
}

// translated is the answer of $translate.
func translated(matches []terminology.Match, ok bool) *rest.Reply {
	p := parameters{}
	p.add("result", "Boolean", ok)
	if len(matches) == 0 {
		p.text("message", "String", "no map has this code")
	}
	for i := range matches {
		m := &matches[i]
		part := parameters{}
		part.text("equivalence", "Code", m.Equivalence)
		if m.Concept.Code != "" {
			part.add("concept", "Coding", m.Concept)
		}
		for _, d := range m.Products {
			product := parameters{}
			product.text("element", "Uri", d.Element)
			product.add("concept", "Coding", d.Concept[0])
			part.parts("product", &product)
		}
		part.text("source", "Uri", m.Source)
		p.parts("match", &part)
	}
	return p.reply()
}

type head struct{ Status, Version string }

// headOf reads status and version of a resource.
func headOf(b []byte) (h head) {
	if json.Unmarshal(b, &h) != nil {
		return head{}
	}
	return h
}

// relative splits "ValueSet/x", also at the server's own address.
func relative(ref, base, typ string) (id string, ok bool) {
	return strings.CutPrefix(strings.TrimPrefix(ref, base+"/"), typ+"/")
}
