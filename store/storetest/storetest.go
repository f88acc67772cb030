// Package storetest has clinical stores for the tests of other rooms.
//
// Contract: a store is a file of the test's own, encrypted, and closed when the test ends; that it does not close
// is a failure of the test. It must never be imported by anything but tests.
package storetest

import (
	"path/filepath"
	"testing"

	"salus/store"
)

// Open returns an empty store.
func Open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}
