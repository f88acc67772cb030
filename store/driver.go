package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"salus/fhir/search"
)

// No clause of a search drives it, or something else does.
const (
	nothingDrives = -1
	ownerDrives   = -2
)

// mostDriving is up to how many rows of its index a clause drives a search: each resource that has one is looked at,
// and asked whether it satisfies the other clauses. Beyond that, lists of rows are compared.
const mostDriving = 1000

// driver tells which clause of a search leaves few resources, so that all others are asked of each of these: a list of
// everybody's rows would take the longer the more others have. It returns its place, or nothingDrives, or ownerDrives
// where the search is of one compartment or seen by its owner alone.
//
// Rows are counted, up to mostDriving. Where a sight has conditions that would tell in time what is hidden by them: there, the
// form of a clause decides.
func (b *builder) driver(ctx context.Context, q *Search) (int, error) {
	where := q.Query.Where
	switch {
	case q.Compartment != "" || q.Owner != "":
		return ownerDrives, nil
	case len(where) < 2:
		return nothingDrives, nil // there is none that could be asked
	case b.conditioned(q.Query.Types):
		for i := range where {
			if leavesFew(&where[i]) {
				return i, nil
			}
		}
		return nothingDrives, nil
	}
	counter := *b // what is counted gives out aliases that no other page does
	drives, fewest := nothingDrives, mostDriving
	var counts []string
	var args []any
	var of []int
	for i := range where {
		c := &where[i]
		if direct(c) && c.Param.Code == "_id" && c.Modifier == search.Plain && len(c.Values) < fewest {
			drives, fewest = i, len(c.Values)
		}
		if !countable(c, false) {
			continue
		}
		rows := counter.matching
		if c.Chain != nil {
			rows = counter.chained
		}
		m, err := rows(q.Query.Types, c)
		if err != nil {
			return nothingDrives, err
		}
		counts, args, of = append(counts, fmt.Sprintf("(SELECT COUNT(*) FROM (%s LIMIT %d) c%d)", m.s, mostDriving, i)), append(args, m.args...), append(of, i)
	}
	if len(of) == 0 {
		return drives, nil
	}
	rows, err := b.src.rows(ctx, "SELECT "+strings.Join(counts, ", "), args...)
	if err != nil {
		return nothingDrives, fmt.Errorf("store: search: %w", err)
	}
	has := make([]int, len(of))
	to := make([]any, len(of))
	for i := range has {
		to[i] = &has[i]
	}
	if err := one(rows, to...); err != nil {
		return nothingDrives, fmt.Errorf("store: search: %w", err)
	}
	for i, n := range has {
		if n < fewest {
			drives, fewest = of[i], n
		}
	}
	return drives, nil
}

// conditioned tells whether the sight has conditions on what is of these types, or of any.
func (b *builder) conditioned(types []string) bool {
	for _, t := range types {
		if len(b.sight.Within[t]) > 0 {
			return true
		}
	}
	return len(types) == 0 && len(b.sight.Within) > 0
}

// direct tells clauses on a parameter of the resource itself.
func direct(c *search.Clause) bool { return c.Chain == nil && c.Has == nil && c.Tree == nil }

// countable tells clauses whose rows stand together in an index, so that counting some reads no others, and chains
// that end in one.
func countable(c *search.Clause, chained bool) bool {
	if c.Chain != nil {
		return !slices.ContainsFunc(c.Chain.Clause, func(c search.Clause) bool { return !countable(&c, true) })
	}
	if !direct(c) || c.Param.Code == "_id" && !chained || len(c.Values) > manyCodes {
		return false
	}
	for i := range c.Values {
		if v := &c.Values[i]; c.Param.Kind == search.Token && v.Text == "" {
			return false // all codes of a system
		}
	}
	switch c.Param.Kind {
	case search.Token:
		return c.Modifier == search.Plain || c.Modifier == search.OfType
	case search.Reference:
		return c.Modifier == search.Plain || c.Modifier == search.Typed || c.Modifier == search.Identifier
	case search.String:
		return c.Modifier == search.Plain || c.Modifier == search.Exact
	case search.URI:
		return c.Modifier == search.Plain || c.Modifier == search.Below
	}
	return false
}

// leavesFew tells clauses that one patient's resources satisfy, or fewer, by their form.
func leavesFew(c *search.Clause) bool {
	if !direct(c) {
		return false
	}
	if c.Param.Code == "_id" || c.Param.Code == "identifier" {
		return c.Modifier == search.Plain
	}
	if c.Param.Kind != search.Reference || c.Modifier != search.Plain && c.Modifier != search.Typed {
		return false
	}
	for i := range c.Values {
		if !strings.HasPrefix(c.Values[i].Text, "Patient/") {
			return false
		}
	}
	return true
}
