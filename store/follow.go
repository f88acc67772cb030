package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// A signal tells those who follow the store that something was committed.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// Changed is closed at the next commit. Taken before After is asked, it misses nothing.
func (s *Store) Changed() <-chan struct{} { return s.changed.wait() }

// After returns the versions of the organisation's own resources that were written after seq, the
// first first, and at most count of them.
func (s *Store) After(ctx context.Context, seq int64, count int) ([]Version, error) {
	// In one statement, because what is written between two would be passed over. Each table by its
	// index of seq: adding 0 keeps SQLite from taking that of the scope, the same for nearly all rows.
	// See bounded for the 0 that is added to the limits.
	l, err := s.reader().list(ctx, false, `SELECT * FROM (
		SELECT * FROM (SELECT `+columns+` FROM resource r WHERE r.seq > ? AND r.scope + 0 = 0 ORDER BY r.seq LIMIT ? + 0) a
		UNION ALL SELECT * FROM (SELECT `+formerly+` FROM version v JOIN resource r ON v.rid = r.rid WHERE v.seq > ? AND r.scope + 0 = 0 ORDER BY v.seq LIMIT ? + 0) b
		) h ORDER BY seq LIMIT ? + 0`, seq, count, seq, count, count)
	out := make([]Version, len(l))
	for i := range l {
		out[i] = l[i].Version
	}
	return out, err
}

// Beyond counts the versions of the organisation's own resources that were written after seq, but for those of a
// record. Of the current ones and of the former ones it counts most at the most, because it looks at each.
func (s *Store) Beyond(ctx context.Context, seq int64, record string, most int) (n int, err error) {
	rows, err := s.reader().src.rows(ctx, `SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM resource r WHERE r.seq > ? AND r.scope + 0 = 0 AND r.record <> ? LIMIT CAST(? AS BIGINT)) a)
		+ (SELECT COUNT(*) FROM (SELECT 1 FROM version v JOIN resource r ON v.rid = r.rid WHERE v.seq > ? AND r.scope + 0 = 0 AND v.record <> ? LIMIT CAST(? AS BIGINT)) b)`,
		seq, record, most, seq, record, most)
	if err == nil {
		err = one(rows, &n)
	}
	if err != nil {
		return 0, fmt.Errorf("store: read: %w", err)
	}
	return n, nil
}

// Mark returns a number that was set under a name, 0 if none was.
func (s *Store) Mark(ctx context.Context, name string) (n int64, err error) {
	rows, err := s.reader().src.rows(ctx, `SELECT value FROM meta WHERE name = ?`, "mark."+name)
	if err != nil {
		return 0, fmt.Errorf("store: read: %w", err)
	}
	var text string
	switch err := one(rows, &text); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("store: read: %w", err)
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, fmt.Errorf("store: a mark is damaged: %w", err)
	}
	return n, nil
}

// SetMark sets a number: how far somebody who follows the store has come.
func (t *Tx) SetMark(name string, n int64) error {
	return t.fail(t.do(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, "mark."+name, strconv.FormatInt(n, 10)))
}
