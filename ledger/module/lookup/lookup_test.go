package lookup_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/lookup"
	"salus/ledger/tx"
	"salus/threshold/oprf"
)

func TestLookupIsInThePatientsChainInTheBlockThatOpensIt(t *testing.T) {
	w := newWorld(t)
	k := w.makeKey()
	who := w.members()
	enrolment := w.must("hospital", lookup.KindAsk, enrol("national id", "alice"))
	if got := w.chain("alice"); got != 2 {
		t.Fatalf("after the enrolment of an identifier: got %d entries, want 2", got)
	}
	entry := w.must("doctor", lookup.KindAsk, find("guess"))
	p := w.pointer(k, enrolment)
	w.refuse(lookup.ErrNotYours, "clerk", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{p}})
	w.refuse(lookup.ErrUnknown, "doctor", lookup.KindResolve, &lookup.Resolve{Entry: digest("none"), Pointers: []lookup.Pointer{p}})
	w.refuse(lookup.ErrExpired, "hospital", lookup.KindResolve, &lookup.Resolve{Entry: enrolment, Pointers: []lookup.Pointer{p}})

	// Somebody else's pointer, changed so that opening it opens the original as well.
	forged := p
	forged.Body[0] ^= 1
	w.refuse(lookup.ErrPointers, "doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{forged}})
	w.must("doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{p}})
	w.refuse(lookup.ErrExpired, "doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{p}})

	if got := len(lookup.Waiting(w.state, k.Number, 1, 10)); got != 1 {
		t.Fatalf("got %d resolutions that wait, want 1", got)
	}
	w.refuse(lookup.ErrCustodian, "doctor", lookup.KindOpen, w.part(k, 1, entry, p))
	w.refuse(lookup.ErrPart, who[1], lookup.KindOpen, w.part(k, 1, entry, p)) // another's share
	w.refuse(lookup.ErrPart, who[0], lookup.KindOpen, w.part(k, 1, entry, p, p))
	old := w.part(k, 1, entry, p)
	old.Key++
	w.refuse(lookup.ErrPart, who[0], lookup.KindOpen, old)
	w.must(who[0], lookup.KindOpen, w.part(k, 1, entry, p))
	w.refuse(lookup.ErrAgain, who[0], lookup.KindOpen, w.part(k, 1, entry, p))
	w.must(who[1], lookup.KindOpen, w.part(k, 2, entry, p))
	if got := w.chain("alice"); got != 2 {
		t.Fatalf("before t custodians opened it: got %d entries, want 2", got)
	}
	w.must(who[3], lookup.KindOpen, w.part(k, 4, entry, p))
	if got := w.chain("alice"); got != 3 {
		t.Fatalf("after t custodians opened it: got %d entries, want 3", got)
	}
	w.refuse(lookup.ErrUnknown, who[2], lookup.KindOpen, w.part(k, 3, entry, p))
	e, _ := lookup.Lookup(w.state, entry)
	if d := cmp.Diff([]tx.Account{account("alice")}, e.Found); d != "" || e.Standing != lookup.Resolved {
		t.Fatalf("found (-want +got):\n%s", d)
	}
	want := lookup.Counts{Asked: 1, Resolved: 1, Found: 1}
	if d := cmp.Diff(want, lookup.CountsOf(w.state, account("clinic"))); d != "" {
		t.Errorf("counts of the clinic (-want +got):\n%s", d)
	}
	if got := lookup.CountsOf(w.state, account("hospital")).Enrolled; got != 1 {
		t.Errorf("enrolled by the hospital: got %d, want 1", got)
	}
}

func TestForgottenAndMadeUpPointersLeadNowhere(t *testing.T) {
	w := newWorld(t)
	k := w.makeKey()
	who := w.members()
	gone := w.must("hospital", lookup.KindAsk, enrol("insurance number", "alice"))
	bobs := w.must("hospital", lookup.KindAsk, enrol("national id", "bob"))
	w.refuse(lookup.ErrNotYours, "bob", lookup.KindForget, &lookup.Forget{Entry: gone})
	w.refuse(lookup.ErrUnknown, "alice", lookup.KindForget, &lookup.Forget{Entry: digest("none")})
	w.must("alice", lookup.KindForget, &lookup.Forget{Entry: gone})
	w.refuse(lookup.ErrAgain, "hospital", lookup.KindForget, &lookup.Forget{Entry: gone})
	entry := w.must("clinic", lookup.KindAsk, find("guess"))
	w.refuse(lookup.ErrUnknown, "hospital", lookup.KindForget, &lookup.Forget{Entry: entry})
	ps := []lookup.Pointer{w.pointer(k, gone), w.pointer(k, digest("made up")), w.pointer(k, entry), w.pointer(k, bobs)}
	w.must("clinic", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: ps})
	before := w.chain("alice")
	for _, i := range []int{2, 3, 4} {
		w.must(who[i-1], lookup.KindOpen, w.part(k, i, entry, ps...))
	}
	e, _ := lookup.Lookup(w.state, entry)
	if d := cmp.Diff([]tx.Account{account("bob")}, e.Found); d != "" {
		t.Fatalf("found (-want +got):\n%s", d)
	}
	if got := w.chain("alice"); got != before {
		t.Errorf("the chain of who was not found: got %d entries, want %d", got, before)
	}
}

func TestEveryGuessIsAnEntryAndEntriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.refuse(lookup.ErrNoKey, "doctor", lookup.KindAsk, find("early"))
	w.makeKey()
	quota := governance.ParamsOf(w.state).LookupQuota
	for range quota {
		w.must("clerk", lookup.KindAsk, find("guess"))
	}
	w.refuse(lookup.ErrQuota, "clerk", lookup.KindAsk, find("one more"))
	if got := lookup.CountsOf(w.state, account("clinic")).Asked; got != quota {
		t.Errorf("public count: got %d, want %d: an entry for each guess", got, quota)
	}
	w.must("doctor", lookup.KindAsk, find("another's"))
	w.block(22 * 3600)
	w.refuse(lookup.ErrQuota, "clerk", lookup.KindAsk, find("a day is not over"))
	w.block(2 * 3600)
	w.must("clerk", lookup.KindAsk, find("a day later"))
}

func TestMembersAreBoundedAsAWhole(t *testing.T) {
	w := newWorld(t)
	w.makeKey()
	quota := governance.ParamsOf(w.state).LookupMemberQuota
	for i := range quota {
		if i%2 == 0 {
			w.must("hospital", lookup.KindAsk, find("guess"))
			continue
		}
		w.must("hospital", lookup.KindAsk, enrol("a guess under the pretext of an enrolment", "alice"))
	}
	w.refuse(lookup.ErrQuota, "hospital", lookup.KindAsk, find("one more"))
	w.refuse(lookup.ErrQuota, "hospital", lookup.KindAsk, enrol("one more", "alice"))
	if got, want := w.chain("alice"), 1+quota/2; got != want {
		t.Errorf("the chain of the patient who was the pretext: got %d entries, want %d", got, want)
	}
}

func TestOnlyWhoMayLooksUp(t *testing.T) {
	w := newWorld(t)
	w.makeKey()
	btg := find("x")
	btg.Purpose = consent.BTG
	w.must("doctor", lookup.KindAsk, btg)
	for _, s := range []struct {
		by   string
		m    *lookup.Ask
		want error
	}{
		{"cleaner", find("x"), lookup.ErrSigner},
		{"alice", find("x"), lookup.ErrSigner},
		{"clerk", btg, lookup.ErrSigner},
		{"clinic", btg, lookup.ErrSigner},
		{"clinic", enrol("x", "alice"), lookup.ErrSteward},
		{"doctor", enrol("x", "alice"), lookup.ErrSteward},
		{"hospital", enrol("x", "nobody"), lookup.ErrPatient},
		{"hospital", enrol("x", "clerk"), lookup.ErrPatient},
		{"doctor", &lookup.Ask{Use: lookup.Enrol, Purpose: consent.TREAT, Element: digest("x")}, lookup.ErrUse},
		{"doctor", &lookup.Ask{Use: lookup.Find, Purpose: consent.TREAT, Element: digest("x"), Patient: account("alice")}, lookup.ErrUse},
		{"doctor", &lookup.Ask{Use: 3, Purpose: consent.TREAT, Element: digest("x")}, lookup.ErrUse},
		{"doctor", &lookup.Ask{Use: lookup.Find, Element: digest("x")}, lookup.ErrPurpose},
		{"doctor", &lookup.Ask{Use: lookup.Find, Purpose: consent.TREAT}, lookup.ErrElement},
	} {
		w.refuse(s.want, s.by, lookup.KindAsk, s.m)
	}
	entry := w.must("doctor", lookup.KindAsk, find("x"))
	k, _ := lookup.Current(w.state)
	p := w.pointer(k, digest("x"))
	w.refuse(lookup.ErrPointers, "doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry})
	w.refuse(lookup.ErrPointers, "doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{p, p, p, p, p}})
	w.block(lookup.Valid)
	w.refuse(lookup.ErrExpired, "doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{p}})
}

func TestCheatingDealersAreLeftOutAndNamed(t *testing.T) {
	w := newWorld(t)
	who := w.members()
	w.refuse(lookup.ErrCustodian, "doctor", lookup.KindBegin, &lookup.Begin{Number: 1})
	w.refuse(lookup.ErrCeremony, who[0], lookup.KindBegin, &lookup.Begin{Number: 2})
	w.must(who[2], lookup.KindBegin, &lookup.Begin{Number: 1})
	w.refuse(lookup.ErrCeremony, who[0], lookup.KindBegin, &lookup.Begin{Number: 1})
	w.refuse(lookup.ErrRunning, who[0], lookup.KindBegin, &lookup.Begin{Number: 2})
	deals := make([]pair, 4)
	for i := range who {
		deals[i] = w.dealing(4, 3)
		w.refuse(lookup.ErrDealing, who[i], lookup.KindDeal, w.dealing(7, 5).message(1))
		w.must(who[i], lookup.KindDeal, deals[i].message(1))
		w.refuse(lookup.ErrAgain, who[i], lookup.KindDeal, deals[i].message(1))
	}
	w.refuse(lookup.ErrCeremony, who[0], lookup.KindVouch, &lookup.Vouch{Ceremony: 1, Sound: 15})
	w.block(1)
	// Custodian 3 complains of dealers 1 and 2. Dealer 1 answers, dealer 2 cannot.
	for i := range who {
		sound := uint64(15)
		if i == 2 {
			sound = 12
		}
		w.must(who[i], lookup.KindVouch, &lookup.Vouch{Ceremony: 1, Sound: sound})
	}
	w.refuse(lookup.ErrAgain, who[0], lookup.KindVouch, &lookup.Vouch{Ceremony: 1, Sound: 15})
	w.block(1)
	w.refuse(lookup.ErrAnswer, who[0], lookup.KindAnswer, deals[0].answer(1, 4)) // nobody complained
	w.refuse(lookup.ErrAnswer, who[1], lookup.KindAnswer, deals[0].answer(1, 3)) // not its shares
	w.must(who[0], lookup.KindAnswer, deals[0].answer(1, 3))
	w.block(59)
	if _, ok := lookup.Current(w.state); ok {
		t.Fatal("got a key before the time to answer was over")
	}
	w.block(1)
	run, _ := lookup.LastCeremony(w.state)
	if run.Phase != lookup.Done || run.Agreed != 13 || run.Blamed != 2 {
		t.Fatalf("got phase %d, agreed %b, blamed %b; want done, 1101, 10", run.Phase, run.Agreed, run.Blamed)
	}
	k, _ := lookup.Current(w.state)
	w.collect([]pair{deals[0], deals[2], deals[3]}, k)
	if o, ok := lookup.Answered(w.state, 1, 1, 3); !ok || o.Eval != tx.Hash(deals[0].eval.Shares[2]) {
		t.Error("the answered share is not there for who complained")
	}
	w.refuse(lookup.ErrRunning, who[0], lookup.KindBegin, &lookup.Begin{Number: 2}) // the committee has its key
}

func TestCeremonyFailsWithTooFewAndMayBeginAgain(t *testing.T) {
	w := newWorld(t)
	who := w.members()
	w.must(who[0], lookup.KindBegin, &lookup.Begin{Number: 1})
	for i := range 2 {
		w.must(who[i], lookup.KindDeal, w.dealing(4, 3).message(1))
	}
	w.block(60)
	if run, _ := lookup.LastCeremony(w.state); run.Phase != lookup.Failed {
		t.Fatalf("two dealers of four: got phase %d, want failed", run.Phase)
	}
	w.must(who[0], lookup.KindBegin, &lookup.Begin{Number: 2})
	for i := range 3 {
		w.must(who[i], lookup.KindDeal, w.dealing(4, 3).message(2))
	}
	w.block(60)
	for i := range 2 {
		w.must(who[i], lookup.KindVouch, &lookup.Vouch{Ceremony: 2, Sound: 7})
	}
	w.refuse(lookup.ErrDealing, who[2], lookup.KindVouch, &lookup.Vouch{Ceremony: 2, Sound: 15}) // the fourth did not deal
	w.block(60)
	if run, _ := lookup.LastCeremony(w.state); run.Phase != lookup.Failed {
		t.Fatalf("two recipients of four: got phase %d, want failed", run.Phase)
	}
	if _, ok := lookup.DealtBy(w.state, 2, 1); !ok {
		t.Error("the dealings of the last ceremony are gone before the next one")
	}
	w.must(who[0], lookup.KindBegin, &lookup.Begin{Number: 3})
	if _, ok := lookup.DealtBy(w.state, 2, 1); ok {
		t.Error("the dealings of a failed ceremony stay for ever")
	}
}

func TestKeyPassesToTheNextCommittee(t *testing.T) {
	w := newWorld(t)
	k := w.makeKey()
	evals, opens := w.evals, w.opens
	old := w.members()
	enrolment := w.must("hospital", lookup.KindAsk, enrol("national id", "alice"))
	entry := w.must("doctor", lookup.KindAsk, find("guess"))
	p := w.pointer(k, enrolment)
	w.must("doctor", lookup.KindResolve, &lookup.Resolve{Entry: entry, Pointers: []lookup.Pointer{p}})
	w.must(old[0], lookup.KindOpen, w.part(k, 1, entry, p)) // one part with the old key

	// Governance turns the epoch with the same members; the committee module keeps it.
	next(w, old)
	who := w.members()
	w.must(who[0], lookup.KindBegin, &lookup.Begin{Number: 2})
	deals := make([]pair, 4)
	for i := range old[:3] { // the fourth is gone
		w.refuse(lookup.ErrDealing, old[i], lookup.KindDeal, w.dealing(4, 3).message(2)) // not its share
		eval, err1 := oprf.Redeal(w.rand, evals[i], 4, 3)
		open, err2 := oprf.Redeal(w.rand, opens[i], 4, 3)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		deals[i] = pair{eval, open}
		w.must(old[i], lookup.KindDeal, deals[i].message(2))
	}
	w.block(60)
	for i := range who {
		w.must(who[i], lookup.KindVouch, &lookup.Vouch{Ceremony: 2, Sound: 7})
	}
	w.block(1)
	k2, _ := lookup.Current(w.state)
	if k2.Number != 2 || k2.Eval != k.Eval || k2.Open != k.Open || k2.Evals[0] == k.Evals[0] {
		t.Fatal("got another key, or the same shares")
	}
	for j := range w.opens {
		var err error
		if w.opens[j], err = carried(deals[:3], j); err != nil {
			t.Fatal(err)
		}
	}
	// What was under way goes on; the part made with the old share does not count.
	for _, i := range []int{2, 3} {
		w.must(who[i-1], lookup.KindOpen, w.part(k2, i, entry, p))
	}
	if e, _ := lookup.Lookup(w.state, entry); e.Standing != lookup.Opening {
		t.Fatal("got an opening made of shares of two keys")
	}
	w.must(who[0], lookup.KindOpen, w.part(k2, 1, entry, p))
	if e, _ := lookup.Lookup(w.state, entry); e.Standing != lookup.Resolved || len(e.Found) != 1 {
		t.Fatal("got nothing found after the key passed on")
	}
}

func TestCardsAreThePatientsAlone(t *testing.T) {
	w := newWorld(t)
	card := &lookup.SetCard{Patient: account("alice"), Card: digest("card")}
	w.refuse(lookup.ErrNotYours, "hospital", lookup.KindCard, card)
	w.refuse(lookup.ErrPatient, "doctor", lookup.KindCard, &lookup.SetCard{Patient: account("doctor"), Card: digest("card")})
	w.refuse(lookup.ErrCard, "alice", lookup.KindCard, &lookup.SetCard{Patient: account("alice"), Card: digest("card"), Revoke: true})
	w.must("alice", lookup.KindCard, card)
	w.refuse(lookup.ErrCard, "alice", lookup.KindCard, card)
	w.refuse(lookup.ErrCard, "bob", lookup.KindCard, &lookup.SetCard{Patient: account("bob"), Card: digest("card"), Revoke: true})
	if c, ok := lookup.LookupCard(w.state, digest("card")); !ok || c.Revoked || c.Patient != account("alice") {
		t.Fatal("got no valid card")
	}
	revoke := *card
	revoke.Revoke = true
	w.must("alice", lookup.KindCard, &revoke)
	w.refuse(lookup.ErrCard, "alice", lookup.KindCard, &revoke)
	w.refuse(lookup.ErrCard, "alice", lookup.KindCard, card)
	if c, _ := lookup.LookupCard(w.state, digest("card")); !c.Revoked {
		t.Error("got a card that is still valid")
	}
	if got := w.chain("alice"); got != 3 {
		t.Errorf("got %d entries in her chain, want 3: enrolled, issued, revoked", got)
	}
}
