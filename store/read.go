package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A source answers queries: the store's reading connections, or a transaction under way.
type source interface {
	rows(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	number(name string) (int64, bool) // of a parameter
}

// A reader reads from a source.
type reader struct {
	src source
	d   *dialect
}

func (s *Store) reader() reader { return reader{s, s.d} }

// statements are prepared once and used on any reading connection.
type statements struct {
	mu sync.RWMutex
	by map[string]*sql.Stmt
}

// maxStatements bounds how many different queries are kept prepared. Searches are made of a few
// forms, so that the same come again.
const maxStatements = 512

func (p *statements) close() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, st := range p.by {
		err = errors.Join(err, st.Close())
	}
	p.by = nil
	return err
}

func (s *Store) rows(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	s.stmts.mu.RLock()
	st, ok := s.stmts.by[q]
	s.stmts.mu.RUnlock()
	if ok {
		return st.QueryContext(ctx, args...)
	}
	st, err := s.db.PrepareContext(ctx, s.d.bind(q))
	if err != nil {
		return nil, err
	}
	s.stmts.mu.Lock()
	defer s.stmts.mu.Unlock()
	if _, ok := s.stmts.by[q]; ok || len(s.stmts.by) >= maxStatements {
		defer func() { _ = st.Close() }() // the rows keep it open as long as they need it
		return st.QueryContext(ctx, args...)
	}
	if s.stmts.by == nil {
		s.stmts.by = map[string]*sql.Stmt{}
	}
	s.stmts.by[q] = st
	return st.QueryContext(ctx, args...)
}

func (s *Store) number(name string) (int64, bool) { return s.params.get(name) }

func (t *Tx) rows(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	st, err := t.w.prepared(q)
	if err != nil {
		return nil, t.fail(err)
	}
	rows, err := st.QueryContext(ctx, args...)
	return rows, t.fail(err)
}

func (t *Tx) number(name string) (int64, bool) {
	if id, ok := t.w.fresh[name]; ok {
		return id, true
	}
	return t.w.params.get(name)
}

func (t *Tx) reader() reader { return reader{t, t.w.d} }

// Read returns the current version of a resource. Errors: ErrNotFound; ErrGone, with the version
// that deleted it.
func (s *Store) Read(ctx context.Context, k Key) (Version, error) {
	return s.reader().current(ctx, k)
}

// Read is Store.Read within the write.
func (t *Tx) Read(k Key) (Version, error) { return t.reader().current(context.Background(), k) }

const columns = `r.rid, r.scope, r.type, r.id, r.vid, r.seq, r.updated, r.method, r.owner, r.record, r.body`

// found is a version with its row number.
type found struct {
	Version
	rid     int64
	entries []byte // where the query asked for them
	updated int64
}

// columns are where the columns go, and the index entries last.
func (f *found) columns() []any {
	return []any{&f.rid, &f.Scope, &f.Type, &f.ID, &f.VID, &f.Seq, &f.updated, &f.Method, &f.Owner, &f.Record, &f.Body, &f.entries}
}

func (f *found) finish() found {
	f.Updated = time.UnixMilli(f.updated).UTC()
	return *f
}

// list reads rows of columns and, with entries, the index entries.
func (r reader) list(ctx context.Context, entries bool, q string, args ...any) (list []found, err error) {
	rows, err := r.src.rows(ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("store: read: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var f found
		to := f.columns()
		if !entries {
			to = to[:len(to)-1]
		}
		if err := rows.Scan(to...); err != nil {
			return nil, fmt.Errorf("store: read: %w", err)
		}
		list = append(list, f.finish())
	}
	return list, rows.Err()
}

func (r reader) current(ctx context.Context, k Key) (Version, error) {
	l, err := r.list(ctx, false, `SELECT `+columns+` FROM resource r WHERE r.type = ? AND r.id = ? AND r.scope = ?`, k.Type, k.ID, k.Scope)
	switch {
	case err != nil:
		return Version{}, err
	case len(l) == 0:
		return Version{}, ErrNotFound
	case l[0].Method == Delete:
		return l[0].Version, ErrGone
	}
	return l[0].Version, nil
}

// formerly are the columns of a version that is no longer the current one, v, of the resource r.
const formerly = `r.rid, r.scope, r.type, r.id, v.vid, v.seq, v.updated, v.method, r.owner, v.record, v.body`

// ReadVersion returns a version of a resource. Errors: ErrNotFound; ErrGone if it is a deletion.
func (s *Store) ReadVersion(ctx context.Context, k Key, vid int64) (Version, error) {
	v, err := s.Read(ctx, k)
	if err != nil && !errors.Is(err, ErrGone) || v.VID == vid {
		return v, err
	}
	l, err := s.reader().list(ctx, false, `SELECT `+formerly+` FROM resource r JOIN version v ON v.rid = r.rid
		WHERE r.type = ? AND r.id = ? AND r.scope = ? AND v.vid = ?`, k.Type, k.ID, k.Scope, vid)
	switch {
	case err != nil:
		return Version{}, err
	case len(l) == 0:
		return Version{}, ErrNotFound
	case l[0].Method == Delete:
		return l[0].Version, ErrGone
	}
	return l[0].Version, nil
}

// A Past asks for a history: of a resource, of a type without ID, of everything without Type.
type Past struct {
	Type, ID string
	Scopes   []Scope
	Since    time.Time // versions written at or after it
	Before   int64     // versions with a lower Seq only; 0 for all. The next page: the lowest of the last.
	Count    int
}

// History returns versions, the last first, and their number without regard to Before and Count.
func (s *Store) History(ctx context.Context, p Past) ([]Version, int64, error) {
	r := s.reader()
	var where []string
	var args []any
	add := func(w string, a ...any) { where, args = append(where, w), append(args, a...) }
	add("r.scope IN ("+marks(len(p.Scopes))+")", anys(p.Scopes)...)
	if p.Type != "" {
		add("r.type = ?", p.Type)
	}
	if p.ID != "" {
		add("r.id = ?", p.ID)
	}
	filter := strings.Join(where, " AND ")
	var since int64
	if !p.Since.IsZero() {
		since = p.Since.UnixMilli()
	}
	var total int64
	rows, err := r.src.rows(ctx, `SELECT (SELECT COUNT(*) FROM resource r WHERE `+filter+` AND r.updated >= ?)
		+ (SELECT COUNT(*) FROM resource r JOIN version v ON v.rid = r.rid WHERE `+filter+` AND v.updated >= ?)`,
		append(append(append(append([]any{}, args...), since), args...), since)...)
	if err != nil {
		return nil, 0, fmt.Errorf("store: history: %w", err)
	}
	if err := one(rows, &total); err != nil {
		return nil, 0, fmt.Errorf("store: history: %w", err)
	}
	before := p.Before
	if before == 0 {
		before = 1<<63 - 1
	}
	both := append(append([]any{}, args...), since, before)
	l, err := r.list(ctx, false, `SELECT * FROM (
		SELECT `+columns+` FROM resource r WHERE `+filter+` AND r.updated >= ? AND r.seq < ?
		UNION ALL SELECT `+formerly+` FROM resource r JOIN version v ON v.rid = r.rid WHERE `+filter+` AND v.updated >= ? AND v.seq < ?
		) h ORDER BY seq DESC LIMIT ?`, append(append(append([]any{}, both...), both...), p.Count)...)
	out := make([]Version, len(l))
	for i := range l {
		out[i] = l[i].Version
	}
	return out, total, err
}

// one reads the only row of a result.
func one(rows *sql.Rows, to ...any) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return errors.Join(sql.ErrNoRows, rows.Err())
	}
	return rows.Scan(to...)
}

// marks is n placeholders.
func marks(n int) string {
	if n == 0 {
		return "NULL" // IN (NULL) holds for nothing
	}
	return strings.Repeat("?, ", n-1) + "?"
}

func anys[T any](xs []T) []any {
	out := make([]any, len(xs))
	for i, x := range xs {
		out[i] = x
	}
	return out
}
