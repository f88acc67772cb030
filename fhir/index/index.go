package index

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
	"salus/fhir/search"
)

// An Index reads search entries by the search parameters of a set of definitions. It is safe for
// concurrent use.
type Index struct {
	set    *definition.Set
	model  *element.Model
	bases  []string // of the server, each with a slash at its end
	plans  map[string]*plan
	common *plan // parameters of every resource, for searches without a type

	units     sync.Map // by code
	unitCount atomic.Int32
}

// New returns an Index over the parameters of set. An absolute reference that begins with one of
// the bases, the addresses of the server ("https://example.org/fhir"), is indexed as "Type/id". An
// error is an expression that does not compile.
func New(set *definition.Set, bases ...string) (*Index, error) {
	return build(set, bases, false)
}

func build(set *definition.Set, bases []string, slow bool) (*Index, error) {
	x := &Index{set: set, model: set.Model(), plans: map[string]*plan{}}
	for _, b := range bases {
		x.bases = append(x.bases, strings.TrimSuffix(b, "/")+"/")
	}
	byURL := map[string]*definition.Param{}
	for _, typ := range set.Types() {
		for _, p := range set.Params(typ) {
			byURL[p.URL] = p
		}
	}
	p := &planner{set: set, model: x.model, engine: fhirpath.New(set), cached: map[string]systems{}, slow: slow}
	for _, typ := range append(set.Types(), "Resource") {
		t := set.Type(typ)
		if t == nil || t.Kind != "resource" || t.Abstract && typ != "Resource" || x.plans[typ] != nil {
			continue
		}
		made, err := p.plan(typ, usable(typ, set, byURL))
		if err != nil {
			return nil, err
		}
		if typ == "Resource" {
			x.common = made
			continue
		}
		x.plans[typ] = made
	}
	return x, nil
}

// usable are a type's parameters that can be searched by, sorted; of several with one code the
// first.
func usable(typ string, set *definition.Set, byURL map[string]*definition.Param) (all []*param) {
	for _, d := range set.Params(typ) {
		x, ok := paramOf(d, byURL)
		if ok && !slices.ContainsFunc(all, func(o *param) bool { return o.Code == x.Code }) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *param) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// stores are the parameters that the store knows without entries.
var stores = []string{"_id", "_lastUpdated"}

func paramOf(d *definition.Param, byURL map[string]*definition.Param) (*param, bool) {
	kind, ok := search.ParseKind(d.Type)
	if !ok || kind == search.Special || d.Expression == "" {
		return nil, false
	}
	x := &param{
		Param:      search.Param{Code: d.Code, Kind: kind, Expression: d.Expression, Targets: d.Target},
		expression: corrected(d.Expression),
	}
	if slices.Contains(stores, d.Code) {
		x.expression = ""
	}
	if kind != search.Composite {
		return x, true
	}
	if len(d.Components) < 2 {
		return nil, false
	}
	for _, c := range d.Components {
		of := byURL[c.Definition]
		if of == nil {
			return nil, false
		}
		k, ok := search.ParseKind(of.Type)
		switch k {
		case search.String, search.URI, search.Composite, search.Special:
			ok = false // the store keeps no groups of these
		}
		if !ok {
			return nil, false
		}
		x.Components = append(x.Components, search.Component{
			Param: &search.Param{Code: of.Code, Kind: k, Expression: of.Expression, Targets: of.Target}, Expression: c.Expression,
		})
		expression, resource := strings.CutPrefix(corrected(c.Expression), "%resource.")
		x.parts = append(x.parts, part{kind: k, expression: expression, resource: resource})
	}
	return x, true
}

// corrected mends what is wrong in R4: code-value-date asks for DateTime, which is no type of FHIR.
func corrected(expression string) string {
	return strings.ReplaceAll(expression, "as(DateTime)", "as(dateTime)")
}

// Param returns a parameter that resources of a type can be searched by; "Resource" stands for
// every type.
func (x *Index) Param(resourceType, code string) (*search.Param, bool) {
	if p := x.planOf(resourceType); p != nil {
		if q := p.byCode[code]; q != nil {
			return &q.Param, true
		}
	}
	return nil, false
}

func (x *Index) planOf(resourceType string) *plan {
	if resourceType == "Resource" {
		return x.common
	}
	return x.plans[resourceType]
}

// Known reports whether that is a type that resources have.
func (x *Index) Known(resourceType string) bool { return x.plans[resourceType] != nil }

// List returns all parameters of a type, sorted by code.
func (x *Index) List(resourceType string) []*search.Param {
	p := x.planOf(resourceType)
	if p == nil {
		return nil
	}
	all := make([]*search.Param, len(p.params))
	for i, q := range p.params {
		all[i] = &q.Param
	}
	return all
}

// errParse is what no resource that fhir.Parse took gives.
var errParse = errors.New("index: the resource cannot be read")

// Entries returns what a resource can be found by. The entries alias the resource's bytes.
func (x *Index) Entries(r fhir.Resource) ([]search.Entry, error) {
	p := x.plans[r.Type()]
	tree, err := element.Parse(r.Raw())
	if p == nil || err != nil {
		return nil, errParse
	}
	w := &walk{index: x, root: tree.Root(), entries: make([]search.Entry, 0, p.hint())}
	if w.counts = w.few[:]; p.groups > len(w.few) {
		w.counts = make([]int, p.groups)
	}
	w.visit(p.root, w.root)
	if err := w.leftovers(p, x.model.Root(tree)); err != nil {
		return nil, err
	}
	p.learn(len(w.entries))
	return w.entries, nil
}
