package devnet

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/config"
	"salus/ledger/module/governance"
)

func freePorts(t *testing.T) int {
	t.Helper()
	const size, first, count = 40, 4000, 20
	for i := range count {
		port := first + (os.Getpid()+i)%count*size
		free := true
		for j := 0; j < size && free; j++ {
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+j)))
			free = err == nil && ln.Close() == nil
		}
		if free {
			return port
		}
	}
	t.Fatal("no free block of ports")
	return 0
}

// snapshot reads every file below a folder.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		info, ierr := d.Info()
		if ierr == nil && info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(path, "genesis.json") {
			t.Errorf("%s can be read by others", path)
		}
		return errors.Join(err, ierr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestInitWritesHomesThatEveryoneAgreesOnAndOnlyOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	retain := uint64(500)
	// The snapshot interval of the defaults is longer than that.
	if _, err := Init(dir, Options{Port: 27000, Params: governance.Changes{RetainBlocks: &retain}}); err == nil {
		t.Error("parameters that contradict each other were taken")
	}
	if _, err := LoadManifest(dir); !errors.Is(err, ErrNoNetwork) {
		t.Errorf("a refused Init left a network: %v", err)
	}
	m, err := Init(dir, Options{Port: 27000})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Orgs) != 4 || !strings.HasPrefix(m.Chain, "salus-dev-") {
		t.Errorf("got %+v", m)
	}
	before := snapshot(t, dir)
	again, err := Init(dir, Options{Port: 28000})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, again); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
		t.Errorf("a second Init changed files:\n%s", d)
	}
	genesis, addresses := "", map[string]bool{}
	for _, org := range m.Orgs {
		c, err := LoadConfig(dir, org)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(c.GenesisFile())
		if err != nil {
			t.Fatal(err)
		}
		if genesis != "" && genesis != string(b) {
			t.Errorf("%s has another genesis", org)
		}
		genesis = string(b)
		if len(c.Ledger.Peers) != 3 {
			t.Errorf("%s has %d peers, want the three others", org, len(c.Ledger.Peers))
		}
		for _, a := range []string{c.Ledger.Listen, c.Ledger.RPC, c.Peer.Listen, c.Gateway.Listen} {
			if addresses[a] {
				t.Errorf("%s is used twice", a)
			}
			addresses[a] = true
		}
	}
}

func TestOpenNeedsANetwork(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, slog.Default()); !errors.Is(err, ErrNoNetwork) {
		t.Errorf("got %v, want ErrNoNetwork", err)
	}
	if _, err := API(dir); !errors.Is(err, config.ErrNoHome) {
		t.Errorf("got %v, want ErrNoHome", err)
	}
	if _, err := Attach(t.Context(), dir); err == nil {
		t.Error("attached to nothing")
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, slog.Default()); err == nil {
		t.Error("a damaged manifest was taken")
	}
}

// TestControlStartsStopsAndLiesForItsTokenOnly drives a network as `salus devnet demo` does.
func TestControlStartsStopsAndLiesForItsTokenOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := Init(dir, Options{Port: freePorts(t)}); err != nil {
		t.Fatal(err)
	}
	n, err := Open(dir, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.StartAll(t.Context()); err != nil {
		t.Fatal(errors.Join(err, n.StopAll()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	control := make(chan error, 1)
	go func() { control <- n.Control(ctx) }()
	if err := n.Start(t.Context(), "clinic"); !errors.Is(err, errRuns) {
		t.Errorf("a second start: got %v", err)
	}

	r := attach(t, dir)
	at, err := os.ReadFile(filepath.Join(dir, controlName))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"", "Bearer ", "Bearer " + strings.Repeat("0", 64)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(at)+"/stop/clinic", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if res.Body.Close(); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("with the token %q: got %d, want 401", header, res.StatusCode)
		}
	}
	if err := r.Stop(t.Context(), "nobody"); err == nil {
		t.Error("stopped an organisation that there is not")
	}
	if err := r.Start(t.Context(), "nobody"); err == nil {
		t.Error("started an organisation that there is not")
	}
	if err := r.Stop(t.Context(), "institute"); err != nil {
		t.Error(err)
	}
	if err := r.Stop(t.Context(), "institute"); err == nil {
		t.Error("stopped twice")
	}
	if err := r.Start(t.Context(), "institute"); err != nil {
		t.Error(err)
	}
	if err := r.Lie(t.Context(), "insurer"); err != nil {
		t.Error(err)
	}
	if err := r.Stop(t.Context(), "insurer"); err != nil {
		t.Error(err)
	}
	if err := r.Start(t.Context(), "insurer"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-control; err != nil {
		t.Error(err)
	}
	if _, err := Attach(t.Context(), dir); err == nil {
		t.Error("attached to a control that has ended")
	}
	if err := n.StopAll(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-n.Failed():
		t.Errorf("a member failed: %v", err)
	default:
	}
}

// attach waits for the control's file.
func attach(t *testing.T, dir string) *Remote {
	t.Helper()
	for t.Context().Err() == nil {
		if r, err := Attach(t.Context(), dir); err == nil {
			return r
		}
	}
	t.Fatal("the control does not answer")
	return nil
}
