package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"salus/internal/devnet"
	"salus/portal"
)

// TestPortalInChromium lets a patient use one organisation's portal of a running network, in
// Debian's Chromium with its virtual authenticator.
func TestPortalInChromium(t *testing.T) {
	t.Parallel() // browsers mostly wait
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node: the browser cannot be driven")
	}
	if _, err := os.Stat(filepath.Join("portal", "node_modules")); err != nil {
		t.Skip("the browser's driver is not installed: npm ci in test/e2e/portal does it")
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
	c, err := devnet.LoadConfig(filepath.Dir(n.home("hospital")), "hospital")
	if err != nil {
		t.Fatal(err)
	}
	n.enlist()
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", ".")
	cmd.Dir = "portal"
	cmd.Env = append(os.Environ(), "SALUS_PORTAL="+c.PortalOrigin(), "SALUS_GATEWAY=http://"+c.Gateway.Listen, "SALUS_TOKEN="+strings.TrimSpace(string(token)), "SALUS_STAFF="+devnet.Orgs()[0].Staff.Name)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
