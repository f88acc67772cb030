package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// Options of a Store. The zero value is good.
type Options struct {
	Now     func() time.Time // time.Now if nil
	Readers int              // connections that read at the same time; 4 if zero
}

// A Store keeps resources in one database. It is safe for concurrent use.
type Store struct {
	d   *dialect
	now func() time.Time
	db  *sql.DB // for reading
	wdb *sql.DB // for the writer; the same database

	jobs chan *job
	done chan struct{} // closed when the writer has ended

	params  params
	stmts   statements
	points  points
	scopes  scopes
	changed signal

	cursors *cursors

	closing   chan struct{}
	closeOnce sync.Once
}

// OpenSQLite opens the store in a file, encrypted under key, and makes it if there is none.
// Errors: ErrKey, ErrNewer, or what the file system says.
func OpenSQLite(ctx context.Context, path string, key [32]byte, o Options) (*Store, error) {
	q := url.Values{
		"vfs": {fileSystem}, "hexkey": {hex.EncodeToString(key[:])},
		"_pragma": {fmt.Sprintf("page_size(%d)", pageSize), "busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "cache_size(-65536)", "temp_store(memory)", "secure_delete(fast)", "wal_autocheckpoint(16000)"},
	}
	name := "file:" + url.PathEscape(path) + "?" + q.Encode()
	open := func() (*sql.DB, error) { return driver.Open(name) }
	return start(ctx, &sqliteDialect, open, o)
}

// OpenPostgres opens the store in a PostgreSQL database, in the schema that its search_path names
// first, and makes its tables if there are none.
func OpenPostgres(ctx context.Context, dsn string, o Options) (*Store, error) {
	open := func() (*sql.DB, error) {
		connector, err := stdlib.GetDefaultDriver().(*stdlib.Driver).OpenConnector(dsn)
		if err != nil {
			return nil, errors.New("store: the PostgreSQL address does not parse") // it may hold a password
		}
		return sql.OpenDB(connector), nil
	}
	return start(ctx, &postgresDialect, open, o)
}

func start(ctx context.Context, d *dialect, open func() (*sql.DB, error), o Options) (s *Store, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	s = &Store{d: d, now: o.Now, jobs: make(chan *job), done: make(chan struct{}), closing: make(chan struct{})}
	if s.cursors, err = newCursors(); err != nil {
		return nil, err
	}
	if s.wdb, err = open(); err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	s.wdb.SetMaxOpenConns(1)
	if err := prepare(ctx, s.wdb, d); err != nil {
		if errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT) {
			err = errors.Join(ErrKey, err)
		}
		return nil, errors.Join(err, s.wdb.Close())
	}
	if s.db, err = open(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open: %w", err), s.wdb.Close())
	}
	s.db.SetMaxOpenConns(o.Readers)
	s.db.SetMaxIdleConns(o.Readers)
	w, err := newWriter(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.db.Close(), s.wdb.Close())
	}
	go w.run()
	return s, nil
}

// Close waits for writes under way and closes the database.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.done
	return errors.Join(s.stmts.close(), s.points.close(), s.db.Close(), s.wdb.Close())
}

// params are the numbers of search parameters in this database.
type params struct {
	mu   sync.RWMutex
	byID map[string]int64
}

func (p *params) get(name string) (int64, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	id, ok := p.byID[name]
	return id, ok
}

func (p *params) put(name string, id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[name] = id
}
