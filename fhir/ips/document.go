package ips

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/element"
)

// An Edition is one of the implementation guide.
type Edition uint8

// The editions. The zero value is the current one.
const (
	V200 Edition = iota // 2.0.0: a section may be empty and say why
	V110                // 1.1.0: an entry says that there is nothing
)

const profiles = "http://hl7.org/fhir/uv/ips/StructureDefinition/"

// Composition is the canonical of the profile of a summary's Composition, without its version.
const Composition = profiles + "Composition-uv-ips"

// Options are what a document has besides the resources.
type Options struct {
	Edition Edition
	// ID is a UUID, the document's own: Bundle.identifier is urn:uuid and it, and the addresses of
	// what is made for the document come from it.
	ID string
	// At is when it was made: Bundle.timestamp and Composition.date.
	At time.Time
	// Base is the address of the server that the resources are on, without a slash at its end; their
	// fullUrls begin with it. "" gives each a urn:uuid that depends on type and id alone.
	Base string
	// Author is the name of the software that makes the document, and Custodian that of the
	// organisation that keeps it, "" for none.
	Author, Custodian string
	// Notes say what the document may lack, and why. They stand in the Composition's narrative.
	Notes []string
	// Withheld are resource types that the reader may not see at all.
	Withheld []string
	// Lookup finds what resources refer to, among what the reader may see; the zero Resource is
	// nothing. It may be nil.
	Lookup func(resourceType, id string) (fhir.Resource, error)
}

// Limits on what entries bring with them.
const (
	maxHops     = 3
	maxReferred = 2000
)

// Errors of Document, besides those of the sequence and of Lookup.
var (
	ErrSubject = errors.New("ips: the subject is no Patient with an id")
	ErrOptions = errors.New("ips: the document has no identifier or no author")
)

// An item is a resource that is in the document.
type item struct {
	typ, id string
	res     fhir.Resource
	n       element.Node
	at      time.Time // clinical date
	written time.Time // meta.lastUpdated
}

func (it *item) key() string { return it.typ + "/" + it.id }

// older orders by clinical date, and what has the same by when it was written, what it says, and its
// id, which may have been drawn at random: the newest is the last.
func older(a, b *item) int {
	if c := cmp.Or(a.at.Compare(b.at), a.written.Compare(b.written)); c != 0 || a == b {
		return c
	}
	return cmp.Or(strings.Compare(a.says(), b.says()), strings.Compare(a.key(), b.key()))
}

// says is the resource without what the server gave it.
func (it *item) says() string {
	var b strings.Builder
	for c := range it.n.Children() {
		if name := c.Name(); name != "id" && name != "meta" {
			b.WriteString(name + ":")
			b.Write(c.Raw())
		}
	}
	return b.String()
}

// A document is one under way.
type document struct {
	Options
	subject *item
	in      [][]*item          // entries by section
	best    []map[string]*item // of sections with newest: by group
	items   map[string]*item   // everything in it
	order   []*item
}

// Document makes the summary of a patient: Select, and Document of what that selected. Errors: theirs.
func Document(subject fhir.Resource, items iter.Seq2[fhir.Resource, error], o Options) ([]byte, error) {
	s, err := Select(subject, items, o)
	if err != nil {
		return nil, err
	}
	return s.Document(o.ID, o.At)
}

// A Selection is what a patient's summary says.
type Selection struct{ d *document }

// Document writes a selection as the document with this ID and date, in place of those of its Options. It may be
// written several times, one after the other. Error: ErrOptions.
func (s *Selection) Document(id string, at time.Time) ([]byte, error) {
	if id == "" {
		return nil, ErrOptions
	}
	s.d.ID, s.d.At = id, at
	return s.d.encode(), nil
}

// Select finds what the summary of a patient says. items are her resources, each once and in any order; what is not
// about her or of no type of Types is passed over. Errors: ErrSubject, ErrOptions, what fhir and element say of
// bytes that are no resource, and those of items and Lookup.
func Select(subject fhir.Resource, items iter.Seq2[fhir.Resource, error], o Options) (*Selection, error) {
	if subject.Type() != "Patient" || subject.ID() == "" {
		return nil, ErrSubject
	}
	if o.Author == "" {
		return nil, ErrOptions
	}
	d := &document{Options: o, in: make([][]*item, len(sections)), best: make([]map[string]*item, len(sections)), items: map[string]*item{}}
	var err error
	if d.subject, err = d.item(subject); err != nil {
		return nil, err
	}
	for r, err := range items {
		if err != nil {
			return nil, err
		}
		if err := d.take(r); err != nil {
			return nil, err
		}
	}
	d.settle()
	if err := d.refer(); err != nil {
		return nil, err
	}
	return &Selection{d}, nil
}

func (d *document) item(r fhir.Resource) (*item, error) {
	tree, err := element.Parse(r.Raw())
	if err != nil {
		return nil, fmt.Errorf("ips: %w", err)
	}
	it := &item{typ: r.Type(), id: r.ID(), res: r, n: tree.Root()}
	it.at, _ = instant(when(it.n))
	it.written, _ = r.LastUpdated()
	return it, nil
}

// about reports whether a resource is about the subject.
func (d *document) about(r fhir.Resource) bool {
	ref, ok := r.Patient()
	return ok && d.local(ref) == d.subject.key()
}

// take puts a resource where it belongs.
func (d *document) take(r fhir.Resource) error {
	if r.ID() == "" || !slices.Contains(selected, r.Type()) || !d.about(r) {
		return nil
	}
	it, err := d.item(r)
	if err != nil {
		return err
	}
	for _, i := range place(it.typ, it.n) {
		s := &sections[i]
		group := ""
		if s.newest && it.typ != "DocumentReference" {
			group = s.group(it.n)
		}
		if group == "" {
			group = "\x00" + it.key()
		}
		if d.best[i] == nil {
			d.best[i] = map[string]*item{}
		}
		if was := d.best[i][group]; was == nil || older(was, it) < 0 {
			d.best[i][group] = it
		}
	}
	return nil
}

var selected = Types()

// settle orders the entries of the sections, newest first.
func (d *document) settle() {
	for i, groups := range d.best {
		for g, it := range groups {
			if of, ok := strings.CutSuffix(g, isPending); ok {
				if final := groups[of]; final != nil && older(it, final) < 0 {
					continue // there is a result since
				}
			}
			d.in[i] = append(d.in[i], it)
		}
		slices.SortFunc(d.in[i], func(a, b *item) int { return older(b, a) })
	}
	d.add(d.subject)
	for _, list := range d.in {
		for _, it := range list {
			d.add(it)
		}
	}
}

func (d *document) add(it *item) {
	if d.items[it.key()] == nil {
		d.items[it.key()] = it
		d.order = append(d.order, it)
	}
}

// local is a reference to this server as "Type/id", or "" for any other.
func (d *document) local(ref string) string {
	if d.Base != "" {
		ref = strings.TrimPrefix(ref, d.Base+"/")
	}
	p := strings.Split(ref, "/")
	if len(p) != 2 && (len(p) != 4 || p[2] != "_history") {
		return ""
	}
	if t := definition.R4().Type(p[0]); t == nil || t.Kind != "resource" || p[1] == "" {
		return ""
	}
	return p[0] + "/" + p[1]
}

// url is the fullUrl of a resource of the server.
func (d *document) url(key string) string {
	if d.Base != "" {
		return d.Base + "/" + key
	}
	return "urn:uuid:" + uuid("resource", key)
}

func (d *document) resolve(ref string) (string, bool) {
	k := d.local(ref)
	if d.items[k] == nil {
		return "", false
	}
	return d.url(k), true
}

// node finds the resource of a Reference, in the document or contained beside it.
func (d *document) node(root, ref element.Node) element.Node {
	address := ref.Get("reference").Text()
	if id, ok := strings.CutPrefix(address, "#"); ok {
		for c := range each(root.Get("contained")) {
			if c.Get("id").Text() == id {
				return c
			}
		}
		return element.Node{}
	}
	if it := d.items[d.local(address)]; it != nil {
		return it.n
	}
	return element.Node{}
}

func (d *document) row(it *item) cells {
	return row(it.n, func(ref element.Node) element.Node { return d.node(it.n, ref) })
}

// made is the id of what is made for this document.
func (d *document) made(what string) string { return uuid(d.ID, what) }

// uuid is a UUID of version 8 (RFC 9562, 5.8) that depends on two texts.
func uuid(space, what string) string {
	h := sha256.Sum256([]byte("salus ips\x00" + space + "\x00" + what))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
