package subscription

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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

// clients admits by name, with a request and without.
type clients struct {
	mu    sync.Mutex
	leave map[string]rest.Leave
}

func (c *clients) get(name string) (*rest.Leave, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.leave[name]
	if !ok {
		return nil, rest.ErrUnauthorized
	}
	if name != "anonymous" {
		l.Client = name
	}
	l.Scopes = []store.Scope{store.Own}
	return &l, nil
}

func (c *clients) set(name string, l rest.Leave) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave[name] = l
}

func (c *clients) end(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leave, name)
}

func (c *clients) Admit(r *http.Request) (*rest.Leave, error) { return c.get(r.Header.Get("X-Client")) }

// A hit is what an endpoint received.
type hit struct {
	method, url string
	header      http.Header
	body        []byte
}

// endpoint stands for all of them.
type endpoint struct {
	hits chan hit
	mu   sync.Mutex
	code int
}

func (e *endpoint) answer(code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.code = code
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	code := e.code
	e.mu.Unlock()
	select {
	case e.hits <- hit{r.Method, r.URL.String(), r.Header, b}:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Location": {"http://169.254.169.254/"}}, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

type world struct {
	t       *testing.T
	store   *store.Store
	clients *clients
	hook    *endpoint
	s       *Service
	rest    *rest.Server
	conf    Config
	run     chan error
	cancel  func()
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clients: &clients{leave: map[string]rest.Leave{"app": {}, "other": {}}}, hook: &endpoint{hits: make(chan hit, 1000), code: 200}}
	w.store = storetest.Open(t, store.Options{})
	w.conf = Config{
		Store: w.store, Guard: w.clients, Leave: func(_ context.Context, client string) (*rest.Leave, error) { return w.clients.get(client) },
		Types: []string{"Observation", "Patient", "Subscription"}, Dir: filepath.Join(t.TempDir(), "subscriptions"), Key: [32]byte{3},
		Base: "http://example.org/fhir", TopicBase: "http://example.org/topic", WebSocket: "ws://example.org/ws",
		Allow: []string{"https://hook.example.org/in", "http://[::1]:8080/"}, Client: &http.Client{Transport: w.hook}, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Retry: time.Millisecond, MaxRetry: 2 * time.Millisecond, Failures: 4, MinHeartbeat: time.Millisecond,
	}
	for _, c := range change {
		c(&w.conf)
	}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	var err error
	if w.s, err = Open(w.conf); err != nil {
		w.t.Fatal(err)
	}
	s := w.s
	w.rest = rest.New(rest.Config{
		Store: w.store, Params: r4(), Types: w.conf.Types, Index: r4().Entries, Owner: r4().Owner, Subset: r4().Subset, Guard: w.clients,
		Base: w.conf.Base, Prefix: "/fhir", Now: time.Now, Log: w.conf.Log, Operations: s.Operations(), Check: s.Check, Topics: s.Topics(), WebSocket: w.conf.WebSocket,
		Written: func(ctx context.Context, _ http.Header, versions []store.Version) http.Header {
			s.Written(ctx, versions)
			return nil
		},
	})
	w.s.Server = w.rest
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	w.run = make(chan error, 1)
	go func(run chan error) { run <- s.Run(ctx) }(w.run)
}

func (w *world) stop() {
	w.cancel()
	if err := <-w.run; err != nil {
		w.t.Error(err)
	}
	w.run <- nil
	if err := w.s.Close(); err != nil {
		w.t.Error(err)
	}
}

type reply struct {
	*http.Response
	body []byte
}

func (w *world) do(client, what, body string) reply {
	w.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequestWithContext(w.t.Context(), method, "/fhir"+path, strings.NewReader(body))
	r.Header.Set("X-Client", client)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	rec := httptest.NewRecorder()
	w.rest.ServeHTTP(rec, r)
	return reply{rec.Result(), rec.Body.Bytes()}
}

func (w *world) put(client, resource string) {
	w.t.Helper()
	var x struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(resource), &x); err != nil {
		w.t.Fatal(err)
	}
	if r := w.do(client, "PUT /"+x.ResourceType+"/"+x.ID, resource); r.StatusCode/100 != 2 {
		w.t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
}

// observe writes an Observation about a patient with a code.
func (w *world) observe(id, patient, code string) {
	w.t.Helper()
	w.put("app", `{"resourceType":"Observation","id":"`+id+`","status":"final","code":{"coding":[{"system":"s","code":"`+code+`"}]},"subject":{"reference":"Patient/`+patient+`"},"valueString":"<b>"}`)
}

func (w *world) hit() hit {
	w.t.Helper()
	select {
	case h := <-w.hook.hits:
		return h
	case <-time.After(time.Minute):
		w.t.Fatal("the endpoint is not called")
		return hit{}
	}
}

// notice is a notification as a subscriber reads it.
type notice struct {
	Type  string
	Entry []struct {
		FullURL  string
		Resource struct {
			ResourceType string
			ID           string
			Parameter    []struct {
				Name           string
				ValueCode      string
				ValueString    string
				ValueCanonical string
				Part           []struct {
					Name           string
					ValueString    string
					ValueReference struct{ Reference string }
				}
			}
		}
		Request struct{ Method, URL string }
	}
}

func read(t *testing.T, b []byte) notice {
	t.Helper()
	var n notice
	if err := json.Unmarshal(b, &n); err != nil || len(n.Entry) == 0 || n.Entry[0].Resource.ResourceType != "Parameters" {
		t.Fatalf("no notification: %s", b)
	}
	return n
}

// kind is the type, and the numbers with their focus, of a notification.
func (n notice) text() (out string) {
	for _, p := range n.Entry[0].Resource.Parameter {
		switch p.Name {
		case "type":
			out += p.ValueCode
		case "notification-event":
			for _, x := range p.Part {
				switch x.Name {
				case "event-number":
					out += " " + x.ValueString
				case "focus":
					out += "=" + strings.TrimPrefix(x.ValueReference.Reference, "http://example.org/fhir/")
				}
			}
		}
	}
	return out
}

// until waits for a condition.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !f(); {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("never: %s", what)
		}
	}
}

// becomes waits until a Subscription has a status.
func (w *world) becomes(id, status string) {
	w.t.Helper()
	w.until(id+" is "+status, func() bool {
		return bytes.Contains(w.do("app", "GET /Subscription/"+id, "").body, []byte(`"status":"`+status+`"`))
	})
}

// quiet makes sure that everything written so far was looked at, and the endpoint was not called.
func (w *world) quiet(id string) {
	w.t.Helper()
	last, _, err := w.store.History(w.t.Context(), store.Past{Scopes: []store.Scope{store.Own}, Count: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("all is looked at", func() bool {
		w.s.mu.Lock()
		u := w.s.subs[id]
		w.s.mu.Unlock()
		st := u.copied()
		return st.Status == off || st.Status == failing || st.Seq >= last[0].Seq && st.Delivered == st.Count
	})
	select {
	case h := <-w.hook.hits:
		w.t.Errorf("the endpoint is called: %s %s", h.method, h.body)
	default:
	}
}

const hookAt = `"endpoint":"https://hook.example.org/in/x"`

// plain is an R4 Subscription.
func plain(id, criteria, channel string) string {
	return `{"resourceType":"Subscription","id":"` + id + `","status":"requested","reason":"test","criteria":"` + criteria + `","channel":{` + channel + `}}`
}

// topical is one to a topic.
func topical(id, topic, filter, content, channel string) string {
	f := ""
	if filter != "" {
		f = `"_criteria":{"extension":[{"url":"` + backport + `filter-criteria","valueString":"` + filter + `"}]},`
	}
	return `{"resourceType":"Subscription","id":"` + id + `","status":"requested","reason":"test","criteria":"http://example.org/topic/` + topic + `",` + f +
		`"channel":{"payload":"application/fhir+json","_payload":{"extension":[{"url":"` + backport + `payload-content","valueCode":"` + content + `"}]},` + channel + `}}`
}

func jsonInto(b []byte, v any) error { return json.Unmarshal(b, v) }
