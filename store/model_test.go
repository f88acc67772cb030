package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/fhir/search"
)

// The model: resources in a slice, each clause looked up entry by entry.

type modelResource struct {
	Key
	entries []search.Entry
}

type model []modelResource

func (m model) seen(scopes []Scope, typ string) (out model) {
	for _, r := range m {
		if slices.Contains(scopes, r.Scope) && (typ == "" || r.Type == typ) {
			out = append(out, r)
		}
	}
	return out
}

func (m model) search(scopes []Scope, q *search.Query) (out model) {
	for _, r := range m.seen(scopes, q.Types[0]) {
		if slices.ContainsFunc(q.Where, func(c search.Clause) bool { return !m.satisfies(scopes, &r, &c) }) {
			continue
		}
		out = append(out, r)
	}
	return out
}

func (m model) satisfies(scopes []Scope, r *modelResource, c *search.Clause) bool {
	switch {
	case c.Tree != nil:
		is := func(c search.Clause) bool { return m.satisfies(scopes, r, &c) }
		isNot := func(c search.Clause) bool { return !is(c) }
		switch c.Tree.Op {
		case search.Or:
			return slices.ContainsFunc(c.Tree.Of, is)
		case search.Negation:
			return isNot(c.Tree.Of[0])
		}
		return !slices.ContainsFunc(c.Tree.Of, isNot)
	case c.Chain != nil:
		for i, t := range c.Chain.Types {
			for _, o := range m.seen(scopes, t) {
				if r.refers(c.Param, o.Key) && m.satisfies(scopes, &o, &c.Chain.Clause[i]) {
					return true
				}
			}
		}
		return false
	case c.Has != nil:
		for _, o := range m.seen(scopes, c.Has.Type) {
			if o.refers(c.Has.By, r.Key) && m.satisfies(scopes, &o, &c.Has.Clause) {
				return true
			}
		}
		return false
	case c.Modifier == search.Missing:
		return c.Missing != slices.ContainsFunc(r.entries, func(e search.Entry) bool { return r.finds(c.Param, &e) })
	}
	found := false
	for i := range c.Values {
		v := &c.Values[i]
		if c.Param.Kind == search.Spot {
			var p search.Place
			some := false
			for j := range r.entries {
				switch e := &r.entries[j]; {
				case e.Code == c.Param.Code && e.Part == 1:
					p.X, p.Y, some = e.Value.Range.Low, e.Value.Range.High, true
				case e.Code == c.Param.Code && e.Part == 2:
					p.Z = e.Value.Range.Low
				}
			}
			found = found || some && v.Circle.Contains(p)
			continue
		}
		if c.Param.Kind == search.Composite {
			for _, code := range c.Param.Entries(r.Type) {
				for group := 1; group < 4; group++ {
					all := true
					for part := range v.Parts {
						all = all && slices.ContainsFunc(r.entries, func(e search.Entry) bool {
							return e.Code == code && e.Group == group && e.Part == part+1 && matches(&e, search.Plain, &v.Parts[part])
						})
					}
					found = found || all
				}
			}
			continue
		}
		found = found || slices.ContainsFunc(r.entries, func(e search.Entry) bool {
			return r.finds(c.Param, &e) && e.Part == 0 && matches(&e, c.Modifier, v)
		})
	}
	return found != (c.Modifier == search.Not)
}

// finds reports whether a parameter looks at an entry of this resource.
func (r *modelResource) finds(p *search.Param, e *search.Entry) bool {
	return slices.Contains(p.Entries(r.Type), e.Code)
}

func (r *modelResource) refers(p *search.Param, to Key) bool {
	return slices.ContainsFunc(r.entries, func(e search.Entry) bool { return r.finds(p, &e) && e.Value.Text == to.Type+"/"+to.ID })
}

func matches(e *search.Entry, m search.Modifier, v *search.Value) bool {
	switch m {
	case search.Differs:
		if e.Kind == search.Token {
			return !matches(e, search.Plain, v)
		}
		return e.Value.Text != v.Text
	case search.Equals:
		return e.Value.Text == v.Text
	case search.Ends:
		return strings.HasSuffix(e.Value.Text, v.Text)
	case search.Contains:
		return strings.Contains(e.Value.Text, v.Text)
	}
	switch e.Kind {
	case search.String:
		if m == search.Exact {
			return e.Exact == v.Text
		}
		return strings.HasPrefix(e.Value.Text, v.Text)
	case search.Token:
		return (!v.HasSystem || v.System == e.Value.System) && (v.Text == "" || v.Text == e.Value.Text)
	case search.URI:
		switch m {
		case search.Below:
			return strings.HasPrefix(e.Value.Text, v.Text)
		case search.Above:
			return strings.HasPrefix(v.Text, e.Value.Text)
		}
		return e.Value.Text == v.Text
	case search.Reference:
		return e.Value.Text == v.Text
	case search.Quantity:
		unit := v.Code == "" || v.HasSystem && v.System == e.Value.System && v.Code == e.Value.Code ||
			!v.HasSystem && (v.Code == e.Value.Code || v.Code == e.Exact)
		return unit && e.Value.Range.Matches(v.Prefix, v.Range)
	}
	return e.Value.Range.Matches(v.Prefix, v.Range)
}

// Random resources and queries over few values, so that most queries find some.

var modelParams = map[string]*search.Param{
	"name": {Code: "name", Kind: search.String}, "code": {Code: "code", Kind: search.Token}, "date": {Code: "date", Kind: search.Date},
	"url": {Code: "url", Kind: search.URI}, "value": {Code: "value", Kind: search.Quantity}, "number": {Code: "number", Kind: search.Number},
	"place": {Code: "place", Kind: search.Spot},
	"ref":   {Code: "ref", Kind: search.Reference, Targets: []string{"A", "B"}},

	"title": {Code: "title", Kind: search.String}, "label": {Code: "label", Kind: search.Token}, "amount": {Code: "amount", Kind: search.Quantity},
	"about": {Code: "about", Kind: search.Reference, Targets: []string{"A", "B"}},

	// They find what others do; any-code and any-ref have entries of their own in B.
	"any-name":   {Code: "any-name", Kind: search.String, Of: map[string][]string{"A": {"name", "title"}, "B": {"title"}}},
	"any-code":   {Code: "any-code", Kind: search.Token, Of: map[string][]string{"A": {"code", "label"}}},
	"any-amount": {Code: "any-amount", Kind: search.Quantity, Of: map[string][]string{"A": {"amount", "value"}, "B": {"amount", "value"}}},
	"any-ref":    {Code: "any-ref", Kind: search.Reference, Targets: []string{"A", "B"}, Of: map[string][]string{"A": {"about", "ref"}}},
}

// modelCodes are those that resources have entries of.
var modelCodes = []string{"name", "code", "date", "url", "value", "number", "ref", "title", "label", "amount", "about", "any-code", "any-ref"}

var modelComposites = []*search.Param{
	{Code: "code-value", Kind: search.Composite, Components: []search.Component{{Param: modelParams["code"]}, {Param: modelParams["value"]}}},
	{Code: "code-name", Kind: search.Composite, Components: []search.Component{{Param: modelParams["code"]}, {Param: modelParams["name"]}}},
	{Code: "label-value", Kind: search.Composite, Components: []search.Component{{Param: modelParams["code"]}, {Param: modelParams["value"]}}},
	{
		Code: "any-code-value", Kind: search.Composite, Components: []search.Component{{Param: modelParams["code"]}, {Param: modelParams["value"]}},
		Of: map[string][]string{"A": {"code-value", "label-value"}, "B": {"label-value"}},
	},
	{Code: "name-url-number", Kind: search.Composite, Components: []search.Component{{Param: modelParams["name"]}, {Param: modelParams["url"]}, {Param: modelParams["number"]}}},
}

var (
	words   = rapid.SampledFrom([]string{"", "a", "ab", "abc", "b", "äb", "ab c", "%", "_", "'", `a\`})
	systems = rapid.SampledFrom([]string{"", "s", "t"})
	types   = rapid.SampledFrom([]string{"A", "B"})
	ids     = rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6"})
	ranges  = rapid.Custom(func(t *rapid.T) search.Range {
		low := float64(rapid.IntRange(-3, 3).Draw(t, "low"))
		r := search.Range{Low: low, High: low + float64(rapid.IntRange(0, 2).Draw(t, "width"))}
		switch rapid.IntRange(0, 9).Draw(t, "open") {
		case 0:
			r.Low = search.Forever.Low
		case 1:
			r.High = search.Forever.High
		}
		return r
	})
)

func drawEntry(t *rapid.T, kind search.Kind, code string) search.Entry {
	e := search.Entry{Code: code, Kind: kind}
	switch kind {
	case search.String:
		e.Exact = words.Draw(t, "exact")
		e.Value.Text = search.Fold(e.Exact)
	case search.Token:
		e.Value.Text, e.Value.System = words.Draw(t, "code"), systems.Draw(t, "system")
	case search.URI:
		e.Value.Text = words.Draw(t, "uri")
	case search.Reference:
		e.Value.Text = types.Draw(t, "to") + "/" + ids.Draw(t, "to")
	case search.Quantity:
		e.Value.Code, e.Value.System, e.Exact = words.Draw(t, "code"), systems.Draw(t, "system"), words.Draw(t, "unit")
		e.Value.Range = ranges.Draw(t, "range")
	default:
		e.Value.Range = ranges.Draw(t, "range")
	}
	return e
}

// drawPoint is one of few places: at the poles, at the date line, close to each other.
func drawPoint(t *rapid.T) search.Place {
	p, _ := search.Position(rapid.SampledFrom([]float64{-90, -10, 0, 0.01, 48.123, 90}).Draw(t, "latitude"), rapid.SampledFrom([]float64{-180, -179.99, 0, 0.01, 11.5, 179.99, 180}).Draw(t, "longitude"))
	return p
}

func drawEntries(t *rapid.T) (out []search.Entry) {
	for _, code := range modelCodes {
		for range rapid.IntRange(0, 2).Draw(t, code) {
			out = append(out, drawEntry(t, modelParams[code].Kind, code))
		}
	}
	if rapid.Bool().Draw(t, "is somewhere") {
		p := drawPoint(t)
		two := search.Positioned("place", p)
		out = append(out, two[:]...)
	}
	for _, composite := range modelComposites {
		for g := range rapid.IntRange(0, 2).Draw(t, "groups") {
			for part, c := range composite.Components {
				e := drawEntry(t, c.Param.Kind, composite.Code)
				e.Group, e.Part = g+1, part+1
				out = append(out, e)
			}
		}
	}
	return out
}

func drawValue(t *rapid.T, kind search.Kind, m search.Modifier) (v search.Value) {
	prefix := search.Prefix(rapid.IntRange(0, 8).Draw(t, "prefix"))
	switch kind {
	case search.String:
		if v.Text = words.Draw(t, "text"); m != search.Exact {
			v.Text = search.Fold(v.Text)
		}
	case search.Spot:
		// Never the distance of two of the places: what is just there, rounding decides.
		chord := rapid.SampledFrom([]float64{1e-12, 1e-4, 1e-3, 0.35, 1.7, 5}).Draw(t, "chord")
		v.Circle = &search.Circle{Place: drawPoint(t), Chord2: chord * chord}
	case search.Token:
		v.Text = words.Draw(t, "code")
		if v.HasSystem = rapid.Bool().Draw(t, "has system") || v.Text == ""; v.HasSystem {
			v.System = systems.Draw(t, "system")
		}
	case search.URI:
		v.Text = words.Draw(t, "uri")
	case search.Reference:
		v.Text = types.Draw(t, "to") + "/" + ids.Draw(t, "to")
	case search.Quantity:
		v.Prefix, v.Range = prefix, ranges.Draw(t, "range")
		if v.Code = words.Draw(t, "code"); v.Code != "" {
			v.System = systems.Draw(t, "system")
			v.HasSystem = v.System != ""
		}
	default:
		v.Prefix, v.Range = prefix, ranges.Draw(t, "range")
	}
	return v
}

func drawRef(t *rapid.T) *search.Param {
	return modelParams[rapid.SampledFrom([]string{"ref", "any-ref"}).Draw(t, "reference")]
}

func drawClause(t *rapid.T, links int) search.Clause {
	how := rapid.IntRange(0, 9).Draw(t, "how")
	switch {
	case how == 0 && links > 0:
		c := search.Clause{Param: drawRef(t), Chain: &search.Chain{}}
		for _, typ := range []string{"A", "B"} {
			if rapid.Bool().Draw(t, "leads to "+typ) {
				c.Chain.Types, c.Chain.Clause = append(c.Chain.Types, typ), append(c.Chain.Clause, drawClause(t, links-1))
			}
		}
		if len(c.Chain.Types) > 0 {
			return c
		}
	case how == 1 && links > 0:
		return search.Clause{Has: &search.Has{Type: types.Draw(t, "has"), By: drawRef(t), Clause: drawClause(t, links-1)}}
	case how == 3 && links > 0:
		t0 := &search.Tree{Op: search.Op(rapid.IntRange(1, 3).Draw(t, "op"))}
		for range rapid.IntRange(1, 3).Draw(t, "joined") {
			t0.Of = append(t0.Of, drawClause(t, links-1))
		}
		if t0.Op == search.Negation {
			t0.Of = t0.Of[:1]
		}
		return search.Clause{Tree: t0}
	case how == 2:
		c := search.Clause{Param: rapid.SampledFrom(modelComposites).Draw(t, "composite")}
		for range rapid.IntRange(1, 2).Draw(t, "values") {
			var v search.Value
			for _, part := range c.Param.Components {
				v.Parts = append(v.Parts, drawValue(t, part.Param.Kind, 0))
			}
			c.Values = append(c.Values, v)
		}
		return c
	}
	p := modelParams[rapid.SampledFrom(slices.Sorted(maps.Keys(modelParams))).Draw(t, "param")]
	c := search.Clause{Param: p}
	if rapid.IntRange(0, 5).Draw(t, "missing") == 0 {
		c.Modifier, c.Missing = search.Missing, rapid.Bool().Draw(t, "is missing")
		return c
	}
	switch p.Kind {
	case search.String:
		c.Modifier = rapid.SampledFrom([]search.Modifier{search.Plain, search.Exact, search.Contains, search.Equals, search.Ends, search.Differs}).Draw(t, "modifier")
	case search.Token:
		c.Modifier = rapid.SampledFrom([]search.Modifier{search.Plain, search.Not, search.Differs}).Draw(t, "modifier")
	case search.URI:
		c.Modifier = rapid.SampledFrom([]search.Modifier{search.Plain, search.Below, search.Above, search.Contains, search.Ends, search.Differs}).Draw(t, "modifier")
	case search.Reference:
		c.Modifier = rapid.SampledFrom([]search.Modifier{search.Plain, search.Plain, search.Differs}).Draw(t, "modifier")
	}
	n := rapid.IntRange(1, 3)
	if p.Kind == search.Token {
		n = rapid.OneOf(n, rapid.SampledFrom([]int{0, manyCodes + 1})) // as value sets make them
	}
	for range n.Draw(t, "values") {
		c.Values = append(c.Values, drawValue(t, p.Kind, c.Modifier))
	}
	return c
}

func drawQuery(t *rapid.T) *search.Query {
	q := &search.Query{Types: []string{types.Draw(t, "type")}, Count: rapid.IntRange(1, 4).Draw(t, "count"), Total: search.TotalAccurate}
	for range rapid.IntRange(0, 3).Draw(t, "clauses") {
		q.Where = append(q.Where, drawClause(t, 2))
	}
	for range rapid.IntRange(0, 2).Draw(t, "keys") {
		code := rapid.SampledFrom([]string{"name", "code", "date", "value", "any-name", "any-code", "any-amount", "_id"}).Draw(t, "key")
		p := modelParams[code]
		if p == nil {
			p = &search.Param{Code: code, Kind: search.Token}
		}
		q.Sort = append(q.Sort, search.Order{Param: p, Descending: rapid.Bool().Draw(t, "descending")})
	}
	return q
}

// pages reads all pages of a query.
func pages(t *rapid.T, s *Store, q search.Query, scopes []Scope) (all []Version) {
	// All is in no compartment: who sees one sees the same, by other ways.
	owner := rapid.SampledFrom([]string{"", "mine"}).Draw(t, "owner")
	for range 50 {
		p, err := s.Search(context.Background(), Search{Query: &q, Sight: Sight{Scopes: scopes, Owner: owner}, Count: 3})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Matches...)
		if len(p.Matches) > q.Count || p.Next != "" && len(p.Matches) != q.Count {
			t.Fatalf("a page of %d, want %d", len(p.Matches), q.Count)
		}
		if p.Next == "" {
			if int(p.Total) != len(all) {
				t.Fatalf("total %d, want %d", p.Total, len(all))
			}
			return all
		}
		q.Cursor = p.Next
	}
	t.Fatal("the pages do not end")
	return nil
}

func names(vs []Version) (out []string) {
	for _, v := range vs {
		out = append(out, fmt.Sprintf("%d/%s/%s", v.Scope, v.Type, v.ID))
	}
	return out
}

// fill writes random resources, some of them several times, and deletes some.
func fill(t *rapid.T, s *Store, scopes []Scope, n int) (m model) {
	err := s.Write(context.Background(), func(tx *Tx) error {
		for range n {
			k := Key{Scope: rapid.SampledFrom(scopes).Draw(t, "scope"), Type: types.Draw(t, "type"), ID: ids.Draw(t, "id")}
			i := slices.IndexFunc(m, func(r modelResource) bool { return r.Key == k })
			if i >= 0 && rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				if _, err := tx.Delete(Put{Key: k, Expect: Any}); err != nil {
					return err
				}
				m = slices.Delete(m, i, i+1)
				continue
			}
			r := modelResource{Key: k, entries: drawEntries(t)}
			if _, err := tx.Put(Put{Key: k, Body: []byte("{}"), Entries: r.entries, Expect: Any}); err != nil {
				return err
			}
			if i >= 0 {
				m[i] = r
			} else {
				m = append(m, r)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSearchAnswersAsTheModelDoes compares matches, totals, pages and order with the model.
func TestSearchAnswersAsTheModelDoes(t *testing.T) {
	n := 0
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		rapid.Check(t, func(t *rapid.T) {
			if err := s.EndScopes(context.Background()); err != nil {
				t.Fatal(err)
			}
			one, two := s.NewScope(), s.NewScope()
			m := fill(t, s, []Scope{one, two}, rapid.IntRange(0, 14).Draw(t, "writes"))
			for range 6 {
				q := drawQuery(t)
				scopes := rapid.SampledFrom([][]Scope{{one}, {one, two}, {two}, {}}).Draw(t, "scopes")
				got := pages(t, s, *q, scopes)
				var want []string
				for _, r := range m.search(scopes, q) {
					want = append(want, fmt.Sprintf("%d/%s/%s", r.Scope, r.Type, r.ID))
				}
				n += len(want)
				gotNames := names(got)
				sorted := slices.Sorted(slices.Values(gotNames))
				slices.Sort(want)
				if d := gocmp.Diff(want, sorted); d != "" {
					t.Fatalf("matches (-want +got):\n%s", d)
				}
				if !slices.IsSortedFunc(got, func(a, b Version) int { return m.order(q, a.Key, b.Key) }) {
					t.Fatalf("not in the order of the query")
				}
			}
		})
	})
	if n == 0 {
		t.Error("no query found anything")
	}
}

// order compares two resources by the sort keys of a query, missing ones last.
func (m model) order(q *search.Query, a, b Key) int {
	for _, o := range q.Sort {
		x, hasX := m.key(a, o)
		y, hasY := m.key(b, o)
		c := 0
		switch {
		case hasX && hasY:
			if c = cmp.Or(strings.Compare(x.Text, y.Text), cmp.Compare(x.Range.Low, y.Range.Low)); o.Descending {
				c = -c
			}
		case hasX:
			c = -1
		case hasY:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func (m model) key(k Key, o search.Order) (best search.Value, ok bool) {
	if o.Param.Code == "_id" {
		return search.Value{Text: k.ID}, true
	}
	i := slices.IndexFunc(m, func(r modelResource) bool { return r.Key == k })
	for _, e := range m[i].entries {
		if !m[i].finds(o.Param, &e) || e.Part > 0 || o.Param.Kind == search.Token && e.Value.Text == "" || o.Param.Kind == search.String && e.Value.Text == "" {
			continue
		}
		v := search.Value{Text: e.Value.Text}
		if e.Kind == search.Date || e.Kind == search.Quantity {
			v = search.Value{Range: e.Value.Range}
			v.Range.Low = max(-8e307, v.Range.Low)
		}
		c := cmp.Or(strings.Compare(v.Text, best.Text), cmp.Compare(v.Range.Low, best.Range.Low))
		if !ok || (c < 0) != o.Descending && c != 0 {
			best, ok = v, true
		}
	}
	return best, ok
}

// TestWhatIsHiddenIsNotFelt compares two worlds that differ only in what the reader does not see:
// every answer is the same.
func TestWhatIsHiddenIsNotFelt(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		var worlds [2]*Store
		for i := range worlds {
			s, err := OpenSQLite(context.Background(), filepath.Join(dir, fmt.Sprintf("%d-%d.db", n, i)), [32]byte{}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			worlds[i] = s
		}
		visible, hidden := worlds[0].NewScope(), Scope(2)
		sight := Sight{Scopes: []Scope{visible}, Owner: "mine", Within: map[string][][]search.Clause{"A": {
			{{Param: &search.Param{Code: "secret", Kind: search.Token}, Modifier: search.Not, Values: []search.Value{{Text: "yes"}}}},
			{{Param: &search.Param{Code: "none", Kind: search.Token}, Values: []search.Value{{Text: "x"}}}},
		}}}
		worlds[0].NewScope()
		worlds[1].NewScope()
		worlds[1].NewScope()
		for range rapid.IntRange(0, 10).Draw(t, "writes") {
			p := Put{
				Key:  Key{Scope: rapid.SampledFrom([]Scope{visible, visible, hidden}).Draw(t, "scope"), Type: types.Draw(t, "type"), ID: ids.Draw(t, "id")},
				Body: []byte("{}"), Entries: drawEntries(t), Expect: Any, Owner: "mine",
			}
			// A resource is hidden by its scope, its owner or the reader's conditions for its type. Its id
			// tells which, so that no write changes it from one to the other.
			shown := p.Scope == visible
			switch p.ID {
			case "1":
				p.Owner, shown = "another's", false
			case "2":
				p.Owner = ""
			case "3":
				p.Entries, shown = append(p.Entries, search.Entry{Code: "secret", Kind: search.Token, Value: search.Value{Text: "yes"}}), shown && p.Type != "A"
			}
			for i, s := range worlds {
				if !shown && i == 1 {
					continue
				}
				if _, err := tryPut(s, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 8 {
			q := drawQuery(t)
			for range rapid.IntRange(0, 2).Draw(t, "includes") {
				x := search.Include{Source: types.Draw(t, "source"), Param: drawRef(t), Iterate: rapid.Bool().Draw(t, "iterate")}
				if rapid.Bool().Draw(t, "reverse") {
					q.RevInclude = append(q.RevInclude, x)
				} else {
					q.Include = append(q.Include, x)
				}
			}
			var answers [2]string
			for i, s := range worlds {
				p, err := s.Search(context.Background(), Search{Query: q, Sight: sight, Count: 3})
				if err != nil {
					t.Fatal(err)
				}
				answers[i] = fmt.Sprint(names(p.Matches), names(p.Included), p.Total, p.Next != "")
			}
			if answers[0] != answers[1] {
				t.Fatalf("with hidden resources:\n%s\nwithout:\n%s", answers[0], answers[1])
			}
		}
	})
}

// TestIncludesBringWhatTheyName has a chain of references, a circle and a stranger.
func TestIncludesBringWhatTheyName(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		ref := func(to ...string) (out []search.Entry) {
			for _, r := range to {
				out = append(out, search.Entry{Code: "ref", Kind: search.Reference, Value: search.Value{Text: r}})
			}
			return out
		}
		for id, to := range map[string][]string{"A/1": {"B/1", "B/9"}, "A/2": {"B/1"}, "B/1": {"B/2"}, "B/2": {"A/1"}, "B/3": nil} {
			typ, name, _ := strings.Cut(id, "/")
			put(t, s, Put{Key: Key{Type: typ, ID: name}, Body: []byte("{}"), Entries: ref(to...)})
		}
		id1 := search.Clause{Param: &search.Param{Code: "_id", Kind: search.Token}, Values: []search.Value{{Text: "1"}}}
		for _, tt := range []struct {
			name             string
			forward, reverse []search.Include
			want             string
		}{
			{"one step", []search.Include{{Source: "A", Param: modelParams["ref"]}}, nil, "0/B/1"},
			{"every reference", []search.Include{{Source: "*"}}, nil, "0/B/1"},
			{"to a type that is not there", []search.Include{{Source: "A", Param: modelParams["ref"], Target: "A"}}, nil, ""},
			{"again and again", []search.Include{{Source: "*", Iterate: true}}, nil, "0/B/1 0/B/2"},
			{"what refers here", nil, []search.Include{{Source: "B", Param: modelParams["ref"]}}, "0/B/2"},
			{"what refers to what refers here", nil, []search.Include{{Source: "B", Param: modelParams["ref"], Iterate: true}}, "0/B/1 0/B/2"},
		} {
			p, err := s.Search(t.Context(), Search{Sight: Sight{Scopes: []Scope{Own}}, Count: 10, Query: &search.Query{
				Types: []string{"A"}, Count: -1, Where: []search.Clause{id1}, Include: tt.forward, RevInclude: tt.reverse,
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := names(p.Included)
			slices.Sort(got)
			if len(p.Matches) != 1 || strings.Join(got, " ") != tt.want {
				t.Errorf("%s: got %d matches and %v, want %s", tt.name, len(p.Matches), got, tt.want)
			}
		}
	})
}

func TestACursorGoesWithItsSearchOnly(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		for i := range 3 {
			put(t, s, Put{Key: Key{Type: "A", ID: fmt.Sprint(i)}, Body: []byte("{}")})
		}
		q := search.Query{Types: []string{"A"}, Count: 1}
		first, err := s.Search(t.Context(), Search{Query: &q, Sight: Sight{Scopes: []Scope{Own}}})
		if err != nil || first.Next == "" {
			t.Fatalf("got %v, want a next page", err)
		}
		for name, bad := range map[string]Search{
			"another type":     {Query: &search.Query{Types: []string{"B"}, Count: 1, Cursor: first.Next}, Sight: Sight{Scopes: []Scope{Own}}},
			"another scope":    {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: first.Next}, Sight: Sight{Scopes: []Scope{Own, 5}}},
			"another owner":    {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: first.Next}, Sight: Sight{Scopes: []Scope{Own}, Owner: "Patient/1"}},
			"a changed cursor": {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: "A" + first.Next}, Sight: Sight{Scopes: []Scope{Own}}},
			"no cursor":        {Query: &search.Query{Types: []string{"A"}, Count: 1, Cursor: "!"}, Sight: Sight{Scopes: []Scope{Own}}},
		} {
			if _, err := s.Search(t.Context(), bad); err != ErrCursor {
				t.Errorf("%s: got %v, want ErrCursor", name, err)
			}
		}
		// What is written between two pages comes after what was there.
		put(t, s, Put{Key: Key{Type: "A", ID: "00"}, Body: []byte("{}")})
		q.Cursor = first.Next
		second, err := s.Search(t.Context(), Search{Query: &q, Sight: Sight{Scopes: []Scope{Own}}})
		if err != nil || len(second.Matches) != 1 || second.Matches[0].ID != "1" {
			t.Errorf("got %v, %v; want 1", names(second.Matches), err)
		}
	})
}
