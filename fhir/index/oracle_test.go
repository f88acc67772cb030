package index

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/fhir/definition"
	"salus/fhir/search"
)

const base = "http://example.org/fhir"

var fast = sync.OnceValue(func() *Index {
	x, err := New(definition.R4(), base)
	if err != nil {
		panic(err)
	}
	return x
})

// slow evaluates every parameter with package fhirpath, also those that fast finds by others' entries.
var slow = sync.OnceValue(func() *Index {
	x, err := build(definition.R4(), nil, []string{base}, true)
	if err != nil {
		panic(err)
	}
	return x
})

// setOf is entries without order, repetition and the numbers of groups. Codes lose the system of
// their binding, which an evaluated expression does not know.
func setOf(entries []search.Entry) map[string]bool {
	set := map[string]bool{}
	groups := map[string][]string{}
	for i := range entries {
		e := entries[i]
		v := &e.Value
		s := fmt.Sprintf("%s %d %s %q %q %q %v %q", e.Name(), e.Kind, e.Modifier, v.Text, v.System, v.Code, v.Range, e.Exact)
		if e.Group == 0 {
			set[s] = true
			continue
		}
		g := fmt.Sprintf("%s %d", e.Code, e.Group)
		groups[g] = append(groups[g], s)
	}
	for _, parts := range groups {
		slices.Sort(parts)
		set[strings.Join(slices.Compact(parts), " & ")] = true
	}
	return set
}

// codes are the indexes of codes, whose system is known by where they stand.
var codes = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	var note func(n *node)
	note = func(n *node) {
		for i := range n.give {
			if a := &n.give[i]; a.how == aCode {
				known[search.IndexName(a.code, search.Plain, a.part)] = true
			}
		}
		for _, e := range n.edges {
			note(e.to)
		}
		for _, f := range n.when {
			note(f.to)
		}
		for _, c := range n.groups {
			note(c.here)
		}
	}
	for typ, p := range fast().plans {
		note(p.root)
		for _, x := range p.params {
			for _, code := range x.Of[typ] {
				for part := range len(x.parts) + 1 {
					if known[search.IndexName(code, search.Plain, part)] {
						known[search.IndexName(x.Code, search.Plain, part)] = true
					}
				}
			}
		}
	}
	return known
})

// unbind takes their systems away.
func unbind(entries []search.Entry) {
	for i := range entries {
		if e := &entries[i]; e.Kind == search.Token && e.Modifier == search.Plain && codes()[e.Name()] {
			e.Value.System = ""
		}
	}
}

// spread adds the entries that parameters would have of their own which are found by those of others.
func spread(typ string, entries []search.Entry) []search.Entry {
	n := len(entries)
	for _, p := range fast().plans[typ].params {
		for i, code := range p.Of[typ] {
			for _, e := range entries[:n] {
				if e.Code != code {
					continue
				}
				if e.Code = p.Code; e.Group > 0 {
					e.Group += (i + 1) << 20
				}
				entries = append(entries, e)
			}
		}
	}
	return entries
}

func compare(t *testing.T, x example) int {
	t.Helper()
	got, err := fast().Entries(x.Resource)
	if err != nil {
		t.Errorf("%s: %v", x.name, err)
	}
	want, err := slow().Entries(x.Resource)
	if err != nil {
		t.Errorf("%s: evaluated: %v", x.name, err)
	}
	n := len(got)
	got = spread(x.Type(), got)
	unbind(got)
	unbind(want)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(setOf(want))), slices.Sorted(maps.Keys(setOf(got)))); diff != "" {
		t.Errorf("%s: the walk and the evaluation differ (-evaluated +walked):\n%s", x.name, diff)
	}
	return n
}

func TestTheWalkGivesWhatEvaluationGives(t *testing.T) {
	entries, types := 0, map[string]bool{}
	for _, x := range fixtures(t) {
		entries += compare(t, x)
		types[x.Type()] = true
	}
	t.Logf("fixtures: %d entries of %d types", entries, len(types))
}

func TestTheWalkGivesWhatEvaluationGivesForPublishedExamples(t *testing.T) {
	entries, types := 0, map[string]bool{}
	all := packaged(t)
	for _, x := range all {
		entries += compare(t, x)
		types[x.Type()] = true
	}
	t.Logf("%d examples: %d entries of %d types", len(all), entries, len(types))
}

func TestTheWalkGivesWhatEvaluationGivesForSynthea(t *testing.T) {
	entries := 0
	all := synthea(t, 2)
	for _, x := range all {
		entries += compare(t, x)
	}
	t.Logf("%d resources: %d entries", len(all), entries)
}
