package node_test

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"salus/config"
)

// What a feed publishes of substance use has the notice of 42 CFR 2.32 with it, and what has no place for that is not
// sent; a message of which nothing bears the label has none.
func TestANoticeGoesWithWhatAFeedPublishes(t *testing.T) {
	const text = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
	f := newFeeding(t, func(c *config.Config) {
		_, port, _ := net.SplitHostPort(c.Feeds[0].Listen)
		p, _ := strconv.Atoi(port)
		c.Feeds = append(c.Feeds, config.Feed{
			Name: "out", Plain: true, Send: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1)), Publish: []string{"ADT", "OML^O21"}, PublishLabels: []string{"SUD"},
			PublishAttested: "agreement of 2026-03-01",
		})
		c.Notices = []config.Notice{{Label: "SUD", Text: text, Policy: "42CFRPart2"}}
	})
	out := receive(t, f.conf.Feeds[1].Send)
	f.write("Patient/p1", person("p1", ""))
	order := func(id, code string) {
		f.write("ServiceRequest/"+id, `{"resourceType":"ServiceRequest","id":"`+id+`","status":"active","intent":"order","code":{"text":"`+code+`"},"subject":{"reference":"Patient/p1"}}`)
	}
	order("s1", "Opioid use disorder assessment")
	f.write("Encounter/e1", `{"resourceType":"Encounter","id":"e1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SUD"}]},`+
		`"status":"arrived","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/p1"}}`)
	order("s2", "Glucose")
	for _, want := range []struct{ message, order, notice string }{{"ADT^A28", "", ""}, {"OML^O21", "s1", text}, {"OML^O21", "s2", ""}} {
		m := out.next()
		code, event, _ := m.Type()
		if got := code + "^" + event; got != want.message || m.Get("ORC-2.1").Plain() != want.order || m.Get("NTE-3").Plain() != want.notice {
			t.Errorf("got %q, want %+v", m.Encode(), want)
		}
	}
	query := url.Values{"resource": {"Encounter/e1"}, "event": {"ADT^A04"}}
	if got := f.problem(http.MethodGet, "/v1/feeds/out/lost?"+query.Encode(), nil); got != "feed-withheld" {
		t.Errorf("what the visit's message leaves out: got %s", got)
	}
}
