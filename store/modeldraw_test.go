package store

import (
	"context"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"salus/fhir/search"
)

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
