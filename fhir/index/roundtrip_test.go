package index

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// roundTrip stores resources and searches each by all of its entries.
func roundTrip(t *testing.T, all []example) {
	w := newWorld(t)
	seen := map[string]bool{}
	all = slices.DeleteFunc(slices.Clone(all), func(x example) bool {
		key := x.Type() + "/" + x.ID()
		again := seen[key] || x.ID() == ""
		seen[key] = true
		return again
	})
	w.put(all)
	queries, params := 0, map[string]bool{}
	for _, x := range all {
		entries, err := fast().Entries(x.Resource)
		if err != nil {
			t.Fatal(err)
		}
		all := queriesOf(entries)
		slices.Sort(all)
		for _, q := range slices.Compact(all) {
			queries++
			name, _, _ := strings.Cut(q, "=")
			params[x.Type()+"."+name] = true
			if status, got, _ := w.find(x.Type() + "?" + q + "&_id=" + x.ID()); status != http.StatusOK || !slices.Equal(got, []string{x.Type() + "/" + x.ID()}) {
				t.Errorf("%s: %s: got %d %v", x.name, q, status, got)
			}
		}
	}
	t.Logf("%d resources, %d queries by %d parameters with their modifiers", len(all), queries, len(params))
}

func TestAResourceIsFoundByItsEntries(t *testing.T) { roundTrip(t, fixtures(t)) }

func TestPublishedExamplesAreFoundByTheirEntries(t *testing.T) {
	all := packaged(t)
	// Definitions are many and alike; every fifth of them, and everything else.
	n := 0
	all = slices.DeleteFunc(all, func(x example) bool {
		switch x.Type() {
		case "StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "ConceptMap", "OperationDefinition":
			n++
			return n%5 > 0
		}
		return false
	})
	roundTrip(t, all)
}
