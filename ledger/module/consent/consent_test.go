package consent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

const (
	mask   = uint64(0x00000000ffffffff) // 32 bits
	except = uint64(0x0000000000ffffff) // 24 bits of the mask
	beside = uint64(0xffffff0000000000) // 24 bits outside the mask
)

func gid(name string) consent.GrantID { h := digest("grant/" + name); return consent.GrantID(h[:16]) }

// grant makes alice's grant to the doctor for treatment; change alters it.
func grant(name string, change ...func(*consent.Grant)) *consent.Give {
	g := consent.Grant{
		ID: gid(name), Version: 1, Grantee: consent.Grantee{Kind: consent.OnePractitioner, Account: account("doctor")},
		Mask: mask, Except: beside, Purposes: consent.PurposesOf(consent.TREAT),
	}
	for _, f := range change {
		f(&g)
	}
	return &consent.Give{Patient: account("alice"), Grant: g}
}

// recorded marks a grant as taken from a form.
func recorded(g *consent.Grant) { g.Recorded, g.Document = true, digest("form") }

func version(n uint64) func(*consent.Grant) { return func(g *consent.Grant) { g.Version = n } }

func proxy(change ...func(*consent.Proxy)) *consent.SetProxy {
	p := consent.Proxy{
		Account: account("mother"), Version: 1, Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.PATRQT, consent.TREAT),
	}
	for _, f := range change {
		f(&p)
	}
	return &consent.SetProxy{Patient: account("alice"), Proxy: p, Active: true}
}

func noProxy() *consent.SetProxy {
	return &consent.SetProxy{Patient: account("alice"), Proxy: consent.Proxy{Account: account("mother")}}
}

func revoke(id consent.GrantID) *consent.Revoke {
	return &consent.Revoke{Patient: account("alice"), ID: id}
}

// may is what an actor would get now.
func (w *world) may(actor string, p consent.Purpose) uint64 {
	w.Helper()
	a, m, ok := identity.Standing(w.state, account(actor))
	if !ok {
		return 0
	}
	return consent.Evaluate(w.state, consent.Question{
		Patient: account("alice"), Actor: a, Member: m, Purpose: p, Requested: math.MaxUint64, Now: w.time,
	}).Allowed
}

func (w *world) expect(actor string, p consent.Purpose, want uint64) {
	w.Helper()
	if got := w.may(actor, p); got != want {
		w.Errorf("%s for %s: got %#x, want %#x", actor, p, got, want)
	}
}

func TestAGrantNamesWhoAndForWhat(t *testing.T) {
	people := []string{"doctor", "emergency doctor", "nurse", "adjudicator"} // of the clinic, the clinic, the hospital, the insurer
	for _, tt := range []struct {
		name    string
		grantee consent.Grantee
		want    []string
	}{
		{"any clinical", consent.Grantee{Kind: consent.AnyClinical}, people[:3]},
		{"a role anywhere clinical", consent.Grantee{Kind: consent.OfRole, Role: "doctor"}, people[:2]},
		{"a role at a member", consent.Grantee{Kind: consent.OfRole, Role: "nurse", Account: account("hospital")}, people[2:3]},
		{"a role at another member", consent.Grantee{Kind: consent.OfRole, Role: "nurse", Account: account("clinic")}, nil},
		{"a role that is not clinical", consent.Grantee{Kind: consent.OfRole, Role: "payer"}, nil},
		{"a role at a payer", consent.Grantee{Kind: consent.OfRole, Role: "payer", Account: account("insurer")}, people[3:]},
		{"a clinical member", consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}, people[:2]},
		{"another member", consent.Grantee{Kind: consent.OfMember, Account: account("insurer")}, people[3:]},
		{"one practitioner", consent.Grantee{Kind: consent.OnePractitioner, Account: account("nurse")}, people[2:3]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.must("alice", consent.KindGrant, grant("a", func(g *consent.Grant) { g.Grantee = tt.grantee }))
			var got []string
			for _, p := range people {
				switch w.may(p, consent.TREAT) {
				case mask:
					got = append(got, p)
				case 0:
				default:
					t.Errorf("%s: got something else than the mask", p)
				}
				w.expect(p, consent.BTG, 0)
				w.expect(p, consent.ETREAT, 0)
				w.expect(p, consent.HPAYMT, 0)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("who may read differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAGrantHoldsForItsPeriod(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a", func(g *consent.Grant) { g.NotBefore, g.NotAfter = w.time+100, w.time+200 }))
	for range 5 {
		want := uint64(0)
		if since := w.time - start; since >= 110 && since < 210 { // newWorld took 10 s
			want = mask
		}
		w.expect("doctor", consent.TREAT, want)
		w.block(50)
	}
}

func TestAReplacementAndARevocationHoldAtOnce(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a"))
	w.must("alice", consent.KindGrant, grant("b", func(g *consent.Grant) { g.Mask, g.Except = mask<<32, beside>>8 }))
	w.expect("doctor", consent.TREAT, (mask|mask<<32)&^beside&^(beside>>8))
	w.must("alice", consent.KindGrant, grant("a", version(2), func(g *consent.Grant) { g.Except = except }))
	w.expect("doctor", consent.TREAT, (mask|mask<<32)&^except&^(beside>>8))
	w.must("alice", consent.KindRevoke, revoke(gid("a")))
	w.expect("doctor", consent.TREAT, mask<<32&^(beside>>8))
	w.must("alice", consent.KindRevoke, revoke(consent.GrantID{}))
	w.expect("doctor", consent.TREAT, 0)
	if got := consent.HeadOf(w.state, account("alice")); got != (consent.Head{Version: 5}) {
		t.Errorf("got head %+v, want version 5 and no grants", got)
	}
	// A device that missed the revocation cannot undo it by a higher version.
	w.refuse(consent.ErrVersion, "alice", consent.KindGrant, grant("a", version(3)))
	if got := w.chain(); got != 6 { // enrolled, two granted, one changed, two revoked
		t.Errorf("got %d audit entries, want 6", got)
	}
}

func TestTheStewardRecordsAndOverridesNothing(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("hers"))
	w.must("hospital", consent.KindGrant, grant("form", recorded))
	w.must("hospital", consent.KindGrant, grant("form", recorded, version(2)))
	w.refuse(consent.ErrOverride, "hospital", consent.KindGrant, grant("hers", recorded, version(2)))
	w.refuse(consent.ErrOverride, "hospital", consent.KindRevoke, revoke(gid("hers")))
	w.must("hospital", consent.KindRevoke, revoke(consent.GrantID{}))
	if _, ok := consent.LookupGrant(w.state, account("alice"), gid("form")); ok {
		t.Error("the recorded grant is still there")
	}
	if _, ok := consent.LookupGrant(w.state, account("alice"), gid("hers")); !ok {
		t.Error("the steward revoked what the patient signed")
	}
	w.must("hospital", consent.KindGrant, grant("form", recorded))
	w.must("alice", consent.KindGrant, grant("form", version(2)))
	w.refuse(consent.ErrOverride, "hospital", consent.KindRevoke, revoke(gid("form")))
	w.must("alice", consent.KindProxy, proxy())
	w.refuse(consent.ErrOverride, "hospital", consent.KindProxy, &consent.SetProxy{
		Patient: account("alice"), Proxy: consent.Proxy{Account: account("mother"), Recorded: true, Document: digest("form")},
	})
}

func TestAProxyActsWithinItsBounds(t *testing.T) {
	w := newWorld(t)
	w.refuse(consent.ErrSigner, "mother", consent.KindGrant, grant("m"))
	w.must("alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.NotAfter = w.time + 1000 }))
	bounded := func(g *consent.Grant) { g.NotAfter = w.time + 500 }
	w.refuse(consent.ErrProxyExceeds, "mother", consent.KindGrant, grant("m"))
	w.refuse(consent.ErrProxyExceeds, "mother", consent.KindGrant, grant("m", func(g *consent.Grant) { g.NotAfter = w.time + 1001 }))
	for _, p := range []consent.Purpose{consent.HRESCH, consent.ETREAT, consent.BTG, consent.HMARKT} {
		w.refuse(consent.ErrProxyExceeds, "mother", consent.KindGrant, grant("m", bounded, func(g *consent.Grant) { g.Purposes |= consent.PurposesOf(p) }))
	}
	wide := func(g *consent.Grant) { g.Mask = math.MaxUint64 << 16 & (1<<48 - 1) }
	w.must("mother", consent.KindGrant, grant("m", bounded, wide))
	// Her masks bound the grant without a word: 16..47 of the grant, 0..31 less 0..23 of hers.
	w.expect("doctor", consent.TREAT, 0xff000000)
	w.expect("mother", consent.PATRQT, mask&^except)
	w.expect("mother", consent.TREAT, 0)

	// She changes what she signed, and recorded grants within her purposes.
	w.must("alice", consent.KindGrant, grant("hers"))
	w.refuse(consent.ErrOverride, "mother", consent.KindRevoke, revoke(gid("hers")))
	w.refuse(consent.ErrOverride, "mother", consent.KindGrant, grant("hers", bounded, version(2)))
	w.must("hospital", consent.KindGrant, grant("form", recorded))
	w.must("mother", consent.KindRevoke, revoke(gid("form")))
	w.must("hospital", consent.KindGrant, grant("study", recorded, func(g *consent.Grant) { g.Purposes = consent.PurposesOf(consent.HRESCH) }))
	w.refuse(consent.ErrOverride, "mother", consent.KindRevoke, revoke(gid("study")))
	w.must("alice", consent.KindRevoke, revoke(gid("hers")))
	w.refuse(consent.ErrDelegation, "mother", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Account = account("bob") }))

	// Narrowing the proxy narrows what she granted; ending her ends it, for good.
	w.must("alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Version, p.Purposes = 2, consent.PurposesOf(consent.PATRQT) }))
	w.expect("doctor", consent.TREAT, 0)
	w.must("alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Version = 3 }))
	w.expect("doctor", consent.TREAT, 0xff000000)
	w.must("alice", consent.KindProxy, noProxy())
	w.expect("doctor", consent.TREAT, 0)
	w.block(5)
	w.must("alice", consent.KindProxy, proxy())
	w.expect("doctor", consent.TREAT, 0)
	w.must("mother", consent.KindGrant, grant("m", version(2)))
	w.expect("doctor", consent.TREAT, 0x00000000ff000000)
}

// TestAParentEndsAtMajority lets a proxy end by time alone.
func TestAParentEndsAtMajority(t *testing.T) {
	w := newWorld(t)
	p := proxy(func(p *consent.Proxy) {
		p.NotAfter, p.Recorded, p.Document = w.time+100, true, digest("birth certificate")
	})
	w.must("hospital", consent.KindProxy, p)
	w.must("mother", consent.KindGrant, grant("m", func(g *consent.Grant) { g.NotAfter = w.time + 100 }))
	w.expect("mother", consent.PATRQT, mask&^except)
	w.expect("doctor", consent.TREAT, mask&^except)
	w.block(100)
	w.expect("mother", consent.PATRQT, 0)
	w.expect("doctor", consent.TREAT, 0)
	w.refuse(consent.ErrSigner, "mother", consent.KindGrant, grant("m", version(2)))
}

// TestAGuardianEndsByAForm lets the steward end a guardian by a court's order: what she gave ends with her, and she gives nothing new.
func TestAGuardianEndsByAForm(t *testing.T) {
	w := newWorld(t)
	form := func(p *consent.Proxy) { p.Recorded, p.Document = true, digest("birth certificate") }
	w.must("hospital", consent.KindProxy, proxy(form))
	w.must("mother", consent.KindGrant, grant("m"))
	w.expect("doctor", consent.TREAT, mask&^except)
	order := noProxy()
	order.Proxy.Recorded, order.Proxy.Document = true, digest("the court's order")
	w.refuse(consent.ErrSigner, "doctor", consent.KindProxy, order)
	w.must("hospital", consent.KindProxy, order)
	w.expect("doctor", consent.TREAT, 0)
	w.expect("mother", consent.PATRQT, 0)
	w.refuse(consent.ErrSigner, "mother", consent.KindGrant, grant("m", version(2)))
	w.refuse(consent.ErrSigner, "mother", consent.KindGrant, grant("new"))
	// One that the patient named herself the steward does not end.
	w.must("alice", consent.KindProxy, proxy())
	w.refuse(consent.ErrOverride, "hospital", consent.KindProxy, order)
}

// TestEveryRefusal provokes each code of the module.
func TestEveryRefusal(t *testing.T) {
	w := newWorld(t)
	seen := map[uint32]bool{}
	check := func(want *tx.Refusal, by string, kind tx.Kind, m tx.Message) {
		t.Helper()
		seen[want.Code] = true
		w.refuse(want, by, kind, m)
	}
	give := func(want *tx.Refusal, by string, change ...func(*consent.Grant)) {
		t.Helper()
		check(want, by, consent.KindGrant, grant("x", change...))
	}
	to := func(g consent.Grantee) func(*consent.Grant) {
		return func(x *consent.Grant) { x.Grantee = g }
	}

	for _, p := range []tx.Account{{}, account("nobody"), account("clinic"), account("doctor")} {
		m := grant("x")
		m.Patient = p
		check(consent.ErrPatient, "alice", consent.KindGrant, m)
		check(consent.ErrPatient, "alice", consent.KindRevoke, &consent.Revoke{Patient: p})
		pr := proxy()
		pr.Patient = p
		check(consent.ErrPatient, "alice", consent.KindProxy, pr)
		c := change([]consent.GrantID{gid("x")})
		c.Patient = p
		check(consent.ErrPatient, "alice", consent.KindChange, c)
	}
	check(consent.ErrChange, "alice", consent.KindChange, change(nil))
	check(consent.ErrChange, "alice", consent.KindChange, change([]consent.GrantID{gid("x"), gid("x")}))
	check(consent.ErrChange, "alice", consent.KindChange, change(nil, grant("x"), grant("x", version(2))))
	check(consent.ErrChange, "alice", consent.KindChange, change([]consent.GrantID{gid("x"), gid("y")}, grant("x")))
	unsorted := change([]consent.GrantID{gid("x"), gid("y")}, grant("z"), grant("u"))
	slices.Reverse(unsorted.Give)
	check(consent.ErrChange, "alice", consent.KindChange, unsorted)
	slices.Reverse(unsorted.Give)
	slices.Reverse(unsorted.Revoke)
	check(consent.ErrChange, "alice", consent.KindChange, unsorted)
	check(consent.ErrGrantID, "alice", consent.KindChange, change([]consent.GrantID{{}, gid("x")}))
	check(consent.ErrMask, "alice", consent.KindChange, change(nil, grant("x"), grant("y", func(g *consent.Grant) { g.Mask = 1 })))
	give(consent.ErrGrantID, "alice", func(g *consent.Grant) { g.ID = consent.GrantID{} })
	for _, m := range []uint64{0, mask << 1 >> 2, mask | 1<<63, math.MaxUint64} {
		give(consent.ErrMask, "alice", func(g *consent.Grant) { g.Mask = m })
		check(consent.ErrMask, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Mask = m }))
	}
	for _, m := range []uint64{0, except >> 1, except | 1<<63, math.MaxUint64} {
		give(consent.ErrExcept, "alice", func(g *consent.Grant) { g.Except = m })
		check(consent.ErrExcept, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Except = m }))
	}
	for _, s := range []consent.Purposes{0, 1, 1 << 60, 1<<60 | 2} {
		give(consent.ErrPurposes, "alice", func(g *consent.Grant) { g.Purposes = s })
		check(consent.ErrPurposes, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Purposes = s }))
	}
	give(consent.ErrPeriod, "alice", func(g *consent.Grant) { g.NotBefore, g.NotAfter = w.time+10, w.time+10 })
	check(consent.ErrPeriod, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.NotBefore, p.NotAfter = 20, 10 }))
	give(consent.ErrEnded, "alice", func(g *consent.Grant) { g.NotAfter = w.time })
	check(consent.ErrEnded, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.NotAfter = w.time }))
	for _, g := range []consent.Grantee{
		{},
		{Kind: 5},
		{Kind: consent.AnyClinical, Role: "doctor"},
		{Kind: consent.AnyClinical, Account: account("clinic")},
		{Kind: consent.OfMember},
		{Kind: consent.OfMember, Account: account("clinic"), Role: "doctor"},
		{Kind: consent.OnePractitioner},
		{Kind: consent.OnePractitioner, Account: account("doctor"), Role: "doctor"},
	} {
		give(consent.ErrGrantee, "alice", to(g))
	}
	for _, r := range []string{"", "a role", "rôle", fmt.Sprintf("%065d", 1)} {
		give(consent.ErrRole, "alice", to(consent.Grantee{Kind: consent.OfRole, Role: r}))
	}
	for _, g := range []consent.Grantee{
		{Kind: consent.OfMember, Account: account("nobody")},
		{Kind: consent.OfMember, Account: account("doctor")},
		{Kind: consent.OnePractitioner, Account: account("clinic")},
		{Kind: consent.OnePractitioner, Account: account("bob")},
		{Kind: consent.OfRole, Role: "doctor", Account: account("nobody")},
	} {
		give(consent.ErrUnknownGrantee, "alice", to(g))
	}
	give(consent.ErrVersion, "alice", version(0))
	give(consent.ErrVersion, "alice", version(2))
	check(consent.ErrVersion, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Version = 0 }))
	check(consent.ErrVersion, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Version = 2 }))
	give(consent.ErrDocument, "hospital", func(g *consent.Grant) { g.Recorded = true })
	check(consent.ErrDocument, "hospital", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Recorded = true }))
	give(consent.ErrRecorded, "alice", recorded)
	give(consent.ErrRecorded, "hospital")
	check(consent.ErrRecorded, "hospital", consent.KindProxy, proxy())
	for _, by := range []string{"bob", "doctor", "clinic", "nurse", "mother"} {
		give(consent.ErrSigner, by)
		check(consent.ErrSigner, by, consent.KindRevoke, revoke(consent.GrantID{}))
		check(consent.ErrSigner, by, consent.KindProxy, proxy())
		check(consent.ErrSigner, by, consent.KindChange, change(nil, grant("x")))
	}
	w.unverified = true
	give(consent.ErrUserVerification, "alice")
	check(consent.ErrUserVerification, "alice", consent.KindRevoke, revoke(gid("x")))
	check(consent.ErrUserVerification, "alice", consent.KindChange, change(nil, grant("x")))
	w.unverified = false
	check(consent.ErrUnknownGrant, "alice", consent.KindRevoke, revoke(gid("x")))
	check(consent.ErrUnknownGrant, "alice", consent.KindRevoke, revoke(consent.GrantID{}))
	check(consent.ErrUnknownProxy, "alice", consent.KindProxy, noProxy())
	for _, a := range []tx.Account{{}, account("alice"), account("nobody"), account("doctor"), account("clinic")} {
		check(consent.ErrProxyAccount, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Account = a }))
	}

	identity.Lock(w.context(w.state, ledger.Signer{}), account("alice"), digest("a recovery"))
	give(consent.ErrLocked, "alice")
	give(consent.ErrLocked, "hospital", recorded)
	check(consent.ErrLocked, "alice", consent.KindProxy, proxy())
	check(consent.ErrUnknownGrant, "alice", consent.KindRevoke, revoke(gid("x")))
	identity.Unlock(w.context(w.state, ledger.Signer{}), account("alice"))

	w.must("alice", consent.KindGrant, grant("hers"))
	check(consent.ErrVersion, "alice", consent.KindGrant, grant("hers"))
	check(consent.ErrOverride, "hospital", consent.KindRevoke, revoke(gid("hers")))
	check(consent.ErrOverride, "hospital", consent.KindChange, change([]consent.GrantID{gid("hers")}, grant("x", recorded)))
	check(consent.ErrUnknownGrant, "alice", consent.KindChange, change([]consent.GrantID{gid("x")}, grant("y")))
	w.must("alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.NotAfter = w.time + 10 }))
	check(consent.ErrProxyExceeds, "mother", consent.KindGrant, grant("x"))
	check(consent.ErrDelegation, "mother", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Account = account("bob") }))

	for i := 1; i < consent.MaxGrants; i++ {
		w.must("alice", consent.KindGrant, grant(fmt.Sprint(i)))
	}
	give(consent.ErrTooManyGrants, "alice")
	w.must("alice", consent.KindGrant, grant("hers", version(2)))
	for i := 1; i < consent.MaxProxies; i++ {
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(fmt.Sprint("carer ", i)), Keys: []tx.PublicKey{key(fmt.Sprint(i))}})
		w.must("alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Account = account(fmt.Sprint("carer ", i)) }))
	}
	check(consent.ErrTooManyProxies, "alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.Account = account("bob") }))

	for _, q := range consent.Module().Queries {
		if _, err := q.Answer(w.state, ledger.Head{}, []byte{0xff}); !errors.Is(err, consent.ErrQuery) {
			t.Errorf("%s: got %v, want %v", q.Path, err, consent.ErrQuery)
		}
		seen[consent.ErrQuery.Code] = true
	}
	for _, c := range consent.Codes() {
		if !seen[c.Code] {
			t.Errorf("no test provokes %s (%#04x)", c.Name, c.Code)
		}
	}
}

func TestQueriesAnswer(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a", func(g *consent.Grant) { g.NotAfter = w.time + 50 }))
	w.must("alice", consent.KindProxy, proxy())
	ask := func(path string, arg, answer any) error {
		t.Helper()
		for _, q := range consent.Module().Queries {
			if q.Path == path {
				b, err := q.Answer(w.state, ledger.Head{Time: w.time}, tx.MustEncode(arg))
				if err == nil {
					err = tx.Decode(b, answer)
				}
				return err
			}
		}
		return errors.New("no query " + path)
	}
	var all consent.Consents
	if err := ask("consent/grants", consent.ByPatient{Patient: account("alice")}, &all); err != nil || len(all.Grants) != 1 || len(all.Proxies) != 1 || all.Head.Version != 2 {
		t.Errorf("got %+v, %v", all, err)
	}
	var one consent.Standing
	if err := ask("consent/grant", consent.ByGrant{Patient: account("alice"), ID: gid("a")}, &one); err != nil || one.Grant.ID != gid("a") {
		t.Errorf("got %+v, %v", one, err)
	}
	if err := ask("consent/grant", consent.ByGrant{Patient: account("alice"), ID: gid("b")}, new(consent.Standing)); !errors.Is(err, consent.ErrUnknownGrant) {
		t.Errorf("got %v, want %v", err, consent.ErrUnknownGrant)
	}
	for _, tt := range []struct {
		actor string
		now   uint64
		want  uint64
	}{{"doctor", 0, mask}, {"doctor", w.time + 49, mask}, {"doctor", w.time + 50, 0}, {"nurse", 0, 0}, {"nobody", 0, 0}} {
		var a consent.Answer
		q := consent.Ask{Patient: account("alice"), Actor: account(tt.actor), Purpose: consent.TREAT, Requested: math.MaxUint64, Now: tt.now}
		if err := ask("consent/evaluate", q, &a); err != nil || a.Allowed != tt.want || a.Version != 2 {
			t.Errorf("%s at %d: got %+v, %v, want %#x", tt.actor, tt.now, a, err, tt.want)
		}
	}
}

func TestMessagesHaveAJSONForm(t *testing.T) {
	for _, m := range []tx.Message{grant("a", recorded), revoke(gid("a")), proxy()} {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again := map[string]tx.Message{
			"*consent.Give": new(consent.Give), "*consent.Revoke": new(consent.Revoke), "*consent.SetProxy": new(consent.SetProxy),
		}[fmt.Sprintf("%T", m)]
		if err := json.Unmarshal(b, again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", b, diff)
		}
	}
	for _, bad := range []string{`{"id":"00"}`, `{"id":"zz"}`, `{"grant":{"grantee":{"kind":"everybody"}}}`, `{"grant":{"purposes":["NONE"]}}`} {
		if json.Unmarshal([]byte(bad), new(consent.Revoke)) == nil && json.Unmarshal([]byte(bad), new(consent.Give)) == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func TestRefNamesIDAndVersion(t *testing.T) {
	got := consent.Ref(consent.GrantID{1, 2}, 3)
	if want := (tx.Hash{0: 1, 1: 2, 23: 3}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a"))
	if at, ok := audit.At(w.state, account("alice")); !ok || at.Seq != 2 {
		t.Errorf("got %+v, want a second entry in the chain", at)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			for i := range n {
				w.must("alice", consent.KindGrant, grant(fmt.Sprint(i)))
			}
			b.ResetTimer()
			for b.Loop() {
				if w.may("doctor", consent.TREAT) == 0 {
					b.Fatal("denied")
				}
			}
		})
	}
}

func TestKeysNameRows(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a"))
	for _, key := range [][]byte{consent.GrantKey(account("alice"), gid("a")), consent.HeadKey(account("alice"))} {
		if _, ok := w.state.Get(key); !ok {
			t.Errorf("there is no row under %x", key)
		}
	}
	w.must("alice", consent.KindRevoke, revoke(gid("a")))
	if _, ok := w.state.Get(consent.GrantKey(account("alice"), gid("a"))); ok {
		t.Error("a revoked grant still has a row")
	}
}

func TestGenesisHasNothingToSet(t *testing.T) {
	w := newWorld(t)
	for raw, want := range map[string]bool{"": true, "{}": true, " null ": true, `{"grants":[]}`: false} {
		if err := consent.Module().Genesis(w.context(w.state, ledger.Signer{}), []byte(raw)); (err == nil) != want {
			t.Errorf("%q: got %v, want accepted %v", raw, err, want)
		}
	}
}
