package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/devnet"
)

// A watched is the journal of a node that runs alone.
type watched struct {
	t   *testing.T
	dir string
	org string
	net *devnet.Network
	api *client.API
	log lines
}

// lines are what a node logs.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// patience bounds what is waited for.
const patience = 2 * time.Minute

func newWatched(t *testing.T) *watched {
	t.Helper()
	port, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t, dir: t.TempDir(), org: devnet.Orgs()[0].Name}
	if _, err := devnet.Init(w.dir, devnet.Options{Port: port, Orgs: devnet.Orgs()[:1]}); err != nil {
		t.Fatal(err)
	}
	c, err := devnet.LoadConfig(w.dir, w.org)
	if err != nil {
		t.Fatal(err)
	}
	c.Ledger.Heartbeat.Duration, c.FHIR.Journal.Duration = time.Second, time.Second
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	if w.net, err = devnet.Open(w.dir, slog.New(slog.NewTextHandler(&w.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.net.StopAll(); err != nil {
			t.Error(err)
		}
	})
	w.start(1)
	if w.api, err = w.net.API(w.org); err != nil {
		t.Fatal(err)
	}
	return w
}

// start starts the node, for the nth time, and waits until it has compared its journal by itself.
func (w *watched) start(nth int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.net.Start(ctx, w.org); err != nil {
		w.t.Fatal(err)
	}
	if err := w.net.Ready(ctx, w.org); err != nil {
		w.t.Fatal(err)
	}
	w.until("the node compares its journal by itself", func() bool { return w.log.count("msg=journal_compared") == nth })
}

// until asks twenty times a second.
func (w *watched) until(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// gauge is what the node's metrics say.
func (w *watched) gauge(name string) string {
	w.t.Helper()
	c, err := w.net.Config(w.org)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+c.Gateway.Listen+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "\n"+name+" ")
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// verify runs the command and compares its exit code and the gauge after it.
func (w *watched) verify(code int, gauge string, says ...string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	if got := run([]string{"--home", devnet.Home(w.dir, w.org), "audit", "journal", "verify"}, nil, &out, &errs); got != code {
		w.t.Errorf("got exit code %d, want %d: %s%s", got, code, &out, &errs)
	}
	for _, want := range says {
		if !strings.Contains(out.String(), want) || !strings.Contains(errs.String(), want) {
			w.t.Errorf("got %s and %s, want both to say %q", &out, &errs, want)
		}
	}
	if got := w.gauge("salus_journal_faults"); got != gauge {
		w.t.Errorf("got salus_journal_faults %q, want %s", got, gauge)
	}
}

// fsck wants a line of what it prints.
func (w *watched) fsck(exit int, line string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	got := run([]string{"--home", devnet.Home(w.dir, w.org), "node", "fsck"}, nil, &out, &errs)
	if got != exit || !regexp.MustCompile("(?m)"+line).Match(out.Bytes()) {
		w.t.Errorf("fsck: exit %d, want %d and %s: %s%s", got, exit, line, &out, &errs)
	}
}

// report is the node's own, unmarshalled anew: what is zero is not said.
func (w *watched) report() (r gateway.JournalReport) {
	w.t.Helper()
	var out, errs bytes.Buffer
	run([]string{"--home", devnet.Home(w.dir, w.org), "-o", "json", "audit", "journal", "verify"}, nil, &out, &errs)
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		w.t.Fatalf("%v: %s%s", err, &out, &errs)
	}
	return r
}

// TestAJournalThatIsNotWhatTheLedgerHasIsNoticed changes an event under a node, and takes one off while it is stopped: then the node
// notices by itself.
func TestAJournalThatIsNotWhatTheLedgerHasIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("a node that is started twice")
	}
	w := newWatched(t)
	for range 5 {
		if err := w.api.JSON(t.Context(), http.MethodGet, "/fhir/Patient/nobody", nil, nil); err == nil {
			t.Fatal("nobody is found")
		}
	}
	var r gateway.JournalReport
	w.until("the journal is anchored", func() bool { r = w.report(); return r.Last >= 5 && r.Waiting == 0 })
	w.verify(0, "0")

	files, err := filepath.Glob(filepath.Join(devnet.Home(w.dir, w.org), "data", "fhir", "journal", "*.audit"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[100] ^= 1 // within the first event
	if err := os.WriteFile(files[0], changed, 0o600); err != nil {
		t.Fatal(err)
	}
	w.verify(exitRefused, "1", "altered within events 1 to 1")
	if err := os.WriteFile(files[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	w.verify(0, "0")

	if err := w.net.Stop(w.org); err != nil {
		t.Fatal(err)
	}
	if whole, err = os.ReadFile(files[0]); err != nil {
		t.Fatal(err)
	}
	w.fsck(0, `^journal +clean +\d+ events, \d+ heads on the ledger$`)
	if err := os.WriteFile(files[0], changed, 0o600); err != nil {
		t.Fatal(err)
	}
	w.fsck(exitRefused, `^journal +DAMAGED`)
	if err := w.net.Start(t.Context(), w.org); err == nil || !strings.Contains(err.Error(), "fsck says which") {
		t.Errorf("got %v, want the code of a damaged store", err)
	}
	if err := os.WriteFile(files[0], whole[:len(whole)-1], 0o600); err != nil { // as a crash would leave it
		t.Fatal(err)
	}
	w.fsck(0, `^journal +clean.*missing within events \d+ to \d+`)
	if b, err := os.ReadFile(files[0]); err != nil || len(b) != len(whole)-1 {
		t.Errorf("fsck left %d bytes, %v, want it to change nothing", len(b), err)
	}
	if n := w.log.count("msg=journal_fault"); n != 0 {
		t.Errorf("got %d faults noticed before there was one", n)
	}
	w.start(2)
	if n, gauge := w.log.count("level=WARN msg=journal_fault "), w.gauge("salus_journal_faults"); n != 1 || gauge != "1" {
		t.Errorf("got %d faults noticed, salus_journal_faults %q, want 1", n, gauge)
	}
	w.verify(exitRefused, "1", fmt.Sprintf("to %d", r.Through))
	if got := w.report().Faults; len(got) != 1 || got[0].Through != r.Through {
		t.Errorf("got %+v, want one that ends with event %d", got, r.Through)
	}
}
