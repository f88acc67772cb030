package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"salus/internal/pgtest"
)

// on runs a test on every database there is.
func on(t *testing.T, f func(t *testing.T, open func() *Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		f(t, func() *Store {
			s, err := OpenSQLite(t.Context(), path, [32]byte{1}, Options{})
			return opened(t, s, err)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := pgtest.Schema(t)
		f(t, func() *Store {
			s, err := OpenPostgres(t.Context(), dsn, Options{})
			return opened(t, s, err)
		})
	})
}

func opened(t *testing.T, s *Store, err error) *Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// put writes one version, or fails the test.
func put(t testing.TB, s *Store, p Put) Version {
	t.Helper()
	v, err := tryPut(s, p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func tryPut(s *Store, p Put) (v Version, err error) {
	err = s.Write(context.Background(), func(tx *Tx) (err error) {
		v, err = tx.Put(p)
		return err
	})
	return v, err
}
