package record

import (
	"slices"
	"testing"

	"salus/fhir"
)

func TestLifeOfARecord(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	rs := []fhir.Resource{observation(t, "a", "first"), observation(t, "b", "second", "PSY"), observation(t, "c", "third")}
	w.active(w.put(p.Patient, rs...)...)
	if got := w.read(p); len(got) != 0 {
		t.Errorf("without a grant: got %d records", len(got))
	}
	w.grant(p)
	got := w.read(p)
	slices.Sort(got)
	var want []string
	for _, r := range rs {
		want = append(want, string(r.Raw()))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
