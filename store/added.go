package store

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// added is an index row that a commit adds.
type added struct {
	row
	rid int64
}

// How many index rows wait to be written at most, and how much room for them is kept between commits.
const (
	maxAdded  = 1 << 17
	keepAdded = 1 << 14
)

// add remembers the index rows of a resource. They are written with those of the commit's other
// resources, each table in its order, or before somebody looks for them.
func (t *Tx) add(rid int64, rows []row) {
	for i := range rows {
		t.w.added = append(t.w.added, added{rows[i], rid})
	}
}

// settle writes the index rows of this commit so far. Those of other jobs are not among what is undone
// with this one, or are written again.
func (t *Tx) settle() error {
	if t.undoing == nothingYet {
		if err := t.w.flush(t.added); err != nil {
			return err
		}
		t.written = t.w.written
	}
	if t.held == nil && t.w.written == len(t.w.added) {
		return nil
	}
	return errors.Join(t.ready(), t.w.flush(t.added), t.w.flush(len(t.w.added)))
}

// flush writes the index rows up to one that are not in the tables.
func (w *writer) flush(to int) error {
	if w.written >= to {
		return nil
	}
	rest := w.added[w.written:to]
	w.clean = false
	slices.SortFunc(rest, func(a, b added) int { return cmp.Compare(a.rid, b.rid) })
	if err := w.sorts(rest); err != nil {
		return err
	}
	slices.SortFunc(rest, func(a, b added) int { return cmp.Or(a.compare(&b.row), cmp.Compare(a.rid, b.rid)) })
	for i := range rest {
		r := &rest[i]
		if i > 0 && r.rid == rest[i-1].rid && r.row == rest[i-1].row {
			continue
		}
		if err := w.do(insertRow[r.Table], r.args(r.rid)...); err != nil {
			return err
		}
	}
	w.written = to
	return nil
}

// sorts writes what resources are sorted by. The rows of each are together.
func (w *writer) sorts(rest []added) error {
	var rows []row
	for from, to := 0, 0; from < len(rest); from = to {
		rows = rows[:0]
		for to = from; to < len(rest) && rest[to].rid == rest[from].rid; to++ {
			rows = append(rows, rest[to].row)
		}
		for _, k := range sortRows(rows) {
			if err := w.do(`INSERT INTO idx_sort (rid, p, low, high, first, last) VALUES (?, ?, ?, ?, ?, ?)`, rest[from].rid, k.param, k.low, k.high, k.first, k.last); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget ends the commit.
func (w *writer) forget() {
	clear(w.fresh)
	clear(w.added) // they hold on to bodies
	w.added, w.written = w.added[:0], 0
	if cap(w.added) > keepAdded {
		w.added = nil
	}
}

// compare orders rows as their tables do.
func (r *row) compare(o *row) int {
	if c := cmp.Or(cmp.Compare(r.Table, o.Table), cmp.Compare(r.Param, o.Param)); c != 0 {
		return c
	}
	if r.Table == spanTable || r.Table == quantityTable {
		if c := cmp.Or(cmp.Compare(r.Low, o.Low), cmp.Compare(r.High, o.High)); c != 0 {
			return c
		}
	}
	return cmp.Or(strings.Compare(r.A, o.A), strings.Compare(r.B, o.B))
}
