package node_test

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/internal/pgtest"
	"salus/node"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onPostgres gives a node a schema of its own on a real server.
func onPostgres(t *testing.T) func(*config.Config) {
	dsn := pgtest.Schema(t)
	return func(c *config.Config) {
		t.Helper()
		c.FHIR.Store = "postgres"
		if err := os.WriteFile(c.PostgresFile(), []byte(dsn+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestANodeOnPostgres: what was written is there after a start, fsck finds no fault, and a store that is made again
// has the same versions and answers the same.
func TestANodeOnPostgres(t *testing.T) {
	f := newFeeding(t, onPostgres(t))
	for _, family := range []string{"First", "Second"} {
		if got := f.put("/fhir/Patient/one", []byte(`{"resourceType":"Patient","id":"one","name":[{"family":"`+family+`"}]}`)); got >= 300 {
			t.Fatalf("got %d", got)
		}
	}
	if got := f.put("/fhir/Observation/o", []byte(`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"sample"},"subject":{"reference":"Patient/one"}}`)); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	if got := f.put("/fhir/Patient/two", []byte(`{"resourceType":"Patient","id":"two"}`)); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	if err := f.api.JSON(t.Context(), http.MethodDelete, "/fhir/Patient/two", nil, nil); err != nil {
		t.Fatal(err)
	}
	f.carried()
	before := f.answers()
	f.again()
	if after := f.answers(); !reflect.DeepEqual(before, after) {
		t.Errorf("after a start: got %v, want %v", after, before)
	}
	f.run.stop(t)
	if p := f.clinical(); p.Damage != "" {
		t.Errorf("fsck: got %+v", p)
	}
	rep, err := node.Rebuild(t.Context(), f.conf, logger(t))
	if err != nil || rep.Versions < 5 || rep.Unrecorded != 0 {
		t.Fatalf("got %+v, %v; want the 5 versions and what stands beside them", rep, err)
	}
	if p := f.clinical(); p.Damage != "" {
		t.Errorf("fsck of what was made again: got %+v", p)
	}
	f.start()
	if after := f.answers(); !reflect.DeepEqual(before, after) {
		t.Errorf("made again: got %v, want %v", after, before)
	}
	if _, err := os.Stat(f.conf.Data("fhir") + "/store.db"); err == nil {
		t.Error("there is a file of SQLite, too")
	}
}

// answers are what a caller sees of the resources of the test, without the bundles' own ids and times.
func (f *feeding) answers() (out []any) {
	f.t.Helper()
	for _, path := range []string{
		"/fhir/Patient/one", "/fhir/Patient/one/_history", "/fhir/Patient/two/_history", "/fhir/Patient?family=second", "/fhir/Observation?subject=Patient/one",
		"/fhir/Observation?subject:Patient.family=second&_include=Observation:subject", "/fhir/Patient?_has:Observation:subject:status=final&_total=accurate",
	} {
		var b map[string]any
		f.get(path, &b)
		if b["resourceType"] == "Bundle" {
			delete(b, "id")
			delete(b, "meta")
			delete(b, "timestamp")
			delete(b, "link")
		}
		if len(b) < 3 {
			f.t.Fatalf("%s: got %v", path, b)
		}
		out = append(out, b)
	}
	return out
}

// TestRebuildInPostgresRefusesWhatIsInNoRecordYet: it would be gone. A node that is started hands it on.
func TestRebuildInPostgresRefusesWhatIsInNoRecordYet(t *testing.T) {
	change := onPostgres(t)
	cs := home(t, 2)
	change(cs[0])
	if err := cs[0].Save(); err != nil {
		t.Fatal(err)
	}
	alone := start(t, cs[0])
	token, err := os.ReadFile(cs[0].TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	f := &feeding{t: t, conf: cs[0], api: client.NewAPI("http://"+cs[0].Gateway.Listen, strings.TrimSpace(string(token)))}
	var s gateway.Status
	f.get("/v1/status", &s)
	if got := f.put("/fhir/Patient/one", []byte(`{"resourceType":"Patient","id":"one"}`)); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	f.handed("Patient/one") // what comes after it waits for it, and it for the ledger
	if got := f.put("/fhir/Patient/one", []byte(`{"resourceType":"Patient","id":"one","active":true}`)); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	var was, is json.RawMessage
	f.get("/fhir/Patient/one", &was)
	alone.stop(t)
	if rep, err := node.Rebuild(t.Context(), cs[0], logger(t)); err == nil || !strings.Contains(err.Error(), "in no record yet") {
		t.Fatalf("got %+v, %v; want a refusal", rep, err)
	}
	start(t, cs[0])
	start(t, cs[1])
	becomes(t, cs[0], http.StatusOK)
	f.carried()
	if f.get("/fhir/Patient/one", &is); string(is) != string(was) {
		t.Errorf("got %s, want %s", is, was)
	}
}
