package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/node"
)

// patience is the deadline of every condition below.
const patience = 2 * time.Minute

// operated is a network of count members in which little time has to pass.
func operated(t *testing.T, count int) []*config.Config {
	t.Helper()
	dir, few := t.TempDir(), uint64(10)
	params := governance.Changes{UpgradeNotice: &few, ValidatorPause: &few}
	if _, err := devnet.Init(dir, devnet.Options{Port: freePorts(t), Orgs: devnet.Orgs()[:count], Params: params}); err != nil {
		t.Fatal(err)
	}
	var all []*config.Config
	for _, o := range devnet.Orgs()[:count] {
		c, err := devnet.LoadConfig(dir, o.Name)
		if err != nil {
			t.Fatal(err)
		}
		c.Ledger.Heartbeat.Duration = time.Second
		if err := c.Save(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// submit sends a message as the member; a refusal is an error.
func submit(t *testing.T, c *config.Config, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	api, err := devnet.API(c.Home)
	if err != nil {
		t.Fatal(err)
	}
	var got client.Committed
	err = api.JSON(ctx, "POST", "/v1/submit/"+string(kind), msg, &got)
	return got, err
}

func must(t *testing.T) func(client.Committed, error) client.Committed {
	return func(got client.Committed, err error) client.Committed {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
}

// reaches waits until a node has that block.
func reaches(t *testing.T, c *config.Config, height int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	api, err := devnet.API(c.Home)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.WaitChange(ctx, height-1); err != nil {
		t.Fatalf("block %d does not come: %v", height, err)
	}
}

func TestNodeStopsBeforeAnUpgradeThatItDoesNotKnow(t *testing.T) {
	if testing.Short() {
		t.Skip("two nodes over a dozen blocks")
	}
	all := operated(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var done []chan error
	for _, c := range all {
		n, err := node.New(ctx, c, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		done = append(done, end)
		go func() { end <- n.Run(ctx) }()
	}
	for _, c := range all {
		becomes(t, c, 200)
	}
	api, err := devnet.API(all[0].Home)
	if err != nil {
		t.Fatal(err)
	}
	head, err := api.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := uint64(head.Height) + 25
	plan := governance.Upgrade{Version: ledger.Version + 1, Height: at, Name: "Sample release 2", Digest: tx.Hash{1}}
	p := must(t)(submit(t, all[0], governance.KindPropose, &governance.Propose{Action: governance.Action{Upgrade: &plan}}))
	reaches(t, all[1], p.Height)
	must(t)(submit(t, all[1], governance.KindVote, &governance.Vote{Proposal: p.ID, Approve: true}))

	late := time.After(patience)
	for i, end := range done {
		select {
		case err := <-end:
			var outdated *ledger.OutdatedError
			if !errors.As(err, &outdated) || outdated.Height != int64(at) || outdated.Version != plan.Version {
				t.Errorf("%s: got %v, want that it stops before block %d", all[i].Name, err, at)
			}
		case <-late:
			t.Fatalf("%s goes on", all[i].Name)
		}
	}
	for _, c := range all {
		got, height, ok, err := node.Plan(c)
		if err != nil || !ok || height != int64(at)-1 || got.Upgrade != plan {
			t.Errorf("%s: got %+v at block %d (%v, %v), want all blocks before %d", c.Name, got, height, ok, err, at)
		}
		rep, err := node.Check(t.Context(), c, logger(t), func(string) {})
		if err != nil || !rep.Clean() {
			t.Errorf("%s: got %+v, %v, want clean stores", c.Name, rep, err)
		}
		n, err := node.New(t.Context(), c, logger(t)) // the same program once more
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context()); !errors.As(err, new(*ledger.OutdatedError)) {
			t.Errorf("%s: started again it got %v, want that it stops", c.Name, err)
		}
	}
}

// With one validator every block needs the right key: the chain stands still if the change fails.
func TestConsensusKeyIsReplacedWithoutAMissedBlock(t *testing.T) {
	if testing.Short() {
		t.Skip("a node over a few dozen blocks")
	}
	c := operated(t, 1)[0]
	r := start(t, c)
	becomes(t, c, 200)
	member := func() governance.Member {
		t.Helper()
		var all []governance.Member
		api, err := devnet.API(c.Home)
		if err == nil {
			err = api.JSON(t.Context(), "GET", "/v1/members", nil, &all)
		}
		if err != nil {
			t.Fatal(err)
		}
		return all[0]
	}
	var s gateway.Status
	api, err := devnet.API(c.Home)
	if err == nil {
		err = api.JSON(t.Context(), "GET", "/v1/status", nil, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	handover := func() *governance.Validator {
		t.Helper()
		m, err := node.Handover(c, s.Chain, member())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old := member().Validator

	// A crash after the key is drawn: nothing has changed, and the same key is offered again.
	first := handover()
	r.stop(t)
	r = start(t, c)
	becomes(t, c, 200)
	if again := handover(); string(again.Validator) != string(first.Validator) {
		t.Error("an interrupted change was begun with another key")
	}
	got := must(t)(submit(t, c, governance.KindValidator, first))
	reaches(t, c, got.Height+4)
	if string(member().Validator) != string(first.Validator) || string(first.Validator) == string(old) {
		t.Error("the ledger has another key")
	}
	keyFile := filepath.Join(c.Home, "priv_validator_key.json")
	if _, err := os.Stat(keyFile); !os.IsNotExist(err) {
		t.Errorf("the replaced key is still there: %v", err)
	}

	// Not twice within the pause; a restart right after the change goes on with the new key.
	second := handover()
	if _, err := submit(t, c, governance.KindValidator, second); !errors.Is(err, governance.ErrPace) {
		t.Errorf("got %v, want %v", err, governance.ErrPace)
	}
	r.stop(t)
	r = start(t, c)
	becomes(t, c, 200)
	reaches(t, c, got.Height+11)
	got = must(t)(submit(t, c, governance.KindValidator, second))
	r.stop(t) // perhaps before the new key ever signed
	start(t, c)
	reaches(t, c, got.Height+4)
	if string(member().Validator) != string(second.Validator) {
		t.Error("the ledger does not have the second key")
	}
	files, err := filepath.Glob(filepath.Join(c.KeyDir(), "validator-*.json"))
	if err != nil || len(files) != 1 {
		t.Errorf("got key files %v, %v, want the one that counts", files, err)
	}
	// One key signs a height once: each key's last height is below the next one's.
	states, err := filepath.Glob(filepath.Join(c.KeyDir(), "validator-*.state"))
	if err != nil || len(states) != 2 {
		t.Errorf("got %v, %v, want what both new keys signed last", states, err)
	}
	for _, f := range states {
		var signed struct {
			Height string `json:"height"`
		}
		b, err := os.ReadFile(f)
		if err == nil {
			err = json.Unmarshal(b, &signed)
		}
		if err != nil || signed.Height == "" {
			t.Errorf("%s: got %+v, %v", filepath.Base(f), signed, err)
		}
	}
}

// Each block says how far this machine's clock is from the validators'.
func TestTheClockIsWatched(t *testing.T) {
	c := home(t, 1)[0]
	start(t, c)
	becomes(t, c, http.StatusOK)
	late := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, text := get(t, c, "/metrics")
		_, after, _ := strings.Cut(text, "\nsalus_clock_offset_seconds ")
		line, _, _ := strings.Cut(after, "\n")
		offset, err := strconv.ParseFloat(line, 64)
		if err != nil {
			t.Fatalf("got %q, %v", line, err)
		}
		if offset != 0 {
			if offset < -2 || offset > 60 { // the first block's time is that of the genesis
				t.Errorf("got %g s between one clock and itself", offset)
			}
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("no block was looked at")
		}
	}
}
