package chart_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"salus/client"
	"salus/fhir"
	"salus/gateway"
	"salus/gateway/chart"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// summaries are those that an emergency's session opens, as text.
func (n *network) summaries(session string) (out []string, others int) {
	n.t.Helper()
	var res gateway.ReadResult
	n.v1("clinic", "POST", "/v1/sessions/"+session+"/read", gateway.ReadRecords{}, &res)
	for _, r := range res.Records {
		if bytes.Contains(r.Body, []byte(`"id":"`+record.SummaryID+`"`)) {
			out = append(out, string(r.Body))
		} else {
			others++
		}
	}
	return out, others
}

// The patient has no wallet and gave no consent, or denied everything: an emergency opens her summary.
func TestAnEmergencyOpensTheSummaryOfAPatientWhoAllowsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("a network of four nodes")
	}
	n := newNetwork(t)
	n.v1("clinic", "POST", "/v1/staff/er-doctor", gateway.Registration{Privileges: identity.PrivRead | identity.PrivEmergency}, nil)
	write := func(status int, resources ...string) {
		t.Helper()
		for _, r := range resources {
			var x struct{ ResourceType, ID string }
			if err := json.Unmarshal([]byte(r), &x); err != nil {
				t.Fatal(err)
			}
			n.must(n.fhir("hospital", "PUT", x.ResourceType+"/"+x.ID, r, chart.HeaderWait+": active"), status)
		}
	}
	write(201,
		`{"resourceType":"Patient","id":"p1","name":[{"family":"Sample"}],"birthDate":"1970-01-01"}`,
		`{"resourceType":"AllergyIntolerance","id":"a1","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"code":{"text":"Penicillin"},"patient":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Procedure","id":"s1","status":"completed","code":{"text":"Pacemaker implantation"},"subject":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Condition","id":"c1",`+psychiatric+`"code":{"text":"hidden"},"subject":{"reference":"Patient/p1"}}`,
	)
	patient := n.pseudonym("hospital", "Patient/p1")
	var s gateway.SessionInfo
	n.v1("clinic", "POST", "/v1/sessions", gateway.OpenSession{As: "er-doctor", Patient: patient, Purpose: consent.BTG, Reason: emergency.OVRER.String(), Seconds: 600}, &s)
	var got []string
	n.until("the summary", func() bool {
		got, _ = n.summaries(s.ID.String())
		return len(got) == 1 && strings.Contains(got[0], "Penicillin") && strings.Contains(got[0], "Pacemaker") // a slow machine makes one before the other
	})
	if strings.Contains(got[0], "hidden") {
		t.Errorf("got %s", got[0])
	}
	if a := n.must(n.fhir("hospital", "GET", "Bundle", ""), 200); bytes.Contains(a.body, []byte("Penicillin")) {
		t.Error("the summary for emergencies is among the resources of the FHIR server")
	}
	n.breakGlass(patient)

	// She takes her pseudonym over and denies everything; she is offline while her record goes on, and excludes a kind of information.
	api, err := n.API("hospital")
	if err != nil {
		t.Fatal(err)
	}
	head, err := api.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var claim record.ClaimCode
	n.v1("hospital", "POST", "/v1/patients/"+patient.String()+"/claim", struct{}{}, &claim)
	cl := client.New(api, head.Chain)
	w, err := record.ClaimWallet(t.Context(), head.Chain, claim, func(s ...tx.Signer) record.Submitter { return cl.As(s...) })
	if err != nil {
		t.Fatal(err)
	}
	slots, err := w.SlotMap()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Direct(t.Context(), cl.As(w.Signer()), patient, slots, 1, []fhir.Label{fhir.KindProcedure}); err != nil {
		t.Fatal(err)
	}
	n.head("clinic")
	if got, _ := n.summaries(s.ID.String()); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "Pacemaker") }) {
		t.Errorf("a summary that tells of what she excluded is open from the block on: %s", got)
	}
	n.until("a summary without it", func() bool {
		got, _ = n.summaries(s.ID.String())
		return len(got) == 1 && strings.Contains(got[0], "Penicillin") && !strings.Contains(got[0], "Pacemaker")
	})
	write(201, `{"resourceType":"AllergyIntolerance","id":"a2","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"code":{"text":"Peanuts"},"patient":{"reference":"Patient/p1"}}`)
	n.until("the next summary", func() bool {
		got, _ = n.summaries(s.ID.String())
		return slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "Peanuts") })
	})
}

// breakGlass declares another emergency about the patient over FHIR, by an operation and by nothing else.
func (n *network) breakGlass(patient tx.Account) {
	n.t.Helper()
	n.v1("clinic", "POST", "/v1/patients/"+patient.String()+"/adopt", map[string]string{"reference": "Patient/c9"}, nil)
	n.v1("clinic", "POST", "/v1/staff/er-fhir", gateway.Registration{Privileges: identity.PrivRead | identity.PrivEmergency}, nil)
	const asER, forBTG = "Salus-As: er-fhir", "Salus-Purpose: BTG"
	seen := func(header ...string) (conditions, summaries int) {
		n.t.Helper()
		got, total := n.found(n.fhir("clinic", "GET", "Condition?patient=Patient/c9&_total=accurate", "", header...))
		bundles, _ := n.found(n.fhir("clinic", "GET", "Bundle", "", append(header, "Salus-Patient: Patient/c9")...))
		if total != len(got["Condition"]) {
			n.t.Errorf("got %d of %d", len(got["Condition"]), total)
		}
		return total, len(bundles["Bundle"])
	}
	if c, b := seen(asER, forBTG); c != 0 || b != 0 {
		n.t.Errorf("the purpose alone opens %d and %d", c, b)
	}
	call := func(operation, params string, header ...string) answer {
		n.t.Helper()
		return n.fhir("clinic", "POST", "Patient/"+operation, `{"resourceType":"Parameters","parameter":[`+params+`]}`, header...)
	}
	const who, why = `{"name":"patient","valueReference":{"reference":"Patient/c9"}}`, `{"name":"reason","valueCode":"OVRER"}`
	for _, c := range []struct {
		params, as, code string
		status           int
	}{
		{who + "," + why, "Salus-As: clinic-doctor", "emergency-clinician", 403},
		{who, asER, "emergency-reason", 422},
		{`{"name":"patient","valueReference":{"reference":"Patient/nobody"}},` + why, asER, "emergency-unknown-patient", 404},
		{who + "," + why + `,{"name":"seconds","valuePositiveInt":90000}`, asER, "emergency-ttl", 422},
	} {
		if a := n.must(call("$break-glass", c.params, c.as, forBTG), c.status); !bytes.Contains(a.body, []byte(c.code)) {
			n.t.Errorf("got %s, want %s", a.body, c.code)
		}
	}
	n.must(call("$break-glass", who+","+why, asER, forTreatment), 403)
	n.must(call("$break-glass-widen", who, asER, forBTG), 409)
	a := n.must(call("$break-glass", who+","+why, asER, forBTG), 200)
	if !bytes.Contains(a.body, []byte(`"name":"attestBy"`)) {
		n.t.Errorf("got %s", a.body)
	}
	n.must(call("$break-glass", who+","+why, asER, forBTG), 409) // it runs
	n.until("the summary over FHIR", func() bool { _, b := seen(asER, forBTG); return b == 1 })
	if c, b := seen(asER, forTreatment); c != 0 || b != 0 {
		n.t.Errorf("for treatment she sees %d and %d of what an emergency opened", c, b)
	}
	if c, b := seen(asDoctor, forBTG); c != 0 || b != 0 {
		n.t.Errorf("her colleague sees %d and %d", c, b)
	}
	if c, _ := seen(asER, forBTG); c != 0 {
		n.t.Errorf("the first step opens %d sensitive conditions", c)
	}
	n.must(call("$break-glass-widen", who, asER, forBTG), 200)
	n.until("what the second step adds", func() bool { c, _ := seen(asER, forBTG); return c == 1 })
	n.must(call("$break-glass-widen", who, asER, forBTG), 409)
}
