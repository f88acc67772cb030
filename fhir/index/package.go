package index

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/fhirpath"
	"salus/fhir/search"
)

// A Skipped parameter is one of a package that is not searched by, for one type of resource or, where
// Type is "", for all.
type Skipped struct{ Canonical, Type, Reason string }

// Skipped lists the parameters of packages that cannot be used, and why. Those that say again what R4
// says are not among them.
func (x *Index) Skipped() []Skipped { return x.skipped }

// Offer lets searches use the parameters of packages: what is stored is indexed by them. Until then they
// are known, Entries has their entries, and search.Parse refuses them with search.CodeIndexing.
func (x *Index) Offer() { x.offered.Store(true) }

// Digest tells apart sets of parameters that packages added: 0 if there are none.
func (x *Index) Digest() int64 {
	h := sha256.New()
	text := func(s string) { _, _ = fmt.Fprintf(h, "%d:%s", len(s), s) } // a hash takes everything
	text("salus-search-parameters-1")
	found := false
	for _, typ := range slices.Sorted(maps.Keys(x.plans)) {
		for _, p := range x.plans[typ].params {
			if p.Definition == "" {
				continue
			}
			found = true
			for _, s := range []string{typ, p.Code, p.Kind.String(), p.expression, strings.Join(p.Targets, " ")} {
				text(s)
			}
			for _, part := range p.parts {
				text(fmt.Sprint(part.kind, part.resource))
				text(part.expression)
			}
			_, _ = io.WriteString(h, ";")
		}
	}
	if !found {
		return 0
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil))>>1 | 1)
}

// searchable are the codes that a search can name: no separator of search, and nothing that is FHIR's own (_id).
var searchable = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// clocks are the functions of FHIRPath that are none of the resource.
var clocks = regexp.MustCompile(`\b(now|today|timeOfDay)\s*\(`)

// further takes the parameters of packages that some resource can be searched by, and says of all others
// why not.
func (x *Index) further(k *catalogue, packages []*definition.Param) (usable []*definition.Param) {
	skip := func(d *definition.Param, reason string) { x.skipped = append(x.skipped, Skipped{d.URL, "", reason}) }
	for _, d := range packages {
		for _, b := range d.Base {
			if t := k.set.Type(b); t == nil || t.Kind != "resource" {
				skip(d, fmt.Sprintf("its base %q is no type of resource", b))
			}
		}
		switch kind, ok := search.ParseKind(d.Type); {
		case d.Status != "active" && d.Status != "draft":
			skip(d, fmt.Sprintf("its status is %q", d.Status))
		case !ok || kind == search.Special:
			skip(d, fmt.Sprintf("nothing can be searched by its type %q", d.Type))
		case d.URL == "":
			skip(d, "it has no canonical")
		case d.Expression == "":
			skip(d, "it has no expression")
		case clocks.MatchString(d.Expression):
			skip(d, "its expression depends on when it is evaluated")
		case !searchable.MatchString(d.Code) && !strings.HasPrefix(d.Code, "_"):
			skip(d, "its code cannot stand in a search")
		default:
			usable = append(usable, d)
			if k.byURL[d.URL] == nil {
				k.byURL[d.URL] = d
			}
		}
	}
	return usable
}

// extend adds the parameters of packages to the plan of a type.
func (x *Index) extend(p *planner, k *catalogue, out *plan, typ string, packages []*definition.Param) {
	known := k.set.Params(typ)
	for _, d := range packages {
		if !slices.ContainsFunc(d.Base, func(b string) bool { return k.is(typ, b) }) {
			continue
		}
		taken := slices.DeleteFunc(slices.Clone(known), func(o *definition.Param) bool { return o.Code != d.Code })
		if slices.ContainsFunc(taken, func(o *definition.Param) bool { return again(d, o) }) {
			continue
		}
		err := func() error {
			switch {
			case len(taken) > 0:
				return fmt.Errorf("its code is that of %s", taken[0].URL)
			case strings.HasPrefix(d.Code, "_"):
				return errors.New("codes that begin with _ are FHIR's own")
			}
			y, ok := k.param(d)
			if !ok {
				return errors.New("its components are unknown, or none that can be compared")
			}
			y.Definition, y.Documentation = d.URL, d.Description
			return p.further(out, typ, y)
		}()
		if err != nil {
			x.skipped = append(x.skipped, Skipped{d.URL, typ, err.Error()})
			continue
		}
		known = append(slices.Clip(known), d)
	}
	slices.SortFunc(out.params, func(a, b *param) int { return strings.Compare(a.Code, b.Code) })
}

// again reports whether a parameter says what another one with its code says: guides repeat those of R4
// to say how they are to be used.
func again(d, o *definition.Param) bool {
	return d.URL == o.URL || d.Derived != "" && d.Derived == o.URL || d.Type == o.Type && d.Expression == o.Expression
}

// is reports whether a type of resource is, or specialises, another.
func (k *catalogue) is(typ, base string) bool {
	for t := k.set.Type(typ); t != nil; t = k.set.Type(t.Base) {
		if t.Name == base {
			return true
		}
	}
	return false
}

// further takes a parameter of a package into a plan. Unlike those of R4 it must be shown to lead to
// values: one that never gives an entry would make every search by it an empty one.
func (p *planner) further(out *plan, typ string, x *param) error {
	e, err := p.engine.CompileFor(typ, x.expression, fhirpath.Lenient)
	if err == nil {
		err = e.Check(typ)
	}
	for _, part := range x.parts {
		if err != nil || !part.resource && x.expression != typ {
			continue // of which type the value is that it begins at, only evaluation tells
		}
		if e, err = p.engine.Compile(part.expression, fhirpath.Lenient); err == nil {
			err = e.Check(typ)
		}
	}
	if err != nil {
		return err
	}
	if err := p.put(out, typ, x); err != nil {
		return err
	}
	if x.taken && !x.gives {
		delete(out.byCode, x.Code)
		return fmt.Errorf("its expression leads to no value of type %s", x.Kind)
	}
	out.params = append(out.params, x)
	return nil
}
