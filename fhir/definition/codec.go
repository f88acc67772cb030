package definition

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// The compact form is a table of strings, then the definitions with strings as indexes and
// numbers as varints. Element definitions share their prefix with the type, so zstd does
// the rest.
const magic = "salus-fhir-definition-1\n"

var errCompact = errors.New("definition: the compact form is damaged")

// Encode writes a set in the compact form, the same bytes for the same set.
func (s *Set) Encode() []byte {
	w := writer{index: map[string]uint64{}}
	c := coder{w: &w}
	c.set(s)
	out := []byte(magic)
	out = binary.AppendUvarint(out, uint64(len(w.table)))
	for _, t := range w.table {
		out = binary.AppendUvarint(out, uint64(len(t)))
		out = append(out, t...)
	}
	return append(out, w.body...)
}

// Decode reads the compact form. An error says that it is damaged.
func Decode(b []byte) (*Set, error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, errCompact
	}
	all := string(b[len(magic):])
	r := reader{b: all}
	n := r.count()
	r.table = make([]string, 0, n)
	for range n {
		l := r.count()
		if r.bad {
			return nil, errCompact
		}
		r.table = append(r.table, r.b[r.i:r.i+l])
		r.i += l
	}
	s := &Set{types: map[string]*Type{}, profiles: map[string]*Type{}, params: map[string][]*Param{}, sets: map[string]*ValueSet{}, compart: map[string]*Compartment{}}
	c := coder{r: &r}
	c.set(s)
	if r.bad || r.i != len(r.b) {
		return nil, errCompact
	}
	for _, t := range s.types {
		for _, e := range t.Elements {
			if e.Path == "" || len(e.Types) > 0 && slices.ContainsFunc(e.Types, func(r TypeRef) bool { return r.Code == "" }) {
				return nil, errCompact
			}
		}
		if len(t.Elements) == 0 || t.Elements[0].Path != t.Name || s.cyclic(t) || !rooted(t) {
			return nil, errCompact
		}
	}
	s.link()
	return s, nil
}

// rooted reports whether all elements lie below the type.
func rooted(t *Type) bool {
	for _, e := range t.Elements[1:] {
		if len(e.Path) <= len(t.Name)+1 || e.Path[:len(t.Name)+1] != t.Name+"." {
			return false
		}
	}
	return true
}

func (s *Set) cyclic(t *Type) bool {
	for range 16 {
		if t = s.types[t.Base]; t == nil {
			return false
		}
	}
	return true
}

type writer struct {
	body  []byte
	table []string
	index map[string]uint64
}

type reader struct {
	b     string
	i     int
	table []string
	bad   bool
}

func (r *reader) uint() uint64 {
	var v uint64
	for shift := 0; shift < 64 && r.i < len(r.b); shift += 7 {
		c := r.b[r.i]
		r.i++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

// count reads how many things follow; each takes a byte at least.
func (r *reader) count() int {
	v := r.uint()
	if v > uint64(len(r.b)-r.i) {
		r.bad = true
		return 0
	}
	return int(v)
}

// A coder walks a set and reads or writes each part of it.
type coder struct {
	w *writer
	r *reader
}

func (c coder) text(s *string) {
	if c.w != nil {
		i, ok := c.w.index[*s]
		if !ok {
			i = uint64(len(c.w.table))
			c.w.index[*s] = i
			c.w.table = append(c.w.table, *s)
		}
		c.w.body = binary.AppendUvarint(c.w.body, i)
		return
	}
	if i := c.r.uint(); i < uint64(len(c.r.table)) {
		*s = c.r.table[i]
	} else {
		c.r.bad = true
	}
}

func (c coder) int(n *int) {
	if c.w != nil {
		c.w.body = binary.AppendUvarint(c.w.body, uint64(*n+1))
		return
	}
	if v := c.r.uint(); v < 1<<31 {
		*n = int(v) - 1
	} else {
		c.r.bad = true
	}
}

func (c coder) flags(f ...*bool) {
	bits := -1
	for i, b := range f {
		if *b {
			bits += 1 << i
		}
	}
	c.int(&bits)
	for i, b := range f {
		*b = (bits+1)>>i&1 == 1
	}
}

// list reads or writes a slice, each element by fn.
func list[T any](c coder, s *[]T, fn func(*T)) {
	if c.w != nil {
		c.w.body = binary.AppendUvarint(c.w.body, uint64(len(*s)))
	} else {
		n := c.r.count()
		if n == 0 {
			return
		}
		*s = make([]T, n)
	}
	for i := range *s {
		if fn(&(*s)[i]); c.r != nil && c.r.bad {
			return
		}
	}
}

func (c coder) texts(s *[]string) { list(c, s, c.text) }

func (c coder) set(s *Set) {
	var params []string
	var profiles []*Type
	var own []*Param
	var sets, compart []string
	if c.w != nil {
		for _, u := range s.Profiles() {
			profiles = append(profiles, s.profiles[u])
		}
		seen := map[string]*Param{}
		for _, list := range s.params {
			for _, p := range list {
				seen[p.URL] = p
			}
		}
		params = slices.Sorted(maps.Keys(seen))
		for _, u := range params {
			own = append(own, seen[u])
		}
		sets, compart = slices.Sorted(maps.Keys(s.sets)), slices.Sorted(maps.Keys(s.compart))
	}
	list(c, &profiles, func(t **Type) {
		if *t == nil {
			*t = &Type{}
		}
		c.typ(*t)
		if s.profiles[(*t).URL] = *t; !(*t).Profile {
			s.types[(*t).Name] = *t
		}
	})
	list(c, &own, func(p **Param) {
		if *p == nil {
			*p = &Param{}
		}
		c.param(*p)
		if c.r != nil {
			for _, b := range (*p).Base {
				s.params[b] = append(s.params[b], *p)
			}
		}
	})
	list(c, &sets, func(u *string) {
		c.text(u)
		v := s.sets[*u]
		if v == nil {
			v = &ValueSet{URL: *u}
		}
		c.flags(&v.Open)
		list(c, &v.Codes, func(x *Coding) { c.text(&x.System); c.text(&x.Code) })
		s.sets[*u] = v
	})
	list(c, &compart, func(u *string) {
		c.text(u)
		m := s.compart[*u]
		if m == nil {
			m = &Compartment{Code: *u, Params: map[string][]string{}}
		}
		resources := slices.Sorted(maps.Keys(m.Params))
		list(c, &resources, func(r *string) {
			c.text(r)
			p := m.Params[*r]
			c.texts(&p)
			m.Params[*r] = p
		})
		s.compart[*u] = m
	})
}

func (c coder) typ(t *Type) {
	for _, s := range []*string{&t.Name, &t.URL, &t.Base, &t.Kind} {
		c.text(s)
	}
	c.flags(&t.Abstract, &t.Profile)
	list(c, &t.Elements, c.element)
}

func (c coder) element(e *Element) {
	for _, s := range []*string{&e.ID, &e.Path, &e.Strength, &e.ValueSet, &e.Content, &e.Regex, &e.Slice, &e.Rules, &e.Fixed, &e.Pattern} {
		c.text(s)
	}
	c.int(&e.Min)
	c.int(&e.Max)
	c.int(&e.MaxLength)
	c.flags(&e.Ordered, &e.Modifier, &e.Summary, &e.Must)
	c.texts(&e.By)
	list(c, &e.Types, func(r *TypeRef) { c.text(&r.Code); c.texts(&r.Profiles); c.texts(&r.Targets) })
	list(c, &e.Invariants, func(i *Invariant) {
		for _, s := range []*string{&i.Key, &i.Severity, &i.Human, &i.Expression, &i.Source} {
			c.text(s)
		}
	})
}

func (c coder) param(p *Param) {
	for _, s := range []*string{&p.URL, &p.Code, &p.Type, &p.Expression} {
		c.text(s)
	}
	for _, s := range []*[]string{&p.Base, &p.Target, &p.Modifiers, &p.Comparators} {
		c.texts(s)
	}
	list(c, &p.Components, func(x *Component) { c.text(&x.Definition); c.text(&x.Expression) })
}
