package pcf

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// mask draws a mask of n bits.
func mask(t *rapid.T, n int, label string) (m uint64) {
	for _, s := range rapid.Permutation(sixtyFour()).Draw(t, label)[:n] {
		m |= 1 << s
	}
	return m
}

func sixtyFour() []byte {
	out := make([]byte, 64)
	for i := range out {
		out[i] = byte(i)
	}
	return out
}

// released are the labels that a request of hers for a session is granted.
func (w *world) released(t *rapid.T, patient, who string, purpose consent.Purpose) (out []fhir.Label) {
	if _, _, ok := identity.Standing(w.state, account(who)); !ok {
		return nil // the dead sign nothing
	}
	err := w.do(who, access.KindRequest, &access.Request{
		Patient: account(patient), Purpose: purpose, Mask: ^uint64(0), ReaderKey: digest("reader key"), TTL: 60,
	})
	if _, refused := errors.AsType[*tx.Refusal](err); refused {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	s, ok := access.Lookup(w.state, w.last())
	if !ok {
		t.Fatal("a session that was granted is not there")
	}
	for _, l := range fhir.AllLabels() {
		if slot, ok := w.slots.Slot(l); ok && s.Mask&(1<<slot) != 0 {
			out = append(out, l)
		}
	}
	return out
}

// promising is a world with two registrars and a clerk who reads nothing.
func promising(t *testing.T) *world {
	w := newWorld(t)
	for _, p := range []struct {
		name string
		may  uint32
	}{{"registrar", identity.PrivWrite}, {"other registrar", identity.PrivWrite}, {"emergency doctor", identity.PrivRead | identity.PrivEmergency}, {"clerk", identity.PrivWrite}} {
		w.must("hospital", identity.KindRegister, &identity.Register{
			Account: account(p.name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{key(p.name)}, Roles: []string{"doctor"}, Privileges: p.may,
		})
	}
	return w
}

// fork is the world with changes of its own.
func (w *world) fork() *world {
	f := *w
	f.state, f.changes, f.papers = state.NewCache(w.state), slices.Clone(w.changes), papers{}
	return &f
}

// For all grants, denials, proxies and merges, and for whoever asks: what is promised is what a request is granted.
func TestWhatIsPromisedIsWhatIsReleased(t *testing.T) {
	base := promising(t)
	patients := []string{"alice", "bob", "mother"}
	readers := []string{"doctor", "nurse", "trauma surgeon", "emergency doctor", "clerk", "adjudicator", "researcher", "alice", "bob", "mother", "hospital"}
	uses := []consent.Purpose{consent.TREAT, consent.ETREAT, consent.BTG, consent.HPAYMT, consent.DSRCH, consent.PATRQT, consent.FAMRQT}
	some, cut := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := base.fork()
		purposes := func() consent.Purposes {
			return consent.PurposesOf(rapid.SliceOfN(rapid.SampledFrom(uses), 1, 4).Draw(t, "purposes")...)
		}
		for i := range rapid.IntRange(2, 8).Draw(t, "grants") {
			to := rapid.SampledFrom([]consent.Grantee{
				{Kind: consent.AnyClinical},
				{Kind: consent.OfRole, Role: "doctor"},
				{Kind: consent.OfMember, Account: account("clinic")},
				{Kind: consent.OfMember, Account: account("insurer")},
				{Kind: consent.OnePractitioner, Account: account("doctor")},
				{Kind: consent.OnePractitioner, Account: account("emergency doctor")},
			}).Draw(t, "to")
			p := rapid.SampledFrom(patients).Draw(t, "patient")
			w.must(p, consent.KindGrant, &consent.Give{Patient: account(p), Grant: consent.Grant{
				ID: consent.GrantID{byte(i + 1)}, Version: 1, Grantee: to, Mask: mask(t, 32, "mask"), Except: mask(t, 24, "except"), Purposes: purposes(),
				NotAfter: rapid.SampledFrom([]uint64{0, 0, w.time + 3, w.time + 3600}).Draw(t, "end"), Uses: rapid.SampledFrom([]uint16{0, 0, 1}).Draw(t, "uses"),
			}})
		}
		if rapid.Bool().Draw(t, "proxy") {
			for _, p := range patients[:2] {
				w.must(p, consent.KindProxy, &consent.SetProxy{Patient: account(p), Active: true, Proxy: consent.Proxy{
					Account: account("mother"), Version: 1, Mask: mask(t, 32, "proxy"), Except: mask(t, 24, "excepted"), Purposes: consent.PurposesOf(consent.FAMRQT),
				}})
			}
		}
		for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "mother"}} {
			if !rapid.Bool().Draw(t, "merge") {
				continue
			}
			w.must("registrar", merge.KindPropose, &merge.Propose{Stays: account(pair[0]), Goes: account(pair[1]), Basis: digest("seen together")})
			w.must("other registrar", merge.KindApprove, &merge.Approve{Case: w.last(), Slots: rapid.Permutation(sixtyFour()).Draw(t, "slots")})
		}
		if rapid.IntRange(0, 9).Draw(t, "died") == 9 {
			identity.Die(w.context(ledger.Signer{}), account("alice"))
		}
		for _, who := range readers {
			patient := rapid.SampledFrom(patients).Draw(t, "of")
			purpose := rapid.SampledFrom(uses).Draw(t, "for")
			w.time++ // the time at which it will be decided
			e, err := w.service().Explain(t.Context(), account(patient), account(who), purpose, "", nil)
			w.time--
			if errors.Is(err, ErrNotFound) && who == "hospital" {
				continue // no principal asks in the name of a member
			}
			if err != nil {
				t.Fatal(err)
			}
			got := w.fork().released(t, patient, who, purpose)
			if !slices.Equal(e.Now.Labels, got) {
				t.Fatalf("%s of %s for %s: promised %v, released %v", who, patient, purpose, e.Now.Labels, got)
			}
			if len(got) > 0 {
				some++
			}
			for _, l := range e.Now.Withheld {
				if slices.Contains(got, l) {
					t.Fatalf("%s of %s: %s is said to be withheld, and released", who, patient, l)
				}
				cut++
			}
		}
	})
	if some == 0 || cut == 0 {
		t.Errorf("released %d times, %d labels withheld: the test shows too little", some, cut)
	}
}

// What would follow from a Consent is what follows once it is signed, under a pseudonym that is merged too.
func TestWhatAConsentIsSaidToDoItDoes(t *testing.T) {
	w := promising(t)
	// What bob denies in the slots of alice is one label of hers: the whole record of it is withheld.
	_, except, err := w.slots.GrantMasks(w.random, nil, []fhir.Label{"HIV"})
	if err != nil {
		t.Fatal(err)
	}
	low := uint64(1<<32 - 1)
	w.must("bob", consent.KindGrant, &consent.Give{Patient: account("bob"), Grant: consent.Grant{
		ID: consent.GrantID{1}, Version: 1, Grantee: consent.Grantee{Kind: consent.AnyClinical}, Mask: low, Except: except, Purposes: consent.PurposesOf(consent.TREAT),
	}})
	w.must("registrar", merge.KindPropose, &merge.Propose{Stays: account("alice"), Goes: account("bob"), Basis: digest("seen together")})
	merged := w.last()
	everything := permit(func(_, p m) { p["securityLabel"] = []any{m{"system": systemConfidentiality, "code": "V"}} })
	ask := func() *Explanation {
		t.Helper()
		e, err := w.service().Explain(t.Context(), account("alice"), account("doctor"), consent.TREAT, "", everything)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := ask(); !slices.Contains(e.Then.Labels, "HIV") || len(e.Then.Withheld) != 0 {
		t.Errorf("proposed, not merged: got %+v, want nothing withheld", e.Then)
	}
	w.must("other registrar", merge.KindApprove, &merge.Approve{Case: merged, Slots: sixtyFour()})
	e := ask()
	if slices.Contains(e.Then.Labels, "HIV") || !slices.Equal(e.Then.Withheld, []fhir.Label{"HIV"}) || !slices.Contains(e.Then.Labels, "laboratory") {
		t.Errorf("merged: got %+v, want all but HIV", e.Then)
	}
	w.create("alice", everything)
	rapid.Check(t, func(r *rapid.T) {
		if got := w.fork().released(r, "alice", "doctor", consent.TREAT); !slices.Equal(got, e.Then.Labels) {
			r.Fatalf("promised %v, released %v", e.Then.Labels, got)
		}
	})
	// Who may open no session is promised nothing.
	for _, who := range []string{"clerk", "registrar"} {
		e, err := w.service().Explain(t.Context(), account("alice"), account(who), consent.TREAT, "", nil)
		if err != nil || len(e.Now.Labels)+len(e.Now.Withheld)+len(e.Now.Denied) != 0 {
			t.Errorf("%s: got %+v, %v, want nothing", who, e, err)
		}
	}
}
