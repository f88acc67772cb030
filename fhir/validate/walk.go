package validate

import (
	"context"
	"slices"
	"strconv"

	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// A walk is one validation. It is used by one goroutine at a time.
type walk struct {
	v         *Validator
	ctx       context.Context //nolint:containedctx // for the length of one Validate
	issues    []Issue
	trail     []step
	slots     []slot
	items     []item
	env       fhirpath.Env
	resource  element.Element // that the walk is in
	container element.Element // the same, or what contains it
	indexed   element.Element // the container whose contained resources are in ids
	ids       map[string]element.Node
	bundle    *bundle
	tested    map[conformance]bool // answers of conforms
	resolving int                  // depth of conformance tests
	notes     int                  // issues that are no errors
	work      int                  // objects seen; cancellation is looked at now and then
	stopped   bool
}

// A step is one name on the way to where the walk is.
type step struct {
	name  string
	path  string // of the definition
	typ   *element.Type
	index int // -1 for none
}

// A slot holds what an object has for one field.
type slot struct {
	main, extra element.Node
	option      int
	several     bool // two types of a choice
	there       bool
}

// An item is one value: a primitive's two halves together.
type item struct{ main, extra element.Node }

// keep bounds what a pooled walk holds on to.
const keep = 1 << 12

func (w *walk) begin(ctx context.Context) {
	w.ctx, w.issues, w.trail, w.slots, w.items = ctx, nil, w.trail[:0], w.slots[:0], w.items[:0]
	w.bundle, w.resolving, w.work, w.notes, w.stopped = nil, 0, 0, 0, false
	w.env = fhirpath.Env{Terminology: w.v.o.Terminology, Conforms: w.conformsTo, Resolve: w.resolve}
}

func (w *walk) end() {
	w.ctx, w.issues, w.env, w.bundle = nil, nil, fhirpath.Env{}, nil
	w.indexed, w.ids, w.tested = element.Element{}, nil, nil
	w.resource, w.container = element.Element{}, element.Element{}
	clear(w.slots[:cap(w.slots)])
	clear(w.items[:cap(w.items)])
	if cap(w.slots) > keep {
		w.slots = nil
	}
	if cap(w.items) > keep {
		w.items = nil
	}
}

// say adds an issue at the place where the walk is.
func (w *walk) say(severity, code, text string) {
	if w.stopped {
		return
	}
	i := Issue{Severity: severity, Type: issueTypes[code], Code: code, Text: text, Expression: w.place()}
	if i.Type == "" {
		i.Type = "structure"
	}
	if slices.Contains(w.issues, i) {
		return
	}
	if severity != Error { // these never crowd out errors
		if w.notes >= w.v.o.Limit/2 {
			return
		}
		w.notes++
	}
	w.issues = append(w.issues, i)
	if w.resolving == 0 && len(w.issues)-w.notes >= w.v.o.Limit-w.v.o.Limit/2-1 {
		w.issues = append(w.issues, Issue{Severity: Error, Type: issueTypes[CodeLimit], Code: CodeLimit, Text: sentences[CodeLimit]})
		w.stopped = true
	}
}

// fault adds an error with the sentence of its code.
func (w *walk) fault(code string) { w.say(Error, code, sentences[code]) }

// faultAt adds an error at a child.
func (w *walk) faultAt(name, code, text string) {
	w.trail = append(w.trail, step{name: name, index: -1})
	w.say(Error, code, text)
	w.trail = w.trail[:len(w.trail)-1]
}

// place writes the expression of where the walk is.
func (w *walk) place() string {
	var b []byte
	for i := range w.trail {
		s := &w.trail[i]
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, s.name...)
		if s.index >= 0 {
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
		}
	}
	return string(b)
}

// busy counts work and reports whether the walk should go on.
func (w *walk) busy() bool {
	if w.work++; w.work&1023 == 0 && !w.stopped && w.ctx.Err() != nil {
		w.resolving = 0
		w.say(Error, CodeCancelled, sentences[CodeCancelled])
		w.stopped = true
	}
	return !w.stopped
}

// object checks the members of an object against a shape.
func (w *walk) object(e element.Element, n element.Node, s *shape, beside bool) {
	if !w.busy() {
		return
	}
	from := len(w.slots)
	w.slots = slices.Grow(w.slots, len(s.fields))[:from+len(s.fields)]
	clear(w.slots[from:])
	children := 0
	for m := range n.Children() {
		name := m.Name()
		p, ok := s.members[name]
		twin := false
		if !ok && len(name) > 1 && name[0] == '_' {
			if p, ok = s.members[name[1:]]; ok {
				twin = true
				ok = p.option < 0 || s.fields[p.field].options[p.option].format != formatNone
			}
		}
		if !ok {
			switch {
			case s.profile:
			case name == "resourceType" && s.typ != nil && s.typ.Kind == element.Resource:
				children++
			default:
				children++
				w.unknown(name)
			}
			continue
		}
		if name != "id" {
			children++
		}
		l := &w.slots[from+p.field]
		if l.there && l.option != p.option {
			l.several = true
			continue
		}
		l.there, l.option = true, p.option
		if twin {
			l.extra = m
		} else {
			l.main = m
		}
	}
	if !s.profile {
		if children == 0 && !beside {
			w.fault(CodeEmpty)
		}
		w.ext1(s, from)
	}
	for i := range s.fields {
		if l := w.slots[from+i]; l.there {
			w.field(&s.fields[i], l, s)
		} else if s.fields[i].min > 0 || s.fields[i].slicing != nil {
			w.missing(&s.fields[i])
		}
	}
	w.slots = w.slots[:from]
	w.holds(s.invariants, e)
}

// unknown reports a member that no element has. Its name is shown only if it is one that
// FHIR has elsewhere: others may say anything.
func (w *walk) unknown(name string) {
	if w.v.model.Known(name) {
		w.faultAt(name, CodeUnknown, sentences[CodeUnknown])
		return
	}
	w.say(Error, CodeUnknown, "there is an element here that the type does not have")
}

// missing reports a field that is not there.
func (w *walk) missing(f *field) {
	if f.min > 0 {
		w.faultAt(f.name, CodeMin, "the element is required ("+strconv.Itoa(f.min)+" at least) and missing")
	}
	if f.slicing != nil && w.v.o.Strictness != Structure {
		w.trail = append(w.trail, step{name: f.name, path: f.path, index: -1})
		w.slices(f, 0, len(w.items), len(w.items))
		w.trail = w.trail[:len(w.trail)-1]
	}
}

// field checks the values of one field.
func (w *walk) field(f *field, l slot, s *shape) {
	if w.stopped {
		return
	}
	w.trail = append(w.trail, step{name: f.name, path: f.path, index: -1})
	from := len(w.items)
	if l.several && !s.profile {
		w.fault(CodeChoiceSeveral)
	}
	o := &f.options[l.option]
	w.trail[len(w.trail)-1].typ = o.typ
	isArray := w.collect(f, l, s.profile)
	count := len(w.items) - from
	if count < f.min {
		w.say(Error, CodeMin, "the element must be there at least "+strconv.Itoa(f.min)+" times")
	}
	if f.max >= 0 && count > f.max {
		w.say(Error, CodeMax, "the element may be there at most "+strconv.Itoa(f.max)+" times")
	}
	if o.refused {
		w.fault(CodeType)
	} else {
		for i := range count {
			if isArray {
				w.trail[len(w.trail)-1].index = i
			}
			it := w.items[from+i]
			w.value(it, &f.rule, o, s, f.mod)
		}
	}
	w.trail[len(w.trail)-1].index = -1
	if f.slicing != nil && w.v.o.Strictness != Structure {
		w.slices(f, l.option, from, len(w.items))
	}
	w.items = w.items[:from]
	w.trail = w.trail[:len(w.trail)-1]
}

// collect puts the values of a field onto w.items and checks their form. It reports
// whether they stand in an array.
func (w *walk) collect(f *field, l slot, profile bool) (isArray bool) {
	main, extra := l.main.Kind(), l.extra.Kind()
	isArray = main == element.Array || extra == element.Array
	if !profile {
		switch {
		case f.many && (main != element.Absent && main != element.Array || extra != element.Absent && extra != element.Array),
			!f.many && isArray:
			w.fault(CodeArray)
		}
	}
	if !profile && (main == element.Null || extra == element.Null) {
		w.fault(CodeNull)
	}
	if !isArray {
		w.items = append(w.items, item{l.main, l.extra})
		return false
	}
	from := len(w.items)
	for c := range l.main.Children() {
		w.items = append(w.items, item{main: c})
	}
	if !profile && (main == element.Array && len(w.items) == from || extra == element.Array && l.extra.Len() == 0) {
		w.fault(CodeArray)
	}
	if extra == element.Array {
		i := from
		for c := range l.extra.Children() {
			if i == len(w.items) {
				w.items = append(w.items, item{})
			}
			w.items[i].extra = c
			i++
		}
	}
	return true
}

// value checks one value of a field or slice.
func (w *walk) value(it item, r *rule, o *option, s *shape, mod bool) {
	if w.stopped {
		return
	}
	n := it.main
	switch {
	case o.format != formatNone:
		if !s.profile && !w.primitive(it, o) {
			return
		}
		if o.shape != nil && it.extra.Kind() == element.Object {
			w.object(element.View(it.extra, o.typ), it.extra, o.shape, n.Kind() != element.Absent && n.Kind() != element.Null)
		} else if o.shape != nil && s.profile && it.extra.Kind() != element.Object {
			w.object(element.Element{}, element.Node{}, o.shape, true)
		}
		if k := n.Kind(); k == element.Absent || k == element.Null {
			return
		}
	case n.Kind() != element.Object:
		if !s.profile {
			w.fault(CodeKind)
		}
		return
	case o.typ != nil && o.typ.Kind == element.Resource:
		w.inner(n, r, o, s)
		return
	default:
		if o.shape != nil {
			w.object(element.View(n, o.typ), n, o.shape, false)
		}
	}
	if w.v.o.Strictness == Structure {
		return
	}
	if !s.profile && o.typ != nil {
		switch o.typ.Name {
		case "Reference":
			w.reference(n)
		case "Extension":
			w.extension(n, mod)
		case "xhtml":
			w.narrative(n)
		}
	}
	w.constraints(n, r, o)
}

// constraints checks what holds for a value beside its members.
func (w *walk) constraints(n element.Node, r *rule, o *option) {
	if r.fixed.Kind() != element.Absent && !equal(r.fixed, n) {
		w.fault(CodeFixed)
	}
	if r.pattern.Kind() != element.Absent && !contains(r.pattern, n) {
		w.fault(CodePattern)
	}
	if r.maxLength > 0 && len(n.Text()) > r.maxLength && len([]rune(n.Text())) > r.maxLength {
		w.fault(CodeLength)
	}
	if r.binding != nil {
		w.check(r.binding, o.code, n)
	}
	if o.targets != nil {
		w.target(n, o.targets)
	}
	if o.aims != nil {
		w.aim(n, o.aims)
	}
	if r.invariants != nil {
		w.holds(r.invariants, element.View(n, o.typ))
	}
	if len(o.profiles) == 1 {
		w.object(element.View(n, o.typ), n, o.profiles[0], true)
	} else if len(o.profiles) > 1 && !w.fitsOne(n, o) {
		w.say(Error, CodeType, "the element conforms to none of the profiles that may stand here")
	}
}

// primitive checks the form of a primitive and reports whether there is anything to go on with.
func (w *walk) primitive(it item, o *option) bool {
	k := it.main.Kind()
	switch it.extra.Kind() {
	case element.Absent, element.Null:
		if k == element.Absent || k == element.Null {
			w.fault(CodeNull)
			return false
		}
	case element.Object:
	default:
		w.say(Error, CodeKind, "what stands beside a primitive is an object with its id and extensions")
		return false
	}
	if k == element.Absent || k == element.Null {
		return true
	}
	if !o.format.kind(k) {
		w.say(Error, CodeKind, formatTexts[o.format])
		return true
	}
	t := it.main.Text()
	if !o.format.fits(t) {
		w.say(Error, CodeFormat, formatTexts[o.format])
	}
	if len(t) > maxString && (o.format == formatString || o.format == formatMarkdown || o.format == formatCode) {
		w.say(Error, CodeLength, "a string has at most 1,048,576 bytes")
	}
	return true
}
