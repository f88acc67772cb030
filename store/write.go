package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// writes at the same time share one commit, within these bounds.
const (
	groupJobs = 256
	groupTime = 20 * time.Millisecond
)

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

type job struct {
	run  func(*Tx) error
	err  error
	done chan struct{}
}

// A writer owns the one connection that writes.
type writer struct {
	*Store
	conn  *sql.Conn
	stmts map[string]*sql.Stmt

	rid, seq int64
	last     int64            // time of the last version, milliseconds: versions never go back in time
	fresh    map[string]int64 // parameters that this commit numbers
	numbers  int64            // of parameters

	clean   bool    // nothing was written since the transaction began
	added   []added // index rows of this commit
	written int     // how many of them are in the tables
}

func newWriter(ctx context.Context, s *Store) (*writer, error) {
	conn, err := s.wdb.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	w := &writer{Store: s, conn: conn, stmts: map[string]*sql.Stmt{}, fresh: map[string]int64{}}
	s.params.byID = map[string]int64{}
	err = func() error {
		if err := w.query(`SELECT COALESCE(MAX(rid), 0), COALESCE(MAX(seq), 0), COALESCE(MAX(updated), 0), COALESCE(MAX(scope), 0) FROM resource`).
			scan(&w.rid, &w.seq, &w.last, &s.scopes.last); err != nil {
			return err
		}
		var seq int64
		if err := w.query(`SELECT COALESCE(MAX(seq), 0) FROM version`).scan(&seq); err != nil {
			return err
		}
		w.seq = max(w.seq, seq)
		rows, err := conn.QueryContext(ctx, `SELECT name, id FROM param`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var id int64
			if err := rows.Scan(&name, &id); err != nil {
				return err
			}
			s.params.put(name, id)
			w.numbers = max(w.numbers, id)
		}
		return rows.Err()
	}()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open: %w", err), conn.Close())
	}
	return w, nil
}

// run is the writer's loop. Jobs that come while one is run share its commit.
func (w *writer) run() {
	defer close(w.done)
	defer w.end()
	for {
		select {
		case j := <-w.jobs:
			w.group(j)
		case <-w.closing:
			return
		}
	}
}

// end gives the connection back. Nothing is lost when that fails: every commit is durable.
func (w *writer) end() {
	for _, st := range w.stmts {
		_ = st.Close()
	}
	_ = w.conn.Close()
}

func (w *writer) group(first *job) {
	jobs := []*job{first}
	err := w.begin()
	for until := time.Now().Add(groupTime); err == nil; {
		j := jobs[len(jobs)-1]
		if err = w.one(j); err != nil || len(jobs) == groupJobs || time.Now().After(until) {
			break
		}
		select {
		case next := <-w.jobs:
			jobs = append(jobs, next)
			continue
		default:
		}
		break
	}
	if err == nil {
		err = w.flush(len(w.added))
	}
	if err == nil {
		err = w.do("COMMIT")
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("store: write: %w", err), w.exec("ROLLBACK"))
	} else {
		for name, id := range w.fresh {
			w.params.put(name, id)
		}
	}
	w.forget()
	if err == nil {
		w.changed.fire()
	}
	for _, j := range jobs {
		if j.err == nil {
			j.err = err
		}
		close(j.done)
	}
}

// begin begins a transaction.
func (w *writer) begin() error {
	w.clean = true
	return w.do(w.d.begin)
}

// one runs a job so that its failure undoes nothing else. The error is the database's.
func (w *writer) one(j *job) (err error) {
	t := &Tx{w: w, added: len(w.added), written: w.written}
	j.err = t.guard(j.run)
	if t.broken != nil {
		return t.broken
	}
	if j.err == nil {
		return t.finish()
	}
	for _, name := range t.numbered {
		delete(w.fresh, name)
	}
	clear(w.added[t.added:])
	w.added, w.written = w.added[:t.added], t.written
	return t.undo()
}

// A Tx is a write under way. It belongs to the function that Write runs.
//
// Most are one Put, and nothing can fail after it: so what the first Put writes is held back until
// something else is asked for, or the function has returned. Only what does more needs a savepoint,
// for which SQLite copies every page that it changes.
type Tx struct {
	w        *writer
	held     func() error // what the first Put is to write
	undoing  undoing
	added    int      // index rows of this commit before it
	written  int      // how many of them were in the tables
	numbered []string // parameters that this job was the first to use
	broken   error    // of the database; nothing of the group can be kept
}

// undoing is how what a Tx has written is taken back.
type undoing uint8

const (
	nothingYet undoing = iota // it has written nothing
	byEnd                     // the transaction holds nothing else
	bySavepoint
)

// ready makes it possible to undo what comes, and writes what is held back. It comes before everything
// that writes, and all that reads what the held Put would change.
func (t *Tx) ready() error {
	if t.undoing == nothingYet {
		t.undoing = byEnd
		if !t.w.clean {
			t.undoing = bySavepoint
			if err := t.w.do("SAVEPOINT one"); err != nil {
				return err
			}
		}
		t.w.clean = false
	}
	return t.release()
}

func (t *Tx) release() error {
	held := t.held
	if t.held = nil; held == nil {
		return nil
	}
	return held()
}

// finish ends a Tx that is to be kept.
func (t *Tx) finish() error {
	if t.held != nil {
		t.w.clean = false
	}
	if err := t.release(); err != nil || t.undoing != bySavepoint {
		return err
	}
	return t.w.do("RELEASE SAVEPOINT one")
}

func (t *Tx) undo() error {
	switch t.undoing {
	case byEnd:
		return errors.Join(t.w.do("ROLLBACK"), t.w.begin())
	case bySavepoint:
		return errors.Join(t.w.do("ROLLBACK TO SAVEPOINT one"), t.w.do("RELEASE SAVEPOINT one"))
	}
	return nil
}

// query reads a row.
func (t *Tx) query(q string, args ...any) result {
	if t.held != nil {
		if err := t.ready(); err != nil {
			return result{err: err}
		}
	}
	return t.w.query(q, args...)
}

// do writes.
func (t *Tx) do(q string, args ...any) error {
	if err := t.ready(); err != nil {
		return err
	}
	return t.w.do(q, args...)
}

// guard turns a panic of f into an error, so that one request cannot stop the writer.
func (t *Tx) guard(f func(*Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("store: internal error: a write panicked")
		}
	}()
	return f(t)
}

// fail remembers an error of the database.
func (t *Tx) fail(err error) error {
	if err != nil && t.broken == nil {
		t.broken = err
	}
	return err
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

// prepared is a statement of the writer's connection.
func (w *writer) prepared(q string) (*sql.Stmt, error) {
	if st, ok := w.stmts[q]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), w.d.bind(q))
	if err == nil {
		w.stmts[q] = st
	}
	return st, err
}

func (w *writer) do(q string, args ...any) error {
	st, err := w.prepared(q)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background(), args...)
	return err
}

func (w *writer) exec(q string) error {
	_, err := w.conn.ExecContext(context.Background(), q)
	return err
}

// A result is one row that was asked for.
type result struct {
	row *sql.Row
	err error
}

func (w *writer) query(q string, args ...any) result {
	st, err := w.prepared(q)
	if err != nil {
		return result{err: err}
	}
	return result{row: st.QueryRowContext(context.Background(), args...)}
}

func (r result) scan(to ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(to...)
}
