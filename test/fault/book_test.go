// Package fault breaks a network of four processes on purpose, under load: kills, pauses, damaged and
// full disks, cut links. It keeps a book of every acknowledgement its clients received and compares the
// network with it afterwards. It must never take a silence for an acknowledgement, nor an uncertain
// answer for a refusal.
package fault

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"

	"salus/ledger/tx"
)

// digest names exact bytes.
type digest [sha256.Size]byte

func digestOf(b []byte) digest { return sha256.Sum256(b) }

// consentState is what the patient's wallet was last told.
type consentState int

const (
	denied  consentState = iota // nothing granted, or an acknowledged revocation
	granted                     // an acknowledged grant
	unclear                     // a grant or revocation whose end nobody said
)

// A story is one patient of one author.
type story struct {
	author  string
	patient tx.Account
	name    string // of her files
	wallet  string // empty: nobody claimed the pseudonym

	mu      sync.Mutex // guards what is below
	sent    map[digest]bool
	stored  map[digest]bool // acknowledged as stored or active
	active  map[digest]bool // acknowledged as active
	consent consentState
	heights map[int64]string // acknowledged on the ledger about her, and what
}

// note writes an acknowledgement down.
func (s *story) note(active bool, bodies ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range bodies {
		s.stored[digestOf(b)] = true
		if active {
			s.active[digestOf(b)] = true
		}
	}
}

func (s *story) send(bodies ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range bodies {
		s.sent[digestOf(b)] = true
	}
}

func (s *story) set(c consentState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consent = c
}

func (s *story) on(height int64, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heights[height] = what
}

// expected is what a session that opens now must be able to read.
func (s *story) expected() (must map[digest]bool, c consentState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	must = map[digest]bool{}
	for d := range s.active {
		must[d] = true
	}
	return must, s.consent
}

// wrong lists what is wrong with the bodies that a reader got without an error, and counts the records that she
// should have got too.
func (s *story) wrong(must map[digest]bool, c consentState, got [][]byte) (out []string, kept int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := map[digest]bool{}
	for _, b := range got {
		have[digestOf(b)] = true
		if !s.sent[digestOf(b)] {
			out = append(out, "a reader got bytes that nobody wrote")
		}
	}
	switch c {
	case denied:
		if len(got) > 0 {
			out = append(out, fmt.Sprintf("%d records were released without consent", len(got)))
		}
	case granted:
		kept = missing(must, have)
	case unclear: // either is right
	}
	return out, kept
}

func missing(must, have map[digest]bool) (n int) {
	for d := range must {
		if !have[d] {
			n++
		}
	}
	return n
}

// The book is everything acknowledged, and everything that was found wrong while it went on.
type book struct {
	mu      sync.Mutex
	stories []*story
	faults  []string
	counts  map[string]int
}

func newBook() *book { return &book{counts: map[string]int{}} }

func (b *book) add(s *story) *story {
	s.sent, s.stored, s.active, s.heights = map[digest]bool{}, map[digest]bool{}, map[digest]bool{}, map[int64]string{}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stories = append(b.stories, s)
	return s
}

func (b *book) all() []*story {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.stories)
}

func (b *book) count(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[what]++
}

func (b *book) counted(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[what]
}

func (b *book) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// own is a record as its author has it after the faults.
type own struct {
	digest digest
	active bool
}

// lost compares what an author still has with what it acknowledged.
func lost(s *story, have []own) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there, times := map[digest]own{}, map[digest]int{}
	for _, o := range have {
		there[o.digest] = o
		if times[o.digest]++; times[o.digest] == 2 {
			out = append(out, "a record is there twice")
		}
		if !s.sent[o.digest] {
			out = append(out, "a record is there that nobody wrote")
		}
	}
	for d := range s.stored {
		if o, ok := there[d]; !ok {
			out = append(out, "an acknowledged record is lost")
		} else if !o.active {
			out = append(out, "an acknowledged record does not become active")
		}
	}
	return out
}

// unlogged lists what was acknowledged on the ledger about a patient, but is not in her access log.
func unlogged(s *story, heights map[int64]bool) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, what := range s.heights {
		if !heights[h] {
			out = append(out, fmt.Sprintf("the access log lacks the %s of block %d", what, h))
		}
	}
	return out
}

// block is what a node says of one height.
type block struct{ id, app string }

// forks compares the nodes' chains wherever two of them have the same height.
func forks(chains map[string]map[int64]block) (out []string) {
	said := map[int64]map[block][]string{}
	for org, chain := range chains {
		for h, b := range chain {
			if said[h] == nil {
				said[h] = map[block][]string{}
			}
			said[h][b] = append(said[h][b], org)
		}
	}
	for h, by := range said {
		if len(by) > 1 {
			out = append(out, fmt.Sprintf("a fork at height %d: %v", h, by))
		}
	}
	return out
}

// stops are the words of a log that no fault excuses on a node whose disk is sound.
var stops = []string{"panic", "CONSENSUS FAILURE", "goroutine 1 ", "fatal error", "internal error"}

// broken lists the lines of a log that tell of a panic.
func broken(log string) (out []string) {
	for line := range strings.Lines(log) {
		for _, s := range stops {
			if strings.Contains(line, s) {
				out = append(out, strings.TrimSpace(line[:min(len(line), 400)]))
				break
			}
		}
	}
	return out
}
