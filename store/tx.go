package store

import "errors"

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
