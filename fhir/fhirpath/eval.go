package fhirpath

import (
	"math/big"

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
	depth   int
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

func (r *run) binary(n *node, focus, dst []Value) []Value {
	switch n.name {
	case "and", "or", "implies", "xor":
		return r.logic(n, focus, dst)
	case "|":
		a := r.eval(n.args[0], focus, r.buf())
		a = r.eval(n.args[1], focus, a)
		dst = r.distinct(a, n.pos, dst)
		r.give(a)
		return dst
	}
	a := r.eval(n.args[0], focus, r.buf())
	b := r.eval(n.args[1], focus, r.buf())
	if r.err == nil && r.tick(min(len(a), len(b)), n.pos) {
		dst = r.operator(n, a, b, dst)
	}
	r.give(a)
	r.give(b)
	return dst
}

func (r *run) logic(n *node, focus, dst []Value) []Value {
	a := r.test(n.args[0], focus)
	if r.err != nil || n.name == "and" && a == no || n.name == "or" && a == yes || n.name == "implies" && a == no {
		return putTruth(dst, truthOf(n.name != "and"))
	}
	b := r.test(n.args[1], focus)
	if r.err != nil {
		return dst
	}
	out := unknown
	switch n.name {
	case "and":
		if b == no || a == yes && b == yes {
			out = b
		}
	case "or":
		if b == yes || a == no && b == no {
			out = b
		}
	case "implies":
		if b == yes || a == yes {
			out = b
		}
	default:
		if a != unknown && b != unknown {
			out = truthOf(a != b)
		}
	}
	return putTruth(dst, out)
}

func (r *run) operator(n *node, a, b, dst []Value) []Value {
	switch n.name {
	case "=":
		return putTruth(dst, equalAll(a, b))
	case "!=":
		switch equalAll(a, b) {
		case yes:
			return append(dst, Bool(false))
		case no:
			return append(dst, Bool(true))
		}
		return dst
	case "~", "!~":
		like := len(a) == len(b) && matchAll(len(a), func(i, j int) bool { return r.tick(1, n.pos) && equivalent(a[i], b[j]) })
		return append(dst, Bool(like == (n.name == "~")))
	case "in", "contains":
		if n.name == "contains" {
			a, b = b, a
		}
		if len(a) == 0 {
			return dst
		}
		if len(a) > 1 {
			r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
			return dst
		}
		return append(dst, Bool(contains(b, a[0])))
	}
	if len(a) > 1 || len(b) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
		return dst
	}
	if n.name == "&" {
		s := ""
		for _, side := range [][]Value{a, b} {
			if len(side) == 1 {
				v := side[0].System()
				if v.kind != String {
					r.fail(CodeType, n.pos, "a string is wanted here")
				}
				s += v.text
			}
		}
		return append(dst, Text(s))
	}
	if len(a) == 0 || len(b) == 0 {
		return dst
	}
	x, y := a[0].System(), b[0].System()
	switch n.name {
	case "<", ">", "<=", ">=":
		o, known, ok := compare(x, y)
		if !ok {
			r.fail(CodeType, n.pos, "these cannot be compared")
		}
		if !known {
			return dst
		}
		return append(dst, Bool(n.name[0] == '<' && o < 0 || n.name[0] == '>' && o > 0 || o == 0 && len(n.name) == 2))
	}
	return r.arithmetic(n, x, y, dst)
}

func (r *run) arithmetic(n *node, x, y Value, dst []Value) []Value {
	switch {
	case n.name == "+" && x.kind == String && y.kind == String:
		if len(x.text)+len(y.text) > maxString {
			r.fail(CodeBudget, n.pos, "the string is too long")
			return dst
		}
		return append(dst, Text(x.text+y.text))
	case x.tm != nil && y.kind == Quantity && (n.name == "+" || n.name == "-"):
		t, ok := x.tm.plus(y, n.name == "-")
		if !ok {
			r.fail(CodeType, n.pos, "only a duration can be added to a date or time")
		} else if t != nil {
			dst = append(dst, Value{kind: x.kind, tm: t})
		}
		return dst
	case x.kind == Quantity || y.kind == Quantity:
		return r.quantities(n, x, y, dst)
	}
	a, b := x.number(), y.number()
	if a == nil || b == nil {
		r.fail(CodeType, n.pos, "the operator does not take these types")
		return dst
	}
	whole := x.kind == Integer && y.kind == Integer
	if n.name != "+" && n.name != "-" && n.name != "*" && b.c.Sign() == 0 {
		return dst
	}
	var d *decimal
	switch n.name {
	case "+":
		d = a.add(b)
	case "-":
		d = a.add(b.neg())
	case "*":
		d = a.mul(b)
	case "/":
		return append(dst, Value{kind: Decimal, dec: a.div(b)})
	case "div":
		p, q, _ := align(a, b)
		i, ok := small(new(big.Int).Quo(p, q))
		if !ok {
			return dst
		}
		return append(dst, Int(i))
	default:
		p, q, s := align(a, b)
		d = &decimal{new(big.Int).Rem(p, q), s}
	}
	if d.c.BitLen() > 4096 {
		r.fail(CodeBudget, n.pos, "the number is too large")
		return dst
	}
	if whole {
		i, ok := small(d.c)
		if !ok { // overflow is empty (N1, 6.6)
			return dst
		}
		return append(dst, Int(i))
	}
	return append(dst, Value{kind: Decimal, dec: d})
}

func (r *run) quantities(n *node, x, y Value, dst []Value) []Value {
	lift := func(v Value) Value {
		if d := v.number(); d != nil {
			return Value{kind: Quantity, dec: d, text: "1"}
		}
		return v
	}
	a, b := lift(x), lift(y)
	if a.kind != Quantity || b.kind != Quantity {
		r.fail(CodeType, n.pos, "the operator does not take these types")
		return dst
	}
	switch n.name {
	case "+", "-":
		o := b.dec
		if a.ucum() != b.ucum() {
			ma, ok1 := measureOf(a.ucum())
			mb, ok2 := measureOf(b.ucum())
			if !ok1 || !ok2 || ma.dim != mb.dim {
				return dst
			}
			f := new(big.Rat).Quo(mb.factor, ma.factor)
			c, ok := parseDecimal(f.Mul(f, b.dec.rat()).FloatString(12))
			if !ok {
				return dst
			}
			o = c.trim()
		}
		if n.name == "-" {
			o = o.neg()
		}
		a.dec = a.dec.add(o)
		return append(dst, a)
	case "*":
		a.dec = a.dec.mul(b.dec)
		a.text, a.cal = product(a.ucum(), b.ucum(), "."), false
		return append(dst, a)
	case "/":
		if b.dec.c.Sign() == 0 {
			return dst
		}
		a.dec = a.dec.div(b.dec)
		a.text, a.cal = product(a.ucum(), b.ucum(), "/"), false
		return append(dst, a)
	}
	r.fail(CodeType, n.pos, "the operator does not take these types")
	return dst
}

func product(a, b, op string) string {
	switch {
	case b == "1":
		return a
	case a == b && op == "/":
		return "1"
	case a == "1" && op == ".":
		return b
	}
	return "(" + a + ")" + op + "(" + b + ")"
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
