package patch

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// do applies one operation.
func (x *patching) do(o operation) error {
	var err error
	switch o.kind {
	case "add":
		err = x.add(o)
	case "insert":
		err = x.insert(o)
	case "delete":
		err = x.remove(o)
	case "replace":
		err = x.replace(o)
	case "move":
		err = x.move(o)
	}
	if err != nil {
		return err
	}
	return x.parse()
}

// eval returns the elements that a path leads to.
func (x *patching) eval(path string) ([]element.Element, error) {
	c, err := x.engine.Compile(path)
	if err != nil {
		return nil, &Error{Code: CodePath, err: err}
	}
	items, err := c.Eval(x.root, &fhirpath.Env{Resource: x.root, Steps: x.steps})
	if err != nil {
		return nil, &Error{Code: CodePath, err: err}
	}
	var out []element.Element
	for _, v := range items {
		e := v.Element()
		if v.Kind() != fhirpath.Node || e.IsZero() || e.Tree() != x.root.Tree() {
			return nil, fail(CodePath, -1)
		}
		out = append(out, e)
	}
	return out, nil
}

// one returns the element that a path leads to.
func (x *patching) one(path string) (element.Element, error) {
	list, err := x.eval(path)
	switch {
	case err != nil:
		return element.Element{}, err
	case len(list) == 0:
		return element.Element{}, fail(CodeNotFound, -1)
	case len(list) > 1:
		return element.Element{}, fail(CodeSeveral, -1)
	}
	return list[0], nil
}

// A spot is where an element stands.
type spot struct {
	object []string // pointer to the object that has it
	name   string   // in JSON, without "_"
	index  int      // in its array, -1 if it is none
}

// where returns the spot of an element that is not the root.
func where(e element.Element) (spot, bool) {
	n := e.Value()
	if n.Kind() == element.Absent {
		n = e.Extra()
	}
	p := pointer(n)
	if len(p) == 0 {
		return spot{}, false
	}
	s := spot{index: -1}
	last := p[len(p)-1]
	if n.Name() == "" && len(p) > 1 { // an element of an array
		i, err := strconv.Atoi(last)
		if err != nil {
			return spot{}, false
		}
		s.index = i
		p = p[:len(p)-1]
		last = p[len(p)-1]
	}
	s.object, s.name = p[:len(p)-1], strings.TrimPrefix(last, "_")
	return s, true
}

func (s spot) member() []string { return append(slices.Clip(s.object), s.name) }
func (s spot) beside() []string { return append(slices.Clip(s.object), "_"+s.name) }

// add appends to an element, under a name.
func (x *patching) add(o operation) error {
	at, err := x.one(o.path)
	if err != nil {
		return err
	}
	if t := at.Type(); t == nil {
		return fail(CodeName, -1)
	}
	f := at.Type().Field(strings.TrimSuffix(o.name, "[x]"))
	if f == nil {
		if g, _ := at.Type().Member(o.name); g != nil && g.Choice { // valueQuantity for value
			f = g
		} else {
			return fail(CodeName, -1)
		}
	}
	v, err := x.value(o.value, f, 0)
	if err != nil {
		return err
	}
	object, err := x.objectOf(at)
	if err != nil {
		return err
	}
	have := x.has(object, f)
	if have != "" && !f.Many {
		return fail(CodeExists, -1)
	}
	if !f.Many {
		x.assign(object, v.name, v.raw)
		x.assign(object, "_"+v.name, v.extra)
		return nil
	}
	return x.put(spot{object: object, name: v.name, index: x.count(object, v.name)}, v)
}

// objectOf returns the object that holds an element's children, which a primitive gets with
// its first.
func (x *patching) objectOf(e element.Element) ([]string, error) {
	if e.Type().Kind != element.Primitive {
		if e.Value().Kind() != element.Object {
			return nil, fail(CodePath, -1)
		}
		return pointer(e.Value()), nil
	}
	if n := e.Extra(); n.Kind() == element.Object {
		return pointer(n), nil
	}
	s, ok := where(e)
	if !ok {
		return nil, fail(CodePath, -1)
	}
	if s.index < 0 {
		x.assign(s.object, "_"+s.name, []byte("{}"))
		return s.beside(), nil
	}
	x.pad(s, x.count(s.object, s.name))
	x.at(append(s.beside(), strconv.Itoa(s.index)), []byte("{}"))
	return append(s.beside(), strconv.Itoa(s.index)), nil
}

// has returns the name in JSON under which an object has a field, or "".
func (x *patching) has(object []string, f *element.Field) string {
	for _, o := range f.Types {
		for _, n := range []string{o.JSON, "_" + o.JSON} {
			if _, ok := locate(x.src, append(slices.Clip(object), n)); ok {
				return o.JSON
			}
		}
	}
	return ""
}

// count returns how many items a list has, with those that are only extensions.
func (x *patching) count(object []string, name string) int {
	return max(x.length(append(slices.Clip(object), name)), x.length(append(slices.Clip(object), "_"+name)))
}

func (x *patching) length(p []string) int {
	s, ok := locate(x.src, p)
	if !ok {
		return 0
	}
	return len(elements(x.src, s.value))
}

// list splits a path of insert and move into what has the list and the list's field.
func (x *patching) list(path string) (object []string, f *element.Field, err error) {
	cut := strings.LastIndexByte(path, '.')
	name := strings.TrimSpace(path[cut+1:])
	if cut < 0 || !identifier(name) {
		return nil, nil, fail(CodePath, -1)
	}
	at, err := x.one(path[:cut])
	if err != nil {
		return nil, nil, err
	}
	if f = at.Type().Field(name); f == nil {
		return nil, nil, fail(CodeName, -1)
	}
	if !f.Many {
		return nil, nil, fail(CodeList, -1)
	}
	object, err = x.objectOf(at)
	return object, f, err
}

func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

func (x *patching) insert(o operation) error {
	object, f, err := x.list(o.path)
	if err != nil {
		return err
	}
	v, err := x.value(o.value, f, 0)
	if err != nil {
		return err
	}
	if o.index > x.count(object, v.name) {
		return fail(CodeIndex, -1)
	}
	return x.put(spot{object, v.name, o.index}, v)
}

// put inserts a value into a list, which is made if need be.
func (x *patching) put(s spot, v value) error {
	n := x.count(s.object, s.name)
	_, hasMain := locate(x.src, s.member())
	_, hasExtra := locate(x.src, s.beside())
	if v.raw == nil && !hasMain && n == 0 || v.raw != nil || hasMain {
		raw := v.raw
		if raw == nil {
			raw = []byte("null")
		}
		if v.raw != nil || hasMain {
			x.fill(s.object, s.name, hasMain, n)
			x.insertAt(s.member(), s.index, raw)
		}
	}
	if v.extra != nil || hasExtra {
		extra := v.extra
		if extra == nil {
			extra = []byte("null")
		}
		x.fill(s.object, "_"+s.name, hasExtra, n)
		x.insertAt(s.beside(), s.index, extra)
	}
	return nil
}

// fill makes an array as long as its twin.
func (x *patching) fill(object []string, name string, has bool, n int) {
	p := append(slices.Clip(object), name)
	if !has {
		x.assign(object, name, []byte("["+strings.TrimSuffix(strings.Repeat("null,", n), ",")+"]"))
		return
	}
	if have := x.length(p); have < n {
		x.insertAt(p, have, []byte(strings.Repeat("null,", n-have-1)+"null"))
	}
}

// pad gives a list of primitives its "_" array.
func (x *patching) pad(s spot, n int) {
	_, has := locate(x.src, s.beside())
	x.fill(s.object, "_"+s.name, has, n)
}

func (x *patching) remove(o operation) error {
	list, err := x.eval(o.path)
	if err != nil {
		return err
	}
	if len(list) > 1 {
		return fail(CodeSeveral, -1)
	}
	if len(list) == 0 {
		return nil // "if found"
	}
	s, ok := where(list[0])
	if !ok {
		return fail(CodePath, -1)
	}
	x.drop(s)
	for x.empty(s.object) {
		// JSON has no empty elements: what held the last of something goes with it.
		last := s.object[len(s.object)-1]
		i, err := strconv.Atoi(last)
		if err != nil {
			s = spot{s.object[:len(s.object)-1], strings.TrimPrefix(last, "_"), -1}
			if last != s.name {
				x.assign(s.object, last, nil)
				continue
			}
			x.drop(s)
			continue
		}
		name := s.object[len(s.object)-2]
		at := s.object
		s = spot{s.object[:len(s.object)-2], strings.TrimPrefix(name, "_"), i}
		if name != s.name {
			x.at(at, []byte("null"))
			x.tidy(s.object, name)
			continue
		}
		x.drop(s)
	}
	return nil
}

// empty reports whether the tokens lead to an object without members, other than the root.
func (x *patching) empty(tokens []string) bool {
	p, ok := locate(x.src, tokens)
	return ok && len(tokens) > 0 && x.src[p.value.from] == '{' && len(members(x.src, p.value)) == 0
}

// drop takes an element away, with its "_" sibling and the array that it empties.
func (x *patching) drop(s spot) {
	if s.index >= 0 {
		last := x.count(s.object, s.name) == 1
		if !last {
			x.dropAt(s.member(), s.index)
			x.dropAt(s.beside(), s.index)
			return
		}
	}
	x.assign(s.object, s.name, nil)
	x.assign(s.object, "_"+s.name, nil)
}

func (x *patching) replace(o operation) error {
	e, err := x.one(o.path)
	if err != nil {
		return err
	}
	s, ok := where(e)
	if !ok {
		return fail(CodePath, -1)
	}
	parent, ok := x.parent(s)
	if !ok {
		return fail(CodePath, -1)
	}
	f, _ := parent.Member(s.name)
	if f == nil {
		return fail(CodeName, -1)
	}
	v, err := x.value(o.value, f, 0)
	if err != nil {
		return err
	}
	if s.index < 0 {
		if v.name != s.name { // another type of a choice, in the same place
			x.rename(s.member(), v.name)
			x.assign(s.object, "_"+s.name, nil)
		}
		x.assign(s.object, v.name, v.raw)
		x.assign(s.object, "_"+v.name, v.extra)
		return nil
	}
	raw := v.raw
	if raw == nil {
		raw = []byte("null")
	}
	n := x.count(s.object, s.name)
	_, hasMain := locate(x.src, s.member())
	_, hasExtra := locate(x.src, s.beside())
	if hasMain || v.raw != nil {
		x.fill(s.object, s.name, hasMain, n)
		x.at(append(s.member(), strconv.Itoa(s.index)), raw)
	}
	if v.extra != nil || hasExtra {
		extra := v.extra
		if extra == nil {
			extra = []byte("null")
		}
		x.fill(s.object, "_"+s.name, hasExtra, n)
		x.at(append(s.beside(), strconv.Itoa(s.index)), extra)
		if v.extra == nil {
			x.tidy(s.object, "_"+s.name)
		}
	}
	return nil
}

// tidy takes away an array of nothing but null.
func (x *patching) tidy(object []string, name string) {
	s, ok := locate(x.src, append(slices.Clip(object), name))
	if !ok {
		return
	}
	for _, e := range elements(x.src, s.value) {
		if !bytes.Equal(x.src[e.from:e.to], []byte("null")) {
			return
		}
	}
	x.assign(object, name, nil)
}

// parent returns the type of what holds a spot.
func (x *patching) parent(s spot) (*element.Type, bool) {
	n, t := x.root.Tree().Root(), x.root.Type()
	for i := 0; i < len(s.object); i++ {
		if n.Kind() == element.Array {
			k, err := strconv.Atoi(s.object[i])
			if err != nil {
				return nil, false
			}
			n = n.At(k)
		} else {
			n = n.Get(s.object[i])
			_, o := t.Member(strings.TrimPrefix(s.object[i], "_"))
			if o == nil || o.Type == nil {
				return nil, false
			}
			t = o.Type
		}
		if t.Kind == element.Resource && n.Kind() == element.Object {
			if t = x.model.Type(n.Get("resourceType").Text()); t == nil {
				return nil, false
			}
		}
	}
	return t, t != nil
}

func (x *patching) move(o operation) error {
	object, f, err := x.list(o.path)
	if err != nil {
		return err
	}
	name := f.Types[0].JSON
	n := x.count(object, name)
	if o.source >= n || o.destination >= n {
		return fail(CodeIndex, -1)
	}
	for _, k := range []string{name, "_" + name} {
		p := append(slices.Clip(object), k)
		if _, ok := locate(x.src, p); !ok {
			continue
		}
		x.fill(object, k, true, n)
		s, _ := locate(x.src, p)
		e := elements(x.src, s.value)[o.source]
		raw := bytes.Clone(x.src[e.from:e.to])
		x.dropAt(p, o.source)
		x.insertAt(p, o.destination, raw)
	}
	return nil
}
