package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"salus/config"
	"salus/gateway"
	"salus/hl7"
	"salus/hl7/mllp"
)

// A receiver takes the messages of a feed.
type receiver struct {
	t   *testing.T
	got chan *hl7.Message
}

func receive(t *testing.T, address string) *receiver {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t, make(chan *hl7.Message, 100)}
	s, err := mllp.NewServer(func(_ context.Context, raw []byte) ([]byte, error) {
		m, err := hl7.Parse(raw)
		if err != nil {
			return nil, err
		}
		r.got <- m
		return hl7.BuildAck(m, hl7.Ack{Code: hl7.AA, Now: time.Now()}).Encode(), nil
	}, mllp.Limits{Connections: 4, Message: 1 << 20, Idle: time.Hour, Read: time.Minute, Write: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-served })
	return r
}

// next is the next message.
func (r *receiver) next() *hl7.Message {
	r.t.Helper()
	select {
	case m := <-r.got:
		return m
	case <-time.After(2 * time.Minute):
		r.t.Fatal("nothing is sent")
		return nil
	}
}

// sends reports the next messages by their types and a field.
func (r *receiver) sends(path string, want ...string) (ids []string) {
	r.t.Helper()
	for _, w := range want {
		m := r.next()
		code, event, _ := m.Type()
		if got := code + "^" + event + " " + m.Get(path).Plain(); got != w {
			r.t.Errorf("got %s, want %s: %q", got, w, m.Encode())
		}
		ids = append(ids, m.ControlID())
	}
	return ids
}

// settled waits until every message has its answer: what has none is sent again after a restart.
func (f *feeding) settled() {
	f.t.Helper()
	f.until("all messages are answered", func() bool {
		var l []gateway.Feed
		f.get("/v1/feeds", &l)
		return !slices.ContainsFunc(l, func(x gateway.Feed) bool { return x.Pending > 0 })
	})
}

// write puts a resource; what is refused ends the test.
func (f *feeding) write(path, body string) {
	f.t.Helper()
	if got := f.put("/fhir/"+path, []byte(body)); got != http.StatusOK && got != http.StatusCreated {
		f.t.Fatalf("%s: got %d", path, got)
	}
}

func person(id, more string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"identifier":[{"system":"urn:sample:mrn","value":%q}],"name":[{"family":"Example"}]%s}`, id, id, more)
}

// What is written is sent, once, in order, to the feeds that want it: not what came in by a feed, nor what is
// labelled, nor what is about somebody who is.
func TestFeedPublishesWhatIsWritten(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		_, port, _ := net.SplitHostPort(c.Feeds[0].Listen)
		p, _ := strconv.Atoi(port)
		out := func(name string, n int, more config.Feed) {
			more.Name, more.Plain, more.Send = name, true, net.JoinHostPort("127.0.0.1", strconv.Itoa(p+n))
			c.Feeds = append(c.Feeds, more)
		}
		out("out", 1, config.Feed{Publish: []string{"ADT", "ORU^R01", "OML^O21"}, Authorities: map[string]string{"MRN": "urn:sample:mrn"}, Facility: "CLINIC", Receiver: "LAB"})
		out("open", 2, config.Feed{Publish: []string{"ADT"}, PublishFrom: []string{"adt"}, PublishLabels: []string{"PSY", "R"}})
	})
	out, open := receive(t, f.conf.Feeds[1].Send), receive(t, f.conf.Feeds[2].Send)

	// By a feed: only where that is asked for, and a client's change of it everywhere.
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	open.sends("PID-3.1", "ADT^A28 S1", "ADT^A01 S1")
	p := f.one("Patient")
	var whole map[string]any
	f.get("/fhir/Patient/"+at(p, "id"), &whole)
	whole["gender"] = "other"
	b, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	f.write("Patient/"+at(p, "id"), string(b))
	out.sends("PV1-19.1", "ADT^A08 V1")
	open.sends("PID-8", "ADT^A08 O")

	// A report and its result in one transaction are one message; a correction of the result is another.
	f.write("Patient/p1", person("p1", ""))
	out.sends("PID-3", "ADT^A28 p1")
	result := func(value string) string {
		return `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"Glucose"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":` + value + `,"unit":"mmol/L"}}`
	}
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":` + result("5.40") + `,"request":{"method":"PUT","url":"Observation/o1"}},
		{"resource":{"resourceType":"DiagnosticReport","id":"r1","status":"final","code":{"text":"Panel"},"subject":{"reference":"Patient/p1"},"result":[{"reference":"Observation/o1"}]},"request":{"method":"PUT","url":"DiagnosticReport/r1"}}]}`
	var done any
	if err := f.api.JSON(t.Context(), http.MethodPost, "/fhir", json.RawMessage(bundle), &done); err != nil {
		t.Fatal(err)
	}
	was := out.sends("OBX-5", "ORU^R01 5.40")
	f.write("Observation/o1", result("5.50"))
	if now := out.sends("OBX-5", "ORU^R01 5.50"); slices.Equal(was, now) {
		t.Errorf("another result has the same control id %s", now)
	}

	// Withheld: a label on the patient, on an order, on a result of a report; nothing else of theirs either.
	label := func(code string) string {
		system := "http://terminology.hl7.org/CodeSystem/v3-ActCode"
		if code == "R" {
			system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
		}
		return `"meta":{"security":[{"system":"` + system + `","code":"` + code + `"}]}`
	}
	order := func(id, patient, more string) string {
		return `{"resourceType":"ServiceRequest","id":"` + id + `","status":"active","intent":"order","code":{"text":"Panel"},"subject":{"reference":"Patient/` + patient + `"}` + more + `}`
	}
	f.write("Patient/p2", person("p2", ","+label("R")))
	f.write("ServiceRequest/s2", order("s2", "p2", ""))
	f.write("ServiceRequest/s3", order("s3", "p1", ","+label("PSY")))
	f.write("Observation/o1", strings.Replace(result("5.60"), `"id":"o1"`, `"id":"o1",`+label("SUD"), 1))
	f.write("ServiceRequest/s4", order("s4", "p1", ""))
	ids := out.sends("ORC-2.1", "OML^O21 s4")
	open.sends("PID-3.1", "ADT^A28 p1", "ADT^A28 p2") // that feed may have R

	// It stopped between the queue and its own note of how far it came: nothing is sent twice.
	note := filepath.Join(f.conf.Data("feeds"), "out", "published")
	early, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	f.settled()
	f.again()
	f.write("ServiceRequest/s5", order("s5", "p1", ""))
	ids = append(ids, out.sends("ORC-2.1", "OML^O21 s5")...)
	f.settled()
	f.run.stop(t)
	for _, place := range [][]byte{early, []byte(`{"seq":1,"version":"of another store","updated":"2020-01-01T00:00:00Z"}`)} {
		if err := os.WriteFile(note, place, 0o600); err != nil {
			t.Fatal(err)
		}
		f.hangUp()
		f.start()
		f.write("ServiceRequest/s6", order("s6", "p1", `,"note":[{"text":"`+fmt.Sprint(len(place))+`"}]`))
		got := out.next()
		if got.Get("ORC-2.1").Plain() != "s6" || slices.Contains(ids, got.ControlID()) {
			t.Errorf("got %q, want the new order alone", got.Encode())
		}
		f.settled()
		f.run.stop(t)
	}

	// A feed that was off catches up, but for what is gone by then.
	f.conf.Feeds[1].Off = true
	if err := f.conf.Save(); err != nil {
		t.Fatal(err)
	}
	f.hangUp()
	f.start()
	f.write("ServiceRequest/s7", order("s7", "p1", ""))
	r, err := f.api.Do(t.Context(), http.MethodDelete, "/fhir/ServiceRequest/s7", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	f.write("ServiceRequest/s8", order("s8", "p1", ""))
	f.conf.Feeds[1].Off = false
	f.again()
	out.sends("ORC-2.1", "OML^O21 s8")
	f.events("p1", "feed out", 8) // A28, two reports, s4, s5, s6 twice, s8
	f.events("p2", "feed out", 0)
	select {
	case m := <-out.got:
		t.Errorf("got %q, want nothing more", m.Encode())
	default:
	}
}
