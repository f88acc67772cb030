package store

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

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
	few    bool // another clause leaves few matches: spans are looked up one by one
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

// params are the numbers of an index in each of the types, in each scope that is seen: the rows of others
// are not even passed over.
func (b *builder) params(types []string, name string) []any {
	var ids []any
	for _, t := range types {
		if id, ok := b.src.number(t + "." + name); ok {
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
	if b.sight.Owner != "" || b.within {
		if t, ok := b.each(alias, types, c); ok {
			return t, nil
		}
	}
	inner, err := b.matching(types, c)
	if err != nil {
		return inner, err
	}
	if b.few && (alias == "r" || b.sight.Owner != "") && c.Modifier == search.Plain && tableOf(c.Param.Kind, c.Modifier) == "idx_span" && c.Param.Kind != search.Composite && c.Param.Kind != search.Spot {
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
// of the index. Who sees one compartment asks so wherever the index allows it: a list of everybody's rows
// would take the longer the more there is that she does not see. So do conditions of a sight, which many
// satisfy. ok is false where it does not.
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
	ids := b.params(types, search.IndexName(c.Param.Code, search.Plain, 0))
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

// leavesFew tells clauses that one patient's resources satisfy, or fewer. A range of dates beside one
// is then asked of each of them: everybody's resources of a year are many more.
func leavesFew(c *search.Clause) bool {
	if c.Chain != nil || c.Has != nil || c.Tree != nil {
		return false
	}
	switch c.Modifier {
	case search.Plain, search.Typed, search.Identifier:
		return c.Param.Kind == search.Reference || c.Param.Code == "_id" || c.Param.Code == "identifier"
	}
	return false
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
	ids := b.params(types, search.IndexName(c.Param.Code, m, 0))
	if len(ids) == 0 || len(c.Values) == 0 {
		return text("SELECT rid FROM resource WHERE " + nothing.s), nil
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
		case search.Differs:
			t := token(at, v)
			return text("NOT ("+t.s+")", t.args...), nil
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
		case search.Equals:
			return text(at+"value = ?", clip(v.Text, maxText)), nil
		case search.Differs:
			return text(at+"value <> ?", clip(v.Text, maxText)), nil
		case search.Ends:
			return ends(at+"value", clip(v.Text, maxText)), nil
		}
		return begins(at+"value", clip(v.Text, maxText)), nil
	case search.URI:
		switch m {
		case search.Below:
			return begins(at+"value", clip(v.Text, maxExact)), nil
		case search.Above:
			return text(b.d.position+"(CAST(? AS TEXT), "+at+"value) = 1", v.Text), nil
		case search.Contains:
			return text(b.d.position+"("+at+"value, ?) > 0", clip(v.Text, maxExact)), nil
		case search.Differs:
			return text(at+"value <> ?", clip(v.Text, maxExact)), nil
		case search.Ends:
			return ends(at+"value", clip(v.Text, maxExact)), nil
		}
		return text(at+"value = ?", clip(v.Text, maxExact)), nil
	case search.Reference:
		switch m {
		case search.Plain, search.Typed:
			return text(at+"target = ?", clip(v.Text, maxExact)), nil
		case search.Differs:
			return text(at+"target <> ?", clip(v.Text, maxExact)), nil
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

// manyCodes is from where on alternatives are joined by system: databases bound how deep a condition
// is nested, and search a list faster than a chain of comparisons.
const manyCodes = 16

// manyTokens are the conditions of many alternatives of a token, one for each system.
func manyTokens(vs []search.Value) (ors []sqlText) {
	by := map[string][]any{} // codes of a system; under "?", of any
	var systems []any
	for i := range vs {
		v := &vs[i]
		switch {
		case v.HasSystem && v.Text == "":
			systems = append(systems, clip(v.System, maxText))
		case v.HasSystem:
			by["="+v.System] = append(by["="+v.System], clip(v.Text, maxText))
		default:
			by["?"] = append(by["?"], clip(v.Text, maxText))
		}
	}
	if len(systems) > 0 {
		ors = append(ors, text("system IN ("+marks(len(systems))+")", systems...))
	}
	for _, k := range slices.Sorted(maps.Keys(by)) {
		codes := text("code IN ("+marks(len(by[k]))+")", by[k]...)
		if k != "?" {
			codes.s, codes.args = codes.s+" AND system = ?", append(codes.args, clip(k[1:], maxText))
		}
		ors = append(ors, codes)
	}
	return ors
}

// begins compares by byte range, which every index can do.
func begins(column, prefix string) sqlText {
	return text(column+" >= ? AND "+column+" < ?", prefix, prefix+"\U0010FFFF")
}

// ends compares the last characters.
func ends(column, suffix string) sqlText {
	n := int64(utf8.RuneCountInString(suffix))
	return text("length("+column+") >= ? AND substr("+column+", CAST(length("+column+") - ? + 1 AS INTEGER)) = ?", n, n, suffix)
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

// near selects what has a position in one of the circles. The index narrows it to what is about as far
// away in one direction; the rest is what search.Circle.Contains computes, in its order, so that every
// database finds the same.
func (b *builder) near(types []string, c *search.Clause) sqlText {
	one := b.params(types, search.IndexName(c.Param.Code, search.Plain, 1))
	two := b.params(types, search.IndexName(c.Param.Code, search.Plain, 2))
	if len(one) == 0 || len(two) == 0 || len(c.Values) == 0 {
		return text("SELECT rid FROM resource WHERE " + nothing.s)
	}
	x, z := b.alias(), b.alias()
	difference := func(column string, of float64) sqlText {
		return text("("+column+" - ?) * ("+column+" - ?)", of, of)
	}
	var ors []sqlText
	for i := range c.Values {
		at := c.Values[i].Circle
		r := math.Sqrt(at.Chord2) * (1 + 1e-9)
		dx, dy, dz := difference(x+".low", at.X), difference(x+".high", at.Y), difference(z+".low", at.Z)
		ors = append(ors, text(x+".low BETWEEN ? AND ? AND "+x+".high BETWEEN ? AND ? AND "+dx.s+" + "+dy.s+" + "+dz.s+" <= ?",
			slices.Concat([]any{at.X - r, at.X + r, at.Y - r, at.Y + r}, dx.args, dy.args, dz.args, []any{at.Chord2})...))
	}
	w := join(ors, " OR ")
	return text("SELECT "+x+".rid FROM idx_span "+x+" JOIN idx_span "+z+" ON "+z+".rid = "+x+".rid AND "+z+".grp = "+x+".grp AND "+z+".p IN ("+marks(len(two))+
		") WHERE "+x+".p IN ("+marks(len(one))+") AND ("+w.s+")", slices.Concat(two, one, w.args)...)
}

func (b *builder) missing(alias string, types []string, c *search.Clause) (sqlText, error) {
	name, kind := search.IndexName(c.Param.Code, search.Plain, 0), c.Param.Kind
	switch kind {
	case search.Spot:
		name = search.IndexName(c.Param.Code, search.Plain, 1)
	case search.Composite:
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
