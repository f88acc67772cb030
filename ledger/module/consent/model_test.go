package consent

import (
	"math/bits"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// naive decides slot by slot, straight from the text of spec/consent.md: a slot
// is allowed if it was asked for, some matching grant allows it and none denies
// it. It shares nothing with rules.go but the types, and takes the purposes from
// the tree in purpose_test.go.
func naive(up map[string][]string, q Question, c Consents) (allowed uint64) {
	covers := func(set Purposes, asked Purpose) bool {
		for _, granted := range set.List() {
			if granted == asked {
				return true
			}
			name := asked.String()
			if name != "ETREAT" && name != "BTG" && name != "ERTREAT" && slices.Contains(up[name], granted.String()) {
				return true
			}
		}
		return false
	}
	over := func(from, to uint64) bool { return q.Now < from || to > 0 && q.Now >= to }
	proxyOf := func(who tx.Account) *StandingProxy {
		for _, p := range c.Proxies {
			if p.Proxy.Account == who && !over(p.Proxy.NotBefore, p.Proxy.NotAfter) && covers(p.Proxy.Purposes, q.Purpose) {
				return &p
			}
		}
		return nil
	}
	clinical := slices.Contains([]governance.Class{"hospital", "clinic", "lab", "pharmacy"}, q.Member.Class)
	for slot := range 64 {
		bit := uint64(1) << slot
		permit, deny := false, false
		switch {
		case !q.Actor.Active || up[q.Purpose.String()] == nil:
		case q.Actor.Class == ledger.ClassPatient && q.Actor.Account == q.Patient:
			permit = q.Purpose.String() == "PATRQT"
		case q.Actor.Class == ledger.ClassPatient:
			if p := proxyOf(q.Actor.Account); p != nil && slices.Contains(up[q.Purpose.String()], "PATRQT") {
				permit, deny = p.Proxy.Mask&bit != 0, p.Proxy.Except&bit != 0
			}
		case q.Actor.Class != ledger.ClassPractitioner && q.Actor.Class != ledger.ClassDevice || !q.Member.Active || q.Member.Account != q.Actor.Member:
		default:
			for _, s := range c.Grants {
				g := s.Grant
				who := g.Grantee
				here := false
				switch who.Kind {
				case 1:
					here = clinical
				case 2:
					here = slices.Contains(q.Actor.Roles, who.Role) && (who.Account == tx.Account{} && clinical || who.Account == q.Member.Account)
				case 3:
					here = who.Account == q.Member.Account
				case 4:
					here = who.Account == q.Actor.Account
				}
				if !here || over(g.NotBefore, g.NotAfter) || !covers(g.Purposes, q.Purpose) {
					continue
				}
				var bound *StandingProxy
				if !g.Recorded && s.By != q.Patient {
					if bound = proxyOf(s.By); bound == nil || bound.Since > s.Height {
						continue
					}
				}
				spent := g.Uses > 0 && s.Left == 0
				if q.Again {
					spent = g.Uses > 0
				}
				if slices.Contains(q.Taken, Use{g.ID, g.Version}) {
					spent = false
				}
				if g.Mask&bit != 0 && !spent && (bound == nil || bound.Proxy.Mask&bit != 0) {
					permit = true
				}
				if g.Except&bit != 0 || bound != nil && bound.Proxy.Except&bit != 0 {
					deny = true
				}
			}
		}
		if q.Requested&bit != 0 && permit && !deny {
			allowed |= bit
		}
	}
	return allowed
}

// Small worlds, so that questions and grants meet often.
var (
	some     = []tx.Account{{1}, {2}}
	patient  = tx.Account{9}
	from     = []uint64{0, 0, 0, 10, 20}
	to       = []uint64{0, 0, 0, 20, 30}
	someUse  = []Purpose{TREAT, TREAT, TREAT, COC, COC, ETREAT, BTG, ERTREAT, HPAYMT, ELIGVER, PATRQT, FAMRQT, 0, 60}
	anyClass = []governance.Class{governance.Hospital, governance.Insurer}
)

func masks() *rapid.Generator[uint64] {
	// Few slots that matter make overlaps likely.
	return rapid.Custom(func(t *rapid.T) uint64 {
		return rapid.Uint64().Draw(t, "mask") | rapid.Uint64Range(0, 255).Draw(t, "low")
	})
}

func sets() *rapid.Generator[Purposes] {
	return rapid.Custom(func(t *rapid.T) Purposes {
		set := PurposesOf(rapid.SliceOfN(rapid.SampledFrom(someUse), 1, 3).Draw(t, "purposes")...)
		if rapid.Bool().Draw(t, "usual") {
			set |= PurposesOf(TREAT, PATRQT)
		}
		return set
	})
}

func standings() *rapid.Generator[Standing] {
	return rapid.Custom(func(t *rapid.T) Standing {
		s := Standing{
			Grant: Grant{
				ID: GrantID{rapid.Byte().Draw(t, "id")}, Version: rapid.Uint64Range(1, 2).Draw(t, "version"),
				Grantee: Grantee{
					Kind:    rapid.SampledFrom([]GranteeKind{AnyClinical, AnyClinical, OfRole, OfMember, OnePractitioner, 0, 5}).Draw(t, "kind"),
					Account: rapid.SampledFrom(append([]tx.Account{{}}, some...)).Draw(t, "grantee"),
					Role:    rapid.SampledFrom([]string{"", "doctor", "nurse"}).Draw(t, "role"),
				},
				Mask: masks().Draw(t, "mask"), Except: masks().Draw(t, "except") & rapid.Uint64().Draw(t, "thin") & rapid.Uint64().Draw(t, "thinner"),
				Purposes:  sets().Draw(t, "set"),
				NotBefore: rapid.SampledFrom(from).Draw(t, "from"), NotAfter: rapid.SampledFrom(to).Draw(t, "to"),
				Uses: rapid.Uint16Range(0, 2).Draw(t, "uses"), Recorded: rapid.Bool().Draw(t, "recorded"),
			},
			By:     rapid.SampledFrom([]tx.Account{patient, {1}, {2}}).Draw(t, "by"),
			Height: rapid.Uint64Range(1, 3).Draw(t, "height"),
		}
		if s.Grant.Uses > 0 {
			s.Left = rapid.Uint16Range(0, s.Grant.Uses).Draw(t, "left")
		}
		return s
	})
}

func standingProxies() *rapid.Generator[StandingProxy] {
	return rapid.Custom(func(t *rapid.T) StandingProxy {
		return StandingProxy{
			Proxy: Proxy{
				Account: rapid.SampledFrom(some).Draw(t, "account"), Mask: masks().Draw(t, "mask"),
				Except: masks().Draw(t, "except") & rapid.Uint64().Draw(t, "thin"), Purposes: sets().Draw(t, "set"),
				NotBefore: rapid.SampledFrom(from).Draw(t, "from"), NotAfter: rapid.SampledFrom(to).Draw(t, "to"),
			},
			Since: rapid.Uint64Range(1, 3).Draw(t, "since"),
		}
	})
}

func consents() *rapid.Generator[Consents] {
	return rapid.Custom(func(t *rapid.T) Consents {
		return Consents{
			Head:    Head{Version: 7},
			Grants:  rapid.SliceOfNDistinct(standings(), 0, 6, func(s Standing) GrantID { return s.Grant.ID }).Draw(t, "grants"),
			Proxies: rapid.SliceOfNDistinct(standingProxies(), 1, 3, func(p StandingProxy) tx.Account { return p.Proxy.Account }).Draw(t, "proxies"),
		}
	})
}

func questions(c Consents) *rapid.Generator[Question] {
	return rapid.Custom(func(t *rapid.T) Question {
		member := rapid.SampledFrom(some).Draw(t, "member")
		q := Question{
			Patient: patient,
			Actor: identity.Principal{
				Account: rapid.SampledFrom([]tx.Account{{1}, {2}, patient}).Draw(t, "actor"),
				Class: rapid.SampledFrom([]ledger.Class{
					ledger.ClassPractitioner, ledger.ClassPractitioner, ledger.ClassPractitioner, ledger.ClassDevice,
					ledger.ClassPatient, ledger.ClassPatient, ledger.ClassMember, 0,
				}).Draw(t, "class"),
				Member: member, Active: rapid.IntRange(0, 9).Draw(t, "active") < 9,
				Roles: rapid.SampledFrom([][]string{nil, {"doctor"}, {"doctor", "nurse"}}).Draw(t, "roles"),
			},
			Member:    governance.Member{Account: member, Class: rapid.SampledFrom(anyClass).Draw(t, "kind"), Active: rapid.IntRange(0, 9).Draw(t, "member active") < 9},
			Purpose:   rapid.SampledFrom(someUse).Draw(t, "purpose"),
			Requested: rapid.SampledFrom([]uint64{1<<64 - 1, 0, 0xff}).Draw(t, "requested"),
			Now:       rapid.SampledFrom([]uint64{5, 10, 19, 20, 30}).Draw(t, "now"),
			Again:     rapid.Bool().Draw(t, "again"),
		}
		if rapid.IntRange(0, 9).Draw(t, "elsewhere") == 9 {
			q.Member.Account = rapid.SampledFrom(some).Draw(t, "other member")
		}
		for _, s := range c.Grants {
			if rapid.IntRange(0, 3).Draw(t, "taken") == 3 {
				q.Taken = append(q.Taken, Use{s.Grant.ID, s.Grant.Version})
			}
		}
		return q
	})
}

// TestDecideAgreesWithASecondImplementation is S7, differential.
func TestDecideAgreesWithASecondImplementation(t *testing.T) {
	up := ancestors(t)
	allowing, personal, bounded := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c := consents().Draw(t, "consents")
		for range 60 {
			q := questions(c).Draw(t, "question")
			d := Decide(q, c)
			if want := naive(up, q, c); d.Allowed != want {
				t.Fatalf("got %#x, want %#x", d.Allowed, want)
			}
			switch {
			case d.Allowed == 0:
			case q.Actor.Class == ledger.ClassPatient:
				personal++
			default:
				allowing++
				if slices.ContainsFunc(c.Grants, func(s Standing) bool {
					return slices.Contains(d.Grants, s.Grant.ID) && !s.Grant.Recorded && s.By != patient
				}) {
					bounded++
				}
			}
			checkDecision(t, q, c, d)
		}
	})
	if (allowing == 0 || personal == 0 || bounded == 0) && !testing.Short() { // a short run may miss one
		t.Errorf("allowed to %d professionals, %d persons, %d by a proxy's grant: the test shows too little", allowing, personal, bounded)
	}
}

// checkDecision checks what holds of every decision.
func checkDecision(t *rapid.T, q Question, c Consents, d Decision) {
	if d.Allowed&^q.Requested != 0 {
		t.Fatalf("allowed %#x beyond the request %#x", d.Allowed, q.Requested)
	}
	if d.Version != c.Head.Version {
		t.Fatalf("got version %d, want %d", d.Version, c.Head.Version)
	}
	if len(d.Grants) > bits.OnesCount64(d.Allowed) || (q.Again && len(d.Takes) > 0) {
		t.Fatalf("%d grants and %d uses for %#x", len(d.Grants), len(d.Takes), d.Allowed)
	}
	for _, u := range d.Takes {
		i := slices.IndexFunc(c.Grants, func(s Standing) bool { return s.Grant.ID == u.Grant && s.Grant.Version == u.Version })
		if i < 0 || c.Grants[i].Left == 0 || c.Grants[i].Grant.Uses == 0 || !slices.Contains(d.Grants, u.Grant) {
			t.Fatalf("took a use that is not there: %v", u)
		}
	}
	if again := Decide(q, c); !cmp.Equal(again, d) {
		t.Fatalf("the same question got another answer:\n%s", cmp.Diff(d, again))
	}
	shuffled := c
	shuffled.Grants = slices.Clone(c.Grants)
	slices.Reverse(shuffled.Grants)
	if other := Decide(q, shuffled); other.Allowed != d.Allowed {
		t.Fatalf("another order of the grants got %#x, want %#x", other.Allowed, d.Allowed)
	}
}

// TestRemovingAGrantNeverEnlarges is S7, monotone: removing a grant opens
// nothing but what that grant itself excepted, and nothing at all if it (and
// the proxy behind it) excepted nothing.
func TestRemovingAGrantNeverEnlarges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := consents().Filter(func(c Consents) bool { return len(c.Grants) > 0 }).Draw(t, "consents")
		q := questions(c).Draw(t, "question")
		i := rapid.IntRange(0, len(c.Grants)-1).Draw(t, "removed")
		excepted := c.Grants[i].Grant.Except
		if p, ok := c.proxy(c.Grants[i].By); ok && !c.Grants[i].Grant.Recorded {
			excepted |= p.Proxy.Except
		}
		less := c
		less.Grants = slices.Delete(slices.Clone(c.Grants), i, i+1)
		before, after := Decide(q, c).Allowed, Decide(q, less).Allowed
		if after&^before&^excepted != 0 {
			t.Fatalf("removing a grant enlarged %#x to %#x; it excepted %#x", before, after, excepted)
		}
	})
}

// TestDenyWins is S7: what a matching grant excepts, no other grant opens.
func TestDenyWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := consents().Draw(t, "consents")
		q := questions(c).Draw(t, "question")
		deny := Standing{By: patient, Grant: Grant{
			ID: GrantID{0xff, 0xff}, Version: 1, Grantee: Grantee{Kind: OnePractitioner, Account: q.Actor.Account},
			Except: masks().Draw(t, "denied"), Purposes: PurposesOf(q.Purpose), Uses: 1, // and used up
		}}
		if !q.Purpose.Known() || q.Actor.Class == ledger.ClassPatient {
			return
		}
		before := Decide(q, c).Allowed
		c.Grants = append(c.Grants, deny)
		if got, want := Decide(q, c).Allowed, before&^deny.Grant.Except; got != want {
			t.Fatalf("got %#x, want %#x", got, want)
		}
	})
}

// TestUsingUpNeverEnlarges: a grant whose last use goes, and a grant or proxy
// whose time runs out for good, open nothing. (A grant that ends takes its own
// excepts with it, as a removed one does.)
func TestUsingUpNeverEnlarges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := consents().Draw(t, "consents")
		q := questions(c).Draw(t, "question")
		before := Decide(q, c)
		spent := c
		spent.Grants = slices.Clone(c.Grants)
		for i := range spent.Grants {
			if s := &spent.Grants[i]; s.Left > 0 && rapid.Bool().Draw(t, "use") {
				s.Left--
			}
		}
		if after := Decide(q, spent).Allowed; after&^before.Allowed != 0 {
			t.Fatalf("using up grants enlarged %#x to %#x", before.Allowed, after)
		}
		// What a session took, it keeps as long as nothing else changes.
		if !q.Again {
			for _, u := range before.Takes {
				i := slices.IndexFunc(spent.Grants, func(s Standing) bool { return s.Grant.ID == u.Grant })
				spent.Grants[i].Left = 0
			}
			q.Again, q.Taken, q.Requested = true, append(q.Taken, before.Takes...), before.Allowed
			if after := Decide(q, spent).Allowed; after != before.Allowed {
				t.Fatalf("a session was granted %#x and may read %#x", before.Allowed, after)
			}
		}
	})
}
