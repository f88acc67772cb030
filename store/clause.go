package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"salus/fhir/search"
)

// A builder turns clauses into SQL.
type builder struct {
	reader
	sight  *Sight
	within bool // a condition of the sight is being built: it looks without such conditions itself
	asked  bool // of each resource that something else leaves (driver): what is built of r, where its index allows that
	n      int  // aliases given out

	compartment bool // matches, under the alias r, are of one compartment
}

func (b *builder) alias() string {
	b.n++
	return fmt.Sprintf("x%d", b.n)
}

// seen are the conditions on which a resource, under that alias, may be seen at all. Every part of
// a query that looks at a resource has them, also those at the other end of a chain: what may not
// be seen must not be felt.
func (b *builder) seen(alias string, types []string) (sqlText, error) {
	scope := alias + ".scope"
	if b.sight.Owner != "" || b.compartment && alias == "r" {
		scope += " + 0" // by the index of owners, not through what everybody has in these scopes
	}
	s := text(scope+" IN ("+marks(len(b.sight.Scopes))+") AND "+alias+".method <> 3", anys(b.sight.Scopes)...)
	and := func(t sqlText) { s.s, s.args = s.s+" AND ("+t.s+")", append(s.args, t.args...) }
	if len(types) > 0 {
		and(text(alias+".type IN ("+marks(len(types))+")", anys(types)...))
	}
	if b.sight.Owner != "" {
		and(text(alias+".owner IN (?, '')", b.sight.Owner))
	}
	if b.within {
		return s, nil
	}
	b.within = true
	defer func() { b.within = false }()
	for _, typ := range slices.Sorted(maps.Keys(b.sight.Within)) {
		if len(types) > 0 && !slices.Contains(types, typ) {
			continue
		}
		ors := []sqlText{text(alias+".type <> ?", typ)}
		for _, all := range b.sight.Within[typ] {
			ands := []sqlText{text("1 = 1")}
			for i := range all {
				c, err := b.clause(alias, []string{typ}, &all[i])
				if err != nil {
					return nothing, err
				}
				ands = append(ands, c)
			}
			ors = append(ors, join(ands, " AND "))
		}
		and(join(ors, " OR "))
	}
	return s, nil
}

// params are the numbers of the indexes of a parameter, or of those that it is found by, in each of the types, in each
// scope that is seen: the rows of others are not even passed over.
func (b *builder) params(types []string, p *search.Param, m search.Modifier) (ids []any) {
	for k := range alternatives(types, p) {
		ids = append(ids, b.parts(types, p, m, 0, k)...)
	}
	return ids
}

// alternatives is how many parameters a parameter is found by, at most, in one of the types.
func alternatives(types []string, p *search.Param) (n int) {
	for _, t := range types {
		n = max(n, len(p.Entries(t)))
	}
	return n
}

// parts are the numbers of the indexes of a part of a composite, of one of its alternatives. Part 0 is a parameter that
// is none.
func (b *builder) parts(types []string, p *search.Param, m search.Modifier, part, alternative int) (ids []any) {
	for _, t := range types {
		codes := p.Entries(t)
		if alternative >= len(codes) {
			continue
		}
		if id, ok := b.src.number(t + "." + search.IndexName(codes[alternative], m, part)); ok {
			for _, s := range b.sight.Scopes {
				ids = append(ids, s.param(id))
			}
		}
	}
	return ids
}

// clause is what a resource of one of the types, under the alias, must satisfy.
func (b *builder) clause(alias string, types []string, c *search.Clause) (sqlText, error) {
	switch {
	case c.Tree != nil:
		return b.tree(alias, types, c.Tree)
	case c.Chain != nil:
		return b.chain(alias, types, c)
	case c.Has != nil:
		return b.has(alias, c.Has)
	}
	switch c.Param.Code {
	case "_id":
		return b.id(alias, c)
	case "_lastUpdated":
		return b.lastUpdated(alias, c)
	}
	if c.Modifier == search.Missing {
		return b.missing(alias, types, c)
	}
	each := b.sight.Owner != "" || b.asked && alias == "r"
	if each || b.within {
		if t, ok := b.each(alias, types, c); ok {
			return t, nil
		}
	}
	inner, err := b.matching(types, c)
	if err != nil {
		return inner, err
	}
	if each && c.Modifier == search.Plain && tableOf(c.Param.Kind, c.Modifier) == "idx_span" && c.Param.Kind != search.Composite && c.Param.Kind != search.Spot {
		return text("EXISTS ("+inner.s+" AND rid = "+alias+".rid)", inner.args...), nil
	}
	not := ""
	if c.Modifier == search.Not {
		not = "NOT "
	}
	return text(alias+".rid "+not+"IN ("+inner.s+")", inner.args...), nil
}

// tree joins what a _filter asks.
func (b *builder) tree(alias string, types []string, t *search.Tree) (sqlText, error) {
	parts := make([]sqlText, 0, len(t.Of))
	for i := range t.Of {
		c, err := b.clause(alias, types, &t.Of[i])
		if err != nil {
			return nothing, err
		}
		parts = append(parts, c)
	}
	switch {
	case t.Op == search.And && len(parts) > 0:
		return join(parts, " AND "), nil
	case t.Op == search.Or && len(parts) > 0:
		return join(parts, " OR "), nil
	case t.Op == search.Negation && len(parts) == 1:
		return text("NOT ("+parts[0].s+")", parts[0].args...), nil
	}
	return nothing, errors.New("store: clauses are joined in no known way")
}

// each asks every resource that the rest of a query leaves whether it has one of the values, by its own row
// of the index, wherever the index allows it: a list of everybody's rows would take the longer the more
// others have, and the more there is that she does not see who sees one compartment. So do conditions of a sight,
// which many satisfy. ok is false where the index does not.
func (b *builder) each(alias string, types []string, c *search.Clause) (t sqlText, ok bool) {
	column := ""
	switch c.Param.Kind {
	case search.Token:
		ok = c.Modifier == search.Plain || c.Modifier == search.Not
		column = "code"
	case search.Reference:
		ok = c.Modifier == search.Plain || c.Modifier == search.Typed
		column = "target"
	}
	ids := b.params(types, c.Param, search.Plain)
	if !ok || len(ids) == 0 || len(c.Values) == 0 || len(c.Values) > manyCodes {
		return t, false
	}
	var ors []sqlText
	for i := range c.Values {
		v := &c.Values[i]
		for _, id := range ids {
			table := "idx_ref"
			w := text("p = ? AND target = ?", id, clip(v.Text, maxExact))
			if column == "code" {
				if v.Text == "" {
					return t, false // all codes of a system
				}
				table, w = "idx_token", text("p = ? AND code = ?", id, clip(v.Text, maxText))
				if v.HasSystem {
					w.s, w.args = w.s+" AND system = ?", append(w.args, clip(v.System, maxText))
				} else {
					s := b.systems(w)
					w.s, w.args = w.s+" AND system IN ("+s.s+")", append(w.args, s.args...)
				}
			}
			ors = append(ors, text("EXISTS (SELECT 1 FROM "+table+" WHERE "+w.s+" AND rid = "+alias+".rid)", w.args...))
		}
	}
	t = join(ors, " OR ")
	if c.Modifier == search.Not {
		t.s = "NOT (" + t.s + ")"
	}
	return t, true
}

// systems are those that a code has in an index, from each to the next: they are few, its rows are not.
func (b *builder) systems(of sqlText) sqlText {
	s := b.alias()
	first := "SELECT MIN(system) FROM idx_token WHERE " + of.s
	return text("WITH RECURSIVE "+s+"(system) AS ("+first+" UNION ALL SELECT (SELECT MIN(i.system) FROM idx_token i WHERE i."+strings.Replace(of.s, "AND code", "AND i.code", 1)+
		" AND i.system > "+s+".system) FROM "+s+" WHERE "+s+".system IS NOT NULL) SELECT system FROM "+s+" WHERE system IS NOT NULL", slices.Concat(of.args, of.args)...)
}

// matching selects the row numbers that have one of the clause's values.
func (b *builder) matching(types []string, c *search.Clause) (sqlText, error) {
	switch c.Param.Kind {
	case search.Composite:
		return b.composites(types, c)
	case search.Spot:
		return b.near(types, c), nil
	}
	m := c.Modifier
	switch m {
	case search.Text, search.OfType, search.Identifier, search.InBase:
	default:
		m = search.Plain
	}
	ids := b.params(types, c.Param, m)
	if len(ids) == 0 || len(c.Values) == 0 {
		return noRows, nil
	}
	values := c.Values
	var ors []sqlText
	if c.Param.Kind == search.Token && (c.Modifier == search.Plain || c.Modifier == search.Not) && len(values) > manyCodes {
		ors, values = manyTokens(values), nil
	}
	for i := range values {
		v, err := b.value("", c.Param.Kind, c.Modifier, &values[i])
		if err != nil {
			return nothing, err
		}
		ors = append(ors, v)
	}
	w := join(ors, " OR ")
	return text("SELECT rid FROM "+tableOf(c.Param.Kind, c.Modifier)+" WHERE p IN ("+marks(len(ids))+") AND ("+w.s+")", append(ids, w.args...)...), nil
}

func (b *builder) missing(alias string, types []string, c *search.Clause) (sqlText, error) {
	part, kind := 0, c.Param.Kind
	switch kind {
	case search.Spot:
		part = 1
	case search.Composite:
		part, kind = 1, c.Param.Components[0].Param.Kind
	}
	var ids []any
	for k := range alternatives(types, c.Param) {
		ids = append(ids, b.parts(types, c.Param, search.Plain, part, k)...)
	}
	not := ""
	if c.Missing {
		not = "NOT "
	}
	if len(ids) == 0 {
		return text(not + "(" + nothing.s + ")"), nil
	}
	return text(alias+".rid "+not+"IN (SELECT rid FROM "+tableOf(kind, search.Plain)+" WHERE p IN ("+marks(len(ids))+"))", ids...), nil
}

func (b *builder) id(alias string, c *search.Clause) (sqlText, error) {
	switch c.Modifier {
	case search.Missing:
		if c.Missing {
			return nothing, nil
		}
		return text("1 = 1"), nil
	case search.Plain, search.Not:
	default:
		return nothing, fmt.Errorf("store: the modifier %s must be resolved before a search", c.Modifier)
	}
	var ids []any
	for _, v := range c.Values {
		if !v.HasSystem || v.System == "" {
			ids = append(ids, v.Text)
		}
	}
	not := ""
	if c.Modifier == search.Not {
		not = "NOT "
	}
	return text(alias+".id "+not+"IN ("+marks(len(ids))+")", ids...), nil
}

func (b *builder) lastUpdated(alias string, c *search.Clause) (sqlText, error) {
	if c.Modifier == search.Missing {
		return b.id(alias, c)
	}
	var ors []sqlText
	for _, v := range c.Values {
		s := span("", v.Prefix, v.Range)
		at := alias + ".updated"
		s.s = strings.NewReplacer("low", at, "high", at).Replace(s.s)
		for i, ms := range s.args {
			s.args[i] = milliseconds(ms.(float64)) //nolint:forcetypeassert // span's are
		}
		ors = append(ors, s)
	}
	return join(ors, " OR "), nil
}

// milliseconds is a bound of a range as the column "updated" has it.
func milliseconds(f float64) int64 {
	return int64(max(-1<<60, min(f, 1<<60)))
}
