package node_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"salus/gateway"
	"salus/gateway/balp"
	"salus/gateway/oversight"
)

// What the privacy officer keeps is there after a restart, and unreadable on disk.
func TestWhatTheOfficerKeepsOutlivesARestart(t *testing.T) {
	f := newFeeding(t, nil)
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	id := at(f.one("Patient"), "id")
	post := func(path string, in any) error { return f.api.JSON(t.Context(), http.MethodPost, path, in, nil) }
	letter := oversight.Disclosure{Patient: id, Recipient: "Sample Agency", On: time.Now().UTC().Format(time.DateOnly), What: "a letter", Purposes: []string{"GOV"}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; { // she is known after a moment
		err := post("/v1/accounting/disclosures", letter)
		if err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		post("/v1/accounting/suspensions", balp.Suspension{Patient: id, Recipient: "Sample Agency", Until: time.Now().AddDate(0, 1, 0)}),
		post("/v1/accounting/addresses", gateway.Address{Recipient: "Sample Agency", Address: "1 Sample Street"}),
	); err != nil {
		t.Fatal(err)
	}
	f.again()
	var k balp.Kept
	f.get("/v1/accounting", &k)
	if len(k.Suspensions) != 1 || k.Suspensions[0].Patient != "Patient/"+id || k.Addresses["Sample Agency"] == "" {
		t.Errorf("got %+v", k)
	}
	var a balp.Accounting
	f.get("/fhir/AuditEvent/$accounting-of-disclosures?_format=application/json&patient="+id, &a)
	if a.Withheld != 1 || len(a.Items) != 0 {
		t.Errorf("got %+v, want the one withheld", a)
	}
	raw, err := os.ReadFile(filepath.Join(f.conf.Data("fhir"), "accounting"))
	if err != nil || bytes.Contains(raw, []byte("Sample")) || bytes.Contains(raw, []byte(id)) {
		t.Errorf("it is readable on disk, or not there: %v", err)
	}
}
