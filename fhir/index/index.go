package index

import (
	"errors"
	"maps"
	"regexp"
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

	skipped []Skipped
	offered atomic.Bool // searches may use the parameters of packages

	walks     sync.Pool // of *walk
	units     sync.Map  // by code
	unitCount atomic.Int32
}

// New returns an Index over the parameters of set. An absolute reference that begins with one of
// the bases, the addresses of the server ("https://example.org/fhir"), is indexed as "Type/id". An
// error is an expression that does not compile.
func New(set *definition.Set, bases ...string) (*Index, error) {
	return build(set, nil, bases, false)
}

// With returns an Index over the parameters of set and those of packages (definition.Set.Further). What
// a package says that cannot be used is in Skipped, and is no error. Compartments, and the code systems
// of bindings, stay those of set.
func With(set *definition.Set, packages []*definition.Param, bases ...string) (*Index, error) {
	return build(set, packages, bases, false)
}

func build(set *definition.Set, packages []*definition.Param, bases []string, slow bool) (*Index, error) {
	x := &Index{set: set, model: set.Model(), plans: map[string]*plan{}}
	for _, b := range bases {
		x.bases = append(x.bases, strings.TrimSuffix(b, "/")+"/")
	}
	k := catalogue{set: set, byURL: map[string]*definition.Param{}}
	for _, typ := range set.Types() {
		for _, p := range set.Params(typ) {
			k.byURL[p.URL] = p
		}
		if t := set.Type(typ); t.Kind == "resource" && !t.Abstract {
			k.types = append(k.types, typ)
		}
	}
	p := &planner{set: set, model: x.model, engine: fhirpath.New(set), cached: map[string]systems{}, slow: slow}
	both := catalogue{set: set, types: k.types, byURL: maps.Clone(k.byURL)}
	words := slices.DeleteFunc(slices.Clone(packages), func(d *definition.Param) bool { return !isFullText(d) })
	packages = x.further(&both, slices.DeleteFunc(slices.Clone(packages), isFullText))
	for _, typ := range append(slices.Clone(k.types), "Resource") {
		all, absent := k.usable(typ)
		made, err := p.plan(typ, all)
		if err != nil {
			return nil, err
		}
		made.absent = absent
		x.fullText(&both, made, typ, words)
		x.extend(p, &both, made, typ, packages)
		p.finish(made)
		x.plans[typ] = made
	}
	x.common = x.plans["Resource"]
	delete(x.plans, "Resource") // no resource is one
	return x, nil
}

// A catalogue is what parameters are taken from.
type catalogue struct {
	set   *definition.Set
	types []string // that resources have
	byURL map[string]*definition.Param
}

// usable are a type's parameters that can be searched by, sorted; of several with one code the
// first. The rest is absent.
func (k *catalogue) usable(typ string) (all []*param, absent map[string]*search.Param) {
	absent = map[string]*search.Param{}
	for _, d := range k.set.Params(typ) {
		x, ok := k.param(d)
		if !ok {
			absent[d.Code] = &search.Param{Code: d.Code, Kind: search.Special, Expression: d.Expression}
		} else if !slices.ContainsFunc(all, func(o *param) bool { return o.Code == x.Code }) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *param) int { return strings.Compare(a.Code, b.Code) })
	return all, absent
}

// stores are the parameters that the store knows without entries.
var stores = []string{"_id", "_lastUpdated"}

func (k *catalogue) param(d *definition.Param) (*param, bool) {
	kind, ok := search.ParseKind(d.Type)
	if d.URL == near {
		kind = search.Spot
	}
	if !ok || kind == search.Special || d.Expression == "" {
		return nil, false
	}
	x := &param{Param: k.search(d, kind), expression: k.corrected(d.Expression)}
	if slices.Contains(stores, d.Code) {
		x.expression = ""
	}
	if kind != search.Composite {
		return x, true
	}
	if d.URL == swapped && len(d.Components) != 2 || len(d.Components) < 2 || len(d.Components) > 32 {
		return nil, false
	}
	for i, c := range d.Components {
		of := k.byURL[c.Definition]
		if d.URL == swapped {
			of = k.byURL[d.Components[1-i].Definition]
		}
		if of == nil {
			return nil, false
		}
		kind, ok := search.ParseKind(of.Type)
		switch kind {
		case search.Composite, search.Special, search.Spot:
			ok = false
		}
		if !ok {
			return nil, false
		}
		p := k.search(of, kind)
		x.Components = append(x.Components, search.Component{Param: &p, Expression: c.Expression})
		expression, resource := strings.CutPrefix(k.corrected(c.Expression), "%resource.")
		x.parts = append(x.parts, part{kind: kind, expression: expression, resource: resource})
	}
	return x, true
}

// search is a parameter as package search knows it. A reference that does not say where it may lead
// to may lead everywhere.
func (k *catalogue) search(d *definition.Param, kind search.Kind) search.Param {
	p := search.Param{Code: d.Code, Kind: kind, Expression: d.Expression, Targets: d.Target}
	if kind == search.Reference && len(p.Targets) == 0 {
		p.Targets = k.types
	}
	return p
}

// near is the one special parameter of R4 that is about a resource.
const near = "http://hl7.org/fhir/SearchParameter/Location-near"

// swapped is the composite of R4 that says of its code what it should say of its target, and the
// other way about.
const swapped = "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"

// choice is a choice with its type, as in JSON.
var choice = regexp.MustCompile(`\.(value[A-Z]\w*)`)

// corrected mends what is wrong in some published expressions: DateTime is no type of FHIR (R4's
// code-value-date), valueDateTime no name in FHIRPath (US Core's condition-asserted-date).
func (k *catalogue) corrected(expression string) string {
	expression = strings.ReplaceAll(expression, "as(DateTime)", "as(dateTime)")
	return choice.ReplaceAllStringFunc(expression, func(s string) string {
		if _, o := k.set.Model().Type("Extension").Member(s[1:]); o != nil {
			return ".value.as(" + o.Type.Name + ")"
		}
		return s
	})
}

// Param returns a parameter that resources of a type can be searched by; "Resource" stands for
// every type. One that exists and is not offered is of kind search.Special, which search.Parse
// refuses.
func (x *Index) Param(resourceType, code string) (*search.Param, bool) {
	if p := x.planOf(resourceType); p != nil {
		if q := p.byCode[code]; q != nil {
			if q.Definition != "" && !x.offered.Load() {
				unready := q.Param
				unready.Unready = true
				return &unready, true
			}
			return &q.Param, true
		}
		if q := p.absent[code]; q != nil {
			return q, true
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

// List returns all parameters of a type that are offered, sorted by code.
func (x *Index) List(resourceType string) []*search.Param {
	p := x.planOf(resourceType)
	if p == nil {
		return nil
	}
	all := make([]*search.Param, 0, len(p.params))
	for _, q := range p.params {
		if q.Definition == "" || x.offered.Load() {
			all = append(all, &q.Param)
		}
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
	w := x.begin(tree.Root(), p.groups)
	defer x.end(w)
	w.visit(p.root, w.root)
	root := x.model.Root(tree)
	if err := w.leftovers(p, root, tree.Len()); err != nil {
		return nil, err
	}
	w.fullText(p, root)
	if cap(w.entries) > keepEntries {
		return w.entries, nil // end does not keep them
	}
	return slices.Clone(w.entries), nil
}

// begin takes a walk for a resource of a plan with that many composites.
func (x *Index) begin(root element.Node, groups int) *walk {
	w, _ := x.walks.Get().(*walk)
	if w == nil {
		w = &walk{index: x, entries: make([]search.Entry, 0, 64)}
	}
	w.root = root
	if w.counts = w.few[:]; groups > len(w.few) {
		w.counts = make([]int, groups)
	}
	return w
}

// keepEntries bounds what a walk that is kept for another holds on to.
const keepEntries = 1024

// end gives a walk back, without what it holds of the resource.
func (x *Index) end(w *walk) {
	if cap(w.entries) > keepEntries {
		return
	}
	clear(w.entries)
	w.entries, w.root, w.group, w.few, w.contained = w.entries[:0], element.Node{}, 0, [len(w.few)]int{}, nil
	x.walks.Put(w)
}
