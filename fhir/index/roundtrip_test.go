package index

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// roundTrip stores resources and searches each by its entries, by about so many of them at most.
func roundTrip(t *testing.T, all []example, most int) {
	w := newWorld(t)
	seen := map[string]bool{}
	all = slices.DeleteFunc(slices.Clone(all), func(x example) bool {
		key := x.Type() + "/" + x.ID()
		again := seen[key] || x.ID() == ""
		seen[key] = true
		return again
	})
	w.put(all)
	if h, err := w.store.Check(t.Context(), fast().Digest(), func(v *store.Version) ([]search.Entry, string, error) {
		r, err := fhir.Parse(v.Body)
		if err != nil {
			return nil, "", err
		}
		entries, err := fast().Entries(r)
		return entries, fast().Owner(r), err
	}); err != nil || h.Resources != len(all) || len(h.Findings) > 0 {
		t.Errorf("what was written is not what is there: %+v, %v", h, err)
	}
	queries, params := 0, map[string]bool{}
	for _, x := range all {
		entries, err := fast().Entries(x.Resource)
		if err != nil {
			t.Fatal(err)
		}
		all := queriesOf(spread(x.Type(), entries))
		slices.Sort(all)
		all = slices.Compact(all)
		step := 1 + len(all)/most
		for i, q := range all {
			if i%step > 0 {
				continue
			}
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

func TestAResourceIsFoundByItsEntries(t *testing.T) { roundTrip(t, fixtures(t), 1000) }

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
	most := 15
	if os.Getenv("HL7_R4") != "" {
		most = 1000 // who asks for all examples has the time
	}
	roundTrip(t, all, most)
}
