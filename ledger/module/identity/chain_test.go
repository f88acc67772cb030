package identity_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

func must(t *testing.T, c *ledgertest.Chain, kind tx.Kind, m tx.Message, names ...string) tx.Hash {
	t.Helper()
	id, res := c.Do(kind, m, names...)
	if res.Code != tx.CodeOK {
		t.Fatalf("%s: %#04x %s", kind, res.Code, res.Log)
	}
	return id
}

func TestChainValidatorsFollowVotes(t *testing.T) {
	c := ledgertest.New(t, network())
	fresh := ledgertest.Public("validator/h1/2").Key
	raw := func(kind tx.Kind, m tx.Message, by string) []byte { b, _ := c.Sign(kind, m, by); return b }
	id := must(t, c, governance.KindPropose, &governance.Propose{Action: governance.Action{SetValidator: &governance.SetValidator{Account: ledgertest.Account("h1"), Validator: fresh}}}, "i1")
	vote := &governance.Vote{Proposal: id, Approve: true}
	res := c.Finalize(raw(governance.KindVote, vote, "h2"), raw(governance.KindVote, vote, "c1"))
	power := map[string]int64{}
	for _, u := range res.ValidatorUpdates {
		power[string(u.PubKey.GetEd25519())] = u.Power
	}
	if len(power) != 2 || power[string(fresh)] != 1 || power[string(ledgertest.Public("validator/h1").Key)] != 0 {
		t.Errorf("got %v, want the new key in and the old one out", res.ValidatorUpdates)
	}
	n := uint64(1 << 20)
	id = must(t, c, governance.KindPropose, &governance.Propose{Action: governance.Action{SetParams: &governance.Changes{MaxBlockBytes: &n}}}, "i1")
	vote = &governance.Vote{Proposal: id, Approve: true}
	res = c.Finalize(raw(governance.KindVote, vote, "h1"), raw(governance.KindVote, vote, "h2"))
	if got := res.ConsensusParamUpdates; got == nil || got.Block.MaxBytes != 1<<20 {
		t.Errorf("got %v, want blocks of at most 1 MiB", got)
	}
}

func TestChainIdleBlocksChangeNothing(t *testing.T) {
	c := ledgertest.New(t, network())
	must(t, c, governance.KindPropose, &governance.Propose{Action: governance.Action{Remove: &governance.Remove{Account: ledgertest.Account("h1")}}}, "i1")
	was := c.Head().AppHash
	c.Wait(5 * time.Second)
	c.Block()
	if got := c.Head().AppHash; got != was {
		t.Errorf("an idle block changed the app hash")
	}
	c.Wait(time.Duration(governance.DefaultParams().ProposalPeriod) * time.Second)
	c.Block()
	if got := c.Head().AppHash; got == was {
		t.Errorf("a lapsing proposal changed nothing")
	}
}

func TestChainClaimAndCompleteLog(t *testing.T) {
	c := ledgertest.New(t, network())
	alice := ledgertest.Account("alice")
	secret := sha256.Sum256([]byte("paper code"))
	code := identity.ClaimSigner(alice, secret)
	must(t, c, identity.KindEnrol, &identity.Enrol{Patient: alice, Claim: identity.ClaimCommit(code.Public())}, "h1")
	claim := func(key string, signers ...tx.Signer) uint32 {
		raw, _, err := tx.Sign(ledgertest.ChainID, identity.KindClaim, &identity.Claim{Patient: alice, Key: ledgertest.Public(key), ClaimKey: code.Public()}, alice, 1, 100, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return c.DoRaw(raw).Code
	}
	as := func(key string) tx.Signer { return tx.NewEd25519Signer(alice, ledgertest.Key(key)) }
	if got := claim("thief", as("thief")); got != tx.CodeMissingSignature {
		t.Errorf("without the code: got %#04x", got)
	}
	if got := claim("alice", as("alice"), code); got != tx.CodeOK {
		t.Fatalf("claim: got %#04x", got)
	}
	rotate := func(add, revoke string) {
		m := &identity.Rotate{Account: alice, Add: []tx.PublicKey{ledgertest.Public(add)}}
		if revoke != "" {
			m.Revoke = []tx.KeyID{ledgertest.Public(revoke).ID()}
		}
		raw, _, err := tx.Sign(ledgertest.ChainID, identity.KindRotate, m, alice, 2+uint64(c.Head().Height), 100, as("alice"))
		if err != nil {
			t.Fatal(err)
		}
		if res := c.DoRaw(raw); res.Code != tx.CodeOK {
			t.Fatalf("rotate: %#04x", res.Code)
		}
	}
	rotate("alice/2", "")
	rotate("alice/3", "alice")
	v := c.App(0).View()
	defer v.Close()
	at, _ := audit.At(v, alice)
	var entries [][]byte
	for index, n := at.Index, at.Seq; n > 0; n-- {
		raw, ok := v.Entry(index)
		if !ok {
			t.Fatalf("no entry %d", index)
		}
		_, rec, err := audit.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		entries = append([][]byte{bytes.Clone(raw)}, entries...)
		index = rec.PrevIndex
	}
	links, err := audit.VerifyChain(alice, entries, at)
	if err != nil || len(links) != 4 {
		t.Fatalf("got %d entries, %v; want 4: enrolled, claimed, twice changed", len(links), err)
	}
	proof, err := v.ProveKey(audit.Key(alice))
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.Verify(v.Meta().AppHash, audit.Key(alice), tx.MustEncode(at)); err != nil {
		t.Errorf("position: %v", err)
	}
	for _, l := range links {
		p, err := v.ProveEntry(l.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(v.Meta().AppHash, l.Index, entries[l.Record.Seq-1]); err != nil {
			t.Errorf("entry %d: %v", l.Index, err)
		}
	}
}

func TestChainGenesisAsAGeneratorWritesIt(t *testing.T) {
	p := network()
	raw, err := json.Marshal(map[string]any{"governance": map[string]any{
		"members": []any{map[string]any{
			"account": ledgertest.Account("h1").String(), "name": "Sample hospital", "class": "hospital",
			"validator": ledgertest.Public("validator/h1").Key, "peer": ledgertest.Public("peer/h1").Key,
			"address": "127.0.0.1:7001", "keys": []string{ledgertest.Public("h1").String()},
		}},
		"params": map[string]any{"sessionMax": 600, "origins": []string{"http://localhost:8080"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	res, err := a.InitChain(context.Background(), &abci.RequestInitChain{ChainId: ledgertest.ChainID, Time: time.Unix(ledgertest.Start, 0), InitialHeight: 1, AppStateBytes: raw})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Validators) != 1 || !bytes.Equal(res.Validators[0].PubKey.GetEd25519(), ledgertest.Key("validator/h1").Public().(ed25519.PublicKey)) {
		t.Errorf("got validators %v, want h1 alone", res.Validators)
	}
	v := a.View()
	defer v.Close()
	if got := governance.ParamsOf(v); got.SessionMax != 600 || got.LeaseSeconds != 15 {
		t.Errorf("got %+v, want the session's maximum set and all else by default", got)
	}
	if e, err := committee.Current(v); err != nil || e.N != 1 || e.T != 1 {
		t.Errorf("got %+v, %v; want a committee of one", e, err)
	}
}
