package consent_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// change makes a change of alice's grants in the order that it must have.
func change(revoke []consent.GrantID, give ...*consent.Give) *consent.Change {
	m := &consent.Change{Patient: account("alice"), Revoke: slices.Clone(revoke)}
	for _, g := range give {
		m.Give = append(m.Give, g.Grant)
	}
	slices.SortFunc(m.Revoke, func(a, b consent.GrantID) int { return bytes.Compare(a[:], b[:]) })
	slices.SortFunc(m.Give, func(a, b consent.Grant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return m
}

func TestAChangeHoldsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindProxy, proxy())
	w.must("alice", consent.KindGrant, grant("a"))
	w.must("alice", consent.KindGrant, grant("b", func(g *consent.Grant) { g.Mask, g.Except = mask<<32, beside>>8 }))
	w.must("alice", consent.KindChange, change([]consent.GrantID{gid("b")}, grant("a", version(2), func(g *consent.Grant) { g.Except = except }), grant("c", func(g *consent.Grant) { g.Grantee.Account = account("nurse") })))
	w.expect("doctor", consent.TREAT, mask&^except)
	w.expect("nurse", consent.TREAT, mask)
	if got := consent.HeadOf(w.state, account("alice")); got != (consent.Head{Version: 6, Grants: 2, Proxies: 1}) {
		t.Errorf("got head %+v, want version 6 and two grants", got)
	}
	if got := w.chain(); got != 7 { // enrolled, a proxy named, two granted, one revoked, one changed, one granted
		t.Errorf("got %d audit entries, want 7", got)
	}
	// Everything else, whatever else there is by then.
	w.must("mother", consent.KindGrant, grant("by her", func(g *consent.Grant) { g.Grantee.Account = account("nurse") }))
	w.must("alice", consent.KindChange, change([]consent.GrantID{{}}, grant("alone")))
	w.expect("nurse", consent.TREAT, 0)
	w.expect("doctor", consent.TREAT, mask)
	// What is revoked makes room for what is given.
	for i := 1; i < consent.MaxGrants; i++ {
		w.must("alice", consent.KindGrant, grant(fmt.Sprint(i)))
	}
	w.refuse(consent.ErrTooManyGrants, "alice", consent.KindChange, change(nil, grant("d")))
	w.must("alice", consent.KindChange, change([]consent.GrantID{gid("alone")}, grant("d")))
	if _, there := consent.LookupGrant(w.state, account("alice"), gid("alone")); there {
		t.Error("what was revoked stands")
	}
}

// Whoever signs: a change does what its parts would do one after the other, or, if one of them is refused, nothing.
func TestAChangeIsAllOrNothing(t *testing.T) {
	base := newWorld(t)
	base.must("alice", consent.KindProxy, proxy())
	names := []string{"a", "b", "c", "d"}
	whole, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := *base
		w.state = state.NewCache(base.state)
		seldom := func(what string) bool { return rapid.IntRange(0, 15).Draw(t, what) == 15 }
		signers := rapid.SampledFrom([]string{"alice", "alice", "hospital", "mother"})
		stands := map[string]bool{}
		draw := func(name, by string) *consent.Give { // a sound one, most often
			n := uint64(1)
			if stands[name] != seldom("wrong version") {
				n = 2
			}
			return grant(name, version(n), func(g *consent.Grant) {
				if (by == "hospital") != seldom("wrongly recorded") {
					recorded(g)
				}
				if seldom("over") {
					g.NotAfter = start
				}
			})
		}
		for _, name := range names {
			if rapid.Bool().Draw(t, "stands") {
				by := signers.Draw(t, "before by")
				_, err := w.do(by, consent.KindGrant, draw(name, by))
				stands[name] = err == nil
			}
		}
		if seldom("locked") {
			identity.Lock(w.context(w.state, ledger.Signer{}), account("alice"), digest("a recovery"))
		}
		by := signers.Draw(t, "by")
		if seldom("a stranger") {
			by = "bob"
		}
		var revokes []consent.GrantID
		var gives []*consent.Give
		for _, name := range names {
			switch what := rapid.IntRange(0, 2).Draw(t, "what"); {
			case what == 0 && stands[name] != seldom("unknown"):
				revokes = append(revokes, gid(name))
			case what == 1:
				gives = append(gives, draw(name, by))
			}
		}
		if seldom("everything") {
			revokes = []consent.GrantID{{}}
		}
		m := change(revokes, gives...)
		if len(m.Revoke)+len(m.Give) == 0 {
			return
		}
		one := w
		one.state = state.NewCache(w.state)
		var want error
		for _, id := range m.Revoke {
			if _, err := one.do(by, consent.KindRevoke, revoke(id)); want == nil {
				want = err
			}
		}
		for i := range m.Give {
			if _, err := one.do(by, consent.KindGrant, &consent.Give{Patient: m.Patient, Grant: m.Give[i]}); want == nil {
				want = err
			}
		}
		before := tx.MustEncode(consent.Load(w.state, account("alice")))
		_, err := w.do(by, consent.KindChange, m)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Fatalf("got %v, one after the other %v", err, want)
		}
		got := consent.Load(w.state, account("alice"))
		if err != nil {
			refused++
			if !bytes.Equal(tx.MustEncode(got), before) {
				t.Fatal("a refused change left something")
			}
			return
		}
		whole++
		then := consent.Load(one.state, account("alice"))
		for _, c := range []*consent.Consents{&got, &then} {
			for i := range c.Grants {
				c.Grants[i].Height = 0 // each of the steps had a block of its own
			}
		}
		if a, b := tx.MustEncode(got), tx.MustEncode(then); !bytes.Equal(a, b) {
			t.Fatalf("got %+v, one after the other %+v", got, then)
		}
	})
	t.Logf("%d changes, %d refused", whole, refused)
	if whole == 0 || refused == 0 {
		t.Errorf("%d changes and %d refusals: the test shows too little", whole, refused)
	}
}
