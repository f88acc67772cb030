package rest

import (
	"bytes"
	"net/http"
	"strings"

	"salus/fhir"
	"salus/store"
)

// A plan is a transaction before it is done: what each entry will be, under which id.
type plan struct {
	*Server
	asks   []*ask
	writes []*write         // nil of an entry that reads
	found  []*store.Version // what the entry's condition matched
	urls   []string

	ids         map[string]string // fullUrl to Type/id
	taken       map[string]bool   // Type/id of entries that write
	conditional bool              // something depends on what the store holds
	t           *store.Tx         // under way; nil before
}

// add plans an entry.
func (p *plan) add(i int, a *ask, url string) error {
	p.asks, p.urls = append(p.asks, a), append(p.urls, url)
	p.writes, p.found = append(p.writes, nil), append(p.found, nil)
	if a.method == http.MethodGet || a.method == http.MethodHead {
		return nil
	}
	if len(a.path) > 2 || !p.serves(a.path[0]) {
		return errEntry
	}
	if strings.HasPrefix(a.path[len(a.path)-1], "$") {
		return errInAtomic
	}
	w, err := p.prepareEntry(a)
	if err != nil {
		return err
	}
	p.writes[i] = w
	switch a.method {
	case http.MethodPost:
		if len(a.path) != 1 {
			return errEntry
		}
		if a.ifNoneExist != "" {
			p.conditional = true
			return nil
		}
		w.id, w.fresh = newID(), true
	case http.MethodPut:
		if len(a.path) == 1 {
			p.conditional = true
			return nil
		}
		if !fhirID(w.id) {
			return errBadID
		}
	case http.MethodPatch:
		if len(a.path) == 1 {
			p.conditional = true
			return nil
		}
	case http.MethodDelete:
		if len(a.path) == 1 {
			p.conditional = true
			return nil
		}
	}
	return p.know(i)
}

// prepareEntry is prepare without what depends on references: they are not resolved yet.
func (p *plan) prepareEntry(a *ask) (*write, error) {
	body := a.body
	a.body = nil
	if a.method == http.MethodDelete {
		return p.prepare(a)
	}
	w := &write{ask: a, typ: a.path[0], expect: store.Any}
	if len(a.path) > 1 {
		w.id = a.path[1]
	} else {
		p.foreseeWrite(a)
	}
	if a.ifMatch != "" {
		match := *a
		match.method = http.MethodDelete // its header alone is read
		m, err := p.prepare(&match)
		if err != nil {
			return nil, err
		}
		w.expect = m.expect
	}
	r, err := fhir.Parse(body)
	if err != nil {
		return nil, err
	}
	if r.Type() != w.typ && a.method != http.MethodPatch {
		return nil, errOtherType
	}
	w.body, w.given = body, r.ID()
	if bytes.Contains(body, []byte(`?`)) && p.hasConditionalReference(a, body) {
		p.conditional = true
	}
	return w, nil
}

// know takes an entry's id over into the references of the others.
func (p *plan) know(i int) error {
	w := p.writes[i]
	key := w.typ + "/" + w.id
	if p.taken == nil {
		p.taken = map[string]bool{}
	}
	if p.taken[key] {
		return errEntryTwice
	}
	p.taken[key] = true
	return p.address(i)
}

// address lets the references of the others lead to what an entry is.
func (p *plan) address(i int) error {
	u, key := p.urls[i], p.writes[i].typ+"/"+p.writes[i].id
	if u == "" {
		return nil
	}
	if was, ok := p.ids[u]; ok && was != key {
		return errEntryTwice
	}
	p.ids[u] = key
	return nil
}

// settle finds out what the conditions of entries match.
func (p *plan) settle(t *store.Tx) error {
	for i, w := range p.writes {
		if w == nil || len(w.path) != 1 || w.method == http.MethodPost && w.ifNoneExist == "" {
			continue
		}
		condition := w.query
		if w.method == http.MethodPost {
			var err error
			if condition, err = pairs(strings.TrimPrefix(w.ifNoneExist, "?")); err != nil {
				return place(err, i)
			}
		}
		found, err := p.match(t, w, condition)
		if err != nil {
			return place(err, i)
		}
		p.found[i] = found
		switch {
		case found != nil && w.method == http.MethodPut && w.given != "" && w.given != found.ID:
			return place(errOtherID, i)
		case found != nil:
			w.id = found.ID
		case w.method == http.MethodPatch:
			return place(errNotFound, i)
		case w.method == http.MethodDelete:
			continue
		case w.method == http.MethodPut && w.given != "":
			w.id = w.given
		default:
			w.id = newID()
		}
		know := p.know
		if found != nil && w.method == http.MethodPost {
			know = p.address // it writes nothing: others may find the same, or write it
		}
		if err := know(i); err != nil {
			return place(err, i)
		}
	}
	return nil
}

// take resolves the references of what is written, then checks and indexes it. Without a
// transaction there must be no conditions.
func (p *plan) take(t *store.Tx) error {
	for i, w := range p.writes {
		if w == nil || w.method == http.MethodDelete || w.method == http.MethodPost && p.found[i] != nil {
			continue
		}
		w.plan = p
		body, err := p.resolve(t, w, w.body)
		if err != nil {
			return place(err, i)
		}
		if w.method == http.MethodPatch {
			w.ask.body = body
			continue
		}
		given := w.given
		if err := p.Server.take(w, body); err != nil {
			return place(err, i)
		}
		// An update names its id; in a transaction the fullUrl may have stood in its place.
		if w.method == http.MethodPut && len(w.path) == 2 && given != w.id {
			return place(errOtherID, i)
		}
	}
	return nil
}

// hasConditionalReference reports whether a resource refers to something by a search
// (R4 3.1.0.14.4), and foresees what the searches ask of terminology.
func (p *plan) hasConditionalReference(a *ask, body []byte) (yes bool) {
	eachString(body, func(name string, from, to int) {
		if name != "reference" {
			return
		}
		text := unquote(body[from:to])
		if !p.isCondition(text) {
			return
		}
		yes = true
		typ, query, _ := strings.Cut(text, "?")
		if ps, err := pairs(query); err == nil {
			p.foresee(a, typ, ps)
		}
	})
	return yes
}

func (p *plan) isCondition(ref string) bool {
	typ, _, ok := strings.Cut(ref, "?")
	return ok && p.serves(typ)
}

// resolve replaces the references to other entries, by their fullUrl, and those by a search, by
// what they mean now. Nothing else of the bytes changes.
func (p *plan) resolve(t *store.Tx, w *write, body []byte) ([]byte, error) {
	var edits []edit
	var failed error
	eachString(body, func(name string, from, to int) {
		text := unquote(body[from:to])
		if name == "div" {
			if linked := p.relink(text); linked != text {
				edits = append(edits, edit{from, to, must(linked)})
			}
			return
		}
		if id, known := p.ids[text]; known {
			edits = append(edits, edit{from, to, must(id)})
			return
		}
		switch {
		case name != "reference":
		case strings.HasPrefix(text, "urn:uuid:"), strings.HasPrefix(text, "urn:oid:"):
			failed = errReference // to nothing in this Bundle
		case p.isCondition(text):
			id, err := p.searchReference(t, w, text)
			if err != nil {
				failed = err
				return
			}
			edits = append(edits, edit{from, to, must(id)})
		}
	})
	if failed != nil {
		return nil, failed
	}
	return apply(body, edits), nil
}

// relink replaces the links of a narrative.
func (p *plan) relink(div string) string {
	if !strings.Contains(div, "urn:") {
		return div
	}
	for from, to := range p.ids {
		if strings.HasPrefix(from, "urn:") {
			div = strings.ReplaceAll(div, `"`+from+`"`, `"`+to+`"`)
		}
	}
	return div
}

func (p *plan) searchReference(t *store.Tx, w *write, ref string) (string, error) {
	typ, query, _ := strings.Cut(ref, "?")
	ps, err := pairs(query)
	if err != nil {
		return "", err
	}
	other := &write{ask: w.ask, typ: typ}
	found, err := p.match(t, other, ps)
	if err != nil || found == nil {
		return "", errReference
	}
	return found.Type + "/" + found.ID, nil
}

// eachString calls f for every string value of a resource with the name of the member that it is
// the value of, or that of the array it is in.
func eachString(b []byte, f func(name string, from, to int)) {
	var walk func(name string, at int)
	walk = func(name string, at int) {
		switch b[at] {
		case '"':
			f(name, at, skipValue(b, at))
		case '{':
			list, _ := members(b, at)
			for _, m := range list {
				walk(m.name, m.valueAt)
			}
		case '[':
			for i := skipSpace(b, at+1); b[i] != ']'; {
				if b[i] == ',' {
					i = skipSpace(b, i+1)
				}
				walk(name, i)
				i = skipSpace(b, skipValue(b, i))
			}
		}
	}
	walk("", skipSpace(b, 0))
}
