package validate

import (
	"slices"
	"strings"

	"salus/fhir/element"
)

// indexHistory returns where "/_history/" begins in a reference, or -1.
func indexHistory(ref string) int { return strings.Index(ref, "/_history/") }

// restful takes type and id off the end of "Patient/1" and "http://host/Patient/1".
func restful(ref string) (typ, id string, ok bool) {
	if i := indexHistory(ref); i >= 0 {
		ref = ref[:i]
	}
	cut := strings.LastIndexByte(ref, '/')
	if cut <= 0 {
		return "", "", false
	}
	return lastPart(ref[:cut], '/'), ref[cut+1:], true
}

// scheme reports whether a reference is an absolute URI (RFC 3986, 3.1).
func scheme(ref string) bool {
	i := strings.IndexByte(ref, ':')
	if i < 2 {
		return false
	}
	for _, c := range []byte(ref[:i]) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.') {
			return false
		}
	}
	return ref[0] >= 'A'
}

// form reports whether a reference has one of the forms of R4 2.3.0.1. A search for what
// is meant ("Patient?identifier=...") may stand in a transaction or batch.
func (w *walk) form(ref string) bool {
	if !uri(ref) {
		return false
	}
	if ref[0] == '#' || scheme(ref) {
		return true
	}
	if typ, _, ok := strings.Cut(ref, "?"); ok && w.bundle != nil && (w.bundle.typ == "transaction" || w.bundle.typ == "batch") {
		return w.isResource(typ)
	}
	rest := ref
	if i := indexHistory(ref); i >= 0 {
		if !id(ref[i+len("/_history/"):]) {
			return false
		}
		rest = ref[:i]
	}
	typ, last, ok := strings.Cut(rest, "/")
	return ok && w.isResource(typ) && id(last)
}

func (w *walk) isResource(name string) bool {
	s := w.v.types[name]
	return s != nil && s.typ != nil && s.typ.Kind == element.Resource
}

// reference checks a Reference by itself.
func (w *walk) reference(n element.Node) {
	r := n.Get("reference")
	if t := n.Get("type"); t.Kind() == element.String && !w.isResource(t.Text()) && !strings.Contains(t.Text(), ":") {
		w.faultAt("type", CodeReference, "Reference.type names a type of resource")
	}
	if r.Kind() != element.String {
		return
	}
	ref := r.Text()
	switch {
	case ref == "":
		return // its format says so
	case ref[0] == '#':
		if len(ref) > 1 && w.contained(ref[1:]).Kind() == element.Absent {
			w.fault(CodeContained)
		}
		return
	case !w.form(ref):
		w.faultAt("reference", CodeReference, sentences[CodeReference])
		return
	}
	if _, ok := w.find(ref); ok {
		return
	}
	if w.bundle != nil && strings.HasPrefix(ref, "urn:uuid:") {
		switch w.bundle.typ {
		case "transaction", "batch", "document":
			w.faultAt("reference", CodeNotFound, "the Bundle has no entry with this fullUrl")
		}
		return
	}
	if w.v.o.Exists != nil && w.resolving == 0 {
		if is, known := w.v.o.Exists(w.ctx, ref); known && !is {
			w.faultAt("reference", CodeNotFound, sentences[CodeNotFound])
		}
	}
}

// contained finds a contained resource by its id.
func (w *walk) contained(id string) element.Node {
	if !w.container.Same(w.indexed) || w.ids == nil {
		w.ids, w.indexed = map[string]element.Node{}, w.container
		for c := range w.container.Value().Get("contained").Children() {
			if id := c.Get("id").Text(); id != "" {
				w.ids[id] = c
			}
		}
	}
	return w.ids[id]
}

// target checks the type of what a reference leads to, as far as it is written.
func (w *walk) target(n element.Node, allowed []string) {
	if typ := w.leadsTo(n); typ != "" && !slices.Contains(allowed, typ) {
		w.fault(CodeTarget)
	}
	if t := n.Get("type").Text(); w.isResource(t) && !slices.Contains(allowed, t) {
		w.faultAt("type", CodeTarget, sentences[CodeTarget])
	}
}

// aim checks that what a reference leads to, if it is contained or in the Bundle, fits one
// of the profiles that the reference may lead to.
func (w *walk) aim(n element.Node, allowed []*shape) {
	r := w.leads(n)
	if r.Kind() == element.Object && !slices.ContainsFunc(allowed, func(p *shape) bool { return w.conforms(r, p) }) {
		w.say(Error, CodeTarget, "what the reference leads to conforms to none of the profiles that it may lead to")
	}
}

// leadsTo returns the type of resource that a reference leads to, "" if nothing tells.
func (w *walk) leadsTo(n element.Node) string {
	typ := ""
	ref := n.Get("reference").Text()
	if strings.HasPrefix(ref, "#") {
		if len(ref) > 1 {
			typ = w.contained(ref[1:]).Get("resourceType").Text()
		}
	} else if r, ok := w.find(ref); ok {
		typ = r.Get("resourceType").Text()
	} else if q, _, ok := strings.Cut(ref, "?"); ok {
		typ = lastPart(q, '/')
	} else if t, _, ok := restful(ref); ok && !strings.HasPrefix(ref, "urn:") {
		typ = t
	}
	if !w.isResource(typ) {
		return ""
	}
	return typ
}

// leads returns the resource that a reference leads to, if it is at hand.
func (w *walk) leads(n element.Node) element.Node {
	ref := n.Get("reference").Text()
	if len(ref) > 1 && ref[0] == '#' {
		return w.contained(ref[1:])
	}
	r, _ := w.find(ref)
	return r
}
