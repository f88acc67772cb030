package subscription

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"salus/internal/durable"
	"salus/store"
)

// The states of a subscription (R4 value set subscription-status).
const (
	requested = "requested"
	active    = "active"
	failing   = "error"
	off       = "off"
)

// A state is what is kept of a subscription. Its file is sealed: it says who is told of what.
type state struct {
	ID        string
	Client    string
	Status    string
	Why       string  `json:",omitempty"`
	Seq       int64   // place in the store's order up to which events were looked for
	Count     int64   // events since the start, the number of the last
	Delivered int64   // number of the last that was told
	Events    []event // the last ones, by number, none of those that are not told yet missing
}

// An event is one version that a subscriber is told of.
type event struct {
	Number int64
	Type   string
	ID     string
	Owner  string
	Method store.Method
	Time   time.Time
}

// String keeps the client and the resources out of every print.
func (s state) String() string { return "[sealed]" }

// seal returns the cipher for state files.
func (s *Service) seal() (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.Key[:])
	if err != nil {
		return nil, fmt.Errorf("subscription: key: %w", err)
	}
	return cipher.NewGCM(block)
}

// file is named by the id in hex: an id may have points.
func (s *Service) file(id string) string {
	return filepath.Join(s.Dir, hex.EncodeToString([]byte(id))+".state")
}

// save makes a subscription's state durable, unless another has taken its place. The caller holds
// no lock.
func (s *Service) save(u *sub) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs[u.id] != u {
		return errReplaced
	}
	return s.put(u)
}

var errReplaced = errors.New("subscription: replaced")

// put writes the state of a subscription. The caller holds s.mu.
func (s *Service) put(u *sub) error {
	u.mu.Lock()
	b, err := json.Marshal(u.state)
	u.mu.Unlock()
	if err != nil {
		return fmt.Errorf("subscription: state: %w", err)
	}
	aead, err := s.seal()
	if err != nil {
		return err
	}
	n := make([]byte, 12)
	if _, err := rand.Read(n); err != nil {
		return fmt.Errorf("subscription: random: %w", err)
	}
	if err := durable.WriteFile(s.file(u.id), aead.Seal(n, n, b, []byte(u.id))); err != nil {
		return fmt.Errorf("subscription: state: %w", err)
	}
	return nil
}

// drop removes a subscription's state.
func (s *Service) drop(id string) error {
	if err := os.Remove(s.file(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("subscription: state: %w", err)
	}
	return durable.SyncDir(s.Dir)
}

// load reads all states.
func (s *Service) load() (out []state, err error) {
	aead, err := s.seal()
	if err != nil {
		return nil, err
	}
	names, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("subscription: directory: %w", err)
	}
	for _, e := range names {
		name, ok := strings.CutSuffix(e.Name(), ".state")
		if !ok {
			continue
		}
		id, err := hex.DecodeString(name)
		if err != nil {
			continue
		}
		b, err := os.ReadFile(s.file(string(id)))
		if err != nil {
			return nil, fmt.Errorf("subscription: state: %w", err)
		}
		var st state
		if len(b) < 12 {
			return nil, errDamaged
		}
		if b, err = aead.Open(nil, b[:12], b[12:], id); err != nil || json.Unmarshal(b, &st) != nil {
			return nil, errDamaged
		}
		out = append(out, st)
	}
	return out, nil
}

var errDamaged = errors.New("subscription: a state file is damaged, or sealed under another key")
