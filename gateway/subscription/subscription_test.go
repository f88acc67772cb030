package subscription

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"salus/fhir/search"
	"salus/gateway/rest"
)

const toHook = `"type":"rest-hook",` + hookAt

func TestAPlainSubscriptionIsTold(t *testing.T) {
	w := newWorld(t)
	w.put("app", plain("empty", "Observation?code=x", toHook+`,"header":["Authorization: Bearer t","X-A: 1"]`))
	w.becomes("empty", active)
	w.observe("o1", "a", "y")
	w.observe("o2", "a", "x")
	h := w.hit()
	if h.method != "POST" || h.url != "https://hook.example.org/in/x" || len(h.body) != 0 || h.header.Get("Authorization") != "Bearer t" {
		t.Errorf("got %+v", h)
	}
	w.quiet("empty")
	w.do("app", "DELETE /Observation/o2", "")
	w.observe("o1", "a", "x") // matches now
	w.hit()
	w.observe("o1", "a", "y") // and no more
	w.quiet("empty")
	w.do("app", "DELETE /Subscription/empty", "")
	w.put("app", plain("full", "Observation?code=x", toHook+`,"payload":"application/fhir+json"`))
	w.becomes("full", active)
	w.observe("o3", "a", "x")
	if h := w.hit(); h.method != "PUT" || h.url != "https://hook.example.org/in/x/Observation/o3" || !bytes.Contains(h.body, []byte(`"valueString":"<b>"`)) {
		t.Errorf("got %s %s %s", h.method, h.url, h.body)
	}
	w.quiet("full")
}

func TestATopicIsTold(t *testing.T) {
	w := newWorld(t)
	w.put("app", topical("s", "observation-create", "Observation?code=x", "id-only", toHook))
	h := w.hit()
	if n := read(t, h.body); n.text() != "handshake" || n.Type != "history" || h.header.Get("Content-Type") != "application/fhir+json" {
		t.Errorf("got %s", h.body)
	}
	w.becomes("s", active)
	w.observe("o1", "a", "x")
	n := read(t, w.hit().body)
	if n.text() != "event-notification 1=Observation/o1" || len(n.Entry) != 2 || n.Entry[1].Resource.ID != "" || n.Entry[1].Request.Method != "POST" {
		t.Errorf("got %+v", n)
	}
	w.observe("o1", "a", "x") // an update
	w.observe("o2", "a", "y") // another code
	w.quiet("s")
	w.observe("o3", "a", "x")
	if n := read(t, w.hit().body); n.text() != "event-notification 2=Observation/o3" {
		t.Errorf("got %s", n.text())
	}
	w.quiet("s")

	w.put("app", topical("d", "observation-delete", "", "full-resource", toHook))
	w.hit()
	w.becomes("d", active)
	w.do("app", "DELETE /Observation/o3", "")
	if n := read(t, w.hit().body); n.text() != "event-notification 1=Observation/o3" || n.Entry[1].Request.Method != "DELETE" {
		t.Errorf("got %+v", n)
	}
	w.put("app", topical("e", "patient-update", "", "empty", toHook))
	w.hit()
	w.becomes("e", active)
	w.put("app", `{"resourceType":"Patient","id":"a"}`)
	w.put("app", `{"resourceType":"Patient","id":"a","gender":"male"}`)
	if n := read(t, w.hit().body); n.text() != "event-notification 1" || len(n.Entry) != 1 {
		t.Errorf("got %+v", n)
	}
	w.put("app", topical("f", "patient-update", "", "full-resource", toHook))
	w.hit()
	w.becomes("f", active)
	w.do("app", "DELETE /Subscription/e", "")
	w.put("app", `{"resourceType":"Patient","id":"a","gender":"other"}`)
	if n := read(t, w.hit().body); n.Entry[1].Resource.ID != "a" {
		t.Errorf("got %+v", n)
	}
	if r := w.do("app", "GET /metadata", ""); !bytes.Contains(r.body, []byte(`"valueCanonical":"http://example.org/topic/patient-update"`)) || !bytes.Contains(r.body, []byte(`"valueUri":"ws://example.org/ws"`)) {
		t.Error("the statement does not tell of topics and websockets")
	}
}

func TestASubscriberIsToldWhatItMaySeeOnly(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Failures = 1 << 20 })
	code, _ := r4().Param("Observation", "code")
	w.clients.set("mother", rest.Leave{Owner: "Patient/a"})
	w.clients.set("lab", rest.Leave{Within: map[string][][]search.Clause{"Observation": {{{Param: code, Values: []search.Value{{Text: "x"}}}}}}})
	for _, c := range []string{"mother", "lab"} {
		w.clients.mu.Lock()
		l := w.clients.leave[c]
		w.clients.mu.Unlock()
		w.clients.set(c, rest.Leave{}) // to write it: it is in nobody's compartment
		w.put(c, topical(c, "observation-create", "", "id-only", toHook))
		w.hit()
		w.becomes(c, active)
		w.clients.set(c, l)
	}
	w.observe("hidden", "b", "y")
	w.quiet("mother")
	w.quiet("lab")
	w.observe("hers", "a", "y")
	if n := read(t, w.hit().body); n.text() != "event-notification 1=Observation/hers" {
		t.Errorf("got %s", n.text())
	}
	w.quiet("mother")
	w.quiet("lab")
	w.observe("labs", "b", "x")
	if n := read(t, w.hit().body); n.text() != "event-notification 1=Observation/labs" { // the first that it saw has the first number
		t.Errorf("got %s", n.text())
	}
	// What is hidden while it waits is told without what it is.
	w.hook.answer(503)
	w.observe("later", "b", "x")
	w.hit()
	w.clients.set("lab", rest.Leave{Within: map[string][][]search.Clause{"Observation": {}}})
	w.hook.answer(200)
	w.until("it is told", func() bool {
		n := read(t, w.hit().body)
		return n.text() == "event-notification 2" && len(n.Entry) == 1
	})
}

func TestWhoIsToldOfWhomIsAccountedFor(t *testing.T) {
	var mu sync.Mutex
	var told []string
	broken := true
	w := newWorld(t, func(c *Config) {
		c.Failures = 1 << 20
		c.Told = func(_ context.Context, client, id string, owners []string) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				broken = false
				return errors.New("no room")
			}
			told = append(told, client+" "+id+" "+strings.Join(owners, ","))
			return nil
		}
	})
	w.put("app", topical("s", "observation-create", "", "id-only", toHook))
	w.hit()
	w.becomes("s", active)
	w.observe("o1", "a", "x") // not sent until it is accounted for
	w.hit()
	w.quiet("s")
	w.do("app", "DELETE /Subscription/s", "")
	w.put("app", topical("d", "observation-delete", "", "id-only", toHook))
	w.hit()
	w.becomes("d", active)
	w.do("app", "DELETE /Observation/o1", "")
	w.hit()
	w.do("app", "GET /Subscription/d/$events", "")
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(told, "; "); got != "app s Patient/a; app d Patient/a; app d Patient/a" {
		t.Errorf("got %s", got)
	}
}

func TestASessionThatEndedIsToldNothing(t *testing.T) {
	w := newWorld(t)
	w.put("other", topical("s", "observation-create", "", "empty", toHook))
	w.hit()
	w.becomes("s", active)
	w.clients.end("other")
	w.observe("o", "a", "x")
	w.becomes("s", off)
	w.quiet("s")
	if r := w.do("app", "GET /Subscription/s", ""); !bytes.Contains(r.body, []byte(`"error":"`+whyAccess+`"`)) {
		t.Errorf("got %s", r.body)
	}
	// Nor does it begin again when the authorisation does.
	w.clients.set("other", rest.Leave{})
	w.observe("p", "a", "x")
	w.quiet("s")
	// Who may read no more of that type has no authorisation either.
	w.put("other", topical("s", "observation-create", "", "empty", toHook))
	w.hit()
	w.becomes("s", active)
	w.clients.set("other", rest.Leave{May: func(_ rest.Interaction, typ string) bool { return typ == "Patient" }})
	w.observe("q", "a", "x")
	w.quiet("s")
}

func TestAnEndpointThatFailsIsTriedAgainAndGivenUp(t *testing.T) {
	w := newWorld(t)
	w.put("app", topical("s", "observation-create", "", "id-only", toHook+`,"extension":[{"url":"`+backport+`max-count","valuePositiveInt":2}]`))
	w.hit()
	w.becomes("s", active)
	w.hook.answer(302) // a redirect is no success, and is not followed
	w.observe("o1", "a", "x")
	w.hit()
	w.observe("o2", "a", "x")
	w.observe("o3", "a", "x")
	w.becomes("s", failing)
	for len(w.hook.hits) > 0 {
		if h := w.hit(); strings.Contains(h.url, "169.254") {
			t.Error("a redirect was followed")
		}
	}
	if r := w.do("app", "GET /Subscription/s", ""); !bytes.Contains(r.body, []byte(whyFailed)) {
		t.Errorf("got %s", r.body)
	}
	// Asked for again, what was not told is told, and the numbers go on.
	w.hook.answer(200)
	w.put("app", topical("s", "observation-create", "", "id-only", toHook))
	if n := read(t, w.hit().body); n.text() != "handshake" {
		t.Errorf("got %s", n.text())
	}
	w.becomes("s", active)
	first := read(t, w.hit().body).text()
	if !strings.HasPrefix(first, "event-notification 1=Observation/o1") {
		t.Errorf("got %s", first)
	}
	w.put("app", strings.Replace(topical("s", "observation-create", "", "id-only", toHook), "requested", "off", 1))
	w.becomes("s", off)
	w.observe("o4", "a", "x")
	w.quiet("s")
}

func TestAHandshakeThatFailsIsAnError(t *testing.T) {
	w := newWorld(t)
	w.hook.answer(404)
	w.put("app", topical("s", "observation-create", "", "id-only", toHook))
	w.becomes("s", failing)
}

func TestHeartbeatsAreSent(t *testing.T) {
	w := newWorld(t)
	w.s.MinHeartbeat = 0
	w.put("app", topical("s", "observation-create", "", "id-only", toHook+`,"extension":[{"url":"`+backport+`heartbeat-period","valueUnsignedInt":1}]`))
	if n := read(t, w.hit().body); n.text() != "handshake" {
		t.Errorf("got %s", n.text())
	}
	if n := read(t, w.hit().body); n.text() != "heartbeat" {
		t.Errorf("got %s", n.text())
	}
}

func TestEventsSurviveARestart(t *testing.T) {
	w := newWorld(t)
	w.put("app", topical("s", "observation-create", "", "id-only", toHook))
	w.hit()
	w.becomes("s", active)
	w.observe("o1", "a", "x")
	w.hit()
	w.quiet("s")
	w.stop()
	<-w.run
	w.observe("o2", "a", "x") // while nobody looks
	w.start()
	if n := read(t, w.hit().body); n.text() != "event-notification 2=Observation/o2" {
		t.Errorf("got %s", n.text())
	}
	w.quiet("s")
	for _, e := range mustDir(t, w.conf.Dir) {
		b, err := os.ReadFile(filepath.Join(w.conf.Dir, e))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("Observation")) || bytes.Contains(b, []byte("app")) {
			t.Error("a state is on disk in the clear")
		}
	}
	w.do("app", "DELETE /Subscription/s", "")
	if left := mustDir(t, w.conf.Dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	w.observe("o3", "a", "x")
	w.put("app", topical("again", "observation-create", "", "id-only", toHook))
	w.hit()
	w.becomes("again", active)
	w.quiet("again") // what was before is not told

	w.conf.Key = [32]byte{9}
	s, err := Open(w.conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, errDamaged) {
		t.Errorf("under another key: got %v", err)
	}
	_ = s.Close()
}

func mustDir(t *testing.T, dir string) (names []string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

func TestSubscriptionsThatCannotBeKeptAreRefused(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerClient = 1 })
	hook := func(at string) string { return `"type":"rest-hook","endpoint":"` + at + `"` }
	for what, body := range map[string]string{
		"subscription-criteria": plain("s", "Nonsense?a=b", toHook), "search-unknown-parameter": plain("s", "Observation?nonsense=1", toHook), "rest-condition": plain("s", "Observation?_sort=date", toHook),
		"subscription-channel": plain("s", "Observation", `"type":"email","endpoint":"mailto:a@example.org"`), "subscription-payload": plain("s", "Observation", toHook+`,"payload":"application/fhir+xml"`),
		"subscription-filter": topical("s", "observation-create", "Patient?_id=a", "empty", toHook), "subscription-status": strings.Replace(plain("s", "Observation", toHook), "requested", "error", 1),
		"subscription-extension": topical("s", "observation-create", "", "empty", toHook+`,"extension":[{"url":"http://example.org/x","valueUnsignedInt":1}]`),
	} {
		if r := w.do("app", "PUT /Subscription/s", body); r.StatusCode != 422 || !bytes.Contains(r.body, []byte(`"`+what+`"`)) {
			t.Errorf("%s: got %d %s", what, r.StatusCode, r.body)
		}
	}
	for _, at := range []string{
		"https://other.example.org/in", "http://hook.example.org/in", "https://hook.example.org:8443/in", "https://hook.example.org/inner", "https://hook.example.org/in/../admin", "https://hook.example.org/in/%2e%2e/admin",
		"https://u@hook.example.org/in", "https://hook.example.org.evil.example/in", "file:///etc/passwd", "https:hook.example.org/in", "http://127.0.0.1/", "", "https://hook.example.org/in#x",
	} {
		if r := w.do("app", "PUT /Subscription/s", plain("s", "Observation", hook(at))); r.StatusCode != 422 || !bytes.Contains(r.body, []byte(`"subscription-endpoint"`)) {
			t.Errorf("%s: got %d %s", at, r.StatusCode, r.body)
		}
	}
	if r := w.do("app", "PUT /Subscription/s", plain("s", "Observation", hook("https://hook.example.org/in?a=b")+`,"payload":"application/fhir+json"`)); r.StatusCode != 422 {
		t.Errorf("a query where resources are put: got %d", r.StatusCode)
	}
	for _, h := range []string{"Host: x", "no colon", `A: b\r\nC: d`, "Content-Length: 1", "A b: c", "transfer-encoding: chunked"} {
		if r := w.do("app", "PUT /Subscription/s", plain("s", "Observation", toHook+`,"header":["`+h+`"]`)); r.StatusCode != 422 || !bytes.Contains(r.body, []byte(`"subscription-header"`)) {
			t.Errorf("%s: got %d %s", h, r.StatusCode, r.body)
		}
	}
	w.clients.set("anonymous", rest.Leave{})
	w.clients.set("narrow", rest.Leave{May: func(_ rest.Interaction, typ string) bool { return typ == "Subscription" }})
	for client, code := range map[string]string{"anonymous": "subscription-client", "narrow": "subscription-forbidden"} {
		if r := w.do(client, "PUT /Subscription/s", plain("s", "Observation", toHook)); r.StatusCode != 422 || !bytes.Contains(r.body, []byte(`"`+code+`"`)) {
			t.Errorf("%s: got %d %s", client, r.StatusCode, r.body)
		}
	}
	w.put("app", plain("one", "Observation?code=x", `"type":"websocket"`))
	w.becomes("one", active)
	w.put("app", plain("two", "Observation?code=x", `"type":"websocket"`))
	w.becomes("two", failing)
	w.put("app", strings.Replace(plain("one", "Observation?code=x", `"type":"websocket"`), `"reason"`, `"end":"2020-01-01T00:00:00Z","reason"`, 1))
	w.becomes("one", off)
}

// dial opens a websocket as a client.
func (w *world) dial(client string) *websocket.Conn {
	w.t.Helper()
	srv := httptest.NewServer(w.s)
	w.t.Cleanup(srv.Close)
	h := map[string][]string{}
	if client != "" {
		h["X-Client"] = []string{client}
	}
	c, _, err := websocket.Dial(w.t.Context(), srv.URL, &websocket.DialOptions{HTTPHeader: h}) //nolint:bodyclose // the library closes it
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func (w *world) say(c *websocket.Conn, text string) {
	w.t.Helper()
	if err := c.Write(w.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hear(c *websocket.Conn) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	_, b, err := c.Read(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func TestAWebsocketIsTold(t *testing.T) {
	w := newWorld(t)
	w.put("app", plain("plain", "Observation?code=x", `"type":"websocket"`))
	w.put("app", topical("topic", "observation-create", "", "full-resource", `"type":"websocket"`))
	w.becomes("plain", active)
	w.becomes("topic", active)
	w.observe("o1", "a", "x") // nobody listens yet: it waits

	c := w.dial("app")
	w.say(c, "bind plain")
	if got := w.hear(c); got != "bound plain" {
		t.Errorf("got %s", got)
	}
	if got := w.hear(c); got != "ping plain" {
		t.Errorf("got %s", got)
	}

	r := w.do("app", "GET /Subscription/topic/$get-ws-binding-token", "")
	var p struct {
		Parameter []struct{ Name, ValueString, ValueURL string }
	}
	_ = jsonInto(r.body, &p)
	if r.StatusCode != 200 || p.Parameter[0].Name != "token" || len(p.Parameter) != 4 || p.Parameter[3].ValueURL != "ws://example.org/ws" {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	b := w.dial("")
	w.say(b, `{"type":"bind-with-token","payload":{"token":"`+p.Parameter[0].ValueString+`"}}`)
	if n := read(t, []byte(w.hear(b))); n.text() != "handshake" {
		t.Errorf("got %s", n.text())
	}
	if n := read(t, []byte(w.hear(b))); n.text() != "event-notification 1=Observation/o1" || n.Entry[1].Resource.ID != "o1" {
		t.Errorf("got %+v", n)
	}
	w.observe("o2", "a", "x")
	if got := w.hear(c); got != "ping plain" {
		t.Errorf("got %s", got)
	}
	if n := read(t, []byte(w.hear(b))); n.text() != "event-notification 2=Observation/o2" {
		t.Errorf("got %s", n.text())
	}
	w.clients.end("app")
	w.clients.set("writer", rest.Leave{})
	w.put("writer", `{"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"system":"s","code":"x"}]}}`)
	for _, x := range []*websocket.Conn{b, c} {
		if _, m, err := x.Read(t.Context()); err == nil {
			t.Errorf("after the end of the session: got %s", m)
		}
	}
}

func TestAWebsocketIsBoundByItsClientOnly(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.TokenLasts = time.Nanosecond })
	w.put("app", topical("s", "observation-create", "", "full-resource", `"type":"websocket"`))
	w.put("app", plain("hook", "Observation?code=x", toHook))
	w.becomes("s", active)
	r := w.do("app", "GET /Subscription/$get-ws-binding-token?id=s", "")
	var p struct {
		Parameter []struct{ ValueString string }
	}
	_ = jsonInto(r.body, &p)
	for _, tt := range []struct{ client, say string }{
		{"", "bind s"},
		{"other", "bind s"},
		{"app", "bind none"},
		{"app", "bind hook"},
		{"app", "bind-with-token x"},
		{"app", "hello"},
		{"app", strings.Repeat("x", 5000)},
		{"app", "bind-with-token " + p.Parameter[0].ValueString}, // its time has passed
	} {
		c := w.dial(tt.client)
		w.say(c, tt.say)
		if _, m, err := c.Read(t.Context()); err == nil {
			t.Errorf("%s %.30s: got %s", tt.client, tt.say, m)
		}
	}
	for _, what := range []string{"/Subscription/s/$get-ws-binding-token", "/Subscription/s/$status", "/Subscription/s/$events", "/Subscription/$get-ws-binding-token", "/Subscription/$status?id=s"} {
		if r := w.do("other", "GET "+what, ""); r.StatusCode != 404 {
			t.Errorf("%s by another: got %d", what, r.StatusCode)
		}
	}
	if r := w.do("app", "GET /Subscription/hook/$get-ws-binding-token", ""); r.StatusCode != 404 {
		t.Errorf("of a rest-hook: got %d", r.StatusCode)
	}
}

func TestStatusAndEventsAreTold(t *testing.T) {
	w := newWorld(t)
	w.put("app", topical("s", "observation-create", "", "id-only", toHook))
	w.hit()
	w.becomes("s", active)
	for _, id := range []string{"o1", "o2", "o3"} {
		w.observe(id, "a", "x")
	}
	w.until("all are told", func() bool {
		return strings.Contains(read(t, w.hit().body).text(), "3=Observation/o3")
	})
	r := w.do("app", "GET /Subscription/s/$status", "")
	for _, want := range []string{`"valueCode":"active"`, `"valueCode":"query-status"`, `"name":"events-since-subscription-start","valueString":"3"`, `"type":"searchset"`} {
		if !bytes.Contains(r.body, []byte(want)) {
			t.Errorf("%s is not in %s", want, r.body)
		}
	}
	if r := w.do("app", "GET /Subscription/$status?status=off", ""); !bytes.Contains(r.body, []byte(`"total":0`)) {
		t.Errorf("got %s", r.body)
	}
	for query, want := range map[string]string{
		"": "query-event 1=Observation/o1 2=Observation/o2 3=Observation/o3", "?eventsSinceNumber=2&eventsUntilNumber=2": "query-event 2=Observation/o2", "?eventsSinceNumber=3&content=empty": "query-event 3",
		"?eventsSinceNumber=3&content=full-resource": "query-event 3=Observation/o3",
	} {
		n := read(t, w.do("app", "GET /Subscription/s/$events"+query, "").body)
		if n.text() != want || len(n.Entry) > 1 && n.Entry[1].Resource.ID != "" {
			t.Errorf("%s: got %s", query, n.text())
		}
	}
	for _, bad := range []string{"?eventsSinceNumber=x", "?content=all"} {
		if r := w.do("app", "GET /Subscription/s/$events"+bad, ""); r.StatusCode != 400 {
			t.Errorf("%s: got %d", bad, r.StatusCode)
		}
	}
	w.do("app", "DELETE /Observation/o2", "")
	if n := read(t, w.do("app", "GET /Subscription/s/$events", "").body); n.text() != "query-event 1=Observation/o1 2 3=Observation/o3" {
		t.Errorf("what is gone: got %s", n.text())
	}
	// Another who writes it has it then, and is told nothing of what was before.
	w.put("other", topical("s", "observation-create", "", "id-only", toHook))
	w.hit()
	w.becomes("s", active)
	if n := read(t, w.do("other", "GET /Subscription/s/$events", "").body); n.text() != "query-event" {
		t.Errorf("got %s", n.text())
	}
}

// Events of many who write at the same time, to an endpoint that fails now and then, are all told,
// in order and numbered without a gap.
func TestNoEventIsLost(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Failures = 1 << 20; c.Keep = 10 })
	w.put("app", topical("s", "observation-create", "Observation?code=x", "id-only", toHook+`,"extension":[{"url":"`+backport+`max-count","valuePositiveInt":7}]`))
	w.hit()
	w.becomes("s", active)
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for k := range each {
				w.observe(fmt.Sprintf("o-%d-%d", i, k), "a", "x")
				w.observe(fmt.Sprintf("n-%d-%d", i, k), "a", "y")
			}
		})
	}
	told := map[string]string{} // by number
	last := int64(0)
	for calls := 0; len(told) < writers*each; calls++ {
		w.hook.answer([]int{200, 500, 200, 200, 429}[calls%5])
		n := read(t, w.hit().body)
		fields := strings.Fields(n.text())[1:]
		if len(fields) > 7 {
			t.Fatalf("%d events at once", len(fields))
		}
		for _, f := range fields {
			number, focus, _ := strings.Cut(f, "=")
			if was, ok := told[number]; ok && was != focus {
				t.Fatalf("event %s is %s and %s", number, was, focus)
			}
			told[number] = focus
			at, err := strconv.ParseInt(number, 10, 64)
			if err != nil || at > last+1 {
				t.Fatalf("event %s after %d", number, last)
			}
			last = max(last, at)
		}
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, focus := range told {
		if seen[focus] || !strings.HasPrefix(focus, "Observation/o-") {
			t.Errorf("%s is told as two events, or does not match", focus)
		}
		seen[focus] = true
	}
}

// A subscriber that does not keep up is ended, not remembered for ever.
func TestWaitingEventsHaveABound(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Pending = 3 })
	w.put("app", plain("s", "Observation?code=x", `"type":"websocket"`)) // nobody listens
	w.becomes("s", active)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		w.observe(id, "a", "x")
	}
	w.becomes("s", failing)
	w.put("app", plain("s", "Observation?code=x", `"type":"websocket"`))
	w.becomes("s", active)
}
