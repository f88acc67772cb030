package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/client"
	"salus/gateway/intake"
	"salus/record"
)

// take sends a document or a table with the operator's token; a refusal is its code.
func (n *network) take(org, path, contentType, wait string, body []byte) (r intake.Report, refused string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	a, err := n.api(org).DoWith(ctx, http.MethodPost, path, http.Header{"Content-Type": {contentType}, "Salus-Wait": {wait}}, bytes.NewReader(body))
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Status < 500 {
		return r, p.Code
	}
	if err != nil {
		n.t.Fatalf("%s: %s: %v", org, path, err)
	}
	defer a.Body.Close()
	if err := json.NewDecoder(a.Body).Decode(&r); err != nil {
		n.t.Fatal(err)
	}
	return r, ""
}

// pseudonym is who a patient of an organisation is on the ledger.
func (n *network) pseudonym(org, ref string) string {
	n.t.Helper()
	var all []record.Patient
	n.call(org, http.MethodGet, "/v1/patients", nil, &all)
	for _, p := range all {
		if p.Reference == ref {
			return p.Patient.String()
		}
	}
	n.t.Fatalf("%s does not know %s", org, ref)
	return ""
}

// synthetic is a C-CDA document about nobody.
const synthetic = `<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <templateId root="2.16.840.1.113883.10.20.22.1.2"/>
  <id root="2.16.840.1.113883.19.5" extension="e2e-1"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summary of episode note"/>
  <title>Sample summary</title>
  <effectiveTime value="20260102030405+0100"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <recordTarget><patientRole>
    <id root="2.16.840.1.113883.19.5" extension="e2e-patient"/>
    <patient><name use="L"><given>Testa</given><family>Synthetic</family></name>
      <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19700203"/></patient>
  </patientRole></recordTarget>
  <author><time value="20260102"/><assignedAuthor><id root="2.16.840.1.113883.19.5" extension="e2e-doctor"/>
    <assignedPerson><name><given>Erin</given><family>Example</family></name></assignedPerson></assignedAuthor></author>
  <component><structuredBody>
    <component><section><code code="11450-4" codeSystem="2.16.840.1.113883.6.1"/><title>Problems</title>
      <text><paragraph ID="p1">Lung infection</paragraph></text>
      <entry><act classCode="ACT" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.3"/>
        <code code="CONC" codeSystem="2.16.840.1.113883.5.6"/><statusCode code="active"/>
        <entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.4"/>
          <id root="2.16.840.1.113883.19.5" extension="e2e-c"/><statusCode code="completed"/>
          <effectiveTime><low value="20120806"/></effectiveTime>
          <value xsi:type="CD" code="233604007" codeSystem="2.16.840.1.113883.6.96"/>
        </observation></entryRelationship></act></entry>
    </section></component>
    <component><section><code code="30954-2" codeSystem="2.16.840.1.113883.6.1"/><title>Results</title><text>Table</text>
      <entry><organizer classCode="BATTERY" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.1"/>
        <id root="2.16.840.1.113883.19.5" extension="e2e-r"/><code code="57021-8" codeSystem="2.16.840.1.113883.6.1"/><statusCode code="completed"/>
        <component><observation classCode="OBS" moodCode="EVN"><templateId root="2.16.840.1.113883.10.20.22.4.2"/>
          <id root="2.16.840.1.113883.19.5" extension="e2e-o"/><code code="718-7" codeSystem="2.16.840.1.113883.6.1"/><statusCode code="completed"/>
          <effectiveTime value="20200101101500"/><value xsi:type="PQ" value="13.20" unit="g/dL"/></observation></component>
      </organizer></entry></section></component>
  </structuredBody></component>
</ClinicalDocument>`

// TestDocumentsAndTablesReachRecordsAndTheNetwork: four organisations; documents, tables and bundles
// of other programs at one, and a clinic that reads what came in.
func TestDocumentsAndTablesReachRecordsAndTheNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	n := newNetwork(t, "{}")
	n.start(orgs...)
	n.ready(orgs...)
	n.enlist()

	t.Log("a C-CDA document becomes resources, once")
	r, refused := n.take("hospital", intake.PathCCDA, "application/xml", "active", []byte(synthetic))
	if refused != "" || r.Created < 6 || r.Status != "active" {
		t.Fatalf("got %q, %+v", refused, r)
	}
	if again, refused := n.take("hospital", intake.PathCCDA, "text/xml", "stored", []byte(synthetic)); refused != "" || again.Created+again.Updated > 0 || again.Unchanged != r.Created {
		t.Errorf("the same document again: got %q, %+v", refused, again)
	}
	patients := n.fhir("hospital", "Patient?identifier="+url.QueryEscape("urn:oid:2.16.840.1.113883.19.5|e2e-patient"), nil)
	if len(patients) != 1 {
		t.Fatalf("got %d patients", len(patients))
	}
	id := idOf(patients[0])

	t.Log("the document itself has a receipt that verifies at another organisation")
	kept := n.fhir("hospital", "DocumentReference?patient=Patient/"+id, nil)
	if len(kept) != 1 {
		t.Fatalf("got %d documents kept", len(kept))
	}
	raw, _ := json.Marshal(kept[0])
	if !bytes.Contains(raw, []byte(`"size":`+fmt.Sprint(len(synthetic)))) {
		t.Error("the document is not kept in its bytes")
	}
	pseudonym := n.pseudonym("hospital", "Patient/"+id)
	n.allActive("hospital", pseudonym)
	receipt := n.receiptOf("hospital", "DocumentReference/"+idOf(kept[0]))
	n.run("", 0, "verify", receipt, "--genesis", filepath.Join(n.home("insurer"), "genesis.json"))

	t.Log("the clinic reads what came in by consent, and not the document, which says everything")
	wallet := filepath.Join(n.Dir, "testa.wallet")
	n.run("hospital", 0, "identity", "claim", pseudonym, "--wallet", wallet)
	n.call("clinic", http.MethodPost, "/v1/patients/"+pseudonym+"/adopt", map[string]string{"reference": "Patient/c1"}, nil)
	doctor := http.Header{"Salus-As": {"clinic-doctor"}, "Salus-Purpose": {"TREAT"}}
	if got := n.fhir("clinic", "Condition?patient=Patient/c1", doctor); len(got) != 0 {
		t.Errorf("without consent the clinic sees %d conditions", len(got))
	}
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic", "--without", "R")
	n.until("clinic", "the clinic reads what came by C-CDA", func() bool {
		return len(n.fhir("clinic", "Condition?patient=Patient/c1&code=233604007", doctor)) == 1 && len(n.fhir("clinic", "Observation?patient=Patient/c1&code=718-7", doctor)) == 1
	})
	if got := n.fhir("clinic", "DocumentReference?patient=Patient/c1", doctor); len(got) != 0 {
		t.Errorf("the clinic sees %d documents", len(got))
	}

	t.Log("the patient's log has the intake")
	events, _ := json.Marshal(n.fhir("hospital", "AuditEvent?patient=Patient/"+id+"&_count=100", nil))
	if !bytes.Contains(events, []byte("transaction")) {
		t.Error("the log does not have the intake")
	}

	n.tables()
	n.documents()
	n.synthea()
	n.interrupt(orgs...)
}

// tables takes the examples in, twice.
func (n *network) tables() {
	n.t.Log("the examples of tables")
	dir := filepath.Join("..", "..", "examples", "csv")
	for _, name := range []string{"people", "results", "staff"} {
		args := []string{"intake", "csv", "--mapping", filepath.Join(dir, name+".toml"), filepath.Join(dir, name+".csv")}
		var first, again intake.Report
		n.runJSON("hospital", &first, args...)
		n.runJSON("hospital", &again, args...)
		if first.Created == 0 || len(first.Rejected) > 0 || again.Created+again.Updated > 0 {
			n.t.Errorf("%s: got %d created, %d rejected, again %d created, %d updated", name, first.Created, len(first.Rejected), again.Created, again.Updated)
		}
	}
	// The results found the people.
	if got := n.fhir("hospital", "Observation?patient.identifier="+url.QueryEscape("urn:example:hospital:mrn|S-1001"), nil); len(got) != 2 {
		n.t.Errorf("got %d results, want 2", len(got))
	}
	if got := n.fhir("hospital", "Patient?family=Example&given=Bea", nil); len(got) != 1 {
		n.t.Errorf("got %d patients, want 1", len(got))
	}
}

// documents takes HL7's samples of whole documents in, twice, where they are present.
func (n *network) documents() {
	root := filepath.Join("..", "..", "..", "shared", "data", "ccda")
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".xml" {
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if bytes.Contains(src, []byte("<ClinicalDocument")) {
				files = append(files, path)
			}
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || len(files) == 0 {
		n.t.Log("HL7's C-CDA samples are not here: only the document of this test was taken in")
		return
	}
	if err != nil {
		n.t.Fatal(err)
	}
	taken := 0
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			n.t.Fatal(err)
		}
		name := filepath.Base(path)
		r, refused := n.take("hospital", intake.PathCCDA, "application/xml", "stored", src)
		if refused != "" {
			n.t.Logf("%s: refused %s", name, refused)
			continue
		}
		taken++
		if again, refused := n.take("hospital", intake.PathCCDA, "application/xml", "stored", src); refused != "" || again.Created+again.Updated > 0 {
			n.t.Errorf("%s: again: got %q, %d created, %d updated", name, refused, again.Created, again.Updated)
		}
		n.t.Logf("%s: %d created, %d updated, %d unchanged, %d places not mapped", name, r.Created, r.Updated, r.Unchanged, len(r.Unmapped))
	}
	n.t.Logf("%d of %d documents were taken in", taken, len(files))
}

// synthea imports some of Synthea's bundles by transaction, the smallest, where they are present.
func (n *network) synthea() {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "synthea", "*_*.json"))
	if err != nil || len(files) == 0 {
		n.t.Log("Synthea's bundles are not here: none was imported")
		return
	}
	size := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			n.t.Fatal(err)
		}
		return info.Size()
	}
	slices.SortFunc(files, func(a, b string) int { return int(size(a) - size(b)) })
	for _, path := range files[:min(4, len(files))] {
		src, err := os.ReadFile(path)
		if err != nil {
			n.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(n.t.Context(), patience)
		a, err := n.api("hospital").DoWith(ctx, http.MethodPost, "/fhir/", http.Header{"Content-Type": {"application/fhir+json"}, "Prefer": {"return=minimal"}, "Salus-Wait": {"active"}}, bytes.NewReader(src))
		if err != nil {
			n.t.Fatalf("%s: %v", filepath.Base(path), err)
		}
		var out struct {
			Entry []struct{ Response struct{ Location string } }
		}
		err = errors.Join(json.NewDecoder(io.LimitReader(a.Body, 64<<20)).Decode(&out), a.Body.Close())
		cancel()
		if err != nil {
			n.t.Fatal(err)
		}
		counts := map[string]int{}
		var patient string
		for _, e := range out.Entry {
			_, rest, _ := strings.Cut(e.Response.Location, "/fhir/")
			typ, id, _ := strings.Cut(rest, "/")
			counts[typ]++
			if id, _, _ = strings.Cut(id, "/"); typ == "Patient" {
				patient = id
			}
		}
		if patient == "" || counts["Encounter"] == 0 {
			n.t.Fatalf("%s: got %v", filepath.Base(path), counts)
		}
		for _, typ := range []string{"Encounter", "Condition", "Observation", "Immunization", "Procedure"} {
			if got, want := len(n.fhir("hospital", typ+"?patient=Patient/"+patient+"&_count=1000", nil)), counts[typ]; got != want {
				n.t.Errorf("%s: got %d %s by search, want %d", filepath.Base(path), got, typ, want)
			}
		}
	}
}
