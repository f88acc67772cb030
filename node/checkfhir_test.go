package node_test

import (
	"context"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/node"
	"salus/seal"
	"salus/store"
)

// clinical is what fsck says of a stopped node's clinical store.
func (f *feeding) clinical() node.PartCheck {
	f.t.Helper()
	rep, err := node.Check(f.t.Context(), f.conf, logger(f.t), func(string) {})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range rep.Parts {
		if p.Name == "fhir" {
			return p
		}
	}
	f.t.Fatal("fsck does not look at the clinical store")
	return node.PartCheck{}
}

// sound wants fsck to find no fault, and to end its detail so.
func (f *feeding) sound(end string) {
	f.t.Helper()
	if p := f.clinical(); p.Damage != "" || !strings.HasSuffix(p.Detail, end) {
		f.t.Errorf("fsck: got %+v, want no damage and a detail that ends with %q", p, end)
	}
}

// carried waits until nothing is on its way.
func (f *feeding) carried() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var s gateway.Status
		if f.get("/v1/status", &s); s.Stored+s.Outbox == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatal("something is always on its way")
		}
	}
}

// TestFsckFindsADamagedClinicalStore: fsck tells how many resources of which type are damaged and what to do, and
// no more of them; rebuild does mend it.
func TestFsckFindsADamagedClinicalStore(t *testing.T) {
	f := newFeeding(t, nil)
	for id, method := range map[string]string{"one": http.MethodPut, "two": http.MethodPut, "": http.MethodPost} {
		body := strings.Replace(`{"resourceType":"Patient","id":"ID","name":[{"family":"Sample"}],"birthDate":"1950-01-02"}`, `"id":"ID",`, map[bool]string{true: "", false: `"id":"` + id + `",`}[id == ""], 1)
		b, err := f.api.Do(t.Context(), method, strings.TrimSuffix("/fhir/Patient/"+id, "/"), "application/fhir+json", strings.NewReader(body))
		if err != nil || b.StatusCode != http.StatusCreated {
			t.Fatalf("got %v, %v", b, err)
		}
		_ = b.Body.Close()
	}
	f.carried()
	f.run.stop(t)
	f.sound("")

	key, err := os.ReadFile(f.conf.StoreKeyFile())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.conf.Data("fhir"), "store.db")
	st, err := store.OpenSQLite(t.Context(), file, seal.Sum("clinical-store", raw), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = st.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Put(store.Put{Key: store.Key{Type: "Patient", ID: "one"}, Body: []byte(`{"resourceType":"Patient","id":"one","gender":"female"}`), Owner: "Patient/two", Expect: 1})
		if err != nil {
			return err
		}
		_, err = tx.Put(store.Put{Key: store.Key{Type: "Secret", ID: "hers"}, Body: []byte("not a resource")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	p := f.clinical()
	for _, want := range []string{
		string(store.FaultOwner) + " (1 Patient)", string(store.FaultEntries) + " (1 Patient)", string(store.FaultFewer) + " (1 Patient)",
		string(store.FaultUnreadable) + " (1 of no known type)", "salus node rebuild",
	} {
		if !strings.Contains(p.Damage, want) {
			t.Errorf("got %q, want %q in it", p.Damage, want)
		}
	}
	for _, never := range []string{"Secret", "hers", "two", "female", "not a resource"} {
		if strings.Contains(p.Damage+p.Detail, never) {
			t.Errorf("got %q, want nothing of a resource", p.Damage+p.Detail)
		}
	}
	if _, err := node.Rebuild(t.Context(), f.conf, logger(t)); err != nil {
		t.Fatal(err)
	}
	f.sound("")

	if err := os.WriteFile(file, []byte("not a database any more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := f.clinical(); p.Damage == "" {
		t.Error("no database: got no damage")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if p := f.clinical(); !strings.Contains(p.Damage, "salus node rebuild") {
		t.Errorf("no file: got %+v", p)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("fsck makes a clinical store where none is")
	}
	if _, err := node.Rebuild(t.Context(), f.conf, logger(t)); err != nil {
		t.Fatal(err)
	}
	f.sound("")
}

// TestStatusCountsWhatIsNoRecordYet: a version that the FHIR server took counts as on its way from its acknowledgement
// on, also while nobody can be enrolled.
func TestStatusCountsWhatIsNoRecordYet(t *testing.T) {
	cs := home(t, 2)
	start(t, cs[0]) // alone it makes no block, and no batch
	token, err := os.ReadFile(cs[0].TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	f := &feeding{t: t, conf: cs[0], api: client.NewAPI("http://"+cs[0].Gateway.Listen, strings.TrimSpace(string(token)))}
	status := func() (s gateway.Status) {
		t.Helper()
		f.get("/v1/status", &s)
		return s
	}
	if s := status(); s.Stored+s.Outbox != 0 {
		t.Fatalf("got %+v, want nothing on its way", s)
	}
	for n, id := range []string{"one", "two", "three"} {
		if got := f.put("/fhir/Patient/"+id, []byte(`{"resourceType":"Patient","id":"`+id+`"}`)); got != http.StatusCreated {
			t.Fatalf("got %d", got)
		}
		if s := status(); s.Stored <= n { // with those of the organisation's own, such as her index
			t.Fatalf("got %d records on their way, want %d or more", s.Stored, n+1)
		}
	}
	start(t, cs[1])
	becomes(t, cs[0], http.StatusOK)
	f.carried()
}
