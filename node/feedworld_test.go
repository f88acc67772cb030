package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/hl7"
	"salus/hl7/mllp"
)

// A feeding is one node with a feed, and a sender.
type feeding struct {
	t    *testing.T
	conf *config.Config
	run  *running
	api  *client.API
	conn *mllp.Client
	n    int // control ids
}

// feed is the configuration of the feed "adt" at a free port.
func plainFeed(t *testing.T, c *config.Config) config.Feed {
	t.Helper()
	_, port, err := net.SplitHostPort(c.Gateway.Listen)
	if err != nil {
		t.Fatal(err)
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return config.Feed{Name: "adt", Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+5)), Plain: true, Zone: "UTC", Authorities: map[string]string{"FAC": "urn:sample:mrn"}}
}

// newFeeding starts a node with feeds that change makes of a plain one.
func newFeeding(t *testing.T, change func(*config.Config)) *feeding {
	t.Helper()
	c := home(t, 1)[0]
	c.Feeds = []config.Feed{plainFeed(t, c)}
	if change != nil {
		change(c)
	}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	f := &feeding{t: t, conf: c}
	f.start()
	return f
}

func (f *feeding) start() {
	f.t.Helper()
	f.run = start(f.t, f.conf)
	becomes(f.t, f.conf, http.StatusOK)
	token, err := os.ReadFile(f.conf.TokenFile())
	if err != nil {
		f.t.Fatal(err)
	}
	f.api, f.conn = client.NewAPI("http://"+f.conf.Gateway.Listen, strings.TrimSpace(string(token))), nil
	f.t.Cleanup(f.hangUp)
}

func (f *feeding) hangUp() {
	if f.conn != nil {
		_ = f.conn.Close()
		f.conn = nil
	}
}

// again stops the node and starts it with the configuration as it is now.
func (f *feeding) again() {
	f.t.Helper()
	f.hangUp()
	f.run.stop(f.t)
	if err := f.conf.Save(); err != nil {
		f.t.Fatal(err)
	}
	f.start()
}

// v2 makes a message of lines; its control id is the next.
func (f *feeding) v2(kind string, lines ...string) []byte {
	f.n++
	return v2(kind, fmt.Sprintf("M%d", f.n), lines...)
}

func v2(kind, id string, lines ...string) []byte {
	head := `MSH|^~\&|ADT|FAC|SALUS|NODE|20260102030405+0000||` + kind + "|" + id + "|P|2.5.1"
	return []byte(strings.Join(append([]string{head, "EVN||20260102030405"}, lines...), "\r") + "\r")
}

// send sends a message and returns MSA-1, and the condition of ERR if there is one.
func (f *feeding) send(raw []byte) string {
	f.t.Helper()
	if f.conn == nil {
		conn, err := net.Dial("tcp", f.conf.Feeds[0].Listen)
		if err != nil {
			f.t.Fatal(err)
		}
		f.conn = mllp.NewClient(conn, 1<<20)
	}
	m, err := hl7.Parse(raw)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	a, err := f.conn.Send(ctx, m)
	if err != nil {
		f.t.Fatal(err)
	}
	s := a.Get("MSA-1").Plain()
	if e := a.Get("ERR-3.1").Plain(); e != "" {
		s += " " + e
	}
	return s
}

func (f *feeding) accepts(raw []byte) {
	f.t.Helper()
	if got := f.send(raw); got != "AA" {
		var l []gateway.Letter
		f.get("/v1/feeds/adt/letters", &l)
		f.t.Fatalf("got %s, want AA; letters %+v", got, l)
	}
}

func (f *feeding) get(path string, out any) {
	f.t.Helper()
	if err := f.api.JSON(f.t.Context(), http.MethodGet, path, nil, out); err != nil {
		f.t.Fatalf("%s: %v", path, err)
	}
}

// search returns the resources that a query finds.
func (f *feeding) search(typ string, query ...string) (out []map[string]any) {
	f.t.Helper()
	q := url.Values{"_count": {"200"}}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	var b struct {
		Entry []struct{ Resource map[string]any }
	}
	f.get("/fhir/"+typ+"?"+q.Encode(), &b)
	for _, e := range b.Entry {
		out = append(out, e.Resource)
	}
	return out
}

// one is the only resource that a query finds.
func (f *feeding) one(typ string, query ...string) map[string]any {
	f.t.Helper()
	list := f.search(typ, query...)
	if len(list) != 1 {
		f.t.Fatalf("%s?%v: got %d resources, want 1", typ, query, len(list))
	}
	return list[0]
}

// at reads a path such as name.0.family as text.
func at(v any, path string) string {
	for p := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(x) {
				return ""
			}
			v = x[i]
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

const (
	ann  = "PID|1||S1^^^FAC^MR||Example^Ann||19800102|F|||1 Sample Street^^Town||5550100"
	bob  = "PID|1||S2^^^FAC^MR||Example^Bob||19700304|M"
	stay = "PV1|1|I|||||||||||||||||V1^^^FAC"
)

// events are those of a patient's log that name an agent. She has a log once she is on the ledger.
func (f *feeding) events(id, agent string, want int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := 0
		var b struct {
			Entry []struct{ Resource map[string]any }
		}
		err := f.api.JSON(ctx, http.MethodGet, "/fhir/AuditEvent?_count=200&patient="+id, nil, &b)
		for _, e := range b.Entry {
			if strings.Contains(fmt.Sprint(e.Resource["agent"]), agent) {
				got++
			}
		}
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatalf("got %d events by %s, %v, want %d", got, agent, err, want)
		}
	}
}

// problem is the code with which a request to the gateway is refused, "" if it is not.
func (f *feeding) problem(method, path string, body io.Reader) string {
	f.t.Helper()
	r, err := f.api.Do(f.t.Context(), method, path, "application/hl7-v2", body)
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return p.Code
	}
	if err != nil {
		f.t.Fatal(err)
	}
	_ = r.Body.Close()
	return ""
}

// without leaves out of a resource what says which version it is.
func without(p map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range p {
		if k != "meta" {
			out[k] = v
		}
	}
	return out
}

func (f *feeding) put(path string, body []byte) int {
	f.t.Helper()
	r, err := f.api.Do(f.t.Context(), http.MethodPut, path, "application/fhir+json", bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}
