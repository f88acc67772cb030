package fhirpath

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// An Engine compiles expressions for a set of definitions.
type Engine struct {
	defs  *definition.Set
	model *element.Model
	pool  sync.Pool
}

// New returns an Engine.
func New(defs *definition.Set) *Engine {
	e := &Engine{defs: defs, model: defs.Model()}
	e.pool.New = func() any { return &run{} }
	return e
}

// An Option changes how an expression is compiled.
type Option uint8

// Lenient lets as() filter a collection of several items, as R4's search parameters and
// some of its invariants expect, instead of refusing it.
const Lenient Option = 1

// An Expression is compiled.
type Expression struct {
	engine  *Engine
	root    *node
	text    string
	lenient bool
}

// String returns the expression's text.
func (x *Expression) String() string { return x.text }

// A Terminology answers memberOf(): whether a code is in a value set. known is false for a
// value set that it does not have.
type Terminology interface {
	Member(valueSet, system, code string) (is, known bool)
}

// An Env is what an evaluation sees beside its focus. The zero Env is usable.
type Env struct {
	Resource    element.Element    // %resource; the focus if absent
	Root        element.Element    // %rootResource; %resource if absent
	Variables   map[string][]Value // further %names
	Now         time.Time          // of now(), today(), timeOfDay(); the clock's if zero
	Steps       int                // bound of the work; DefaultSteps if 0
	Resolve     func(reference string) (element.Element, bool)
	ByType      bool // resolve() that finds nothing gives the reference's type alone (for search parameters)
	Terminology Terminology
	Conforms    func(e element.Element, profile string) (conforms, known bool)
	Trace       func(name string, items []Value) // trace(); nothing without it
}

// DefaultSteps bounds the parts of an expression and the elements that an evaluation touches.
const DefaultSteps = 1_000_000

// step is what compile prepares of a node.
type step struct {
	sym  element.Sym
	root bool    // a member that may be the name of the focus' type
	path []*node // the members from the focus to this one, if there is nothing else between
	fn   *function
	spec typeSpec
	re   *regexp.Regexp
}

// A typeSpec names a type.
type typeSpec struct{ space, name string }

// Compile reads an expression. An error is an *Error.
func (e *Engine) Compile(text string, options ...Option) (*Expression, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	x := &Expression{engine: e, root: root, text: text}
	for _, o := range options {
		x.lenient = x.lenient || o == Lenient
	}
	if err := e.prepare(root); err != nil {
		return nil, err
	}
	return x, nil
}

func (e *Engine) prepare(n *node) error {
	if n == nil {
		return nil
	}
	if err := e.prepare(n.base); err != nil {
		return err
	}
	var err error
	switch n.op {
	case opMember:
		n.sym = e.model.Sym(n.name)
		n.root = n.base == nil && e.model.Type(n.name) != nil
		if n.base == nil {
			n.path = []*node{n}
		} else if b := n.base.path; b != nil {
			n.path = append(slices.Clip(b), n)
		}
	case opIs, opAs:
		n.spec, err = e.spec(n.name, n.pos)
		return err
	case opCall:
		f, ok := functions[n.name]
		if !ok {
			return fail(CodeSemantic, n.pos, "there is no such function")
		}
		if len(n.args) < f.min || len(n.args) > f.max {
			return fail(CodeSemantic, n.pos, "the function takes another number of arguments")
		}
		n.fn = &f
		if f.types {
			name, ok := typeArg(n.args[0])
			if !ok {
				return fail(CodeSemantic, n.pos, "the argument must be the name of a type")
			}
			n.spec, err = e.spec(name, n.pos)
			return err
		}
	}
	for _, a := range n.args {
		if err := e.prepare(a); err != nil {
			return err
		}
	}
	if n.op == opCall && n.fn.regex >= 0 && n.args[n.fn.regex].op == opLiteral && len(n.args[n.fn.regex].lit) == 1 {
		if n.re, err = pattern(n.args[n.fn.regex].lit[0].text, n.name == "matchesFull"); err != nil {
			return fail(CodeSemantic, n.pos, "this is not a regular expression of RE2")
		}
	}
	return nil
}

func typeArg(n *node) (string, bool) {
	switch {
	case n.op == opLiteral && len(n.lit) == 1 && n.lit[0].kind == String:
		return n.lit[0].text, true
	case n.op != opMember:
		return "", false
	case n.base == nil:
		return n.name, true
	case n.base.op == opMember && n.base.base == nil:
		return n.base.name + "." + n.name, true
	}
	return "", false
}

func (e *Engine) spec(name string, pos int) (typeSpec, error) {
	space, rest, ok := strings.Cut(name, ".")
	if !ok || space != "System" && space != "FHIR" {
		if ok && e.model.Type(name) == nil {
			return typeSpec{}, fail(CodeSemantic, pos, "there is no such type")
		}
		space, rest = "", name
	}
	t := typeSpec{space, rest}
	if space == "" && e.model.Type(rest) == nil && systemKind(rest) == 0 && rest != "SimpleQuantity" && rest != "MoneyQuantity" {
		return t, fail(CodeSemantic, pos, "there is no such type")
	}
	if space == "FHIR" && e.model.Type(rest) == nil {
		return t, fail(CodeSemantic, pos, "there is no such type")
	}
	return t, nil
}

func systemKind(name string) Kind {
	for k, n := range kindNames {
		if n == name && n != "" && Kind(k) <= Quantity {
			return Kind(k)
		}
	}
	return 0
}

// Eval evaluates the expression on a focus. An error is an *Error.
func (x *Expression) Eval(focus element.Element, env *Env) ([]Value, error) {
	return x.Append(nil, focus, env)
}

// Append evaluates and appends to dst, which saves the allocation of a result.
func (x *Expression) Append(dst []Value, focus element.Element, env *Env) ([]Value, error) {
	r := x.engine.pool.Get().(*run)
	r.engine, r.lenient, r.env, r.steps, r.err = x.engine, x.lenient, env, DefaultSteps, nil
	if env == nil {
		r.env = &r.none
	} else if env.Steps > 0 {
		r.steps = env.Steps
	}
	r.first[0] = Value{el: focus}
	in := r.first[:1]
	if focus.IsZero() {
		in = nil
	}
	r.this, r.index, r.total, r.context = in, nil, nil, in
	from := len(dst)
	dst = r.eval(x.root, in, dst)
	var err error
	if r.err != nil {
		dst, err = dst[:from], r.err
	}
	r.first[0], r.env, r.this, r.context, r.total, r.now = Value{}, nil, nil, nil, nil, nil
	x.engine.pool.Put(r)
	return dst, err
}

// Holds evaluates a constraint: true if the result is true. Empty does not hold.
func (x *Expression) Holds(focus element.Element, env *Env) (bool, error) {
	var room [1]Value
	out, err := x.Append(room[:0], focus, env)
	if err != nil {
		return false, err
	}
	if len(out) > 1 {
		return false, fail(CodeSingle, 0, "the constraint gave several items")
	}
	return len(out) == 1 && out[0].IsTrue(), nil
}

// CompileFor compiles an expression for one type of resource: parts of a union that begin
// with the name of another type are left out, so that the parameters of R4 that are shared
// by thirty resources cost no more than their own part.
func (e *Engine) CompileFor(typ, text string, options ...Option) (*Expression, error) {
	x, err := e.Compile(text, options...)
	if err != nil {
		return nil, err
	}
	t := e.model.Type(typ)
	if t == nil {
		return nil, fail(CodeSemantic, 0, "there is no such type")
	}
	if x.root = prune(x.root, t); x.root == nil {
		x.root = &node{op: opLiteral}
	}
	return x, nil
}

// prune returns what of n can give something on a resource of type t, or nil.
func prune(n *node, t *element.Type) *node {
	if n.op == opBinary && n.name == "|" {
		a, b := prune(n.args[0], t), prune(n.args[1], t)
		switch {
		case a == nil:
			return b
		case b == nil:
			return a
		}
		c := *n
		c.args = []*node{a, b}
		return &c
	}
	first := n
	for first.base != nil {
		if first.op == opCall && first.name != "where" && first.name != "as" && first.name != "ofType" {
			return n // a function may make something of nothing
		}
		first = first.base
	}
	if first.op == opMember && first.root && !t.Is(first.name) && t.Field(first.name) == nil && (n.op == opMember || n.op == opAs || n.op == opCall || n.op == opIndex) {
		return nil
	}
	return n
}
