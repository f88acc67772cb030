package store

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
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
		dsn := database(t)
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

// cluster is one PostgreSQL server for all tests of this package.
var cluster struct {
	once sync.Once
	dsn  string // without a database; "" if there is none
	why  string
	stop func()
	n    int
	mu   sync.Mutex
}

func TestMain(m *testing.M) {
	code := m.Run()
	if cluster.stop != nil {
		cluster.stop()
	}
	os.Exit(code)
}

// database makes an empty database on a real server: the one that SALUS_TEST_POSTGRES names, or one
// that the installed PostgreSQL is started as.
func database(t *testing.T) string {
	t.Helper()
	cluster.once.Do(func() {
		if cluster.dsn = os.Getenv("SALUS_TEST_POSTGRES"); cluster.dsn == "" {
			startCluster()
		}
	})
	if cluster.dsn == "" {
		t.Skipf("no PostgreSQL server to test against: %s", cluster.why)
	}
	cluster.mu.Lock()
	cluster.n++
	name := fmt.Sprintf("salus_test_%d_%d", os.Getpid(), cluster.n)
	cluster.mu.Unlock()
	admin, err := OpenPostgres(t.Context(), cluster.dsn+" search_path=pg_temp", Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.db.ExecContext(t.Context(), "CREATE SCHEMA "+name)
	if err := admin.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cluster.dsn + " search_path=" + name
}

func startCluster() {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		cluster.why = "PostgreSQL is not installed"
		return
	}
	bin := filepath.Dir(bins[len(bins)-1])
	dir, err := os.MkdirTemp("", "salus-postgres-")
	if err != nil {
		cluster.why = err.Error()
		return
	}
	as := func(name string, args ...string) *exec.Cmd {
		if os.Getuid() != 0 {
			return exec.Command(filepath.Join(bin, name), args...)
		}
		// PostgreSQL does not run as root.
		return exec.Command("setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", filepath.Join(bin, name)}, args...)...)
	}
	if os.Getuid() == 0 {
		if out, err := exec.Command("chown", "postgres", dir).CombinedOutput(); err != nil {
			cluster.why = string(bytes.TrimSpace(out))
			return
		}
	}
	data := filepath.Join(dir, "data")
	if out, err := as("initdb", "-D", data, "-A", "trust", "-U", "salus", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8").CombinedOutput(); err != nil {
		cluster.why = string(bytes.TrimSpace(out))
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cluster.why = err.Error()
		return
	}
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	server := as("postgres", "-D", data, "-p", fmt.Sprint(port), "-k", dir, "-h", "127.0.0.1")
	server.Dir = dir
	if err := server.Start(); err != nil {
		cluster.why = err.Error()
		return
	}
	ended := make(chan struct{})
	go func() { _ = server.Wait(); close(ended) }()
	cluster.stop = func() {
		_ = server.Process.Signal(os.Interrupt)
		<-ended
		_ = os.RemoveAll(dir)
	}
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=salus dbname=postgres sslmode=disable", port)
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if as("pg_isready", "-h", "127.0.0.1", "-p", fmt.Sprint(port)).Run() == nil {
			cluster.dsn = dsn
			return
		}
		select {
		case <-ended:
			cluster.why = "the server ended at once"
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	cluster.why = "the server did not get ready"
}

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
