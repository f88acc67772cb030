package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/portal"
	"salus/record"
)

// TestOwnRecordInChromium lets a patient take over a record that the hospital keeps, and open it in
// Chromium, with its custodians on four machines.
func TestOwnRecordInChromium(t *testing.T) {
	t.Parallel() // browsers mostly wait
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node: the browser cannot be driven")
	}
	for _, dir := range []string{filepath.Join("portal", "node_modules"), filepath.Join("..", "..", "portal", "node_modules")} {
		if _, err := os.Stat(dir); err != nil {
			t.Skip("the browser's driver or the portal's tools are not installed: npm ci in test/e2e/portal and portal does it")
		}
	}
	if f, err := portal.Files().Open("index.html"); err != nil {
		t.Skip("the portal is not built: make portal does it")
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	n := newNetwork(t, "{}")
	var orgs []string
	for _, o := range devnet.Orgs() {
		orgs = append(orgs, o.Name)
	}
	n.start(orgs...)
	n.ready(orgs...)
	var reports []gateway.ImportReport
	n.runJSON("hospital", &reports, "record", "import", n.write("patient.json", sample.Bundle(7, 500)))
	var code record.ClaimCode
	n.call("hospital", "POST", "/v1/patients/"+reports[0].Patients[0].String()+"/claim", nil, &code)
	claim, err := json.Marshal(code)
	if err != nil {
		t.Fatal(err)
	}
	c, err := devnet.LoadConfig(filepath.Dir(n.home("hospital")), "hospital")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", "record.test.mjs")
	cmd.Dir = "portal"
	cmd.Env = append(os.Environ(), "SALUS_PORTAL="+c.PortalOrigin(), "SALUS_CLAIM="+string(claim))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
