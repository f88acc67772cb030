package bulk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

const all = "Group/g Observation/a-x Observation/a-y Observation/b-x Observation/b-y Observation/c-x Observation/c-y Patient/a Patient/b Patient/c Practitioner/d"

func filled(t *testing.T, change ...func(*Config)) *world {
	w := newWorld(t, change...)
	w.patients("a", "b", "c")
	w.put(`{"resourceType":"Practitioner","id":"d","name":[{"family":"Doe"}]}`)
	w.put(`{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/b"},"inactive":true},{"entity":{"reference":"Patient/c"}},{"entity":{"reference":"Patient/none"}}]}`)
	return w
}

func TestAnExportHasWhatWasAskedFor(t *testing.T) {
	w := filled(t)
	for what, want := range map[string]string{
		"GET /fhir/$export":                            all,
		"GET /fhir/$export?_type=Patient,Practitioner": "Patient/a Patient/b Patient/c Practitioner/d",
		"GET /fhir/Patient/$export":                    strings.TrimSuffix(all, " Practitioner/d"),
		"GET /fhir/Group/g/$export":                    "Group/g Observation/a-x Observation/a-y Observation/c-x Observation/c-y Patient/a Patient/c",
		"GET /fhir/$export?_type=Observation&_typeFilter=Observation%3Fcode%3Dx":                                                                      "Observation/a-x Observation/b-x Observation/c-x",
		"GET /fhir/$export?_type=Observation,Patient&_typeFilter=Observation%3Fcode%3Dx%2Cnone,Observation%3Fsubject%3DPatient%2Fa,Patient%3F_id%3Db": "Observation/a-x Observation/a-y Observation/b-x Observation/c-x Patient/b",
		"GET /fhir/$export?_since=2999-01-01T00:00:00Z":                                                                                               "",
	} {
		if got := w.export("app", what); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
		for id := range w.bulk.jobs {
			w.do("app", "DELETE /bulk/"+id, nil)
		}
	}
	r := w.do("app", "POST /fhir/Patient/$export", strings.NewReader(`{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/b"}},{"name":"_elements","valueString":"id,Observation.status"}]}`), "Prefer: respond-async")
	status := strings.TrimPrefix(r.Header.Get("Content-Location"), "http://example.org")
	if ids, _ := w.result("app", status); strings.Join(ids, " ") != "Observation/b-x Observation/b-y Patient/b" {
		t.Errorf("one patient: got %v", ids)
	}
	f := w.do("app", "GET "+status+"/0", nil)
	if !bytes.Contains(f.body, []byte("SUBSETTED")) || bytes.Contains(f.body, []byte("subject")) {
		t.Errorf("_elements: got %s", f.body)
	}
}

func TestTheManifestIsThatOfTheStandard(t *testing.T) {
	w := filled(t, func(c *Config) { c.FileCount = 2 })
	_, m := w.result("app", w.kick("app", "GET /fhir/$export?_type=Patient&_outputFormat=ndjson"))
	if m.TransactionTime != "2026-01-01T00:00:00.000Z" || m.Request != "http://example.org/fhir/$export?_type=Patient&_outputFormat=ndjson" || !m.RequiresAccessToken || m.Error == nil || len(m.Output) != 2 || m.Output[0].Count != 2 {
		t.Errorf("got %+v", m)
	}
	w.pass(time.Hour)
	w.put(`{"resourceType":"Patient","id":"a","gender":"other"}`)
	w.do("app", "DELETE /fhir/Patient/b", nil)
	w.do("app", "DELETE /fhir/Observation/b-x", nil)
	w.put(`{"resourceType":"Observation","id":"b-x","status":"final","code":{"text":"again"},"subject":{"reference":"Patient/b"}}`)
	ids, m := w.result("app", w.kick("app", "GET /fhir/$export?_since="+m.TransactionTime))
	if got := strings.Join(ids, " "); got != "DELETE Patient/b Observation/b-x Patient/a" || len(m.Deleted) != 1 {
		t.Errorf("since: got %s, %+v", got, m)
	}
}

func TestWhatTheLeaveHidesIsInNoFileAndNoCount(t *testing.T) {
	w := filled(t)
	scope := w.store.NewScope()
	if err := w.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Put(store.Put{Key: store.Key{Scope: scope, Type: "Observation", ID: "theirs"}, Body: []byte(`{"resourceType":"Observation"}`), Owner: "Patient/a"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	code, _ := r4().Param("Observation", "code")
	within := map[string][][]search.Clause{"Observation": {{{Param: code, Values: []search.Value{{Text: "y"}}}}}, "Practitioner": {}}
	for name, tt := range map[string]struct {
		leave rest.Leave
		want  string
	}{
		"one patient":    {rest.Leave{Owner: "Patient/a"}, "Group/g Observation/a-x Observation/a-y Patient/a Practitioner/d"},
		"a session":      {rest.Leave{Scopes: []store.Scope{store.Own, scope}}, all},
		"session only":   {rest.Leave{Scopes: []store.Scope{scope}}, ""},
		"conditions":     {rest.Leave{Within: within}, "Group/g Observation/a-y Observation/b-y Observation/c-y Patient/a Patient/b Patient/c"},
		"types":          {rest.Leave{May: func(i rest.Interaction, typ string) bool { return i == rest.Operate || typ == "Patient" }}, "Patient/a Patient/b Patient/c"},
		"search, unread": {rest.Leave{May: func(i rest.Interaction, typ string) bool { return i != rest.Read || typ == "Patient" }}, "Patient/a Patient/b Patient/c"},
	} {
		w.guard.set(name, tt.leave)
		if got := w.export(name, "GET /fhir/$export"); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
	// Deletions that it did not see before, it does not see now.
	at := w.now().Format(time.RFC3339)
	w.pass(time.Minute)
	for _, id := range []string{"Observation/a-x", "Observation/b-x", "Practitioner/d"} {
		w.do("app", "DELETE /fhir/"+id, nil)
	}
	for name, want := range map[string]string{"one patient": "DELETE Observation/a-x DELETE Practitioner/d", "conditions": "", "types": "", "app": "DELETE Observation/a-x DELETE Observation/b-x DELETE Practitioner/d"} {
		if got := w.export(name, "GET /fhir/$export?_since="+at); got != want {
			t.Errorf("deleted, %s: got %s, want %s", name, got, want)
		}
	}
	w.refused(403, "bulk-forbidden", w.do("types", "GET /fhir/$export?_type=Observation", nil, "Prefer: respond-async"))
	w.guard.set("nothing", rest.Leave{May: func(i rest.Interaction, _ string) bool { return i == rest.Operate }})
	w.refused(403, "bulk-forbidden", w.do("nothing", "GET /fhir/$export", nil, "Prefer: respond-async"))
	w.guard.set("no operations", rest.Leave{May: func(i rest.Interaction, _ string) bool { return i != rest.Operate }})
	w.refused(403, "rest-forbidden", w.do("no operations", "GET /fhir/$export", nil, "Prefer: respond-async"))
}

// gate stops jobs between pages until it is opened.
type gate struct {
	at, open chan struct{}
}

func (g *gate) alive(ctx context.Context, _ *rest.Leave) error {
	select {
	case g.at <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	select {
	case <-g.open:
	case <-ctx.Done():
	}
	return nil
}

func TestAJobSeesTheStoreAsOfItsStart(t *testing.T) {
	g := &gate{make(chan struct{}), make(chan struct{})}
	w := filled(t, func(c *Config) { c.Alive = g.alive })
	status := w.kick("app", "GET /fhir/$export?_type=Observation,Patient,Practitioner")
	<-g.at // before the first page
	g.open <- struct{}{}
	<-g.at                                           // Observation/a-x and a-y are written
	w.do("app", "DELETE /fhir/Observation/a-x", nil) // written already
	w.do("app", "DELETE /fhir/Observation/c-x", nil) // not yet
	w.do("app", "DELETE /fhir/Patient/b", nil)
	w.put(`{"resourceType":"Patient","id":"b","gender":"other"}`) // another version
	w.put(`{"resourceType":"Patient","id":"c","gender":"other"}`)
	w.patients("e") // new
	w.do("app", "DELETE /fhir/Practitioner/d", nil)
	w.put(`{"resourceType":"Practitioner","id":"d","name":[{"family":"Other"}]}`)
	w.do("app", "DELETE /fhir/Practitioner/d", nil)
	close(g.open)
	go func() {
		for range g.at {
		}
	}()
	ids, m := w.result("app", status)
	close(g.at)
	if got := strings.Join(ids, " "); got != strings.TrimPrefix(all, "Group/g ") {
		t.Errorf("got %s", got)
	}
	for _, o := range m.Output {
		f := w.do("app", "GET "+strings.TrimPrefix(o.URL, "http://example.org"), nil)
		if bytes.Contains(f.body, []byte("gender")) || bytes.Contains(f.body, []byte("Other")) || bytes.Contains(f.body, []byte(`"versionId":"2"`)) {
			t.Errorf("a later version is in the export: %s", f.body)
		}
	}
}

func TestAJobIsItsClientsAlone(t *testing.T) {
	w := filled(t)
	status := w.kick("app", "GET /fhir/$export?_type=Patient")
	w.settled(status)
	w.guard.set("app-narrow", rest.Leave{May: func(_ rest.Interaction, typ string) bool { return typ == "Observation" }})
	for _, what := range []string{"GET " + status, "GET " + status + "/0", "DELETE " + status} {
		w.refused(404, "bulk-no-job", w.do("other", what, nil))
		w.refused(401, "rest-login", w.do("nobody", what, nil))
	}
	w.refused(403, "bulk-forbidden", w.do("app-narrow", "GET "+status+"/0", nil))
	w.guard.set("app-narrow", rest.Leave{Owner: "Patient/a"}) // its authorisation is another by now
	w.refused(404, "bulk-no-job", w.do("app-narrow", "GET "+status+"/0", nil))
	code, _ := r4().Param("Observation", "code")
	for _, text := range []string{"x", "y"} { // the same app, another user
		w.guard.set("app-narrow", rest.Leave{Within: map[string][][]search.Clause{"Observation": {{{Param: code, Values: []search.Value{{Text: text}}}}}}})
		w.refused(404, "bulk-no-job", w.do("app-narrow", "GET "+status+"/0", nil))
		theirs := w.kick("app-narrow", "GET /fhir/$export?_type=Observation")
		w.settled(theirs)
		if r := w.do("app-narrow", "GET "+theirs, nil); r.StatusCode != 200 {
			t.Errorf("its own: got %d", r.StatusCode)
		}
		for _, other := range []string{"app", "app-narrow"} {
			w.guard.set("app-narrow", rest.Leave{Within: map[string][][]search.Clause{"Observation": {}}})
			w.refused(404, "bulk-no-job", w.do(other, "GET "+theirs, nil))
		}
	}
	for _, what := range []string{"/1", "/00", "/x", "/0/0", "/-1", "/4294967296"} {
		w.refused(404, "bulk-no-job", w.do("app", "GET "+status+what, nil))
	}
	w.refused(405, "bulk-method", w.do("app", "POST "+status, nil))
	w.refused(405, "bulk-method", w.do("app", "DELETE "+status+"/0", nil))
	w.refused(404, "bulk-no-job", w.do("app", "GET /bulk/", nil))
	w.guard.set("anonymous", rest.Leave{})
	w.refused(403, "bulk-client", w.do("anonymous", "GET /fhir/$export", nil, "Prefer: respond-async"))
}

func TestBadKickOffsAreRefused(t *testing.T) {
	w := filled(t)
	w.refused(400, "bulk-async", w.do("app", "GET /fhir/$export", nil))
	for code, q := range map[string]string{
		"bulk-format": "_outputFormat=text/csv", "bulk-since": "_since=yesterday", "bulk-type": "_type=Nonsense", "bulk-type-filter": "_type=Patient&_typeFilter=Observation%3Fcode%3Dx",
		"bulk-parameter": "includeAssociatedData=x", "bulk-patient": "patient=Patient/a", "search-unknown-parameter": "_typeFilter=Patient%3Fnonsense%3D1", "rest-condition": "_typeFilter=Patient%3F_sort%3D_id",
	} {
		w.refused(400, code, w.do("app", "GET /fhir/$export?"+q, nil, "Prefer: respond-async"))
	}
	w.do("app", "GET /fhir/$export?includeAssociatedData=x", nil, "Prefer: respond-async, handling=lenient")
	for _, p := range []string{"Patient/none", "Practitioner/d", "Patient/b"} { // b is inactive in the group
		w.refused(400, "bulk-patient", w.do("app", "POST /fhir/Group/g/$export", strings.NewReader(`{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"`+p+`"}}]}`), "Prefer: respond-async"))
	}
	w.refused(404, "rest-not-found", w.do("app", "GET /fhir/Group/none/$export", nil, "Prefer: respond-async"))
	w.refused(404, "rest-operation", w.do("app", "GET /fhir/Observation/$export", nil, "Prefer: respond-async"))
}

func TestProgressIsToldAndEagerClientsWait(t *testing.T) {
	g := &gate{make(chan struct{}), make(chan struct{})}
	w := filled(t, func(c *Config) { c.Alive = g.alive; c.PerClient = 1; c.Poll = 2 * time.Second })
	status := w.kick("app", "GET /fhir/$export")
	<-g.at
	r := w.do("app", "GET "+status, nil)
	if r.StatusCode != 202 || r.Header.Get("X-Progress") == "" || r.Header.Get("Retry-After") != "2" {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
	r = w.do("app", "GET "+status, nil)
	w.refused(429, "bulk-poll", r)
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.pass(3 * time.Second)
	if r := w.do("app", "GET "+status, nil); r.StatusCode != 202 {
		t.Errorf("after waiting: got %d", r.StatusCode)
	}
	w.refused(404, "bulk-no-job", w.do("app", "GET "+status+"/0", nil)) // not before the end
	r = w.do("app", "GET /fhir/$export", nil, "Prefer: respond-async")
	w.refused(429, "bulk-quota", r)
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if r := w.do("app", "DELETE "+status, nil); r.StatusCode != 202 {
		t.Errorf("cancel: got %d", r.StatusCode)
	}
	w.refused(404, "bulk-no-job", w.do("app", "GET "+status, nil))
	if err := w.bulk.Close(); err != nil {
		t.Fatal(err)
	}
	if names := w.onDisk(); len(names) != 0 {
		t.Errorf("a cancelled job left %v", names)
	}
}

func TestNothingIsOnDiskInTheClearAndTheKeyGoesWithTheJob(t *testing.T) {
	w := filled(t)
	status := w.kick("app", "GET /fhir/$export")
	w.settled(status)
	var kept [][]byte
	for _, name := range w.onDisk() {
		b, err := os.ReadFile(filepath.Join(w.conf.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
		for _, clear := range []string{"resourceType", "Patient", "Doe", "app"} {
			if bytes.Contains(b, []byte(clear)) {
				t.Errorf("%s says %s", name, clear)
			}
		}
	}
	if len(kept) < 5 {
		t.Fatalf("got %d files", len(kept))
	}
	// A file that was changed, cut or put in another's place does not open.
	name := filepath.Join(w.conf.Dir, strings.TrimPrefix(status, "/bulk/"))
	zero, err := os.ReadFile(name + ".0")
	if err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(name + ".1")
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(zero)
	flipped[3] ^= 1
	for _, bad := range [][]byte{flipped, zero[:len(zero)-1], {}, one} {
		if err := os.WriteFile(name+".0", bad, 0o600); err != nil {
			t.Fatal(err)
		}
		w.refused(500, "rest-internal", w.do("app", "GET "+status+"/0", nil))
	}
	w.pass(25 * time.Hour)
	w.refused(410, "bulk-expired", w.do("app", "GET "+status+"/1", nil))
	if names := w.onDisk(); len(names) != 1 || names[0] != strings.TrimPrefix(status, "/bulk/")+".job" {
		t.Errorf("after its time a job left %v", names)
	}
}

// Files expire (Bulk Data Access 2.0): their client is told so, also by a server that started anew, and nobody else
// learns that they were there.
func TestAnExpiredJobIsGoneForItsClientAlone(t *testing.T) {
	w := filled(t)
	status := w.kick("app", "GET /fhir/$export?_type=Patient")
	w.settled(status)
	id := strings.TrimPrefix(status, "/bulk/")
	w.guard.set("app-narrow", rest.Leave{Owner: "Patient/a"})
	w.pass(24 * time.Hour)
	check := func() {
		t.Helper()
		for _, what := range []string{"GET " + status, "GET " + status + "/0", "GET " + status + "/9"} {
			w.refused(410, "bulk-expired", w.do("app", what, nil))
			w.refused(404, "bulk-no-job", w.do("other", what, nil))
			w.refused(404, "bulk-no-job", w.do("app-narrow", what, nil))
			w.refused(401, "rest-login", w.do("nobody", what, nil))
		}
		w.refused(404, "bulk-no-job", w.do("other", "DELETE "+status, nil))
		w.bulk.mu.Lock()
		j := w.bulk.jobs[id]
		w.bulk.mu.Unlock()
		if j == nil || len(j.Key) != 0 || j.Request != "" || len(j.Files) != 0 {
			t.Errorf("a secret of an expired job is kept: %t", j != nil)
		}
		if names := w.onDisk(); len(names) != 1 {
			t.Errorf("an expired job left %v", names)
		}
	}
	check()
	if err := w.bulk.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	check()
	w.pass(remembered)
	w.refused(404, "bulk-no-job", w.do("app", "GET "+status, nil))
	if names := w.onDisk(); len(names) != 0 {
		t.Errorf("a forgotten job left %v", names)
	}
	// One that expired takes no place, and can be deleted.
	for range 20 {
		status = w.kick("app", "GET /fhir/$export?_type=Patient")
		w.settled(status)
		w.pass(24 * time.Hour)
	}
	if r := w.do("app", "DELETE "+status, nil); r.StatusCode != 202 {
		t.Errorf("got %d", r.StatusCode)
	}
	w.refused(404, "bulk-no-job", w.do("app", "GET "+status, nil))
}

func TestAJobSurvivesARestartOrIsReportedFailed(t *testing.T) {
	g := &gate{make(chan struct{}), make(chan struct{})}
	w := filled(t)
	finished := w.kick("app", "GET /fhir/$export")
	before, _ := w.result("app", finished)
	w.conf.Alive = g.alive
	if err := w.bulk.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	if after, _ := w.result("app", finished); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("got %v", after)
	}
	stopped := w.kick("app", "GET /fhir/$export")
	<-g.at
	if err := w.bulk.Close(); err != nil {
		t.Fatal(err)
	}
	w.refused(500, "bulk-interrupted", w.do("app", "GET "+stopped, nil))
	// The same if the process is killed: its record still says that it runs.
	id := strings.TrimPrefix(stopped, "/bulk/")
	w.bulk.jobs[id].State = running
	if err := w.bulk.save(w.bulk.jobs[id]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.conf.Dir, id+".0"), []byte("part of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.conf.Dir, "of-nobody.3"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.refused(500, "bulk-interrupted", w.do("app", "GET "+stopped, nil))
	for _, name := range w.onDisk() {
		if name == id+".0" || name == "of-nobody.3" {
			t.Errorf("%s is left", name)
		}
	}
	// Under another key of the node nothing opens.
	w.conf.Key = [32]byte{9}
	w.open()
	w.refused(404, "bulk-no-job", w.do("app", "GET "+finished, nil))
}

func TestWhoseResourcesAreExportedIsTold(t *testing.T) {
	var told []string
	var fail error
	w := filled(t, func(c *Config) {
		c.Exported = func(_ context.Context, client, request string, owners []string) error {
			told = append(told, client+" "+request+" "+strings.Join(owners, ","))
			return fail
		}
	})
	w.export("app", "GET /fhir/Patient/$export?_type=Patient")
	w.export("app", "GET /fhir/$export?_type=Practitioner")
	w.export("app", "GET /fhir/$export?_since=2999-01-01T00:00:00Z") // also of an empty one
	const base = "app http://example.org/fhir/"
	if got, want := strings.Join(told, "; "), base+"Patient/$export?_type=Patient Patient/a,Patient/b,Patient/c; "+base+"$export?_type=Practitioner ; "+base+"$export?_since=2999-01-01T00%3A00%3A00Z "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	fail = errors.New("no room")
	status := w.kick("app", "GET /fhir/$export")
	w.settled(status)
	w.refused(500, "bulk-failed", w.do("app", "GET "+status, nil))
	w.refused(404, "bulk-no-job", w.do("app", "GET "+status+"/0", nil)) // what could not be accounted for is not given
}

func TestAnExportEndsWithItsAuthorisation(t *testing.T) {
	w := filled(t, func(c *Config) { c.Alive = func(context.Context, *rest.Leave) error { return errors.New("revoked") } })
	status := w.kick("app", "GET /fhir/$export")
	w.settled(status)
	w.refused(500, "bulk-revoked", w.do("app", "GET "+status, nil))
	w.refused(404, "bulk-no-job", w.do("app", "GET "+status+"/0", nil))
}

func TestAnExportHasABound(t *testing.T) {
	w := filled(t, func(c *Config) { c.MaxBytes = 500; c.FileCount = 1 })
	status := w.kick("app", "GET /fhir/$export")
	w.settled(status)
	w.refused(500, "bulk-too-large", w.do("app", "GET "+status, nil))
}
