package fhirpath

import "math/big"

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
		var both [2]string
		for i, side := range [][]Value{a, b} {
			if len(side) == 1 {
				v := side[0].System()
				if v.kind != String {
					r.fail(CodeType, n.pos, "a string is wanted here")
				}
				both[i] = v.text
			}
		}
		return append(dst, Text(both[0]+both[1]))
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
