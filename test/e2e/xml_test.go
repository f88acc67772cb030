package e2e

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestANodeIsSpokenToInXML asks every room that answers under /fhir for XML. One node stands alone: no ledger is needed for that.
func TestANodeIsSpokenToInXML(t *testing.T) {
	if testing.Short() {
		t.Skip("a process")
	}
	const org = "hospital"
	n := newNetwork(t, "{}")
	n.start(org)
	n.alive(org)
	c := n.config(org)
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, s := range []struct {
		method, path, body string
		code               int
		root, has          string
	}{
		{"PUT", "Patient/p", `<Patient xmlns="http://hl7.org/fhir"><id value="p"/><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">Sample</div></text><name><family value="Sample"/></name></Patient>`, 201, "Patient", `<versionId value="1"/>`},
		{"PUT", "Patient/q", `<Patient xmlns="http://hl7.org/fhir"><id value="q"/><gender value="blue"/></Patient>`, 422, "OperationOutcome", `<expression value="Patient.gender"/>`},
		{"PUT", "Patient/p", `<Patient xmlns="http://hl7.org/fhir"><id value="p"/><colour value="blue"/></Patient>`, 400, "OperationOutcome", `fhir-xml-element`},
		{"PATCH", "Patient/p", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="add"/></part><part><name value="path"/><valueString value="Patient"/></part>` +
			`<part><name value="name"/><valueString value="birthDate"/></part><part><name value="value"/><valueDate value="1970-01-01"/></part></parameter></Parameters>`, 200, "Patient", `<birthDate value="1970-01-01"/>`},
		{"GET", "Patient/p", "", 200, "Patient", `<div xmlns="http://www.w3.org/1999/xhtml">Sample</div>`},
		{"GET", "Patient?family=sample&_include=*", "", 200, "Bundle", `<family value="Sample"/>`},
		{"GET", "Patient/p/$everything", "", 200, "Bundle", `<resource><Patient>`},
		{"GET", "Patient/p/$summary", "", 200, "Bundle", `<resource><Composition>`},
		{"POST", "Patient/$validate", `<Patient xmlns="http://hl7.org/fhir"/>`, 200, "OperationOutcome", ""},
		{"GET", "metadata", "", 200, "CapabilityStatement", `<patchFormat value="application/fhir+xml"/>`},
		{"GET", "metadata?mode=terminology", "", 200, "TerminologyCapabilities", ""},
		{"GET", "CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male", "", 200, "Parameters", `<valueString value="Male"/>`},
		{"GET", "AuditEvent?patient=Patient/p", "", 200, "Bundle", `<resource><AuditEvent>`},
		{"GET", "Consent?patient=Patient/none", "", 200, "Bundle", `<total value="0"/>`},
		{"GET", "$jobs/none", "", 404, "OperationOutcome", ""},
		{"GET", "Patient/none", "", 404, "OperationOutcome", `rest-not-found`},
	} {
		q, err := http.NewRequestWithContext(ctx, s.method, c.FHIRBase()+"/"+s.path, strings.NewReader(s.body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header = http.Header{"Accept": {"application/fhir+xml"}, "Content-Type": {"application/fhir+xml"}, "Authorization": {"Bearer " + strings.TrimSpace(string(token))}}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
		_ = r.Body.Close()
		var e struct{ XMLName xml.Name }
		if err != nil || xml.Unmarshal(b, &e) != nil || r.StatusCode != s.code || e.XMLName.Local != s.root || e.XMLName.Space != "http://hl7.org/fhir" || !strings.Contains(string(b), s.has) {
			t.Errorf("%s %s: got %d %s, %v; want %d and %s with %s", s.method, s.path, r.StatusCode, b[:min(len(b), 2000)], err, s.code, s.root, s.has)
		}
		if typ := r.Header.Get("Content-Type"); typ != "application/fhir+xml; charset=utf-8" {
			t.Errorf("%s %s: it came as %s", s.method, s.path, typ)
		}
	}
	n.interrupt(org)
}
