package store

import (
	"fmt"
	"strings"
	"testing"

	"salus/fhir/search"
)

func coded(scope Scope, id, owner, system, code string) Put {
	return Put{
		Key: Key{scope, "A", id}, Owner: owner, Expect: Any, Body: []byte(`{}`),
		Entries: []search.Entry{{Code: "code", Kind: search.Token, Value: search.Value{System: system, Text: code}}},
	}
}

// A value set is searched by as the codes that it has: thousands of them.
func TestCodesOfALargeValueSetAreFound(t *testing.T) {
	on(t, func(t *testing.T, open func() *Store) {
		s := open()
		scope := s.NewScope()
		for _, p := range []Put{
			coded(Own, "in", "Patient/1", "s", "c9999"), coded(Own, "other", "Patient/1", "t", "c9999"), coded(Own, "out", "Patient/1", "s", "x"),
			coded(Own, "hidden", "Patient/2", "s", "c1"), coded(scope, "session", "Patient/1", "s", "c2"),
			{Key: Key{Own, "A", "none"}, Owner: "Patient/1", Expect: Any, Body: []byte(`{}`)},
		} {
			put(t, s, p)
		}
		var set []search.Value
		for i := range search.MaxCodes {
			set = append(set, search.Value{System: "s", HasSystem: true, Text: fmt.Sprint("c", i)})
		}
		for name, c := range map[string]struct {
			m     search.Modifier
			set   []search.Value
			sight Sight
			want  string
		}{
			"in":                  {search.Plain, set, Sight{Scopes: []Scope{Own}}, "in hidden"},
			"not in":              {search.Not, set, Sight{Scopes: []Scope{Own}}, "other out none"},
			"in, of one owner":    {search.Plain, set, Sight{Scopes: []Scope{Own}, Owner: "Patient/1"}, "in"},
			"in, with a session":  {search.Plain, set, Sight{Scopes: []Scope{Own, scope}, Owner: "Patient/1"}, "in session"},
			"other than one":      {search.Differs, set[:manyCodes+1], Sight{Scopes: []Scope{Own}}, "in other out hidden"},
			"in an empty set":     {search.Plain, nil, Sight{Scopes: []Scope{Own}}, ""},
			"not in an empty set": {search.Not, nil, Sight{Scopes: []Scope{Own}, Owner: "Patient/1"}, "in other out none"},
		} {
			q := &search.Query{Types: []string{"A"}, Count: -1, Total: search.TotalAccurate, Where: []search.Clause{{Param: modelParams["code"], Modifier: c.m, Values: c.set}}}
			p, err := s.Search(t.Context(), Search{Query: q, Sight: c.sight, Count: 10})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var got []string
			for _, v := range p.Matches {
				got = append(got, v.ID)
			}
			if g := strings.Join(got, " "); g != c.want || int(p.Total) != len(got) {
				t.Errorf("%s: got %q of %d, want %q", name, g, p.Total, c.want)
			}
		}
	})
}
