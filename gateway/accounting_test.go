package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"salus/client"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/oversight"
	"salus/gateway/pcf"
	"salus/ledger/module/audit"
	"salus/ledger/tx"
	"salus/record"
)

// nobody signs nothing.
type nobody struct{}

func (nobody) Submit(context.Context, tx.Kind, tx.Message) (client.Committed, error) {
	return client.Committed{}, errors.New("something was submitted")
}

// An office is a gateway with a privacy officer, who bears the token, and one patient with an app.
type office struct {
	h        http.Handler
	journal  *balp.Journal
	register *balp.Register
	dir      string
}

const officer, patientsApp = "the-officers-token", "her-app"

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{dir: t.TempDir()}
	var err error
	if o.journal, err = balp.OpenJournal(filepath.Join(o.dir, "journal"), [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.journal.Close() })
	if o.register, err = balp.OpenRegister(filepath.Join(o.dir, "accounting"), [32]byte{2}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	here := balp.Who{Value: "clinic", Display: "Sample Clinic"}
	front, err := oversight.New(oversight.Config{
		Next: http.NotFoundHandler(), Base: "https://clinic.example/fhir", Prefix: "/fhir", Organization: here, Log: log,
		Asker: func(r *http.Request) (oversight.Asker, error) {
			if gateway.Bearer(r, officer) {
				return oversight.Asker{Operator: true}, nil
			}
			return oversight.Asker{Caller: chart.Caller{Patient: "Patient/p1"}, User: balp.Who{Reference: "Patient/p1"}}, nil
		},
		Known: func(ref string) (tx.Account, error) {
			if ref != "Patient/p1" && ref != "Patient/p2" {
				return tx.Account{}, record.ErrUnknownPatient
			}
			return tx.Account{1}, nil
		},
		Patients: func() ([]string, error) { return []string{"Patient/p1"}, nil },
		Consents: &pcf.Service{}, Steward: nobody{}, Real: func(tx.Account) uint64 { return 0 },
		Events: &balp.Reader{
			Recorder: &balp.Recorder{Journal: o.journal, Site: balp.Site{Observer: here}}, Register: o.register,
			Log: func(context.Context, tx.Account) ([]audit.Link, error) { return nil, nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.h = gateway.New(gateway.Config{
		Token: officer, Accounting: front, Registry: prometheus.NewRegistry(), Log: log, Parts: map[string]http.Handler{"/fhir/": front},
	}).Handler()
	return o
}

// ask answers status and body.
func (o *office) ask(t *testing.T, as, target string, in any) (int, string) {
	t.Helper()
	method, path, _ := strings.Cut(target, " ")
	body := ""
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = string(b)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+as)
	w := httptest.NewRecorder()
	o.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// must asks as the officer for what is granted.
func (o *office) must(t *testing.T, target string, in, out any) {
	t.Helper()
	status, body := o.ask(t, officer, target, in)
	if status/100 != 2 {
		t.Fatalf("%s: got %d %s", target, status, body)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(body), out); err != nil {
			t.Fatal(err)
		}
	}
}

// accounting is of Patient/p1.
func (o *office) accounting(t *testing.T, as, more string) (a balp.Accounting, body string) {
	t.Helper()
	status, body := o.ask(t, as, "GET /fhir/AuditEvent/$accounting-of-disclosures?patient=p1&_format=application/json"+more, nil)
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	return a, body
}

const disclosures, suspensions = "POST /v1/accounting/disclosures", "POST /v1/accounting/suspensions"

func letter(to string) oversight.Disclosure {
	return oversight.Disclosure{
		Patient: "p1", Recipient: to, On: time.Now().UTC().AddDate(0, -2, 0).Format(time.DateOnly), What: "a letter", Purposes: []string{"HLEGAL"},
	}
}

func TestWhatLeftByAnotherWayIsInHerAccountingAndLog(t *testing.T) {
	o := newOffice(t)
	x := letter("Sample Court")
	x.Address = "1 Sample Street"
	var done gateway.Disclosed
	o.must(t, disclosures, x, &done)
	a, _ := o.accounting(t, patientsApp, "")
	if len(a.Items) != 1 || a.Items[0].Recipient != "Sample Court" || a.Items[0].Address != x.Address || a.Items[0].Description != x.What || a.Items[0].First.Format(time.DateOnly) != x.On {
		t.Errorf("got %+v", a.Items)
	}
	if status, body := o.ask(t, patientsApp, "GET /fhir/AuditEvent/"+done.Event, nil); status != 200 || !strings.Contains(body, `"start":"`+x.On+`"`) || strings.Contains(body, `"recorded":"`+x.On) {
		t.Errorf("got %d %s, want the day beside the time of recording", status, body)
	}
	permitted := letter("Sample Registry")
	permitted.Purposes, permitted.Basis = nil, balp.Authorized
	o.must(t, disclosures, permitted, nil)
	if a, _ := o.accounting(t, patientsApp, ""); len(a.Items) != 1 {
		t.Errorf("got %+v, want what she authorised left out", a.Items)
	}
	study := balp.Study{Name: "S-1", Description: "Outcomes of everybody.", Data: "laboratory", Sponsor: "Sample University", Researcher: "Sample Researcher", From: time.Now().AddDate(-1, 0, 0)}
	o.must(t, "POST /v1/accounting/studies", study, nil)
	researched := letter("Sample University")
	researched.Purposes, researched.Study = []string{"HRESCH"}, study.Name
	o.must(t, disclosures, researched, nil)
	if a, _ := o.accounting(t, patientsApp, ""); len(a.Items) != 1 || len(a.Studies) != 1 || a.Studies[0].Last.Format(time.DateOnly) != researched.On {
		t.Errorf("got %+v, want the study in the place of its disclosure", a)
	}
	o.must(t, "POST /v1/accounting/addresses", gateway.Address{Recipient: "Sample Court"}, nil)
	if a, _ := o.accounting(t, patientsApp, ""); a.Items[0].Address != "" {
		t.Errorf("got %+v, want its address forgotten", a.Items)
	}
}

func TestASuspensionIsKeptFromThePatientWhileItHolds(t *testing.T) {
	o := newOffice(t)
	o.must(t, disclosures, letter("Sample Court"), nil)
	o.must(t, disclosures, letter("Sample Agency"), nil)
	var s, early balp.Suspension
	o.must(t, suspensions, balp.Suspension{Patient: "Patient/p1", Recipient: "Sample Agency", Until: time.Now().AddDate(0, 2, 0)}, &s)
	for _, more := range []string{"", "&everything=true"} {
		a, body := o.accounting(t, patientsApp, more)
		if strings.Contains(body, "Agency") || strings.Contains(body, "ithheld") || a.Withheld != 0 {
			t.Errorf("she is told %s", body)
		}
		if a, body = o.accounting(t, officer, more); a.Withheld != 1 || strings.Contains(body, "Agency") {
			t.Errorf("the officer is told %s", body)
		}
	}
	for _, format := range []string{"", "&_format=csv"} {
		if _, body := o.ask(t, patientsApp, "GET /fhir/AuditEvent/$accounting-of-disclosures?patient=p1"+format, nil); strings.Contains(body, "Agency") || strings.Contains(body, "164.528(a)(2)") {
			t.Errorf("she is told %s", body)
		}
	}
	// Nor does her log tell, of the disclosure or of what the officer did about it.
	did := base64.StdEncoding.EncodeToString([]byte("POST /v1/accounting"))[:24] // as a query begins in an AuditEvent
	if _, body := o.ask(t, patientsApp, "GET /fhir/AuditEvent?patient=p1&_count=100", nil); strings.Contains(body, "Agency") || strings.Contains(body, did) || !strings.Contains(body, "Sample Court") {
		t.Errorf("she is told %s", body)
	}
	for _, whose := range []string{"&patient=p1", ""} {
		_, body := o.ask(t, officer, "GET /fhir/AuditEvent?_count=100"+whose, nil)
		if !strings.Contains(body, "Agency") || strings.Contains(body, did) != (whose == "") {
			t.Errorf("the officer is told %s", body)
		}
	}
	o.must(t, fmt.Sprintf("%s/%d/resume", suspensions, s.Number), nil, &early)
	if a, _ := o.accounting(t, patientsApp, ""); len(a.Items) != 2 {
		t.Errorf("got %+v, want both after the end", a.Items)
	}
	if status, body := o.ask(t, officer, fmt.Sprintf("%s/%d/resume", suspensions, s.Number), nil); status != 404 || !strings.Contains(body, "accounting-suspension") {
		t.Errorf("ended twice: got %d %s", status, body)
	}
	// An oral one lapses by itself, whatever was said: as 20 days after the statement it holds, after 40 it could not be entered.
	o.must(t, suspensions, balp.Suspension{Patient: "p1", Recipient: "Sample Agency", Oral: true, By: "Officer Sample", From: time.Now().AddDate(0, 0, -20), Until: time.Now().AddDate(1, 0, 0)}, &s)
	if want := s.From.AddDate(0, 0, 30); !s.End().Equal(want) {
		t.Errorf("it ends %v, want %v", s.End(), want)
	}
	if a, _ := o.accounting(t, patientsApp, ""); len(a.Items) != 1 {
		t.Errorf("got %+v, want it withheld again", a.Items)
	}
	var k balp.Kept
	o.must(t, "GET /v1/accounting", nil, &k)
	if len(k.Suspensions) != 2 || k.Suspensions[0].Ended.IsZero() || k.Suspensions[1].By != "Officer Sample" || k.Suspensions[1].Number != 2 {
		t.Errorf("got %+v", k.Suspensions)
	}
}

// Each change, and each look, is in the journal; nothing of it is by the patient's name, which her log is found by.
func TestWhatTheOfficerDoesIsRecorded(t *testing.T) {
	o := newOffice(t)
	o.must(t, suspensions, balp.Suspension{Patient: "p1", Recipient: "Sample Agency", Until: time.Now().AddDate(0, 2, 0)}, nil)
	o.must(t, suspensions+"/1/resume", nil, nil)
	o.must(t, "POST /v1/accounting/addresses", gateway.Address{Recipient: "Sample Agency", Address: "2 Sample Street"}, nil)
	o.must(t, "POST /v1/accounting/studies", balp.Study{Name: "S", Description: "x", Data: "x", Sponsor: "x", Researcher: "x", From: time.Now()}, nil)
	o.must(t, "GET /v1/accounting", nil, nil)
	// One that cannot be kept is recorded as what it is.
	if err := os.Mkdir(filepath.Join(o.dir, "accounting.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if status, body := o.ask(t, officer, "POST /v1/accounting/addresses", gateway.Address{Recipient: "Sample Agency", Address: "3 Sample Street"}); status != 500 || strings.Contains(body, "Sample") {
		t.Errorf("got %d %s", status, body)
	}
	var got []string
	if err := o.journal.Scan("", time.Time{}, time.Time{}, func(e balp.Stored) bool {
		did, _, _ := strings.Cut(e.Query, "\n")
		got = append([]string{string(e.Outcome) + " " + did + " " + e.Patient.Reference}, got...)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 " + suspensions + " ", "0 " + suspensions + "/{number}/resume ", "0 POST /v1/accounting/addresses ", "0 POST /v1/accounting/studies ", "0 GET /v1/accounting ",
		"0 POST /v1/accounting/addresses ", "12 POST /v1/accounting/addresses ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if err := o.journal.Close(); err != nil {
		t.Fatal(err)
	}
	was := len(o.register.Kept().Suspensions)
	if status, _ := o.ask(t, officer, suspensions, balp.Suspension{Patient: "p1", Recipient: "x", Until: time.Now().AddDate(0, 2, 0)}); status != 500 || len(o.register.Kept().Suspensions) != was {
		t.Errorf("got %d, and a change that nobody recorded", status)
	}
	if status, _ := o.ask(t, officer, "GET /v1/accounting", nil); status != 500 {
		t.Errorf("got %d, want nothing shown that nobody recorded", status)
	}
}

func TestWhatTheOfficerIsRefused(t *testing.T) {
	o := newOffice(t)
	long, soon := strings.Repeat("x", 2001), time.Now().AddDate(0, 1, 0)
	past := time.Now().AddDate(0, -3, 0)
	with := func(change func(*oversight.Disclosure)) oversight.Disclosure {
		d := letter("Sample Court")
		change(&d)
		return d
	}
	study := func(change func(*balp.Study)) balp.Study {
		s := balp.Study{Name: "S", Description: "x", Data: "x", Sponsor: "x", Researcher: "x", From: past}
		change(&s)
		return s
	}
	for name, x := range map[string]struct {
		target string
		in     any
		status int
		code   string
	}{
		"unknown patient":        {disclosures, with(func(d *oversight.Disclosure) { d.Patient = "p3" }), 404, "patient"},
		"to come":                {disclosures, with(func(d *oversight.Disclosure) { d.On = time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly) }), 422, "accounting-date"},
		"too long ago":           {disclosures, with(func(d *oversight.Disclosure) { d.On = time.Now().UTC().AddDate(-6, 0, -3).Format(time.DateOnly) }), 422, "accounting-date"},
		"no day":                 {disclosures, with(func(d *oversight.Disclosure) { d.On = "yesterday" }), 422, "accounting-date"},
		"no purpose":             {disclosures, with(func(d *oversight.Disclosure) { d.Purposes = nil }), 422, "accounting-purpose"},
		"unknown purpose":        {disclosures, with(func(d *oversight.Disclosure) { d.Purposes = []string{"CURIOSITY"} }), 422, "accounting-purpose"},
		"unknown basis":          {disclosures, with(func(d *oversight.Disclosure) { d.Basis = "because" }), 422, "accounting-purpose"},
		"unknown study":          {disclosures, with(func(d *oversight.Disclosure) { d.Study = "S-9" }), 422, "accounting-study"},
		"nothing":                {disclosures, with(func(d *oversight.Disclosure) { d.What = "" }), 422, "accounting-text"},
		"too much":               {disclosures, with(func(d *oversight.Disclosure) { d.What = long }), 422, "accounting-text"},
		"two lines":              {disclosures, with(func(d *oversight.Disclosure) { d.What = "a\nb" }), 422, "accounting-text"},
		"to nobody":              {disclosures, letter(""), 422, "accounting-text"},
		"to a long name":         {disclosures, letter(long[:201]), 422, "accounting-text"},
		"a long address":         {disclosures, with(func(d *oversight.Disclosure) { d.Address = long }), 422, "accounting-text"},
		"to itself":              {disclosures, letter("Sample Clinic"), 422, "accounting-recipient"},
		"an unknown field":       {disclosures, map[string]string{"patient": "p1", "diagnosis": "x"}, 400, "argument"},
		"suspended for nobody":   {suspensions, balp.Suspension{Patient: "p3", Recipient: "x", Until: soon}, 404, "patient"},
		"of itself":              {suspensions, balp.Suspension{Patient: "p1", Recipient: "clinic", Until: soon}, 422, "accounting-recipient"},
		"written, without end":   {suspensions, balp.Suspension{Patient: "p1", Recipient: "x"}, 422, "accounting-period"},
		"end before begin":       {suspensions, balp.Suspension{Patient: "p1", Recipient: "x", From: soon, Until: soon.Add(-time.Hour)}, 422, "accounting-period"},
		"over":                   {suspensions, balp.Suspension{Patient: "p1", Recipient: "x", From: past, Until: past.AddDate(0, 1, 0)}, 422, "accounting-period"},
		"oral, and lapsed":       {suspensions, balp.Suspension{Patient: "p1", Recipient: "x", From: past, Until: soon, Oral: true, By: "y"}, 422, "accounting-period"},
		"oral, end before begin": {suspensions, balp.Suspension{Patient: "p1", Recipient: "x", Until: past, Oral: true, By: "y"}, 422, "accounting-period"},
		"oral, by nobody":        {suspensions, balp.Suspension{Patient: "p1", Recipient: "x", Oral: true}, 422, "accounting-oral"},
		"oral, by a long name":   {suspensions, balp.Suspension{Patient: "p1", Recipient: "x", Oral: true, By: long}, 422, "accounting-text"},
		"resumed, unknown":       {suspensions + "/9/resume", nil, 404, "accounting-suspension"},
		"resumed, no number":     {suspensions + "/x/resume", nil, 400, "argument"},
		"a study of nothing":     {"POST /v1/accounting/studies", study(func(s *balp.Study) { s.Data = "" }), 422, "accounting-text"},
		"a long study":           {"POST /v1/accounting/studies", study(func(s *balp.Study) { s.Description = long }), 422, "accounting-text"},
		"a study without time":   {"POST /v1/accounting/studies", study(func(s *balp.Study) { s.From = time.Time{} }), 422, "accounting-period"},
		"a study backwards":      {"POST /v1/accounting/studies", study(func(s *balp.Study) { s.Until = s.From.AddDate(0, 0, -1) }), 422, "accounting-period"},
		"an address of nobody":   {"POST /v1/accounting/addresses", gateway.Address{Address: "x"}, 422, "accounting-text"},
		"an address too long":    {"POST /v1/accounting/addresses", gateway.Address{Recipient: "x", Address: long}, 422, "accounting-text"},
	} {
		status, body := o.ask(t, officer, x.target, x.in)
		if status != x.status || !strings.Contains(body, `"code":"`+x.code+`"`) || strings.Contains(body, "Sample") {
			t.Errorf("%s: got %d %s, want %d %s", name, status, body, x.status, x.code)
		}
		if status, _ := o.ask(t, patientsApp, x.target, x.in); status != http.StatusUnauthorized {
			t.Errorf("%s, by another than the officer: got %d", name, status)
		}
	}
	if status, _ := o.ask(t, patientsApp, "GET /v1/accounting", nil); status != http.StatusUnauthorized {
		t.Errorf("she may read it: %d", status)
	}
	if k := o.register.Kept(); len(k.Suspensions)+len(k.Studies)+len(k.Addresses) != 0 || o.journal.Head().Seq != 0 {
		t.Errorf("what was refused left %+v, and %d events", k, o.journal.Head().Seq)
	}
}
