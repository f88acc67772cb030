package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/config"
	"salus/gateway"
)

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
