package store

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
)

// Reads that are under way when the store is closed end whole or with an error, and none begins after.
func TestCloseWaitsForReadsUnderWay(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, Options{Readers: 2})
	if err != nil {
		t.Fatal(err)
	}
	want, err := tryPut(s, observation(1))
	if err != nil {
		t.Fatal(err)
	}
	var begun, ended sync.WaitGroup
	for range 8 {
		begun.Add(1)
		ended.Go(func() {
			var first sync.Once
			for {
				got, err := s.Read(context.Background(), want.Key)
				first.Do(begun.Done)
				if err != nil {
					return
				}
				if got.Seq != want.Seq || len(got.Body) != len(want.Body) {
					t.Errorf("got version %d of %d bytes", got.Seq, len(got.Body))
					return
				}
			}
		})
	}
	begun.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ended.Wait()
	if _, err := s.Read(t.Context(), want.Key); err == nil {
		t.Error("a closed store was read")
	}
}

func TestARequestThatHasEndedReadsNothing(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	v, err := tryPut(s, observation(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Read(ctx, v.Key); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
