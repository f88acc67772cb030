package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
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

// maxStatement is how long a query may be to be kept: longer ones name hundreds of values, and do not come again.
const maxStatement = 16 << 10

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
	if err := asks(args); err != nil {
		return nil, err
	}
	if len(q) > maxStatement {
		return s.db.QueryContext(ctx, s.d.bind(q), args...)
	}
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
	if err := asks(args); err != nil {
		return nil, err
	}
	if t.held != nil {
		if err := t.ready(); err != nil {
			return nil, t.fail(err)
		}
	}
	if len(q) > maxStatement {
		rows, err := t.w.conn.QueryContext(ctx, t.w.d.bind(q), args...)
		return rows, t.fail(err)
	}
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
	if s.d == &sqliteDialect {
		return s.points.read(ctx, s.db, k)
	}
	return s.reader().current(ctx, k)
}

// Read is Store.Read within the write.
func (t *Tx) Read(k Key) (Version, error) { return t.reader().current(context.Background(), k) }

const columns = `r.rid, r.scope, r.type, r.id, r.vid, r.seq, r.updated, r.method, r.owner, r.record, r.body`

// current reads the current version of a resource.
const current = `SELECT ` + columns + ` FROM resource r WHERE r.type = ? AND r.id = ? AND r.scope = ?`

// found is a version with its row number.
type found struct {
	Version
	rid     int64
	entries []byte // where the query asked for them
	updated int64
}

// columns are where the columns go, and with entries the index entries last.
func (f *found) columns(entries bool) []any {
	to := []any{&f.rid, &f.Scope, &f.Type, &f.ID, &f.VID, &f.Seq, &f.updated, &f.Method, &f.Owner, &f.Record, &f.Body}
	if entries {
		to = append(to, &f.entries)
	}
	return to
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
		if err := rows.Scan(f.columns(entries)...); err != nil {
			return nil, fmt.Errorf("store: read: %w", err)
		}
		list = append(list, f.finish())
	}
	return list, rows.Err()
}

func (r reader) current(ctx context.Context, k Key) (Version, error) {
	l, err := r.list(ctx, false, current, k.Type, k.ID, k.Scope)
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
	// Uncounted leaves the number out, which costs a look at every version.
	Uncounted bool
}

// History returns versions, the last first, and their number without regard to Before and Count.
func (s *Store) History(ctx context.Context, p Past) ([]Version, int64, error) {
	r := s.reader()
	var total int64
	if !p.Uncounted {
		filter, args := p.filter(false)
		rows, err := r.src.rows(ctx, `SELECT (SELECT COUNT(*) FROM resource r WHERE `+filter+` AND r.updated >= ?)
			+ (SELECT COUNT(*) FROM resource r JOIN version v ON v.rid = r.rid WHERE `+filter+` AND v.updated >= ?)`,
			append(append(append(append([]any{}, args...), p.since()), args...), p.since())...)
		if err != nil {
			return nil, 0, fmt.Errorf("store: history: %w", err)
		}
		if err := one(rows, &total); err != nil {
			return nil, 0, fmt.Errorf("store: history: %w", err)
		}
	}
	before := p.Before
	if before == 0 {
		before = 1<<63 - 1
	}
	// Each table by its order of seq, and no further than the page: to sort all versions there are
	// would read all bodies.
	filter, args := p.filter(true)
	args = append(args, p.since(), before, p.Count)
	l, err := r.list(ctx, false, `SELECT * FROM (
		SELECT * FROM (SELECT `+columns+` FROM resource r WHERE `+filter+` AND r.updated >= ? AND r.seq < ? ORDER BY r.seq DESC LIMIT ? + 0) a
		UNION ALL SELECT * FROM (SELECT `+formerly+` FROM version v JOIN resource r ON v.rid = r.rid WHERE `+filter+` AND v.updated >= ? AND v.seq < ? ORDER BY v.seq DESC LIMIT ? + 0) b
		) h ORDER BY seq DESC LIMIT ? + 0`, append(append(append([]any{}, args...), args...), p.Count)...)
	out := make([]Version, len(l))
	for i := range l {
		out[i] = l[i].Version
	}
	return out, total, err
}

// filter is what the resources of these versions satisfy. Of many resources, inOrder keeps SQLite
// from the indexes of scope and type, so that it takes that of seq.
func (p *Past) filter(inOrder bool) (string, []any) {
	scope, typ := "r.scope", "r.type"
	if inOrder && p.ID == "" {
		scope, typ = "r.scope + 0", "r.type || ''"
	}
	where, args := scope+" IN ("+marks(len(p.Scopes))+")", anys(p.Scopes)
	if p.Type != "" {
		where, args = where+" AND "+typ+" = ?", append(args, p.Type)
	}
	if p.ID != "" {
		where, args = where+" AND r.id = ?", append(args, p.ID)
	}
	return where, args
}

func (p *Past) since() int64 {
	if p.Since.IsZero() {
		return 0
	}
	return p.Since.UnixMilli()
}

// one reads the only row of a result.
func one(rows *sql.Rows, to ...any) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return errors.Join(sql.ErrNoRows, rows.Err())
	}
	return rows.Scan(to...)
}

// bounded is a LIMIT. SQLite plans a statement anew for every value of a limit that is a placeholder
// alone, which costs more than most searches: what pages usually have is in the text. Where the plan
// does not depend on it, "? + 0" is planned once.
func bounded(n int) sqlText {
	switch n {
	case 2, 11, 21, 51, 101, 201, 501, 1001: // one more than a page
		return text(" LIMIT " + strconv.Itoa(n))
	}
	return text(" LIMIT ?", n)
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
