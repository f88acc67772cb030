package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"salus/client"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/portal"
	"salus/record"
)

// TestConsentsInChromium lets a patient who holds a record give, narrow and take back a consent in
// one organisation's portal of a running network, and check her log there.
func TestConsentsInChromium(t *testing.T) {
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
	n := newNetwork(t, `{"recoveryDelay": 3, "retentionPeriod": 1, "executorDelay": 3}`)
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
	n.run("hospital", 0, "record", "import", n.write("her.json", sample.Bundle(1, 30)))
	var all []record.Patient
	n.call("hospital", http.MethodGet, "/v1/patients", nil, &all)
	if len(all) != 1 {
		t.Fatalf("got %d patients, want 1", len(all))
	}
	patient := all[0].Patient
	n.allActive("hospital", patient.String())
	passkey := n.passkey(patient)
	env := []string{"SALUS_PORTAL=" + c.PortalOrigin(), "SALUS_PASSKEY=" + passkey, "SALUS_PATIENT=" + patient.String()}
	t.Run("grants", func(t *testing.T) { drive(t, node, "grants.test.mjs", env...) })
	t.Run("desk", func(t *testing.T) { drive(t, node, "desk.test.mjs", append(env, n.desk("clinic")...)...) })
	t.Run("down", func(t *testing.T) {
		s := httptest.NewServer(n.turn())
		defer s.Close()
		other, home := n.desk("clinic")[0], n.desk("hospital")
		drive(t, node, "down.test.mjs", append(env, "SALUS_SWITCH="+s.URL, "SALUS_OTHER="+strings.TrimPrefix(other, "SALUS_DESK="), home[0], home[1], home[2])...)
	})
	t.Run("badday", func(t *testing.T) {
		folder := t.TempDir()
		other := n.desk("hospital")
		drive(t, node, "badday.test.mjs", append(env, "SALUS_FOLDER="+folder, strings.Replace(other[1], "SALUS_DESK_", "SALUS_", 1), strings.Replace(other[2], "SALUS_DESK_", "SALUS_", 1))...)
		found, err := filepath.Glob(filepath.Join(folder, "erasure-*.receipt"))
		if err != nil || len(found) != 2 {
			t.Fatalf("got the certificates %v, %v, want one of a record and one of everything", found, err)
		}
		for _, f := range found {
			if out := n.run("hospital", 0, "verify", f, "--genesis", filepath.Join(n.home("hospital"), "genesis.json")); !strings.Contains(out, "done") {
				t.Errorf("the certificate says %q", out)
			}
		}
	})
}

// drive runs a test of the browser.
func drive(t *testing.T, node, file string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", file)
	cmd.Dir = "portal"
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// desk is the environment of a test whose clinician works at that organisation.
func (n *network) desk(org string) []string {
	n.t.Helper()
	c, err := devnet.LoadConfig(filepath.Dir(n.home(org)), org)
	if err != nil {
		n.t.Fatal(err)
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		n.t.Fatal(err)
	}
	return []string{"SALUS_DESK=" + c.PortalOrigin(), "SALUS_DESK_GATEWAY=http://" + c.Gateway.Listen, "SALUS_DESK_TOKEN=" + strings.TrimSpace(string(token))}
}

// turn answers GET /stop/<organisation> and /start/<organisation> when its process has stopped, or takes
// part in consensus again.
func (n *network) turn() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(ctx context.Context, org string) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Context(), r.PathValue("org")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	handle("GET /stop/{org}", func(ctx context.Context, org string) error { return n.Interrupt(ctx, org) })
	handle("GET /start/{org}", func(ctx context.Context, org string) error { return errors.Join(n.Start(org), n.Ready(ctx, org)) })
	return mux
}

// passkey claims a patient's record and gives it a passkey, as JSON for a virtual authenticator.
func (n *network) passkey(patient tx.Account) string {
	n.t.Helper()
	var code record.ClaimCode
	n.call("hospital", http.MethodPost, "/v1/patients/"+patient.String()+"/claim", struct{}{}, &code)
	ctx, api := n.t.Context(), n.api("hospital")
	head, err := api.Head(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	cl := client.New(api, head.Chain)
	wallet, err := record.ClaimWallet(ctx, head.Chain, code, func(s ...tx.Signer) record.Submitter { return cl.As(s...) })
	if err != nil {
		n.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		n.t.Fatal(err)
	}
	rp := sha256.Sum256([]byte("localhost"))
	public := tx.PublicKey{Alg: tx.AlgPasskeyES256, Key: point[1:], RPIDHash: rp[:]}
	if _, err := cl.As(wallet.Signer()).Submit(ctx, identity.KindRotate, &identity.Rotate{Account: patient, Add: []tx.PublicKey{public}}); err != nil {
		n.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		n.t.Fatal(err)
	}
	credential := sha256.Sum256(point)
	b, err := json.Marshal(map[string][]byte{"credential": credential[:], "key": private, "handle": patient[:]})
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}
