package state

import (
	"bytes"

	"salus/ledger/tx"
)

// A Table is the typed rows under one prefix: prefix || id holds the canonical
// CBOR of a V. Ids have a fixed layout of the table's own. A Table is a value
// without state and lives in a package variable.
type Table[V any] struct {
	Name   string // in the words of the documents
	Prefix []byte // first byte: the module
}

// A TableInfo describes a Table for documents and tools.
type TableInfo struct {
	Name   string
	Prefix []byte
	Value  any // a zero value of the rows' type
}

// NewTable returns the table called name under prefix. No table's prefix may
// begin with another's.
func NewTable[V any](name string, prefix ...byte) Table[V] {
	return Table[V]{Name: name, Prefix: bytes.Clone(prefix)}
}

// Info describes the table.
func (t Table[V]) Info() TableInfo {
	var v V
	return TableInfo{Name: t.Name, Prefix: bytes.Clone(t.Prefix), Value: v}
}

// Key returns the key of the row with that id, as proofs name it.
func (t Table[V]) Key(id []byte) []byte {
	return append(append(make([]byte, 0, len(t.Prefix)+len(id)), t.Prefix...), id...)
}

// Get returns the row with that id. A row that does not decode panics: the
// state is corrupt.
func (t Table[V]) Get(r Reader, id []byte) (v V, ok bool) {
	b, ok := r.Get(t.Key(id))
	if !ok {
		return v, false
	}
	return t.decode(b), true
}

// Has reports whether there is a row with that id.
func (t Table[V]) Has(r Reader, id []byte) bool {
	_, ok := r.Get(t.Key(id))
	return ok
}

// Put writes the row with that id.
func (t Table[V]) Put(w Writer, id []byte, v V) { w.Set(t.Key(id), tx.MustEncode(v)) }

// Delete removes the row with that id, if there is one.
func (t Table[V]) Delete(w Writer, id []byte) { w.Delete(t.Key(id)) }

// Scan calls fn for the rows whose id begins with prefix, in the order of their
// ids, until fn returns false. fn gets the id alone, without the table's
// prefix, and must neither keep it nor write.
func (t Table[V]) Scan(r Reader, prefix []byte, fn func(id []byte, v V) (more bool)) {
	r.Scan(t.Key(prefix), func(key, value []byte) bool {
		return fn(key[len(t.Prefix):], t.decode(value))
	})
}

func (t Table[V]) decode(b []byte) (v V) {
	if tx.DecodeOwn(b, &v) != nil {
		panic("state: corrupt row in table " + t.Name)
	}
	return v
}
