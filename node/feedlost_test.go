package node_test

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"salus/config"
	"salus/gateway"
)

// What a feed's message about a resource leaves out is listed by name, for the operator, by feeds that may tell of it;
// that somebody looked is in the patient's log, refused or not. Nothing is sent.
func TestWhatAFeedLeavesOutIsListed(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		_, port, _ := net.SplitHostPort(c.Feeds[0].Listen)
		p, _ := strconv.Atoi(port)
		at := func(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p+n)) }
		c.Feeds = append(c.Feeds,
			config.Feed{Name: "out", Plain: true, Send: at(1), Off: true, Publish: []string{"ADT^A28", "ADT^A31", "OML"}},
			config.Feed{Name: "mute", Plain: true, Send: at(2), Off: true})
	})
	f.write("Patient/p1", person("p1", `,"active":true,"photo":[{"contentType":"image/png","title":"Portrait"}]`))
	label := `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}`
	f.write("Patient/p2", person("p2", label))
	order := func(id, patient, more string) {
		f.write("ServiceRequest/"+id, `{"resourceType":"ServiceRequest","id":"`+id+`","status":"active","intent":"order","code":{"text":"Panel"},"subject":{"reference":"Patient/`+patient+`"}`+more+`}`)
	}
	order("s1", "p1", `,"insurance":[{"display":"Cover"}]`)
	order("s2", "p2", "")

	lost := func(feed, resource, event string) string {
		return "/v1/feeds/" + feed + "/lost?" + url.Values{"resource": {resource}, "event": {event}}.Encode()
	}
	var got []gateway.FeedLost
	if err := f.api.JSON(t.Context(), http.MethodGet, lost("out", "ServiceRequest/s1", ""), nil, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Event != "OML^O21" || got[0].More {
		t.Fatalf("got %+v, want what OML^O21 leaves out", got)
	}
	for _, want := range []gateway.FeedMissing{{Resource: "ServiceRequest/s1", Path: "ServiceRequest.insurance"}, {Resource: "Patient/p1", Path: "Patient.photo"}} {
		if !slices.Contains(got[0].Missing, want) {
			t.Errorf("got %v, want %v in it", got[0].Missing, want)
		}
	}
	f.asked("p1", 1)
	got = nil
	if err := f.api.JSON(t.Context(), http.MethodGet, lost("out", "Patient/p1", "ADT^A31"), nil, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Event != "ADT^A31" || !slices.Contains(got[0].Missing, gateway.FeedMissing{Resource: "Patient/p1", Path: "Patient.photo"}) {
		t.Errorf("got %+v", got)
	}
	f.asked("p1", 2)

	for _, x := range []struct{ feed, resource, event, want string }{
		{"none", "Patient/p1", "", "feed"},
		{"adt", "Patient/p1", "", "feed-direction"},
		{"mute", "Patient/p1", "", "feed-direction"},
		{"out", "Patient/none", "", "feed-resource"},
		{"out", "", "", "feed-resource"},
		{"out", "Patient/../p1", "", "feed-resource"},
		{"out", "Patient/p1", "ADT^A08", "feed-event"}, // not published
		{"out", "Patient/p1", "OML^O21", "feed-event"}, // of another type
		{"out", "Patient/p2", "", "feed-withheld"},
		{"out", "ServiceRequest/s2", "", "feed-withheld"},
	} {
		if got := f.problem(http.MethodGet, lost(x.feed, x.resource, x.event), nil); got != x.want {
			t.Errorf("%s %s %s: got %s, want %s", x.feed, x.resource, x.event, got, x.want)
		}
	}
	f.asked("p1", 4)
	f.asked("p2", 2) // that it was asked for
}

// asked are the events of a patient's log of somebody who asked for what a message leaves out.
func (f *feeding) asked(id string, want int) {
	f.t.Helper()
	f.until("events of asking in the log of "+id, func() bool {
		var b struct {
			Entry []struct {
				Resource struct{ Entity []struct{ Query string } }
			}
		}
		if err := f.api.JSON(f.t.Context(), http.MethodGet, "/fhir/AuditEvent?_count=200&patient="+id, nil, &b); err != nil {
			return false
		}
		got := 0
		for _, e := range b.Entry {
			if slices.ContainsFunc(e.Resource.Entity, func(x struct{ Query string }) bool {
				q, err := base64.StdEncoding.DecodeString(x.Query)
				return err == nil && strings.Contains(string(q), "/lost?")
			}) {
				got++
			}
		}
		return got == want
	})
}
