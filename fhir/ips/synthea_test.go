package ips

import (
	"regexp"
	"testing"
)

func TestSummariesOfSyntheaAreValid(t *testing.T) {
	for i, c := range synthea(t, 6) {
		for _, ed := range []Edition{V200, V110} {
			raw := c.document(t, c.options(ed))
			s := read(t, raw)
			s.closed(t)
			valid(t, raw)
			if i == 0 || i == 3 {
				t.Logf("edition %d: %d resources in, %d in the document of %d bytes", ed, len(c.list), len(s.urls), len(raw))
			}
		}
	}
}

func TestSummariesOfSyntheaFollowTheGuide(t *testing.T) {
	v := guide(t)
	for _, c := range synthea(t, 6) {
		for _, i := range wrong(t, v, c.document(t, c.options(V110)), profiles+"Bundle-uv-ips") {
			t.Errorf("IPS 1.1.0: %s %s: %s", i.Code, i.Expression, i.Text)
		}
	}
}

// changed are the places where a document of 2.0.0 is none of 1.1.0, with the change that says so (IPS, "Change Log"):
// sections may be empty and say why (FHIR-41529), and need no entry (FHIR-42872); the profile that is
// claimed is another version, of which the package knows nothing. A section that does not fit its
// slice is then missing, and the Composition that does not fit its profile is missing in the Bundle.
var changed = regexp.MustCompile(`^(Bundle\.entry\[0\]\.resource(\.section(\[\d+\](\.emptyReason|\.entry)?)?)?|Bundle\.entry|Bundle)$`)

func TestWhatIsNot110IsNamed(t *testing.T) {
	v := guide(t)
	charts := append(synthea(t, 3), newChart(t, patient))
	refused := false
	for _, c := range charts {
		for _, i := range wrong(t, v, c.document(t, c.options(V200)), profiles+"Bundle-uv-ips") {
			refused = true
			if !changed.MatchString(i.Expression) {
				t.Errorf("%s %s: %s", i.Code, i.Expression, i.Text)
			}
		}
	}
	if !refused {
		t.Error("a patient of whom nothing is known fits 1.1.0 without entries: the package is not checked")
	}
	for _, i := range wrong(t, v, charts[len(charts)-1].document(t, charts[len(charts)-1].options(V110)), profiles+"Bundle-uv-ips") {
		t.Errorf("IPS 1.1.0: %s %s: %s", i.Code, i.Expression, i.Text)
	}
}

// TestSummariesOfTheGuidesExamples makes summaries again of what the published ones are made of.
func TestSummariesOfTheGuidesExamples(t *testing.T) {
	v := guide(t)
	n := 0
	for name, c := range examples(t) {
		n++
		raw := c.document(t, c.options(V110))
		s := read(t, raw)
		s.closed(t)
		for _, i := range wrong(t, v, raw, profiles+"Bundle-uv-ips") {
			t.Errorf("%s: %s %s: %s", name, i.Code, i.Expression, i.Text)
		}
		t.Logf("%s: %d resources in, sections %d", name, len(c.list), len(s.sections))
	}
	if n == 0 {
		t.Error("the package has no example Bundles")
	}
}

func BenchmarkDocument(b *testing.B) {
	c := synthea(b, 1)[0]
	o := c.options(V200)
	for b.Loop() {
		c.document(b, o)
	}
}
