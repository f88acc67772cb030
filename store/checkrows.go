package store

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// typeOf is the type in the name of a parameter.
func typeOf(param string) string {
	typ, _, _ := strings.Cut(param, ".")
	return typ
}

// resources reads the next ones after a row number.
func (c *checker) resources(after int64) error {
	c.window = c.window[:0]
	return c.each(func(scan func(...any) error) error {
		var f found
		if err := scan(f.columns(true)...); err != nil {
			return err
		}
		v := f.finish()
		c.resource(&v)
		return nil
	}, `SELECT `+columns+`, r.entries FROM resource r WHERE r.rid > ? ORDER BY r.rid LIMIT ?`, after, c.size)
}

// resource compares what stands beside a resource with its body, and notes what the tables must have of it.
func (c *checker) resource(f *found) {
	c.health.Resources++
	c.health.Versions++
	place, ok := c.types[f.Type]
	if !ok {
		place = int32(len(c.names))
		c.types[f.Type], c.names = place, append(c.names, f.Type)
	}
	w := checked{rid: f.rid, typ: place}
	if f.Scope == Own {
		w.vid, w.missing = f.VID, f.VID-1
	}
	rows, err := decodeRows(f.entries)
	w.sum, w.rows = c.sum(rows)
	differ := err != nil
	switch {
	case f.Scope != Own && f.Method != Delete:
	case f.Method != Delete && f.rid >= c.until:
		c.health.Unindexed++
	default:
		rows, ok := c.expected(f)
		if !ok {
			c.note(FaultUnreadable, f.Type)
			break
		}
		if sum, n := c.sum(rows); sum != w.sum || n != w.rows {
			w.sum, w.rows, differ = sum, n, true
		}
	}
	if differ {
		c.note(FaultEntries, f.Type)
	}
	c.window = append(c.window, w)
}

// expected are the index rows that a resource must have.
func (c *checker) expected(f *found) (rows []row, ok bool) {
	if f.Method == Delete {
		return nil, len(f.Body) == 0
	}
	entries, owner, err := c.expect(&f.Version)
	if err != nil {
		return nil, false
	}
	if owner != f.Owner {
		c.note(FaultOwner, f.Type)
	}
	for i := range entries {
		param, ok := c.numbers[f.Type+"."+entries[i].Name()]
		if !ok {
			param = -1 // no row has it
		}
		r, err := rowOf(&entries[i], param)
		if err != nil {
			return nil, false
		}
		rows = append(rows, r)
	}
	return rows, true
}

// sum is that of the rows which the tables have of a resource, and their number. Those that the tables take for
// one count once.
func (c *checker) sum(rows []row) (sum uint64, n int32) {
	hashes := make([]uint64, 0, 2*len(rows))
	for i := range rows {
		hashes = append(hashes, c.hash(rows[i]))
	}
	for _, k := range sortRows(rows) {
		hashes = append(hashes, maphash.Comparable(c.seed, k))
	}
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	for _, h := range hashes {
		sum += h
	}
	return sum, int32(len(hashes))
}

func (c *checker) hash(r row) uint64 {
	if r.Table == textTable {
		r.Group = 0 // see insertRow
	}
	return maphash.Comparable(c.seed, r)
}

// take is a row of a table: it is taken away from what its resource must have.
func (c *checker) take(rid, param int64, hash uint64) {
	if w := c.of(rid); w != nil {
		w.sum -= hash
		w.rows--
		return
	}
	c.note(FaultNoResource, c.params[param%paramsOfAScope])
}

// of finds a resource among those that are compared now.
func (c *checker) of(rid int64) *checked {
	i, ok := slices.BinarySearchFunc(c.window, rid, func(w checked, rid int64) int { return cmp.Compare(w.rid, rid) })
	if !ok {
		return nil
	}
	return &c.window[i]
}

// selectRow reads each table's rows of the resources after one row number and up to another. Adding 0 has SQLite read
// the table in its order.
var selectRow = [tables]string{ //nolint:gosec // as insertRow
	tokenTable:    `SELECT rid, p, code, system, grp FROM idx_token WHERE rid + 0 > ? AND rid + 0 <= ?`,
	textTable:     `SELECT rid, p, value, exact FROM idx_text WHERE rid + 0 > ? AND rid + 0 <= ?`,
	refTable:      `SELECT rid, p, target, grp FROM idx_ref WHERE rid + 0 > ? AND rid + 0 <= ?`,
	spanTable:     `SELECT rid, p, low, high, grp FROM idx_span WHERE rid + 0 > ? AND rid + 0 <= ?`,
	quantityTable: `SELECT rid, p, low, high, code, system, unit, grp FROM idx_quantity WHERE rid + 0 > ? AND rid + 0 <= ?`,
}

// index reads the rows of the index.
func (c *checker) index(after, to int64) error {
	var rid int64
	for table, q := range selectRow {
		r := row{Table: uint8(table)}
		into := append([]any{&rid}, r.columns()...)
		if err := c.each(func(scan func(...any) error) error {
			if err := scan(into...); err != nil {
				return err
			}
			c.take(rid, r.Param, c.hash(r))
			return nil
		}, q, after, to); err != nil {
			return err
		}
	}
	var k sortRow
	return c.each(func(scan func(...any) error) error {
		if err := scan(&rid, &k.param, &k.low, &k.high, &k.first, &k.last); err != nil {
			return err
		}
		c.take(rid, k.param, maphash.Comparable(c.seed, k))
		return nil
	}, `SELECT rid, p, low, high, first, last FROM idx_sort WHERE rid > ? AND rid <= ?`, after, to)
}

// columns are where the columns of a table go, but rid.
func (r *row) columns() []any {
	switch r.Table {
	case tokenTable:
		return []any{&r.Param, &r.A, &r.B, &r.Group}
	case textTable:
		return []any{&r.Param, &r.A, &r.B}
	case refTable:
		return []any{&r.Param, &r.A, &r.Group}
	case spanTable:
		return []any{&r.Param, &r.Low, &r.High, &r.Group}
	default:
		return []any{&r.Param, &r.Low, &r.High, &r.A, &r.B, &r.C, &r.Group}
	}
}

// versions reads which former versions there are.
func (c *checker) versions(after, to int64) error {
	return c.each(func(scan func(...any) error) error {
		var rid, vid int64
		if err := scan(&rid, &vid); err != nil {
			return err
		}
		c.health.Versions++
		switch w := c.of(rid); {
		case w == nil:
			c.note(FaultNoResource, "")
		case 0 < vid && vid < w.vid:
			w.missing--
		default:
			w.missing++ // none that it can have
		}
		return nil
	}, `SELECT rid, vid FROM version WHERE rid > ? AND rid <= ?`, after, to)
}

// compare notes what is left between the resources and the tables.
func (c *checker) compare() {
	for i := range c.window {
		w := &c.window[i]
		typ := c.names[w.typ]
		switch {
		case w.rows > 0:
			c.note(FaultFewer, typ)
		case w.rows < 0:
			c.note(FaultMore, typ)
		case w.sum != 0:
			c.note(FaultOther, typ)
		}
		if w.vid != 0 && w.missing != 0 {
			c.note(FaultVersions, typ)
		}
	}
}
