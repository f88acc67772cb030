package index

import (
	"slices"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
	"salus/fhir/search"
)

// A plan is how the entries of one type of resource are read.
type plan struct {
	root   *node
	rest   []leftover // parameters that the tree cannot express
	words  []*param   // that find words
	groups int        // composites that the tree has
	params []*param   // usable ones, by code
	byCode map[string]*param
	absent map[string]*search.Param // those that exist and are not offered, of kind Special

	summary, mandatory []string // members that subsets keep
	owners             *node    // references by which they are in a patient's compartment; nil for none
}

// A param is a parameter of one resource type.
type param struct {
	search.Param
	expression string // what is evaluated
	parts      []part

	taken bool // by the tree
	gives bool // something that the tree reads can be an entry
}

// A part of a composite.
type part struct {
	kind       search.Kind
	expression string
	resource   bool // it begins at the resource: %resource
}

// A node is a place in resources: what is read there, and where it goes on.
type node struct {
	typ   *element.Type
	edges []edge
	names map[string]*node // of the edges, if there are many

	give   []action
	when   []filter
	nths   []nthNode
	groups []*composite
}

type edge struct {
	name string
	to   *node
}

// A filter leads on to another node of the same value.
type filter struct {
	step
	to *node
}

type nthNode struct {
	nth int
	to  *node
}

// An action makes entries of a value.
type action struct {
	code    string
	kind    search.Kind
	how     how
	part    int
	systems systems
	targets []string // of a reference
}

// A composite makes groups of entries of a value.
type composite struct {
	code  string
	here  *node // parts that begin at the value
	there *node // parts that begin at the resource; nil for none
	all   uint64
	index int // of its counter of groups
}

// A leftover is a parameter, or a part of one, that package fhirpath evaluates.
type leftover struct {
	param *param
	x     *fhirpath.Expression
	parts []*fhirpath.Expression // of a composite
}

// systems are the code systems of the codes of a required binding.
type systems struct {
	one    string
	byCode map[string]string
}

func (s *systems) of(code string) string {
	if s.byCode != nil {
		return s.byCode[code]
	}
	return s.one
}

// A planner makes plans.
type planner struct {
	set    *definition.Set
	model  *element.Model
	engine *fhirpath.Engine
	cached map[string]systems // by value set
	groups int                // composites of the plan under way
	slow   bool               // everything by package fhirpath, and entries of their own for all parameters, for comparison
}

// plan makes that of a type from its usable parameters.
func (p *planner) plan(typ string, params []*param) (*plan, error) {
	out := &plan{params: params, byCode: make(map[string]*param, len(params))}
	t := p.model.Type(typ)
	out.root = &node{typ: t}
	p.groups = 0
	if !p.slow {
		p.share(typ, params)
	}
	for _, x := range params {
		if err := p.put(out, typ, x); err != nil {
			return nil, err
		}
	}
	out.summary, out.mandatory = p.subset(typ)
	out.owners = p.owners(typ, out.byCode)
	return out, nil
}

// finish ends a plan that nothing is added to any more.
func (p *planner) finish(out *plan) {
	out.root.finish()
	out.groups = p.groups
}

// put adds a parameter.
func (p *planner) put(out *plan, typ string, x *param) error {
	if x.expression != "" && x.Of == nil && (p.slow || !p.take(out.root, x)) { // without one it is the store's
		l := leftover{param: x}
		var err error
		if l.x, err = p.engine.CompileFor(typ, x.expression, fhirpath.Lenient); err != nil {
			return err
		}
		for _, part := range x.parts {
			e, err := p.engine.Compile(part.expression, fhirpath.Lenient)
			if err != nil {
				return err
			}
			l.parts = append(l.parts, e)
		}
		out.rest = append(out.rest, l)
	}
	out.byCode[x.Code] = x
	return nil
}

// take puts a parameter into the tree, or reports false and leaves the tree's answers as they
// were.
func (p *planner) take(root *node, x *param) bool {
	ends, ok := p.ends(root, x.expression, true)
	if !ok {
		return false
	}
	if x.Kind != search.Composite {
		x.taken = true
		for _, e := range ends {
			if e.at.act(action{code: x.Code, kind: x.Kind, systems: e.systems, targets: x.Targets}) {
				x.gives = true
			}
		}
		return true
	}
	var made []*composite
	for _, e := range ends {
		c := &composite{code: x.Code, here: &node{typ: e.at.typ}, index: p.groups}
		given := 0 // parts of which something can be an entry
		for i, part := range x.parts {
			from := c.here
			if part.resource {
				if c.there == nil {
					c.there = &node{typ: root.typ}
				}
				from = c.there
			}
			targets, ok := p.ends(from, part.expression, part.resource)
			if !ok {
				return false
			}
			gives := false
			for _, t := range targets {
				if t.at.act(action{code: x.Code, kind: part.kind, part: i + 1, systems: t.systems}) {
					gives = true
				}
			}
			if gives {
				given++
			}
			c.all |= 1 << (i + 1)
		}
		x.gives = x.gives || given == len(x.parts)
		c.here.finish()
		if c.there != nil {
			c.there.finish()
		}
		made = append(made, c)
	}
	for i, e := range ends {
		e.at.groups = append(e.at.groups, made[i])
	}
	p.groups++
	x.taken = true
	return true
}

// An end is where a path leads.
type end struct {
	at      *node
	systems systems
}

// ends follows an expression through the tree and makes what is missing.
func (p *planner) ends(from *node, expression string, resource bool) (all []end, ok bool) {
	alternatives, ok := paths(expression)
	if !ok {
		return nil, false
	}
	if resource {
		alternatives = p.within(from.typ, alternatives)
	}
	for _, steps := range alternatives {
		if all, ok = p.follow(all, end{at: from}, steps, true); !ok {
			return nil, false
		}
	}
	// Alternatives that lead to one place give one value.
	for i := len(all) - 1; i > 0; i-- {
		if slices.ContainsFunc(all[:i], func(e end) bool { return e.at == all[i].at }) {
			all = slices.Delete(all, i, i+1)
		}
	}
	return all, true
}

// within returns those alternatives of an expression that are for resources of a type, without its name.
func (p *planner) within(t *element.Type, alternatives [][]step) (all [][]step) {
	for _, steps := range alternatives {
		switch first := steps[0].name; {
		case t.Is(first):
			all = append(all, steps[1:])
		case t.Field(first) != nil || p.model.Type(first) == nil: // not another type's
			all = append(all, steps)
		}
	}
	return all
}

// follow walks steps; single says that there is one value at most so far.
func (p *planner) follow(all []end, at end, steps []step, single bool) ([]end, bool) {
	if len(steps) == 0 {
		return append(all, at), true
	}
	s, t := steps[0], at.at.typ
	switch s.op {
	case as:
		if !is(t, s.name) {
			return all, true
		}
		return p.follow(all, at, steps[1:], single)
	case nth:
		return nil, false // it needs the list, and several lists are one: see below
	case equals, leadsTo:
		if s.op == equals {
			if f := t.Field(s.name); f == nil || f.Choice || f.Many || len(f.Types) != 1 || f.Types[0].Type == nil || f.Types[0].Type.Kind != element.Primitive {
				return nil, false
			}
		} else if !t.Is("Reference") {
			return nil, false
		}
		return p.follow(all, end{at.at.filtered(s), at.systems}, steps[1:], single)
	}
	f := t.Field(s.name)
	if f == nil {
		return nil, false
	}
	var ok bool
	for _, o := range f.Types {
		if o.Type == nil {
			return nil, false
		}
		next := end{at: at.at.child(o.JSON, o.Type)}
		rest := steps[1:]
		if len(rest) > 0 && rest[0].op == nth && single && f.Many {
			next.at, rest = next.at.item(rest[0].nth), rest[1:]
		}
		if o.Type.Name == "code" {
			next.systems = p.bound(t, f)
		}
		if f.Choice && len(rest) > 0 && rest[0].op == child && o.Type.Field(rest[0].name) == nil {
			continue // this one of the types has no such child
		}
		if all, ok = p.follow(all, next, rest, single && !f.Many); !ok {
			return nil, false
		}
	}
	return all, true
}

// is is how as and ofType decide in package fhirpath: a primitive is only what it is.
func is(t *element.Type, name string) bool {
	if name == "SimpleQuantity" || name == "MoneyQuantity" {
		return t.Is("Quantity")
	}
	if t.Kind == element.Primitive {
		return t.Name == name
	}
	return t.Is(name)
}

// bound reads the code systems of a field that is bound to a value set by strength required.
func (p *planner) bound(t *element.Type, f *element.Field) systems {
	root, _, _ := strings.Cut(t.Name, ".")
	def := p.set.Type(root)
	if def == nil {
		return systems{}
	}
	path := t.Name + "." + f.Name
	if f.Choice {
		path += "[x]"
	}
	el := def.Element(path)
	if el == nil || el.Strength != "required" || el.ValueSet == "" {
		return systems{}
	}
	url, _, _ := strings.Cut(el.ValueSet, "|")
	if s, ok := p.cached[url]; ok {
		return s
	}
	var s systems
	if vs := p.set.ValueSet(url); vs != nil && len(vs.Codes) > 0 {
		s.one = vs.Codes[0].System
		for _, c := range vs.Codes {
			if c.System != s.one {
				s.byCode = map[string]string{}
			}
		}
		if s.byCode != nil {
			for _, c := range vs.Codes {
				if old, ok := s.byCode[c.Code]; ok && old != c.System {
					s.byCode[c.Code] = "" // it could be either
				} else {
					s.byCode[c.Code] = c.System
				}
			}
		} else if vs.Open {
			s.one = "" // there may be others
		}
	}
	p.cached[url] = s
	return s
}

func (n *node) child(name string, t *element.Type) *node {
	for _, e := range n.edges {
		if e.name == name {
			return e.to
		}
	}
	to := &node{typ: t}
	n.edges = append(n.edges, edge{name, to})
	return to
}

func (n *node) filtered(s step) *node {
	for _, w := range n.when {
		if w.step == s {
			return w.to
		}
	}
	to := &node{typ: n.typ}
	n.when = append(n.when, filter{s, to})
	return to
}

func (n *node) item(i int) *node {
	for _, x := range n.nths {
		if x.nth == i {
			return x.to
		}
	}
	to := &node{typ: n.typ}
	n.nths = append(n.nths, nthNode{i, to})
	return to
}

// act adds an action for values of the node's type; of an Extension, for its value. It reports whether
// such a value can have an entry.
func (n *node) act(a action) bool {
	if n.typ.Name == "Extension" {
		f := n.typ.Field("value")
		some := false
		for _, o := range f.Types {
			if _, ok := howOf(a.kind, o.Type); ok {
				some = n.child(o.JSON, o.Type).act(a) || some
			}
		}
		return some
	}
	h, ok := howOf(a.kind, n.typ)
	if !ok {
		return false
	}
	a.how = h
	n.give = append(n.give, a)
	return true
}

// manyEdges is from where a map finds a name sooner than a comparison with each.
const manyEdges = 5

func (n *node) finish() {
	if len(n.edges) >= manyEdges {
		n.names = make(map[string]*node, len(n.edges))
		for _, e := range n.edges {
			n.names[e.name] = e.to
		}
	}
	for _, e := range n.edges {
		e.to.finish()
	}
	for _, w := range n.when {
		w.to.finish()
	}
	for _, x := range n.nths {
		x.to.finish()
	}
}

func (n *node) to(name string) *node {
	if n.names != nil {
		return n.names[name]
	}
	for i := range n.edges {
		if n.edges[i].name == name {
			return n.edges[i].to
		}
	}
	return nil
}
