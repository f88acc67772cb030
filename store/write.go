package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"salus/fhir/search"
)

// A Key names a resource. Scope 0 is the organisation's own.
type Key struct {
	Scope    Scope
	Type, ID string
}

// A Method is what made a version (R4 Bundle.entry.request.method, in the words of its interaction).
type Method uint8

// The methods.
const (
	Create Method = iota + 1
	Update
	Delete
)

// A Version is one version of a resource.
type Version struct {
	Key
	VID     int64 // from 1, without a gap
	Seq     int64 // place in the order of everything written to this store
	Updated time.Time
	Method  Method
	Owner   string // whose compartment it is in, as the caller named it; "" for none
	Record  string // the record that holds this version, as the caller named it
	Body    []byte // nil of a deletion
}

// A Put is a version to write.
type Put struct {
	Key
	Body    []byte
	Owner   string
	Record  string
	Entries []search.Entry

	// Expect is the version that must be the current one (If-Match); 0 expects none. Any takes
	// whatever there is.
	Expect int64
	// VID, Updated and Method are those of a version that is made again (a rebuild, a scope); zero
	// values are filled in.
	VID     int64
	Updated time.Time
	Method  Method
}

// Any expects any version, or none.
const Any = -1

// Write runs f in a transaction of its own: all of what it does, or nothing if it returns an error.
// When Write returns nil, that is durable. f runs on the writer, one at a time; it must be short
// and must not call the Store.
func (s *Store) Write(ctx context.Context, f func(*Tx) error) error {
	j := &job{run: f, done: make(chan struct{})}
	select {
	case s.jobs <- j:
		<-j.done // it is under way: only its end tells what became of it
		return j.err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
}

// Put writes the next version of a resource. Errors: ErrConflict, ErrExists.
func (t *Tx) Put(p Put) (Version, error) {
	return t.put(p, false)
}

// Delete writes the deletion of a resource as its next version. Deleting what is deleted changes
// nothing and returns that version. Errors: ErrNotFound, ErrConflict.
func (t *Tx) Delete(p Put) (Version, error) {
	p.Body, p.Entries, p.Method = nil, nil, Delete
	return t.put(p, true)
}

func (t *Tx) put(p Put, remove bool) (Version, error) {
	if len(t.w.added)-t.w.written > maxAdded {
		if err := t.settle(); err != nil {
			return Version{}, t.fail(err)
		}
	}
	var rid, vid int64
	var method Method
	var entries []byte
	err := t.query(`SELECT rid, vid, method, entries FROM resource WHERE type = ? AND id = ? AND scope = ?`, p.Type, p.ID, p.Scope).
		scan(&rid, &vid, &method, &entries)
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Version{}, t.fail(err)
	}
	switch {
	case remove && !known:
		return Version{}, ErrNotFound
	case p.Expect == 0 && known && method != Delete && p.VID == 0:
		return Version{}, ErrExists
	case p.Expect > 0 && p.Expect != vid:
		return Version{}, ErrConflict
	case remove && method == Delete:
		v, err := t.Read(p.Key)
		if errors.Is(err, ErrGone) {
			err = nil
		}
		return v, err
	}
	v := Version{Key: p.Key, VID: vid + 1, Updated: p.Updated, Method: p.Method, Owner: p.Owner, Record: p.Record, Body: p.Body}
	if p.VID != 0 {
		v.VID = p.VID
	}
	if v.Method == 0 {
		if v.Method = Update; !known || method == Delete {
			v.Method = Create
		}
	}
	if v.Updated.IsZero() {
		t.w.last = max(t.w.last, t.w.now().UnixMilli())
		v.Updated = time.UnixMilli(t.w.last).UTC()
	}
	t.w.seq++
	v.Seq = t.w.seq
	rows, err := t.rowsOf(&p)
	if err != nil {
		return Version{}, err
	}
	kept, err := encodeRows(rows)
	if err != nil {
		return Version{}, err
	}
	if known {
		if err := t.supersede(rid, entries); err != nil {
			return Version{}, t.fail(err)
		}
		err = t.do(`UPDATE resource SET vid = ?, seq = ?, updated = ?, method = ?, owner = ?, record = ?, body = ?, entries = ? WHERE rid = ?`,
			v.VID, v.Seq, v.Updated.UnixMilli(), v.Method, v.Owner, v.Record, v.Body, kept, rid)
		t.add(rid, rows)
		return v, t.fail(err)
	}
	t.w.rid++
	rid = t.w.rid
	t.add(rid, rows)
	t.held = func() error {
		return t.w.do(`INSERT INTO resource (rid, scope, type, id, vid, seq, updated, method, owner, record, body, entries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			rid, p.Scope, p.Type, p.ID, v.VID, v.Seq, v.Updated.UnixMilli(), v.Method, v.Owner, v.Record, v.Body, kept)
	}
	if t.undoing != nothingYet {
		return v, t.fail(t.release())
	}
	return v, nil
}

// supersede moves the current version of a resource to the former ones, and takes it out of the
// index.
func (t *Tx) supersede(rid int64, entries []byte) error {
	if err := t.do(`INSERT INTO version (rid, vid, seq, updated, method, record, body)
		SELECT rid, vid, seq, updated, method, record, body FROM resource WHERE rid = ?`, rid); err != nil {
		return err
	}
	return t.unindex(rid, entries)
}

func (t *Tx) unindex(rid int64, entries []byte) error {
	rows, err := decodeRows(entries)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	if err := t.settle(); err != nil { // some may be its own
		return err
	}
	if err := t.do(`DELETE FROM idx_sort WHERE rid = ?`, rid); err != nil {
		return err
	}
	for i := range rows {
		if err := t.do(deleteRow[rows[i].Table], rows[i].args(rid)...); err != nil {
			return err
		}
	}
	return nil
}

// rowsOf are the index rows of a resource.
func (t *Tx) rowsOf(p *Put) ([]row, error) {
	rows := make([]row, 0, len(p.Entries))
	for i := range p.Entries {
		param, err := t.param(p.Type, p.Entries[i].Name())
		if err != nil {
			return nil, err
		}
		r, err := rowOf(&p.Entries[i], p.Scope.param(param))
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// param is the number of a parameter of a type, a new one if it has none.
func (t *Tx) param(typ, entry string) (int64, error) {
	name := typ + "." + entry
	if id, ok := t.w.params.get(name); ok {
		return id, nil
	}
	if id, ok := t.w.fresh[name]; ok {
		return id, nil
	}
	t.w.numbers++
	if err := t.do(`INSERT INTO param (id, name) VALUES (?, ?)`, t.w.numbers, name); err != nil {
		return 0, t.fail(err)
	}
	t.w.fresh[name] = t.w.numbers
	t.numbered = append(t.numbered, name)
	return t.w.numbers, nil
}
