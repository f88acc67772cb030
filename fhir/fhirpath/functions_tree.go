package fhirpath

import (
	"slices"
	"strings"
	"time"

	"salus/fhir/element"
)

func fnChildren(r *run, n *node, in, _, dst []Value) []Value {
	for i := range in {
		if in[i].kind != Node {
			continue
		}
		c := in[i].el.Children()
		for e, ok := c.Next(); ok; e, ok = c.Next() {
			if !r.tick(1, n.pos) {
				return dst
			}
			dst = append(dst, Value{el: e})
		}
	}
	return dst
}

func fnDescendants(r *run, n *node, in, _, dst []Value) []Value {
	from := len(dst)
	dst = fnChildren(r, n, in, nil, dst)
	for i := from; i < len(dst) && r.err == nil; i++ {
		dst = fnChildren(r, n, dst[i:i+1:i+1], nil, dst)
	}
	return dst
}

func (r *run) clock() *temporal {
	if r.now == nil {
		now := r.env.Now
		if now.IsZero() {
			now = time.Now()
		}
		r.now = fromTime(now)
	}
	return r.now
}

func fnNow(r *run, n *node, _, _, dst []Value) []Value {
	t := *r.clock()
	switch n.name {
	case "today":
		t = temporal{kind: Date, prec: pDay, y: t.y, mo: t.mo, d: t.d}
	case "timeOfDay":
		t.kind, t.zone, t.off, t.y, t.mo, t.d = Time, false, 0, 1, 1, 1
	}
	return append(dst, Value{kind: t.kind, tm: &t})
}

func fnType(_ *run, _ *node, in, _, dst []Value) []Value {
	for _, v := range in {
		info := Value{kind: TypeInfo, text: kindNames[v.kind]}
		if v.kind == Node || v.kind == Target {
			info.num, info.text = 1, v.Type()
			if t := v.el.Type(); t != nil {
				info.text = t.Code
			}
		}
		dst = append(dst, info)
	}
	return dst
}

func fnHasValue(_ *run, _ *node, in, _, dst []Value) []Value {
	return append(dst, Bool(len(in) == 1 && hasValue(in[0])))
}

func hasValue(v Value) bool {
	if v.kind != Node {
		return true
	}
	k := v.el.Value().Kind()
	return k != element.Absent && k < element.Array
}

func fnGetValue(_ *run, _ *node, in, _, dst []Value) []Value {
	if len(in) == 1 && hasValue(in[0]) {
		return append(dst, in[0].System())
	}
	return dst
}

func fnExtension(r *run, n *node, in, focus, dst []Value) []Value {
	url, ok := r.str(n.args[0], focus)
	if !ok {
		return dst
	}
	sym := r.engine.model.Sym("extension")
	for i := range in {
		c := in[i].el.Select("extension", sym)
		for e, ok := c.Next(); ok; e, ok = c.Next() {
			if r.tick(1, n.pos) && e.Value().Get("url").Text() == url {
				dst = append(dst, Value{el: e})
			}
		}
	}
	return dst
}

// fnHasExtension is in no specification, but in one search parameter of R4.
func fnHasExtension(r *run, n *node, in, focus, dst []Value) []Value {
	found := fnExtension(r, n, in, focus, r.buf())
	dst = append(dst, Bool(len(found) > 0))
	r.give(found)
	return dst
}

// fnResolve follows references: into the resource for "#id", else through Env.Resolve.
func fnResolve(r *run, n *node, in, _, dst []Value) []Value {
	for i := range in {
		if !r.tick(1, n.pos) {
			break
		}
		v := in[i].System()
		ref, typ := v.text, ""
		if v.kind == Node {
			o := v.el.Value()
			ref, typ = o.Get("reference").Text(), o.Get("type").Text()
		} else if v.kind != String {
			continue
		}
		if id, ok := strings.CutPrefix(ref, "#"); ok {
			dst = append(dst, r.contained(id)...)
			continue
		}
		if r.env.Resolve != nil && ref != "" {
			if e, ok := r.env.Resolve(ref); ok {
				dst = append(dst, Value{el: e})
				continue
			}
		}
		if r.env.ByType {
			if t := r.typeOf(ref); t != "" {
				typ = t
			}
			if typ != "" {
				dst = append(dst, Value{kind: Target, text: typ})
			}
		}
	}
	return dst
}

// typeOf reads the type out of "Patient/1" and "http://host/fhir/Patient/1/_history/2".
func (r *run) typeOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "/_history/")
	ref, _, _ = strings.Cut(ref, "|")
	end := strings.LastIndexByte(ref, '/')
	if end < 0 {
		return ""
	}
	name := ref[strings.LastIndexByte(ref[:end], '/')+1 : end]
	if t := r.engine.model.Type(name); t != nil && t.Kind == element.Resource {
		return name
	}
	return ""
}

func (r *run) contained(id string) []Value {
	for _, e := range []element.Element{r.env.Root, r.env.Resource, r.firstContext()} {
		if e.IsZero() {
			continue
		}
		if id == "" {
			return []Value{{el: e}}
		}
		c := e.Select("contained", r.engine.model.Sym("contained"))
		for e, ok := c.Next(); ok; e, ok = c.Next() {
			if e.Value().Get("id").Text() == id {
				return []Value{{el: e}}
			}
		}
	}
	return nil
}

func (r *run) firstContext() element.Element {
	if len(r.context) == 0 {
		return element.Element{}
	}
	return r.context[0].el
}

func fnMemberOf(r *run, n *node, in, focus, dst []Value) []Value {
	url, ok := r.str(n.args[0], focus)
	if !ok || len(in) != 1 {
		return dst
	}
	v := in[0].System()
	check := func(system, code string) (is, known bool) {
		if r.env.Terminology != nil {
			if is, known = r.env.Terminology.Member(url, system, code); known {
				return is, true
			}
		}
		if s := r.engine.defs.ValueSet(url); s != nil && !s.Open {
			return s.Has(system, code), true
		}
		return false, false
	}
	var is, known bool
	switch o := v.el.Value(); {
	case v.kind == String:
		is, known = check("", v.text)
	case v.kind == Node && v.el.Type().Is("CodeableConcept"):
		for c := range o.Get("coding").Children() {
			one, k := check(c.Get("system").Text(), c.Get("code").Text())
			is, known = is || one, known || k
		}
	case v.kind == Node && v.el.Type().Is("Coding"):
		is, known = check(o.Get("system").Text(), o.Get("code").Text())
	}
	if !known {
		return dst
	}
	return append(dst, Bool(is))
}

func fnConformsTo(r *run, n *node, in, focus, dst []Value) []Value {
	url, ok := r.str(n.args[0], focus)
	if !ok || len(in) != 1 || in[0].kind != Node {
		return dst
	}
	if r.env.Conforms != nil {
		if is, known := r.env.Conforms(in[0].el, url); known {
			return append(dst, Bool(is))
		}
	}
	t := r.engine.defs.Profile(url)
	if t == nil || t.Profile {
		r.fail(CodeSemantic, n.pos, "the profile is not known here")
		return dst
	}
	return append(dst, Bool(in[0].el.Type().Is(t.Name)))
}

func fnSort(r *run, n *node, in, _, dst []Value) []Value {
	if !r.tick(len(in)*(1+len(n.args)), n.pos) {
		return dst
	}
	type row struct {
		v    Value
		keys []Value
		has  []bool
	}
	rows := make([]row, len(in))
	r.each(in, func(i int, item []Value) bool {
		rows[i] = row{v: in[i], keys: make([]Value, max(1, len(n.args))), has: make([]bool, max(1, len(n.args)))}
		if len(n.args) == 0 {
			rows[i].keys[0], rows[i].has[0] = in[i], true
		}
		for k, a := range n.args {
			if a.op == opSign && a.name == "-" {
				a = a.base
			}
			rows[i].keys[k], rows[i].has[k] = r.one(a, item)
		}
		return true
	})
	if r.err != nil {
		return dst
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		for k := range a.keys {
			o := 0
			switch {
			case a.has[k] != b.has[k]:
				if a.has[k] { // what is empty comes first, in both directions
					return 1
				}
				return -1
			case a.has[k]:
				var ok bool
				if o, _, ok = compare(a.keys[k], b.keys[k]); !ok {
					r.fail(CodeType, n.pos, "these cannot be compared")
				}
			}
			if len(n.args) > 0 && n.args[k].op == opSign && n.args[k].name == "-" {
				o = -o
			}
			if o != 0 {
				return o
			}
		}
		return 0
	})
	for i := range rows {
		dst = append(dst, rows[i].v)
	}
	return dst
}
