package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// writes at the same time share one commit, within these bounds.
const (
	groupJobs = 256
	groupTime = 20 * time.Millisecond
)

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

	alone   bool    // the last commit was of one job
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
	w.unprepare()
	_ = w.conn.Close()
}

// unprepare closes the statements that were prepared. Rows that are still read keep theirs open.
func (w *writer) unprepare() {
	for _, st := range w.stmts {
		_ = st.Close()
	}
	clear(w.stmts)
}

func (w *writer) group(first *job) {
	jobs := []*job{first}
	err := w.begin()
	for until := time.Now().Add(groupTime); err == nil; {
		j := jobs[len(jobs)-1]
		if err = w.one(j); err != nil || len(jobs) == groupJobs || time.Now().After(until) {
			break
		}
		next := w.next(len(jobs) == 1 && w.alone)
		if next == nil {
			break
		}
		jobs = append(jobs, next)
	}
	w.alone = len(jobs) == 1
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

// next is a job that waits, nil if there is none. Where many write, others are about to: what is ready to run
// runs first, because a job more costs this commit less than one of its own.
func (w *writer) next(alone bool) *job {
	for range 2 {
		select {
		case j := <-w.jobs:
			return j
		default:
		}
		if alone {
			break
		}
		runtime.Gosched()
	}
	return nil
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

// prepared is a statement of the writer's connection. Searches within writes come in as many forms as clients think of:
// when there are too many, all are prepared anew.
func (w *writer) prepared(q string) (*sql.Stmt, error) {
	if st, ok := w.stmts[q]; ok {
		return st, nil
	}
	if len(w.stmts) >= maxStatements {
		w.unprepare()
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
