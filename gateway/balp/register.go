package balp

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"salus/internal/durable"
)

// Kept is what the privacy officer keeps for accountings of disclosures. Who gets one changes nothing in it.
type Kept struct {
	Suspensions []Suspension      `json:"suspensions"` // in the order of their numbers, also those that have ended
	Studies     map[string]Study  `json:"studies"`     // by name
	Addresses   map[string]string `json:"addresses"`   // of recipients: Who.Reference, Value or Display
}

// address is where a recipient is, "" if that is not known.
func (k *Kept) address(w Who) string {
	for _, name := range []string{w.Reference, w.Value, w.Display} {
		if a := k.Addresses[name]; a != "" {
			return a
		}
	}
	return ""
}

// A Register keeps it in one file, sealed with AES-256-GCM, whole before or after a change. It is safe for
// concurrent use.
type Register struct {
	file string
	aead cipher.AEAD

	writing sync.Mutex   // one change at a time
	mu      sync.RWMutex // guards kept, whose content never changes
	kept    *Kept
}

// ErrRegister is a file that does not open.
var ErrRegister = errors.New("balp: what is kept for accountings of disclosures is damaged or sealed under another key")

// registerBound is what the seal binds besides the content.
var registerBound = []byte("salus/balp/register/v1")

// OpenRegister reads the file; there need not be one yet. Errors: ErrRegister, or what the file system says.
func OpenRegister(file string, key [32]byte) (*Register, error) {
	r := &Register{file: file, kept: &Kept{Suspensions: []Suspension{}, Studies: map[string]Study{}, Addresses: map[string]string{}}}
	var err error
	if r.aead, err = newSeal(key); err != nil {
		return nil, err
	}
	sealed, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("balp: register: %w", err)
	}
	plain, err := r.aead.Open(nil, nil, sealed, registerBound)
	if err != nil || json.Unmarshal(plain, r.kept) != nil {
		return nil, ErrRegister
	}
	return r, nil
}

// Kept is what is kept now, to be read only.
func (r *Register) Kept() *Kept {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.kept
}

// Change has do change a copy and keeps that: nil says that it is on disk. If do fails, nothing changes. Do records
// what it does: no other change comes between.
func (r *Register) Change(do func(*Kept) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	was := r.Kept()
	next := &Kept{slices.Clone(was.Suspensions), maps.Clone(was.Studies), maps.Clone(was.Addresses)}
	if err := do(next); err != nil {
		return err
	}
	plain, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("balp: register: %w", err)
	}
	sealed := r.aead.Seal(nil, nil, plain, registerBound) //nolint:gosec // the AEAD draws its nonces itself
	if err := durable.WriteFile(r.file, sealed); err != nil {
		return fmt.Errorf("balp: register: %w", err)
	}
	r.mu.Lock()
	r.kept = next
	r.mu.Unlock()
	return nil
}

func withheld(suspensions []Suspension, e *Event, at time.Time) bool {
	return slices.ContainsFunc(suspensions, func(s Suspension) bool { return s.withholds(e, at) })
}

// told are the entries that a patient is told of. Her own log would tell her what her accounting
// withholds (164.528(a)(2)(i)): it leaves the same out, and does not count it. It can be left out of what only
// this member recorded; the ledger's entries are complete by their own chain, which she reads without it.
func (r *Reader) told(all []entry) []entry {
	if r.Register == nil {
		return all
	}
	suspensions, now := r.Register.Kept().Suspensions, r.Recorder.now()
	return slices.DeleteFunc(all, func(e entry) bool { return e.event.Ledger == nil && withheld(suspensions, &e.event, now) })
}
