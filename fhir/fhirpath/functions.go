package fhirpath

import "salus/fhir/element"

// A function is one function of FHIRPath. call gets the input, and the focus in which
// arguments that are no lambdas are evaluated.
type function struct {
	min, max int
	types    bool // the argument names a type
	regex    int  // which argument is a regular expression; -1 for none
	call     func(r *run, n *node, in, focus, dst []Value) []Value
}

type call = func(r *run, n *node, in, focus, dst []Value) []Value

// functions is the table of all functions; it is not changed.
var functions = func() map[string]function {
	m := map[string]function{}
	add := func(lo, hi int, fns map[string]call) {
		for name, fn := range fns {
			m[name] = function{min: lo, max: hi, regex: -1, call: fn}
		}
	}
	add(0, 0, map[string]call{
		"empty": fnEmpty, "not": fnNot, "allTrue": fnAllTrue, "anyTrue": fnAllTrue, "allFalse": fnAllTrue, "anyFalse": fnAllTrue,
		"count": fnCount, "distinct": fnDistinct, "isDistinct": fnIsDistinct, "single": fnSingle, "first": fnFirst, "last": fnFirst,
		"tail": fnSkip, "children": fnChildren, "descendants": fnDescendants, "now": fnNow, "today": fnNow, "timeOfDay": fnNow,
		"toBoolean": fnConvert, "toInteger": fnConvert, "toDecimal": fnConvert, "toString": fnConvert, "toDate": fnConvert, "toDateTime": fnConvert, "toTime": fnConvert,
		"convertsToBoolean": fnConverts, "convertsToInteger": fnConverts, "convertsToDecimal": fnConverts, "convertsToString": fnConverts, "convertsToDate": fnConverts,
		"convertsToDateTime": fnConverts, "convertsToTime": fnConverts,
		"upper": fnString, "lower": fnString, "trim": fnString, "length": fnString, "toChars": fnString,
		"abs": fnMath, "ceiling": fnMath, "floor": fnMath, "truncate": fnMath, "exp": fnMath, "ln": fnMath, "sqrt": fnMath,
		"hasValue": fnHasValue, "getValue": fnGetValue, "resolve": fnResolve, "htmlChecks": fnHTML, "type": fnType, "precision": fnPrecision,
	})
	add(0, 1, map[string]call{
		"exists": fnExists, "toQuantity": fnConvert, "convertsToQuantity": fnConverts, "round": fnMath, "lowBoundary": fnBoundary, "highBoundary": fnBoundary, "join": fnJoin,
	})
	add(1, 1, map[string]call{
		"all": fnAll, "subsetOf": fnSubset, "supersetOf": fnSubset, "where": fnWhere, "select": fnSelect, "repeat": fnRepeat,
		"skip": fnSkip, "take": fnTake, "intersect": fnCombine, "exclude": fnCombine, "union": fnCombine, "combine": fnCombine,
		"indexOf": fnString, "lastIndexOf": fnString, "startsWith": fnString, "endsWith": fnString, "contains": fnString, "split": fnString,
		"encode": fnString, "decode": fnString, "escape": fnString, "unescape": fnString,
		"log": fnMath, "power": fnMath, "extension": fnExtension, "hasExtension": fnHasExtension, "memberOf": fnMemberOf, "conformsTo": fnConformsTo, "comparable": fnComparable,
	})
	add(1, 2, map[string]call{"aggregate": fnAggregate, "trace": fnTrace, "substring": fnString})
	add(2, 2, map[string]call{"replace": fnString})
	add(2, 3, map[string]call{"iif": fnIif})
	add(0, 16, map[string]call{"sort": fnSort})
	for name, most := range map[string]int{"matches": 1, "matchesFull": 1, "replaceMatches": 2} {
		m[name] = function{min: most, max: most, call: fnRegex}
	}
	for name, fn := range map[string]call{
		"ofType": fnOfType,
		"is":     func(r *run, n *node, in, _, dst []Value) []Value { return r.is(n, in, dst) },
		"as":     func(r *run, n *node, in, _, dst []Value) []Value { return r.as(n, in, dst) },
	} {
		m[name] = function{min: 1, max: 1, types: true, regex: -1, call: fn}
	}
	return m
}()

// each calls do with $this and $index set to each item of in; do returns false to stop.
func (r *run) each(in []Value, do func(i int, item []Value) bool) {
	this, index := r.this, r.index
	var room [1]Value
	for i := range in {
		room[0] = Int(int64(i))
		r.this, r.index = in[i:i+1:i+1], room[:]
		if !do(i, r.this) || r.err != nil {
			break
		}
	}
	r.this, r.index = this, index
}

func fnEmpty(_ *run, _ *node, in, _, dst []Value) []Value { return append(dst, Bool(len(in) == 0)) }

func fnNot(r *run, n *node, in, _, dst []Value) []Value {
	switch r.truth(in, n.pos) {
	case yes:
		return append(dst, Bool(false))
	case no:
		return append(dst, Bool(true))
	}
	return dst
}

func fnExists(r *run, n *node, in, _, dst []Value) []Value {
	if len(n.args) == 0 {
		return append(dst, Bool(len(in) > 0))
	}
	found := false
	r.each(in, func(_ int, item []Value) bool { found = r.test(n.args[0], item) == yes; return !found })
	return append(dst, Bool(found))
}

func fnAll(r *run, n *node, in, _, dst []Value) []Value {
	all := true
	r.each(in, func(_ int, item []Value) bool { all = r.test(n.args[0], item) == yes; return all })
	return append(dst, Bool(all))
}

func fnAllTrue(r *run, n *node, in, _, dst []Value) []Value {
	all, want := n.name[:3] == "all", n.name[3:] == "True"
	for i := range in {
		v := in[i].System()
		if v.kind != Boolean {
			r.fail(CodeType, n.pos, "Booleans are wanted here")
			return dst
		}
		if ((v.num == 1) == want) != all {
			return append(dst, Bool(!all))
		}
	}
	return append(dst, Bool(all))
}

func fnCount(_ *run, _ *node, in, _, dst []Value) []Value { return append(dst, Int(int64(len(in)))) }

func fnDistinct(r *run, n *node, in, _, dst []Value) []Value { return r.distinct(in, n.pos, dst) }

func fnIsDistinct(r *run, n *node, in, _, dst []Value) []Value {
	out := r.distinct(in, n.pos, r.buf())
	dst = append(dst, Bool(len(out) == len(in)))
	r.give(out)
	return dst
}

func fnSubset(r *run, n *node, in, focus, dst []Value) []Value {
	other := r.eval(n.args[0], focus, r.buf())
	a, b := in, other
	if n.name == "supersetOf" {
		a, b = b, a
	}
	is := true
	for i := range a {
		if !r.tick(1+len(b), n.pos) || !contains(b, a[i]) {
			is = false
			break
		}
	}
	r.give(other)
	return append(dst, Bool(is))
}

func fnWhere(r *run, n *node, in, _, dst []Value) []Value {
	r.each(in, func(i int, item []Value) bool {
		if r.test(n.args[0], item) == yes {
			dst = append(dst, in[i])
		}
		return true
	})
	return dst
}

func fnSelect(r *run, n *node, in, _, dst []Value) []Value {
	r.each(in, func(_ int, item []Value) bool { dst = r.eval(n.args[0], item, dst); return true })
	return dst
}

func fnRepeat(r *run, n *node, in, _, dst []Value) []Value {
	var b bag
	places := map[element.Element]bool{}
	queue := append(r.buf(), in...)
	for len(queue) > 0 && r.err == nil {
		next := r.buf()
		r.each(queue, func(_ int, item []Value) bool {
			from := len(next)
			next = r.eval(n.args[0], item, next)
			kept := from
			for _, v := range next[from:] {
				if !r.tick(1+len(b.other), n.pos) {
					return false
				}
				if fresh(&b, places, v) {
					next[kept] = v
					kept++
				}
			}
			next = next[:kept]
			return true
		})
		dst = append(dst, next...)
		r.give(queue)
		queue = next
	}
	r.give(queue)
	return dst
}

// fresh is add for repeat: elements in a tree are told apart by their place alone, which
// keeps a walk over a large resource linear, and ends one that comes back.
func fresh(b *bag, places map[element.Element]bool, v Value) bool {
	if v.kind == Node {
		if places[v.el] {
			return false
		}
		places[v.el] = true
		return true
	}
	return b.add(v)
}

func fnOfType(_ *run, n *node, in, _, dst []Value) []Value {
	for i := range in {
		if in[i].matches(n.spec, true) {
			dst = append(dst, in[i])
		}
	}
	return dst
}

func fnSingle(r *run, n *node, in, _, dst []Value) []Value {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
		return dst
	}
	return append(dst, in...)
}

func fnFirst(_ *run, n *node, in, _, dst []Value) []Value {
	if len(in) == 0 {
		return dst
	}
	if n.name == "last" {
		return append(dst, in[len(in)-1])
	}
	return append(dst, in[0])
}

func fnSkip(r *run, n *node, in, focus, dst []Value) []Value {
	k := int64(1)
	if n.name == "skip" {
		var ok bool
		if k, ok = r.integer(n.args[0], focus); !ok {
			return dst
		}
	}
	return append(dst, in[min(max(k, 0), int64(len(in))):]...)
}

func fnTake(r *run, n *node, in, focus, dst []Value) []Value {
	k, ok := r.integer(n.args[0], focus)
	if !ok {
		return dst
	}
	return append(dst, in[:min(max(k, 0), int64(len(in)))]...)
}

func fnCombine(r *run, n *node, in, focus, dst []Value) []Value {
	other := r.eval(n.args[0], focus, r.buf())
	if r.tick(len(in)+len(other), n.pos) {
		switch n.name {
		case "combine":
			dst = append(append(dst, in...), other...)
		case "union":
			both := append(append(r.buf(), in...), other...)
			dst = r.distinct(both, n.pos, dst)
			r.give(both)
		case "intersect":
			from := len(dst)
			for i := range in {
				if r.tick(len(other), n.pos) && contains(other, in[i]) && !contains(dst[from:], in[i]) {
					dst = append(dst, in[i])
				}
			}
		default:
			for i := range in {
				if r.tick(len(other), n.pos) && !contains(other, in[i]) {
					dst = append(dst, in[i])
				}
			}
		}
	}
	r.give(other)
	return dst
}

func fnAggregate(r *run, n *node, in, focus, dst []Value) []Value {
	outer := r.total
	r.total = nil
	if len(n.args) == 2 {
		r.total = r.eval(n.args[1], focus, nil)
	}
	r.each(in, func(_ int, item []Value) bool { r.total = r.eval(n.args[0], item, nil); return true })
	dst = append(dst, r.total...)
	r.total = outer
	return dst
}

func fnIif(r *run, n *node, in, _, dst []Value) []Value {
	if n.base != nil && len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
		return dst
	}
	this := r.this
	if n.base != nil {
		r.this = in
	}
	out := r.eval(n.args[0], in, r.buf())
	is := false
	switch {
	case len(out) > 1, len(out) == 1 && out[0].System().kind != Boolean:
		r.fail(CodeType, n.pos, "the condition must be a Boolean")
	default:
		is = len(out) == 1 && out[0].IsTrue()
	}
	r.give(out)
	switch {
	case r.err != nil:
	case is:
		dst = r.eval(n.args[1], in, dst)
	case len(n.args) == 3:
		dst = r.eval(n.args[2], in, dst)
	}
	r.this = this
	return dst
}

func fnTrace(r *run, n *node, in, focus, dst []Value) []Value {
	name, _ := r.str(n.args[0], focus)
	if r.env.Trace != nil && r.err == nil {
		shown := in
		if len(n.args) == 2 {
			shown = nil
			r.each(in, func(_ int, item []Value) bool { shown = r.eval(n.args[1], item, shown); return true })
		}
		r.env.Trace(name, shown)
	}
	return append(dst, in...)
}
