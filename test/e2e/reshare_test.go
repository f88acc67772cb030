package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

// committeeNow is what `salus committee status` prints as JSON.
type committeeNow struct {
	Epoch     committee.Epoch `json:"epoch"`
	Resharing *reshare.Answer `json:"resharing"`
}

// passOn changes the custodians of a running network whose fifth member has just joined, while
// clients write and read all the time: the fifth becomes a custodian, the institute leaves, and the
// insurer loses its shares and is dealt new ones.
func (n *network) passOn(orgs []string) {
	n.t.Helper()
	w := n.work()
	defer w.stop()

	n.t.Log("the shares pass to five; one that takes over is killed on the way")
	n.reshare(orgs, nil)
	n.kill("lab")
	if out := n.run("hospital", 0, "committee", "status"); !strings.Contains(out, "epoch 1 to 2") || !strings.Contains(out, "needed)") {
		n.t.Errorf("the status tells nothing of the resharing:\n%s", out)
	}
	n.until("hospital", "the epoch changes without it", func() bool { return n.committee().Epoch.Epoch == 2 })
	if c := n.committee(); c.Epoch.N != 5 || c.Epoch.T != 4 {
		n.t.Errorf("got %d custodians, %d of them open a record; want 5, 4", c.Epoch.N, c.Epoch.T)
	}
	w.readsSomethingNew()
	n.start("lab")
	n.ready("lab")
	n.passedOn(2)

	n.t.Log("one leaves: its shares are destroyed, then it is removed")
	var who gateway.Status
	n.call("institute", "GET", "/v1/status", nil, &who)
	institute := who.Account
	n.reshare(orgs, []string{"--without", institute.String()})
	n.passedOn(3)
	if _, is := n.committee().Epoch.IndexOf(institute); is {
		n.t.Error("who left is a custodian still")
	}
	n.vote(orgs[:4], "governance", "remove", institute.String())
	n.interrupt("institute")
	if out := n.run("institute", 0, "node", "fsck"); !regexp.MustCompile(`\b0 batches, `).MatchString(out) {
		n.t.Errorf("who left still holds shares:\n%s", out)
	}
	stay := []string{"hospital", "clinic", "insurer", "lab"}
	w.readsSomethingNew()

	n.t.Log("a custodian loses all its shares and is dealt new ones")
	n.kill("insurer")
	if err := os.RemoveAll(filepath.Join(n.home("insurer"), "data", "custody")); err != nil {
		n.t.Fatal(err)
	}
	n.start("insurer")
	n.ready("insurer")
	n.reshare(stay, nil)
	n.passedOn(4)
	n.interrupt("lab") // so the insurer's shares are needed: three of four open
	w.readsSomethingNew()
	n.start("lab")
	n.ready("lab")
	w.stop()
	w.check()
}

// vote proposes by the first of the organisations and has the others approve until it has passed.
func (n *network) vote(orgs []string, args ...string) {
	n.t.Helper()
	var p client.Committed
	n.runJSON(orgs[0], &p, args...)
	for _, org := range orgs[1:] {
		n.run(org, 0, "governance", "vote", p.ID.String(), "--approve")
	}
}

// reshare orders a resharing by the votes that it takes: two thirds of the members.
func (n *network) reshare(orgs, args []string) {
	n.t.Helper()
	before := n.committee().Epoch.Epoch
	n.vote(orgs[:2*len(orgs)/3+1], append([]string{"committee", "reshare"}, args...)...)
	c := n.committee()
	if c.Resharing == nil || c.Resharing.Resharing.To != before+1 {
		n.t.Fatalf("got %+v, want a resharing to epoch %d", c.Resharing, before+1)
	}
}

func (n *network) committee() (c committeeNow) {
	n.t.Helper()
	n.runJSON("hospital", &c, "committee", "status")
	return c
}

// passedOn waits until a resharing is done and everybody before has destroyed the old shares.
func (n *network) passedOn(to uint64) {
	n.t.Helper()
	began := time.Now()
	defer func() {
		if n.t.Failed() {
			n.t.Logf("%s", n.run("hospital", 0, "committee", "status"))
		}
	}()
	n.until("hospital", fmt.Sprintf("the shares are passed to epoch %d and the old ones destroyed", to), func() bool {
		r := n.committee().Resharing.Resharing
		return r.To == to && r.Phase == reshare.Done && r.Wiped() == int(r.Old)
	})
	n.t.Logf("epoch %d after another %s", to, time.Since(began).Round(100*time.Millisecond))
}

// work is what clients do while the network changes: one writes at the hospital, one reads at the
// clinic what is granted to it. It counts what they see, without trying again.
type work struct {
	n       *network
	patient tx.Account
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex
	active map[string]bool // acknowledged as active
	writes int
	reads  int
	failed []string
	next   int
	news   chan struct{} // closed and made anew after each read
	newest int           // records that the last read gave
}

func (n *network) work() *work {
	n.t.Helper()
	w := &work{n: n, active: map[string]bool{}, news: make(chan struct{})}
	ctx, cancel := context.WithCancel(n.t.Context())
	w.cancel = cancel
	if err := w.write(ctx, []byte(`{"resourceType":"Patient","id":"steady","name":[{"text":"Sample Patient"}],"birthDate":"1950-01-01"}`)); err != nil {
		n.t.Fatal(err)
	}
	wallet := filepath.Join(n.Dir, "steady.wallet")
	n.run("hospital", 0, "identity", "claim", w.patient.String(), "--wallet", wallet)
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic")
	w.each(ctx, "write", 200*time.Millisecond, func(ctx context.Context) error { return w.write(ctx) })
	w.each(ctx, "read", 200*time.Millisecond, w.read)
	return w
}

// each does something again and again and keeps how it failed.
func (w *work) each(ctx context.Context, what string, pause time.Duration, do func(context.Context) error) {
	w.done.Go(func() {
		t := time.NewTicker(pause)
		defer t.Stop()
		for {
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
			began := time.Now()
			err := do(ctx)
			if ctx.Err() != nil {
				return
			}
			w.mu.Lock()
			if err != nil {
				w.failed = append(w.failed, fmt.Sprintf("%s %s, after %s: %v", began.Format("15:04:05.0"), what, time.Since(began).Round(time.Millisecond), err))
			}
			w.mu.Unlock()
		}
	})
}

// write sends an observation, after what else there is, and wants to hear that it is active.
func (w *work) write(ctx context.Context, more ...[]byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.mu.Lock()
	w.next++
	no := w.next
	w.mu.Unlock()
	more = append(more, fmt.Appendf(nil, `{"resourceType":"Observation","id":"o%d","status":"final","subject":{"reference":"Patient/steady"},"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"valueQuantity":{"value":%d,"unit":"/min"}}`, no, no))
	api, err := w.n.API("hospital")
	if err != nil {
		return err
	}
	r, err := api.Do(ctx, "POST", "/v1/import?format=ndjson&wait=active", "application/fhir+json", bytes.NewReader(append(bytes.Join(more, []byte("\n")), '\n')))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	for d := json.NewDecoder(r.Body); ; {
		var line gateway.ImportLine
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
		switch {
		case line.Error != nil:
			return line.Error
		case line.Done == nil:
		case !line.Done.Active:
			return errors.New("the import ended before its records were active")
		default:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.patient = line.Done.Patients[0]
			w.writes++
			for _, b := range more {
				w.active[string(b)] = true
			}
			return nil
		}
	}
}

// read opens a session and wants every record whose write was acknowledged before.
func (w *work) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.mu.Lock()
	var want []string
	for b := range w.active {
		want = append(want, b)
	}
	w.mu.Unlock()
	api, err := w.n.API("clinic")
	if err != nil {
		return err
	}
	var s gateway.SessionInfo
	if err := api.JSON(ctx, "POST", "/v1/sessions", gateway.OpenSession{As: "clinic-doctor", Patient: w.patient, Purpose: consent.TREAT, Seconds: 600}, &s); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	var res gateway.ReadResult
	if err := api.JSON(ctx, "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &res); err != nil {
		return err
	}
	got := map[string]bool{}
	for _, r := range res.Records {
		got[string(sample.Sent(r.Body))] = true
	}
	missing := 0
	for _, b := range want {
		if !got[b] {
			missing++
		}
	}
	if missing > 0 || len(res.Bad) > 0 {
		return fmt.Errorf("%d of %d records are missing, %d custodians found bad: %v", missing, len(want), len(res.Bad), res.Bad)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	w.newest = len(want)
	close(w.news)
	w.news = make(chan struct{})
	return api.JSON(ctx, "DELETE", "/v1/sessions/"+s.ID.String(), nil, nil)
}

// readsSomethingNew waits for a read of a record that is written from now on.
func (w *work) readsSomethingNew() {
	w.n.t.Helper()
	ctx, cancel := context.WithTimeout(w.n.t.Context(), patience)
	defer cancel()
	w.mu.Lock()
	before := len(w.active)
	w.mu.Unlock()
	for {
		w.mu.Lock()
		newest, news := w.newest, w.news
		w.mu.Unlock()
		if newest > before {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			w.check()
			w.n.t.Fatal("nobody reads what is written now")
		}
	}
}

func (w *work) stop() {
	w.cancel()
	w.done.Wait()
}

// check tells what the clients saw, and reads everything once more.
func (w *work) check() {
	w.n.t.Helper()
	w.mu.Lock()
	w.n.t.Logf("%d writes acknowledged, %d reads", w.writes, w.reads)
	for _, f := range w.failed {
		w.n.t.Error(f)
	}
	w.mu.Unlock()
	if err := w.read(w.n.t.Context()); err != nil {
		w.n.t.Errorf("at the end: %v", err)
	}
}
