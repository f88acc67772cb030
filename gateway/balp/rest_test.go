package balp

import (
	"crypto/ed25519"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"salus/ledger/tx"
)

func TestARequestBecomesTheEventOfItsInteraction(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		kind         Kind
		resource     string
	}{
		{"GET", "/fhir/Patient/1", Read, "Patient/1"},
		{"HEAD", "/fhir/Patient/1", Read, "Patient/1"},
		{"GET", "/fhir/Patient/1/_history/2", VRead, "Patient/1/_history/2"},
		{"GET", "/fhir/Patient/1/_history", History, "Patient/1"},
		{"GET", "/fhir/Observation?code=x", Search, ""},
		{"GET", "/fhir/Patient/1/Observation", Search, ""},
		{"POST", "/fhir/Observation/_search", Search, ""},
		{"GET", "/fhir?_id=1", SearchAll, ""},
		{"POST", "/fhir/_search", SearchAll, ""},
		{"POST", "/fhir/Observation", Create, ""},
		{"PUT", "/fhir/Observation/1", Update, "Observation/1"},
		{"PATCH", "/fhir/Observation/1", Patch, "Observation/1"},
		{"DELETE", "/fhir/Observation/1", Delete, "Observation/1"},
		{"POST", "/fhir", Whole, ""},
		{"GET", "/fhir/Patient/1/$everything", Operation, ""},
		{"GET", "/fhir/_history", History, ""},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("X-Request-Id", "abc")
		r.RemoteAddr = "[2001:db8::1]:1234"
		e := Request(r, nil, "/fhir", 200)
		got := ""
		if len(e.Resources) == 1 {
			got = e.Resources[0]
		}
		if e.Kind != tt.kind || got != tt.resource || e.Request != "abc" || e.Client.Address != "2001:db8::1" || e.Outcome != Success {
			t.Errorf("%s %s: got %+v", tt.method, tt.path, e)
		}
		if (e.Query != "") != slices.Contains([]Kind{Search, SearchAll, Operation}, e.Kind) || strings.Contains(e.Query, "secret") {
			t.Errorf("%s %s: got query %q", tt.method, tt.path, e.Query)
		}
	}
	r := httptest.NewRequest("POST", "/fhir/Observation/_search", nil)
	e := Request(r, url.Values{"code": {strings.Repeat("é", maxQuery)}}, "/fhir", 403)
	if len(e.Query) > maxQuery || e.Outcome != Serious {
		t.Errorf("got %d bytes, outcome %s", len(e.Query), e.Outcome)
	}
}

// TestACheckpointShowsWhatWasTakenOff is A-05.
func TestACheckpointShowsWhatWasTakenOff(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	j := openJournal(t, t.TempDir())
	defer j.Close()
	appendAll(t, j, 0, 3)
	c := j.Checkpoint(tx.Account{1}, key, at)
	if !c.Verify(public) || !j.Includes(c.Head) {
		t.Error("a true checkpoint does not hold")
	}
	appendAll(t, j, 3, 5)
	if !j.Includes(c.Head) {
		t.Error("what came later hides what was")
	}
	other := openJournal(t, t.TempDir()) // written anew, without the second
	defer other.Close()
	appendAll(t, other, 0, 1)
	appendAll(t, other, 2, 5)
	if other.Includes(c.Head) {
		t.Error("a journal that was written anew passes")
	}
	c.Head.Seq++
	if c.Verify(public) {
		t.Error("a changed checkpoint passes")
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("date=ge2027-01&agent=a|b&_count=3&_cursor=1.0.2&outcome=0,8")
	a, err := site.build(&Event{Kind: Read, Time: at, Outcome: Success, User: doctor, Patient: alice}, "x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		q, err := ParseQuery(v)
		if err != nil {
			if !errorIs[*QueryError](err) {
				t.Errorf("got %v", err)
			}
			return
		}
		q.matches(a, at)
		if q.count < 0 || q.count > MaxCount {
			t.Errorf("got %d", q.count)
		}
	})
}
