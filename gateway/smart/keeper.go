package smart

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"salus/seal"
)

// ErrNoRow is the error of a Keeper that has no row under a key.
var ErrNoRow = errors.New("smart: no such row")

// A Keeper keeps rows by key. Keys hold hashes and ids that were drawn, no secrets.
type Keeper interface {
	// Load returns a row. Errors: ErrNoRow.
	Load(key string) ([]byte, error)
	// Each calls f with every row whose key begins with prefix, in the order of the keys.
	Each(prefix string, f func(key string, value []byte) error) error
	// Change runs f alone: nobody else changes anything meanwhile. What f did is durable when
	// Change returns nil; if f returns an error, nothing has happened. f must not call the Keeper.
	Change(f func(Rows) error) error
}

// Rows are what a change sees and does.
type Rows interface {
	Load(key string) ([]byte, error)
	Each(prefix string, f func(key string, value []byte) error) error
	Put(key string, value []byte) error
	Drop(key string) error
}

// Kinds of rows: what a key begins with.
const (
	rowClient  = "client/"  // + client id: Client
	rowCode    = "code/"    // + hash: codeRow
	rowGrant   = "grant/"   // + hash of its id: grant
	rowToken   = "token/"   // + hash: Token
	rowOf      = "of/"      // + hash of a grant's id + "/" + hash: tokenOf
	rowLaunch  = "launch/"  // + hash: launchRow
	rowSession = "session/" // + hash: session
	rowJTI     = "jti/"     // + hash of client and jti: ends
	rowOnce    = "once/"    // + hash: onceRow, a sign-in code
	rowKey     = "key/"     // + key id: signingKey
	rowPasskey = "passkey/" // + hash of a credential's id: Passkey
)

// secretLen is the length of every secret's text: 32 random bytes.
var secretLen = base64.RawURLEncoding.EncodedLen(32)

// keyOf is the key of the row for a secret, which is not kept itself. A secret has 256
// bits, so that its plain hash tells nothing.
func keyOf(kind, secret string) string { return kind + digest(kind, secret) }

func digest(parts ...string) string {
	raw := make([][]byte, len(parts))
	for i, p := range parts {
		raw[i] = []byte(p)
	}
	sum := seal.Sum("smart-row", raw...)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// loader is a Keeper or its Rows.
type loader interface {
	Load(key string) ([]byte, error)
}

func load[T any](k loader, key string) (*T, error) {
	b, err := k.Load(key)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, fmt.Errorf("smart: a row is damaged: %w", err)
	}
	return v, nil
}

func put(r Rows, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("smart: row: %w", err)
	}
	return r.Put(key, b)
}

// ends is the part that all rows have which end by themselves: Unix seconds.
type ends struct {
	Ends int64 `json:",omitempty"`
}

func until(t time.Time) ends { return ends{t.Unix()} }

func (e ends) over(now time.Time) bool { return e.Ends != 0 && now.Unix() >= e.Ends }

// Sweep removes rows that have ended. Nothing depends on when it is called: what has
// ended is refused before.
func (s *Server) Sweep() error {
	var gone []string
	for _, kind := range []string{rowCode, rowGrant, rowToken, rowOf, rowLaunch, rowSession, rowJTI, rowOnce, rowKey} {
		err := s.Keeper.Each(kind, func(key string, value []byte) error {
			var row ends
			if json.Unmarshal(value, &row) == nil && row.over(s.Now()) {
				gone = append(gone, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	s.flows.sweep(s.Now())
	if len(gone) == 0 {
		return nil
	}
	return s.Keeper.Change(func(r Rows) error {
		for _, key := range gone {
			if err := r.Drop(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Memory is a Keeper that forgets when the process ends: for tests and trials.
type Memory struct {
	mu   sync.RWMutex
	rows map[string][]byte
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{rows: map[string][]byte{}} }

// Load implements Keeper.
func (m *Memory) Load(key string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return memRows(m.rows).Load(key)
}

// Each implements Keeper.
func (m *Memory) Each(prefix string, f func(string, []byte) error) error {
	m.mu.RLock()
	rows := maps.Clone(m.rows)
	m.mu.RUnlock()
	return memRows(rows).Each(prefix, f)
}

// Change implements Keeper.
func (m *Memory) Change(f func(Rows) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := memRows(maps.Clone(m.rows))
	if err := f(rows); err != nil {
		return err
	}
	m.rows = rows
	return nil
}

type memRows map[string][]byte

func (m memRows) Load(key string) ([]byte, error) {
	if v, ok := m[key]; ok {
		return slices.Clone(v), nil
	}
	return nil, ErrNoRow
}

func (m memRows) Each(prefix string, f func(string, []byte) error) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := f(key, m[key]); err != nil {
			return err
		}
	}
	return nil
}

func (m memRows) Put(key string, value []byte) error { m[key] = slices.Clone(value); return nil }
func (m memRows) Drop(key string) error              { delete(m, key); return nil }

// cache holds tokens that were read lately. It is the only copy outside the Keeper:
// who drops a token's row forgets it here before that is told to anybody.
type cache struct {
	mu     sync.RWMutex
	tokens map[string]*Token
	turn   uint64 // how often something was forgotten
}

const maxCached = 20_000

// find returns a token, and the turn at which it was looked for.
func (c *cache) find(key string) (*Token, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tokens[key], c.turn
}

// hold keeps a token that was read at a turn, unless something was forgotten since: it
// may have been this one.
func (c *cache) hold(key string, t *Token, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn != turn {
		return
	}
	if c.tokens == nil || len(c.tokens) >= maxCached {
		c.tokens = map[string]*Token{}
	}
	c.tokens[key] = t
}

func (c *cache) forget(keys ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	for _, k := range keys {
		delete(c.tokens, k)
	}
}
