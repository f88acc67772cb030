package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// N-01: one visit, from the outpatient's registration to the admission, and each version of it on the ledger. N-02: what a
// result was before its correction can still be read.
func TestAVisitAndAResultKeepWhatTheyWere(t *testing.T) {
	f := newFeeding(t, nil)
	visit := func(class, ward string) string {
		return "PV1|1|" + class + "|" + ward + strings.Repeat("|", 16) + "V1^^^FAC"
	}
	class := func() string { return at(f.one("Encounter"), "class.code") }
	f.accepts(f.v2("ADT^A04^ADT_A01", ann, visit("O", "")))
	if got := class(); got != "AMB" {
		t.Errorf("A04: got class %s, want AMB", got)
	}
	f.accepts(f.v2("ADT^A08^ADT_A01", strings.Replace(ann, "Example^Ann", "Sample^Ann", 1), visit("O", "W1")))
	f.accepts(f.v2("ADT^A01^ADT_A01", strings.Replace(ann, "Example^Ann", "Sample^Anna", 1), visit("I", "W1")))
	if got := class(); got != "IMP" {
		t.Errorf("A01: got class %s, want IMP", got)
	}
	p, e := f.one("Patient", "identifier", "urn:sample:mrn|S1"), f.one("Encounter")
	if at(p, "name.0.given.0") != "Anna" {
		t.Errorf("got %v", p["name"])
	}
	result := func(value, status string) []byte {
		return f.v2("ORU^R01^ORU_R01", ann, "OBR|1|P1^LAB|F1^LAB|24323-8^Panel^LN|||202601020300", "OBX|1|NM|2345-7^Glucose^LN||"+value+"|mg/dL^^UCUM|||||"+status)
	}
	f.accepts(result("95", "F"))
	f.accepts(result("96", "C"))
	o := f.one("Observation", "code", "2345-7")
	for version, want := range map[string]string{"1": "95 final", "2": "96 corrected"} {
		var was map[string]any
		f.get("/fhir/Observation/"+at(o, "id")+"/_history/"+version, &was)
		if got := at(was, "valueQuantity.value") + " " + at(was, "status"); got != want {
			t.Errorf("version %s: got %s, want %s", version, got, want)
		}
	}
	for _, r := range []struct {
		ref      string
		versions int
	}{{"Patient/" + at(p, "id"), 3}, {"Encounter/" + at(e, "id"), 3}, {"Observation/" + at(o, "id"), 2}} {
		for v := 1; v <= r.versions; v++ {
			f.anchored(r.ref, fmt.Sprintf("%s/_history/%d", r.ref, v))
		}
	}
}

// anchored waits until a Provenance says in which batch of the ledger a version is.
func (f *feeding) anchored(ref, version string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, p := range f.search("Provenance", "target", ref) {
			if strings.HasPrefix(at(p, "id"), "anchored-") && strings.Contains(fmt.Sprint(p["target"]), version+"]") {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatalf("%s is not on the ledger", version)
		}
	}
}
