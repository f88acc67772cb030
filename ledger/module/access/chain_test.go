package access_test

import (
	"fmt"
	"testing"
	"time"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// params is a network of four members, all custodians.
func params() ledgertest.Params {
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"clinic", governance.Clinic}, {"insurer", governance.Insurer}, {"institute", governance.Research}} {
		g.Members = append(g.Members, governance.Admit{
			Account: account(m.name), Name: "Sample " + m.name, Class: m.class, Validator: ledgertest.Public("validator/" + m.name).Key,
			Peer: ledgertest.Public("peer/" + m.name).Key, Address: m.name + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(m.name)},
		})
	}
	return ledgertest.Params{
		Modules: []ledger.Module{
			governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(),
		},
		Authenticate: access.Authenticate,
		Params:       governance.LedgerParams,
		Genesis:      map[string]any{"governance": g},
	}
}

// TestChainTenRequestsForOneUse puts ten requests of ten practitioners, in one
// block and through the engine's interface, against a grant that opens one session.
func TestChainTenRequestsForOneUse(t *testing.T) {
	c := ledgertest.New(t, params())
	must := func(kind tx.Kind, m tx.Message, by string) tx.Hash {
		t.Helper()
		id, res := c.Do(kind, m, by)
		if res.Code != tx.CodeOK {
			t.Fatalf("%s by %s: %#04x %s", kind, by, res.Code, res.Log)
		}
		return id
	}
	must(identity.KindEnrol, &identity.Enrol{Patient: account("alice"), Keys: []tx.PublicKey{ledgertest.Public("alice")}}, "hospital")
	for i := range 10 {
		name := fmt.Sprint("doctor ", i)
		must(identity.KindRegister, &identity.Register{
			Account: account(name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{ledgertest.Public(name)}, Privileges: identity.PrivRead,
		}, "clinic")
	}
	must(consent.KindGrant, grant("once", func(g *consent.Grant) {
		g.Uses, g.Grantee = 1, consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}
	}), "alice")
	var raws [][]byte
	var ids []tx.Hash
	for i := range 10 {
		raw, id := c.Sign(access.KindRequest, request(), fmt.Sprint("doctor ", i))
		raws, ids = append(raws, raw), append(ids, id)
	}
	c.Wait(time.Second)
	results := c.Finalize(raws...).TxResults
	view := c.App(0).View()
	defer view.Close()
	got := 0
	for i, id := range ids {
		if results[i].Code != tx.CodeOK {
			t.Errorf("request %d was refused with %#04x: a refusal is visible", i, results[i].Code)
		}
		s, allowed, err := access.Open(view, id, c.Head().Time)
		if err != nil || allowed != s.Mask {
			t.Errorf("request %d: got %#x of %#x, %v", i, allowed, s.Mask, err)
		}
		if s.Mask != 0 {
			got++
		}
	}
	if got != 1 {
		t.Errorf("got %d sessions with a mask, want exactly 1", got)
	}
}

// TestChainRevocationCountsInItsBlock orders a revocation before and after a
// request within one block.
func TestChainRevocationCountsInItsBlock(t *testing.T) {
	c := ledgertest.New(t, params())
	for _, m := range []struct {
		kind tx.Kind
		msg  tx.Message
		by   string
	}{
		{identity.KindEnrol, &identity.Enrol{Patient: account("alice"), Keys: []tx.PublicKey{ledgertest.Public("alice")}}, "hospital"},
		{identity.KindRegister, &identity.Register{
			Account: account("doctor"), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{ledgertest.Public("doctor")}, Privileges: identity.PrivRead,
		}, "clinic"},
		{consent.KindGrant, grant("a"), "alice"},
	} {
		if _, res := c.Do(m.kind, m.msg, m.by); res.Code != tx.CodeOK {
			t.Fatalf("%s: %#04x %s", m.kind, res.Code, res.Log)
		}
	}
	before, first := c.Sign(access.KindRequest, request(), "doctor")
	revoke, _ := c.Sign(consent.KindRevoke, &consent.Revoke{Patient: account("alice"), ID: gid("a")}, "alice")
	after, second := c.Sign(access.KindRequest, request(), "doctor")
	for i, r := range c.Finalize(before, revoke, after).TxResults {
		if r.Code != tx.CodeOK {
			t.Fatalf("transaction %d: %#04x %s", i, r.Code, r.Log)
		}
	}
	view := c.App(1).View()
	defer view.Close()
	for _, tt := range []struct {
		id   tx.Hash
		mask uint64
	}{{first, mask}, {second, 0}} {
		s, allowed, err := access.Open(view, tt.id, c.Head().Time)
		if err != nil || s.Mask != tt.mask || allowed != 0 {
			t.Errorf("got %#x of %#x, %v, want nothing of %#x", allowed, s.Mask, err, tt.mask)
		}
	}
}
