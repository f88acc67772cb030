package config

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"salus/fhir"
)

func TestNoticesAreReadOrRefused(t *testing.T) {
	c := valid(t)
	c.Notices = []Notice{{Label: "SUD", Text: "42 CFR part 2 prohibits unauthorized use or disclosure of these records.", Policy: "42CFRPart2"}, {Label: "HIV", Text: "ä"}}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	read, err := Load(c.Home)
	if err != nil {
		t.Fatal(err)
	}
	want := []fhir.Notice{{Label: fhir.SUD, Text: c.Notices[0].Text, Policy: "42CFRPart2"}, {Label: fhir.HIV, Text: "ä"}}
	if d := gocmp.Diff(want, read.Accompany()); d != "" {
		t.Error(d)
	}
	for _, x := range []struct {
		key string
		n   []Notice
	}{
		{"notice: label", []Notice{{Label: "sud", Text: "a"}}},
		{"notice: label", []Notice{{Label: "laboratory", Text: "a"}}}, // a kind: it would go with most
		{"notice: label", []Notice{{Label: "SUD", Text: "a"}, {Label: "SUD", Text: "b"}}},
		{"notice: text", []Notice{{Label: "SUD"}}},
		{"notice: text", []Notice{{Label: "SUD", Text: "a\rMSH|"}}},
		{"notice: text", []Notice{{Label: "SUD", Text: " a"}}},
		{"notice: text", []Notice{{Label: "SUD", Text: "a\xff"}}},
		{"notice: text", []Notice{{Label: "SUD", Text: strings.Repeat("a", maxNotice+1)}}},
		{"notice: policy", []Notice{{Label: "SUD", Text: "a", Policy: "42 CFR"}}},
	} {
		c.Notices = x.n
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), x.key) {
			t.Errorf("%v: got %v", x.n, err)
		}
	}
}

// C-16: a feed whose receiver has not attested that the law of a notice binds it has no messages with its label.
func TestANoticeWantsAnAttestation(t *testing.T) {
	c := valid(t)
	c.Notices = []Notice{{Label: "SUD", Text: "a", Policy: "42CFRPart2"}}
	for _, x := range []struct {
		labels   []string
		attested string
		want     bool
	}{
		{nil, "", true},
		{[]string{"PSY"}, "", true},
		{[]string{"PSY", "SUD"}, "", false},
		{[]string{"PSY", "SUD"}, "agreement of 2026-03-01", true},
		{[]string{"SUD"}, " ", false},
		{[]string{"SUD"}, "a\nb", false},
	} {
		o := sending()
		o.Publish, o.PublishLabels, o.PublishAttested = []string{"ADT"}, x.labels, x.attested
		c.Feeds = []Feed{o}
		if err := c.Validate(); (err == nil) != x.want || err != nil && !strings.Contains(err.Error(), "feed out: publish_attested: ") {
			t.Errorf("%q, attested %q: got %v", x.labels, x.attested, err)
		}
	}
}
