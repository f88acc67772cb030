package canary

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/gateway"
	"salus/internal/devnet"
	"salus/internal/devnet/process"
	"salus/ledger/module/consent"
)

// patience is the deadline of the whole life.
const patience = 3 * time.Minute

// life is a network with its canaries, and everything it said.
type life struct {
	*process.Network
	plants
	t    *testing.T
	ctx  context.Context
	orgs []string
	// control is the pseudonym, which every ledger holds: a search that misses it proves nothing.
	control []byte
	began   time.Time

	mu   sync.Mutex
	said map[string]*bytes.Buffer // by place: wires, answers, commands
}

// hear keeps what is written to it under a place.
type hear struct {
	l     *life
	place string
}

func (h hear) Write(b []byte) (int, error) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if h.l.said[h.place] == nil {
		h.l.said[h.place] = &bytes.Buffer{}
	}
	return h.l.said[h.place].Write(b)
}

// TestNoCanaryIsFoundOutsideOfWhatARecordsReaderIsGiven lives the life of a record and then
// searches all that it left on disks, wires and logs.
func TestNoCanaryIsFoundOutsideOfWhatARecordsReaderIsGiven(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes: half a minute")
	}
	l := newLife(t)
	bundle, resources := l.bundle()
	s, err := l.scanner(resources)
	if err != nil {
		t.Fatal(err)
	}
	l.tell(bundle)
	l.step("told")
	s.add("control", "raw", l.control)
	if err := l.Interrupt(l.ctx, l.orgs...); err != nil {
		t.Fatal(err)
	}
	l.each("node", "fsck")
	l.each("node", "rebuild")
	l.step("checked and rebuilt")

	for _, org := range l.orgs {
		before := len(s.found)
		files, rows, err := s.dir(l.Home(org))
		if err != nil {
			t.Fatal(err)
		}
		if files < 10 || rows < 100 {
			t.Errorf("%s: searched %d files and %d rows: that is not a node's home", org, files, rows)
		}
		inRows := func(f string) bool {
			return strings.Contains(f, "(value): control") || strings.Contains(f, "(key): control")
		}
		if !slices.ContainsFunc(s.found[before:], inRows) {
			t.Errorf("%s: the pseudonym was not found in its databases, so the search proves nothing", org)
		}
		log := l.Log(org)
		if !strings.Contains(log, "DEBUG") && !strings.Contains(log, `"debug"`) {
			t.Errorf("%s: the log has no debug lines, so it proves little", org)
		}
		s.bytes("log of "+org, []byte(log))
	}
	wires, members := 0, 0
	for place, b := range l.said {
		s.bytes(place, b.Bytes())
		if strings.HasPrefix(place, "wire") {
			wires++
			if strings.HasSuffix(place, string(devnet.Members)) {
				members++
			}
		}
	}
	if wires-members < 12 || members < 6 {
		t.Errorf("listened to %d directions, %d of them on the members' link, want 12 of consensus and 6", wires, members)
	}
	seen := map[string]bool{} // one line a place and class
	for _, f := range s.found {
		if strings.Contains(f, ": control as ") {
			continue
		}
		if k, _, _ := strings.Cut(f, " at "); !seen[k] {
			seen[k] = true
			t.Errorf("leak: %s", f)
		}
	}
	l.step("searched")
	t.Logf("searched %d bytes", s.scanned)
}

func newLife(t *testing.T) *life {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	l := &life{plants: newPlants(), began: time.Now(), t: t, ctx: ctx, said: map[string]*bytes.Buffer{}}
	for _, o := range devnet.Orgs() {
		l.orgs = append(l.orgs, o.Name)
	}
	dir := t.TempDir()
	binary, err := process.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePorts(26000, 26960, 60, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	w, err := devnet.OpenWires(port+40, l.orgs...)
	if err != nil {
		t.Fatal(err)
	}
	w.Listen(func(from, to string, on devnet.Link) io.Writer {
		return hear{l, fmt.Sprintf("wire from %s to %s, %s", from, to, on)}
	})
	l.Network = process.Open(binary, filepath.Join(dir, "net"), port)
	if _, err := devnet.Init(l.Dir, devnet.Options{Port: port, Wires: w}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, org := range l.orgs {
		c, err := devnet.LoadConfig(l.Dir, org)
		if err != nil {
			t.Fatal(err)
		}
		c.LogLevel = "debug"
		if err := c.Save(); err != nil {
			t.Fatal(err)
		}
	}
	l.step("built and written")
	l.start()
	l.step("started")
	return l
}

// step logs how far the life is.
func (l *life) step(what string) {
	l.t.Logf("%s after %s", what, time.Since(l.began).Round(time.Second))
}

func (l *life) start() {
	l.t.Helper()
	for _, org := range l.orgs {
		if err := l.Start(org); err != nil {
			l.t.Fatal(err)
		}
	}
	for _, org := range l.orgs {
		if err := l.Ready(l.ctx, org); err != nil {
			l.t.Fatalf("%s: %v\n%s", org, err, process.Tail(l.Log(org)))
		}
	}
}

// run runs a command, keeps what it prints, and wants success or not.
func (l *life) run(org string, ok bool, args ...string) string {
	l.t.Helper()
	r, err := l.CLI(l.ctx, org, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	if (r.Code == 0) != ok {
		l.t.Fatalf("salus %s: got exit code %d\n%s%s", strings.Join(args[:2], " "), r.Code, r.Out, r.Err)
	}
	_, _ = io.WriteString(hear{l, "output of " + args[0] + " " + args[1]}, strings.ReplaceAll(r.Out+r.Err, l.Dir, ""))
	return r.Out
}

func (l *life) each(args ...string) {
	l.t.Helper()
	for _, org := range l.orgs {
		l.run(org, true, args...)
	}
}

// call sends a request that must succeed; the answer is the caller's.
func (l *life) call(org, method, path string, in, out any) {
	l.t.Helper()
	api, err := l.API(org)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := api.JSON(l.ctx, method, path, in, out); err != nil {
		l.t.Fatalf("%s: %s %s: %v", org, method, path, err)
	}
}

// level waits until an organisation's replica has the block that another's has now.
func (l *life) level(org, with string) {
	l.t.Helper()
	var want, got gateway.Head
	l.call(with, "GET", "/v1/head", nil, &want)
	for l.call(org, "GET", "/v1/head", nil, &got); got.Height < want.Height; {
		l.call(org, "GET", fmt.Sprintf("/v1/head?above=%d", got.Height), nil, &got)
	}
}

// tell lives the life.
func (l *life) tell(bundle []byte) {
	l.t.Helper()
	for _, o := range devnet.Orgs() {
		l.call(o.Name, "POST", "/v1/staff/"+o.Staff.Name, gateway.Registration{Roles: o.Staff.Roles, Privileges: o.Staff.Privileges}, nil)
	}
	file := filepath.Join(l.Dir, l.plants["file name"]+".json")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		l.t.Fatal(err)
	}
	var rep []gateway.ImportReport
	out := l.run("hospital", true, "-o", "json", "record", "import", file)
	if err := json.Unmarshal([]byte(out), &rep); err != nil || len(rep) != 1 || !rep[0].Active || len(rep[0].Patients) != 1 {
		l.t.Fatalf("got %s, want an active import of one patient", out)
	}
	l.control = rep[0].Patients[0][:]
	patient, wallet := rep[0].Patients[0].String(), filepath.Join(l.Dir, "her.wallet")
	l.run("hospital", true, "identity", "claim", patient, "--wallet", wallet)
	grant := []string{"consent", "grant", "--wallet", wallet, "--member", "clinic"}
	l.run("hospital", true, grant...)
	all := l.read("clinic", "clinic-doctor", patient, consent.TREAT)
	if !strings.Contains(all, l.plants["family"]) || !strings.Contains(all, l.plants["condition text"]) {
		l.t.Fatal("the clinic did not read the canaries: nothing was planted")
	}
	l.run("hospital", true, "consent", "revoke", "--wallet", wallet)
	l.run("hospital", true, append(grant, "--without", "PSY")...)
	if some := l.read("clinic", "clinic-doctor", patient, consent.TREAT); strings.Contains(some, l.plants["condition text"]) || !strings.Contains(some, l.plants["family"]) {
		l.t.Error("the narrowed grant does not show what it should")
	}
	if got := l.read("insurer", "claims-clerk", patient, consent.HPAYMT); got != "" {
		l.t.Error("the insurer read something")
	}
	l.run("hospital", true, "consent", "revoke", "--wallet", wallet)
	if got := l.read("clinic", "clinic-doctor", patient, consent.TREAT); got != "" {
		l.t.Error("the clinic read something after the revocation")
	}
	l.fhir(bundle)
	l.run("institute", true, "audit", "log", patient)
	l.run("clinic", true, "audit", "receipt", patient, "--out", filepath.Join(l.Home("clinic"), "log.receipt"))
	l.abuse(l.orgs[:2]...)
	if err := l.Interrupt(l.ctx, l.orgs...); err != nil {
		l.t.Fatal(err)
	}
	l.start()
	l.abuse(l.orgs[2])
}

// read opens a session and returns the bodies it is given.
func (l *life) read(org, staff, patient string, p consent.Purpose) string {
	l.t.Helper()
	a := gateway.OpenSession{As: staff, Purpose: p, Seconds: 600}
	if err := a.Patient.UnmarshalText([]byte(patient)); err != nil {
		l.t.Fatal(err)
	}
	var s gateway.SessionInfo
	l.call(org, "POST", "/v1/sessions", a, &s)
	var res gateway.ReadResult
	l.call(org, "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &res)
	l.call(org, "DELETE", "/v1/sessions/"+s.ID.String(), nil, nil)
	var all strings.Builder
	for _, r := range res.Records {
		all.Write(r.Body)
	}
	return all.String()
}

// abuse sends secrets where they do not belong, to every route, with the token and without.
func (l *life) abuse(orgs ...string) {
	l.t.Helper()
	bad, rejected := l.plants["bad input"], l.plants["rejected"]
	bodies := []string{
		bad, `{"` + bad + `":"` + bad + `"}`, `{"patient":"` + bad + `","as":"` + bad + `"}`,
		`{"resourceType":"Observation","status":"` + rejected + `","` + rejected + `":`, `{"resourceType":"` + rejected + `","id":"` + rejected + `"}`,
		`{"resourceType":"Patient","id":"` + rejected + ` ` + rejected + `","name":[{"family":"` + rejected + `"}]}`,
	}
	for _, org := range orgs {
		c, err := devnet.LoadConfig(l.Dir, org)
		if err != nil {
			l.t.Fatal(err)
		}
		token, err := os.ReadFile(c.TokenFile())
		if err != nil {
			l.t.Fatal(err)
		}
		send := func(method, path, body, bearer string) {
			req, err := http.NewRequestWithContext(l.ctx, method, "http://"+c.Gateway.Listen+path, strings.NewReader(body))
			if err != nil {
				l.t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+bearer)
			req.Header.Set("Content-Type", "application/json")
			r, err := http.DefaultClient.Do(req)
			if err != nil {
				l.t.Fatal(err)
			}
			defer r.Body.Close()
			if _, err := io.Copy(hear{l, "answer to " + method + " " + routeOf(path)}, r.Body); err != nil {
				l.t.Fatal(err)
			}
		}
		q := "?name=" + url.QueryEscape(l.plants["query"]) + "&as=" + l.plants["query"]
		for _, r := range routes(l.t) {
			method, path, _ := strings.Cut(strings.ReplaceAll(r, "*", bad), " ")
			for _, body := range bodies {
				send(method, path+q, body, strings.TrimSpace(string(token)))
				if method == "GET" {
					break
				}
			}
			send(method, path+q, bodies[1], bad)
		}
		send("GET", "/metrics", "", "")
	}
}

// routeOf is a path without what a caller chose.
func routeOf(path string) string {
	parts := strings.SplitN(strings.Split(path, "?")[0], "/", 4)
	return strings.Join(parts[:min(len(parts), 3)], "/")
}

// routes is the API as the gateway's table has it, so that new routes are tried too, and a few that
// are not in it; * stands for what a caller chooses.
func routes(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "gateway", "routes.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := []string{"POST /v1/submit/identity.update", "POST /v1/staff/*%20*", "GET /*"}
	for _, m := range regexp.MustCompile(`\{"((?:GET|POST|PUT|PATCH|DELETE) /[^"]*)"`).FindAllStringSubmatch(string(source), -1) {
		if m[1] == "GET /v1/patients" {
			continue // the organisation's own list of its own patients, for who holds its token
		}
		out = append(out, regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(m[1], "*"))
	}
	if len(out) < 30 {
		t.Fatalf("found %d routes in the gateway's table, want all", len(out))
	}
	return out
}
