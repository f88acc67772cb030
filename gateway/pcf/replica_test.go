package pcf

import (
	"context"
	"errors"
	"testing"

	"salus/client"
	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// onChain submits to a chain of two instances.
type onChain struct {
	c  *ledgertest.Chain
	by string
}

func (o onChain) Submit(_ context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	id, res := o.c.Do(kind, msg, o.by)
	if res.Code != tx.CodeOK {
		return client.Committed{}, tx.Refuse(res.Code, res.Log)
	}
	return client.Committed{ID: id}, nil
}

// TestTheReplicaTellsWhatTheLogHolds runs the service against the ledger itself.
func TestTheReplicaTellsWhatTheLogHolds(t *testing.T) {
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"insurer", governance.Insurer}} {
		g.Members = append(g.Members, governance.Admit{
			Account: ledgertest.Account(m.name), Name: "Sample " + m.name, Class: m.class, Validator: ledgertest.Public("validator/" + m.name).Key,
			Peer: ledgertest.Public("peer/" + m.name).Key, Address: m.name + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(m.name)},
		})
	}
	c := ledgertest.New(t, ledgertest.Params{
		Modules:      []ledger.Module{governance.Module(), identity.Module(), consent.Module(), audit.Module()},
		Authenticate: identity.Authenticate, Params: governance.LedgerParams, Genesis: map[string]any{"governance": g},
	})
	alice := ledgertest.Account("alice")
	if _, err := (onChain{c, "hospital"}).Submit(t.Context(), identity.KindEnrol, &identity.Enrol{Patient: alice, Keys: []tx.PublicKey{ledgertest.Public("alice")}}); err != nil {
		t.Fatal(err)
	}
	slots, random := slotMap(t)
	s := &Service{
		Chain: Replica{c.App(0).View}, Slots: func(context.Context, tx.Account) (*record.SlotMap, error) { return slots, nil }, Papers: papers{}, Random: random,
	}
	raw := permit(func(c, p m) {
		who := m{"reference": "Patient/" + alice.String()}
		c["patient"], c["performer"], c["dateTime"] = who, []any{who}, "2026-12-31"
		p["provision"] = []any{m{"type": "deny", "securityLabel": []any{m{"system": systemActCode, "code": "HIV"}}}}
	})
	by := Author{Submit: onChain{c, "alice"}}
	r, err := s.Create(t.Context(), alice, raw, by)
	if err != nil {
		t.Fatal(err, issues(err))
	}
	if len(r.Grants) != 2 || !r.Active {
		t.Errorf("got %d grants, want 2: the clinical members and the insurer", len(r.Grants))
	}
	if err := s.Delete(t.Context(), alice, r.ID, r.Version, by); err != nil {
		t.Fatal(err)
	}
	h, err := s.History(t.Context(), alice, r.ID)
	if err != nil || len(h) != 2 || h[0].Active || h[0].Version == r.Version || h[1].Version != r.Version {
		t.Fatalf("got %d versions, %v", len(h), err)
	}
	if c := decode(t, h[0]); c.Status != "inactive" || len(c.Provision.Provision) != 1 {
		t.Errorf("the terms of a revoked consent are lost: %s", h[0].Body)
	}
	if _, err := s.Search(t.Context(), ledgertest.Account("nobody"), Filter{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrNotFound)
	}
}
