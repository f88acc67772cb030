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
