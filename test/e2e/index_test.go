package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/fhir/fhirtest"
	"salus/node"
)

// TestAKilledNodeGoesOnIndexing kills a node while it indexes what is stored by a package's search parameters, three
// times: its store is sound, and in the end everything is found. It stands alone: no ledger is needed for that.
func TestAKilledNodeGoesOnIndexing(t *testing.T) {
	if testing.Short() {
		t.Skip("a process that is killed and restarted")
	}
	const org, count, part = "hospital", 3000, 500
	n := newNetwork(t, "{}")
	n.start(org)
	n.alive(org)
	n.call(org, http.MethodPut, "/fhir/Patient/p", json.RawMessage(`{"resourceType":"Patient","id":"p"}`), nil)
	for from := 0; from < count; from += part {
		var entries []string
		for i := range part {
			id := fmt.Sprint("o", from+i)
			entries = append(entries, fmt.Sprintf(`{"request":{"method":"PUT","url":"Observation/%s"},"resource":{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"sample"},"subject":{"reference":"Patient/p"},`+
				`"extension":[{"url":"urn:example:colour","valueCode":"red"}]}}`, id, id))
		}
		n.call(org, http.MethodPost, "/fhir", json.RawMessage(`{"resourceType":"Bundle","type":"transaction","entry":[`+strings.Join(entries, ",")+`]}`), nil)
	}
	n.interrupt(org)
	c := n.config(org)
	guide := fhirtest.Package(t, map[string]string{"SearchParameter-colour.json": `{"resourceType":"SearchParameter","url":"http://example.org/SearchParameter/colour","status":"active","code":"colour","base":["Observation"],"type":"token",` +
		`"expression":"Observation.extension.where(url = 'urn:example:colour').value"}`})
	if err := os.WriteFile(filepath.Join(c.Home, "guide.tgz"), guide, 0o600); err != nil {
		t.Fatal(err)
	}
	c.FHIR.Packages, c.LogLevel = []string{"guide.tgz"}, "info" // which tells when it indexes
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}

	const found = "/fhir/Observation?colour=red&_summary=count"
	for range 3 {
		before := len(n.Log(org))
		n.start(org)
		var size int64 // of the store's log before it indexes
		n.soon("it indexes, or has done it", func(ctx context.Context) bool {
			info, err := os.Stat(filepath.Join(c.Data("fhir"), "store.db-wal"))
			if err == nil && !strings.Contains(n.Log(org)[before:], "reindexing") {
				size = info.Size()
			} else if err == nil && info.Size() > size+1<<20 {
				return true
			}
			status, _ := n.ask(ctx, org, found)
			return status == http.StatusOK
		})
		n.kill(org)
		t.Logf("killed: %s", n.clinical(org))
	}
	n.start(org)
	n.alive(org)
	var total struct{ Total int }
	n.soon("everything is indexed", func(ctx context.Context) bool {
		status, body := n.ask(ctx, org, found)
		return status == http.StatusOK && json.Unmarshal(body, &total) == nil
	})
	if total.Total != count {
		t.Errorf("got %d found by the package's parameter, want %d", total.Total, count)
	}
	n.interrupt(org)
	if detail := n.clinical(org); strings.Contains(detail, "to be indexed anew") || !strings.Contains(detail, fmt.Sprint(count+1, " resources")) {
		t.Errorf("got %q, want all to be indexed", detail)
	}
}

// clinical is what fsck says of a stopped node's clinical store, which must be sound.
func (n *network) clinical(org string) string {
	n.t.Helper()
	var rep node.CheckReport
	n.runJSON(org, &rep, "node", "fsck")
	for _, p := range rep.Parts {
		if p.Name == "fhir" {
			return p.Detail
		}
	}
	n.t.Fatal("fsck does not look at the clinical store")
	return ""
}

// ask reads from an organisation's FHIR server; status 0 is no answer.
func (n *network) ask(ctx context.Context, org, path string) (int, []byte) {
	n.t.Helper()
	r, err := n.api(org).Do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return 0, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil
	}
	return r.StatusCode, b
}

// soon asks again and again until a condition holds.
func (n *network) soon(what string, ok func(context.Context) bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
