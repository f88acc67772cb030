package merge_test

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// may is what somebody would get of a patient's records.
func (w *world) may(patient, who string, purpose consent.Purpose) uint64 {
	p, m, _ := identity.Standing(w.state, account(who))
	return consent.Evaluate(w.state, consent.Question{
		Patient: account(patient), Actor: p, Member: m, Purpose: purpose, Requested: ^uint64(0), Now: w.time,
	}).Allowed
}

// alone is what she would get if there were no merge.
func (w *world) alone(patient, who string, purpose consent.Purpose) uint64 {
	p, m, _ := identity.Standing(w.state, account(who))
	q := consent.Question{Patient: account(patient), Actor: p, Member: m, Purpose: purpose, Requested: ^uint64(0), Now: w.time}
	return consent.Decide(q, consent.Load(w.state, account(patient))).Allowed
}

func (w *world) grant(patient string, id byte, to consent.Grantee, mask, except uint64) {
	w.Helper()
	w.must(patient, consent.KindGrant, &consent.Give{Patient: account(patient), Grant: consent.Grant{
		ID: consent.GrantID{id}, Version: 1, Grantee: to, Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.TREAT),
	}})
}

const (
	low  = uint64(1<<32 - 1)
	high = uint64(0xffffff << 40)
)

// The checklist's I-14: what she denied under one pseudonym holds for the other while they are one person.
func TestWhatEitherPseudonymDeniesIsDeniedForBoth(t *testing.T) {
	w := newWorld(t)
	anybody := consent.Grantee{Kind: consent.AnyClinical}
	w.grant("alice", 1, anybody, low, high)
	w.grant("alicia", 1, anybody, ^low, 0xffffff) // denies slots 0 to 23 of hers
	id := w.must("h1", merge.KindPropose, pair("alice", "alicia"))
	before := []uint64{w.may("alice", "p1", consent.TREAT), w.may("alicia", "p1", consent.TREAT)}
	// Slot i of alicia is slot i+8 of alice.
	turn := straight()
	turn = append(turn[8:], turn[:8]...)
	w.refuse(merge.ErrSlots, "h2", merge.KindApprove, &merge.Approve{Case: id})
	w.refuse(merge.ErrSlots, "h2", merge.KindApprove, &merge.Approve{Case: id, Slots: bytes.Repeat([]byte{7}, 64)})
	w.refuse(merge.ErrSlots, "h2", merge.KindApprove, &merge.Approve{Case: id, Slots: append(straight(), 0)})
	w.refuse(merge.ErrSlots, "h2", merge.KindApprove, &merge.Approve{Case: id, Slots: append(straight()[:63], 64)})
	w.must("h2", merge.KindApprove, &merge.Approve{Case: id, Slots: turn})
	if got, want := w.may("alice", "p1", consent.TREAT), before[0]&^(0xffffff<<8); got != want {
		t.Errorf("alice's: got %#x, want %#x: without what alicia denies", got, want)
	}
	if got, want := w.may("alicia", "p1", consent.TREAT), before[1]&^(high>>8); got != want {
		t.Errorf("alicia's: got %#x, want %#x: without what alice denies", got, want)
	}
	// Herself nothing is kept from, and a denial that ends is not denied any more.
	if got := w.may("alice", "alice", consent.PATRQT); got != ^uint64(0) {
		t.Errorf("she herself: got %#x, want everything", got)
	}
	w.must("alicia", consent.KindRevoke, &consent.Revoke{Patient: account("alicia"), ID: consent.GrantID{1}})
	if got := w.may("alice", "p1", consent.TREAT); got != before[0] {
		t.Errorf("after the denial was revoked: got %#x, want %#x", got, before[0])
	}
}

// A denial counts for whom and for what it was said, and by a proxy as far as she may say it.
func TestADenialOfTheOtherPseudonymKeepsItsTerms(t *testing.T) {
	w := newWorld(t)
	w.grant("alice", 1, consent.Grantee{Kind: consent.AnyClinical}, low, high)
	w.grant("alicia", 1, consent.Grantee{Kind: consent.OnePractitioner, Account: account("c1")}, low, 0xffffff)
	w.must("alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Active: true, Proxy: consent.Proxy{
		Account: account("alix"), Version: 1, Mask: low, Except: high, Purposes: consent.PurposesOf(consent.FAMRQT),
	}})
	w.must("alicia", consent.KindProxy, &consent.SetProxy{Patient: account("alicia"), Active: true, Proxy: consent.Proxy{
		Account: account("alix"), Version: 1, Mask: low, Except: 0xffffff, Purposes: consent.PurposesOf(consent.FAMRQT),
	}})
	w.must("h2", merge.KindApprove, approve(w.must("h1", merge.KindPropose, pair("alice", "alicia"))))
	for who, want := range map[string]uint64{"c1": low &^ 0xffffff, "p1": low} {
		if got := w.may("alice", who, consent.TREAT); got != want {
			t.Errorf("%s: got %#x, want %#x", who, got, want)
		}
	}
	if got := w.may("alice", "alix", consent.FAMRQT); got != low&^0xffffff {
		t.Errorf("a proxy of both: got %#x, want what both allow", got)
	}
}

// mask draws a mask of n bits.
func mask(t *rapid.T, n int, label string) (m uint64) {
	perm := rapid.Permutation(straight()).Draw(t, label)
	for _, s := range perm[:n] {
		m |= 1 << s
	}
	return m
}

// For all grants, denials and merges: merged readers see a part of what they saw before, nothing that either
// denies, and after the merge was taken back exactly what they saw before.
func TestMergedReadersSeeAPartOfWhatTheySawBefore(t *testing.T) {
	base := newWorld(t)
	names := []string{"alice", "alicia", "alix"}
	readers := []string{"h1", "c1", "p1"}
	rapid.Check(t, func(t *rapid.T) {
		fork := *base
		fork.state = state.NewCache(base.state)
		w := &fork
		for i := range rapid.IntRange(1, 8).Draw(t, "grants") {
			to := rapid.SampledFrom([]consent.Grantee{
				{Kind: consent.AnyClinical}, {Kind: consent.OfMember, Account: account("practice")}, {Kind: consent.OnePractitioner, Account: account("c1")},
			}).Draw(t, "to")
			w.grant(rapid.SampledFrom(names).Draw(t, "patient"), byte(i+1), to, mask(t, 32, "mask"), mask(t, 24, "except"))
		}
		type view map[[2]string]uint64
		look := func() view {
			v := view{}
			for _, p := range names {
				for _, r := range readers {
					v[[2]string{p, r}] = w.may(p, r, consent.TREAT)
				}
			}
			return v
		}
		before := look()
		type merged struct {
			id    tx.Hash
			a, b  string
			slots consent.Translation // of b into a
		}
		var all []merged
		for _, p := range [][4]string{{"alice", "alicia", "h1", "h2"}, {"alicia", "alix", "h1", "c1"}, {"alix", "alice", "c1", "h1"}} {
			if !rapid.Bool().Draw(t, "merge") {
				continue
			}
			m := merged{id: w.must(p[2], merge.KindPropose, pair(p[0], p[1])), a: p[0], b: p[1], slots: rapid.Permutation(straight()).Draw(t, "slots")}
			w.must(p[3], merge.KindApprove, &merge.Approve{Case: m.id, Slots: m.slots})
			all = append(all, m)
		}
		after := look()
		for k, now := range after {
			if now&^before[k] != 0 {
				t.Fatalf("%s of %s: got %#x, before %#x: a merge widened it", k[1], k[0], now, before[k])
			}
		}
		for _, m := range all {
			for _, r := range readers {
				for _, side := range []struct {
					of, other string
					slots     consent.Translation
				}{{m.a, m.b, m.slots}, {m.b, m.a, m.slots.Inverse()}} {
					var denied uint64
					for _, g := range consent.Load(w.state, account(side.other)).Grants {
						to := g.Grant.Grantee
						if to.Kind == consent.AnyClinical || to.Account == account(r) || to.Kind == consent.OfMember && to.Account == account(staff[r]) {
							denied |= g.Grant.Except
						}
					}
					if got := after[[2]string{side.of, r}] & side.slots.Of(denied); got != 0 {
						t.Fatalf("%s of %s: got %#x of what %s denies", r, side.of, got, side.other)
					}
				}
			}
		}
		for _, i := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "order") {
			if i < len(all) {
				w.must(all[i].a, merge.KindEnd, &merge.End{Case: all[i].id})
			}
		}
		for k, now := range look() {
			if now != before[k] || now != w.alone(k[0], k[1], consent.TREAT) {
				t.Fatalf("%s of %s: got %#x after all was taken back, before %#x", k[1], k[0], now, before[k])
			}
		}
		for _, p := range names {
			if _, ok := w.state.Get(consent.UnitedKey(account(p))); ok {
				t.Fatalf("%s: a row of a merge is left", p)
			}
		}
	})
}

func TestTranslationsAreUndoneByTheirInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, m := rapid.Permutation(straight()).Draw(t, "slots"), rapid.Uint64().Draw(t, "mask")
		if err := x.Validate(); err != nil {
			t.Fatal(err)
		}
		if got := x.Inverse().Of(x.Of(m)); got != m || bits.OnesCount64(x.Of(m)) != bits.OnesCount64(m) {
			t.Fatalf("got %#x, want %#x", got, m)
		}
	})
}

// Who is locked or dead stays as she is: neither side gets more while keys are asked for.
func TestALockedOrDeceasedPseudonymIsNotMerged(t *testing.T) {
	for name, set := range map[string]func(*world, string){
		"keys are asked for": func(w *world, p string) {
			identity.Lock(w.context(w.state, ledger.Signer{}), account(p), digest("recovery"))
		},
		"a death is recorded": func(w *world, p string) {
			identity.Die(w.context(w.state, ledger.Signer{}), account(p))
		},
	} {
		for _, who := range []string{"alice", "alicia"} {
			w := newWorld(t)
			set(w, who)
			w.refuse(merge.ErrCondition, "h1", merge.KindPropose, pair("alice", "alicia"))
			w = newWorld(t)
			id := w.must("h1", merge.KindPropose, pair("alice", "alicia"))
			set(w, who)
			if _, err := w.do("h2", merge.KindApprove, approve(id)); !errors.Is(err, merge.ErrCondition) {
				t.Errorf("%s, of %s: got %v, want ErrCondition", name, who, err)
			}
			w.must("h1", merge.KindEnd, &merge.End{Case: id}) // a proposal may be withdrawn
			w = newWorld(t)
			id = w.must("h1", merge.KindPropose, pair("alice", "alicia"))
			w.must("h2", merge.KindApprove, approve(id))
			set(w, who)
			_, err := w.do("h1", merge.KindEnd, &merge.End{Case: id})
			if locked := name == "keys are asked for"; errors.Is(err, merge.ErrCondition) != locked || !locked && err != nil {
				t.Errorf("%s, of %s: taking it back: got %v", name, who, err)
			}
		}
	}
}

func TestNoMoreThanEightPseudonymsHangTogether(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range consent.MaxUnited + 1 {
		name := "pseudonym " + string(rune('a'+i))
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(name), Claim: digest(name)})
		all = append(all, name)
	}
	for i := range consent.MaxUnited - 1 {
		w.must("h2", merge.KindApprove, approve(w.must("h1", merge.KindPropose, pair(all[i], all[i+1]))))
	}
	id := w.must("h1", merge.KindPropose, pair(all[0], all[consent.MaxUnited]))
	w.refuse(merge.ErrTooMany, "h2", merge.KindApprove, approve(id))
	if got := len(consent.Together(w.state, account(all[3]))); got != consent.MaxUnited {
		t.Errorf("got %d together, want %d", got, consent.MaxUnited)
	}
	if got := merge.LinksOf(w.state, account(all[1])); len(got) != 2 || slices.ContainsFunc(got, func(l merge.Link) bool { return l.Replaced != (l.Other == account(all[0])) }) {
		t.Errorf("got %+v, want the two beside it, one of which stays", got)
	}
}
