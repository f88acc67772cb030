package store

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What is acknowledged is in the files: a copy taken then, as after a power cut, has it. Others
// write meanwhile, and the copies hold torn ends of their commits.
func TestACopyOfTheFilesHasWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	key := [32]byte{7}
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "store.db"), key, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	stop := make(chan struct{})
	var others sync.WaitGroup
	for i := range 4 {
		others.Go(func() {
			for n := i * 1_000_000; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := tryPut(s, observation(n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 40 {
		p := observation(4_000_000 + i)
		if _, err := tryPut(s, p); err != nil {
			t.Fatal(err)
		}
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.Mkdir(cut, 0o700); err != nil {
			t.Fatal(err)
		}
		// The log first: a checkpoint between the copies takes nothing out of it that is not in
		// the database by then.
		for _, name := range []string{"store.db-wal", "store.db"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(cut, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		after, err := OpenSQLite(t.Context(), filepath.Join(cut, "store.db"), key, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := after.Read(t.Context(), p.Key); err != nil {
			t.Errorf("write %d: %v after the cut", i, err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	others.Wait()
}
