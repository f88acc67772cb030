package canary

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"salus/internal/devnet"
	"salus/record"
)

// fhir lives the same life through the FHIR servers: the record is written and searched at the
// hospital, searched and read at the clinic with the patient's consent, exported, and asked for in
// ways that are refused.
func (l *life) fhir(bundle []byte) {
	l.t.Helper()
	reply, _ := l.fhirCall("hospital", "POST", "/", string(bundle), http.StatusOK, "Salus-Wait", "active")
	var written struct {
		Entry []struct{ Response struct{ Location string } }
	}
	if err := json.Unmarshal(reply, &written); err != nil || len(written.Entry) == 0 {
		l.t.Fatalf("got %d bytes for a transaction, %v", len(reply), err)
	}
	_, at, _ := strings.Cut(written.Entry[0].Response.Location, "Patient/")
	id, _, _ := strings.Cut(at, "/")
	q := url.QueryEscape
	for _, path := range []string{
		"/Patient?family=" + q(l.plants["family"]), "/Patient?identifier=" + q(l.plants["mrn"]), "/Observation?code=" + q(l.plants["observation code"]), "/Patient/" + id + "/$everything",
	} {
		if got, _ := l.fhirCall("hospital", "GET", path, "", http.StatusOK); !strings.Contains(string(got), l.plants["given"]) && !strings.Contains(string(got), l.plants["note"]) {
			l.t.Errorf("%s does not find the record", strings.Split(path, "?")[0])
		}
	}
	var patients []record.Patient
	l.call("hospital", "GET", "/v1/patients", nil, &patients)
	pseudonym := ""
	for _, p := range patients {
		if strings.HasSuffix(p.Reference, "Patient/"+id) {
			pseudonym = p.Patient.String()
		}
	}
	if pseudonym == "" {
		l.t.Fatalf("the patient that was written by FHIR is not among the hospital's %d", len(patients))
	}
	wallet := filepath.Join(l.Dir, "fhir.wallet")
	l.run("hospital", true, "identity", "claim", pseudonym, "--wallet", wallet)
	l.run("hospital", true, "consent", "grant", "--wallet", wallet, "--member", "clinic")
	l.call("clinic", "POST", "/v1/patients/"+pseudonym+"/adopt", map[string]string{"reference": "Patient/hers"}, nil)
	as := []string{"Salus-As", "clinic-doctor", "Salus-Purpose", "TREAT"}
	for _, path := range []string{"/Patient/hers", "/Observation?patient=Patient/hers", "/Patient/hers/$everything"} {
		got, _ := l.fhirCall("clinic", "GET", path, "", http.StatusOK, as...)
		if !strings.Contains(string(got), l.plants["given"]) && !strings.Contains(string(got), l.plants["note"]) {
			l.t.Errorf("the clinic's %s does not show the record", path)
		}
	}
	// Names and values of a search are in a store's cursors, cached statements and logs, if anywhere.
	l.fhirCall("clinic", "GET", "/Observation?patient=Patient/hers&code="+q(l.plants["observation code"])+"&_count=1", "", http.StatusOK, as...)
	l.fhirCall("insurer", "GET", "/Observation?patient=Patient/hers", "", 0, "Salus-As", "claims-clerk", "Salus-Purpose", "HPAYMT")
	l.fhirCall("hospital", "PUT", "/Patient/"+l.plants["rejected"], `{"resourceType":"Patient","id":"`+l.plants["rejected"]+`","gender":"`+l.plants["bad input"]+`"}`, 0)
	l.fhirCall("hospital", "GET", "/Patient?"+l.plants["query"]+"="+l.plants["bad input"], "", 0)
	if _, h := l.fhirCall("hospital", "GET", "/Patient/"+id+"/$export", "", 0, "Prefer", "respond-async", "Accept", "application/fhir+json"); h.Get("Content-Location") == "" {
		if _, h = l.fhirCall("hospital", "GET", "/$export", "", 0, "Prefer", "respond-async", "Accept", "application/fhir+json"); h.Get("Content-Location") == "" {
			l.t.Error("the hospital exports nothing")
		}
	}
	l.run("hospital", true, "consent", "revoke", "--wallet", wallet)
	l.level("clinic", "hospital") // its own replica decides about what it has opened already
	if got, _ := l.fhirCall("clinic", "GET", "/Observation?patient=Patient/hers", "", 0, as...); strings.Contains(string(got), l.plants["note"]) {
		l.t.Error("the clinic's FHIR server shows the record after the revocation")
	}
	l.step("written and read by FHIR")
}

// fhirCall sends a request to an organisation's FHIR server with its operator's token; want 0 takes
// any answer. What a refusal says is searched; what is given to who may have it is not.
func (l *life) fhirCall(org, method, path, body string, want int, header ...string) ([]byte, http.Header) {
	l.t.Helper()
	c, err := devnet.LoadConfig(l.Dir, org)
	if err != nil {
		l.t.Fatal(err)
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.ctx, method, c.FHIRBase()+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	route, _, _ := strings.Cut(strings.SplitN(path+"///", "/", 3)[1], "?")
	if want != 0 && r.StatusCode != want {
		l.t.Fatalf("%s: %s %s: got %d, want %d: %.600s", org, method, route, r.StatusCode, want, got)
	}
	if r.StatusCode >= 400 {
		_, _ = hear{l, "refusal of " + org + "'s FHIR server to " + method + " " + route}.Write(got)
	}
	return got, r.Header
}
