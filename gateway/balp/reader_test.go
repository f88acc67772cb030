package balp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// newReader is a reader over a journal and the chain of links().
func newReader(t testing.TB) *Reader {
	j := openJournal(t, t.TempDir())
	t.Cleanup(func() { _ = j.Close() })
	return &Reader{
		Recorder: &Recorder{Journal: j, Site: site, Now: func() time.Time { return at.Add(24 * time.Hour) }}, Chain: "test",
		Log: func(context.Context, tx.Account) ([]audit.Link, error) { return links(), nil },
	}
}

var (
	subject = Subject{Ref: "Patient/alice", Account: tx.Account{1}, Real: 0xff}
	herself = Event{User: alice, Client: app}
)

func (r *Reader) record(t testing.TB, events ...Event) {
	t.Helper()
	for _, e := range events {
		if _, err := r.Recorder.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func search(t testing.TB, r *Reader, s Subject, query string) *Page {
	t.Helper()
	return searchAs(t, r, herself, s, query)
}

func searchAs(t testing.TB, r *Reader, by Event, s Subject, query string) *Page {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseQuery(v)
	if err != nil {
		t.Fatal(err)
	}
	by.Query = "GET https://server.example.com/fhir/AuditEvent?" + query
	p, err := r.Search(t.Context(), s, q, by)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAPatientSeesAccessesHereAndAtOtherMembers is.
func TestAPatientSeesAccessesHereAndAtOtherMembers(t *testing.T) {
	r := newReader(t)
	read, denied, empty, other := wholeEvent(Read), wholeEvent(Read), wholeEvent(Search), wholeEvent(Read)
	denied.Time, denied.Outcome, denied.Reason, denied.Resources = at.Add(time.Hour), Serious, "rest-forbidden", nil
	empty.Time = at.Add(2 * time.Hour)
	other.Patient = Who{Reference: "Patient/bob"}
	r.record(t, read, denied, empty, other)
	p := search(t, r, subject, "")
	if p.Total != len(links())+3 || len(p.Events) != p.Total || p.Next != "" {
		t.Fatalf("got %d of %d", len(p.Events), p.Total)
	}
	if strings.Contains(strings.Join(p.IDs, " "), "local-4") {
		t.Error("she sees somebody else's event")
	}
	for _, tt := range []struct {
		query string
		want  int
	}{
		{"action=E&type=rest", 2}, // the empty search, and her own of just now
		{"outcome=8", 2},          // denied here, and by consent elsewhere
		{"agent=Practitioner/sample&_count=1", 3},
		{"agent-name=sample%20d", 3},
		{"type=http://dicom.nema.org/resources/ontology/DCM|110106", 2},
		{"subtype=110127", 4}, // a session for BTG, an emergency declared, widened, extended
		{"entity-type=Consent", 11},
		{"entity=List/x", 1},
		{"entity=urn:salus:log|103", 1},
		{"patient=alice&action=R", 4},
		{"patient=Patient/bob", 0},
		{"date=2027-01-15T09:00Z", 1},
		{"date=ge2027-01-16", -1},
		{"date=gt2027-01-15T08:00:00Z&date=lt2027-01-15T08:02:00Z", 1},
		{"policy=urn:salus:token:jti-1", 3},
		{"address=2001:db8::7334&site=server.example.com&source=gateway", -2},
		{"_id=ledger-104", 1},
		{"outcome=0,4&action=D", 0},
		{"address=nowhere", 0},
	} {
		query, want := tt.query, tt.want
		p := search(t, r, subject, query)
		if want >= 0 && p.Total != want {
			t.Errorf("%s: got %d, want %d", query, p.Total, want)
		}
		if want < 0 && p.Total == 0 {
			t.Errorf("%s: got nothing", query)
		}
	}
	// What she looked at is in her log too; so is that there was nothing.
	p = search(t, r, subject, "action=E&agent=Patient/alice&type=rest&_count=1000")
	if p.Total < 19 {
		t.Errorf("got %d of her own searches, want each", p.Total)
	}
	var o object
	if err := json.Unmarshal(p.Events[0], &o); err != nil || profileOf(o) != "PatientQuery" {
		t.Errorf("got %s", p.Events[0])
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	for _, query := range []string{"x=1", "date=yesterday", "date=", "_count=many", "_sort=agent", "action="} {
		v, _ := url.ParseQuery(query)
		if _, err := ParseQuery(v); !errorIs[*QueryError](err) {
			t.Errorf("%s: got %v, want a *QueryError", query, err)
		}
	}
	r := newReader(t)
	if _, err := r.Search(t.Context(), subject, Query{count: 1, after: "1.2"}, herself); !errorIs[*QueryError](err) {
		t.Errorf("a cursor of nowhere: got %v", err)
	}
	if _, err := r.Search(t.Context(), subject, Query{}, Event{}); !errors.Is(err, ErrEvent) {
		t.Errorf("a search by nobody: got %v, want %v", err, ErrEvent)
	}
}

func errorIs[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

// TestPagesNeitherRepeatNorLeaveOut reads page by page while others are recorded.
func TestPagesNeitherRepeatNorLeaveOut(t *testing.T) {
	for _, order := range []string{"-date", "date"} {
		r := newReader(t)
		for n := range 10 {
			e := wholeEvent(Read)
			e.Time = at.Add(time.Duration(n/2) * time.Minute) // pairs at the same time
			r.record(t, e)
		}
		all := search(t, r, subject, "_count=1000&action=R&_sort="+order)
		var got []string
		next := ""
		for range 20 {
			p := search(t, r, subject, "_count=3&action=R&_sort="+order+"&_cursor="+next)
			got = append(got, p.IDs...)
			e := wholeEvent(Read)
			e.Time = at.Add(48 * time.Hour)
			if order == "-date" {
				r.record(t, e)
			}
			if next = p.Next; next == "" {
				break
			}
		}
		if !slices.Equal(got, all.IDs) {
			t.Errorf("%s: got %v, want %v", order, got, all.IDs)
		}
	}
}

func TestAnEventOfSomebodyElseDoesNotExist(t *testing.T) {
	r := newReader(t)
	other := wholeEvent(Read)
	other.Patient = Who{Reference: "Patient/bob"}
	r.record(t, other, wholeEvent(Read))
	if b, err := r.Read(t.Context(), subject, "local-2", herself); err != nil || !strings.Contains(string(b), `"id":"local-2"`) {
		t.Errorf("got %s, %v", b, err)
	}
	for _, id := range []string{"local-1", "local-99", "ledger-999", "x"} {
		if _, err := r.Read(t.Context(), subject, id, herself); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want %v", id, err, ErrNotFound)
		}
	}
	if b, err := r.Read(t.Context(), subject, "ledger-104", herself); err != nil || !strings.Contains(string(b), "110106") {
		t.Errorf("got %s, %v", b, err)
	}
	if got := search(t, r, subject, "outcome=4").Total; got != 5 { // and an attestation that became overdue
		t.Errorf("got %d refused reads in the log, want 4", got-1)
	}
	r.Log = func(context.Context, tx.Account) ([]audit.Link, error) { return nil, audit.ErrGap }
	if _, err := r.Read(t.Context(), subject, "local-2", herself); !errors.Is(err, audit.ErrGap) {
		t.Errorf("an incomplete chain: got %v, want %v", err, audit.ErrGap)
	}
}

func TestNoAnswerWithoutARecord(t *testing.T) {
	r := newReader(t)
	if err := r.Recorder.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Search(t.Context(), Subject{Account: tx.Account{1}}, Query{count: 9}, herself); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	if _, err := r.Recorder.Record(t.Context(), Event{Kind: Read, Outcome: Success, User: doctor, Purposes: consent.PurposesOf(consent.TREAT)}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

// TestAPatientFindsPseudonymsOfStaff is A-12: in every way that she reads it, and in what she searches by; whoever
// reads for the organisation finds the names.
func TestAPatientFindsPseudonymsOfStaff(t *testing.T) {
	r := newReader(t)
	e := wholeEvent(Search)
	e.Query = "GET Observation?performer=" + doctor.Reference
	r.record(t, e, e, wholeEvent(Update))
	r.Alias = func(w Who) Who {
		if w.Reference == doctor.Reference {
			return Who{System: SystemAccount, Value: "someone"}
		}
		return w
	}
	other := Event{User: clinic}
	whole := func(p *Page) (s string) {
		for _, body := range p.Events {
			s += string(body)
			var a auditEvent
			if err := json.Unmarshal(body, &a); err != nil {
				t.Fatal(err)
			}
			for _, x := range a.Entity {
				q, err := base64.StdEncoding.DecodeString(x.Query)
				if err != nil {
					t.Fatal(err)
				}
				s += string(q)
			}
		}
		return s
	}
	if got := whole(search(t, r, subject, "")); strings.Contains(got, doctor.Reference) || !strings.Contains(got, `"someone"`) || !strings.Contains(got, "performer=someone") {
		t.Errorf("she reads %s", got)
	}
	if got := whole(searchAs(t, r, other, subject, "")); !strings.Contains(got, doctor.Reference) || strings.Contains(got, "someone") {
		t.Errorf("the organisation reads %s", got)
	}
	for query, want := range map[string]int{"agent=" + doctor.Reference: 0, "agent=someone": 3} {
		if got := search(t, r, subject, query).Total; got != want {
			t.Errorf("she searches by %s: got %d, want %d", query, got, want)
		}
	}
	if got := searchAs(t, r, other, subject, "agent="+doctor.Reference).Total; got != 3 {
		t.Errorf("the organisation searches: got %d, want 3", got)
	}
	one, err := r.Read(t.Context(), subject, "local-1", herself)
	if err != nil || strings.Contains(string(one), doctor.Reference) {
		t.Errorf("she reads one: %v, %s", err, one)
	}
	e.Kind, e.Recipient, e.Purposes, e.Organization = Disclose, Who{}, 0, Who{}
	r.record(t, e)
	a, err := r.Accounting(t.Context(), subject, Terms{Patient: alice, From: at.AddDate(-1, 0, 0), To: at.AddDate(0, 0, 1), Requested: at.AddDate(0, 0, 1), Everything: true}, herself)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := a.JSON(&b); err != nil || strings.Contains(b.String(), doctor.Reference) || doctor.Display != "" && strings.Contains(b.String(), doctor.Display) {
		t.Errorf("her accounting: %v, %s", err, &b)
	}
}
