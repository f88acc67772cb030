package store

import (
	"context"
	"fmt"
	"sync"
)

// A Scope is a set of resources that are searched together: Own, or what one session opened. The
// resources of a session are a cache: they end with it.
type Scope int64

// Own are the organisation's own resources.
const Own Scope = 0

// paramsOfAScope is more than there are parameters.
const paramsOfAScope = 1 << 20

// param is the number of a parameter in the index rows of a scope: in the tables those of each are by
// themselves, so that what is in one does not make searches of another longer.
func (s Scope) param(id int64) int64 { return int64(s)*paramsOfAScope + id }

// scopes hands out the numbers of sessions.
type scopes struct {
	mu   sync.Mutex
	last int64
}

// NewScope returns a scope that nothing is in.
func (s *Store) NewScope() Scope {
	s.scopes.mu.Lock()
	defer s.scopes.mu.Unlock()
	s.scopes.last++
	return Scope(s.scopes.last)
}

// EndScope removes all that is in a scope, with its index. When it returns nil, no read or search
// that begins afterwards finds any of it. Ending a scope again changes nothing; Own never ends.
func (s *Store) EndScope(ctx context.Context, scope Scope) error {
	if scope == Own {
		return ErrScope
	}
	return s.Write(ctx, func(t *Tx) error { return t.clear(scope) })
}

// EndScopes removes every scope but Own: what sessions of a former run left.
func (s *Store) EndScopes(ctx context.Context) error {
	return s.Write(ctx, func(t *Tx) error {
		for {
			var scope Scope
			if err := t.query(`SELECT COALESCE(MAX(scope), 0) FROM resource WHERE scope > 0`).scan(&scope); err != nil {
				return t.fail(err)
			}
			if scope == Own {
				return nil
			}
			if err := t.clear(scope); err != nil {
				return err
			}
		}
	})
}

// Clear removes everything, of every scope, and every mark: the store is to be made again.
func (s *Store) Clear(ctx context.Context) error {
	if err := s.EndScopes(ctx); err != nil {
		return err
	}
	return s.Write(ctx, func(t *Tx) error {
		if err := t.clear(Own); err != nil {
			return err
		}
		return t.fail(t.do(`DELETE FROM meta WHERE name LIKE 'mark.%'`))
	})
}

// clear removes the resources of a scope a part at a time, so that memory is bounded.
func (t *Tx) clear(scope Scope) error {
	for {
		l, err := t.reader().list(context.Background(), true, `SELECT `+columns+`, r.entries FROM resource r WHERE r.scope = ? LIMIT 500`, scope)
		if err != nil {
			return err
		}
		if len(l) == 0 {
			return nil
		}
		for i := range l {
			if err := t.unindex(l[i].rid, l[i].entries); err != nil {
				return t.fail(fmt.Errorf("store: end a scope: %w", err))
			}
			for _, q := range []string{`DELETE FROM version WHERE rid = ?`, `DELETE FROM resource WHERE rid = ?`} {
				if err := t.do(q, l[i].rid); err != nil {
					return t.fail(fmt.Errorf("store: end a scope: %w", err))
				}
			}
		}
	}
}
