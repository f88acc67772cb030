package bulk

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salus/gateway/rest"
	"salus/internal/durable"
)

// The states of a job.
const (
	running = "running"
	done    = "done"
	failed  = "failed"
	expired = "expired" // a record without key, request and files: its client is told what became of them
)

// remembered is how long it is told of a job that it has expired.
const remembered = 30 * 24 * time.Hour

// A job is one $export or $import. What is exported by name is in its record on disk.
type job struct {
	ID      string
	Key     []byte // of its files; it exists here alone
	Client  string
	Limits  string // of what its client saw
	Request string
	Started time.Time // the transactionTime
	Expires time.Time
	State   string
	Fault   *rest.Issue `json:",omitempty"`
	Files   []file

	mu       sync.Mutex
	ending   sync.Mutex // held while the record of its end is written, and while it is destroyed: never the one after the other
	progress string
	written  int64
	polled   time.Time
	cancel   func()
}

// A file is one of a job's.
type file struct {
	List   string // output, deleted or error
	Type   string
	Number uint32
	Count  int64
}

func newJob(client string) (*job, error) {
	var id [16]byte
	key := make([]byte, 32)
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("bulk: random: %w", err)
	}
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("bulk: random: %w", err)
	}
	return &job{ID: hex.EncodeToString(id[:]), Key: key, Client: client, State: running, progress: "started"}, nil
}

// String keeps the key and the client out of every print.
func (j *job) String() string { return "[sealed]" }

func (s *Service) path(id string, n uint32) string {
	return filepath.Join(s.Dir, fmt.Sprintf("%s.%d", id, n))
}

func (s *Service) record(id string) string { return filepath.Join(s.Dir, id+".job") }

// save makes a job's record durable, sealed under the service's key. The caller holds j.mu, so that nobody
// is told what a crash would still take back.
func (s *Service) save(j *job) (err error) {
	b, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("bulk: record: %w", err)
	}
	aead, err := newAEAD(s.Key[:])
	if err != nil {
		return err
	}
	n := make([]byte, 12)
	if _, err := rand.Read(n); err != nil {
		return fmt.Errorf("bulk: random: %w", err)
	}
	if err := durable.WriteFile(s.record(j.ID), aead.Seal(n, n, b, []byte(j.ID))); err != nil {
		return fmt.Errorf("bulk: record: %w", err)
	}
	return nil
}

// load reads the jobs of a former run. One that was under way has failed; what does not open is
// removed: without its record nothing of a job can be read.
func (s *Service) load() error {
	names, err := os.ReadDir(s.Dir)
	if err != nil {
		return fmt.Errorf("bulk: directory: %w", err)
	}
	aead, err := newAEAD(s.Key[:])
	if err != nil {
		return err
	}
	for _, e := range names {
		id, ok := strings.CutSuffix(e.Name(), ".job")
		if !ok {
			continue
		}
		b, err := os.ReadFile(s.record(id))
		if err != nil {
			return fmt.Errorf("bulk: record: %w", err)
		}
		j := &job{}
		if len(b) < 12 {
			continue
		}
		if b, err = aead.Open(nil, b[:12], b[12:], []byte(id)); err != nil || json.Unmarshal(b, j) != nil {
			s.Log.Warn("bulk_record_damaged")
			continue
		}
		if j.State == running {
			j.State, j.Files = failed, nil
			j.Fault = &errInterrupted.Issues[0]
			if err := s.save(j); err != nil {
				return err
			}
		}
		s.jobs[j.ID] = j
	}
	for _, e := range names {
		id, _, _ := strings.Cut(e.Name(), ".")
		if j := s.jobs[id]; j == nil || j.State != done && !strings.HasSuffix(e.Name(), ".job") {
			if err := os.Remove(filepath.Join(s.Dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("bulk: directory: %w", err)
			}
		}
	}
	return nil
}

// destroy removes a job: its record, which alone has the key, first.
func (s *Service) destroy(j *job) error {
	j.ending.Lock()
	defer j.ending.Unlock()
	if err := os.Remove(s.record(j.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("bulk: remove: %w", err)
	}
	if err := durable.SyncDir(s.Dir); err != nil {
		return fmt.Errorf("bulk: remove: %w", err)
	}
	return s.wipe(j)
}

// expire leaves of a job that it was there: its key goes with the record that had it, then its files.
func (s *Service) expire(j *job) error {
	j.ending.Lock()
	defer j.ending.Unlock()
	s.mu.Lock()
	kept := s.jobs[j.ID] == j
	s.mu.Unlock()
	if !kept {
		return nil // deleted meanwhile
	}
	left := &job{ID: j.ID, Client: j.Client, Limits: j.Limits, State: expired, Expires: s.Now().UTC().Add(remembered)}
	if err := s.save(left); err != nil {
		return err
	}
	s.mu.Lock()
	s.jobs[j.ID] = left
	s.mu.Unlock()
	return s.wipe(j)
}

// wipe forgets the key of a job whose record is gone, and removes its files.
func (s *Service) wipe(j *job) error {
	j.mu.Lock()
	clear(j.Key)
	j.State = expired // to whom still holds it
	n := uint32(len(j.Files))
	j.mu.Unlock()
	for i := range n + 1 { // one may be under way
		if err := os.Remove(s.path(j.ID, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("bulk: remove: %w", err)
		}
	}
	return nil
}
