package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"salus/fhir/search"
)

// An sqlText is a piece of SQL with the values of its placeholders.
type sqlText struct {
	s    string
	args []any
}

func text(s string, args ...any) sqlText { return sqlText{s, args} }

// nothing holds for no resource.
var nothing = text("1 = 0")

// join puts pieces together, in parentheses.
func join(parts []sqlText, by string) sqlText {
	if len(parts) == 1 {
		return parts[0]
	}
	var b strings.Builder
	var args []any
	for i, p := range parts {
		if i > 0 {
			b.WriteString(by)
		}
		b.WriteString("(" + p.s + ")")
		args = append(args, p.args...)
	}
	return sqlText{b.String(), args}
}

// A builder turns clauses into SQL.
type builder struct {
	reader
	sight  *Sight
	within bool // a condition of the sight is being built: it looks without such conditions itself
	n      int  // aliases given out
}

func (b *builder) alias() string {
	b.n++
	return fmt.Sprintf("x%d", b.n)
}

// seen are the conditions on which a resource, under that alias, may be seen at all. Every part of
// a query that looks at a resource has them, also those at the other end of a chain: what may not
// be seen must not be felt.
func (b *builder) seen(alias string, types []string) (sqlText, error) {
	s := text(alias+".scope IN ("+marks(len(b.sight.Scopes))+") AND "+alias+".method <> 3", anys(b.sight.Scopes)...)
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

// params are the numbers of an index in each of the types; of all types there are if none is
// given.
func (b *builder) params(types []string, name string) []any {
	var ids []any
	for _, t := range types {
		if id, ok := b.src.number(t + "." + name); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// clause is what a resource of one of the types, under the alias, must satisfy.
func (b *builder) clause(alias string, types []string, c *search.Clause) (sqlText, error) {
	switch {
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
	inner, err := b.matching(types, c)
	if err != nil {
		return inner, err
	}
	not := ""
	if c.Modifier == search.Not {
		not = "NOT "
	}
	return text(alias+".rid "+not+"IN ("+inner.s+")", inner.args...), nil
}

// matching selects the row numbers that have one of the clause's values.
func (b *builder) matching(types []string, c *search.Clause) (sqlText, error) {
	if c.Param.Kind == search.Composite {
		return b.composites(types, c)
	}
	m := c.Modifier
	switch m {
	case search.Text, search.OfType, search.Identifier, search.InBase:
	default:
		m = search.Plain
	}
	ids := b.params(types, search.IndexName(c.Param.Code, m, 0))
	if len(ids) == 0 {
		return text("SELECT rid FROM resource WHERE " + nothing.s), nil
	}
	var ors []sqlText
	for i := range c.Values {
		v, err := b.value("", c.Param.Kind, c.Modifier, &c.Values[i])
		if err != nil {
			return nothing, err
		}
		ors = append(ors, v)
	}
	w := join(ors, " OR ")
	return text("SELECT rid FROM "+tableOf(c.Param.Kind, c.Modifier)+" WHERE p IN ("+marks(len(ids))+") AND ("+w.s+")", append(ids, w.args...)...), nil
}

func tableOf(k search.Kind, m search.Modifier) string {
	switch {
	case m == search.Text, k == search.String, k == search.URI:
		return "idx_text"
	case k == search.Token, m == search.Identifier:
		return "idx_token"
	case k == search.Reference:
		return "idx_ref"
	case k == search.Quantity:
		return "idx_quantity"
	}
	return "idx_span"
}

// value is one alternative, on the index table under the prefix ("" or "a.").
func (b *builder) value(at string, k search.Kind, m search.Modifier, v *search.Value) (sqlText, error) {
	unsupported := fmt.Errorf("store: the modifier %s must be resolved before a search", m)
	switch k {
	case search.Token:
		switch m {
		case search.Plain, search.Not:
			return token(at, v), nil
		case search.Text:
			return begins(at+"value", clip(v.Text, maxText)), nil
		case search.OfType:
			return text(at+"code = ? AND "+at+"system = ?", clip(v.Code+"|"+v.Text, maxText), clip(v.System, maxText)), nil
		}
		return nothing, unsupported
	case search.String:
		switch m {
		case search.Exact:
			return text(at+"value = ? AND "+at+"exact = ?", clip(search.Fold(v.Text), maxText), clip(v.Text, maxExact)), nil
		case search.Contains:
			return text(b.d.position+"("+at+"value, ?) > 0", clip(v.Text, maxText)), nil
		}
		return begins(at+"value", clip(v.Text, maxText)), nil
	case search.URI:
		switch m {
		case search.Below:
			return begins(at+"value", clip(v.Text, maxExact)), nil
		case search.Above:
			return text(b.d.position+"(CAST(? AS TEXT), "+at+"value) = 1", v.Text), nil
		}
		return text(at+"value = ?", clip(v.Text, maxExact)), nil
	case search.Reference:
		switch m {
		case search.Plain, search.Typed:
			return text(at+"target = ?", clip(v.Text, maxExact)), nil
		case search.Identifier:
			return token(at, v), nil
		}
		return nothing, unsupported
	case search.Number, search.Date:
		return span(at, v.Prefix, v.Range), nil
	case search.Quantity:
		s := span(at, v.Prefix, v.Range)
		switch {
		case v.HasSystem:
			s = join([]sqlText{s, text(at+"code = ? AND "+at+"system = ?", clip(v.Code, maxText), clip(v.System, maxText))}, " AND ")
		case v.Code != "":
			s = join([]sqlText{s, text(at+"code = ? OR "+at+"unit = ?", clip(v.Code, maxText), clip(v.Code, maxText))}, " AND ")
		}
		return s, nil
	}
	return nothing, fmt.Errorf("store: parameters of kind %s have no index", k)
}

func token(at string, v *search.Value) sqlText {
	switch {
	case !v.HasSystem:
		return text(at+"code = ?", clip(v.Text, maxText))
	case v.Text == "":
		return text(at+"system = ?", clip(v.System, maxText))
	}
	return text(at+"code = ? AND "+at+"system = ?", clip(v.Text, maxText), clip(v.System, maxText))
}

// begins compares by byte range, which every index can do.
func begins(column, prefix string) sqlText {
	return text(column+" >= ? AND "+column+" < ?", prefix, prefix+"\U0010FFFF")
}

// span is search.Range.Matches in SQL.
func span(at string, p search.Prefix, r search.Range) sqlText {
	low, high := at+"low", at+"high"
	within := text(low+" >= ? AND "+low+" <= ? AND "+high+" <= ?", r.Low, r.High, r.High)
	switch p {
	case search.NE:
		return text("NOT ("+within.s+")", within.args...)
	case search.GT:
		return text(high+" > ?", r.High)
	case search.LT:
		return text(low+" < ?", r.Low)
	case search.GE:
		return join([]sqlText{text(high+" > ?", r.High), within}, " OR ")
	case search.LE:
		return join([]sqlText{text(low+" < ?", r.Low), within}, " OR ")
	case search.SA:
		return text(low+" > ?", r.High)
	case search.EB:
		return text(high+" < ?", r.Low)
	case search.AP:
		return text(low+" <= ? AND "+high+" >= ?", r.High, r.Low)
	}
	return within
}

// composites selects rows in which all parts of one value match.
func (b *builder) composites(types []string, c *search.Clause) (sqlText, error) {
	var ors []sqlText
	for i := range c.Values {
		var from []string
		var where []sqlText
		first, firstTable := "", ""
		for j := range c.Values[i].Parts {
			of := c.Param.Components[j].Param.Kind
			ids := b.params(types, search.IndexName(c.Param.Code, search.Plain, j+1))
			if len(ids) == 0 {
				return text("SELECT rid FROM resource WHERE " + nothing.s), nil
			}
			a, table := b.alias(), tableOf(of, search.Plain)
			from = append(from, table+" "+a)
			v, err := b.value(a+".", of, search.Plain, &c.Values[i].Parts[j])
			if err != nil {
				return nothing, err
			}
			where = append(where, text(a+".p IN ("+marks(len(ids))+")", ids...), v)
			if first == "" {
				first, firstTable = a, table
			} else {
				where = append(where, text(a+".rid = "+first+".rid AND "+sameGroup(table, a, firstTable, first)))
			}
		}
		w := join(where, " AND ")
		ors = append(ors, text("SELECT "+first+".rid FROM "+strings.Join(from, ", ")+" WHERE "+w.s, w.args...))
	}
	var s []string
	var args []any
	for _, o := range ors {
		s, args = append(s, o.s), append(args, o.args...)
	}
	return text(strings.Join(s, " UNION "), args...), nil
}

// sameGroup compares the groups of two parts of a composite. A text keeps its group where others keep
// how they are written, for :exact does not go with parts.
func sameGroup(table, alias, otherTable, other string) string {
	if table != "idx_text" && otherTable != "idx_text" {
		return alias + ".grp = " + other + ".grp"
	}
	group := func(table, alias string) string {
		if table == "idx_text" {
			return alias + ".exact"
		}
		return "CAST(" + alias + ".grp AS TEXT)"
	}
	return group(table, alias) + " = " + group(otherTable, other)
}

func (b *builder) missing(alias string, types []string, c *search.Clause) (sqlText, error) {
	name, kind := search.IndexName(c.Param.Code, search.Plain, 0), c.Param.Kind
	if kind == search.Composite {
		name, kind = search.IndexName(c.Param.Code, search.Plain, 1), c.Param.Components[0].Param.Kind
	}
	ids := b.params(types, name)
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

// chain: what the reference leads to must be seen, and satisfy the rest.
func (b *builder) chain(alias string, types []string, c *search.Clause) (sqlText, error) {
	ids := b.params(types, search.IndexName(c.Param.Code, search.Plain, 0))
	if len(ids) == 0 {
		return nothing, nil
	}
	var ors []sqlText
	for i, t := range c.Chain.Types {
		a := b.alias()
		inner, err := b.clause(a, []string{t}, &c.Chain.Clause[i])
		if err != nil {
			return nothing, err
		}
		seen, err := b.seen(a, []string{t})
		if err != nil {
			return nothing, err
		}
		w := join([]sqlText{seen, inner}, " AND ")
		ors = append(ors, text("target IN (SELECT "+a+".type || '/' || "+a+".id FROM resource "+a+" WHERE "+w.s+")", w.args...))
	}
	w := join(ors, " OR ")
	return text(alias+".rid IN (SELECT rid FROM idx_ref WHERE p IN ("+marks(len(ids))+") AND ("+w.s+"))", append(ids, w.args...)...), nil
}

// has: something that is seen refers here, and satisfies the rest.
func (b *builder) has(alias string, h *search.Has) (sqlText, error) {
	ids := b.params([]string{h.Type}, search.IndexName(h.By.Code, search.Plain, 0))
	if len(ids) == 0 {
		return nothing, nil
	}
	a := b.alias()
	inner, err := b.clause(a, []string{h.Type}, &h.Clause)
	if err != nil {
		return nothing, err
	}
	seen, err := b.seen(a, []string{h.Type})
	if err != nil {
		return nothing, err
	}
	w := join([]sqlText{seen, inner}, " AND ")
	return text(alias+".type || '/' || "+alias+".id IN (SELECT f.target FROM idx_ref f JOIN resource "+a+" ON "+a+".rid = f.rid WHERE f.p IN ("+marks(len(ids))+") AND ("+w.s+"))",
		append(ids, w.args...)...), nil
}
