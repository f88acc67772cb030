package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/client"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// salus runs a command at the node and reads its answer into out, if that is not nil.
func (w *watched) salus(out any, args ...string) {
	w.t.Helper()
	var text, errs bytes.Buffer
	if code := run(append([]string{"--home", devnet.Home(w.dir, w.org), "-o", "json"}, args...), nil, &text, &errs); code != 0 {
		w.t.Fatalf("%q: exit %d: %s", args, code, &errs)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(text.Bytes(), out); err != nil {
		w.t.Fatalf("%q: %v: %s", args, err, &text)
	}
}

// thief signs with a key of the organisation's staff that was copied, without asking its node.
func (w *watched) thief(name string) *client.Submitter {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(devnet.Home(w.dir, w.org), "keys", "staff-"+name+".key"))
	if err != nil {
		w.t.Fatal(err)
	}
	who, text, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	a, err := tx.ParseAccount(who)
	if err != nil {
		w.t.Fatal(err)
	}
	seed, err := hex.DecodeString(text)
	if err != nil {
		w.t.Fatal(err)
	}
	var status gateway.Status
	if err := w.api.JSON(w.t.Context(), "GET", "/v1/status", nil, &status); err != nil {
		w.t.Fatal(err)
	}
	return client.New(w.api, status.Chain).As(tx.NewEd25519Signer(a, ed25519.NewKeyFromSeed(seed)))
}

// TestAListThatTheGatewayNeverAskedForIsNoticed is A-06: what the ledger says was asked for in an organisation's name,
// and its journal does not, somebody else asked for.
func TestAListThatTheGatewayNeverAskedForIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("a node that is started twice")
	}
	w := newWatched(t)
	const doctor = "hospital-doctor"
	if err := w.api.JSON(t.Context(), "POST", "/v1/staff/"+doctor, gateway.Registration{Roles: []string{"sct:309343006"}, Privileges: identity.PrivRead}, nil); err != nil {
		t.Fatal(err)
	}
	file, wallet := filepath.Join(t.TempDir(), "bundle.json"), filepath.Join(t.TempDir(), "her.json")
	if err := os.WriteFile(file, sample.Bundle(1, 5), 0o600); err != nil {
		t.Fatal(err)
	}
	var imported []struct{ Accounts []tx.Account }
	w.salus(&imported, "record", "import", file)
	patient := imported[0].Accounts[0]
	var session struct{ ID tx.Hash }
	w.salus(nil, "identity", "claim", patient.String(), "--wallet", wallet)
	w.salus(nil, "consent", "grant", "--wallet", wallet, "--any-clinical", "--for", "1h")
	w.salus(&session, "access", "open", patient.String(), "--as", doctor)
	var read struct{ Records []any }
	w.salus(&read, "access", "read", session.ID.String())
	if len(read.Records) == 0 {
		t.Fatal("nothing was read")
	}
	w.salus(nil, "access", "mine", "--wallet", wallet) // her own sessions are no business of her steward's journal

	// Each list that came is in her log, before it was handed on.
	imports := func() (n int) {
		var b struct {
			Entry []struct {
				Resource struct {
					Outcome string
					Meta    struct{ Profile []string }
				}
			}
		}
		if err := w.api.JSON(t.Context(), "GET", "/fhir/AuditEvent?type=110107&_count=100", nil, &b); err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Entry {
			if e.Resource.Outcome == "0" && strings.Contains(fmt.Sprint(e.Resource.Meta.Profile), "PrivacyDisclosure.Recipient") {
				n++
			}
		}
		return n
	}
	if n := imports(); n != 1 {
		t.Fatalf("got %d lists received, want 1", n)
	}

	as := w.thief(doctor)
	opened, err := as.Submit(t.Context(), access.KindRequest, &access.Request{Patient: patient, Purpose: consent.TREAT, Mask: ^uint64(0), ReaderKey: tx.Hash{1}, TTL: 600})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := as.Submit(t.Context(), access.KindFetch, &access.CommitFetch{Session: opened.ID, Root: tx.Hash{2}, Count: 3}); err != nil {
		t.Fatal(err)
	}
	w.until("the node says that it did not ask for it", func() bool { return w.log.count("msg=journal_unmatched") > 0 })
	w.verify(exitRefused, "0", balp.NotReceived+": session "+opened.ID.String())
	if got := w.report().Unmatched; len(got) != 1 || got[0].Session != opened.ID || got[0].List != (tx.Hash{2}) {
		t.Errorf("got %+v, want the stolen list alone", got)
	}
	if got := w.gauge("salus_journal_unmatched"); got != "1" {
		t.Errorf("got salus_journal_unmatched %q, want 1", got)
	}
	if n := w.log.count("msg=journal_unmatched"); n != 1 {
		t.Errorf("it was said %d times", n)
	}

	// It stays found when the node starts again, and what was received stays received.
	if err := w.net.Stop(w.org); err != nil {
		t.Fatal(err)
	}
	w.start(2)
	w.until("the node says it again", func() bool { return w.log.count("msg=journal_unmatched") == 2 })
	if got := w.report().Unmatched; len(got) != 1 || got[0].Session != opened.ID {
		t.Errorf("after a start: got %+v, want the stolen list alone", got)
	}
	if n := imports(); n != 1 {
		t.Errorf("after a start: got %d lists received, want 1", n)
	}
}
