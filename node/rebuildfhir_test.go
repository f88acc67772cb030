package node_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"salus/client"
	"salus/gateway"
	"salus/node"
	"salus/record"
	"salus/seal"
	"salus/store"
)

// TestRebuildKeepsWhatIsInNoRecordYet: what was acknowledged and handed on to nobody is only in the clinical store
// that is replaced. It goes over, also twice, and is handed on when the others are back.
func TestRebuildKeepsWhatIsInNoRecordYet(t *testing.T) {
	cs := home(t, 2)
	alone := start(t, cs[0]) // alone it makes no block, and enrols nobody: of each patient the first versions alone become records
	token, err := os.ReadFile(cs[0].TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	f := &feeding{t: t, conf: cs[0], api: client.NewAPI("http://"+cs[0].Gateway.Listen, strings.TrimSpace(string(token)))}
	var s gateway.Status
	f.get("/v1/status", &s)
	one := func(family string, want int) {
		if got := f.put("/fhir/Patient/one", []byte(`{"resourceType":"Patient","id":"one","name":[{"family":"`+family+`"}]}`)); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
	one("First", http.StatusCreated)
	f.handed("Patient/one")
	one("Second", http.StatusOK)
	if got := f.put("/fhir/Patient/two", []byte(`{"resourceType":"Patient","id":"two"}`)); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	f.handed("Patient/two")
	if err := f.api.JSON(t.Context(), http.MethodDelete, "/fhir/Patient/two", nil, nil); err != nil {
		t.Fatal(err)
	}
	alone.stop(t)

	file := filepath.Join(cs[0].Data("fhir"), "store.db")
	if err := os.WriteFile(file+".new", []byte("of a rebuild that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		rep, err := node.Rebuild(t.Context(), cs[0], logger(t))
		if err != nil || rep.Unrecorded != 2 || rep.Unread {
			t.Fatalf("got %+v, %v; want the 2 versions that are in no record", rep, err)
		}
	}
	if left, err := filepath.Glob(file + "?*"); err != nil || len(left) != 0 {
		t.Errorf("got %v, %v beside the store, want nothing", left, err)
	}

	if err := os.WriteFile(file+".new", []byte("of a rebuild that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, cs[0])
	if _, err := os.Stat(file + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed rebuild left is still there (%v): no erasure reaches it", err)
	}
	start(t, cs[1])
	becomes(t, cs[0], http.StatusOK)
	f.carried()
	var p struct {
		Meta struct{ VersionID string }
		Name []struct{ Family string }
	}
	if f.get("/fhir/Patient/one", &p); p.Meta.VersionID != "2" || len(p.Name) != 1 || p.Name[0].Family != "Second" {
		t.Errorf("got %+v, want the second version", p)
	}
	if err := f.api.JSON(t.Context(), http.MethodGet, "/fhir/Patient/two", nil, nil); err == nil {
		t.Error("what was deleted is back")
	}
	var hits struct{ Total int }
	if f.get("/fhir/Patient?family=Second&_total=accurate", &hits); hits.Total != 1 {
		t.Errorf("got %d by the index, want 1", hits.Total)
	}
}

// handed returns when a patient's resource is a record of the organisation's.
func (f *feeding) handed(reference string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var known []record.Patient
		f.get("/v1/patients", &known)
		for _, p := range known {
			var own []record.Owned
			if p.Reference != reference {
				continue
			}
			f.get("/v1/patients/"+p.Patient.String()+"/records", &own)
			if slices.ContainsFunc(own, func(o record.Owned) bool { return o.Type == "Patient" }) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatalf("%s does not become a record", reference)
		}
	}
}

// TestRebuildSaysWhenTheStoreIsUnreadable: nothing can be taken over from it.
func TestRebuildSaysWhenTheStoreIsUnreadable(t *testing.T) {
	f := newFeeding(t, nil)
	if got := f.put("/fhir/Patient/one", []byte(`{"resourceType":"Patient","id":"one"}`)); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	f.carried()
	f.run.stop(t)
	if err := os.WriteFile(filepath.Join(f.conf.Data("fhir"), "store.db"), []byte("not a database any more"), 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err := node.Rebuild(t.Context(), f.conf, logger(t))
	if err != nil || !rep.Unread || rep.Unrecorded != 0 || rep.Versions == 0 {
		t.Errorf("got %+v, %v; want it said that the store could not be read", rep, err)
	}
	f.sound("")
}

// TestRebuildLeavesANewerStore: what this program cannot read another one can.
func TestRebuildLeavesANewerStore(t *testing.T) {
	f := newFeeding(t, nil)
	f.run.stop(t)
	key, err := os.ReadFile(f.conf.StoreKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.conf.Data("fhir"), "store.db")
	sealed := seal.Sum("clinical-store", raw)
	db, err := driver.Open("file:" + url.PathEscape(file) + "?" + url.Values{"vfs": {"salus"}, "hexkey": {hex.EncodeToString(sealed[:])}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE meta SET value = '99' WHERE name = 'schema'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Rebuild(t.Context(), f.conf, logger(t)); !errors.Is(err, store.ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store is not what it was: %v", err)
	}
}
