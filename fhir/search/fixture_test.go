package search

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// some are a few of R4's parameters.
type some map[string]map[string]*Param

func (s some) Param(typ, code string) (*Param, bool) {
	if p, ok := s[typ][code]; ok {
		return p, true
	}
	p, ok := s["Resource"][code]
	return p, ok && typ != ""
}

func (s some) Known(typ string) bool { _, ok := s[typ]; return ok && typ != "Resource" }

func (s some) List(typ string) (out []*Param) {
	for _, code := range slices.Sorted(maps.Keys(s[typ])) {
		out = append(out, s[typ][code])
	}
	return out
}

var params = func() some {
	s := some{
		"Resource": {"_id": {Kind: Token}, "_lastUpdated": {Kind: Date}, "_tag": {Kind: Token}},
		"Patient": {
			"name": {Kind: String}, "birthdate": {Kind: Date}, "identifier": {Kind: Token}, "gender": {Kind: Token},
			"organization":         {Kind: Reference, Targets: []string{"Organization"}},
			"general-practitioner": {Kind: Reference, Targets: []string{"Practitioner", "Organization"}},
		},
		"Practitioner": {"name": {Kind: String}},
		"Organization": {"name": {Kind: String}, "partof": {Kind: Reference, Targets: []string{"Organization"}}},
		"Observation": {
			"code": {Kind: Token}, "date": {Kind: Date}, "value-quantity": {Kind: Quantity},
			"subject": {Kind: Reference, Targets: []string{"Group", "Device", "Patient", "Location"}},
			"patient": {Kind: Reference, Targets: []string{"Patient"}},
		},
		"ValueSet":       {"url": {Kind: URI}},
		"RiskAssessment": {"probability": {Kind: Number}},
		"Location":       {"near": {Kind: Spot}, "nowhere": {Kind: Special}},
		"Group":          {},
		"Device":         {"colour": {Kind: Token, Unready: true}, "owner": {Kind: Reference, Targets: []string{"Organization"}, Unready: true}},
	}
	for _, ps := range s {
		for code, p := range ps {
			p.Code = code
		}
	}
	s["Observation"]["code-value-quantity"] = &Param{Code: "code-value-quantity", Kind: Composite, Components: []Component{
		{Param: s["Observation"]["code"]}, {Param: s["Observation"]["value-quantity"]},
	}}
	return s
}()

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// read parses "Type?a=b&c=d" in its order.
func read(t testing.TB, s string, lenient bool) (*Query, error) {
	t.Helper()
	typ, query, _ := strings.Cut(s, "?")
	var pairs []Pair
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			t.Skip("no query string")
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			t.Skip("no query string")
		}
		pairs = append(pairs, Pair{n, v})
	}
	return Parse(typ, pairs, Options{Params: params, Now: now, Lenient: lenient, Also: []string{"_format"}})
}
