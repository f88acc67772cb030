package adversary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/devnet/process"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/record"
)

// patience is the deadline of every condition.
const patience = 2 * time.Minute

// A world is four organisations in this process, with a patient of the hospital who lets the clinic look.
type world struct {
	*testing.T
	*devnet.Network
	ctx     context.Context // of the test, for its helpers
	dir     string
	chain   string
	genesis []byte
	wallet  *record.Wallet
	stored  int // clinical records of the patient
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("a network of four organisations: half a minute")
	}
	const first, last, size = 30400, 30490, 45
	port, err := process.FreePorts(first, last, size, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	w := &world{T: t, ctx: ctx, dir: filepath.Join(t.TempDir(), "net")}
	m, err := devnet.Init(w.dir, devnet.Options{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	w.chain = m.Chain
	if w.Network, err = devnet.Open(w.dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.StopAll(); err != nil {
			t.Error(err)
		}
		cancel()
	})
	if err := w.StartAll(ctx); err != nil {
		t.Fatal(err)
	}
	c, err := w.Config("hospital")
	if err != nil {
		t.Fatal(err)
	}
	if w.genesis, err = os.ReadFile(c.GenesisFile()); err != nil {
		t.Fatal(err)
	}
	for _, o := range devnet.Orgs() {
		w.call(o.Name, "POST", "/v1/staff/"+o.Staff.Name, gateway.Registration{Roles: o.Staff.Roles, Privileges: o.Staff.Privileges}, nil)
	}
	w.patient()
	return w
}

func (w *world) api(org string) *client.API {
	w.Helper()
	api, err := w.API(org)
	if err != nil {
		w.Fatal(err)
	}
	return api
}

// call sends a request that must succeed.
func (w *world) call(org, method, path string, in, out any) {
	w.Helper()
	if err := w.api(org).JSON(w.ctx, method, path, in, out); err != nil {
		w.Fatalf("%s: %s %s: %v", org, method, path, err)
	}
}

// until asks again and again until a condition holds.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// patient imports a patient with records at the hospital, claims her pseudonym and grants to the clinic.
func (w *world) patient() {
	w.Helper()
	var b bytes.Buffer
	fmt.Fprintln(&b, `{"resourceType":"Patient","id":"sample","name":[{"text":"Sample Patient"}],"birthDate":"1950-01-01"}`)
	for i := range 4 {
		fmt.Fprintf(&b, `{"resourceType":"Observation","id":"o%d","status":"final","subject":{"reference":"Patient/sample"},`+
			`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"valueQuantity":{"value":%d,"unit":"/min"}}`+"\n", i, 60+i)
	}
	w.stored = 5
	r, err := w.api("hospital").Do(w.ctx, http.MethodPost, "/v1/import?format=ndjson&wait=active", "application/fhir+json", &b)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Body.Close()
	var done *gateway.ImportLine
	for d := json.NewDecoder(r.Body); ; {
		line := new(gateway.ImportLine)
		if err := d.Decode(line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			w.Fatal(err)
		}
		if line.Error != nil {
			w.Fatal(line.Error)
		}
		if line.Done != nil {
			done = line
		}
	}
	if done == nil || len(done.Done.Patients) != 1 || !done.Done.Active {
		w.Fatal("the import came to no end")
	}
	var code record.ClaimCode
	w.call("hospital", "POST", "/v1/patients/"+done.Done.Patients[0].String()+"/claim", struct{}{}, &code)
	submit := func(s ...tx.Signer) record.Submitter { return client.New(w.api("hospital"), w.chain).As(s...) }
	if w.wallet, err = record.ClaimWallet(w.ctx, w.chain, code, submit); err != nil {
		w.Fatal(err)
	}
	slots, err := w.wallet.SlotMap()
	if err != nil {
		w.Fatal(err)
	}
	id, err := record.NewGrantID()
	if err != nil {
		w.Fatal(err)
	}
	wish := record.Wish{Grantee: consent.Grantee{Kind: consent.OfMember, Account: w.account("clinic")}, Purposes: consent.PurposesOf(consent.TREAT)}
	if _, err := record.Grant(w.ctx, submit(w.wallet.Signer()), w.wallet.Patient, slots, id, 0, wish); err != nil {
		w.Fatal(err)
	}
}

func (w *world) account(org string) tx.Account {
	w.Helper()
	c, err := w.Config(org)
	if err != nil {
		w.Fatal(err)
	}
	return c.Member
}

// session opens a session of the clinic's doctor.
func (w *world) session() gateway.SessionInfo {
	w.Helper()
	var info gateway.SessionInfo
	w.call("clinic", "POST", "/v1/sessions", gateway.OpenSession{As: "clinic-doctor", Patient: w.wallet.Patient, Purpose: consent.TREAT, Seconds: 600}, &info)
	return info
}

// entry is the receipt of a log entry.
func (w *world) entry(org string, index uint64) (*receipt.Receipt, error) {
	b, err := w.api(org).Bytes(w.ctx, http.MethodGet, fmt.Sprintf("/v1/receipts/entry/%d", index), nil)
	if err != nil {
		return nil, err
	}
	return receipt.DecodeReceipt(b)
}
