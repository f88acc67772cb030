package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// points are the statements that read one resource of SQLite by its key, one on each reading connection.
// They go past database/sql, which for a single row costs as much as SQLite does.
type points struct {
	mu     sync.RWMutex // held for reading while a statement is used
	by     sync.Map     // *sqlite3.Stmt of each *sqlite3.Conn; used by who has the connection
	closed bool
}

// close waits for reads under way and ends the statements: SQLite closes no connection that has some.
func (p *points) close() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.by.Range(func(conn, st any) bool {
		p.by.Delete(conn)
		err = errors.Join(err, st.(*sqlite3.Stmt).Close())
		return true
	})
	return err
}

// read returns the current version of a resource on a connection of db. A read is too short to be
// interrupted: ctx ends the wait for a connection.
func (p *points) read(ctx context.Context, db *sql.DB, k Key) (v Version, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return Version{}, fmt.Errorf("store: read: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return Version{}, ErrClosed
	}
	found := false
	err = conn.Raw(func(c any) (err error) {
		st, err := p.statement(c.(driver.Conn).Raw())
		if err == nil {
			v, found, err = pointed(st, k)
		}
		return err
	})
	switch {
	case err != nil:
		return Version{}, fmt.Errorf("store: read: %w", err)
	case !found:
		return Version{}, ErrNotFound
	case v.Method == Delete:
		return v, ErrGone
	}
	return v, nil
}

func (p *points) statement(c *sqlite3.Conn) (*sqlite3.Stmt, error) {
	if st, ok := p.by.Load(c); ok {
		return st.(*sqlite3.Stmt), nil
	}
	st, _, err := c.PrepareFlags(current, sqlite3.PREPARE_PERSISTENT)
	if err == nil {
		p.by.Store(c, st)
	}
	return st, err
}

// pointed runs current and leaves its statement ready for the next.
func pointed(st *sqlite3.Stmt, k Key) (v Version, found bool, err error) {
	defer func() { err = errors.Join(err, st.Reset()) }()
	if err := errors.Join(st.BindText(1, k.Type), st.BindText(2, k.ID), st.BindInt64(3, int64(k.Scope))); err != nil {
		return v, false, err
	}
	if !st.Step() {
		return v, false, st.Err()
	}
	v = Version{ // the places of columns
		Key: k, VID: st.ColumnInt64(4), Seq: st.ColumnInt64(5), Updated: time.UnixMilli(st.ColumnInt64(6)).UTC(), Method: Method(st.ColumnInt64(7)),
		Owner: st.ColumnText(8), Record: st.ColumnText(9), Body: st.ColumnBlob(10, nil),
	}
	return v, true, st.Err()
}
