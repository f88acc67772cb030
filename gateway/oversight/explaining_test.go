package oversight_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"salus/client"
	"salus/fhir"
	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/oversight"
	"salus/gateway/pcf"
	"salus/gateway/rest"
	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

var (
	alice, doctor, nurse, elsewhere = tx.Account{1}, tx.Account{2}, tx.Account{3}, tx.Account{4}
	clinic                          = tx.Account{9}
)

// A sample is one patient who lets the clinic read, and denied HIV there under another pseudonym.
type sample struct{ slots *record.SlotMap }

func (s *sample) Chart(_ context.Context, patient tx.Account) (pcf.Chart, error) {
	if patient != alice {
		return pcf.Chart{}, pcf.ErrNotFound
	}
	random := rand.NewChaCha8([32]byte{2})
	grant := func(by tx.Account, allowed, denied []fhir.Label) consent.Consents {
		mask, except, err := s.slots.GrantMasks(random, allowed, denied)
		if err != nil {
			panic(err)
		}
		return consent.Consents{Grants: []consent.Standing{{By: by, Height: 1, Grant: consent.Grant{
			ID: consent.GrantID{7}, Version: 1, Grantee: consent.Grantee{Kind: consent.OfMember, Account: clinic},
			Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.TREAT),
		}}}}
	}
	there := governance.Member{Account: clinic, Class: governance.Clinic, Active: true, Clinical: true}
	return pcf.Chart{Time: 100, Members: []governance.Member{there}, Basis: consent.Basis{
		Consents: grant(alice, []fhir.Label{"laboratory", "HIV"}, []fhir.Label{"PSY"}),
		Others:   []consent.Other{{Patient: elsewhere, Consents: grant(elsewhere, nil, []fhir.Label{"HIV"})}},
	}}, nil
}

func (*sample) Changes(context.Context, tx.Account) ([]pcf.Change, error) { return nil, nil }

func (*sample) Asker(_ context.Context, _, account tx.Account, _ consent.Purpose) (identity.Principal, governance.Member, error) {
	if account != doctor && account != nurse {
		return identity.Principal{}, governance.Member{}, pcf.ErrNotFound
	}
	return identity.Principal{Account: account, Class: ledger.ClassPractitioner, Member: clinic, Active: true},
		governance.Member{Account: clinic, Class: governance.Clinic, Active: true, Clinical: true}, nil
}

// desk is the directory of an organisation.
type desk struct{ pcf.Accounts }

func (d desk) Grantee(ref pcf.Reference) (consent.Grantee, bool) {
	for name, a := range map[string]tx.Account{"Practitioner/doctor": doctor, "Practitioner/nurse": nurse} {
		if ref.Reference == name {
			return consent.Grantee{Kind: consent.OnePractitioner, Account: a}, true
		}
	}
	return d.Accounts.Grantee(ref)
}

func (d desk) Person(ref pcf.Reference) (tx.Account, bool) {
	switch ref.Reference {
	case "Patient/p1":
		return alice, true
	case "Patient/p2":
		return elsewhere, true
	}
	return d.Accounts.Person(ref)
}

type nobody struct{}

func (nobody) Submit(context.Context, tx.Kind, tx.Message) (client.Committed, error) {
	return client.Committed{}, errors.New("a question was submitted")
}

// files are what an export made.
var files = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("file")) })

func gateway(t *testing.T) func(method, target, body string, as oversight.Asker, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	_, ask := recorded(t)
	return ask
}

// recorded is gateway with what it records events by. The organisation is the member 1.
func recorded(t *testing.T) (*balp.Recorder, func(method, target, body string, as oversight.Asker, header ...string) *httptest.ResponseRecorder) {
	t.Helper()
	slots, err := record.NewSlotMap(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	journal, err := balp.OpenJournal(t.TempDir(), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	recorder := &balp.Recorder{Journal: journal}
	var asker oversight.Asker
	known := func(ref string) (tx.Account, error) {
		if a, ok := (desk{}).Person(pcf.Reference{Reference: ref}); ok {
			return a, nil
		}
		return tx.Account{}, record.ErrUnknownPatient
	}
	s, err := oversight.New(oversight.Config{
		Next: http.NotFoundHandler(), Base: "https://clinic.example/fhir", Prefix: "/fhir", Asker: func(*http.Request) (oversight.Asker, error) { return asker, nil },
		Known: known, Patients: func() ([]string, error) { return []string{"Patient/p1"}, nil },
		Consents: &pcf.Service{Chain: &sample{slots}, Directory: desk{}, Slots: func(context.Context, tx.Account) (*record.SlotMap, error) { return slots, nil }},
		Steward:  nobody{}, Real: func(tx.Account) uint64 { return 0 }, Log: slog.New(slog.DiscardHandler), Organization: balp.Who{Value: tx.Account{1}.String()},
		Events: &balp.Reader{Recorder: recorder, Log: func(context.Context, tx.Account) ([]audit.Link, error) { return nil, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return recorder, func(method, target, body string, as oversight.Asker, header ...string) *httptest.ResponseRecorder {
		asker = as
		rec := httptest.NewRecorder()
		var h http.Handler = s
		if strings.HasPrefix(target, "$jobs/") {
			h = s.Around(files)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/fhir/"+target, strings.NewReader(body))
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		h.ServeHTTP(rec, r)
		return rec
	}
}

func app(patient string) oversight.Asker {
	return oversight.Asker{Caller: chart.Caller{Patient: patient}, User: balp.Who{Reference: patient}}
}

func staff(name string) oversight.Asker {
	return oversight.Asker{Caller: chart.Caller{Name: name}, User: balp.Who{Reference: "Practitioner/" + name}}
}

// Who asks for herself learns why; who asks about his own request learns what he may read, and nobody else anything.
func TestOnlyThePatientAndWhoAsksAboutHimselfLearnWhatMayBeRead(t *testing.T) {
	ask := gateway(t)
	const of = "Consent/$explain?purpose=TREAT"
	body := `{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/p1"}},{"name":"purpose","valueCode":"TREAT"},` +
		`{"name":"actor","valueReference":{"reference":"Practitioner/doctor"}},{"name":"consent","resource":{"resourceType":"Consent"}}]}`
	context := staff("nurse")
	context.Patient = "Patient/p1" // an app of the nurse's that was started about one patient
	barred := app("Patient/p1")
	barred.May = func(i rest.Interaction, typ string) bool { return i != rest.Read || typ != "Consent" }
	for _, x := range []struct {
		name, method, target, body string
		as                         oversight.Asker
		want                       int
	}{
		{"she asks about the doctor", "GET", of + "&actor=Practitioner/doctor", "", app("Patient/p1"), 200},
		{"the doctor about his own request", "GET", of + "&patient=Patient/p1", "", staff("doctor"), 200},
		{"the same, by name", "GET", of + "&patient=p1&actor=Practitioner/doctor", "", staff("doctor"), 200},
		{"by account", "GET", of + "&patient=p1&actor=Practitioner/" + doctor.String(), "", staff("doctor"), 200},
		{"the doctor about a nurse", "GET", of + "&patient=Patient/p1&actor=Practitioner/nurse", "", staff("doctor"), 403},
		{"the doctor about her", "GET", of + "&patient=Patient/p1&actor=Patient/p1", "", staff("doctor"), 400},
		{"an app that a nurse started, about the doctor", "GET", of + "&actor=Practitioner/doctor", "", context, 403},
		{"an app that a nurse started, about her own request", "GET", of, "", context, 200},
		{"the doctor about a consent that she might give", "POST", "Consent/$explain", body, staff("doctor"), 403},
		{"the operator", "GET", of + "&patient=Patient/p1&actor=Practitioner/doctor", "", oversight.Asker{Operator: true}, 403},
		{"a system without a person", "GET", of + "&patient=Patient/p1&actor=Practitioner/doctor", "", oversight.Asker{}, 403},
		{"an app without the scope", "GET", of + "&actor=Practitioner/doctor", "", barred, 403},
		{"another patient", "GET", of + "&patient=Patient/p1&actor=Practitioner/doctor", "", app("Patient/p2"), 404},
		{"whether another number is a patient's", "GET", of + "&actor=Patient/p2", "", app("Patient/p1"), 400},
		{"whether a number is nobody's", "GET", of + "&actor=Patient/p3", "", app("Patient/p1"), 400},
		{"of nobody", "GET", of, "", staff("doctor"), 400},
		{"of somebody unknown", "GET", of + "&patient=Patient/p3", "", staff("doctor"), 404},
		{"for no purpose", "GET", "Consent/$explain?patient=Patient/p1", "", staff("doctor"), 400},
		{"for an unknown purpose", "GET", "Consent/$explain?patient=Patient/p1&purpose=CURIOSITY", "", staff("doctor"), 400},
		{"with a parameter that is not one", "GET", of + "&patient=Patient/p1&now=1", "", staff("doctor"), 400},
		{"with something else than Parameters", "POST", "Consent/$explain", `{"resourceType":"Consent"}`, app("Patient/p1"), 400},
		{"with a part that is not one", "POST", "Consent/$explain", `{"resourceType":"Parameters","parameter":[{"name":"x"}]}`, app("Patient/p1"), 400},
		{"too much", "POST", "Consent/$explain", strings.Repeat(" ", pcf.MaxSize+1), app("Patient/p1"), 413},
		{"a Consent that cannot be enforced", "POST", "Consent/$explain", body, app("Patient/p1"), 422},
		{"to delete it", "DELETE", "Consent/$explain", "", app("Patient/p1"), 403},
	} {
		rec := ask(x.method, x.target, x.body, x.as)
		if rec.Code != x.want {
			t.Errorf("%s: got %d %s, want %d", x.name, rec.Code, rec.Body, x.want)
		}
	}
}

func TestStaffAreNotToldWhatIsDenied(t *testing.T) {
	ask := gateway(t)
	const may, withheld = `{"name":"may-read","valueCoding":{"system":"urn:salus:label","code":"laboratory"}}`, `{"name":"withheld-by-merged","valueCoding":{"system":"urn:salus:label","code":"HIV"}}`
	hers := ask("GET", "Consent/$explain?purpose=TREAT&actor=Practitioner/doctor", "", app("Patient/p1")).Body.String()
	for _, want := range []string{may, withheld, `"permitted-by"`, `"denied-by"`} {
		if !strings.Contains(hers, want) {
			t.Errorf("she is told %s, want also %s", hers, want)
		}
	}
	his := ask("GET", "Consent/$explain?purpose=TREAT&patient=Patient/p1", "", staff("doctor")).Body.String()
	if want := `{"resourceType":"Parameters","parameter":[{"name":"now","part":[` + may + `]}]}`; his != want {
		t.Errorf("he is told %s, want %s", his, want)
	}
}

// Who may read her records is told to her alone.
func TestWhoMayReadIsToldToHerAlone(t *testing.T) {
	ask := gateway(t)
	context := staff("nurse")
	context.Patient = "Patient/p1"
	const list = "Consent/$readers?purpose=TREAT"
	for _, x := range []struct {
		name, target string
		as           oversight.Asker
		want         int
	}{
		{"she", list, app("Patient/p1"), 200},
		{"she, by her number", list + "&patient=p1", app("Patient/p1"), 200},
		{"another patient about her", list + "&patient=Patient/p1", app("Patient/p2"), 403},
		{"a carer", list, carer("Patient/p1"), 403},
		{"staff", list + "&patient=Patient/p1", staff("doctor"), 403},
		{"an app that a nurse started", list, context, 403},
		{"the operator", list + "&patient=Patient/p1", oversight.Asker{Operator: true}, 403},
		{"a purpose that is none", "Consent/$readers?purpose=FUN", app("Patient/p1"), 400},
		{"no purpose", "Consent/$readers", app("Patient/p1"), 400},
		{"something else", list + "&actor=Practitioner/doctor", app("Patient/p1"), 400},
	} {
		if rec := ask("GET", x.target, "", x.as); rec.Code != x.want {
			t.Errorf("%s: got %d %s, want %d", x.name, rec.Code, rec.Body, x.want)
		}
	}
	body := ask("GET", list, "", app("Patient/p1")).Body.String()
	for _, part := range []string{`"reader"`, "Organization/" + clinic.String(), `"laboratory"`, `"permitted-by"`, `"withheld-by-merged"`} {
		if !strings.Contains(body, part) {
			t.Errorf("got %s, want %s in it", body, part)
		}
	}
}

// What a Consent says that cannot be, and ways to change one that there are not, change nothing (C-13, C-23).
func TestConsentsAreWrittenWholeOrRefused(t *testing.T) {
	ask := gateway(t)
	deep := `{"resourceType":"Consent","status":"active","provision":{"type":"permit","provision":[{"type":"deny","provision":[{"type":"permit"}]}]}}`
	for _, x := range []struct {
		name, method, target, body string
		want                       int
		code                       string
	}{
		{"three deep", "POST", "Consent?patient=Patient/p1", strings.Replace(deep, `"status"`, `"patient":{"reference":"Patient/p1"},"status"`, 1), 422, "pcf-depth"},
		{"a patch", "PATCH", "Consent/00112233445566778899aabbccddee", `[]`, 405, ""},
		{"one that is not there, revoked", "DELETE", "Consent/00112233445566778899aabbccddee?patient=Patient/p1", "", 404, ""},
	} {
		rec := ask(x.method, x.target, x.body, staff("doctor"))
		if rec.Code != x.want || !strings.Contains(rec.Body.String(), x.code) {
			t.Errorf("%s: got %d %s, want %d %s", x.name, rec.Code, rec.Body, x.want, x.code)
		}
	}
}
