package hostile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/config"
	"salus/internal/devnet"
	"salus/internal/devnet/process"
	"salus/node"
)

// patience is the deadline of a condition, and of an answer.
const patience = 60 * time.Second

// A world is one node in this process, alone in its network, with an HL7 v2 feed.
type world struct {
	t      *testing.T
	config *config.Config
	token  string
	log    *record
	log0   *slog.Logger
	codes  map[string]bool // that the FHIR server says it has
	stop   func()
}

// listed are the codes in spec/codes-fhir.md.
func listed(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../../spec/codes-fhir.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if cells := strings.Split(line, " | "); len(cells) == 3 {
			out[strings.TrimPrefix(cells[0], "| ")] = true
		}
	}
	return out
}

// A record is the log of the node.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	const size, first, last = 10, 21500, 21590
	port, err := process.FreePorts(first, last, size, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "net")
	org := devnet.Orgs()[0]
	if _, err := devnet.Init(dir, devnet.Options{Port: port, Orgs: devnet.Orgs()[:1]}); err != nil {
		t.Fatal(err)
	}
	c, err := devnet.LoadConfig(dir, org.Name)
	if err != nil {
		t.Fatal(err)
	}
	c.Ledger.Heartbeat.Duration = time.Second
	c.LogLevel = "debug"
	c.FHIR.Packages = packages(t)
	c.FHIR.References = "local"
	c.FHIR.DeleteMany = 20
	c.Feeds = []config.Feed{{Name: "ward", Listen: net.JoinHostPort("127.0.0.1", fmt.Sprint(port+size-1)), Plain: true, Connections: 64}}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, config: c, token: strings.TrimSpace(string(token)), log: &record{}, codes: listed(t)}
	w.log0 = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(t.Context())
	n, err := node.New(ctx, c, w.log0)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the node ended: %v", err)
		}
	})
	t.Cleanup(w.stop)
	w.until("the node is ready", func() bool {
		a, err := w.send(&request{raw: []byte("GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")})
		return err == nil && a.status == http.StatusOK
	})
	return w
}

// packages are the conformance packages that are at hand.
func packages(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "fhir-packages", "us_core_6*.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("not within %s: %s\n%s", patience, what, process.Tail(w.log.String()))
		}
	}
}

// A request is what goes over one connection.
type request struct {
	name string // what was done to what
	raw  []byte
	// wire says that HTTP itself may be broken, so that the answer may be the HTTP server's own, or
	// the end of the connection.
	wire bool
	// plain says that the address is none of FHIR's.
	plain bool
	// half closes its side when all is sent, as if nobody waited for the answer.
	half bool
	// answers is how many are looked for; 0 is one.
	answers int
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// maxAnswer bounds what is kept of an answer.
const maxAnswer = 256 << 20

// send sends a request over a connection of its own and returns the last answer.
func (w *world) send(q *request) (*answer, error) {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(w.t.Context(), "tcp", w.config.Gateway.Listen)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = c.Write(q.raw) // a server that has refused does not read on
		if q.wire || q.half {
			_ = c.(*net.TCPConn).CloseWrite()
		}
	}()
	defer func() { _ = c.Close(); <-wrote }()
	head, _, _ := bytes.Cut(q.raw[:min(len(q.raw), 16)], []byte(" "))
	r := bufio.NewReader(c)
	var last *answer
	for range max(q.answers, 1) {
		res, err := http.ReadResponse(r, &http.Request{Method: string(head)})
		if err != nil {
			if last != nil {
				return last, nil
			}
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil && !q.wire {
			return nil, err
		}
		_ = res.Body.Close()
		last = &answer{res.StatusCode, res.Header, body}
		if last.status >= 500 {
			return last, nil
		}
	}
	return last, nil
}

// heap is what lives after a collection.
func heap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
