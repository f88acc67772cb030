package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/config"
	"salus/gateway"
	"salus/hl7"
	"salus/hl7/hl7test"
	"salus/node"
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

// stamped is a message with a control id of its own, as the samples share some, and a processing id,
// as fragments have no more than the fields that they are about.
func stamped(m *hl7.Message, n int) []byte {
	raw, sep := m.Encode(), string(m.Delimiters().Field)
	from := bytes.Index(raw, []byte("MSH"))
	to := from + bytes.IndexAny(append(raw[from:], '\r'), "\r\n")
	fields := strings.Split(string(raw[from:to]), sep)
	for len(fields) < 11 {
		fields = append(fields, "")
	}
	fields[9] = fmt.Sprintf("M%d", n)
	if fields[10] == "" {
		fields[10] = "P"
	}
	return slices.Concat(raw[:from], []byte(strings.Join(fields, sep)), raw[to:])
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
		f.n++
		outcome[f.send(stamped(m, f.n))]++
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
