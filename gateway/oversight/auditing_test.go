package oversight_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/oversight"
	"salus/gateway/rest"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// carer is an app of somebody who cares for a patient.
func carer(patient string) oversight.Asker {
	return oversight.Asker{Caller: chart.Caller{Patient: patient}, User: balp.Who{Reference: "RelatedPerson/r1"}}
}

// The log is for the patient whom it is about, without anybody's leave, and for the operator.
func TestTheLogIsForThePatientAndTheOperator(t *testing.T) {
	ask := gateway(t)
	barred := app("Patient/p1")
	barred.May = func(i rest.Interaction, typ string) bool { return typ != "AuditEvent" }
	context := staff("nurse")
	context.Patient = "Patient/p1"
	operator := oversight.Asker{Operator: true}
	const report = "AuditEvent/$accounting-of-disclosures"
	for _, x := range []struct {
		name, method, target string
		as                   oversight.Asker
		want                 int
		code                 string
	}{
		{"she, without naming herself", "GET", "AuditEvent", app("Patient/p1"), 200, ""},
		{"she, by her number", "GET", "AuditEvent?patient=Patient/p1", app("Patient/p1"), 200, ""},
		{"she asks for her disclosures", "GET", report, app("Patient/p1"), 200, ""},
		{"the operator about her", "GET", "AuditEvent?patient=p1", operator, 200, ""},
		{"the operator about all", "GET", "AuditEvent", operator, 200, ""},
		{"another patient", "GET", "AuditEvent?patient=Patient/p1", app("Patient/p2"), 404, "not-found"},
		{"another patient, her disclosures", "GET", report + "?patient=Patient/p1", app("Patient/p2"), 404, "not-found"},
		{"nobody's number", "GET", "AuditEvent?patient=Patient/p9", operator, 404, "not-found"},
		{"an event that is not there", "GET", "AuditEvent/local-99", app("Patient/p1"), 404, "not-found"},
		{"a carer", "GET", "AuditEvent", carer("Patient/p1"), 403, "oversight-log"},
		{"a carer, her disclosures", "GET", report, carer("Patient/p1"), 403, "oversight-log"},
		{"staff about her", "GET", "AuditEvent?patient=Patient/p1", staff("doctor"), 403, "oversight-log"},
		{"staff about all", "GET", "AuditEvent", staff("doctor"), 403, "oversight-log"},
		{"an app that a nurse started about her", "GET", "AuditEvent", context, 403, "oversight-log"},
		{"a system without a person", "GET", "AuditEvent?patient=Patient/p1", oversight.Asker{}, 403, "oversight-log"},
		{"an app without the scope", "GET", "AuditEvent", barred, 403, "rest-forbidden"},
		{"disclosures of nobody", "GET", report, operator, 400, "oversight-patient"},
		{"a period that is none", "GET", report + "?patient=p1&start=today", operator, 400, "oversight-period"},
		{"a period that is to come", "GET", report + "?patient=p1&start=2100-01-01&end=2101-01-01", operator, 400, "oversight-period"},
		{"a parameter that is not known", "GET", "AuditEvent?colour=red", app("Patient/p1"), 400, "search-value"},
		{"writing one", "POST", "AuditEvent", operator, 405, ""},
		{"deleting one", "DELETE", "AuditEvent/local-1", operator, 405, ""},
	} {
		rec := ask(x.method, x.target, "", x.as)
		if rec.Code != x.want || !strings.Contains(rec.Body.String(), x.code) {
			t.Errorf("%s: got %d %s, want %d %s", x.name, rec.Code, rec.Body, x.want, x.code)
		}
	}
}

// What this organisation itself got for a purpose that counts is its own use and no disclosure; a report of every access has it.
func TestOwnUseIsNoDisclosure(t *testing.T) {
	recorder, ask := recorded(t)
	for _, m := range []tx.Account{{1}, {2}} {
		if _, err := recorder.Record(t.Context(), balp.Event{
			Kind: balp.Disclose, Outcome: balp.Success, Organization: balp.Accounts{}.Member(m), Recipient: balp.Accounts{}.Member(m),
			Purposes: consent.PurposesOf(consent.HRESCH), Patient: balp.Who{Reference: "Patient/p1"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string][]string{
		"":                 {tx.Account{2}.String()},
		"&everything=true": {tx.Account{1}.String(), tx.Account{2}.String()},
	} {
		var a struct{ Items []struct{ Recipient string } }
		rec := ask("GET", "AuditEvent/$accounting-of-disclosures?_format=application/json"+query, "", app("Patient/p1"))
		if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &a) != nil {
			t.Fatalf("got %d %s", rec.Code, rec.Body)
		}
		var got []string
		for _, i := range a.Items[:min(len(a.Items), 2)] { // after these, that she looked
			got = append(got, strings.TrimPrefix(i.Recipient, "Organization/"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got disclosures to %q, want %q", query, got, want)
		}
	}
}

// Reads, searches that find nothing and refusals of the FHIR server, and looking at the log, are each an event that the
// patient reads.
func TestWhatWasAskedAndRefusedIsInTheLog(t *testing.T) {
	ask := gateway(t)
	nurse := staff("nurse")
	ask("GET", "Patient/p1", "", nurse)                                  // there is none behind it: 404
	ask("GET", "Observation?patient=Patient/p1", "", nurse)              // the same
	ask("GET", "AuditEvent?patient=Patient/p1", "", staff("doctor"))     // 403
	ask("GET", "AuditEvent?patient=Patient/p1", "", carer("Patient/p1")) // 403
	ask("GET", "AuditEvent", "", app("Patient/p1"))
	rec := ask("GET", "AuditEvent?_count=50", "", app("Patient/p1"))
	var page struct {
		Entry []struct {
			Resource struct {
				Outcome string
				Subtype []struct{ Code string }
				Agent   []struct{ Who struct{ Reference string } }
			}
		}
	}
	if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &page) != nil {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	var got []string
	for _, e := range page.Entry {
		who := ""
		for _, a := range e.Resource.Agent {
			if r := a.Who.Reference; strings.HasPrefix(r, "Practitioner/") || strings.HasPrefix(r, "Patient/") || strings.HasPrefix(r, "RelatedPerson/") {
				who = r
			}
		}
		got = append(got, who+" "+e.Resource.Subtype[0].Code+" "+e.Resource.Outcome)
	}
	want := "Patient/p1 search-type 0, RelatedPerson/r1 search-type 8, Practitioner/doctor search-type 8, Practitioner/nurse search-type 4, Practitioner/nurse read 4"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), want)
	}
}

// Files that an operation made are recorded like any answer.
func TestWhatAnotherPartAnswersIsRecorded(t *testing.T) {
	ask := gateway(t)
	if rec := ask("GET", "$jobs/1/Patient.ndjson", "", staff("nurse")); rec.Code != http.StatusOK || rec.Body.String() != "file" {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	rec := ask("GET", "AuditEvent", "", oversight.Asker{Operator: true})
	if body := rec.Body.String(); strings.Count(body, `"Practitioner/nurse"`) != 1 || !strings.Contains(body, `"code":"operation"`) {
		t.Errorf("got %s, want one event of it", body)
	}
}

// A client that names its request finds the name in the answer, and whoever reads the log in the AuditEvent.
func TestARequestIsNamedInItsAnswerAndItsEvent(t *testing.T) {
	ask := gateway(t)
	const id = "cc6d168e-5871-11ec"
	for _, target := range []string{"Patient/p1", "$jobs/1/Patient.ndjson", "metadata"} {
		if got := ask("GET", target, "", staff("nurse"), "X-Request-Id", id).Header().Get("X-Request-Id"); got != id {
			t.Errorf("%s: got %q, want %s", target, got, id)
		}
	}
	if h := ask("GET", "Patient/p1", "", staff("nurse")).Header(); h["X-Request-Id"] != nil {
		t.Errorf("got %v, which nobody sent", h)
	}
	if n := strings.Count(ask("GET", "AuditEvent", "", oversight.Asker{Operator: true}).Body.String(), `"`+id+`"`); n != 2 {
		t.Errorf("%d events have the name, want 2: metadata is nobody's record", n)
	}
	long := strings.Repeat("x", 200)
	if got := ask("GET", "metadata", "", staff("nurse"), "X-Request-Id", long).Header().Get("X-Request-Id"); got != long[:128] {
		t.Errorf("got %d bytes, want 128", len(got))
	}
}
