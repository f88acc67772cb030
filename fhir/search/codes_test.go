package search

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var errBroken = errors.New("broken")

// terms is a Terminology of a test.
type terms struct{}

func (terms) In(set string) ([]Value, error) {
	switch set {
	case "http://a/set|2":
		return []Value{{System: "s", HasSystem: true, Text: "a"}, {System: "s", HasSystem: true, Text: "b"}}, nil
	case "ValueSet/b":
		return []Value{{System: "s", HasSystem: true, Text: "b"}, {System: "t", HasSystem: true, Text: "c"}}, nil
	case "http://a/none":
		return nil, nil
	case "http://a/large":
		var vs []Value
		for i := range MaxCodes/2 + 1 {
			vs = append(vs, Value{System: "s", HasSystem: true, Text: fmt.Sprint(i)})
		}
		return vs, nil
	case "http://a/broken":
		return nil, errBroken
	}
	return nil, Refuse(CodeNoTerminology)
}

func (terms) Above(system, code string) ([]Value, error) {
	return []Value{{System: system, HasSystem: true, Text: code}, {System: system, HasSystem: true, Text: "top"}}, nil
}

func (terms) Below(system, code string) ([]Value, error) {
	return []Value{{System: system, HasSystem: true, Text: code}}, nil
}

func parseTerms(q ...Pair) (*Query, error) {
	return Parse("Observation", q, Options{Params: params, Terminology: terms{}})
}

func TestValueSetsAndHierarchiesBecomeTheirCodes(t *testing.T) {
	for name, c := range map[string]struct {
		q    Pair
		m    Modifier
		want []string
	}{
		"in":              {Pair{"code:in", "http://a/set|2"}, Plain, []string{"s|a", "s|b"}},
		"in either":       {Pair{"code:in", "http://a/set|2,ValueSet/b"}, Plain, []string{"s|a", "s|b", "t|c"}},
		"not in":          {Pair{"code:not-in", "ValueSet/b"}, Not, []string{"s|b", "t|c"}},
		"in an empty set": {Pair{"code:in", "http://a/none"}, Plain, nil},
		"above":           {Pair{"code:above", "s|a"}, Plain, []string{"s|a", "s|top"}},
		"below":           {Pair{"code:below", `s\|x|a`}, Plain, []string{`s|x|a`}},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := parseTerms(c.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range q.Where[0].Values {
				got = append(got, v.System+"|"+v.Text)
			}
			if d := cmp.Diff(c.want, got); d != "" || q.Where[0].Modifier != c.m {
				t.Errorf("got %v %s", q.Where[0].Modifier, d)
			}
		})
	}
}

func TestWhatTerminologyCannotTellIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		q    []Pair
		want string
	}{
		"an unknown value set": {[]Pair{{"code:in", "http://a/unknown"}}, CodeNoTerminology},
		"no value":             {[]Pair{{"code:in", "http://a/none,"}}, CodeEmptyValue},
		"too many in all":      {[]Pair{{"code:in", "http://a/large"}, {"code:not-in", "http://a/large"}}, CodeTooCostly},
		"below without system": {[]Pair{{"code:below", "a"}}, CodeModifierValue},
		"above no system":      {[]Pair{{"code:above", "|a"}}, CodeModifierValue},
		"a reference's above":  {[]Pair{{"subject:above", "Patient/1"}}, CodeNotSupported},
	} {
		if _, err := parseTerms(c.q...); !errors.Is(err, &Issue{Code: c.want}) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if _, err := Parse("Observation", []Pair{{"code:in", "http://a/set|2"}}, Options{Params: params}); !errors.Is(err, &Issue{Code: CodeNotSupported}) {
		t.Errorf("without terminology: got %v, want %s", err, CodeNotSupported)
	}
	if _, err := parseTerms(Pair{"code:in", "http://a/broken"}); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want what broke", err)
	}
}
