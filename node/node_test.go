package node_test

import (
	"context"
	"encoding/json"
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
	"time"

	"salus/config"
	"salus/internal/devnet"
	"salus/node"
)

// home writes a network of the first count sample organisations and returns their
// configurations.
func home(t *testing.T, count int) []*config.Config {
	t.Helper()
	dir := t.TempDir()
	if _, err := devnet.Init(dir, devnet.Options{Port: freePorts(t), Orgs: devnet.Orgs()[:count]}); err != nil {
		t.Fatal(err)
	}
	var out []*config.Config
	for _, o := range devnet.Orgs()[:count] {
		c, err := devnet.LoadConfig(dir, o.Name)
		if err != nil {
			t.Fatal(err)
		}
		c.Ledger.Heartbeat.Duration = time.Second
		if err := c.Save(); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func freePorts(t *testing.T) int {
	t.Helper()
	const size, first, count = 40, 32080, 15 // above is the kernel's range
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

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
}

// running is a node in this process.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, c *config.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	n, err := node.New(ctx, c, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{cancel, make(chan error, 1)}
	go func() { r.done <- n.Run(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	if r.done == nil {
		return
	}
	r.cancel()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done = nil
}

// get asks a node without a token.
func get(t *testing.T, c *config.Config, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.Gateway.Listen+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// becomes asks /readyz until it has that status.
func becomes(t *testing.T, c *config.Config, want int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		status, text := get(t, c, "/readyz")
		if status == want {
			return text
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: /readyz is %d (%s), want %d", c.Name, status, text, want)
		}
	}
}

// TestReadyFollowsConsensus: alone of two validators a node lives but is not ready; with the
// second it is; when the second goes it stops being so, and comes back with it.
func TestReadyFollowsConsensus(t *testing.T) {
	cs := home(t, 2)
	start(t, cs[0])
	var p struct {
		Code string `json:"code"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal([]byte(becomes(t, cs[0], http.StatusServiceUnavailable)), &p); err != nil || p.Code != "not-ready" {
		t.Errorf("got %+v, %v, want not-ready", p, err)
	}
	if status, _ := get(t, cs[0], "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: got %d, want 200: the process lives", status)
	}
	second := start(t, cs[1])
	becomes(t, cs[0], http.StatusOK)
	becomes(t, cs[1], http.StatusOK)

	// Two nodes of one process have metrics of their own.
	for _, c := range cs {
		status, text := get(t, c, "/metrics")
		if status != http.StatusOK || !strings.Contains(text, "salus_ready 1") {
			t.Errorf("%s: got metrics with status %d, want one that says ready", c.Name, status)
		}
	}
	second.stop(t)
	if text := becomes(t, cs[0], http.StatusServiceUnavailable); !strings.Contains(text, "too few members") {
		t.Errorf("got %s, want the reason", text)
	}
	if _, text := get(t, cs[0], "/metrics"); !strings.Contains(text, "salus_ready 0") {
		t.Error("the metrics still say ready")
	}
	start(t, cs[1])
	becomes(t, cs[0], http.StatusOK)
}

// TestStartThatFailsLeavesNothingOpen takes each port in turn: the node says which one, and
// starts when the port is free.
func TestStartThatFailsLeavesNothingOpen(t *testing.T) {
	c := home(t, 1)[0]
	for _, addr := range []string{c.Peer.Listen, c.Gateway.Listen, c.Ledger.Listen, c.Ledger.RPC} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		n, err := node.New(t.Context(), c, logger(t))
		if err == nil {
			err = n.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("%s taken: got %v", addr, err)
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, c)
	becomes(t, c, http.StatusOK)

	// A second process in the same home is refused, and so are fsck and rebuild.
	if _, err := node.New(t.Context(), c, logger(t)); !errors.Is(err, node.ErrRunning) {
		t.Errorf("a second node in one home: got %v, want ErrRunning", err)
	}
	if _, err := node.Check(t.Context(), c, logger(t), func(string) {}); !errors.Is(err, node.ErrRunning) {
		t.Errorf("fsck of a running node: got %v, want ErrRunning", err)
	}
	if _, err := node.Rebuild(t.Context(), c, logger(t)); !errors.Is(err, node.ErrRunning) {
		t.Errorf("rebuild of a running node: got %v, want ErrRunning", err)
	}
	r.stop(t)
	rep, err := node.Check(t.Context(), c, logger(t), func(string) {})
	if err != nil || !rep.Clean() || rep.Height == 0 {
		t.Errorf("fsck: got %+v, %v, want clean", rep, err)
	}
	if _, err := node.Rebuild(t.Context(), c, logger(t)); err != nil {
		t.Error(err)
	}
}

// TestStopBeforeTheFirstBlockIsNoHarm: a node that waits for the others begins again with the
// same genesis.
func TestStopBeforeTheFirstBlockIsNoHarm(t *testing.T) {
	cs := home(t, 2)
	for range 2 {
		r := start(t, cs[0])
		becomes(t, cs[0], http.StatusServiceUnavailable)
		r.stop(t)
	}
	start(t, cs[0])
	start(t, cs[1])
	becomes(t, cs[0], http.StatusOK)
}

// TestNewRefusesADamagedHome: each file that a node starts from, damaged or missing, is named.
func TestNewRefusesADamagedHome(t *testing.T) {
	c := home(t, 1)[0]
	for _, x := range []struct{ file, want string }{
		{c.GenesisFile(), "genesis"},
		{c.MemberKeyFile(), "member.key"},
		{c.PeerKeyFile(), "peer.key"},
		{c.StoreKeyFile(), "store.key"},
		{c.TokenFile(), "api.token"},
		{filepath.Join(c.Home, "node_key.json"), "node key"},
		{filepath.Join(c.Home, "priv_validator_key.json"), "priv_validator_key.json"},
	} {
		good, err := os.ReadFile(x.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, damage := range []func() error{
			func() error { return os.WriteFile(x.file, []byte("hello"), 0o600) },
			func() error { return os.WriteFile(x.file, nil, 0o600) },
			func() error { return os.Remove(x.file) },
		} {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			n, err := node.New(t.Context(), c, logger(t))
			if err == nil {
				err = n.Run(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s damaged: got %v, want one that names %s", filepath.Base(x.file), err, x.want)
			}
		}
		if err := os.WriteFile(x.file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, c)
	becomes(t, c, http.StatusOK)
}

func TestInitRefusesWhatCannotStart(t *testing.T) {
	c := home(t, 1)[0]
	genesis := c.GenesisFile()
	bad := filepath.Join(t.TempDir(), "genesis.json")
	if err := os.WriteFile(bad, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := func(dir string) node.InitOptions {
		return node.InitOptions{Home: dir, Name: "lab", Title: "Sample Laboratory", Class: "lab", Genesis: genesis, Listen: "127.0.0.1:26656"}
	}
	for name, change := range map[string]func(*node.InitOptions){
		"no port":        func(o *node.InitOptions) { o.Listen = "127.0.0.1" },
		"port too high":  func(o *node.InitOptions) { o.Listen = "127.0.0.1:65533" },
		"no genesis":     func(o *node.InitOptions) { o.Genesis = "missing" },
		"bad genesis":    func(o *node.InitOptions) { o.Genesis = bad },
		"bad name":       func(o *node.InitOptions) { o.Name = "two words" },
		"bad peers":      func(o *node.InitOptions) { o.Peers = "127.0.0.1:1" },
		"unknown class":  func(o *node.InitOptions) { o.Class = "shop" },
		"an empty title": func(o *node.InitOptions) { o.Title = "" },
	} {
		o := good(filepath.Join(t.TempDir(), "home"))
		change(&o)
		if _, err := node.Init(o); err == nil {
			t.Errorf("%s: a home was written", name)
		}
		if _, err := os.Stat(o.Home); err == nil {
			t.Errorf("%s: something was left in the home", name)
		}
	}
	o := good(filepath.Join(t.TempDir(), "home"))
	admit, err := node.Init(o)
	if err != nil {
		t.Fatal(err)
	}
	if len(admit.Validator) != 32 || len(admit.Keys) != 1 || admit.Address != "127.0.0.1:26658" {
		t.Errorf("got the application %+v", admit)
	}
	if _, err := node.Init(o); err == nil {
		t.Error("a second home was written over the first")
	}
}
