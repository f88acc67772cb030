package bulk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/gateway/rest"
	"salus/store"
	"salus/store/storetest"
)

var r4 = sync.OnceValue(func() *index.Index {
	x, err := index.New(definition.R4(), "http://example.org/fhir")
	if err != nil {
		panic(err)
	}
	return x
})

// guard admits by name: the header X-Client is who asks.
type guard struct {
	mu    sync.Mutex
	leave map[string]rest.Leave
}

func (g *guard) set(client string, l rest.Leave) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave[client] = l
}

func (g *guard) Admit(r *http.Request) (*rest.Leave, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := r.Header.Get("X-Client")
	l, ok := g.leave[name]
	if !ok {
		return nil, rest.ErrUnauthorized
	}
	l.Client = strings.TrimSuffix(name, "-narrow")
	if name == "anonymous" {
		l.Client = ""
	}
	if l.Scopes == nil {
		l.Scopes = []store.Scope{store.Own}
	}
	return &l, nil
}

type world struct {
	types []string
	t     *testing.T
	store *store.Store
	guard *guard
	bulk  *Service
	rest  *rest.Server
	conf  Config
	mu    sync.Mutex
	time  time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{types: []string{"Group", "Observation", "Patient", "Practitioner"}, t: t, guard: &guard{leave: map[string]rest.Leave{"app": {}, "other": {}}}, time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.store = storetest.Open(t, store.Options{Now: w.now})
	w.conf = Config{
		Store: w.store, Guard: w.guard, Dir: filepath.Join(t.TempDir(), "bulk"), Key: [32]byte{2}, URL: "http://example.org/bulk", Prefix: "/bulk", Now: w.now,
		Log: slog.New(slog.DiscardHandler), PageSize: 2,
	}
	for _, c := range change {
		c(&w.conf)
	}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.bulk, err = Open(w.conf); err != nil {
		w.t.Fatal(err)
	}
	b := w.bulk
	w.t.Cleanup(func() { _ = b.Close() })
	w.rest = rest.New(rest.Config{
		Store: w.store, Params: r4(), Types: w.types, Index: r4().Entries, Owner: r4().Owner, Subset: r4().Subset, Guard: w.guard,
		Base: "http://example.org/fhir", Prefix: "/fhir", Now: w.now, Log: w.conf.Log, MaxBody: 1 << 16, Operations: append(w.bulk.Operations(), rest.Everything()),
	})
}

type reply struct {
	*http.Response
	body []byte
}

func (w *world) do(client, what string, body io.Reader, headers ...string) reply {
	w.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, body)
	r.Header.Set("X-Client", client)
	if body != nil {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if len(headers) > 0 && strings.HasPrefix(headers[0], "Content-Type") {
		r.Header.Set("Content-Type", strings.TrimPrefix(headers[0], "Content-Type: "))
	}
	rec := httptest.NewRecorder()
	if strings.HasPrefix(path, "/bulk") {
		w.bulk.ServeHTTP(rec, r)
	} else {
		w.rest.ServeHTTP(rec, r)
	}
	b := rec.Body.Bytes()
	return reply{rec.Result(), b}
}

func (w *world) put(resource string) {
	w.t.Helper()
	var x struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(resource), &x); err != nil {
		w.t.Fatal(err)
	}
	if r := w.do("app", "PUT /fhir/"+x.ResourceType+"/"+x.ID, strings.NewReader(resource)); r.StatusCode/100 != 2 {
		w.t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
}

func (w *world) patients(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.put(`{"resourceType":"Patient","id":"` + id + `"}`)
		for _, code := range []string{"x", "y"} {
			w.put(fmt.Sprintf(`{"resourceType":"Observation","id":"%s-%s","status":"final","code":{"coding":[{"system":"s","code":"%s"}]},"subject":{"reference":"Patient/%s"}}`, id, code, code, id))
		}
	}
}

// kick begins an export and returns the path of its status.
func (w *world) kick(client, what string, headers ...string) string {
	w.t.Helper()
	r := w.do(client, what, nil, append(headers, "Prefer: respond-async")...)
	if r.StatusCode != 202 {
		w.t.Fatalf("%s: got %d %s", what, r.StatusCode, r.body)
	}
	return strings.TrimPrefix(r.Header.Get("Content-Location"), "http://example.org")
}

// settled waits until a job has ended.
func (w *world) settled(status string) {
	w.t.Helper()
	id := strings.TrimPrefix(status, "/bulk/")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		w.bulk.mu.Lock()
		j := w.bulk.jobs[id]
		w.bulk.mu.Unlock()
		if j == nil {
			return
		}
		j.mu.Lock()
		s := j.State
		j.mu.Unlock()
		if s != running {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatal("the job does not end")
		}
	}
}

// result is all lines of all files of a finished job, as list and Type/id.
func (w *world) result(client, status string) (ids []string, m manifest) {
	w.t.Helper()
	w.settled(status)
	r := w.do(client, "GET "+status, nil)
	if r.StatusCode != 200 {
		w.t.Fatalf("status: got %d %s", r.StatusCode, r.body)
	}
	if err := json.Unmarshal(r.body, &m); err != nil {
		w.t.Fatal(err)
	}
	for _, o := range slices.Concat(m.Output, m.Deleted) {
		f := w.do(client, "GET "+strings.TrimPrefix(o.URL, "http://example.org"), nil)
		if f.StatusCode != 200 || f.Header.Get("Content-Type") != "application/fhir+ndjson" {
			w.t.Fatalf("file: got %d", f.StatusCode)
		}
		lines := bytes.Split(bytes.TrimSuffix(f.body, []byte("\n")), []byte("\n"))
		if int64(len(lines)) != o.Count {
			w.t.Errorf("%d lines, counted %d", len(lines), o.Count)
		}
		for _, l := range lines {
			var x struct {
				ResourceType, ID string
				Entry            []struct{ Request struct{ Method, URL string } }
			}
			if err := json.Unmarshal(l, &x); err != nil || x.ResourceType != o.Type {
				w.t.Fatalf("line %s: %v", l, err)
			}
			if x.ResourceType == "Bundle" {
				for _, e := range x.Entry {
					ids = append(ids, e.Request.Method+" "+e.Request.URL)
				}
				continue
			}
			ids = append(ids, x.ResourceType+"/"+x.ID)
		}
	}
	slices.Sort(ids)
	return ids, m
}

func (w *world) export(client, what string, headers ...string) string {
	w.t.Helper()
	ids, _ := w.result(client, w.kick(client, what, headers...))
	return strings.Join(ids, " ")
}

func (w *world) refused(status int, code string, r reply) {
	w.t.Helper()
	if r.StatusCode != status || !bytes.Contains(r.body, []byte(`"`+code+`"`)) {
		w.t.Errorf("got %d %s, want %d %s", r.StatusCode, r.body, status, code)
	}
}

func (w *world) onDisk() (names []string) {
	w.t.Helper()
	es, err := os.ReadDir(w.conf.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}
