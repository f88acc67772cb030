package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"salus/fhir/search"
)

// Bounds of what an index keeps of a text. Both databases limit the length of a key. Longer texts
// are found by their beginning.
const (
	maxText  = 256  // bytes of a folded text, a code, a system
	maxExact = 1024 // bytes of a text as it is written, a URI, a reference
)

// A row is one index entry: its table and the values of its columns but rid.
type row struct {
	_     struct{} `cbor:",toarray"`
	Table uint8
	Param int64
	A, B  string  // code, system / value, exact / target / code, system
	C     string  // unit
	Low   float64 // of spans and quantities
	High  float64
	Group int64
}

// unsorted is the group of what is found with a modifier only: nothing is sorted by it.
const unsorted = -1

// The index tables.
const (
	tokenTable uint8 = iota
	textTable
	refTable
	spanTable
	quantityTable
	tables
)

// rowOf is an entry as a row.
func rowOf(e *search.Entry, param int64) (row, error) {
	v := &e.Value
	r := row{Param: param, Group: int64(e.Group)}
	switch e.Kind {
	case search.Token:
		r.Table, r.A, r.B = tokenTable, clip(v.Text, maxText), clip(v.System, maxText)
		if e.Modifier == search.Text {
			r.Table, r.B = textTable, ""
		}
		if e.Modifier == search.OfType {
			r.A = clip(v.Code+"|"+v.Text, maxText)
		}
	case search.String:
		r.Table, r.A, r.B = textTable, clip(v.Text, maxText), clip(e.Exact, maxExact)
	case search.URI:
		r.Table, r.A = textTable, clip(v.Text, maxExact)
	case search.Reference:
		r.Table, r.A = refTable, clip(v.Text, maxExact)
		if e.Modifier == search.Identifier {
			r.Table, r.B = tokenTable, clip(v.System, maxText)
		}
	case search.Number, search.Date:
		r.Table, r.Low, r.High = spanTable, v.Range.Low, v.Range.High
	case search.Spot:
		if e.Group == 0 || e.Part == 0 {
			return r, fmt.Errorf("store: an entry of parameter %s is no part of a position", e.Code)
		}
		r.Table, r.Low, r.High = spanTable, v.Range.Low, v.Range.High
	case search.Quantity:
		r.Table, r.Low, r.High = quantityTable, v.Range.Low, v.Range.High
		r.A, r.B, r.C = clip(v.Code, maxText), clip(v.System, maxText), clip(e.Exact, maxText)
	default:
		return r, fmt.Errorf("store: an entry of parameter %s has no index", e.Code)
	}
	switch {
	case e.Modifier != search.Plain:
		r.Group = unsorted
	case r.Table == textTable && e.Group > 0:
		r.B = strconv.Itoa(e.Group) // see sameGroup
	}
	return r, nil
}

// clip cuts a text to at most n bytes, at a character, and takes out what PostgreSQL's text cannot
// hold.
func clip(s string, n int) string {
	for i := range len(s) {
		if s[i] == 0 {
			s = s[:i]
			break
		}
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// insertRow and deleteRow are the statements of each table; args gives their values.
var insertRow = [tables]string{ //nolint:gosec // a table of codes, no credentials
	tokenTable:    `INSERT INTO idx_token (p, code, system, grp, rid) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
	textTable:     `INSERT INTO idx_text (p, value, exact, rid) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
	refTable:      `INSERT INTO idx_ref (p, target, grp, rid) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
	spanTable:     `INSERT INTO idx_span (p, low, high, grp, rid) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
	quantityTable: `INSERT INTO idx_quantity (p, low, high, code, system, unit, grp, rid) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
}

var deleteRow = [tables]string{ //nolint:gosec // as above
	tokenTable:    `DELETE FROM idx_token WHERE p = ? AND code = ? AND system = ? AND grp = ? AND rid = ?`,
	textTable:     `DELETE FROM idx_text WHERE p = ? AND value = ? AND exact = ? AND rid = ?`,
	refTable:      `DELETE FROM idx_ref WHERE p = ? AND target = ? AND grp = ? AND rid = ?`,
	spanTable:     `DELETE FROM idx_span WHERE p = ? AND low = ? AND high = ? AND grp = ? AND rid = ?`,
	quantityTable: `DELETE FROM idx_quantity WHERE p = ? AND low = ? AND high = ? AND code = ? AND system = ? AND unit = ? AND grp = ? AND rid = ?`,
}

func (r *row) args(rid int64) []any {
	switch r.Table {
	case tokenTable:
		return []any{r.Param, r.A, r.B, r.Group, rid}
	case textTable:
		return []any{r.Param, r.A, r.B, rid}
	case refTable:
		return []any{r.Param, r.A, r.Group, rid}
	case spanTable:
		return []any{r.Param, r.Low, r.High, r.Group, rid}
	default:
		return []any{r.Param, r.Low, r.High, r.A, r.B, r.C, r.Group, rid}
	}
}

// A sortRow is what a resource is sorted by one parameter by.
type sortRow struct {
	param       int64
	low, high   float64
	first, last string
}

// maxSort is how many bytes of a text count in sorting.
const maxSort = 64

// sortRows are those of a resource: of its texts, dates, numbers and quantities that are no parts
// of composites and belong to no modifier.
func sortRows(rows []row) (keys []sortRow) {
	for i := range rows {
		r := &rows[i]
		k := sortRow{param: r.Param}
		switch {
		case r.Group != 0:
			continue
		case r.Table == textTable:
			if k.first = clip(r.A, maxSort); k.first == "" {
				continue
			}
			k.last = k.first
		case r.Table == spanTable, r.Table == quantityTable:
			k.low = max(r.Low, -8e307) // an open beginning comes first, but not before what has none
			k.high = k.low
		default:
			continue
		}
		j := slices.IndexFunc(keys, func(o sortRow) bool { return o.param == k.param })
		if j < 0 {
			keys = append(keys, k)
			continue
		}
		o := &keys[j]
		o.low, o.high, o.first, o.last = min(o.low, k.low), max(o.high, k.high), min(o.first, k.first), max(o.last, k.last)
	}
	return keys
}

// encodeRows and decodeRows are what is kept beside a resource.
func encodeRows(rows []row) ([]byte, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	return cbor.Marshal(rows)
}

func decodeRows(b []byte) (rows []row, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	if err := cbor.Unmarshal(b, &rows); err != nil {
		return nil, errors.New("store: the index entries of a resource are damaged")
	}
	for i := range rows {
		if rows[i].Table >= tables {
			return nil, errors.New("store: the index entries of a resource are damaged")
		}
	}
	return rows, nil
}
