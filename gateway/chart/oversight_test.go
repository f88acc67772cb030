package chart_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/fhirxml"
	"salus/gateway/chart"
)

const asNurse = "Salus-As: hospital-doctor"

// pcfConsent permits the clinical members treatment, but for what is psychiatric.
func pcfConsent(id, patient string) string {
	return fmt.Sprintf(`{"resourceType":"Consent",%s"status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},`+
		`"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":%q},"dateTime":"2024-01-01","performer":[{"reference":%q}],`+
		`"organization":[{"reference":"Organization/sample"}],"sourceReference":{"reference":"DocumentReference/form"},"policy":[{"uri":"urn:salus:policy:consent"}],`+
		`"provision":{"type":"permit","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}],`+
		`"actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"type":"Group","identifier":{"system":"urn:salus:community","value":"any-clinical"}}}],`+
		`"provision":[{"type":"deny","securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}]}}`, id, patient, patient)
}

// TestConsentsAndTheLogOverFHIR records a consent from a form, reads by it elsewhere, looks at who
// looked, and takes the consent back.
func TestConsentsAndTheLogOverFHIR(t *testing.T) {
	n := newNetwork(t)
	active := chart.HeaderWait + ": active"
	n.must(n.fhir("hospital", "PUT", "Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"Sample"}]}`, active), 201)
	n.must(n.fhir("hospital", "PUT", "Observation/lab", observation("lab", "Patient/p1", "1234-5", "seen", ""), active), 201)
	n.must(n.fhir("hospital", "PUT", "Observation/psy", observation("psy", "Patient/p1", "1234-6", "hidden", psychiatric), active), 201)
	patient := n.pseudonym("hospital", "Patient/p1")
	n.v1("clinic", "POST", "/v1/patients/"+patient.String()+"/adopt", map[string]string{"reference": "Patient/c9"}, nil)

	if a := n.fhir("hospital", "POST", "Consent", pcfConsent("", "Patient/p1")); a.status != 403 {
		t.Errorf("a consent that nobody recorded: got %d %s, want 403", a.status, a.body)
	}
	// What cannot be enforced is refused with its place, and nothing is on the ledger.
	odd := strings.Replace(pcfConsent("", "Patient/p1"), `"purpose"`, `"dataPeriod":{"start":"2020-01-01"},"purpose"`, 1)
	if a := n.must(n.fhir("hospital", "POST", "Consent", odd, asNurse), 422); !strings.Contains(string(a.body), "Consent.provision.dataPeriod") {
		t.Errorf("got %s, want the place", a.body)
	}
	n.must(n.fhir("clinic", "POST", "Consent", pcfConsent("", "Patient/c9"), asDoctor), 409) // not its steward
	if got, total := n.found(n.fhir("hospital", "GET", "Consent?patient=Patient/p1", "")); total != 0 {
		t.Fatalf("before there is one: got %v", got)
	}
	const inXML = "Content-Type: application/fhir+xml" // as which it can come as well
	if a := n.must(n.fhir("hospital", "POST", "Consent", `<Consent xmlns="http://hl7.org/fhir"><status/></Consent>`, asNurse, inXML), 400); !strings.Contains(string(a.body), fhirxml.CodeBlank) {
		t.Errorf("no Consent in XML: got %s", a.body)
	}
	form, err := fhirxml.ToXML(definition.R4().Model(), []byte(pcfConsent("", "Patient/p1")), false)
	if err != nil {
		t.Fatal(err)
	}
	made := n.must(n.fhir("hospital", "POST", "Consent", string(form), asNurse, inXML), 201)
	id, _, _ := strings.Cut(strings.TrimPrefix(made.header.Get("Location"), n.base["hospital"]+"/Consent/"), "/")
	n.head("clinic")
	got, total := n.found(n.fhir("clinic", "GET", "Observation?patient=Patient/c9&_total=accurate", "", asDoctor, forTreatment))
	if total != 1 || strings.Contains(strings.Join(got["Observation"], ""), "hidden") {
		t.Errorf("by the consent the clinic sees %v (%d), want what is not psychiatric", got, total)
	}
	read := n.must(n.fhir("hospital", "GET", "Consent/"+id, ""), 200)
	if !strings.Contains(string(read.body), `"code":"steward"`) || !strings.Contains(string(read.body), `"reference":"Patient/p1"`) {
		t.Errorf("got %s, want it marked as recorded by the steward, about Patient/p1", read.body)
	}
	// The same is said of it to who would ask, and by its real map.
	may := n.must(n.fhir("hospital", "GET", "Consent/$explain?patient=Patient/p1&purpose=TREAT", "", asNurse), 200)
	if said := string(may.body); !strings.Contains(said, `"code":"laboratory"`) || strings.Contains(said, `"code":"PSY"`) {
		t.Errorf("got %s, want all but what is psychiatric", said)
	}
	n.must(n.fhir("hospital", "GET", "Consent/$explain?patient=Patient/p1&purpose=TREAT", ""), 403)
	if a := n.must(n.fhir("hospital", "GET", "metadata", ""), 200); !strings.Contains(string(a.body), `{"name":"explain","definition":"urn:salus:operation:consent-explain"}`) {
		t.Error("the CapabilityStatement does not name the operation")
	}
	n.must(n.fhir("clinic", "GET", "Consent/$explain?patient=Patient/c9&purpose=TREAT", "", asDoctor), 409)
	// Who is not her steward has not her slot map, and cannot tell what her masks mean.
	n.must(n.fhir("clinic", "GET", "Consent?patient=Patient/c9&status=active", ""), 409)

	// Who looked: what the ledger has of the clinic, and what this gateway did, also empty and refused.
	log, _ := n.found(n.fhir("hospital", "GET", "AuditEvent?patient=Patient/p1&_count=200", ""))
	var kinds []string
	for _, e := range log["AuditEvent"] {
		var x struct {
			Action  string
			Outcome string
			Subtype []struct{ Code string }
		}
		if err := json.Unmarshal([]byte(e), &x); err != nil {
			t.Fatal(err)
		}
		for _, s := range x.Subtype {
			kinds = append(kinds, s.Code+x.Outcome)
		}
	}
	for _, want := range []string{"create0", "create4", "update0", "search-type0"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("the log has %v, want also %s", kinds, want)
		}
	}
	n.must(n.fhir("hospital", "POST", "AuditEvent", `{"resourceType":"AuditEvent"}`), 405)
	n.must(n.fhir("hospital", "GET", "AuditEvent?colour=red", ""), 400)
	acc := n.must(n.fhir("hospital", "GET", "AuditEvent/$accounting-of-disclosures?patient=Patient/p1&everything=true&_format=csv", ""), 200)
	if !strings.HasPrefix(acc.header.Get("Content-Type"), "text/csv") || len(acc.body) == 0 {
		t.Errorf("got %s of %d bytes, want a table", acc.header.Get("Content-Type"), len(acc.body))
	}

	// Taken back, it holds no more from its block on, and reads as inactive.
	n.must(n.fhir("hospital", "DELETE", "Consent/"+id, "", asNurse, `If-Match: W/"no"`), 412)
	n.must(n.fhir("hospital", "DELETE", "Consent/"+id, "", asNurse, "If-None-Match: *"), 412)
	n.must(n.fhir("hospital", "DELETE", "Consent/"+id, "", asNurse, "If-Match: *"), 204)
	n.head("clinic")
	if _, total := n.found(n.fhir("clinic", "GET", "Observation?patient=Patient/c9&_total=accurate", "", asDoctor, forTreatment)); total != 0 {
		t.Errorf("after the revocation the clinic sees %d", total)
	}
	if a := n.must(n.fhir("hospital", "GET", "Consent/"+id, ""), 200); !strings.Contains(string(a.body), `"status":"inactive"`) {
		t.Errorf("got %s, want it inactive", a.body)
	}
	n.must(n.fhir("hospital", "GET", "Consent/unknown", ""), 404)
}
