package index

import (
	"errors"

	"salus/fhir/element"
	"salus/fhir/fhirpath"
	"salus/fhir/search"
)

// leftovers reads the parameters that package fhirpath evaluates, on a tree of that many nodes.
func (w *walk) leftovers(p *plan, root element.Element, nodes int) error {
	if len(p.rest) == 0 {
		return nil
	}
	// These expressions touch an element a few times at most: a large resource is no reason to fail.
	env := &fhirpath.Env{Resource: root, ByType: true, Steps: fhirpath.DefaultSteps + 32*nodes}
	var room [8]fhirpath.Value
	for i := range p.rest {
		l := &p.rest[i]
		from := len(w.entries)
		err := w.leftover(l, room[:0], root, env)
		switch {
		case err == nil:
		case l.param.Definition == "":
			return err
		default: // what a package asks for must not keep a resource from being written
			w.entries, w.group = w.entries[:from], 0
		}
	}
	return nil
}

// leftover reads one parameter.
func (w *walk) leftover(l *leftover, room []fhirpath.Value, root element.Element, env *fhirpath.Env) error {
	values, err := l.x.Append(room, root, env)
	if err != nil {
		return failed(l.param.Code, err)
	}
	if l.param.Kind == search.Composite {
		return w.groups(l, values, root, env)
	}
	a := action{code: l.param.Code, kind: l.param.Kind, targets: l.param.Targets}
	for _, v := range values {
		w.value(a, v)
	}
	return nil
}

// groups reads the values of a composite.
func (w *walk) groups(l *leftover, values []fhirpath.Value, root element.Element, env *fhirpath.Env) error {
	n := 0
	for _, v := range values {
		from := len(w.entries)
		w.group, w.have = n+1, 0
		var all uint64
		for i, x := range l.parts {
			all |= 1 << (i + 1)
			focus := v.Element()
			if l.param.parts[i].resource {
				focus = root
			}
			found, err := x.Append(nil, focus, env)
			if err != nil {
				return failed(l.param.Code, err)
			}
			a := action{code: l.param.Code, kind: l.param.parts[i].kind, part: i + 1}
			for _, f := range found {
				w.value(a, f)
			}
		}
		if w.have == all {
			n++
		} else {
			w.entries = w.entries[:from]
		}
		w.group = 0
	}
	return nil
}

// value makes the entries of a value of an expression.
func (w *walk) value(a action, v fhirpath.Value) {
	if v.Kind() != fhirpath.Node {
		w.system(a, v)
		return
	}
	e := v.Element()
	t := e.Type()
	if t.Is("Extension") {
		c := e.Select("value", w.index.model.Sym("value"))
		if e, ok := c.Next(); ok {
			w.value(a, fhirpath.Of(e))
		}
		return
	}
	h, ok := howOf(a.kind, t)
	if !ok {
		return
	}
	a.how = h
	w.emit(&a, e.Value())
}

// system makes the entry of a value that an expression computed.
func (w *walk) system(a action, v fhirpath.Value) {
	s := v.String()
	if s == "" {
		return
	}
	switch a.kind {
	case search.Token, search.URI, search.Reference:
		w.add(&a, search.Plain, search.Value{Text: s}, "")
	case search.String:
		w.add(&a, search.Plain, search.Value{Text: fold(s)}, s)
	case search.Number:
		if r, ok := search.Point(s); ok {
			w.add(&a, search.Plain, search.Value{Range: r}, "")
		}
	case search.Date:
		if r, ok := instants(s); ok {
			w.add(&a, search.Plain, search.Value{Range: r}, "")
		}
	}
}

// failed says which parameter could not be evaluated, and nothing of the resource.
func failed(code string, err error) error {
	if e, ok := errors.AsType[*fhirpath.Error](err); ok {
		return errors.New("index: " + code + ": " + e.Code)
	}
	return errors.New("index: " + code + " cannot be evaluated")
}
