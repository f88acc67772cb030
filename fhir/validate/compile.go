package validate

import (
	"fmt"
	"slices"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// A nest is an element definition with those below it and its slices.
type nest struct {
	e      *definition.Element
	name   string // last part of the path
	kids   []*nest
	slices []*nest
}

// nested makes a tree of a snapshot, whose elements stand in document order.
func nested(t *definition.Type) *nest {
	if len(t.Elements) == 0 {
		return nil
	}
	root := &nest{e: &t.Elements[0], name: t.Name}
	open := []*nest{root}
	for i := 1; i < len(t.Elements); i++ {
		e := &t.Elements[i]
		depth := strings.Count(e.Path, ".")
		if depth == 0 || depth > len(open) {
			return nil
		}
		open = open[:depth]
		up, n := open[depth-1], &nest{e: e, name: lastPart(e.Path, '.')}
		if e.Slice != "" {
			if k := up.kid(n.name); k != nil {
				k.slices = append(k.slices, n)
				open = append(open, n)
				continue
			}
		}
		up.kids = append(up.kids, n)
		open = append(open, n)
	}
	return root
}

func (n *nest) kid(name string) *nest {
	for _, k := range n.kids {
		if k.name == name || strings.TrimSuffix(k.name, "[x]") == name {
			return k
		}
	}
	return nil
}

// A compiler makes shapes of definitions.
type compiler struct {
	set      *definition.Set
	model    *element.Model
	engine   *fhirpath.Engine
	types    map[string]*shape
	profiles map[string]*shape
	exprs    map[string]*fhirpath.Expression
	skipped  []string
	at       string // canonical being compiled, for skipped
}

func newCompiler(set *definition.Set) *compiler {
	return &compiler{set: set, model: set.Model(), engine: fhirpath.New(set), types: map[string]*shape{}, profiles: map[string]*shape{}, exprs: map[string]*fhirpath.Expression{}}
}

func (c *compiler) all() error {
	for _, name := range c.set.Types() {
		c.base(name)
	}
	for _, url := range c.set.Profiles() {
		c.profile(url)
	}
	for name, s := range c.types {
		if s.members == nil {
			return fmt.Errorf("validate: %s is referred to and not defined", name)
		}
	}
	slices.Sort(c.skipped)
	c.skipped = slices.Compact(c.skipped)
	return nil
}

func (c *compiler) skip(path, reason string) {
	c.skipped = append(c.skipped, c.at+" "+path+" "+reason)
}

// named returns the shape of a type or inline type, to be filled once it is met.
func (c *compiler) named(name string) *shape {
	s := c.types[name]
	if s == nil {
		s = &shape{name: name, of: name}
		c.types[name] = s
	}
	return s
}

// base compiles a type of R4.
func (c *compiler) base(name string) *shape {
	s := c.named(name)
	t := c.set.Type(name)
	if s.members != nil || t == nil {
		return s
	}
	was := c.at
	c.at = t.URL
	if root := nested(t); root != nil {
		s.typ = c.model.Type(name)
		s.invariants = c.invariants(root.e, nil)
		c.fill(s, root)
	}
	c.at = was
	return s
}

// fill compiles the members of a type.
func (c *compiler) fill(s *shape, n *nest) {
	s.members = map[string]place{}
	for _, k := range n.kids {
		if k.name == "value" && formats[n.name] != formatNone && s.typ != nil && s.typ.Kind == element.Primitive {
			continue // the value of a primitive is the JSON value itself
		}
		f := field{name: strings.TrimSuffix(k.name, "[x]"), def: k.name, path: k.e.Path, many: k.e.Max != 1 && k.e.Max != 0, mod: k.name == "modifierExtension"}
		f.min, f.max, f.maxLength = k.e.Min, k.e.Max, k.e.MaxLength
		f.binding = c.binding(k.e)
		f.fixed, f.pattern = c.json(k.e.Fixed), c.json(k.e.Pattern)
		f.invariants = c.invariants(k.e, k.e.Types)
		mf := s.typ.Field(f.name)
		switch {
		case k.e.Content != "":
			if e := c.baseElement(k.e.Content); e != nil { // what holds there holds here
				f.invariants = append(f.invariants, c.invariants(e, e.Types)...)
			}
			f.options = []option{{json: f.name, code: "BackboneElement", shape: c.named(k.e.Content), typ: c.model.Type(k.e.Content)}}
		case len(k.kids) > 0:
			inner := c.named(k.e.Path)
			inner.typ = c.model.Type(k.e.Path)
			c.fill(inner, k)
			code := "BackboneElement"
			if len(k.e.Types) > 0 {
				code = k.e.Types[0].Code
			}
			f.options = []option{{json: f.name, code: code, shape: inner, typ: inner.typ}}
		default:
			for j, r := range k.e.Types {
				o := option{json: f.name, code: r.Code, format: formats[r.Code], targets: c.targets(r)}
				if f.def != f.name {
					o.json += strings.ToUpper(r.Code[:1]) + r.Code[1:]
				}
				if mf != nil && j < len(mf.Types) {
					o.typ = mf.Types[j].Type
				}
				if o.typ != nil && o.typ.Name == "id" {
					o.format = formatID
				}
				if o.typ == nil || o.typ.Kind != element.Resource {
					o.shape = c.base(strings.Replace(r.Code, "System.String", "string", 1))
				}
				o.profiles = c.narrower(r.Profiles)
				f.options = append(f.options, o)
			}
		}
		c.place(s, f)
	}
}

// place adds a field to a shape.
func (c *compiler) place(s *shape, f field) {
	for j := range f.options {
		s.members[f.options[j].json] = place{len(s.fields), j}
	}
	s.fields = append(s.fields, f)
	if f.min > 0 || f.slicing != nil && slices.ContainsFunc(f.slicing.slices, func(x slice) bool { return x.min > 0 }) {
		s.required = append(s.required, len(s.fields)-1)
	}
}

// narrower returns the shapes of the profiles of a type, nil if one is not known.
func (c *compiler) narrower(urls []string) []*shape {
	var out []*shape
	for _, u := range urls {
		s := c.profile(u)
		if s == nil {
			c.skip(u, "profile is not loaded")
			return nil
		}
		out = append(out, s)
	}
	return out
}

// targets returns the types that a reference may lead to, nil for any.
func (c *compiler) targets(r definition.TypeRef) []string {
	if r.Code != "Reference" {
		return nil
	}
	var out []string
	for _, u := range r.Targets {
		name := lastPart(unversioned(u), '/')
		if p := c.set.Profile(unversioned(u)); p != nil {
			name = p.Name
		}
		if t := c.set.Type(name); t == nil || t.Abstract {
			return nil
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (c *compiler) json(s string) element.Node {
	if s == "" {
		return element.Node{}
	}
	t, err := element.Parse([]byte(s))
	if err != nil {
		return element.Node{}
	}
	return t.Root()
}

// native are the invariants that the walk checks itself.
var native = map[string]bool{"ele-1": true, "ext-1": true, "ref-1": true, "txt-1": true, "txt-2": true}

// containing are those that can fail only where there are contained resources.
var containing = map[string]bool{"dom-2": true, "dom-3": true, "dom-4": true, "dom-5": true}

// corrected are invariants whose expression in R4 refuses what their sentence allows, in
// the form that FHIR R4B and R5 give them: bdl-8 wants a fullUrl everywhere, que-7 compares
// with a type of FHIRPath that no answer has.
var corrected = map[string]string{
	"fullUrl.contains('/_history/').not()":            "fullUrl.empty() or fullUrl.contains('/_history/').not()",
	"operator = 'exists' implies (answer is Boolean)": "operator = 'exists' implies (answer is boolean)",
}

// invariants compiles those of an element but for those that its types have themselves.
func (c *compiler) invariants(e *definition.Element, types []definition.TypeRef) (out []*invariant) {
	for _, i := range e.Invariants {
		if i.Expression == "" || native[i.Key] || c.inherited(i, types) {
			continue
		}
		text := i.Expression
		if better, ok := corrected[text]; ok {
			text = better
		}
		x := c.exprs[i.Expression]
		if x == nil {
			var err error
			if x, err = c.engine.Compile(text, fhirpath.Lenient); err != nil {
				c.skip(e.ID, i.Key+" is no FHIRPath that can be compiled")
				continue
			}
			c.exprs[i.Expression] = x
		}
		out = append(out, &invariant{
			text: i.Key + ": " + i.Human, warning: i.Severity != Error, contains: containing[i.Key], referred: i.Key == "dom-3",
			ordered: strings.ContainsAny(i.Expression, "<>"), expr: x,
		})
	}
	return out
}

func (c *compiler) inherited(i definition.Invariant, types []definition.TypeRef) bool {
	for _, r := range types {
		if t := c.set.Type(r.Code); t != nil && len(t.Elements) > 0 &&
			slices.ContainsFunc(t.Elements[0].Invariants, func(o definition.Invariant) bool { return o.Key == i.Key && o.Expression == i.Expression }) {
			return true
		}
	}
	return false
}

func lastPart(s string, sep byte) string { return s[strings.LastIndexByte(s, sep)+1:] }

func unversioned(url string) string {
	url, _, _ = strings.Cut(url, "|")
	return url
}
