package node_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/hl7"
	"salus/hl7/hl7test"
	"salus/hl7/mllp"
	"salus/node"
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

func TestFeedWritesWhatItsMessagesSay(t *testing.T) {
	f := newFeeding(t, nil)
	f.accepts(f.v2("ADT^A04^ADT_A01", ann, stay))
	// N-01, and 2.5.3: what A08 leaves out stays, what it sends "" goes.
	f.accepts(f.v2("ADT^A08^ADT_A01", `PID|1||S1^^^FAC^MR||Sample^Ann||""|F`, stay))
	p := f.one("Patient", "identifier", "urn:sample:mrn|S1")
	if at(p, "name.0.family") != "Sample" || at(p, "telecom.0.value") != "5550100" || p["birthDate"] != nil || at(p, "meta.versionId") != "2" {
		t.Errorf("got %v", p)
	}
	id := at(p, "id")
	// The same said once more is a message of its own, and no new version of the patient.
	f.accepts(f.v2("ADT^A08^ADT_A01", `PID|1||S1^^^FAC^MR||Sample^Ann||""|F`, stay))
	if got := at(f.one("Patient", "identifier", "urn:sample:mrn|S1"), "meta.versionId"); got != "2" {
		t.Errorf("got version %s, want 2", got)
	}
	// N-02: a corrected result is the next version of the same Observation.
	report := func(value, status string) []byte {
		return f.v2("ORU^R01^ORU_R01", ann, "OBR|1|P1^LAB|F1^LAB|24323-8^Panel^LN|||202601020300",
			"OBX|1|NM|2345-7^Glucose^LN||"+value+"|mg/dL^^UCUM|||||"+status, "OBX|2|NM|2160-0^Creatinine^LN||0.9|mg/dL^^UCUM|||||F", "OBX|3|CE|5778-6^Color^LN||Y^Yellow^L||||||F")
	}
	f.accepts(report("95", "F"))
	f.accepts(report("96", "C"))
	o := f.one("Observation", "patient", "Patient/"+id, "code", "2345-7")
	if at(o, "status") != "corrected" || at(o, "valueQuantity.value") != "96" || at(o, "meta.versionId") != "2" {
		t.Errorf("got %v", o)
	}
	if got := len(f.search("Observation", "patient", "Patient/"+id)); got != 3 {
		t.Errorf("got %d observations, want 3", got)
	}
	// N-05.
	f.accepts(f.v2("VXU^V04^VXU_V04", ann, "ORC|RE|P2^CLINIC|F2^CLINIC", "RXA|0|1|20260102||141^Influenza^CVX|0.5|mL^^UCUM||||||||||||CP"))
	if got := at(f.one("Immunization", "patient", "Patient/"+id), "vaccineCode.coding.0.code"); got != "141" {
		t.Errorf("got vaccine %s", got)
	}
	// N-06.
	pdf := base64.StdEncoding.EncodeToString([]byte("%PDF-1.4 sample"))
	f.accepts(f.v2("MDM^T02^MDM_T02", ann, "TXA|1|DS|TX|20260102|||||||D1^FAC|||||AU", "OBX|1|ED|18842-5^Summary^LN||^application^pdf^Base64^"+pdf+"||||||F"))
	found := false
	for _, d := range f.search("DocumentReference", "patient", "Patient/"+id) {
		found = found || at(d, "content.0.attachment.contentType") == "application/pdf" && at(d, "content.0.attachment.data") == pdf
	}
	if !found {
		t.Error("the document is not there")
	}
	// N-07.
	f.accepts(f.v2("DFT^P03^DFT_P03", ann, stay, "FT1|1|T1|B1|20260102||CG|99213^Visit^C4|||2"))
	if got := at(f.one("ChargeItem", "patient", "Patient/"+id), "quantity.value"); got != "2" {
		t.Errorf("got quantity %s", got)
	}
	// N-13 and the bytes themselves: each message has a Provenance and its own record.
	var raws [][]byte
	for _, d := range f.search("DocumentReference", "patient", "Patient/"+id) {
		if at(d, "content.0.attachment.contentType") == "application/hl7-v2" {
			b, err := base64.StdEncoding.DecodeString(at(d, "content.0.attachment.data"))
			if err != nil {
				t.Fatal(err)
			}
			raws = append(raws, b)
			if got := at(d, "securityLabel.0.coding.0.code"); got != "R" {
				t.Errorf("a message is labelled %q, want R", got)
			}
		}
	}
	if len(raws) != f.n || !slices.ContainsFunc(raws, func(b []byte) bool { return bytes.Contains(b, []byte("RXA|0|1|")) }) {
		t.Errorf("%d of %d messages are kept", len(raws), f.n)
	}
	n := 0
	for _, p := range f.search("Provenance", "patient", "Patient/"+id) {
		if strings.Contains(fmt.Sprint(p["entity"]), "urn:salus:feed:adt:message-sha-256") {
			n++
		}
	}
	if n != f.n {
		t.Errorf("got %d Provenances of messages, want %d", n, f.n)
	}
	// Every message is an event of the patient's log.
	f.events(id, "feed adt", f.n)
}

// N-08 and N-09, over the wire of a node.
func TestFeedRefusesAndDeduplicates(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) { c.Feeds[0].Types = []string{"ADT", "ORU^R01"} })
	first := f.v2("ADT^A01^ADT_A01", ann, stay)
	f.accepts(first)
	for _, x := range []struct {
		name, want string
		raw        []byte
	}{
		{"an event without a map", "AR 201", f.v2("ADT^A06^ADT_A06", ann)},
		{"a type that is not taken", "AR 201", f.v2("VXU^V04^VXU_V04", ann)},
		{"no type", "AR 200", f.v2("", ann)},
		{"another version", "AR 203", bytes.Replace(f.v2("ADT^A01^ADT_A01", ann), []byte("|2.5.1"), []byte("|2.9"), 1)},
		{"a test message", "AR 202", bytes.Replace(f.v2("ADT^A01^ADT_A01", ann), []byte("|P|"), []byte("|T|"), 1)},
		{"no identifier", "AE 101", f.v2("ADT^A01^ADT_A01", "PID|1||||Example^Ann")},
		{"no patient", "AE 100", f.v2("ADT^A01^ADT_A01", stay)},
		{"two patients", "AE 198", f.v2("ADT^A01^ADT_A01", ann, bob)},
		{"other bytes under a known control id", "AE 205", v2("ADT^A01^ADT_A01", "M1", bob)},
	} {
		if got := f.send(x.raw); got != x.want {
			t.Errorf("%s: got %s, want %s", x.name, got, x.want)
		}
	}
	f.accepts(first)
	if got := at(f.one("Patient"), "meta.versionId"); got != "1" {
		t.Errorf("after the same message again: version %s", got)
	}
	var list []gateway.Feed
	f.get("/v1/feeds", &list)
	if want := (gateway.Feed{Name: "adt", Direction: "in", Address: f.conf.Feeds[0].Listen, State: "on", Received: 10, Applied: 1, Again: 1, Dead: 9}); len(list) != 1 || list[0] != want {
		t.Errorf("got %+v, want %+v", list, want)
	}
	var letters []gateway.Letter
	f.get("/v1/feeds/adt/letters", &letters)
	said, err := json.Marshal(letters)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"Example", "S1", "Bob"} {
		if bytes.Contains(said, []byte(secret)) {
			t.Errorf("the list of dead letters holds %q", secret)
		}
	}
	_, text := get(t, f.conf, "/metrics")
	for _, want := range []string{`salus_feed_messages{feed="adt",state="applied"} 1`, `salus_feed_messages{feed="adt",state="dead"} 9`, `salus_feed_up{feed="adt"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	// Looking at a dead letter is an event.
	r, err := f.api.Do(t.Context(), http.MethodGet, fmt.Sprintf("/v1/feeds/adt/messages/%d", letters[0].Number), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil || !bytes.Contains(raw, []byte("ADT^A06")) {
		t.Errorf("got %q, %v", raw, err)
	}
	looked, denied := 0, 0
	for _, e := range f.search("AuditEvent") {
		query, err := base64.StdEncoding.DecodeString(at(e, "entity.0.query"))
		if err == nil && strings.Contains(string(query), "/v1/feeds/adt/messages/") {
			looked++
		}
		if at(e, "outcome") == "4" && at(e, "outcomeDesc") != "" && strings.Contains(string(query), "feed=adt") {
			denied++
		}
	}
	if looked != 1 || denied != 9 {
		t.Errorf("got %d events of looking and %d of refusals, want 1 and 9", looked, denied)
	}
}

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

// A letter is dead because of the configuration; that is put right, the node starts again, and the
// letter is replayed.
func TestFeedReplaysADeadLetterAfterItsCauseIsGone(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) { c.Feeds[0].Types = []string{"ADT"} })
	raw := f.v2("VXU^V04^VXU_V04", ann, "ORC|RE|P2^CLINIC|F2^CLINIC", "RXA|0|1|20260102||141^Influenza^CVX|0.5|mL^^UCUM||||||||||||CP")
	if got := f.send(raw); got != "AR 201" {
		t.Fatalf("got %s", got)
	}
	bad := f.v2("ADT^A01^ADT_A01", "PID|1||||Example^Ann")
	if got := f.send(bad); got != "AE 101" {
		t.Fatalf("got %s", got)
	}
	var l []gateway.Letter
	f.get("/v1/feeds/adt/letters", &l)
	if len(l) != 2 {
		t.Fatalf("got %+v", l)
	}
	replay := func(i int) string {
		return f.problem(http.MethodPost, fmt.Sprintf("/v1/feeds/adt/letters/%d/replay", l[i].Number), nil)
	}
	if got := replay(0); got != "hl7-event" {
		t.Errorf("too early: got %q, want hl7-event", got)
	}
	f.conf.Feeds[0].Types = nil
	f.again()
	if got := replay(0); got != "" {
		t.Errorf("got %q, want it applied", got)
	}
	if got := replay(0); got != "feed-message" {
		t.Errorf("replayed twice: got %q", got)
	}
	if got := replay(1); got != "hl7-required" {
		t.Errorf("got %q", got)
	}
	f.one("Immunization")
	f.accepts(raw) // its sender learns the new answer
	f.one("Immunization")
	if got := f.problem(http.MethodDelete, fmt.Sprintf("/v1/feeds/adt/letters/%d", l[1].Number), nil); got != "" {
		t.Errorf("discard: got %q", got)
	}
	f.get("/v1/feeds/adt/letters", &l)
	if len(l) != 0 {
		t.Errorf("got %+v, want no letters", l)
	}
	for path, want := range map[string]string{
		"POST /v1/feeds/nobody/letters/1/replay": "feed", "POST /v1/feeds/adt/letters/x/replay": "argument", "DELETE /v1/feeds/adt/letters/99": "feed-message",
		"GET /v1/feeds/nobody/letters": "feed", "GET /v1/feeds/adt/messages/99": "feed-message", "POST /v1/feeds/adt/send": "feed-direction",
	} {
		method, path, _ := strings.Cut(path, " ")
		if got := f.problem(method, path, strings.NewReader("")); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
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

// N-04: two records are linked, and are again what they were.
func TestFeedMergesAndTakesItBackExactly(t *testing.T) {
	f := newFeeding(t, nil)
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	f.accepts(f.v2("ADT^A01^ADT_A01", bob, "PV1|1|I|||||||||||||||||V2^^^FAC"))
	a, b := f.one("Patient", "identifier", "urn:sample:mrn|S1"), f.one("Patient", "identifier", "urn:sample:mrn|S2")
	before := len(f.search("Encounter", "patient", at(b, "id")))

	f.accepts(f.v2("ADT^A40^ADT_A39", ann, "MRG|S2^^^FAC^MR"))
	merged, gone := f.one("Patient", "identifier", "urn:sample:mrn|S1"), f.one("Patient", "identifier", "urn:sample:mrn|S2")
	if at(merged, "link.0.type") != "replaces" || at(merged, "link.0.other.reference") != "Patient/"+at(b, "id") || merged["active"] != nil {
		t.Errorf("got the survivor %v", merged)
	}
	if at(gone, "link.0.type") != "replaced-by" || at(gone, "link.0.other.reference") != "Patient/"+at(a, "id") || at(gone, "active") != "false" {
		t.Errorf("got the replaced %v", gone)
	}
	if got := len(f.search("Encounter", "patient", at(b, "id"))); got != before {
		t.Errorf("got %d encounters of the replaced, want %d: nothing moves", got, before)
	}
	// Both are told in the log.
	for _, id := range []string{at(a, "id"), at(b, "id")} {
		f.events(id, "feed adt", 2) // the admission and the merge
	}
	// Merged away, she cannot be merged into another, nor take the survivor over.
	f.accepts(f.v2("ADT^A28^ADT_A05", "PID|1||S3^^^FAC^MR||Example^Cid"))
	for want, lines := range map[string][2]string{"feed-merge-other": {"PID|1||S3^^^FAC^MR||Changed^Cid", "MRG|S2^^^FAC^MR"}, "feed-merge-cycle": {bob, "MRG|S1^^^FAC^MR"}} {
		if got := f.send(f.v2("ADT^A40^ADT_A39", lines[0], lines[1])); got != "AE 205" {
			t.Errorf("%v: got %s, want AE 205", lines, got)
		}
		var l []gateway.Letter
		f.get("/v1/feeds/adt/letters", &l)
		if got := l[len(l)-1].Reason; got != want {
			t.Errorf("%v: got %s, want %s", lines, got, want)
		}
	}
	if got := at(f.one("Patient", "identifier", "urn:sample:mrn|S3"), "name.0.family"); got != "Example" {
		t.Errorf("something was written of a merge that was refused: %s", got)
	}
	// Said again by another message, it changes nothing.
	f.accepts(f.v2("ADT^A40^ADT_A39", ann, "MRG|S2^^^FAC^MR"))
	if got := f.one("Patient", "identifier", "urn:sample:mrn|S2"); at(got, "meta.versionId") != at(gone, "meta.versionId") {
		t.Errorf("merged twice: version %s", at(got, "meta.versionId"))
	}

	f.accepts(f.v2("ADT^A37^ADT_A37", ann, strings.Replace(bob, "PID|1", "PID|2", 1)))
	for want, id := range map[*map[string]any]string{&a: "S1", &b: "S2"} {
		if d := cmp.Diff(without(*want), without(f.one("Patient", "identifier", "urn:sample:mrn|"+id))); d != "" {
			t.Errorf("after the undo: %s", d)
		}
	}

	// Somebody never heard of is merged: what comes late under the old number finds it.
	f.accepts(f.v2("ADT^A40^ADT_A39", ann, "MRG|S9^^^FAC^MR"))
	stub := f.one("Patient", "identifier", "urn:sample:mrn|S9")
	if at(stub, "active") != "false" || at(stub, "link.0.other.reference") != "Patient/"+at(a, "id") {
		t.Errorf("got %v", stub)
	}
	f.accepts(f.v2("ADT^A08^ADT_A01", "PID|1||S9^^^FAC^MR||Late^Ann"))
	late := f.one("Patient", "identifier", "urn:sample:mrn|S9")
	if at(late, "name.0.family") != "Late" || at(late, "link.0.type") != "replaced-by" || at(late, "active") != "false" {
		t.Errorf("got %v", late)
	}
	// What could not be merged before can be now, by the letter that waits.
	var letters []gateway.Letter
	f.get("/v1/feeds/adt/letters", &letters)
	for _, l := range letters {
		if l.Reason != "feed-merge-other" {
			continue
		}
		if got := f.problem(http.MethodPost, fmt.Sprintf("/v1/feeds/adt/letters/%d/replay", l.Number), nil); got != "" {
			t.Errorf("replay: got %q", got)
		}
	}
	third := f.one("Patient", "identifier", "urn:sample:mrn|S3")
	if got := f.one("Patient", "identifier", "urn:sample:mrn|S2"); at(got, "link.0.other.reference") != "Patient/"+at(third, "id") || at(third, "name.0.family") != "Changed" {
		t.Errorf("got %v and %v", got, third)
	}

	// The survivor now bears both numbers: messages under the old one are hers.
	f.accepts(f.v2("ADT^A08^ADT_A01", "PID|1||S1^^^FAC^MR~S9^^^FAC^MR||Example^Ann"))
	f.accepts(f.v2("ADT^A01^ADT_A01", "PID|1||S9^^^FAC^MR||Example^Ann", "PV1|1|I|||||||||||||||||V9^^^FAC"))
	if got := at(f.one("Encounter", "identifier", "urn:sample:mrn|V9"), "subject.reference"); got != "Patient/"+at(a, "id") {
		t.Errorf("got the visit of %s, want the survivor's", got)
	}
}

// Labels by configuration come to every resource of a patient, and none is taken away.
func TestFeedLabelsWhatItWrites(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		c.Feeds[0].Labels, c.Feeds[0].RawLabels = []string{"PSY"}, []string{"V", "PSY"}
	})
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	id := at(f.one("Patient"), "id")
	var p map[string]any
	f.get("/fhir/Patient/"+id, &p)
	p["meta"].(map[string]any)["security"] = []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}}
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.put("/fhir/Patient/"+id, body); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	f.accepts(f.v2("ADT^A08^ADT_A01", ann, stay))
	labels := fmt.Sprint(at(f.one("Patient"), "meta.security"))
	if !strings.Contains(labels, "code:R ") || !strings.Contains(labels, "code:PSY ") {
		t.Errorf("got labels %s", labels)
	}
	for _, typ := range []string{"Encounter", "Provenance", "DocumentReference"} {
		for _, r := range f.search(typ, "patient", id) {
			if strings.HasPrefix(at(r, "id"), "anchored-") {
				continue
			}
			if got := fmt.Sprint(at(r, "meta.security")); !strings.Contains(got, "PSY") {
				t.Errorf("%s: got labels %s", typ, got)
			}
		}
	}
}

// A narrative that was made from the elements goes when they change; one that says more stays.
func TestFeedTakesAwayANarrativeThatNoLongerHolds(t *testing.T) {
	f := newFeeding(t, nil)
	f.accepts(f.v2("ADT^A28^ADT_A05", ann))
	id := at(f.one("Patient"), "id")
	for _, x := range []struct{ status, family, want string }{{"generated", "Sample", ""}, {"additional", "Example", "additional"}} {
		var p map[string]any
		f.get("/fhir/Patient/"+id, &p)
		p["text"] = map[string]any{"status": x.status, "div": `<div xmlns="http://www.w3.org/1999/xhtml">Example</div>`}
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.put("/fhir/Patient/"+id, body); got != http.StatusOK {
			t.Fatalf("got %d", got)
		}
		f.accepts(f.v2("ADT^A31^ADT_A05", strings.Replace(ann, "Example", x.family, 1)))
		if got := at(f.one("Patient"), "text.status"); got != x.want {
			t.Errorf("%s: got %q, want %q", x.status, got, x.want)
		}
	}
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

// A feed sends what it was given, in order, also after the node was stopped in between.
func TestFeedSendsAfterARestart(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		in := c.Feeds[0]
		_, port, _ := net.SplitHostPort(in.Listen)
		p, _ := strconv.Atoi(port)
		c.Feeds = append(c.Feeds, config.Feed{Name: "out", Send: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1)), Plain: true})
	})
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	id := at(f.one("Patient"), "id")
	for path, want := range map[string]string{
		"/v1/feeds/out/send":                      "feed-patient",
		"/v1/feeds/out/send?patient=Patient/none": "feed-patient",
		"/v1/feeds/out/send?patient=none":         "feed-patient",
	} {
		if got := f.problem(http.MethodPost, path, bytes.NewReader(f.v2("ADT^A01^ADT_A01", ann))); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got := f.problem(http.MethodPost, "/v1/feeds/out/send", strings.NewReader("none")); got != "hl7-no-header" {
		t.Errorf("got %q", got)
	}
	for _, raw := range [][]byte{f.v2("ADT^A01^ADT_A01", ann), f.v2("ADT^A08^ADT_A01", ann)} {
		if got := f.problem(http.MethodPost, "/v1/feeds/out/send?patient=Patient/"+id, bytes.NewReader(raw)); got != "" {
			t.Fatalf("got %q", got)
		}
	}
	want := fmt.Sprintf("M%d M%d", f.n-1, f.n)
	f.again()
	to := receive(t, f.conf.Feeds[1].Send)
	if s := to.next().ControlID() + " " + to.next().ControlID(); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	f.events(id, "feed out", 2)
	r, err := f.api.Do(t.Context(), http.MethodGet, "/fhir/AuditEvent/$accounting-of-disclosures?_format=csv&patient="+id, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	csv, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil || strings.Count(string(csv), "feed out") == 0 {
		t.Errorf("the accounting of disclosures does not name them: %s, %v", csv, err)
	}
}

// A feed, another feed and a client of the FHIR API write about the same patients at the same time:
// nobody is made twice, and what one wrote the others do not take away.
func TestFeedsAndClientsAtOnceLoseNothing(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		second := c.Feeds[0]
		_, port, _ := net.SplitHostPort(second.Listen)
		p, _ := strconv.Atoi(port)
		second.Name, second.Listen = "lab", net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1))
		c.Feeds = append(c.Feeds, second)
	})
	const patients, rounds = 10, 8
	var g errgroup.Group
	for i, conf := range f.conf.Feeds {
		g.Go(func() error {
			conn, err := net.Dial("tcp", conf.Listen)
			if err != nil {
				return err
			}
			c := mllp.NewClient(conn, 1<<20)
			defer c.Close()
			for round := range rounds {
				for p := range patients {
					// The one says the birth date, the other the sex.
					said := []string{fmt.Sprintf("|||198%d0102", round), "||||" + "FM"[round%2:round%2+1]}[i]
					m, err := hl7.Parse(v2("ADT^A08^ADT_A01", fmt.Sprintf("%s-%d-%d", conf.Name, round, p), fmt.Sprintf("PID|1||P%d^^^FAC^MR||Example^Ann%s", p, strings.TrimPrefix(said, "|"))))
					if err != nil {
						return err
					}
					a, err := c.Send(t.Context(), m)
					if err != nil {
						return err
					}
					if got := a.Get("MSA-1").Plain(); got != "AA" {
						return fmt.Errorf("%s: got %s", conf.Name, got)
					}
				}
			}
			return nil
		})
	}
	g.Go(func() error { // adds a telephone number in each round, as far as others let it
		for round := range rounds {
			for p := range patients {
				if err := f.addPhone(fmt.Sprintf("P%d", p), fmt.Sprintf("555-%d", round)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for p := range patients {
		got := f.one("Patient", "identifier", fmt.Sprintf("urn:sample:mrn|P%d", p))
		phones, _ := got["telecom"].([]any)
		if at(got, "birthDate") != fmt.Sprintf("198%d-01-02", rounds-1) || at(got, "gender") != []string{"female", "male"}[(rounds-1)%2] || len(phones) != rounds {
			t.Errorf("got %v", got)
		}
	}
}

// addPhone makes a patient unless she is there, and then adds a number to her record, by the FHIR API.
func (f *feeding) addPhone(mrn, number string) error {
	for {
		body := fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"urn:sample:mrn","value":%q}]}`, mrn)
		r, err := f.api.DoWith(f.t.Context(), http.MethodPost, "/fhir/Patient", http.Header{
			"Content-Type": {"application/fhir+json"}, "If-None-Exist": {"identifier=urn:sample:mrn|" + mrn},
		}, strings.NewReader(body))
		if err != nil {
			return err
		}
		var p map[string]any
		err = errors.Join(json.NewDecoder(r.Body).Decode(&p), r.Body.Close())
		if err != nil {
			return err
		}
		phones, _ := p["telecom"].([]any)
		p["telecom"] = append(phones, map[string]any{"system": "phone", "value": number})
		b, err := json.Marshal(p)
		if err != nil {
			return err
		}
		r, err = f.api.DoWith(f.t.Context(), http.MethodPut, "/fhir/Patient/"+at(p, "id"), http.Header{
			"Content-Type": {"application/fhir+json"}, "If-Match": {fmt.Sprintf(`W/%q`, at(p, "meta.versionId"))},
		}, bytes.NewReader(b))
		if refused, ok := errors.AsType[*client.Problem](err); ok && refused.Status == http.StatusPreconditionFailed {
			continue
		}
		if err != nil {
			return err
		}
		return r.Body.Close()
	}
}

func TestNodeRefusesAFeedThatCannotBeServed(t *testing.T) {
	c := home(t, 1)[0]
	good := plainFeed(t, c)
	taken, err := net.Listen("tcp", good.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	secure := good
	secure.Plain, secure.Certificate, secure.Key, secure.Authority = false, "no.crt", "no.key", "no.ca"
	open := secure
	open.Key = "open.key"
	if err := os.WriteFile(filepath.Join(c.Home, "open.key"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, feed := range map[string]config.Feed{"feed adt: listen: ": good, "feed adt: key: ": secure, "set its mode to 0600": open} {
		c.Feeds = []config.Feed{feed}
		if _, err := node.New(t.Context(), c, logger(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	off := good
	off.Off = true
	c.Feeds = []config.Feed{off}
	r := start(t, c)
	becomes(t, c, http.StatusOK)
	r.stop(t)
	c.Feeds = nil
	if _, err := node.New(t.Context(), c, logger(t)); err == nil || !strings.Contains(err.Error(), "adt has a journal and no [[feed]]") {
		t.Errorf("a feed that was forgotten: got %v", err)
	}
}

func TestFsckReadsTheJournalsOfFeeds(t *testing.T) {
	f := newFeeding(t, nil)
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	f.hangUp()
	f.run.stop(t)
	feeds := func() node.PartCheck {
		rep, err := node.Check(t.Context(), f.conf, logger(t), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(rep.Parts, func(p node.PartCheck) bool { return p.Name == "feeds" })
		return rep.Parts[i]
	}
	if got := feeds(); got.Damage != "" || got.Detail != "1 feeds, 1 messages" {
		t.Errorf("got %+v", got)
	}
	path := filepath.Join(f.conf.Data("feeds"), "adt", "inbound.journal")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := feeds(); !strings.Contains(got.Damage, "feed adt") {
		t.Errorf("a changed byte: got %+v", got)
	}
	if _, err := node.New(t.Context(), f.conf, logger(t)); err == nil || !strings.Contains(err.Error(), "salus node fsck says which") {
		t.Errorf("the node starts with it: %v", err)
	}
}

// N-11: who asked for both acknowledgements gets the commit on her connection and the other by the
// feed that is named for it.
func TestFeedAnswersByAnotherWayWhereThatIsAsked(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		_, port, _ := net.SplitHostPort(c.Feeds[0].Listen)
		p, _ := strconv.Atoi(port)
		c.Feeds[0].Answers = "back"
		c.Feeds = append(c.Feeds, config.Feed{Name: "back", Send: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1)), Plain: true})
	})
	ln, err := net.Listen("tcp", f.conf.Feeds[1].Send)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	both := bytes.Replace(f.v2("ADT^A01^ADT_A01", ann, stay), []byte("|P|2.5.1"), []byte("|P|2.5.1|||AL|AL"), 1)
	if got := f.send(both); got != "CA" {
		t.Fatalf("got %s, want CA", got)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	raw, err := mllp.NewReader(conn, 1<<20).Next()
	if err != nil {
		t.Fatal(err)
	}
	m, err := hl7.Parse(raw)
	if err != nil || m.Get("MSA-1").Plain() != "AA" || m.Get("MSA-2").Plain() != "M1" {
		t.Errorf("got %v", err)
	}
}

// Every sample message that has a patient is taken or refused with a reason, and what is taken is
// valid FHIR by this node's own measure.
func TestFeedTakesTheSamples(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of messages")
	}
	samples := hl7test.Samples(t, "../../shared/data/hl7v2")
	f := newFeeding(t, func(c *config.Config) { c.Feeds[0].Processing, c.Feeds[0].Original = "PDT", true })
	outcome := map[string]int{}
	for _, raw := range samples {
		m, err := hl7.Parse(raw)
		if err != nil {
			continue
		}
		f.n++ // the samples share control ids
		err = m.Set("MSH-10", fmt.Sprintf("M%d", f.n))
		if err == nil && !m.Get("MSH-11").Valued() { // fragments have no more than the fields that they are about
			err = m.Set("MSH-11", "P")
		}
		if err != nil {
			t.Fatal(err)
		}
		outcome[f.send(m.Encode())]++
	}
	var l []gateway.Letter
	f.get("/v1/feeds/adt/letters", &l)
	reasons := map[string]int{}
	for _, x := range l {
		reasons[x.Reason]++
	}
	t.Logf("outcomes %v, reasons of dead letters %v", outcome, reasons)
	if outcome["AA"] < 200 {
		t.Errorf("got %d messages applied, want 200 or more", outcome["AA"])
	}
	for r := range reasons {
		if !slices.Contains([]string{"feed-conflict", "hl7-required", "hl7-version", "hl7-event", "hl7-type", "hl7-processing", "hl7-charset"}, r) {
			t.Errorf("%d letters with the reason %s", reasons[r], r)
		}
	}
}
