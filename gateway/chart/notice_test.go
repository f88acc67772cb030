package chart_test

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"salus/config"
	"salus/fhir"
	"salus/gateway/chart"
	"salus/ledger/module/consent"
	"salus/record"
)

// What another member tells of substance use has the notice of 42 CFR 2.32 in it, by whatever way it is read, and
// nothing else has: not her own records, nor others of that member.
func TestANoticeGoesWithAnotherMembersRecords(t *testing.T) {
	const text = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
	n := newNetworkOf(t, func(c *config.Config) { c.Notices = []config.Notice{{Label: "SUD", Text: text, Policy: "42CFRPart2"}} })
	substance := strings.Replace(psychiatric, "PSY", "ETHUD", 1)
	n.must(n.fhir("hospital", "PUT", "Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"Sample"}],"birthDate":"1970-01-01"}`), 201)
	n.must(n.fhir("hospital", "PUT", "Observation/plain", observation("plain", "Patient/p1", "1234-5", "plain", ""), chart.HeaderWait+": active"), 201)
	n.must(n.fhir("hospital", "PUT", "Observation/sud", observation("sud", "Patient/p1", "1234-6", "treatment", substance), chart.HeaderWait+": active"), 201)
	if a := n.must(n.fhir("hospital", "GET", "Observation/sud", ""), 200); bytes.Contains(a.body, []byte(text)) {
		t.Error("the author reads a notice in its own record")
	}
	patient := n.pseudonym("hospital", "Patient/p1")
	grant, _ := n.wallet("hospital", patient)
	n.v1("clinic", "POST", "/v1/patients/"+patient.String()+"/adopt", map[string]string{"reference": "Patient/c9"}, nil)
	grant(record.Wish{Grantee: consent.Grantee{Kind: consent.AnyClinical}, Purposes: consent.PurposesOf(consent.TREAT)})
	n.head("clinic")
	n.must(n.fhir("clinic", "PUT", "Observation/own", observation("own", "Patient/c9", "1234-5", "own", substance), asDoctor, forTreatment), 201)

	got, _ := n.found(n.fhir("clinic", "GET", "Observation?patient=Patient/c9&_total=accurate", "", asDoctor, forTreatment))
	if len(got["Observation"]) != 3 {
		t.Fatalf("got %d, want 3", len(got["Observation"]))
	}
	for _, o := range got["Observation"] {
		if has := strings.Contains(o, text) && strings.Contains(o, `"NORDSCLCD"`) && strings.Contains(o, `"42CFRPart2"`); has != strings.Contains(o, "treatment") {
			t.Errorf("has a notice: %v, in %s", has, o)
		}
		r, err := fhir.Parse([]byte(o))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(o, "treatment") {
			continue
		}
		for _, path := range []string{"Observation/" + r.ID(), "Observation/" + r.ID() + "/_history", "Patient/c9/$everything", "Observation?patient=Patient/c9&_security=NORDSCLCD", "Observation/" + r.ID() + "?_summary=true"} {
			if a := n.must(n.fhir("clinic", "GET", path, "", asDoctor, forTreatment), 200); bytes.Count(a.body, []byte(text)) != 1 {
				t.Errorf("%s: got the notice %d times, want once", path, bytes.Count(a.body, []byte(text)))
			}
		}
		a := n.must(n.fhir("clinic", "GET", "Observation/"+r.ID(), "", asDoctor, forTreatment, "Accept: application/fhir+xml"), 200)
		if err := xml.Unmarshal(a.body, new(struct{})); err != nil || !bytes.Contains(a.body, []byte(text)) {
			t.Errorf("in XML: %v, %s", err, a.body)
		}
	}
}
