package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"salus/internal/devnet"
)

// TestClientsThatNobodyHereWrote lets FHIR clients of others work with one organisation of a
// running network: fhir-kit-client, @medplum/core, and fhirclient, also as an app in Chromium.
func TestClientsThatNobodyHereWrote(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node: the clients cannot run")
	}
	if _, err := os.Stat(filepath.Join("clients", "node_modules")); err != nil {
		t.Skip("the clients are not installed: npm ci in test/e2e/clients does it")
	}
	n := newNetwork(t, "{}")
	var orgs []string
	for _, o := range devnet.Orgs() {
		orgs = append(orgs, o.Name)
	}
	n.start(orgs...)
	n.ready(orgs...)
	n.enlist()
	c, err := devnet.LoadConfig(filepath.Dir(n.home("hospital")), "hospital")
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	given, err := json.Marshal(map[string]string{
		"fhir": c.FHIRBase(), "gateway": strings.TrimSuffix(c.FHIRBase(), "/fhir"), "token": strings.TrimSpace(string(token)), "staff": devnet.Orgs()[0].Staff.Name,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", ".")
	cmd.Dir = "clients"
	cmd.Env = append(os.Environ(), "SALUS_NETWORK="+string(given))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
