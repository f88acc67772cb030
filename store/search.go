package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"salus/fhir/search"
)

// A Sight is what a reader sees. What she does not see does not exist for her: in no match, count,
// page or include, and at no end of a chain.
type Sight struct {
	Scopes []Scope
	// Owner is the one compartment, as puts named it, of which she sees something, besides what is
	// in none; "" is all.
	Owner string
	// Within are conditions by resource type, of which one list must hold; a type without any is
	// seen whole.
	Within map[string][][]search.Clause
}

// A Search asks for the resources that satisfy a query among those that are seen.
type Search struct {
	Query *search.Query
	Sight
	// Compartment restricts matches to one compartment, as puts named it; "" does not.
	Compartment string
	// Count is how many matches a page has where the query does not say.
	Count int
}

// A Page is a part of the matches.
type Page struct {
	Matches  []Version
	Included []Version // by _include and _revinclude, each once, none that is among the matches
	Cut      bool      // there may be more of these: a page brings 1,000 at most
	Total    int64     // matches on all pages; -1 where the query does not want it counted
	Next     string    // the cursor of the next page; "" on the last
}

// maxIncluded bounds what one page brings besides its matches.
const maxIncluded = 1000

// Search answers a query. Matches come in the order that the query asks for, and otherwise in that
// in which resources were first written, which no later write changes: pages neither repeat nor
// leave out what was there when the search began. Errors: ErrCursor, and a *search.Issue for a query with more values than
// a database takes.
func (s *Store) Search(ctx context.Context, q Search) (*Page, error) {
	return s.reader().search(ctx, s.cursors, q)
}

// Search is Store.Search within the write: a conditional create looks before it leaps.
func (t *Tx) Search(q Search) (*Page, error) {
	if err := t.settle(); err != nil {
		return nil, t.fail(err)
	}
	p, err := t.reader().search(context.Background(), t.w.cursors, q)
	var asked *search.Issue
	if err != nil && !errors.Is(err, ErrCursor) && !errors.As(err, &asked) {
		return nil, t.fail(err)
	}
	return p, err
}

func (r reader) search(ctx context.Context, cursors *cursors, q Search) (*Page, error) {
	b := &builder{reader: r, sight: &q.Sight, compartment: q.Compartment != ""}
	at, driver, err := b.start(ctx, cursors, &q)
	if err != nil {
		return nil, err
	}
	b.asked = driver != nothingDrives
	seen, err := b.seen("r", q.Query.Types)
	if err != nil {
		return nil, err
	}
	where := []sqlText{seen}
	if q.Compartment != "" {
		where = append(where, text("r.owner = ?", q.Compartment))
	}
	for i := range q.Query.Where {
		b.asked = driver != nothingDrives && driver != i
		c, err := b.clause("r", q.Query.Types, &q.Query.Where[i])
		if err != nil {
			return nil, err
		}
		where = append(where, c)
	}
	all := join(where, " AND ")
	o := b.order(q.Query)
	if at != nil && (at.Query != fingerprint(all, o.keys) || len(at.Texts) != len(o.keys) || len(at.Floats) != len(o.keys)) {
		return nil, ErrCursor
	}
	p := &Page{Total: -1}
	if q.Query.Total == search.TotalAccurate || q.Query.Total == search.TotalEstimate || q.Query.Summary == search.SummaryCount || q.Query.Count == 0 {
		rows, err := r.src.rows(ctx, "SELECT COUNT(*) FROM resource r WHERE "+all.s, all.args...)
		if err != nil {
			return nil, fmt.Errorf("store: search: %w", err)
		}
		if err := one(rows, &p.Total); err != nil {
			return nil, fmt.Errorf("store: search: %w", err)
		}
		if q.Query.Summary == search.SummaryCount || q.Query.Count == 0 {
			return p, nil
		}
	}
	matches, last, err := b.page(ctx, &q, seen, all, o, at)
	if err != nil {
		return nil, err
	}
	if last != nil {
		last.Driver = driver
		if p.Next, err = cursors.seal(*last); err != nil {
			return nil, err
		}
	}
	for i := range matches {
		p.Matches = append(p.Matches, matches[i].Version)
	}
	included, cut, err := b.include(ctx, q.Query, matches)
	if err != nil {
		return nil, err
	}
	p.Cut = cut
	for i := range included {
		p.Included = append(p.Included, included[i].Version)
	}
	return p, nil
}

// start returns where a page begins, nil for the first, and what drives the search: on all pages the same,
// whatever is written between them.
func (b *builder) start(ctx context.Context, cursors *cursors, q *Search) (at *position, driver int, err error) {
	if q.Query.Cursor == "" {
		driver, err = b.driver(ctx, q)
		return nil, driver, err
	}
	if at, err = cursors.open(q.Query.Cursor); err != nil {
		return nil, 0, err
	}
	return at, at.Driver, nil
}

// page reads the page after a position, or the first, and returns where it ended if another follows.
func (b *builder) page(ctx context.Context, q *Search, seen, where sqlText, o ordering, at *position) ([]found, *position, error) {
	count := q.Query.Count
	if count < 0 {
		count = q.Count
	}
	from, on, walks, err := b.walk(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	rid, all := "r.rid", where
	if walks {
		// In that order: SQLite does not change a cross join's.
		from, rid, all = from+" CROSS JOIN resource r", "w.rid", join([]sqlText{on, text("r.rid = w.rid"), seen}, " AND ")
	} else {
		from = "resource r"
	}
	var after sqlText
	if at != nil {
		after = beyond(o.keys, rid, *at)
	}
	stmt := "SELECT " + columns + ", r.entries"
	var args []any
	var order []string
	for _, k := range o.keys {
		stmt += ", " + k.column
		order = append(order, k.column+k.direction())
	}
	stmt += " FROM " + from
	for _, j := range o.joins {
		stmt, args = stmt+j.s, append(args, j.args...)
	}
	stmt, args = stmt+" WHERE "+all.s, append(args, all.args...)
	if after.s != "" {
		stmt, args = stmt+" AND ("+after.s+")", append(args, after.args...)
	}
	limit := bounded(count + 1)
	stmt += " ORDER BY " + strings.Join(append(order, rid), ", ") + limit.s
	matches, last, err := b.sorted(ctx, len(o.keys), count, stmt, append(args, limit.args...)...)
	if err != nil {
		return nil, nil, err
	}
	if len(matches) <= count {
		return matches, nil, nil
	}
	last.Query = fingerprint(where, o.keys)
	return matches[:count], &last, nil
}

// A sortKey is a column to sort by. What has no value for it comes last.
type sortKey struct {
	column     string
	descending bool
	text       bool
}

func (k sortKey) direction() string {
	if k.descending {
		return " DESC"
	}
	return " ASC"
}

// An ordering is what a query sorts by: columns, and the tables they are in.
type ordering struct {
	keys  []sortKey
	joins []sqlText
}

func (b *builder) order(q *search.Query) (o ordering) {
	for _, by := range q.Sort {
		k := sortKey{descending: by.Descending}
		switch by.Param.Code {
		case "_lastUpdated":
			k.column = "r.updated"
		case "_id":
			k.column, k.text = "r.id", true
		default:
			k.column, k.text = b.sortBy(q.Types, by, &o.joins)
		}
		o.keys = append(o.keys, k)
	}
	return o
}

// sortBy joins a parameter's values and returns the column to sort by.
func (b *builder) sortBy(types []string, o search.Order, joins *[]sqlText) (column string, isText bool) {
	ids := b.params(types, o.Param, search.Plain)
	a := b.alias()
	table := tableOf(o.Param.Kind, search.Plain)
	isText = table != "idx_span" && table != "idx_quantity"
	column, none, best := ".low", "9e307", "MIN"
	switch {
	case isText && o.Descending:
		column, none, best = ".last", "''", "MAX"
	case isText:
		column, none = ".first", "'\U0010FFFF'"
	case o.Descending:
		column, none, best = ".high", "-9e307", "MAX"
	}
	in := " IN (" + marks(len(ids)) + ")"
	switch {
	case table == "idx_token" || table == "idx_ref":
		// Rarely sorted by, and not in idx_sort.
		from := map[string]string{"idx_token": "code", "idx_ref": "target"}[table]
		*joins = append(*joins, text(" LEFT JOIN (SELECT rid, "+best+"("+from+") AS "+column[1:]+" FROM "+table+
			" WHERE p"+in+" AND "+from+" <> '' GROUP BY rid) "+a+" ON "+a+".rid = r.rid", ids...))
	case alternatives(types, o.Param) > 1:
		*joins = append(*joins, text(" LEFT JOIN (SELECT rid, "+best+"("+column[1:]+") AS "+column[1:]+" FROM idx_sort WHERE p"+in+
			" GROUP BY rid) "+a+" ON "+a+".rid = r.rid", ids...))
	default:
		*joins = append(*joins, text(" LEFT JOIN idx_sort "+a+" ON "+a+".rid = r.rid AND "+a+".p"+in, ids...))
	}
	return "COALESCE(" + a + column + ", " + none + ")", isText
}

// A position is where a page ended: the keys of its last match, and its row number.
type position struct {
	Query  [16]byte  `cbor:"1,keyasint"`
	Texts  []string  `cbor:"2,keyasint"` // one for each key; "" for a number
	Floats []float64 `cbor:"3,keyasint"` // one for each key; 0 for a text
	RID    int64     `cbor:"4,keyasint"`
	Driver int       `cbor:"5,keyasint"` // what drove the search: the condition is another otherwise
}

// beyond holds for what comes after a position, the number of whose row is in the column rid.
func beyond(keys []sortKey, rid string, at position) sqlText {
	var ors []sqlText
	var equal []sqlText
	for i, k := range keys {
		var v any = at.Floats[i]
		if k.text {
			v = at.Texts[i]
		} else if k.column == "r.updated" {
			v = int64(at.Floats[i])
		}
		op := " > ?"
		if k.descending {
			op = " < ?"
		}
		ors = append(ors, join(append(append([]sqlText{}, equal...), text(k.column+op, v)), " AND "))
		equal = append(equal, text(k.column+" = ?", v))
	}
	return join(append(ors, join(append(equal, text(rid+" > ?", at.RID)), " AND ")), " OR ")
}

// sorted reads matches with their sort keys, and where the page ends.
func (b *builder) sorted(ctx context.Context, keys, count int, q string, args ...any) (list []found, last position, err error) {
	rows, err := b.src.rows(ctx, q, args...)
	if err != nil {
		return nil, last, fmt.Errorf("store: search: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]any, keys)
	for rows.Next() {
		var f found
		to := f.columns(true)
		for i := range values {
			to = append(to, &values[i])
		}
		if err := rows.Scan(to...); err != nil {
			return nil, last, fmt.Errorf("store: search: %w", err)
		}
		list = append(list, f.finish())
		if len(list) == count {
			last = position{RID: f.rid, Texts: make([]string, keys), Floats: make([]float64, keys)}
			for i, v := range values {
				last.keep(i, v)
			}
		}
	}
	return list, last, rows.Err()
}

// keep takes a sort key over as either database gives it.
func (p *position) keep(i int, v any) {
	switch v := v.(type) {
	case string:
		p.Texts[i] = v
	case []byte:
		p.Texts[i] = string(v)
	case int64:
		p.Floats[i] = float64(v)
	case float64:
		p.Floats[i] = v
	}
}
