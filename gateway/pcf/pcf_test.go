package pcf

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/fhir"
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// allowed asks the ledger's own decision about a record of these labels.
func allowed(t testing.TB, slots *record.SlotMap, c consent.Consents, q asked, actor identity.Principal, member governance.Member) bool {
	t.Helper()
	var labels []fhir.Label
	for _, l := range q.labels {
		labels = append(labels, fhir.Label(l))
	}
	mask, err := slots.Mask(labels)
	if err != nil {
		t.Fatal(err)
	}
	purpose, err := consent.ParsePurpose(q.purpose)
	if err != nil {
		t.Fatal(err)
	}
	d := consent.Decide(consent.Question{
		Patient: account("alice"), Actor: actor, Member: member, Purpose: purpose, Requested: ^uint64(0), Now: uint64(q.now),
	}, c)
	return mask&^d.Allowed == 0
}

// standings puts wishes on no ledger, as they would stand there.
func standings(t testing.TB, random *rand.ChaCha8, slots *record.SlotMap, wishes []Wish) (out []consent.Standing) {
	t.Helper()
	for i, w := range wishes {
		g, err := w.Grant(random, slots)
		if err != nil {
			t.Fatal(err)
		}
		g.ID, g.Version = Group{1, 2, 3}.part(byte(i)), 1
		if err := g.Validate(); err != nil {
			t.Fatalf("the ledger would refuse the grant: %v", err)
		}
		out = append(out, consent.Standing{Grant: g, By: account("alice"), Height: 5, Left: g.Uses})
	}
	return out
}

func slotMap(t testing.TB) (*record.SlotMap, *rand.ChaCha8) {
	random := rand.NewChaCha8([32]byte{7})
	m, err := record.NewSlotMap(random)
	if err != nil {
		t.Fatal(err)
	}
	return m, random
}

func options() Options {
	return Options{Patient: account("alice"), Steward: account("hospital"), Community: []tx.Account{account("insurer"), account("institute")}}
}

// genGrantees makes every kind of grantee.
var genGrantees = rapid.Custom(func(t *rapid.T) consent.Grantee {
	members := rapid.SampledFrom([]string{"hospital", "clinic", "insurer"})
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return consent.Grantee{Kind: consent.AnyClinical}
	case 1:
		return consent.Grantee{Kind: consent.OfRole, Role: rapid.SampledFrom([]string{"doctor", "nucc|207R00000X", "urn:x:y/z"}).Draw(t, "role")}
	case 2:
		return consent.Grantee{Kind: consent.OfRole, Role: "doctor", Account: account(members.Draw(t, "member"))}
	case 3:
		return consent.Grantee{Kind: consent.OfMember, Account: account(members.Draw(t, "member"))}
	}
	return consent.Grantee{Kind: consent.OnePractitioner, Account: account(rapid.SampledFrom([]string{"doctor", "nurse"}).Draw(t, "who"))}
})

var genWishes = rapid.Custom(func(t *rapid.T) []Wish {
	sets := rapid.OneOf(rapid.SampledFrom([]Labels{0, 0, kinds, usual, everything, everything &^ kinds, veryOnly, LabelsOf(fhir.HIV)}), rapid.Custom(func(t *rapid.T) Labels {
		return Labels(rapid.Uint32().Draw(t, "labels")) & everything
	}))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Wish {
		w := Wish{
			Grantee: genGrantees.Draw(t, "grantee"), Allow: sets.Draw(t, "allow"), Deny: sets.Draw(t, "deny") & sets.Draw(t, "thin"),
			Purposes: consent.PurposesOf(rapid.SliceOfN(rapid.SampledFrom(everyPurpose.List()), 1, 4).Draw(t, "purposes")...),
			Uses:     rapid.SampledFrom([]uint16{0, 0, 0, 1, 65535}).Draw(t, "uses"),
		}
		w.NotBefore = rapid.SampledFrom([]uint64{0, 0, 1, start, start + 7}).Draw(t, "from")
		w.NotAfter = rapid.SampledFrom([]uint64{0, 0, start + 100, start + 86_400, 4_000_000_000}).Draw(t, "to")
		if w.NotAfter != 0 && w.NotAfter <= w.NotBefore {
			w.NotAfter = 0
		}
		return w
	}), 1, 6).Draw(t, "wishes")
})

// TestWhatIsOnTheLedgerReadsBackAsTheSame: ToWishes(FromGrants(g)) says what g says.
func TestWhatIsOnTheLedgerReadsBackAsTheSame(t *testing.T) {
	slots, random := slotMap(t)
	levels := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		want := Canonical(genWishes.Draw(rt, "wishes"))
		if again := Canonical(want); !cmp.Equal(again, want) {
			rt.Fatalf("canonical wishes are not their own canonical form:\n%s", cmp.Diff(want, again))
		}
		body, err := FromGrants(standings(t, random, slots, want), slots, Frame{Patient: account("alice"), Steward: account("hospital"), Active: true, Updated: time.Unix(start, 0)})
		if err != nil {
			rt.Fatal(err)
		}
		got, notes, err := ToWishes(body, options())
		if err != nil {
			rt.Fatalf("%v\n%s", issues(err), body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("differs (-want +got):\n%s\n%s", diff, body)
		}
		for _, n := range notes {
			if n.Code != CodeDissent {
				rt.Fatalf("a note about what this room wrote itself: %+v", n)
			}
		}
		var c consentJSON
		if err := json.Unmarshal(body, &c); err != nil {
			rt.Fatal(err)
		}
		levels[c.Meta.Profile[0]]++
	})
	for _, p := range []string{ProfileBasic, ProfileIntermediate, ProfileAdvanced} {
		if levels[p] == 0 && !testing.Short() {
			t.Logf("no case of %s", p)
		}
	}
}

// genConsent makes a posted Consent.
func genConsent(t *rapid.T) []byte {
	actors := []string{
		"", "", "Practitioner/" + account("doctor").String(), "Practitioner/" + account("adjudicator").String(),
		"Organization/" + account("clinic").String(), "Organization/" + account("insurer").String(), "role:doctor", "role:doctor@" + account("hospital").String(), "any",
	}
	codes := []Coding{
		{systemConfidentiality, "N"},
		{systemConfidentiality, "R"},
		{systemConfidentiality, "V"},
		{systemActCode, "PSY"},
		{systemActCode, "HIV"},
		{systemActCode, "SUD"},
		{systemActCode, "ETH"},
		{systemActCode, "OPIOIDUD"},
		{systemActCode, "MH"},
		{SystemLabel, "laboratory"},
		{SystemLabel, "medication"},
		{SystemLabel, "R"},
		{SystemLabel, "all"},
	}
	denied := slices.DeleteFunc(slices.Clone(codes), func(c Coding) bool { return c.Code == "N" })
	var provision func(depth int) map[string]any
	provision = func(depth int) map[string]any {
		typ := rapid.SampledFrom([]string{"permit", "permit", "deny"}).Draw(t, "type")
		p := map[string]any{"type": typ}
		var who []any
		for range rapid.IntRange(0, 2).Draw(t, "actors") {
			ref := map[string]any{}
			switch a := rapid.SampledFrom(actors).Draw(t, "actor"); {
			case a == "":
				continue
			case a == "any":
				ref["identifier"] = map[string]any{"system": SystemCommunity, "value": "any-clinical"}
			case strings.HasPrefix(a, "role:"):
				ref["identifier"] = map[string]any{"system": SystemRole, "value": a[5:]}
			default:
				ref["reference"] = a
			}
			who = append(who, map[string]any{"role": map[string]any{"coding": []any{map[string]any{"system": systemParticipation, "code": "IRCP"}}}, "reference": ref})
		}
		if who != nil {
			p["actor"] = who
		}
		var use []any
		for _, u := range rapid.SliceOfN(rapid.SampledFrom([]string{"TREAT", "COC", "ETREAT", "BTG", "HPAYMT", "ELIGVER", "HOPERAT", "HRESCH", "DSRCH"}), 0, 3).Draw(t, "purposes") {
			use = append(use, map[string]any{"system": systemReason, "code": u})
		}
		if use != nil {
			p["purpose"] = use
		}
		from := codes
		if typ == "deny" {
			from = denied
		}
		var labels []any
		for _, c := range rapid.SliceOfN(rapid.SampledFrom(from), 0, 2).Draw(t, "labels") {
			labels = append(labels, map[string]any{"system": c.System, "code": c.Code})
		}
		if labels != nil {
			p["securityLabel"] = labels
		}
		period := map[string]any{}
		if s := rapid.SampledFrom([]string{"", "", "2027-01-15", "2027-01-15T08:00:10Z"}).Draw(t, "start"); s != "" {
			period["start"] = s
		}
		if e := rapid.SampledFrom([]string{"", "", "2027-01-15", "2027-01-16T09:00:10+01:00"}).Draw(t, "end"); e != "" {
			period["end"] = e
		}
		if len(period) > 0 {
			p["period"] = period
		}
		if depth == 0 {
			var nested []any
			for range rapid.IntRange(0, 3).Draw(t, "nested") {
				nested = append(nested, provision(1))
			}
			if nested != nil {
				p["provision"] = nested
			}
		}
		return p
	}
	c := posting()
	c["provision"] = provision(0)
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// posting is a Consent of alice's without a provision.
func posting() map[string]any {
	coding := func(system, code string) map[string]any {
		return map[string]any{"coding": []any{map[string]any{"system": system, "code": code}}}
	}
	alice := map[string]any{"reference": "Patient/" + account("alice").String()}
	return map[string]any{
		"resourceType": "Consent", "status": "active", "scope": coding(systemScope, "patient-privacy"), "category": []any{coding(systemLOINC, "59284-0")},
		"patient": alice, "dateTime": "2027-01-14", "performer": []any{alice}, "organization": []any{map[string]any{"reference": "Organization/x"}},
		"sourceReference": map[string]any{"reference": "DocumentReference/x"}, "policy": []any{map[string]any{"uri": PolicySalus}},
	}
}

// TestTheLedgerDecidesAsTheConsentSays compares the ledger's decision with a second reading of the
// posted Consent, over generated Consents and questions.
func TestTheLedgerDecidesAsTheConsentSays(t *testing.T) {
	slots, random := slotMap(t)
	o := oracle{up: purposes(t), policyUse: []string{"TREAT", "HPAYMT", "HOPERAT"}}
	people := []struct {
		name, member string
		class        governance.Class
		roles        []string
	}{
		{"doctor", "clinic", governance.Clinic, []string{"doctor"}},
		{"surgeon", "hospital", governance.Hospital, []string{"doctor"}},
		{"nurse", "hospital", governance.Hospital, []string{"nurse"}},
		{"adjudicator", "insurer", governance.Insurer, []string{"payer"}},
		{"researcher", "institute", governance.Research, []string{"doctor"}},
	}
	var all []string
	for _, l := range fhir.AllLabels() {
		all = append(all, string(l))
	}
	permitted, denied, refused := 0, 0, map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		body := genConsent(rt)
		wishes, _, err := ToWishes(body, options())
		if err != nil {
			for _, i := range issues(err) {
				refused[i.Code]++
				if i.Code != CodeLabelAlone && i.Code != CodeLabelFiner {
					rt.Fatalf("%+v\n%s", i, body)
				}
			}
			return
		}
		c := consent.Consents{Grants: standings(t, random, slots, wishes)}
		for range 40 {
			p := rapid.SampledFrom(people).Draw(rt, "who")
			q := asked{
				practitioner: account(p.name).String(), member: account(p.member).String(), clinical: p.class.Clinical(), roles: p.roles,
				purpose: rapid.SampledFrom([]string{"TREAT", "TREAT", "COC", "ETREAT", "BTG", "HPAYMT", "ELIGVER", "HOPERAT", "HRESCH", "DSRCH", "CAREMGT"}).Draw(rt, "purpose"),
				labels:  append([]string{rapid.SampledFrom([]string{"laboratory", "medication", "condition"}).Draw(rt, "kind")}, rapid.SliceOfN(rapid.SampledFrom(all), 0, 2).Draw(rt, "more")...),
				now:     start + rapid.SampledFrom([]int64{-1, 9, 10, 11, 57_599, 57_600, 86_400, 86_411, 200_000}).Draw(rt, "now"),
			}
			actor := identity.Principal{Account: account(p.name), Class: ledger.ClassPractitioner, Member: account(p.member), Active: true, Roles: p.roles}
			got := allowed(t, slots, c, q, actor, governance.Member{Account: account(p.member), Class: p.class, Active: true})
			want := o.permits(t, body, q)
			if got != want {
				rt.Fatalf("the ledger says %v, the Consent %v, to %s %+v\n%s\n%+v", got, want, p.name, q, body, wishes)
			}
			if want {
				permitted++
			} else {
				denied++
			}
		}
	})
	t.Logf("%d permitted, %d denied; Consents refused: %v", permitted, denied, refused)
	if permitted < 200 && !testing.Short() {
		t.Errorf("only %d questions were permitted: the test shows too little", permitted)
	}
}

// TestDenialsOfAnyConsentWin is C-11 over generated pairs: what one of two Consents denies is denied,
// and what neither speaks of is not permitted.
func TestDenialsOfAnyConsentWin(t *testing.T) {
	slots, random := slotMap(t)
	o := oracle{up: purposes(t), policyUse: []string{"TREAT", "HPAYMT", "HOPERAT"}}
	permitted, overruled := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var bodies [][]byte
		var c consent.Consents
		for n := range 2 {
			body := genConsent(rt)
			wishes, notes, err := ToWishes(body, options())
			if err != nil || slices.ContainsFunc(notes, func(i Issue) bool { return i.Code == CodeDissent }) {
				return // an exception within a denial is weaker against other Consents, and says so
			}
			for _, s := range standings(t, random, slots, wishes) {
				s.Grant.ID[0] = byte(n)
				c.Grants = append(c.Grants, s)
			}
			bodies = append(bodies, body)
		}
		for range 20 {
			q := asked{
				practitioner: account("doctor").String(), member: account("clinic").String(), clinical: true, roles: []string{"doctor"}, now: start + 10,
				purpose: rapid.SampledFrom([]string{"TREAT", "COC", "BTG", "HPAYMT", "HOPERAT"}).Draw(rt, "purpose"),
				labels:  []string{"laboratory", rapid.SampledFrom([]string{"laboratory", "HIV", "PSY", "R", "SUD"}).Draw(rt, "label")},
			}
			want := true
			for _, l := range q.labels {
				verdicts := map[string]bool{}
				for _, body := range bodies {
					var r object
					if err := json.Unmarshal(body, &r); err != nil {
						rt.Fatal(err)
					}
					verdicts[o.decide(r["provision"].(object), l, q)] = true
				}
				want = want && verdicts["permit"] && !verdicts["deny"]
				if verdicts["permit"] && verdicts["deny"] {
					overruled++
				}
			}
			got := allowed(t, slots, c, q, identity.Principal{Account: account("doctor"), Class: ledger.ClassPractitioner, Member: account("clinic"), Active: true, Roles: q.roles},
				governance.Member{Account: account("clinic"), Class: governance.Clinic, Active: true})
			if got != want {
				rt.Fatalf("the ledger says %v, the Consents %v to %+v\n%s\n%s", got, want, q, bodies[0], bodies[1])
			}
			if want {
				permitted++
			}
		}
	})
	t.Logf("%d permitted, %d overruled", permitted, overruled)
}

// TestAPlanEndsWhereItShould: what is wished stands after it, by a message that the ledger takes.
func TestAPlanEndsWhereItShould(t *testing.T) {
	slots, random := slotMap(t)
	rapid.Check(t, func(rt *rapid.T) {
		before := standings(t, random, slots, Canonical(genWishes.Draw(rt, "before")))
		wishes := Canonical(genWishes.Draw(rt, "after"))
		if rapid.Bool().Draw(rt, "related") { // some frames the same
			for _, s := range before {
				w, _ := WishOf(&s.Grant, slots)
				w.Allow ^= Labels(rapid.Uint32().Draw(rt, "flip")) & everything
				w.Deny &= Labels(rapid.Uint32().Draw(rt, "thin"))
				wishes = append(wishes, w)
			}
			wishes = Canonical(wishes)
		}
		p := planning{patient: account("alice"), group: Group{1, 2, 3}, slots: slots, random: random}
		plan, err := p.plan(before, wishes)
		if err != nil {
			rt.Fatal(err)
		}
		_, m, ok := plan.Message()
		if !ok {
			m = &consent.Change{Patient: account("alice")}
		} else if err := m.Validate(); err != nil {
			rt.Fatalf("%T: %v", m, err)
		}
		for _, id := range plan.Revoke {
			if !slices.ContainsFunc(before, func(s consent.Standing) bool { return s.Grant.ID == id }) {
				rt.Fatal("what does not stand is revoked")
			}
		}
		for _, g := range plan.Give {
			i := slices.IndexFunc(before, func(s consent.Standing) bool { return s.Grant.ID == g.ID })
			if i < 0 && g.Version != 1 || i >= 0 && g.Version != before[i].Grant.Version+1 {
				rt.Fatalf("version %d does not follow", g.Version)
			}
		}
		var got []Wish
		for _, s := range plan.apply(consent.Consents{Grants: before}, account("alice")).Grants {
			w, _ := WishOf(&s.Grant, slots)
			got = append(got, w)
		}
		if diff := cmp.Diff(wishes, Canonical(got)); diff != "" {
			rt.Fatalf("the plan does not end where it should:\n%s", diff)
		}
	})
}

// The largest Consent fits into a transaction, with room for the signature of a passkey.
func TestTheLargestConsentFitsIntoATransaction(t *testing.T) {
	slots, random := slotMap(t)
	p := planning{patient: account("alice"), group: Group{1}, slots: slots, random: random, recorded: true, document: digest("form")}
	plan := &Plan{Patient: p.patient}
	for i := range maxParts {
		w := Wish{Allow: everything, NotBefore: start, NotAfter: start + 1, Uses: 65535}
		w.Purposes, w.Grantee = everyPurpose, consent.Grantee{Kind: consent.OfRole, Account: account("hospital"), Role: strings.Repeat("r", consent.MaxRole)}
		if err := p.put(plan, p.group.part(byte(i)), 1<<32, w); err != nil {
			t.Fatal(err)
		}
	}
	kind, m, _ := plan.Message()
	if n := len(tx.MustEncode(m)); kind != consent.KindChange || m.Validate() != nil || n > tx.MaxTx-4096 {
		t.Errorf("got %s of %d bytes, want at most %d", kind, n, tx.MaxTx-4096)
	}
}

func issues(err error) []Issue {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Issues
	}
	return []Issue{{Code: fmt.Sprint(err)}}
}

func FuzzRead(f *testing.F) {
	c := posting()
	c["provision"] = map[string]any{"type": "permit", "purpose": []any{map[string]any{"system": systemReason, "code": "TREAT"}}}
	b, _ := json.Marshal(c)
	f.Add(b)
	slots, random := slotMap(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		wishes, _, err := ToWishes(raw, options())
		if err != nil || len(wishes) == 0 {
			return
		}
		if diff := cmp.Diff(wishes, Canonical(wishes)); diff != "" {
			t.Fatalf("not canonical: %s", diff)
		}
		body, err := FromGrants(standings(t, random, slots, wishes), slots, Frame{Patient: account("alice"), Steward: account("hospital"), Active: true})
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ToWishes(body, options())
		if diff := cmp.Diff(wishes, again); err != nil || diff != "" {
			t.Fatalf("%v %s", err, diff)
		}
	})
}

// BenchmarkSearch reads a patient's hundred Consents of three grants each.
func BenchmarkSearch(b *testing.B) {
	w := newWorld(b)
	for range 100 {
		w.create("alice", permit())
	}
	for b.Loop() {
		if found, err := w.service().Search(b.Context(), account("alice"), Filter{}); err != nil || len(found) != 100 {
			b.Fatal(len(found), err)
		}
	}
}
