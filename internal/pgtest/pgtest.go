// Package pgtest has a real PostgreSQL server for tests: the one that SALUS_TEST_POSTGRES names, or else one of the
// test process's own, started from the PostgreSQL that Debian installs.
//
// Contract: a schema is empty and no other test's. A server that was started ends with [Main], or with the process
// when that is killed. Where there is none, tests skip and say why. It must never be imported by anything but tests.
package pgtest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// A server is one that runs.
type server struct {
	dsn  string // without a schema
	stop func()
}

var (
	started server
	start   = sync.OnceValues(func() (string, error) {
		if dsn := os.Getenv("SALUS_TEST_POSTGRES"); dsn != "" {
			return dsn, nil
		}
		s, err := run()
		started = s
		return s.dsn, err
	})
	schemas atomic.Int64
)

// Main runs a package's tests and ends the server. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if started.stop != nil {
		started.stop()
	}
	return code
}

// Schema returns the address (a libpq connection string) of an empty schema.
func Schema(t testing.TB) string {
	t.Helper()
	dsn, err := start()
	if err != nil {
		t.Skipf("no PostgreSQL server to test against: %v", err)
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("salus_test_%d_%d", os.Getpid(), schemas.Add(1))
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+name)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return dsn + " search_path=" + name
}

// run starts a server in a folder of its own.
func run() (s server, err error) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(bins) == 0 {
		return s, errors.New("PostgreSQL is not installed")
	}
	bin := filepath.Dir(bins[len(bins)-1])
	dir, err := os.MkdirTemp("", "salus-postgres-")
	if err != nil {
		return s, err
	}
	// It ends with this process, and does not run as root.
	with := []string{"--pdeathsig=INT"}
	if os.Getuid() == 0 {
		with = append(with, "--reuid=postgres", "--regid=postgres", "--clear-groups")
		if err := done(exec.Command("chown", "postgres", dir)); err != nil { //nolint:gosec // the folder made above
			return s, err
		}
	}
	as := func(name string, args ...string) *exec.Cmd {
		return exec.Command("setpriv", slices.Concat(with, []string{filepath.Join(bin, name)}, args)...) //nolint:gosec // the programs of PostgreSQL
	}
	data := filepath.Join(dir, "data")
	if err := done(as("initdb", "-D", data, "-A", "trust", "-U", "salus", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")); err != nil {
		return s, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	port := fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)
	_ = ln.Close()
	postgres := as("postgres", "-D", data, "-p", port, "-k", dir, "-h", "127.0.0.1")
	postgres.Dir = dir
	if err := postgres.Start(); err != nil {
		return s, err
	}
	ended := make(chan struct{})
	go func() { _ = postgres.Wait(); close(ended) }()
	s.stop = func() {
		_ = postgres.Process.Signal(os.Interrupt)
		<-ended
		_ = os.RemoveAll(dir)
	}
	s.dsn = "host=127.0.0.1 port=" + port + " user=salus dbname=postgres sslmode=disable"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if as("pg_isready", "-h", "127.0.0.1", "-p", port).Run() == nil {
			return s, nil
		}
		select {
		case <-ended:
			return s, errors.New("the server ended at once")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return s, errors.New("the server did not get ready")
}

// done runs a program to its end; the error has what it said.
func done(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
