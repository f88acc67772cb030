package terminology

import (
	"context"
	"slices"
)

// A Translate is the question of ConceptMap/$translate.
type Translate struct {
	Map            *ConceptMap // nil for all that there are
	URL, Version   string      // of the map to use
	Codings        []Coding
	Source, Target string // value sets; "" for any
	TargetSystem   string
	Depends        []Depends
	Reverse        bool
}

// A Depends is another value that a map may need.
type Depends struct {
	Element string
	Concept []Coding
}

// A Match is one translation.
type Match struct {
	Equivalence string
	Concept     Coding
	Products    []Depends
	Source      string // canonical of the map
}

// maxMatches bounds the matches of one question, maxMaps the maps that refer to others.
const (
	maxMatches = 1000
	maxMaps    = 8
)

// Translate finds what codes are in another system (R4 ConceptMap-translate). ok is whether one match
// is a translation: not unmatched, not disjoint. Errors: ErrNoMap if there is no map to use at all.
func (e *Engine) Translate(ctx context.Context, q *Translate) (matches []Match, ok bool, err error) {
	t := &translation{Engine: e, ctx: ctx, q: q}
	any := false
	for _, c := range q.Codings {
		maps := []*ConceptMap{q.Map}
		if q.Map == nil {
			if maps, err = e.Source.ConceptMaps(ctx, q.URL, q.Version, c.System); err != nil {
				return nil, false, err
			}
		}
		for _, m := range maps {
			if q.covers(m) {
				any = true
				if err := t.through(m, c, 0); err != nil {
					return nil, false, err
				}
			}
		}
	}
	if !any {
		return nil, false, ErrNoMap.about(canonical(q.URL, q.Version))
	}
	ok = slices.ContainsFunc(t.out, func(m Match) bool { return m.Equivalence != "unmatched" && m.Equivalence != "disjoint" })
	return t.out, ok, nil
}

// covers reports whether a map is between the value sets that are asked for.
func (q *Translate) covers(m *ConceptMap) bool {
	from, to := m.SourceCanonical+m.SourceURI, m.TargetCanonical+m.TargetURI
	if q.Reverse {
		from, to = to, from
	}
	same := func(asked, is string) bool {
		u, v := Cut(asked)
		iu, iv := Cut(is)
		return asked == "" || u == iu && (v == "" || iv == "" || v == iv)
	}
	return same(q.Source, from) && same(q.Target, to)
}

type translation struct {
	*Engine
	ctx context.Context //nolint:containedctx // it lives as long as the question
	q   *Translate
	out []Match
}

func (t *translation) add(m Match) error {
	same := func(o Match) bool {
		return o.Equivalence == m.Equivalence && o.Concept == m.Concept && o.Source == m.Source && len(o.Products)+len(m.Products) == 0
	}
	if slices.ContainsFunc(t.out, same) {
		return nil
	}
	if len(t.out) >= maxMatches {
		return ErrTooCostly.about(m.Source)
	}
	t.out = append(t.out, m)
	return nil
}

func (t *translation) through(m *ConceptMap, c Coding, depth int) error {
	for i := range m.Group {
		g := &m.Group[i]
		if t.q.Reverse {
			if err := t.back(m, g, c); err != nil {
				return err
			}
			continue
		}
		if g.Source != "" && g.Source != c.System || c.Version != "" && g.SourceVersion != "" && c.Version != g.SourceVersion ||
			t.q.TargetSystem != "" && g.Target != t.q.TargetSystem {
			continue
		}
		found := false
		for j := range g.Element {
			el := &g.Element[j]
			if el.Code != c.Code {
				continue
			}
			found = true
			if len(el.Target) == 0 {
				if err := t.add(Match{Equivalence: "unmatched", Source: m.URL}); err != nil {
					return err
				}
			}
			for k := range el.Target {
				x := &el.Target[k]
				if !t.depends(x.DependsOn) {
					continue
				}
				n := Match{Equivalence: equivalence(x.Equivalence), Source: m.URL}
				if x.Code != "" {
					n.Concept = Coding{System: g.Target, Version: g.TargetVersion, Code: x.Code, Display: x.Display}
				}
				for _, p := range x.Product {
					n.Products = append(n.Products, Depends{p.Property, []Coding{{System: p.System, Code: p.Value, Display: p.Display}}})
				}
				if err := t.add(n); err != nil {
					return err
				}
			}
		}
		if !found && g.Unmapped != nil {
			if err := t.unmapped(m, g, c, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// equivalence has the default of R4.
func equivalence(s string) string {
	if s == "" {
		return "equivalent"
	}
	return s
}

// unmapped follows what a map says of codes that it does not list.
func (t *translation) unmapped(m *ConceptMap, g *group, c Coding, depth int) error {
	switch g.Unmapped.Mode {
	case "provided":
		return t.add(Match{Equivalence: "equal", Concept: Coding{System: g.Target, Version: g.TargetVersion, Code: c.Code, Display: c.Display}, Source: m.URL})
	case "fixed":
		return t.add(Match{Equivalence: "inexact", Concept: Coding{System: g.Target, Version: g.TargetVersion, Code: g.Unmapped.Code, Display: g.Unmapped.Display}, Source: m.URL})
	case "other-map":
		if depth >= maxMaps {
			return ErrDeep
		}
		url, version := Cut(g.Unmapped.URL)
		maps, err := t.Source.ConceptMaps(t.ctx, url, version, "")
		if err != nil {
			return err
		}
		if len(maps) == 0 {
			return ErrNoMap.about(g.Unmapped.URL)
		}
		return t.through(maps[0], c, depth+1)
	}
	return nil
}

// back finds the codes that are mapped to this one.
func (t *translation) back(m *ConceptMap, g *group, c Coding) error {
	if g.Target != "" && g.Target != c.System || c.Version != "" && g.TargetVersion != "" && c.Version != g.TargetVersion ||
		t.q.TargetSystem != "" && g.Source != t.q.TargetSystem {
		return nil
	}
	for j := range g.Element {
		for k := range g.Element[j].Target {
			x := &g.Element[j].Target[k]
			if x.Code != c.Code || !t.depends(x.DependsOn) {
				continue
			}
			e := equivalence(x.Equivalence)
			if r, ok := reversed[e]; ok {
				e = r
			}
			n := Match{Equivalence: e, Concept: Coding{System: g.Source, Version: g.SourceVersion, Code: g.Element[j].Code, Display: g.Element[j].Display}, Source: m.URL}
			if err := t.add(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// reversed are the equivalences that are others seen from the target; the rest are the same both ways.
var reversed = map[string]string{"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}

// depends reports whether all that a target depends on was given.
func (t *translation) depends(on []dependent) bool {
	return !slices.ContainsFunc(on, func(d dependent) bool {
		return !slices.ContainsFunc(t.q.Depends, func(g Depends) bool {
			return g.Element == d.Property && slices.ContainsFunc(g.Concept, func(c Coding) bool { return c.Code == d.Value && (d.System == "" || c.System == d.System) })
		})
	})
}
