package state

// Metrics describes the database, for benchmarks.
func (s *Store) Metrics() string { return s.base.db.Metrics().String() }
