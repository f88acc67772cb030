package gateway_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// lines keeps everything that is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is a running sample network with everything it logged, from debug on.
type world struct {
	*devnet.Network
	dir string
	log *lines
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), log: &lines{}}
	if _, err := devnet.Init(w.dir, devnet.Options{Port: freePorts(t)}); err != nil {
		t.Fatal(err)
	}
	n, err := devnet.Open(w.dir, slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	w.Network = n
	if err := n.StartAll(t.Context()); err != nil {
		t.Fatal(errors.Join(err, n.StopAll()))
	}
	t.Cleanup(func() {
		if err := n.StopAll(); err != nil {
			t.Error(err)
		}
	})
	for _, o := range devnet.Orgs() {
		w.call(t, o.Name, "POST", "/v1/staff/"+o.Staff.Name, gateway.Registration{Roles: o.Staff.Roles, Privileges: o.Staff.Privileges}, nil)
	}
	return w
}

func freePorts(t *testing.T) int {
	t.Helper()
	const size, first, count = 40, 5000, 120
	for i := range count {
		port := first + (os.Getpid()+i)%count*size
		free := true
		for j := 0; j < size && free; j++ {
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+j)))
			free = err == nil && ln.Close() == nil
		}
		if free {
			return port
		}
	}
	t.Fatal("no free block of ports")
	return 0
}

func (w *world) api(t *testing.T, org string) *client.API {
	t.Helper()
	api, err := w.API(org)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func (w *world) call(t *testing.T, org, method, path string, in, out any) {
	t.Helper()
	if err := w.api(t, org).JSON(t.Context(), method, path, in, out); err != nil {
		t.Fatalf("%s: %s %s: %v", org, method, path, err)
	}
}

// importing sends an import and returns its last line.
func (w *world) importing(t *testing.T, org, query string, b []byte) (last gateway.ImportLine) {
	t.Helper()
	r, err := w.api(t, org).Do(t.Context(), "POST", "/v1/import"+query, "application/fhir+json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for d := json.NewDecoder(r.Body); ; {
		var l gateway.ImportLine
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return last
		} else if err != nil {
			t.Fatal(err)
		}
		last = l
	}
}

// code is the stable code of an error, whatever carried it.
func code(err error) string {
	var p *client.Problem
	var r *tx.Refusal
	switch {
	case errors.As(err, &p):
		return p.Code
	case errors.As(err, &r):
		return fmt.Sprintf("%#04x", r.Code)
	case err != nil:
		return err.Error()
	}
	return ""
}

// TestGatewayOnARunningNetwork lives a record's life over the API, with every kind of wrong
// request on the way, and then searches what was logged and measured.
func TestGatewayOnARunningNetwork(t *testing.T) {
	w := newWorld(t)
	bundle := storyBundle(t)
	rep := w.importing(t, "hospital", "?wait=active", bundle).Done
	if rep == nil || len(rep.Patients) != 1 {
		t.Fatalf("got %+v, want the report of one patient", rep)
	}
	patient := rep.Patients[0]
	secrets := map[string]string{"pseudonym": patient.String(), "pseudonym in hex": hex.EncodeToString(patient[:])}

	t.Run("wrong requests have stable codes", func(t *testing.T) { w.refusals(t, patient) })

	var claim record.ClaimCode
	w.call(t, "hospital", "POST", "/v1/patients/"+patient.String()+"/claim", struct{}{}, &claim)
	hospital := w.api(t, "hospital")
	head, err := hospital.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cl := client.New(hospital, head.Chain)
	wallet, err := record.ClaimWallet(t.Context(), head.Chain, claim, func(s ...tx.Signer) record.Submitter { return cl.As(s...) })
	if err != nil {
		t.Fatal(err)
	}
	secrets["claim secret"], secrets["wallet seed"] = hex.EncodeToString(claim.Secret), hex.EncodeToString(wallet.Seed)
	slots, err := wallet.SlotMap()
	if err != nil {
		t.Fatal(err)
	}
	grant, err := record.NewGrantID()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Grant(t.Context(), cl.As(wallet.Signer()), patient, slots, grant, 0, record.Wish{
		Grantee: consent.Grantee{Kind: consent.AnyClinical}, Purposes: consent.PurposesOf(consent.TREAT), Without: []fhir.Label{"PSY"},
	}); err != nil {
		t.Fatal(err)
	}
	var s gateway.SessionInfo
	w.call(t, "clinic", "POST", "/v1/sessions", gateway.OpenSession{As: "clinic-doctor", Patient: patient, Purpose: consent.TREAT, Seconds: 600}, &s)
	var seen []gateway.Visible
	w.call(t, "clinic", "GET", "/v1/sessions/"+s.ID.String()+"/records", nil, &seen)
	var res gateway.ReadResult
	w.call(t, "clinic", "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &res)
	if len(res.Records) == 0 || len(res.Records) >= rep.Records {
		t.Errorf("the clinic read %d of %d records, want some but not all", len(res.Records), rep.Records)
	}
	// A list that holds what the session may not open brings the rest, as if there were no more.
	var part gateway.ReadResult
	w.call(t, "clinic", "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{Records: []gateway.RecordPlace{
		{Batch: res.Records[0].Batch, Index: res.Records[0].Index}, {Batch: tx.Hash{1}, Index: 7},
	}}, &part)
	if len(part.Records) != 1 {
		t.Errorf("got %d records, want the one that there is", len(part.Records))
	}
	if _, err := record.Revoke(t.Context(), cl.As(wallet.Signer()), patient, grant); err != nil {
		t.Fatal(err)
	}
	w.call(t, "clinic", "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &part)
	if len(part.Records) != 0 {
		t.Errorf("after the revocation got %d records, want none", len(part.Records))
	}
	var own []record.Owned
	w.call(t, "hospital", "GET", "/v1/patients/"+patient.String()+"/records", nil, &own)
	for i, o := range own {
		secrets[fmt.Sprint("record id ", i)] = o.ID.String()
	}
	b, err := hospital.Bytes(t.Context(), "GET", "/v1/records/"+own[0].ID.String(), nil)
	if err != nil || len(b) == 0 {
		t.Errorf("got %d bytes, %v, want a record", len(b), err)
	}
	w.call(t, "institute", "GET", "/v1/patients/"+patient.String()+"/log", nil, nil)

	t.Run("metrics have no ids", func(t *testing.T) {
		for _, org := range w.Orgs() {
			w.metrics(t, org, secrets)
		}
	})
	t.Run("a stop sends waiting requests away", func(t *testing.T) { w.stopWhileWaiting(t) })

	// Everything has stopped: what was logged is complete.
	for _, org := range w.Orgs() {
		c, err := w.Config(org)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{c.TokenFile(), c.MemberKeyFile(), c.PeerKeyFile(), c.StoreKeyFile()} {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			secrets[org+"'s "+filepath.Base(file)] = strings.TrimSpace(string(b))
		}
	}
	maps.Copy(secrets, content(t, bundle))
	logged := strings.ToLower(w.log.String())
	if len(logged) < 1000 {
		t.Fatalf("got %d bytes of logs, want a whole run", len(logged))
	}
	for name, secret := range secrets {
		if at := strings.Index(logged, strings.ToLower(secret)); at >= 0 {
			start := strings.LastIndexByte(logged[:at], '\n') + 1
			t.Errorf("the logs hold a %s: %.300s", name, logged[start:])
		}
	}
}

// storyBundle is a synthetic patient of whom some records are sensitive.
func storyBundle(t *testing.T) []byte {
	t.Helper()
	for seed := uint64(1); seed < 100; seed++ {
		b := sample.Bundle(seed, 60)
		for it, err := range fhir.ReadBundle(bytes.NewReader(b)) {
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(fhir.LabelsOf(it.Resource), "PSY") {
				return b
			}
		}
	}
	t.Fatal("no synthetic patient has a sensitive record")
	return nil
}

// content picks strings of the resources that are long enough to be told from anything else.
func content(t *testing.T, bundle []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for it, err := range fhir.ReadBundle(bytes.NewReader(bundle)) {
		if err != nil {
			t.Fatal(err)
		}
		if id := it.Resource.ID(); len(id) >= 8 {
			out["resource id "+id] = id
		}
		if s := fhir.Summarize(it.Resource).Title; len(s) >= 8 {
			out["title "+s] = s
		}
	}
	if len(out) < 10 {
		t.Fatalf("got %d strings of the resources, want more", len(out))
	}
	return out
}

// refusals sends every kind of wrong request.
func (w *world) refusals(t *testing.T, patient tx.Account) {
	zero := strings.Repeat("00", 32)
	for _, x := range []struct{ method, path, body, want string }{
		{"GET", "/v1/head?above=x", "", "argument"},
		{"GET", "/v1/nonce/x", "", "argument"},
		{"POST", "/v1/tx", "hello", "0x0001"},
		{"POST", "/v1/tx", "", "0x0001"},
		{"POST", "/v1/tx", strings.Repeat("a", tx.MaxTx+1), "0x0003"},
		{"GET", "/v1/tx/x", "", "argument"},
		{"GET", "/v1/tx/" + zero, "", "unknown"},
		{"GET", "/v1/tx/" + zero + "/raw", "", "unknown"},
		{"POST", "/v1/submit/consent.nothing", "{}", "unknown"},
		{"POST", "/v1/submit/identity.update", `{"account":"` + patient.String() + `","colour":1}`, "argument"},
		{"POST", "/v1/submit/identity.update", `{"account":"nobody"}`, "argument"},
		{"POST", "/v1/submit/identity.update?as=nobody", `{"account":"` + patient.String() + `"}`, "0x2402"},
		{"POST", "/v1/submit/identity.update?as=../member", `{"account":"` + patient.String() + `"}`, "0x2401"},
		{"POST", "/v1/submit/identity.update", `{"account":"` + patient.String() + `"}`, fmt.Sprintf("%#04x", identity.ErrNotYours.Code)},
		{"POST", "/v1/submit/identity.update", strings.Repeat(" ", 1<<20) + `{}`, "too-large"},
		{"POST", "/v1/submit/governance.vote", `{"proposal":"` + zero + `","approve":true}`, fmt.Sprintf("%#04x", governance.ErrUnknownProposal.Code)},
		{"GET", "/v1/query/identity/principal?arg=xyz", "", "argument"},
		{"GET", "/v1/query/identity/principal?arg=00", "", fmt.Sprintf("%#04x", identity.ErrQuery.Code)},
		{"GET", "/v1/receipts/entry/x", "", "argument"},
		{"GET", "/v1/receipts/entry/99999999", "", "0x2301"},
		{"GET", "/v1/receipts/audit/x", "", "argument"},
		{"POST", "/v1/import?format=csv", "{}", "argument"},
		{"POST", "/v1/import?wait=ever", "{}", "argument"},
		{"POST", "/v1/patients/x/claim", "{}", "argument"},
		{"POST", "/v1/patients/00000000000000000000000001/claim", "{}", "patient"},
		{"POST", "/v1/patients/00000000000000000000000001/adopt", `{"reference":"Patient/1","x":1}`, "argument"},
		{"GET", "/v1/patients/x/records", "", "argument"},
		{"GET", "/v1/patients/x/log", "", "argument"},
		{"GET", "/v1/records/x", "", "argument"},
		{"GET", "/v1/records/" + zero[:32], "", "unknown"},
		{"POST", "/v1/staff/x", `{"roles":1}`, "argument"},
		{"POST", "/v1/staff/X%20Y", `{}`, "0x2401"},
		{"POST", "/v1/staff/x", `{"privileges":4294967295}`, fmt.Sprintf("%#04x", identity.ErrPrivileges.Code)},
		{"POST", "/v1/sessions", `{"as":"nobody","patient":"` + patient.String() + `","purpose":"TREAT","seconds":60}`, "0x2402"},
		{"POST", "/v1/sessions", `{"as":"hospital-doctor","patient":"` + patient.String() + `","purpose":"TREAT","seconds":60,"x":1}`, "argument"},
		{"GET", "/v1/sessions/x/records", "", "argument"},
		{"GET", "/v1/sessions/" + zero + "/records", "", "session"},
		{"POST", "/v1/sessions/" + zero + "/read", "{}", "session"},
		{"DELETE", "/v1/sessions/" + zero, "", "session"},
		{"POST", "/v1/relay/x/locate", "", "argument"},
		{"POST", "/v1/relay/" + patient.String() + "/locate", "hello", "argument"},
		{"POST", "/v1/relay/" + patient.String() + "/release", strings.Repeat("\x00", 17<<20), "too-large"},
		{"GET", "/v1/relay/blob/x", "", "argument"},
		{"GET", "/v1/relay/blob/" + zero + "?holder=x", "", "argument"},
		{"GET", "/v1/relay/blob/" + zero, "", "unknown"},
		{"GET", "/v1/relay/batch/" + zero, "", "unknown"},
		{"GET", "/v1/relay/session/" + zero, "", "unknown"},
		{"GET", "/v1/nothing", "", "unknown"},
	} {
		r, err := w.api(t, "hospital").Do(t.Context(), x.method, x.path, "application/json", strings.NewReader(x.body))
		if err == nil {
			r.Body.Close()
		}
		if got := code(err); got != x.want {
			t.Errorf("%s %.60s %.60s: got %q, want %q", x.method, x.path, x.body, got, x.want)
		}
	}
	for text, want := range map[string]string{
		"": "fhir-empty", "hello": "fhir-json", `{"resourceType":"Patient","id":"a"}`: "fhir-bundle-type", `{"resourceType":"Bundle","type":"collection","entry":[]}`: "fhir-bundle-empty",
	} {
		if l := w.importing(t, "hospital", "", []byte(text)); l.Error == nil || l.Error.Code != want {
			t.Errorf("import of %q: got %+v, want %s", text, l, want)
		}
	}
}

var looksLikeID = regexp.MustCompile(`^([0-9a-f]{16,}|[0-9a-hj-km-np-tv-z]{26})$`)

func (w *world) metrics(t *testing.T, org string, secrets map[string]string) {
	c, err := w.Config(org)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.Gateway.Listen+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"salus_ledger_height", "salus_ready 1", "salus_vault_packs", "salus_custody_", "salus_record_"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: no %s in the metrics", org, want)
		}
	}
	for _, value := range regexp.MustCompile(`="([^"]*)"`).FindAllSubmatch(b, -1) {
		if looksLikeID.Match(value[1]) {
			t.Errorf("%s: a label has the value %q", org, value[1])
		}
	}
	for name, secret := range secrets {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s: the metrics hold a %s", org, name)
		}
	}
}

// stopWhileWaiting stops everything while somebody waits for a block that does not come.
func (w *world) stopWhileWaiting(t *testing.T) {
	api := w.api(t, "hospital")
	head, err := api.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- api.WaitChange(ctx, head.Height+1_000_000) }()
	start := time.Now()
	if err := w.StopAll(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if err := <-done; err == nil || ctx.Err() != nil {
		t.Errorf("got %v, want an answer that says that the node is away", err)
	}
}
