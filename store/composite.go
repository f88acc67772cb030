package store

import (
	"math"
	"slices"
	"strings"

	"salus/fhir/search"
)

// composites selects rows in which all parts of one value match.
func (b *builder) composites(types []string, c *search.Clause) (sqlText, error) {
	var selects []string
	var args []any
	for i := range c.Values {
		for k := range alternatives(types, c.Param) {
			s, err := b.composite(types, c.Param, c.Values[i].Parts, k)
			if err != nil {
				return nothing, err
			}
			selects, args = append(selects, s.s), append(args, s.args...)
		}
	}
	return text(strings.Join(selects, " UNION "), args...), nil
}

// composite selects rows in which all parts of a value match, in one group of one of the parameter's alternatives.
func (b *builder) composite(types []string, p *search.Param, parts []search.Value, alternative int) (sqlText, error) {
	var from []string
	var where []sqlText
	first, firstTable := "", ""
	for j := range parts {
		of := p.Components[j].Param.Kind
		ids := b.parts(types, p, search.Plain, j+1, alternative)
		if len(ids) == 0 {
			return noRows, nil
		}
		a, table := b.alias(), tableOf(of, search.Plain)
		from = append(from, table+" "+a)
		v, err := b.value(a+".", of, search.Plain, &parts[j])
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
	return text("SELECT "+first+".rid FROM "+strings.Join(from, ", ")+" WHERE "+w.s, w.args...), nil
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
	one := b.parts(types, c.Param, search.Plain, 1, 0)
	two := b.parts(types, c.Param, search.Plain, 2, 0)
	if len(one) == 0 || len(two) == 0 || len(c.Values) == 0 {
		return noRows
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
