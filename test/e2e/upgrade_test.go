package e2e

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/client"
	"salus/custody"
	"salus/gateway"
	"salus/internal/devnet/process"
	"salus/internal/sample"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// outdated is the exit code of a program that does not know the next rules.
const outdated = 4

// TestUpgradeUnderLoad changes the rules of four processes at a block while members write: each stops by itself
// before it and goes on with the next release, one after the other, the last one late. Meanwhile a parameter
// changes by vote and custody keys rotate. Nothing that was acknowledged is lost.
func TestUpgradeUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes of two versions: three quarters of a minute")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	next := buildNext(t)
	// All are down for the upgrade for less than a period: what is sealed to a key that ended meanwhile nobody opens.
	n := newNetwork(t, `{"upgradeNotice": 10, "custodyKeyPeriod": 30}`)
	n.start(orgs...)
	n.ready(orgs...)
	n.enlist()
	var imported []gateway.ImportReport
	n.runJSON("hospital", &imported, "record", "import", n.write("her.json", sample.Bundle(8, 40)))
	patient, wallet := imported[0].Patients[0].String(), filepath.Join(n.Dir, "her.wallet")
	n.run("hospital", 0, "identity", "claim", patient, "--wallet", wallet)
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic")

	writers := []*writer{n.writer("hospital", "hospital-doctor"), n.writer("insurer", "claims-clerk")}

	t.Log("a parameter changes under load")
	n.decide(orgs[:3], "governance", "params", "--set", n.write("changes.json", []byte(`{"sessionMax": 3600}`)))
	var params governance.Params
	n.runJSON("institute", &params, "governance", "params")
	if params.SessionMax != 3600 {
		t.Errorf("got sessionMax %d, want 3600", params.SessionMax)
	}

	t.Log("an upgrade is voted for a block; all stop by themselves before it")
	n.decide(orgs[:3], "governance", "upgrade", "2", "--in", "120", "--name", "Sample release 2", "--digest", strings.Repeat("ab", 32))
	for _, org := range orgs {
		n.ends(org, outdated)
		if !strings.Contains(n.Log(org), "upgrade_needed") {
			t.Errorf("%s does not say why it ended", org)
		}
	}
	n.start("hospital") // the program of before
	n.ends("hospital", outdated)
	n.run("clinic", 0, "node", "fsck")
	before := len(writers[0].acknowledged()) + len(writers[1].acknowledged())

	t.Log("the next release comes up, one member after the other, one late")
	if n.Binary = <-next; n.Binary == "" {
		t.FailNow() // it does not build
	}
	for _, org := range orgs[:3] {
		n.start(org)
	}
	n.ready(orgs[:3]...)
	var mark client.Committed
	n.call("clinic", "POST", "/v1/submit/rehearsal.mark", map[string]any{"note": 1}, &mark)
	n.until("insurer", "writers go on", func() bool {
		return len(writers[0].acknowledged())+len(writers[1].acknowledged()) > before+20
	})
	n.start("institute")
	n.ready("institute")
	n.runJSON("hospital", &imported, "record", "import", n.write("more.json", sample.Bundle(9, 20)))
	if !imported[0].Active || imported[0].Records != 20 {
		t.Errorf("got %+v, want 20 active records of after the upgrade", imported[0])
	}

	t.Log("custody keys rotated, and old ones are gone")
	n.until("clinic", "every custodian destroyed its first key", func() bool {
		for _, org := range orgs {
			var s custody.Status
			n.call(org, "GET", "/v1/custody", nil, &s)
			if s.KeyEpoch < 3 || s.KeptFrom < 2 {
				return false
			}
		}
		return true
	})
	var ids []tx.Hash
	for _, w := range writers {
		w.stop()
		ids = append(ids, w.acknowledged()...)
	}
	n.agree(orgs...)
	t.Logf("%d writes were acknowledged, %d of them before the upgrade", len(ids), before)
	for _, org := range orgs {
		api := n.api(org)
		for _, id := range append(ids, mark.ID) {
			var r ledger.Result
			if err := api.JSON(t.Context(), "GET", "/v1/tx/"+id.String(), nil, &r); err != nil || r.Code != tx.CodeOK {
				t.Fatalf("%s lost an acknowledged write: %+v, %v", org, r, err)
			}
		}
	}
	if got := n.read(t, patient); got != 40-ofNobody {
		t.Errorf("the clinic read %d records of before, want %d", got, 40-ofNobody)
	}
	n.interrupt(orgs...)
}

// buildNext builds the program that knows the next version while others work.
func buildNext(t *testing.T) <-chan string {
	built, dir := make(chan string, 1), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		defer close(built)
		next, err := process.Build(ctx, dir, "-tags", "rehearsal")
		if err != nil {
			t.Error(err)
			return
		}
		built <- next
	}()
	return built
}

// decide proposes by the first organisation's command, and the others vote for it.
func (n *network) decide(orgs []string, args ...string) {
	n.t.Helper()
	var proposal client.Committed
	n.runJSON(orgs[0], &proposal, args...)
	for _, org := range orgs[1:] {
		n.run(org, 0, "governance", "vote", proposal.ID.String(), "--approve")
	}
}

// ends waits for a process that ends by itself with that exit code.
func (n *network) ends(org string, code int) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	err := n.Wait(ctx, org)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != code {
		n.t.Fatalf("%s: ended with %v, want exit code %s\n%s", org, err, strconv.Itoa(code), process.Tail(n.Log(org)))
	}
}

// A writer sends transactions one after the other, whether its node runs or not, and keeps the ids of
// those that were acknowledged.
type writer struct {
	stop func()

	mu  sync.Mutex
	ids []tx.Hash
}

func (w *writer) acknowledged() []tx.Hash {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]tx.Hash(nil), w.ids...)
}

func (n *network) writer(org, staff string) *writer {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	api, who, done := n.api(org), n.member(org, staff), make(chan struct{})
	w := &writer{stop: func() { cancel(); <-done }}
	n.t.Cleanup(w.stop)
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			who.Active = i%2 == 1
			var got client.Committed
			once, end := context.WithTimeout(ctx, patience)
			err := api.JSON(once, "POST", "/v1/submit/"+string(identity.KindUpdate), who, &got)
			end()
			if err == nil {
				w.mu.Lock()
				w.ids = append(w.ids, got.ID)
				w.mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return w
}
