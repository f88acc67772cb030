package index

import (
	"slices"
	"strings"
	"unicode/utf8"

	"salus/fhir/element"
	"salus/fhir/search"
)

// how says which of a type's elements an entry is made of.
type how uint8

const (
	none how = iota
	aCode
	aBoolean
	aText // string, markdown, id, uri as they are
	aCoding
	aConcept
	anIdentifier
	aContact
	aName
	anAddress
	aURI
	aCanonical
	aReference
	aResource
	aDate
	aPeriod
	aTiming
	aNumber
	aRange
	aQuantity
	aMoney
	aSample
	aSpot
)

// howOf says how values of a type are read for a kind of parameter; ok is false if they are not
// (R4 3.1.1.4.6 to 3.1.1.4.12).
func howOf(k search.Kind, t *element.Type) (h how, ok bool) {
	if t == nil {
		return none, false
	}
	switch k {
	case search.Token:
		h = tokens[t.Name]
	case search.String:
		h = strs[t.Name]
	case search.URI:
		h = uris[t.Name]
	case search.Reference:
		if h = references[t.Name]; h == none && t.Kind == element.Resource {
			h = aResource
		}
	case search.Date:
		h = dates[t.Name]
	case search.Number:
		h = numbers[t.Name]
	case search.Quantity:
		if h = quantities[t.Name]; h == none && t.Is("Quantity") {
			h = aQuantity // Age, Count, Distance, Duration
		}
	case search.Spot:
		if t.Name == "Location.position" {
			h = aSpot
		}
	}
	return h, h != none
}

var (
	tokens = map[string]how{
		"code": aCode, "boolean": aBoolean, "string": aText, "id": aText, "markdown": aText,
		"uri": aText, "url": aText, "canonical": aText, "oid": aText, "uuid": aText,
		"Coding": aCoding, "CodeableConcept": aConcept, "Identifier": anIdentifier, "ContactPoint": aContact,
	}
	strs = map[string]how{
		"string": aText, "markdown": aText, "code": aText, "id": aText, "uri": aText, "url": aText, "canonical": aText,
		"HumanName": aName, "Address": anAddress, "CodeableConcept": aConcept, "Coding": aCoding,
	}
	uris       = map[string]how{"uri": aURI, "url": aURI, "oid": aURI, "uuid": aURI, "canonical": aCanonical}
	references = map[string]how{"Reference": aReference, "canonical": aCanonical, "uri": aURI, "url": aURI, "oid": aURI, "uuid": aURI}
	dates      = map[string]how{"date": aDate, "dateTime": aDate, "instant": aDate, "Period": aPeriod, "Timing": aTiming}
	numbers    = map[string]how{"decimal": aNumber, "integer": aNumber, "positiveInt": aNumber, "unsignedInt": aNumber, "Range": aRange}
	quantities = map[string]how{"Quantity": aQuantity, "Money": aMoney, "Range": aRange, "SampledData": aSample}
)

// add appends an entry of an action.
func (w *walk) add(a *action, m search.Modifier, v search.Value, exact string) {
	e := search.Entry{Code: a.code, Modifier: m, Kind: a.kind, Value: v, Exact: exact}
	if w.group > 0 {
		e.Group, e.Part = w.group, a.part
		w.have |= 1 << a.part
	}
	w.entries = append(w.entries, e)
}

// present notes that there is a value, which nothing finds: the parameter is not missing.
func (w *walk) present(a *action) {
	if w.group == 0 {
		w.add(a, search.Plain, search.Value{}, "")
	}
}

// emit makes the entries of one value.
func (w *walk) emit(a *action, v element.Node) {
	switch a.kind {
	case search.Token:
		w.token(a, v)
	case search.String:
		w.str(a, v)
	case search.URI, search.Reference:
		w.link(a, v)
	default:
		w.measure(a, v)
	}
}

func (w *walk) token(a *action, v element.Node) {
	switch a.how {
	case aBoolean:
		if k := v.Kind(); k == element.True || k == element.False {
			w.add(a, search.Plain, search.Value{Text: v.Text()}, "")
		}
	case aCode:
		if s := scalar(v); s != "" {
			w.add(a, search.Plain, search.Value{Text: s, System: a.systems.of(s)}, "")
		}
	case aText:
		if s := scalar(v); s != "" {
			w.add(a, search.Plain, search.Value{Text: s}, "")
		}
	case aContact:
		if s := v.Get("value").Text(); s != "" {
			w.add(a, search.Plain, search.Value{Text: s}, "")
		}
	case aCoding:
		from := len(w.entries)
		if !w.coding(a, v) {
			w.present(a)
		}
		w.words(a, from, v.Get("display").Text())
	case aConcept:
		w.concept(a, v)
	case anIdentifier:
		w.identifier(a, v)
	}
}

// coding adds the entry of a Coding, if it has a code or a system.
func (w *walk) coding(a *action, v element.Node) bool {
	t := search.Value{Text: v.Get("code").Text(), System: v.Get("system").Text()}
	if t.Text == "" && t.System == "" {
		return false
	}
	w.add(a, search.Plain, t, "")
	return true
}

func (w *walk) concept(a *action, v element.Node) {
	from, any := len(w.entries), false
	list := v.Get("coding")
	for c := range list.Children() {
		any = w.coding(a, c) || any
	}
	if !any {
		w.present(a)
	}
	w.words(a, from, v.Get("text").Text())
	for c := range list.Children() {
		w.words(a, from, c.Get("display").Text())
	}
}

func (w *walk) identifier(a *action, v element.Node) {
	from := len(w.entries)
	id := search.Value{Text: v.Get("value").Text(), System: v.Get("system").Text()}
	if id.Text == "" && id.System == "" {
		w.present(a)
	} else {
		w.add(a, search.Plain, id, "")
	}
	typ := v.Get("type")
	if w.group > 0 || typ.Kind() != element.Object {
		return
	}
	w.words(a, from, typ.Get("text").Text())
	for c := range typ.Get("coding").Children() {
		w.words(a, from, c.Get("display").Text())
		if code := c.Get("code").Text(); code != "" && id.Text != "" {
			w.add(a, search.OfType, search.Value{System: c.Get("system").Text(), Code: code, Text: id.Text}, "")
		}
	}
}

// lookBack bounds the search for a text that an entry has already; the store knows repetitions too.
const lookBack = 32

// words adds what :text finds, each text once among the last entries, from one on. Parts of
// composites have none.
func (w *walk) words(a *action, from int, s string) {
	if s == "" || w.group > 0 {
		return
	}
	folded := fold(s)
	if folded == "" {
		return
	}
	for i := max(from, len(w.entries)-lookBack); i < len(w.entries); i++ {
		if e := &w.entries[i]; e.Modifier == search.Text && e.Value.Text == folded {
			return
		}
	}
	w.add(a, search.Text, search.Value{Text: folded}, "")
}

// Parts of what a string parameter searches as one (R4 3.1.1.4.8).
var (
	nameParts    = []string{"text", "family", "given", "prefix", "suffix"}
	addressParts = []string{"text", "line", "city", "district", "state", "postalCode", "country"}
)

func (w *walk) str(a *action, v element.Node) {
	switch a.how {
	case aText:
		w.line(a, v)
	case aName:
		w.lines(a, v, nameParts)
	case anAddress:
		w.lines(a, v, addressParts)
	case aCoding:
		w.line(a, v.Get("display"))
	case aConcept:
		w.line(a, v.Get("text"))
		for c := range v.Get("coding").Children() {
			w.line(a, c.Get("display"))
		}
	}
}

// lines adds the texts of some members, in the order of the resource.
func (w *walk) lines(a *action, v element.Node, parts []string) {
	for m := range v.Children() {
		name := m.Name()
		for _, p := range parts {
			if p != name {
				continue
			}
			if m.Kind() != element.Array {
				w.line(a, m)
				break
			}
			for item := range m.Children() {
				w.line(a, item)
			}
		}
	}
}

func (w *walk) line(a *action, v element.Node) {
	if s := scalar(v); s != "" {
		w.add(a, search.Plain, search.Value{Text: fold(s)}, s)
	}
}

// link adds the entries of references and URIs.
func (w *walk) link(a *action, v element.Node) {
	switch a.how {
	case aURI, aCanonical:
		s := scalar(v)
		if s == "" {
			return
		}
		if s[0] == '#' && a.kind == search.Reference {
			w.present(a) // contained
			return
		}
		w.add(a, search.Plain, search.Value{Text: s}, "")
		bare, _, versioned := strings.Cut(s, "|")
		if versioned = versioned && bare != "" && a.how == aCanonical; versioned {
			w.add(a, search.Plain, search.Value{Text: bare}, "")
		} else {
			bare = s
		}
		if a.kind == search.Reference {
			if l := w.index.Local(bare); l != bare {
				w.add(a, search.Plain, search.Value{Text: l}, "")
			}
		}
	case aResource:
		typ, id := v.Get("resourceType").Text(), v.Get("id").Text()
		switch {
		case !slices.Contains(a.targets, typ):
		case id != "":
			w.add(a, search.Plain, search.Value{Text: typ + "/" + id}, "")
		default:
			w.present(a)
		}
	case aReference:
		w.reference(a, v)
	}
}

func (w *walk) reference(a *action, v element.Node) {
	if v.Kind() != element.Object {
		return
	}
	if s := w.index.identity(v.Get("reference").Text()); s != "" {
		w.add(a, search.Plain, search.Value{Text: s}, "")
	} else {
		w.present(a)
	}
	id := v.Get("identifier")
	if w.group > 0 || id.Kind() != element.Object {
		return
	}
	if t := (search.Value{Text: id.Get("value").Text(), System: id.Get("system").Text()}); t.Text != "" || t.System != "" {
		w.add(a, search.Identifier, t, "")
	}
}

// identity is what a reference is found by: "Type/id", or an address; "" for one that leads into
// its own resource, or is a query.
func (x *Index) identity(ref string) string {
	if ref = strings.TrimSpace(ref); ref == "" || ref[0] == '#' {
		return ""
	}
	if i := strings.IndexByte(ref, '?'); i >= 0 && !strings.Contains(ref[:i], ":") {
		return "" // conditional: Patient?identifier=...
	}
	ref, _, _ = strings.Cut(ref, "/_history/")
	return x.Local(ref)
}

// Local takes one of the server's own addresses away from an absolute reference, which leaves
// "Type/id", and returns every other text as it is.
func (x *Index) Local(ref string) string {
	if !strings.HasPrefix(ref, "http") {
		return ref
	}
	for _, b := range x.bases {
		rest, ok := strings.CutPrefix(ref, b)
		if !ok {
			continue
		}
		if typ, id, ok := strings.Cut(rest, "/"); ok && x.Known(typ) && wellFormed(id) {
			return rest
		}
	}
	return ref
}

// wellFormed reports whether s is an id (R4 2.24.0.1).
func wellFormed(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '.':
		default:
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// scalar is the text of a JSON string, or "": a number or boolean in its place is not what the
// type says.
func scalar(v element.Node) string {
	if v.Kind() != element.String {
		return ""
	}
	return v.Text()
}

// fold is search.Fold, sooner where there is nothing but ASCII.
func fold(s string) string {
	clean := true
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return search.Fold(s)
		}
		if c >= 'A' && c <= 'Z' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r' ||
			c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			clean = false
		}
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s))
	space := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			space = len(b) > 0
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		if space {
			b = append(b, ' ')
			space = false
		}
		b = append(b, c)
	}
	return string(b)
}
