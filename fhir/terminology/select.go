package terminology

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Limits of one answer.
const (
	MaxCodes  = 10_000  // in one answer
	maxSelect = 500_000 // looked at for one answer
	MaxDepth  = 16      // value sets inside each other
	MaxSets   = 256     // value sets that one answer reads
)

// A Versions says which versions of code systems to take.
type Versions struct {
	Default map[string]string // where a value set names none
	Check   map[string]string // an error if it is another
	Force   map[string]string // whatever the value set names
}

func (v *Versions) of(system, named string) (string, error) {
	if f := v.Force[system]; f != "" {
		return f, nil
	}
	if named == "" {
		named = v.Default[system]
	}
	if c := v.Check[system]; c != "" && named != "" && named != c {
		return "", ErrVersion.about(system)
	} else if c != "" {
		named = c
	}
	return named, nil
}

// An entry is one selected code.
type entry struct {
	system, version string
	code            string
	of              *CodeSystem  // nil if it is not here
	at              int32        // in of
	as              *conceptJSON // how the value set writes it, or nil
}

func (e *entry) key() [2]string { return [2]string{e.system, e.code} }

func (e *entry) concept() *Concept {
	if e.of == nil || e.at < 0 {
		return nil
	}
	return &e.of.Concepts[e.at]
}

// A selector answers for one question.
type selector struct {
	ctx      context.Context //nolint:containedctx // it lives as long as the question
	src      Source
	versions Versions
	words    []string // of a text filter; only while sets are selected
	open     []string // canonicals being selected, outermost first
	sets     int
	looked   int
	done     map[string][]entry
	used     map[string]bool // systems with their versions
}

func (e *Engine) selector(ctx context.Context, v Versions) *selector {
	return &selector{ctx: ctx, src: e.Source, versions: v, done: map[string][]entry{}, used: map[string]bool{}}
}

// enter reads a value set that another names. leave must follow.
func (s *selector) enter(ref string) (*ValueSet, error) {
	if slices.Contains(s.open, ref) {
		return nil, ErrCycle.about(ref)
	}
	if s.sets++; len(s.open) >= MaxDepth || s.sets > MaxSets {
		return nil, ErrDeep
	}
	v, err := s.src.ValueSet(s.ctx, first(Cut(ref)), second(Cut(ref)))
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, ref)
	return v, nil
}

func (s *selector) leave() { s.open = s.open[:len(s.open)-1] }

func first(a, _ string) string  { return a }
func second(_, b string) string { return b }

// system reads a code system of an include; nil if its content is not here.
func (s *selector) system(p *part) (*CodeSystem, string, error) {
	version, err := s.versions.of(p.System, p.Version)
	if err != nil {
		return nil, "", err
	}
	c, err := s.src.CodeSystem(s.ctx, p.System, version)
	if errors.Is(err, ErrNoSystem) {
		return nil, version, nil
	}
	if err != nil {
		return nil, "", err
	}
	if c.Version != "" {
		version = c.Version
	}
	return c, version, nil
}

// usable refuses what would change the meaning of a value set and is not understood.
func (v *ValueSet) usable() error {
	if v.Compose == nil {
		return nil
	}
	if v.Compose.LockedDate != "" {
		for _, p := range slices.Concat(v.Compose.Include, v.Compose.Exclude) {
			if p.System != "" && p.Version == "" || len(p.ValueSet) > 0 {
				return ErrLocked.about(v.URL)
			}
		}
	}
	for _, p := range slices.Concat(v.Compose.Include, v.Compose.Exclude) {
		for _, x := range p.Extension {
			if strings.HasSuffix(x.URL, "valueset-supplement") {
				return ErrSupplement.about(v.URL)
			}
		}
		if p.System == "" && (len(p.Concept) > 0 || len(p.Filter) > 0) || p.System == "" && len(p.ValueSet) == 0 || len(p.Concept) > 0 && len(p.Filter) > 0 {
			return unreadable("ValueSet") // R4 vsd-1, vsd-2, vsd-3
		}
	}
	return nil
}

func (v *ValueSet) activeOnly() bool {
	return v.Compose != nil && v.Compose.Inactive != nil && !*v.Compose.Inactive
}

// all selects the codes of a value set in its order, each once.
func (s *selector) all(v *ValueSet) ([]entry, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	if v.Compose == nil {
		return s.expanded(v)
	}
	var out []entry
	for i := range v.Compose.Include {
		list, err := s.part(&v.Compose.Include[i])
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = list
		} else {
			out = append(slices.Clip(out), list...)
		}
		if len(out) > maxSelect {
			return nil, ErrTooCostly.about(v.URL)
		}
	}
	gone := map[[2]string]bool{}
	for i := range v.Compose.Exclude {
		list, err := s.part(&v.Compose.Exclude[i])
		if err != nil {
			return nil, err
		}
		for j := range list {
			gone[list[j].key()] = true
		}
	}
	if len(v.Compose.Include) > 1 || len(gone) > 0 || len(v.Compose.Include) == 1 && len(v.Compose.Include[0].Concept) > 0 {
		seen := make(map[[2]string]bool, len(out))
		kept := make([]entry, 0, len(out))
		for i := range out {
			if k := out[i].key(); !seen[k] && !gone[k] {
				seen[k] = true
				kept = append(kept, out[i])
			}
		}
		out = kept
	}
	if v.activeOnly() {
		out = active(out)
	}
	return out, nil
}

func active(list []entry) (out []entry) {
	for i := range list {
		if c := list[i].concept(); c == nil || !c.Inactive {
			out = append(out, list[i])
		}
	}
	return out
}

// expanded takes a value set that has only an expansion.
func (s *selector) expanded(v *ValueSet) (out []entry, err error) {
	if v.Expansion == nil {
		return nil, ErrEmpty.about(v.URL)
	}
	n := 0
	var walk func(list []contains)
	walk = func(list []contains) {
		for i := range list {
			c := &list[i]
			n++
			if c.Code != "" && !c.Abstract {
				e := entry{system: c.System, version: c.Version, code: c.Code, at: -1, as: &conceptJSON{Code: c.Code, Display: c.Display, Designation: c.Designation}}
				if len(s.words) == 0 || begins(s.words, wordsOf(c.Code, c.Display, c.Designation)) {
					out = append(out, e)
				}
			}
			walk(c.Contains)
		}
	}
	walk(v.Expansion.Contains)
	if v.Expansion.Offset > 0 || v.Expansion.Total != nil && *v.Expansion.Total > n {
		return nil, ErrEmpty.about(v.URL) // a page of it
	}
	return out, nil
}

// part selects what an include or exclude names: what its system and all its value sets have.
func (s *selector) part(p *part) (out []entry, err error) {
	own := p.System != ""
	if own {
		if out, err = s.ofSystem(p); err != nil {
			return nil, err
		}
	}
	for i, ref := range p.ValueSet {
		list, err := s.named(ref)
		if err != nil {
			return nil, err
		}
		if i == 0 && !own {
			out = list
			continue
		}
		in := make(map[[2]string]bool, len(list))
		for j := range list {
			in[list[j].key()] = true
		}
		var both []entry
		for j := range out {
			if in[out[j].key()] {
				both = append(both, out[j])
			}
		}
		out = both
	}
	return out, nil
}

// named selects the codes of a value set by its canonical.
func (s *selector) named(ref string) ([]entry, error) {
	if list, ok := s.done[ref]; ok {
		return list, nil
	}
	v, err := s.enter(ref)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	list, err := s.all(v)
	if err == nil {
		s.done[ref] = list
	}
	return list, err
}

func (s *selector) ofSystem(p *part) (out []entry, err error) {
	c, version, err := s.system(p)
	if err != nil {
		return nil, err
	}
	s.used[canonical(p.System, version)] = true
	if s.looked += len(p.Concept); s.looked > maxSelect {
		return nil, ErrTooCostly
	}
	if len(p.Concept) > 0 {
		for i := range p.Concept {
			if e, ok := listed(p, &p.Concept[i], c, version); ok && s.spoken(&e) {
				out = append(out, e)
			}
		}
		return out, nil
	}
	if c == nil {
		return nil, ErrNoSystem.about(canonical(p.System, version))
	}
	if err := c.whole(); err != nil {
		return nil, err
	}
	if s.looked += len(c.Concepts); s.looked > maxSelect {
		return nil, ErrTooCostly
	}
	ok, err := c.passes(p.Filter)
	if err != nil {
		return nil, err
	}
	var hit []bool
	if len(s.words) > 0 {
		hit = c.match(s.words)
	} else {
		out = make([]entry, 0, len(c.Concepts))
	}
	for i := range c.Concepts {
		if at := int32(i); (hit == nil || hit[i]) && ok(at) {
			out = append(out, entry{system: p.System, version: version, code: c.Concepts[i].Code, of: c, at: at})
		}
	}
	return out, nil
}

// spoken reports whether the text filter finds an entry.
func (s *selector) spoken(e *entry) bool {
	if len(s.words) == 0 {
		return true
	}
	of := wordsOf(e.code, e.as.Display, e.as.Designation)
	if c := e.concept(); c != nil {
		of = append(of, wordsOf("", c.Display, c.Designations)...)
	}
	return begins(s.words, of)
}

// listed is a concept that a value set lists; ok is false if the whole system is here and lacks it.
func listed(p *part, as *conceptJSON, c *CodeSystem, version string) (e entry, ok bool) {
	e = entry{system: p.System, version: version, code: as.Code, at: -1, as: as}
	if c == nil {
		return e, true
	}
	at := c.find(as.Code)
	if at < 0 {
		return e, c.Content != "complete"
	}
	e.of, e.at, e.code = c, at, c.Concepts[at].Code
	return e, true
}

// has reports whether a value set has a code, and how. Parts that have nothing to do with the code's
// system need not be here.
func (s *selector) has(v *ValueSet, system, version, code string) (e entry, ok bool, err error) {
	if err := v.usable(); err != nil {
		return e, false, err
	}
	if v.Compose == nil {
		list, err := s.expanded(v)
		for i := range list {
			if list[i].system == system && list[i].code == code {
				return list[i], true, nil
			}
		}
		return e, false, err
	}
	var unknown error
	for i := range v.Compose.Include {
		x, in, err := s.partHas(&v.Compose.Include[i], system, version, code)
		if err != nil {
			unknown = err // another include may have it
			continue
		}
		if in {
			e, ok = x, true
			break
		}
	}
	if !ok {
		return e, false, unknown
	}
	for i := range v.Compose.Exclude {
		if _, in, err := s.partHas(&v.Compose.Exclude[i], system, version, code); err != nil || in {
			return e, false, err
		}
	}
	if c := e.concept(); c != nil && c.Inactive && v.activeOnly() {
		return e, false, nil
	}
	return e, true, nil
}

func (s *selector) partHas(p *part, system, version, code string) (e entry, ok bool, err error) {
	if p.System != "" {
		if p.System != system || version != "" && p.Version != "" && version != p.Version {
			return e, false, nil
		}
		if version != "" && p.Version == "" {
			q := *p
			q.Version = version
			p = &q
		}
		if e, ok, err = s.systemHas(p, code); err != nil || !ok {
			return e, false, err
		}
	}
	for i, ref := range p.ValueSet {
		v, err := s.enter(ref)
		if err != nil {
			return e, false, err
		}
		x, in, err := s.has(v, system, version, code)
		s.leave()
		if err != nil || !in {
			return e, false, err
		}
		if i == 0 && p.System == "" {
			e = x
		}
	}
	return e, true, nil
}

func (s *selector) systemHas(p *part, code string) (e entry, ok bool, err error) {
	c, v, err := s.system(p)
	if err != nil {
		return e, false, err
	}
	if len(p.Concept) > 0 {
		for i := range p.Concept {
			if x := &p.Concept[i]; x.Code == code || c != nil && c.insensitive && strings.EqualFold(x.Code, code) {
				e, ok = listed(p, x, c, v)
				return e, ok, nil
			}
		}
		return e, false, nil
	}
	if c == nil {
		return e, false, ErrNoSystem.about(canonical(p.System, v))
	}
	at := c.find(code)
	if at < 0 {
		return e, false, c.whole() // who has a part cannot say that it lacks a code
	}
	passes, err := c.passes(p.Filter)
	if err != nil {
		return e, false, err
	}
	return entry{system: p.System, version: v, code: c.Concepts[at].Code, of: c, at: at}, passes(at), nil
}
