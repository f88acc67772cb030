package validate

import (
	"slices"

	"salus/fhir/element"
)

// document checks the outermost resource.
func (w *walk) document(n element.Node, profiles []string) {
	at := step{index: -1}
	if s := w.shapeOf(n); s != nil {
		at = step{name: s.name, path: s.name, typ: s.typ, index: -1}
	}
	w.trail = append(w.trail, at)
	w.whole(n, profiles, false)
}

// shapeOf returns the shape of the resource that a node says it is, or nil.
func (w *walk) shapeOf(n element.Node) *shape {
	s := w.v.types[n.Get("resourceType").Text()]
	if s == nil || s.typ == nil || s.typ.Kind != element.Resource {
		return nil
	}
	if t := w.v.set.Type(s.name); t == nil || t.Abstract {
		return nil
	}
	return s
}

// whole checks a resource against its type and its profiles.
func (w *walk) whole(n element.Node, profiles []string, contained bool) {
	s := w.shapeOf(n)
	if s == nil {
		w.fault(CodeResourceType)
		return
	}
	resource, container, within := w.resource, w.container, w.bundle
	e := element.View(n, s.typ)
	w.resource = e
	if !contained {
		w.container = e
	}
	at := &w.trail[len(w.trail)-1]
	at.path, at.typ = s.name, s.typ // "Patient", wherever it stands
	if s.name == "Bundle" {
		w.bundle = newBundle(n, within)
	}
	w.object(e, n, s, false)
	if w.v.o.Strictness != Structure {
		w.claimed(e, n, s, profiles)
		if s.name == "Bundle" {
			w.entries(n)
		}
	}
	w.resource, w.container, w.bundle = resource, container, within
}

// claimed checks the profiles that are asked for, that are claimed and that always hold.
func (w *walk) claimed(e element.Element, n element.Node, s *shape, profiles []string) {
	var done []*shape
	check := func(p *shape) {
		if p.profile && !slices.Contains(done, p) {
			done = append(done, p)
			if p.blank {
				w.say(Information, CodeUnchecked, "a profile is loaded without its snapshot, so the resource was not checked against it")
			}
			w.object(e, n, p, true)
		}
	}
	for _, u := range profiles {
		p := w.v.profiles[unversioned(u)]
		switch {
		case p == nil:
			w.say(Error, CodeProfileUnknown, "a profile that was asked for is not loaded")
		case !s.typ.Is(p.of):
			w.fault(CodeProfileType)
		default:
			check(p)
		}
	}
	i := 0
	for c := range n.Get("meta").Get("profile").Children() {
		if w.v.o.Unclaimed {
			break
		}
		p := w.v.profiles[unversioned(c.Text())]
		if p != nil && s.typ.Is(p.of) {
			check(p)
		} else if c.Kind() == element.String {
			w.trail = append(w.trail, step{name: "meta", index: -1}, step{name: "profile", index: i})
			switch {
			case p != nil:
				w.fault(CodeProfileType)
			case w.v.o.Strictness == Full:
				w.say(Warning, CodeProfileUnknown, sentences[CodeProfileUnknown])
			default:
				w.say(Information, CodeProfileUnknown, sentences[CodeProfileUnknown])
			}
			w.trail = w.trail[:len(w.trail)-2]
		}
		i++
	}
	for _, p := range w.v.always[s.name] {
		check(p)
	}
}

// inner checks a resource within another: contained, an entry, a parameter.
func (w *walk) inner(n element.Node, r *rule, o *option, s *shape) {
	if s.profile {
		is := w.shapeOf(n)
		if is == nil {
			return
		}
		if r.resources != nil && !slices.Contains(r.resources, is.name) {
			w.fault(CodeType)
			return
		}
		if o.shape != nil {
			w.as(n, is, o.shape)
		}
		if len(o.profiles) == 1 {
			w.as(n, is, o.profiles[0])
		} else if len(o.profiles) > 1 && !slices.ContainsFunc(o.profiles, func(p *shape) bool { return w.conforms(n, p) }) {
			w.say(Error, CodeType, "the resource conforms to none of the profiles that may stand here")
		}
		return
	}
	w.whole(n, nil, len(w.trail) > 0 && w.trail[len(w.trail)-1].name == "contained")
}

// as checks a resource against a shape with itself as %resource.
func (w *walk) as(n element.Node, is, p *shape) {
	resource, container := w.resource, w.container
	e := element.View(n, is.typ)
	w.resource = e
	if w.trail[len(w.trail)-1].name != "contained" {
		w.container = e
	}
	w.object(e, n, p, true)
	w.resource, w.container = resource, container
}

// maxResolving bounds conformance tests within conformance tests.
const maxResolving = 8

// A conformance is a question that one walk answers once.
type conformance struct {
	n element.Node
	p *shape
}

// conforms reports whether a node fits a profile, without saying why not. Resources that
// refer to each other in a circle fit as long as nothing else speaks against it.
func (w *walk) conforms(n element.Node, p *shape) bool {
	q := conformance{n, p}
	if fits, ok := w.tested[q]; ok || w.resolving >= maxResolving {
		return fits || !ok
	}
	if w.tested == nil {
		w.tested = map[conformance]bool{}
	}
	w.tested[q] = true
	issues, notes := w.issues, w.notes
	w.issues, w.notes = nil, 0
	w.resolving++
	if is := w.shapeOf(n); is != nil {
		if !is.typ.Is(p.of) {
			w.fault(CodeProfileType)
		} else if p.profile {
			w.as(n, is, p)
		}
	} else {
		w.object(element.View(n, p.typ), n, p, true)
	}
	w.resolving--
	fits := Valid(w.issues)
	w.tested[q] = fits
	w.issues, w.notes = issues, notes
	return fits
}

// fitsOne reports whether a value fits one of the profiles of its type.
func (w *walk) fitsOne(n element.Node, o *option) bool {
	return slices.ContainsFunc(o.profiles, func(p *shape) bool { return w.conforms(n, p) })
}

// conformsTo answers FHIRPath's conformsTo().
func (w *walk) conformsTo(e element.Element, url string) (is, known bool) {
	p := w.v.profiles[unversioned(url)]
	if p == nil || w.resolving >= maxResolving {
		return false, false
	}
	return e.Type().Is(p.of) && w.conforms(e.Value(), p), true
}

// A bundle finds resources by what references to them say.
type bundle struct {
	outer *bundle
	typ   string
	by    map[string]element.Node
}

func newBundle(n element.Node, outer *bundle) *bundle {
	b := &bundle{outer: outer, typ: n.Get("type").Text(), by: map[string]element.Node{}}
	for e := range n.Get("entry").Children() {
		r := e.Get("resource")
		if r.Kind() != element.Object {
			continue
		}
		if u := e.Get("fullUrl").Text(); u != "" {
			b.by[u] = r
		}
		if id := r.Get("id").Text(); id != "" {
			b.by[r.Get("resourceType").Text()+"/"+id] = r
		}
	}
	return b
}

// find returns what a reference leads to within the Bundles around the walk.
func (w *walk) find(ref string) (element.Node, bool) {
	for b := w.bundle; b != nil; b = b.outer {
		if n, ok := b.by[ref]; ok {
			return n, true
		}
		if i := indexHistory(ref); i > 0 {
			if n, ok := b.by[ref[:i]]; ok {
				return n, true
			}
		}
	}
	return element.Node{}, false
}

// resolve answers FHIRPath's resolve() from the Bundle.
func (w *walk) resolve(ref string) (element.Element, bool) {
	n, ok := w.find(ref)
	if !ok {
		return element.Element{}, false
	}
	return element.View(n, w.v.model.Type("Resource")), true
}

// entries checks that fullUrl is absolute and that it and the id of an entry agree (R4 2.36.4, Bundle.entry.fullUrl).
func (w *walk) entries(n element.Node) {
	i := 0
	for e := range n.Get("entry").Children() {
		url, id := e.Get("fullUrl").Text(), e.Get("resource").Get("id").Text()
		if url != "" && !scheme(url) {
			w.trail = append(w.trail, step{name: "entry", index: i}, step{name: "fullUrl", index: -1})
			w.say(Error, CodeFullURL, "fullUrl is an absolute URL or a URN")
			w.trail = w.trail[:len(w.trail)-2]
		} else if id != "" && url != "" {
			if typ, last, ok := restful(url); ok && (last != id || typ != e.Get("resource").Get("resourceType").Text()) && w.v.types[typ] != nil {
				w.trail = append(w.trail, step{name: "entry", index: i}, step{name: "fullUrl", index: -1})
				w.fault(CodeFullURL)
				w.trail = w.trail[:len(w.trail)-2]
			}
		}
		i++
	}
}
