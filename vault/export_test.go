package vault

import "github.com/cockroachdb/pebble/vfs"

// OpenIn keeps the index in fs.
func OpenIn(fs vfs.FS, dir string, o Options) (*Store, error) { return open(fs, dir, o) }

// Die ends the store as a crash does: nothing is flushed.
func (s *Store) Die() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.ix != nil {
		s.ix.close()
	}
	s.release()
}

// Queued is the number of writes that wait for the next group.
func (s *Store) Queued() int {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	return len(s.queue)
}
