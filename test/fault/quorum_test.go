package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// bounded is the deadline of everything that is done while two of four are away: an organisation's own
// care waits for nobody. It is far above what is expected, for the sake of a loaded machine.
const bounded = 45 * time.Second

// TestTwoOfFourAway stops two of four in the middle of load. Each of the others goes on reading and writing
// what is its own, also after it is started anew; nothing crosses organisations, and whoever asks for what is
// not possible is told so. When a third is back, all that waited is on the ledger, once.
func TestTwoOfFourAway(t *testing.T) {
	w := newWorld(t, func(w *world) {
		for _, org := range w.orgs {
			c, err := config.Load(w.Home(org))
			if err == nil {
				c.FHIR.Journal.Duration = time.Second
				if org == "hospital" {
					c.Feeds = []config.Feed{{Name: "adt", Listen: beside(t, c.Gateway.Listen), Plain: true, Zone: "UTC", Authorities: map[string]string{"FAC": "urn:sample:mrn"}}}
				}
				err = c.Save()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	s := w.patient("hospital", true)
	w.wait(func(ctx context.Context) error { return w.decide(ctx, s, granted) })
	w.call("clinic", "POST", "/v1/patients/"+s.patient.String()+"/adopt", map[string]string{"reference": "Patient/" + s.name}, nil)
	must, c := s.expected()
	var session tx.Hash
	w.wait(func(ctx context.Context) (err error) { session, err = w.open(ctx, s); return err })
	w.wait(func(ctx context.Context) error { return w.judge(ctx, s, session, must, c) })
	o := &ownCare{w: w, org: "hospital", patient: "own-care"}
	o.begin()

	l := w.begin()
	w.until("the clients get on", func() bool { return w.counted("stored") > 20 && w.counted("read") > 0 })
	w.kill("insurer", "institute")
	for _, org := range []string{"hospital", "clinic"} {
		took := w.until(org+" knows that there is no quorum", func() bool {
			st, err := w.status(org)
			return err == nil && st.NoQuorum > 0 && !st.Ready && st.Why != ""
		})
		t.Logf("%s says so after %s", org, took.Round(100*time.Millisecond))
	}
	l.end()
	head := w.highest()
	before := w.counted("stored")
	quiet := w.patient2("clinic")
	o.all()
	admitted := w.admits(1, 5)
	w.refusals(s, session)
	if w.counted("stored") == before || !quiet.patient.IsZero() && len(w.owned(quiet)) == 0 {
		t.Error("nothing of a new patient was stored without a quorum")
	}

	t.Log("a node that starts while there is no quorum serves what is its own")
	w.kill("hospital")
	if err := w.Start("hospital"); err != nil {
		t.Fatal(err)
	}
	w.wait(func(ctx context.Context) error { return w.Alive(ctx, "hospital") })
	o.all()
	w.until("the restarted node says that there is no quorum", func() bool {
		st, err := w.status("hospital")
		return err == nil && st.NoQuorum > 0
	})
	w.admits(5, 5) // it came again: the same answer, and no second effect
	admitted = w.admits(6, 8)
	w.refusals(s, session)
	if r := w.run("hospital", 0, "node", "status"); !strings.Contains(r.Out, "no quorum") {
		t.Errorf("node status does not say it:\n%s", r.Out)
	}
	if now := w.highest(); now > head {
		t.Errorf("got height %d with two of four, want %d still", now, head)
	}

	t.Logf("three of four after %s", w.up("insurer").Round(100*time.Millisecond))
	w.until("everything queued is active", func() bool {
		a, errA := w.status("hospital")
		b, errB := w.status("clinic")
		return errA == nil && errB == nil && a.NoQuorum == 0 && b.NoQuorum == 0 && a.Stored+a.Outbox == 0 && b.Stored+b.Outbox == 0
	})
	w.until("the versions are anchored in their order, once each", o.anchored)
	w.until("what the messages said is anchored, once each", func() bool { return w.admitted(admitted) })
	if _, c := s.expected(); c != granted {
		t.Error("a revocation that was refused counts")
	}
	must, c = s.expected()
	w.wait(func(ctx context.Context) error { return w.look(ctx, s) })
	w.wait(func(ctx context.Context) error { return w.decide(ctx, s, denied) })
	w.up("institute")
	o.recorded()
	for _, org := range []string{"hospital", "clinic"} {
		w.journal(org)
	}
	w.settled(false)
}

// wait does what must succeed within the test's patience.
func (w *world) wait(do func(context.Context) error) {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	if err := do(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// patient2 brings a patient whom nobody knew before, while the ledger cannot enrol her: stored, and told so.
func (w *world) patient2(author string) *story {
	w.t.Helper()
	s := w.add(&story{author: author, name: fmt.Sprintf("sample-%d", w.next.Add(1))})
	ctx, cancel := context.WithTimeout(w.t.Context(), bounded)
	defer cancel()
	active := w.counted("active")
	if err := w.write(ctx, s, 3, "active"); err != nil {
		w.t.Errorf("a new patient while there is no quorum: %v", err)
	}
	if w.counted("active") != active {
		w.t.Error("a record is said to be active with two of four")
	}
	return s
}

// refusals asks for everything that needs the ledger or another organisation.
func (w *world) refusals(s *story, session tx.Hash) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), bounded)
	defer cancel()
	for _, q := range []struct {
		what, org, path string
		in              any
	}{
		{"a session", "clinic", "/v1/sessions", gateway.OpenSession{As: "clinic-doctor", Patient: s.patient, Purpose: consent.TREAT, Seconds: 600}},
		{"an emergency", "clinic", "/v1/sessions", gateway.OpenSession{As: "clinic-doctor", Patient: s.patient, Purpose: consent.BTG, Seconds: 600, Reason: "OVRER"}},
		{"a registration", "hospital", "/v1/staff/somebody-new", gateway.Registration{Roles: []string{"doctor"}}},
		{"a proof", "hospital", "", nil},
	} {
		method, path := "POST", q.path
		if path == "" {
			method, path = "GET", "/v1/receipts/audit/"+s.patient.String()
		}
		err := w.ask(ctx, q.org, method, path, q.in, nil)
		if !errors.Is(err, client.ErrNoQuorum) && !errors.Is(err, client.ErrUnsettled) {
			w.t.Errorf("%s with two of four: got %v, want %v", q.what, err, client.ErrNoQuorum)
		}
	}
	var res gateway.ReadResult
	if err := w.ask(ctx, "clinic", "POST", "/v1/sessions/"+session.String()+"/read", gateway.ReadRecords{}, &res); err == nil && len(res.Records) > 0 {
		w.t.Errorf("%d records were released by two of four", len(res.Records))
	}
	// A revocation is refused in plain words; it is not taken and forgotten, nor taken and done later.
	for _, args := range [][]string{
		{"consent", "revoke", "--wallet", s.wallet},
		{"consent", "grant", "--wallet", s.wallet, "--member", "insurer"},
	} {
		r, err := w.CLI(ctx, s.author, args...)
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Code == 0 || !strings.Contains(r.Err, "0x2409") || !strings.Contains(r.Err, "too few members") {
			w.t.Errorf("salus %s: got exit code %d, %q; want a refusal that says why", strings.Join(args[:2], " "), r.Code, r.Err)
		}
	}
	// Another organisation's staff, who sees what her own has, is told that it is not all.
	status, _, body := w.fhir("clinic", "GET", "Observation?patient=Patient/"+s.name, http.Header{"Salus-As": {"clinic-doctor"}, "Salus-Purpose": {"TREAT"}}, nil)
	if status != http.StatusOK || !bytes.Contains(body, []byte("chart-network")) || bytes.Contains(body, []byte(`"8867-4"`)) {
		w.t.Errorf("a chart with two of four: got status %d, want the own records and a warning: %.300s", status, body)
	}
	// What a form says goes to the ledger or is refused.
	form := `{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/` + s.name + `"}}`
	if status, header, body := w.fhir("hospital", "POST", "Consent", http.Header{"Salus-As": {"hospital-doctor"}}, []byte(form)); status/100 == 2 {
		w.t.Errorf("a consent with two of four: got status %d %v %.200s", status, header, body)
	}
	var problem *client.Problem
	if err := w.ask(ctx, "hospital", "GET", "/readyz", nil, nil); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
		w.t.Errorf("readyz with two of four: got %v", err)
	}
}

// journal waits until all that an organisation's gateway did is anchored, and verifies its journal: every
// number is there, and every head that was anchored is one that it had.
func (w *world) journal(org string) {
	w.t.Helper()
	var r gateway.JournalReport
	w.until("the journal of "+org+" is anchored", func() bool {
		r = gateway.JournalReport{} // what is zero is not said
		w.call(org, "GET", "/v1/journal", nil, &r)
		return r.Waiting == 0
	})
	if len(r.Faults) > 0 || r.Heads < 1 || r.Events == 0 || uint64(r.Events) != r.Last-r.First+1 {
		w.t.Errorf("the journal of %s: got %+v", org, r)
	}
	if out := w.run(org, 0, "audit", "journal", "verify").Out; !strings.Contains(out, "anchored") {
		w.t.Errorf("salus audit journal verify: %s", out)
	}
}

// fhir sends a request to an organisation's FHIR server, with a deadline, and reads the whole answer.
func (w *world) fhir(org, method, path string, header http.Header, body []byte) (int, http.Header, []byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), bounded)
	defer cancel()
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if body != nil && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/fhir+json")
	}
	base, token, err := w.address(org)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+"/fhir/"+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = h
	req.Header.Set("Authorization", "Bearer "+token)
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Errorf("%s: %s %s: %v", org, method, path, err)
		return 0, nil, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Errorf("%s: %s %s: %v", org, method, path, err)
	}
	return r.StatusCode, r.Header, b
}

// ownCare is what one organisation does for a patient of its own, over FHIR.
type ownCare struct {
	w            *world
	org, patient string
	versions     int // of the one Observation that is updated
	gone         int // Observations that were created and deleted
}

func (o *ownCare) do(want int, method, path, body string) (http.Header, []byte) {
	o.w.t.Helper()
	var b []byte
	if body != "" {
		b = []byte(body)
	}
	start := time.Now()
	status, h, got := o.w.fhir(o.org, method, path, http.Header{"Salus-Wait": {"active"}}, b)
	if status != want {
		o.w.t.Errorf("%s %s: got status %d, want %d: %.300s", method, path, status, want, got)
	}
	o.w.t.Logf("%s %s: %s in %s", method, path, h.Get("Salus-Status"), time.Since(start).Round(time.Millisecond))
	return h, got
}

func (o *ownCare) observation(id string, value int) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return fmt.Sprintf(`{"resourceType":"Observation",%s"status":"final","subject":{"reference":"Patient/%s"},"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"valueQuantity":{"value":%d}}`, id, o.patient, value)
}

func (o *ownCare) begin() {
	o.w.t.Helper()
	o.do(http.StatusCreated, "PUT", "Patient/"+o.patient, fmt.Sprintf(`{"resourceType":"Patient","id":"%s","name":[{"text":"Sample Patient"}]}`, o.patient))
	o.do(http.StatusCreated, "PUT", "Observation/"+o.patient+"-o", o.observation(o.patient+"-o", 1))
	o.versions = 1
}

// all is every kind of request of an organisation about its own.
func (o *ownCare) all() {
	o.w.t.Helper()
	for range 3 {
		o.versions++
		if h, _ := o.do(http.StatusOK, "PUT", "Observation/"+o.patient+"-o", o.observation(o.patient+"-o", o.versions)); h.Get("Salus-Status") != "stored" {
			o.w.t.Errorf("a write with two of four: got Salus-Status %q, want stored", h.Get("Salus-Status"))
		}
	}
	h, _ := o.do(http.StatusCreated, "POST", "Observation", o.observation("", 7))
	_, id, _ := strings.Cut(h.Get("Location"), "/fhir/Observation/")
	id, _, _ = strings.Cut(id, "/")
	o.do(http.StatusOK, "GET", "Observation/"+id, "")
	o.do(http.StatusNoContent, "DELETE", "Observation/"+id, "")
	o.gone++
	o.do(http.StatusGone, "GET", "Observation/"+id, "")
	o.do(http.StatusOK, "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Observation"},"resource":`+o.observation("", 8)+`}]}`)
	if _, b := o.do(http.StatusOK, "GET", "Observation?patient=Patient/"+o.patient, ""); !bytes.Contains(b, []byte(o.patient+"-o")) {
		o.w.t.Errorf("a search does not find the own record: %.300s", b)
	}
	var history struct{ Total int }
	if _, b := o.do(http.StatusOK, "GET", "Observation/"+o.patient+"-o/_history", ""); json.Unmarshal(b, &history) != nil || history.Total != o.versions {
		o.w.t.Errorf("got %d versions, want %d", history.Total, o.versions)
	}
	o.do(http.StatusOK, "GET", "Patient/"+o.patient+"/$everything", "")
	if _, b := o.do(http.StatusOK, "GET", "AuditEvent?patient=Patient/"+o.patient, ""); !bytes.Contains(b, []byte(`"AuditEvent"`)) {
		o.w.t.Errorf("reading is not in the log: %.300s", b)
	}
}

// anchored reports whether each version is a target of exactly one Provenance, in the order of the blocks.
func (o *ownCare) anchored() bool {
	o.w.t.Helper()
	_, _, b := o.w.fhir(o.org, "GET", "Provenance?_count=500&target=Observation/"+o.patient+"-o", nil, nil)
	var found struct {
		Entry []struct {
			Resource struct {
				Recorded time.Time
				Target   []struct{ Reference string }
			}
		}
	}
	if err := json.Unmarshal(b, &found); err != nil {
		o.w.t.Error(err)
		return true
	}
	at := map[string][]time.Time{}
	for _, e := range found.Entry {
		for _, target := range e.Resource.Target {
			if _, ref, ok := strings.Cut(target.Reference, "Observation/"+o.patient+"-o/_history/"); ok {
				at[ref] = append(at[ref], e.Resource.Recorded)
			}
		}
	}
	var times []time.Time
	for v := 1; v <= o.versions; v++ {
		recorded := at[fmt.Sprint(v)]
		if len(recorded) > 1 {
			o.w.t.Errorf("version %d is anchored %d times", v, len(recorded))
		}
		if len(recorded) == 0 {
			return false
		}
		times = append(times, recorded[0])
	}
	if !slices.IsSortedFunc(times, time.Time.Compare) {
		o.w.t.Errorf("versions are on the ledger in another order than they were written: %v", times)
	}
	return true
}

// recorded looks for the events of what was done while there was no quorum.
func (o *ownCare) recorded() {
	o.w.t.Helper()
	var found struct{ Total int }
	_, _, b := o.w.fhir(o.org, "GET", "AuditEvent?_count=1&patient=Patient/"+o.patient+"&action=U", nil, nil)
	if err := json.Unmarshal(b, &found); err != nil || found.Total < o.versions-1 {
		o.w.t.Errorf("got %d events of updates, %v; want %d or more", found.Total, err, o.versions-1)
	}
}

// address is an organisation's gateway and its token.
func (w *world) address(org string) (base, token string, err error) {
	c, err := config.Load(w.Home(org))
	if err != nil {
		return "", "", err
	}
	b, err := os.ReadFile(c.TokenFile())
	return "http://" + c.Gateway.Listen, strings.TrimSpace(string(b)), err
}
