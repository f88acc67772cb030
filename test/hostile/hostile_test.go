package hostile

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/fhirxml"
	"salus/internal/devnet/process"
	"salus/node"
	"salus/seal"
	"salus/store"
)

var (
	seed     = flag.Uint64("hostile.seed", 1, "what the requests are made from")
	requests = flag.Int("hostile.requests", 1500, "how many")
	only     = flag.Int("hostile.only", -1, "send this one alone, after the valid ones")
)

const (
	// clients send at the same time.
	clients = 4
	// slowClients never finish what they send.
	slowClients = 80
	// maxHeap is what may live in this process, node and test together, after all of it.
	maxHeap = 384 << 20
	// maxGoroutines is how many more there may be than before: one for each Subscription, of which one
	// client has at most 100, and a few of connections that end.
	maxGoroutines = 100 + 40
)

// made is the i-th request: of the seed and its number alone.
func made(i int, token string) *request {
	r := rand.New(rand.NewPCG(*seed, uint64(i)))
	switch k := r.IntN(100); {
	case k < 10:
		c := valid(r)
		return &request{name: "valid: " + c.method + " " + c.path, raw: c.wire(token)}
	case k < 80:
		q := mutated(r, token)
		q.half = r.IntN(10) == 0
		return q
	case k < 88:
		return bomb(r, token)
	case k < 94:
		return garbage(r, token)
	}
	return smuggled(r, token)
}

func TestHostileRequestsLeaveTheNodeWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("a node and 1,500 requests: up to a minute")
	}
	w := newWorld(t)
	r := rand.New(rand.NewPCG(*seed, 1<<40))
	for _, make := range []func(*rand.Rand, string) string{patient, observation} { // that what is named is there
		for i := range 12 {
			x := make(r, fmt.Sprint("h", i))
			res, err := fhir.Parse([]byte(x))
			if err != nil {
				t.Fatal(err)
			}
			c := &call{method: "PUT", path: res.Type() + "/" + res.ID(), body: x, header: http.Header{"Content-Type": {jsonType}}}
			if a, err := w.send(&request{raw: c.wire(w.token)}); err != nil || a.status != http.StatusCreated {
				t.Fatalf("got %+v, %v, want 201\n%s", a, err, process.Tail(w.log.String()))
			}
		}
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	if *only >= 0 {
		q := made(*only, w.token)
		if len(q.raw) < 4096 {
			t.Logf("%s\n%q", q.name, q.raw)
		}
		w.judge(*only, q)
	} else {
		slow := w.slow(slowClients)
		w.run()
		w.mllp(r)
		if n := slow(); n > 0 {
			t.Errorf("%d of %d slow clients were still connected after %s", n, slowClients, patience)
		}
	}
	back := time.Now().Add(patience / 2)
	w.until("the goroutines are back", func() bool { return runtime.NumGoroutine() <= goroutines+maxGoroutines || time.Now().After(back) })
	if n := runtime.NumGoroutine(); n > goroutines+maxGoroutines {
		var b bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // to memory: it cannot fail
		t.Errorf("%d goroutines, %d before:\n%s", n, goroutines, b.String()[:min(b.Len(), 4000)])
	}
	if now := heap(); now > maxHeap {
		t.Errorf("%d MiB live in memory after %d requests, %d MiB before, want at most %d", now>>20, *requests, before>>20, maxHeap>>20)
	} else {
		t.Logf("%d MiB live in memory, %d before", now>>20, before>>20)
	}
	w.answers()
	w.stop()
	w.silent()
	w.whole()
}

// run sends the requests.
func (w *world) run() {
	w.t.Helper()
	var next, slowest atomic.Int64
	var mu sync.Mutex
	statuses := map[int]int{}
	slowestName := ""
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= *requests || w.t.Failed() && i > 50 && failures.Load() > 20 {
					return
				}
				began := time.Now()
				q := made(i, w.token)
				status := w.judge(i, q)
				mu.Lock()
				statuses[status]++
				if d := time.Since(began).Milliseconds(); d > slowest.Load() {
					slowest.Store(d)
					slowestName = fmt.Sprintf("%d (%s)", i, q.name)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	w.t.Logf("answers by status (0: the connection was closed): %v; the slowest took %d ms: %s", statuses, slowest.Load(), slowestName)
}

var failures atomic.Int64

// code is the form of the codes that refusals bear.
var code = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// judge sends the i-th request and says what is wrong with its answer.
func (w *world) judge(i int, q *request) int {
	w.t.Helper()
	wrong := func(format string, args ...any) {
		failures.Add(1)
		w.t.Errorf("seed %d, request %d, %s: %s", *seed, i, q.name, fmt.Sprintf(format, args...))
	}
	a, err := w.send(q)
	switch {
	case err != nil && (q.wire || len(q.raw) > 200<<10):
		return 0 // hung up: a server that has refused does not read a long body to its end
	case err != nil:
		wrong("no answer: %v", err)
		return 0
	case a.status == http.StatusNotImplemented && q.wire, a.status == http.StatusHTTPVersionNotSupported && q.wire:
		return a.status // RFC 9112, 6.1 and RFC 9110, 15.6.6: what HTTP itself asks for
	case a.status >= 500:
		wrong("got %d\n%s", a.status, a.body[:min(len(a.body), 600)])
	case a.status >= 400 && !q.plain && !q.wire && !bytes.HasPrefix(q.raw, []byte("HEAD ")):
		var o struct {
			ResourceType string
			Issue        []struct {
				Code    string
				Details struct {
					Text   string
					Coding []struct{ Code string }
				}
			}
		}
		said := a.body
		if bytes.HasPrefix(said, []byte("<?xml")) {
			said, _ = fhirxml.ToJSON(definition.R4().Model(), said) // nil, which is no outcome, if it is no resource
		}
		if json.Unmarshal(said, &o) != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
			wrong("got %d without an OperationOutcome: %q", a.status, a.body[:min(len(a.body), 300)])
			return a.status
		}
		for _, x := range o.Issue {
			if x.Code == "" || x.Details.Text == "" || len(x.Details.Coding) == 0 || !code.MatchString(x.Details.Coding[0].Code) {
				wrong("got an issue without a stable code: %+v", x)
			} else if c := x.Details.Coding[0].Code; !w.codes[c] {
				wrong("got the code %s, which spec/codes-fhir.md does not list", c)
			}
		}
	}
	w.sound(wrong, q, a)
	if bytes.Contains(a.body, []byte("goroutine ")) || bytes.Contains(a.body, []byte(".go:")) {
		wrong("the answer tells of the program: %q", a.body[:min(len(a.body), 300)])
	}
	return a.status
}

// answers wants that the node does its work as before.
func (w *world) answers() {
	w.t.Helper()
	c := &call{method: "PUT", path: "Patient/after", body: `{"resourceType":"Patient","id":"after","active":true}`, header: http.Header{"Content-Type": {jsonType}, "Salus-Wait": {"active"}}}
	// What was written before is on its way to the ledger still, some thousands of patients: until
	// it is this one's turn, the answer after 30 s is "stored".
	a, err := w.send(&request{raw: c.wire(w.token)})
	if err != nil || a.status != http.StatusCreated {
		w.t.Errorf("a write afterwards: got %+v, %v, want 201", a, err)
	}
	for end := time.Now().Add(5 * patience); err == nil && a.header.Get("Salus-Status") != "active"; {
		if time.Now().After(end) {
			w.t.Errorf("a write afterwards is not active after %s: got %+v", 5*patience, a)
			break
		}
		a, err = w.send(&request{raw: c.wire(w.token)})
	}
	if err != nil || a.status/100 != 2 {
		w.t.Errorf("writes afterwards: got %+v, %v", a, err)
	}
	c = &call{method: "GET", path: "Patient", query: "_id=after", header: http.Header{}}
	if a, err = w.send(&request{raw: c.wire(w.token)}); err != nil || a.status != http.StatusOK || !bytes.Contains(a.body, []byte(`"total":1`)) && !bytes.Contains(a.body, []byte(`"id":"after"`)) {
		w.t.Errorf("a search afterwards: got %+v, %v", a, err)
	}
}

// silent wants no panic and no failure in the log, and nothing of any body.
func (w *world) silent() {
	w.t.Helper()
	text := w.log.String()
	if !strings.Contains(text, "level=DEBUG") && !strings.Contains(text, "level=INFO") {
		w.t.Error("the log is empty: it proves nothing")
	}
	said := map[string]int{}
	for line := range strings.Lines(text) {
		for _, bad := range []string{canary, "panic", "request_failed", "level=ERROR"} {
			if strings.Contains(line, bad) {
				if said[bad]++; said[bad] < 4 {
					w.t.Errorf("the log says %q: %s", bad, line[:min(len(line), 800)])
				}
			}
		}
	}
}

// whole wants that nothing on disk is damaged, and that each version in the clinical store reads,
// searches and counts as one.
func (w *world) whole() {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	rep, err := node.Check(ctx, w.config, w.log0, func(string) {})
	if err != nil {
		w.t.Fatalf("%v\n%s", err, process.Tail(w.log.String()))
	}
	if !rep.Clean() {
		w.t.Errorf("node fsck: %+v", rep.Parts)
	}
	text, err := os.ReadFile(w.config.StoreKeyFile())
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	st, err := store.OpenSQLite(ctx, filepath.Join(w.config.Data("fhir"), "store.db"), seal.Sum("clinical-store", key), store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			w.t.Error(err)
		}
	}()
	last, n := map[store.Key]store.Version{}, 0
	for seq := int64(0); ; {
		list, err := st.After(ctx, seq, 500)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, v := range list {
			if seq = v.Seq; v.VID != last[v.Key].VID+1 {
				w.t.Errorf("version %d of a %s follows version %d", v.VID, v.Type, last[v.Key].VID)
			}
			last[v.Key], n = v, n+1
			if v.Method == store.Delete {
				continue
			}
			if r, err := fhir.Parse(v.Body); err != nil || r.Type() != v.Type {
				w.t.Errorf("a version of a %s is no resource: %v", v.Type, err)
			}
		}
	}
	for k, want := range last {
		got, err := st.Read(ctx, k)
		if want.Method == store.Delete {
			if !errors.Is(err, store.ErrGone) {
				w.t.Errorf("a deleted %s: got %v, want ErrGone", k.Type, err)
			}
		} else if err != nil || got.VID != want.VID || !slices.Equal(got.Body, want.Body) {
			w.t.Errorf("a %s reads as version %d, %v, want %d", k.Type, got.VID, err, want.VID)
		}
	}
	w.t.Logf("%d versions of %d resources are whole", n, len(last))
}
