package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// An Erasure names what is to be no more.
type Erasure struct {
	// Versions of the organisation's own resources. What stays of one is that there was a version of that number;
	// reading it says ErrGone.
	Versions []Named
	// Owners are compartments all of whose resources go, with their histories. Of the organisation's own there stays
	// that they were there.
	Owners []string
	// Records are names of records, as Put.Record gave them, that sessions' scopes may hold.
	Records []string
}

// A Named version; VID 0 is none.
type Named struct {
	Type, ID string
	VID      int64
}

// Erase destroys bodies and index rows. When it returns nil, no read or search finds any of it, and the database's
// files do not hold it any more: freed pages are overwritten and the write-ahead log is emptied (SQLite), or the tables
// are written anew (PostgreSQL). What is not there is passed over, so it may be repeated.
func (s *Store) Erase(ctx context.Context, e Erasure) error {
	var changed bool
	err := s.Write(ctx, func(t *Tx) error {
		if s.d.numbered {
			return t.erase(&e, &changed)
		}
		// Pages that this frees are overwritten; at other times they are only reused.
		if err := t.w.exec(`PRAGMA secure_delete = ON`); err != nil {
			return t.fail(err)
		}
		return errors.Join(t.erase(&e, &changed), t.w.exec(`PRAGMA secure_delete = FAST`))
	})
	if err != nil || !changed {
		return err
	}
	return s.scour(ctx)
}

// scour takes what was erased out of the database's files.
func (s *Store) scour(ctx context.Context) error {
	if s.d.numbered {
		for _, table := range []string{"resource", "version", "idx_token", "idx_text", "idx_ref", "idx_span", "idx_quantity", "idx_sort"} {
			if _, err := s.db.ExecContext(ctx, `VACUUM FULL `+table); err != nil {
				return fmt.Errorf("store: erase: %w", err)
			}
		}
		return nil
	}
	var busy, log, moved int
	if err := s.db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil {
		return fmt.Errorf("store: erase: %w", err)
	}
	if busy != 0 {
		return ErrErasing
	}
	return nil
}

// ErrErasing: the bodies are gone from the tables, but a read under way keeps the write-ahead log from being emptied;
// Erase has to be called again.
var ErrErasing = errors.New("store: a read under way keeps the log of writes; erase again")

func (t *Tx) erase(e *Erasure, changed *bool) error {
	for _, n := range e.Versions {
		if err := t.eraseVersion(n, changed); err != nil {
			return err
		}
	}
	for _, o := range e.Owners {
		if o == "" {
			continue
		}
		if err := errors.Join(t.eraseOwner(o, changed), t.eraseAll(`r.scope > 0 AND r.owner = ?`, o, changed)); err != nil {
			return err
		}
	}
	for _, r := range e.Records {
		if err := t.eraseAll(`r.scope > 0 AND r.record = ?`, r, changed); err != nil {
			return err
		}
	}
	return nil
}

// eraseVersion leaves a version without content: for a reader, one that deleted the resource.
func (t *Tx) eraseVersion(n Named, changed *bool) error {
	var rid, vid int64
	var method Method
	var entries []byte
	err := t.query(`SELECT rid, vid, method, entries FROM resource WHERE type = ? AND id = ? AND scope = ?`, n.Type, n.ID, Own).scan(&rid, &vid, &method, &entries)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return t.fail(err)
	}
	if vid == n.VID {
		if method == Delete && len(entries) == 0 {
			return nil
		}
		*changed = true
		if err := t.unindex(rid, entries); err != nil {
			return t.fail(err)
		}
		return t.fail(t.do(`UPDATE resource SET method = ?, body = NULL, entries = NULL WHERE rid = ?`, Delete, rid))
	}
	err = t.query(`SELECT method FROM version WHERE rid = ? AND vid = ?`, rid, n.VID).scan(&method)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && method == Delete:
		return nil
	case err != nil:
		return t.fail(err)
	}
	*changed = true
	return t.fail(t.do(`UPDATE version SET method = ?, body = NULL WHERE rid = ? AND vid = ?`, Delete, rid, n.VID))
}

// eraseOwner empties all versions of the organisation's own resources in a compartment.
func (t *Tx) eraseOwner(owner string, changed *bool) error {
	for {
		l, err := t.reader().list(context.Background(), true, `SELECT `+columns+`, r.entries FROM resource r WHERE r.owner = ? AND r.scope = 0 AND
			(r.body IS NOT NULL OR EXISTS (SELECT 1 FROM version v WHERE v.rid = r.rid AND v.body IS NOT NULL)) LIMIT 500`, owner)
		if err != nil {
			return t.fail(err)
		}
		if len(l) == 0 {
			return nil
		}
		*changed = true
		for i := range l {
			if err := t.unindex(l[i].rid, l[i].entries); err != nil {
				return t.fail(err)
			}
			for _, q := range []string{`UPDATE version SET method = ?, body = NULL WHERE rid = ?`, `UPDATE resource SET method = ?, body = NULL, entries = NULL WHERE rid = ?`} {
				if err := t.do(q, Delete, l[i].rid); err != nil {
					return t.fail(err)
				}
			}
		}
	}
}

// eraseAll removes resources with all their versions, a part at a time.
func (t *Tx) eraseAll(where, what string, changed *bool) error {
	for {
		l, err := t.reader().list(context.Background(), true, `SELECT `+columns+`, r.entries FROM resource r WHERE `+where+` LIMIT 500`, what)
		if err != nil {
			return t.fail(err)
		}
		if len(l) == 0 {
			return nil
		}
		*changed = true
		for i := range l {
			if err := t.unindex(l[i].rid, l[i].entries); err != nil {
				return t.fail(err)
			}
			for _, q := range []string{`DELETE FROM version WHERE rid = ?`, `DELETE FROM resource WHERE rid = ?`} {
				if err := t.do(q, l[i].rid); err != nil {
					return t.fail(err)
				}
			}
		}
	}
}
