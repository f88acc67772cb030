package fhirpath

import (
	"salus/fhir/element"
)

// A run is one evaluation.
type run struct {
	engine  *Engine
	lenient bool
	env     *Env
	none    Env
	steps   int
	err     *Error
	first   [1]Value
	this    []Value
	index   []Value
	total   []Value
	context []Value
	now     *temporal
	free    [][]Value
}

func (r *run) fail(code string, pos int, text string) {
	if r.err == nil {
		r.err = fail(code, pos, text)
	}
}

// buf lends an empty slice; give takes it back.
func (r *run) buf() []Value {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b[:0]
	}
	return make([]Value, 0, 8)
}

func (r *run) give(b []Value) {
	if cap(b) > 0 && cap(b) <= 1024 && len(r.free) < 32 {
		clear(b)
		r.free = append(r.free, b[:0])
	}
}

// tick counts work; false if there was too much.
func (r *run) tick(n, pos int) bool {
	if r.err != nil {
		return false
	}
	if r.steps -= n; r.steps < 0 {
		r.fail(CodeBudget, pos, "the evaluation takes too many steps")
		return false
	}
	return true
}

// eval evaluates n on the focus and appends to dst.
func (r *run) eval(n *node, focus, dst []Value) []Value {
	if !r.tick(1, n.pos) {
		return dst
	}
	switch n.op {
	case opLiteral:
		return append(dst, n.lit...)
	case opMember:
		return r.member(n, focus, dst)
	case opDollar:
		switch n.name {
		case "$this":
			return append(dst, r.this...)
		case "$index":
			return append(dst, r.index...)
		}
		return append(dst, r.total...)
	case opVariable:
		return r.variable(n, dst)
	case opSign:
		return r.sign(n, focus, dst)
	case opBinary:
		return r.binary(n, focus, dst)
	case opIndex:
		in := r.eval(n.base, focus, r.buf())
		if i, ok := r.integer(n.args[0], focus); ok && i >= 0 && i < int64(len(in)) {
			dst = append(dst, in[i])
		}
		r.give(in)
		return dst
	case opIs:
		in := r.eval(n.base, focus, r.buf())
		dst = r.is(n, in, dst)
		r.give(in)
		return dst
	case opAs:
		in := r.eval(n.base, focus, r.buf())
		dst = r.as(n, in, dst)
		r.give(in)
		return dst
	}
	in := focus
	if n.base != nil {
		in = r.eval(n.base, focus, r.buf())
	}
	if r.err == nil {
		dst = n.fn.call(r, n, in, focus, dst)
	}
	if n.base != nil {
		r.give(in)
	}
	return dst
}

func (r *run) member(n *node, focus, dst []Value) []Value {
	if n.base != nil && n.path != nil && len(focus) == 1 && focus[0].kind == Node {
		path := n.path
		if t := focus[0].el.Type(); path[0].root && t != nil && t.Is(path[0].name) {
			path = path[1:]
		}
		return r.walk(focus[0].el, path, dst)
	}
	if n.base == nil {
		if n.root {
			at := len(dst)
			for i := range focus {
				if t := focus[i].el.Type(); t != nil && focus[i].kind == Node && t.Is(n.name) {
					dst = append(dst, focus[i])
				}
			}
			if len(dst) > at {
				return dst
			}
		}
		return r.children(n, focus, dst)
	}
	in := r.eval(n.base, focus, r.buf())
	dst = r.children(n, in, dst)
	r.give(in)
	return dst
}

// walk follows a path of members from one element without collecting what is between.
func (r *run) walk(e element.Element, path []*node, dst []Value) []Value {
	c := e.Select(path[0].name, path[0].sym)
	for e, ok := c.Next(); ok; e, ok = c.Next() {
		if !r.tick(1, path[0].pos) {
			return dst
		}
		if len(path) == 1 {
			dst = append(dst, Value{el: e})
		} else {
			dst = r.walk(e, path[1:], dst)
		}
	}
	return dst
}

// children appends the children that a member step names.
func (r *run) children(n *node, in, dst []Value) []Value {
	for i := range in {
		v := &in[i]
		if v.kind == TypeInfo {
			dst = append(dst, v.info(n.name)...)
			continue
		}
		if v.kind != Node {
			continue
		}
		c := v.el.Select(n.name, n.sym)
		for e, ok := c.Next(); ok; e, ok = c.Next() {
			if !r.tick(1, n.pos) {
				return dst
			}
			dst = append(dst, Value{el: e})
		}
	}
	return dst
}

// one evaluates n and wants one item at most.
func (r *run) one(n *node, focus []Value) (v Value, ok bool) {
	out := r.eval(n, focus, r.buf())
	switch {
	case r.err != nil:
	case len(out) > 1:
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	case len(out) == 1:
		v, ok = out[0], true
	}
	r.give(out)
	return v, ok
}

func (r *run) integer(n *node, focus []Value) (int64, bool) {
	v, ok := r.one(n, focus)
	if !ok {
		return 0, false
	}
	if v = v.System(); v.kind != Integer {
		r.fail(CodeType, n.pos, "an integer is wanted here")
		return 0, false
	}
	return v.num, true
}

// str evaluates an argument that is a string.
func (r *run) str(n *node, focus []Value) (string, bool) {
	v, ok := r.one(n, focus)
	if !ok {
		return "", false
	}
	if v = v.System(); v.kind != String {
		r.fail(CodeType, n.pos, "a string is wanted here")
		return "", false
	}
	return v.text, true
}

// truth reads a collection as a Boolean (N1, 5.4 "Singleton Evaluation of Collections").
func (r *run) truth(in []Value, pos int) truth {
	switch {
	case len(in) == 0 || r.err != nil:
		return unknown
	case len(in) > 1:
		r.fail(CodeSingle, pos, "one item is wanted here, and there are several")
		return unknown
	}
	if v := in[0].System(); v.kind == Boolean {
		return truthOf(v.num == 1)
	}
	return yes
}

// test evaluates n as a condition.
func (r *run) test(n *node, focus []Value) truth {
	out := r.eval(n, focus, r.buf())
	t := r.truth(out, n.pos)
	r.give(out)
	return t
}

func putTruth(dst []Value, t truth) []Value {
	if t == unknown {
		return dst
	}
	return append(dst, Bool(t == yes))
}

func (r *run) variable(n *node, dst []Value) []Value {
	if v, ok := r.env.Variables[n.name]; ok {
		return append(dst, v...)
	}
	put := func(e, other element.Element) []Value {
		if e.IsZero() {
			e = other
		}
		if e.IsZero() {
			return append(dst, r.context...)
		}
		return append(dst, Value{el: e})
	}
	switch n.name {
	case "context":
		return append(dst, r.context...)
	case "resource":
		return put(r.env.Resource, element.Element{})
	case "rootResource":
		return put(r.env.Root, r.env.Resource)
	case "ucum":
		return append(dst, Text("http://unitsofmeasure.org"))
	case "sct":
		return append(dst, Text("http://snomed.info/sct"))
	case "loinc":
		return append(dst, Text("http://loinc.org"))
	}
	if len(n.name) > 3 && n.name[:3] == "vs-" {
		return append(dst, Text("http://hl7.org/fhir/ValueSet/"+n.name[3:]))
	}
	if len(n.name) > 4 && n.name[:4] == "ext-" {
		return append(dst, Text("http://hl7.org/fhir/StructureDefinition/"+n.name[4:]))
	}
	r.fail(CodeSemantic, n.pos, "there is no such variable")
	return dst
}

func (r *run) sign(n *node, focus, dst []Value) []Value {
	v, ok := r.one(n.base, focus)
	if !ok {
		return dst
	}
	v = v.System()
	switch {
	case v.kind != Integer && v.kind != Decimal && v.kind != Quantity:
		r.fail(CodeType, n.pos, "only a number has a sign")
		return dst
	case n.name == "-" && v.kind == Integer:
		v.num = -v.num
	case n.name == "-":
		v.dec = v.dec.neg()
	}
	return append(dst, v)
}

func (r *run) distinct(in []Value, pos int, dst []Value) []Value {
	var b bag
	for _, v := range in {
		if !r.tick(1+len(b.other), pos) {
			break
		}
		if b.add(v) {
			dst = append(dst, v)
		}
	}
	return dst
}

func (v Value) info(name string) []Value {
	space, rest := "System", v.text
	if v.num == 1 {
		space = "FHIR"
	}
	switch name {
	case "namespace":
		return []Value{Text(space)}
	case "name":
		return []Value{Text(rest)}
	}
	return nil
}

// matches reports whether v is of a type; exact leaves out what derives from a primitive.
func (v Value) matches(t typeSpec, exact bool) bool {
	if v.kind == Node {
		typ := v.el.Type()
		if t.space == "System" || typ == nil {
			return false
		}
		if t.name == "SimpleQuantity" || t.name == "MoneyQuantity" {
			return typ.Is("Quantity")
		}
		if exact && typ.Kind == element.Primitive {
			return typ.Name == t.name
		}
		return typ.Is(t.name)
	}
	if v.kind == Target {
		return t.space != "System" && (v.text == t.name || t.name == "Resource" || t.name == "DomainResource")
	}
	return t.space != "FHIR" && kindNames[v.kind] == t.name
}

func (r *run) is(n *node, in, dst []Value) []Value {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	}
	if len(in) != 1 {
		return dst
	}
	return append(dst, Bool(in[0].matches(n.spec, false)))
}

func (r *run) as(n *node, in, dst []Value) []Value {
	if len(in) > 1 && !r.lenient {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
		return dst
	}
	for i := range in {
		if in[i].matches(n.spec, true) {
			dst = append(dst, in[i])
		}
	}
	return dst
}
