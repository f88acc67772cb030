package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"salus/fhir/search"
)

// The marks of what the index holds: by which set of parameters the resources are indexed, a number that
// the caller gave it, and the row number of the first that is not yet; 0 when all are.
const (
	markSet  = "index"
	markNext = "index.next"
)

// IndexBy says by which set of parameters all that is written from now on is indexed. It reports whether
// what is there is too; if not, Reindex has to make it so, also after a crash and in a later run. 0 is the
// set of a new store.
func (s *Store) IndexBy(ctx context.Context, set int64) (done bool, err error) {
	was, err := s.Mark(ctx, markSet)
	if err != nil {
		return false, err
	}
	if was == set {
		next, err := s.Mark(ctx, markNext)
		return next == 0, err
	}
	switch part, err := s.bodies(ctx, 1); {
	case err != nil:
		return false, err
	case len(part) == 0: // nothing is there
		return true, s.Indexed(ctx, set)
	}
	return false, s.Write(ctx, func(t *Tx) error { return errors.Join(t.SetMark(markSet, set), t.SetMark(markNext, 1)) })
}

// Indexed says that everything there is is indexed by a set of parameters: the store was made anew.
func (s *Store) Indexed(ctx context.Context, set int64) error {
	return s.Write(ctx, func(t *Tx) error { return errors.Join(t.SetMark(markSet, set), t.SetMark(markNext, 0)) })
}

// Bounds of what Reindex has in memory, and keeps other writes waiting for, at a time.
const (
	reindexBytes = 4 << 20
	reindexCount = 100
)

// Reindex gives the organisation's own resources the index entries that their bodies have now, from where
// the last call ended. It tells progress how many it has looked at. What is written meanwhile has its
// entries from its writer and is left alone; scopes are left to their end.
func (s *Store) Reindex(ctx context.Context, entries func(body []byte) ([]search.Entry, error), progress func(resources int)) error {
	next, err := s.Mark(ctx, markNext)
	if err != nil || next == 0 {
		return err
	}
	for n := 0; ; {
		part, err := s.bodies(ctx, next)
		if err != nil {
			return err
		}
		if len(part) == 0 {
			return s.Write(ctx, func(t *Tx) error { return t.SetMark(markNext, 0) })
		}
		all := make([][]search.Entry, len(part))
		for i := range part {
			if all[i], err = entries(part[i].Body); err != nil {
				return err
			}
		}
		next = part[len(part)-1].rid + 1
		if err := s.Write(ctx, func(t *Tx) error {
			return errors.Join(t.reindex(part, all), t.SetMark(markNext, next))
		}); err != nil {
			return err
		}
		n += len(part)
		progress(n)
	}
}

// bodies reads the next resources from a row number.
func (s *Store) bodies(ctx context.Context, from int64) (part []found, err error) {
	rows, err := s.rows(ctx, `SELECT `+columns+` FROM resource r WHERE r.rid >= ? AND r.scope + 0 = 0 AND r.method <> 3 ORDER BY r.rid LIMIT ? + 0`, from, reindexCount)
	if err != nil {
		return nil, fmt.Errorf("store: reindex: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for size := 0; size < reindexBytes && rows.Next(); {
		var f found
		if err := rows.Scan(f.columns(false)...); err != nil {
			return nil, fmt.Errorf("store: reindex: %w", err)
		}
		part = append(part, f.finish())
		size += len(f.Body)
	}
	return part, rows.Err()
}

// reindex writes the entries of those resources that are still as they were read.
func (t *Tx) reindex(part []found, all [][]search.Entry) error {
	type changed struct {
		rid  int64
		rows []row
	}
	var to []changed
	for i := range part {
		f := &part[i]
		var seq int64
		var method Method
		var old []byte
		err := t.query(`SELECT seq, method, entries FROM resource WHERE rid = ?`, f.rid).scan(&seq, &method, &old)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			continue
		case err != nil:
			return t.fail(err)
		case seq != f.Seq || method == Delete: // an erasure leaves seq
			continue
		}
		rows, err := t.rowsOf(&Put{Key: f.Key, Entries: all[i]})
		if err != nil {
			return err
		}
		kept, err := encodeRows(rows)
		if err != nil {
			return err
		}
		if bytes.Equal(kept, old) {
			continue
		}
		if err := t.unindex(f.rid, old); err != nil {
			return t.fail(err)
		}
		if err := t.do(`UPDATE resource SET entries = ? WHERE rid = ?`, kept, f.rid); err != nil {
			return t.fail(err)
		}
		to = append(to, changed{f.rid, rows})
	}
	for _, c := range to {
		if len(t.w.added)-t.w.written > maxAdded {
			if err := t.settle(); err != nil {
				return t.fail(err)
			}
		}
		t.add(c.rid, c.rows)
	}
	return nil
}
