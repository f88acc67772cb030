package node

import (
	"crypto/ed25519"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"
	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/access"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Who calls is whom the ledger says the key belongs to now, wherever it was found before.
func TestACallerIsWhoTheLedgerSays(t *testing.T) {
	store, err := state.Open("ledger", state.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	app, err := ledger.New(ledger.Config{Chain: "salus-test", Modules: Modules(), Store: store, Params: governance.LedgerParams, Authenticate: access.Authenticate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	var g governance.Genesis
	for i, name := range []string{"hospital", "clinic", "lab", "payer"} {
		g.Members = append(g.Members, governance.Admit{
			Account: ledgertest.Account(name), Name: "Sample " + name, Class: governance.Clinic, Validator: ledgertest.Key("validator/" + name).Public().(ed25519.PublicKey),
			Peer: peerKey(name), Address: []string{"a", "b", "c", "d"}[i] + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(name)},
		})
	}
	raw, err := json.Marshal(map[string]any{"governance": g})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.InitChain(t.Context(), &abci.RequestInitChain{ChainId: "salus-test", Time: time.Unix(1_800_000_000, 0).UTC(), InitialHeight: 1, AppStateBytes: raw}); err != nil {
		t.Fatal(err)
	}
	if _, err := app.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 1, Time: time.Unix(1_800_000_001, 0).UTC()}); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Commit(t.Context(), &abci.RequestCommit{}); err != nil {
		t.Fatal(err)
	}
	m := members{app, new(sync.Map)}
	m.last.Store(string(peerKey("lab")), ledgertest.Account("clinic"))        // it was the clinic's once
	m.last.Store(string(peerKey("stranger")), ledgertest.Account("hospital")) // it was the hospital's once
	m.last.Store(string(peerKey("nobody")), ledgertest.Account("nobody"))     // of one that left
	for range 2 {
		for _, name := range []string{"hospital", "clinic", "lab", "payer"} {
			if got, ok := m.ByKey(peerKey(name)); !ok || got != ledgertest.Account(name) {
				t.Errorf("%s: got %v, %v", name, got, ok)
			}
		}
		for _, name := range []string{"stranger", "nobody", "else"} {
			if got, ok := m.ByKey(peerKey(name)); ok {
				t.Errorf("the key of %s: got %v, want nobody", name, got)
			}
		}
	}
	if _, kept := m.last.Load(string(peerKey("else"))); kept {
		t.Error("a key that nobody registered is kept")
	}
}

func peerKey(name string) ed25519.PublicKey {
	return ledgertest.Key("peer/" + name).Public().(ed25519.PublicKey)
}
