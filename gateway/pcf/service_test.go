package pcf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// permit is a Consent that permits treatment, changed.
func permit(change ...func(c, p m)) []byte {
	return withProvision(func(c, p m) {
		for _, f := range change {
			f(c, p)
		}
	})
}

func labelled1(code string) func(c, p m) {
	return func(_, p m) { p["securityLabel"] = []any{m{"system": systemConfidentiality, "code": code}} }
}

func (w *world) create(by string, raw []byte) *Resource {
	w.Helper()
	r, err := w.service().Create(w.Context(), account("alice"), raw, w.by(by))
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func decode(t testing.TB, r *Resource) (c consentJSON) {
	t.Helper()
	if err := json.Unmarshal(r.Body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func tag(c *consentJSON) string { return c.Meta.Tag[0].Code }

func TestAPostedConsentHoldsUntilItIsDeleted(t *testing.T) { // C-01, C-02, C-03
	w := newWorld(t)
	r := w.create("alice", permit())
	if !w.may("doctor", "TREAT", "laboratory", "HIV") || w.may("doctor", "HMARKT", "laboratory") || w.may("doctor", "HRESCH", "laboratory") {
		t.Error("the grant does not say what was posted")
	}
	if c := decode(t, r); !r.Active || c.Status != "active" || tag(&c) != "patient" || c.ID != r.ID || c.Meta.VersionID != r.Version || c.Meta.Profile[0] != ProfileBasic {
		t.Errorf("got %s", r.Body)
	}
	if err := w.service().Delete(t.Context(), account("alice"), r.ID, r.Version, w.by("alice")); err != nil {
		t.Fatal(err)
	}
	if w.may("doctor", "TREAT", "laboratory") {
		t.Error("a revoked consent still permits")
	}
	got, err := w.service().Read(t.Context(), account("alice"), r.ID)
	if err != nil || got.Active || decode(t, got).Status != "inactive" || got.Version == r.Version {
		t.Errorf("got %+v, %v, want it inactive", got, err)
	}
	old, err := w.service().ReadVersion(t.Context(), account("alice"), r.ID, r.Version)
	if err != nil || decode(t, old).Status != "active" {
		t.Errorf("got %+v, %v, want the version that was active", old, err)
	}
	if err := w.service().Delete(t.Context(), account("alice"), r.ID, "", w.by("alice")); err != nil {
		t.Errorf("deleting again: %v", err)
	}
}

func TestAConsentEndsByItself(t *testing.T) { // C-04
	w := newWorld(t)
	r := w.create("alice", permit(func(_, p m) { p["period"] = m{"end": "2027-03-31"} }))
	w.until("2027-03-31")
	if !w.may("doctor", "TREAT", "laboratory") {
		t.Error("the last day belongs to the period")
	}
	w.until("2027-04-01")
	if w.may("doctor", "TREAT", "laboratory") {
		t.Error("permitted after the end")
	}
	if got, _ := w.service().Read(t.Context(), account("alice"), r.ID); got.Active || decode(t, got).Status != "inactive" {
		t.Error("an ended consent reads as active")
	}
}

func TestAnUpdateReplacesTheGrants(t *testing.T) {
	w := newWorld(t)
	s := w.service()
	r := w.create("alice", permit(labelled1("R")))
	if !w.may("doctor", "TREAT", "laboratory", "R") {
		t.Fatal("restricted data is not permitted")
	}
	stale := r.Version
	u, err := s.Update(t.Context(), account("alice"), r.ID, r.Version, permit(labelled1("N")), w.by("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if w.may("doctor", "TREAT", "laboratory", "R") || !w.may("doctor", "TREAT", "laboratory") || u.Version == r.Version || u.ID != r.ID {
		t.Errorf("the update is not what holds: %s", u.Body)
	}
	if _, err := s.Update(t.Context(), account("alice"), r.ID, stale, permit(), w.by("alice")); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want %v", err, ErrConflict)
	}
	height := w.height
	if again, err := s.Update(t.Context(), account("alice"), r.ID, u.Version, permit(labelled1("N")), w.by("alice")); err != nil || again.Version != u.Version || w.height != height {
		t.Errorf("the same bytes again: got %v, %v, want nothing to change", again, err)
	}
	// What was read back can be put again: it says the same.
	back, err := s.Update(t.Context(), account("alice"), r.ID, "", u.Body, w.by("alice"))
	if err != nil || !w.may("doctor", "TREAT", "laboratory") || w.may("doctor", "TREAT", "laboratory", "R") {
		t.Fatalf("putting back what was read: %v", err)
	}
	if c := decode(t, back); len(back.Grants) != 3 || c.Status != "active" {
		t.Errorf("got %d grants, want 3: the clinical members, the insurer, the institute", len(back.Grants))
	}
	off, err := s.Update(t.Context(), account("alice"), r.ID, "", permit(func(c, _ m) { c["status"] = "inactive" }), w.by("alice"))
	if err != nil || off.Active || len(off.Grants) != 0 || w.may("doctor", "TREAT", "laboratory") {
		t.Errorf("got %+v, %v, want it revoked", off, err)
	}
	if h, err := s.History(t.Context(), account("alice"), r.ID); err != nil || len(h) != 4 || h[0].Active || !h[1].Active || !h[3].Active { // one of each transaction
		t.Errorf("got a history of %d, %v", len(h), err)
	}
	on, err := s.Update(t.Context(), account("alice"), r.ID, off.Version, permit(), w.by("alice"))
	if err != nil || !on.Active || !w.may("doctor", "TREAT", "laboratory") {
		t.Errorf("got %+v, %v, want it active again", on, err)
	}
	for _, g := range on.Grants { // what is revoked is never reused
		if h, _ := s.History(t.Context(), account("alice"), r.ID); slices.ContainsFunc(h[1:], func(r *Resource) bool { return slices.Contains(r.Grants, g) && !slices.Contains(on.Grants, g) }) {
			t.Error("the id of a revoked grant was used again")
		}
	}
}

func TestAnotherConsentsDenialWins(t *testing.T) { // C-11
	w := newWorld(t)
	w.create("alice", permit())
	d := w.create("alice", permit(func(_, p m) {
		p["type"] = "deny"
		p["actor"] = []any{m{"role": m{"coding": []any{m{"system": systemParticipation, "code": "IRCP"}}}, "reference": m{"reference": "Organization/" + account("hospital").String()}}}
	}))
	if w.may("nurse", "TREAT", "laboratory") || !w.may("doctor", "TREAT", "laboratory") {
		t.Error("the denial does not hold for the hospital alone")
	}
	if err := w.service().Delete(t.Context(), account("alice"), d.ID, "", w.by("alice")); err != nil || !w.may("nurse", "TREAT", "laboratory") {
		t.Errorf("the denial does not end with its consent: %v", err)
	}
}

func TestWhatStaffRecordsIsMarkedAndOverridesNothing(t *testing.T) { // C-23
	w := newWorld(t)
	s := w.service()
	hers := w.create("alice", permit())
	form := w.create("hospital", permit(labelled1("N")))
	c := decode(t, form)
	if tag(&c) != "steward" {
		t.Errorf("got tag %q, want steward", tag(&c))
	}
	for _, g := range consent.Load(w.state, account("alice")).Grants {
		if g.Grant.Recorded != (groupOf(g.Grant.ID).part(0) == mustGroup(t, form.ID).part(0)) {
			t.Error("the ledger does not tell what was recorded from what was signed")
		}
		if p := w.papers[g.Grant.Document]; p == nil || p.Commitment() != g.Grant.Document {
			t.Error("the document behind a grant is not kept")
		}
	}
	if err := s.Delete(t.Context(), account("alice"), hers.ID, "", w.by("hospital")); !errors.Is(err, consent.ErrOverride) {
		t.Errorf("got %v, want %v", err, consent.ErrOverride)
	}
	if _, err := s.Update(t.Context(), account("alice"), hers.ID, "", permit(labelled1("V")), w.by("hospital")); !errors.Is(err, consent.ErrOverride) {
		t.Errorf("got %v, want %v", err, consent.ErrOverride)
	}
	if _, err := s.Create(t.Context(), account("alice"), permit(), w.by("bob")); err == nil || issues(err)[0].Code != CodePerformer {
		t.Errorf("got %v, want %s", err, CodePerformer)
	}
	if _, err := s.Create(t.Context(), account("alice"), permit(), Author{Submit: signer{w, "bob"}}); !errors.Is(err, consent.ErrSigner) {
		t.Errorf("got %v, want %v", err, consent.ErrSigner)
	}
	s.Papers = nil
	if _, err := s.Create(t.Context(), account("alice"), permit(), w.by("hospital")); err == nil {
		t.Error("recorded from a form that nobody keeps")
	}
	if r, err := s.Create(t.Context(), account("alice"), permit(), w.by("alice")); err != nil || decode(t, r).Status != "active" {
		t.Errorf("the patient signs without a paper: %v", err)
	}
}

func mustGroup(t testing.TB, id string) Group {
	g, ok := parseGroup(id)
	if !ok {
		t.Fatal("not an id of a Consent")
	}
	return g
}

func TestAProxySignsWithinHerBounds(t *testing.T) { // C-14, C-15
	w := newWorld(t)
	agreed := func(c, _ m) { c["performer"] = []any{m{"reference": "RelatedPerson/" + account("mother").String()}} }
	if _, err := w.service().Create(t.Context(), account("alice"), permit(agreed), w.by("mother")); err == nil || issues(err)[0].Code != CodePerformer {
		t.Errorf("got %v, want %s", err, CodePerformer)
	}
	all, _ := w.slots.Mask(usual.List())
	mask, except, err := w.slots.GrantMasks(w.random, usual.List(), nil)
	if err != nil || mask&all != all {
		t.Fatal(err)
	}
	proxy := consent.Proxy{Account: account("mother"), Version: 1, Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.PATRQT, consent.TREAT)}
	w.must("alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Proxy: proxy, Active: true})
	r := w.create("mother", permit(agreed))
	if c := decode(t, r); tag(&c) != "proxy" || !w.may("doctor", "TREAT", "laboratory") {
		t.Errorf("got %s", r.Body)
	}
	research := permit(agreed, func(_, p m) { p["purpose"] = []any{m{"system": systemReason, "code": "HRESCH"}} })
	if _, err := w.service().Create(t.Context(), account("alice"), research, w.by("mother")); !errors.Is(err, consent.ErrProxyExceeds) {
		t.Errorf("got %v, want %v", err, consent.ErrProxyExceeds)
	}
	proxy.Version = 2
	w.must("alice", consent.KindProxy, &consent.SetProxy{Patient: account("alice"), Proxy: proxy})
	if w.may("doctor", "TREAT", "laboratory") {
		t.Error("what a proxy granted outlives her")
	}
}

// A Consent of several grants is one transaction: what is refused, or breaks off, changes nothing.
func TestAConsentIsNeverThereInPart(t *testing.T) {
	w := newWorld(t)
	s := w.service()
	grants := func() []consent.Standing { return consent.Load(w.state, account("alice")).Grants }
	w.fail = 1
	if _, err := s.Create(t.Context(), account("alice"), permit(), w.by("alice")); !errors.Is(err, errLink) || len(grants()) != 0 {
		t.Errorf("got %v and %d grants, want %v and none", err, len(grants()), errLink)
	}
	height := w.height
	r := w.create("alice", permit(labelled1("R")))
	if w.height != height+1 || len(r.Grants) != 3 {
		t.Errorf("got %d grants by %d transactions, want 3 by one", len(r.Grants), w.height-height)
	}
	before := tx.MustEncode(consent.Load(w.state, account("alice")))
	w.fail = 1
	if _, err := s.Update(t.Context(), account("alice"), r.ID, "", permit(labelled1("N")), w.by("alice")); !errors.Is(err, errLink) {
		t.Errorf("got %v, want %v", err, errLink)
	}
	w.fail = 1
	if err := s.Delete(t.Context(), account("alice"), r.ID, "", w.by("alice")); !errors.Is(err, errLink) {
		t.Errorf("got %v, want %v", err, errLink)
	}
	if !bytes.Equal(before, tx.MustEncode(consent.Load(w.state, account("alice")))) {
		t.Error("what broke off left something")
	}
	// The ledger refuses the last of the grants, not the first ones: there is no room for it.
	for i := len(r.Grants); i < consent.MaxGrants-2; i++ {
		w.must("alice", consent.KindGrant, &consent.Give{Patient: account("alice"), Grant: consent.Grant{
			ID: consent.GrantID{1, byte(i >> 8), byte(i), 1}, Version: 1, Grantee: consent.Grantee{Kind: consent.AnyClinical}, Mask: 1<<32 - 1, Except: 1<<24 - 1, Purposes: consent.PurposesOf(consent.HPAYMT),
		}})
	}
	full := len(grants())
	if _, err := s.Create(t.Context(), account("alice"), permit(), w.by("alice")); !errors.Is(err, consent.ErrTooManyGrants) || len(grants()) != full {
		t.Errorf("got %v and %d more grants, want %v and none", err, len(grants())-full, consent.ErrTooManyGrants)
	}
	// Replacing needs no room.
	height = w.height
	u, err := s.Update(t.Context(), account("alice"), r.ID, r.Version, permit(labelled1("N")), w.by("alice"))
	if err != nil || w.height != height+1 || w.may("doctor", "TREAT", "laboratory", "R") || len(u.Grants) != 3 {
		t.Errorf("got %v by %d transactions", err, w.height-height)
	}
}

func TestARevocationOfAllEndsEveryConsent(t *testing.T) {
	w := newWorld(t)
	a, form := w.create("alice", permit()), w.create("hospital", permit(labelled1("N")))
	w.must("hospital", consent.KindRevoke, &consent.Revoke{Patient: account("alice")})
	active := func(want ...string) {
		t.Helper()
		found, err := w.service().Search(t.Context(), account("alice"), Filter{Status: "active"})
		var got []string
		for _, r := range found {
			got = append(got, r.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	active(a.ID) // what she signed herself the steward cannot revoke
	w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice")})
	active()
	if all, err := w.service().Search(t.Context(), account("alice"), Filter{}); err != nil || len(all) != 2 || all[1].ID != form.ID {
		t.Errorf("got %d, %v, want both, inactive", len(all), err)
	}
}

func TestAGrantMadeElsewhereReadsAsAConsent(t *testing.T) {
	w := newWorld(t)
	mask, except, err := w.slots.GrantMasks(w.random, usual.List(), LabelsOf("HIV").List())
	if err != nil {
		t.Fatal(err)
	}
	g := consent.Grant{ID: consent.GrantID{9: 9, 15: 77}, Version: 1, Grantee: consent.Grantee{Kind: consent.AnyClinical}, Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.TREAT)}
	w.must("alice", consent.KindGrant, &consent.Give{Patient: account("alice"), Grant: g})
	found, err := w.service().Search(t.Context(), account("alice"), Filter{})
	if err != nil || len(found) != 1 || found[0].Grants[0] != g.ID {
		t.Fatalf("got %v, %v, want one", found, err)
	}
	if c := decode(t, found[0]); c.Meta.Profile[0] != ProfileAdvanced || len(c.Provision.Provision) != 1 {
		t.Errorf("got %s", found[0].Body)
	}
	if _, err := w.service().Read(t.Context(), account("alice"), "0909"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrNotFound)
	}
}

func TestADocumentThatWasExchangedIsFound(t *testing.T) {
	w := newWorld(t)
	r := w.create("alice", permit())
	for h := range w.papers {
		w.papers[h] = &Paper{Body: []byte(`{}`)}
	}
	if _, err := w.service().Read(t.Context(), account("alice"), r.ID); err == nil {
		t.Error("read with another document than the ledger commits to")
	}
	clear(w.papers) // another member's: it reads without
	if got, err := w.service().Read(t.Context(), account("alice"), r.ID); err != nil || !got.Active {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestThePatientLearnsWhyAndWhatWouldFollow is C-19 and C-20.
func TestThePatientLearnsWhyAndWhatWouldFollow(t *testing.T) {
	w := newWorld(t)
	s := w.service()
	yes := w.create("alice", permit())
	no := w.create("alice", permit(func(_, p m) {
		p["type"], p["securityLabel"] = "deny", []any{m{"system": systemActCode, "code": "HIV"}}
	}))
	ask := func(actor string, purpose consent.Purpose, id string, raw []byte) *Explanation {
		t.Helper()
		e, err := s.Explain(t.Context(), account("alice"), account(actor), purpose, id, raw)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := ask("doctor", consent.TREAT, "", nil)
	if slices.Contains(e.Now.Labels, "HIV") || !slices.Contains(e.Now.Labels, "laboratory") || !slices.Equal(e.Now.Consents, []string{yes.ID}) || !slices.Equal(e.Now.Denied, []string{no.ID}) {
		t.Errorf("got %+v", e.Now)
	}
	if e := ask("doctor", consent.BTG, "", nil); len(e.Now.Labels)+len(e.Now.Consents)+len(e.Now.Denied) != 0 {
		t.Errorf("got %+v, want nothing", e.Now)
	}
	height, kept := w.height, len(w.papers)
	e = ask("researcher", consent.DSRCH, "", permit(labelled1("N"), func(_, p m) { p["purpose"] = []any{m{"system": systemReason, "code": "HRESCH"}} }))
	if len(e.Now.Labels) != 0 || len(e.Then.Labels) != 14 || len(e.Then.Consents) != 1 {
		t.Errorf("got %+v, want the 14 kinds then", e)
	}
	e = ask("doctor", consent.TREAT, no.ID, permit(func(c, _ m) { c["status"] = "inactive" }))
	if !slices.Contains(e.Then.Labels, "HIV") || len(e.Then.Denied) != 0 {
		t.Errorf("got %+v, want HIV without the denial", e.Then)
	}
	if w.height != height || len(w.papers) != kept {
		t.Error("a question left something behind")
	}
	if _, err := s.Explain(t.Context(), account("alice"), account("nobody"), consent.TREAT, "", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrNotFound)
	}
}

// TestAOneTimeConsentIsOneOnTheLedger is C-18, whose exhaustion the ledger tests.
func TestAOneTimeConsentIsOneOnTheLedger(t *testing.T) {
	w := newWorld(t)
	w.create("alice", permit(func(_, p m) { p["modifierExtension"] = []any{m{"url": ExtensionUses, "valuePositiveInt": 1}} }))
	for _, g := range consent.Load(w.state, account("alice")).Grants {
		if g.Grant.Uses != 1 || g.Left != 1 {
			t.Errorf("got %d uses, want 1", g.Grant.Uses)
		}
	}
}

func TestPapersSurviveAndAreSealed(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFolder(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	p := &Paper{Salt: [32]byte{2}, Body: permit()}
	if err := f.Keep(t.Context(), account("alice"), p); err != nil {
		t.Fatal(err)
	}
	f, _ = OpenFolder(dir, [32]byte{1})
	got, err := f.Find(t.Context(), account("alice"), p.Commitment())
	if err != nil || string(got.Body) != string(p.Body) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := f.Find(t.Context(), account("alice"), digest("x")); got != nil || err != nil {
		t.Errorf("got %v, %v, want nothing", got, err)
	}
	if _, err := f.Find(t.Context(), account("bob"), p.Commitment()); err == nil {
		t.Error("another patient's paper is read")
	}
	other, _ := OpenFolder(dir, [32]byte{9})
	if _, err := other.Find(t.Context(), account("alice"), p.Commitment()); err == nil {
		t.Error("read under another key")
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 {
		t.Fatalf("got %d files, want 1", len(files))
	}
	b, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil || strings.Contains(string(b), "Consent") {
		t.Errorf("a paper is readable at rest, %v", err)
	}
}

// TestAMemberThatJoinsLaterIsReachedWhenTheDenialIsPutAgain: a denial to everybody names the members
// of its day.
func TestAMemberThatJoinsLaterIsReachedWhenTheDenialIsPutAgain(t *testing.T) {
	w := newWorld(t)
	s := w.service()
	deny := permit(func(_, p m) { p["type"] = "deny" })
	w.community = []tx.Account{account("insurer")} // the institute has not joined yet
	d := w.create("alice", deny)
	w.community = nil
	yes := w.create("alice", permit())
	if !slices.ContainsFunc(yes.Notes, func(i Issue) bool { return i.Code == CodeNewcomer }) || !w.may("researcher", "TREAT", "laboratory") {
		t.Errorf("got %+v, want a warning that the denial does not reach the institute", yes.Notes)
	}
	again, err := s.Update(t.Context(), account("alice"), d.ID, d.Version, deny, w.by("alice"))
	if err != nil || w.may("researcher", "TREAT", "laboratory") || len(again.Grants) != 3 {
		t.Errorf("the denial put again does not reach the institute: %v", err)
	}
	if r := w.create("alice", permit()); len(r.Notes) != 0 {
		t.Errorf("got %+v, want no warning any more", r.Notes)
	}
}

// C-21: everybody who could read something now is listed, with what, and those for whom it is more or less than for their colleagues.
func TestWhoMayReadNowIsListed(t *testing.T) {
	w := newWorld(t)
	s := w.service()
	list := func(purpose consent.Purpose) map[string]string {
		t.Helper()
		all, err := s.Readers(t.Context(), account("alice"), purpose)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range all {
			who := map[tx.Account]string{account("hospital"): "hospital", account("clinic"): "clinic", account("lab"): "lab", account("doctor"): "doctor", account("nurse"): "nurse", account("mother"): "mother"}
			name := who[r.Member] + who[r.One]
			if r.Role != "" {
				name += " " + r.Role
			}
			out[name] = fmt.Sprint(len(r.Labels), slices.Contains(r.Labels, "HIV"), len(r.Consents) > 0)
		}
		return out
	}
	if got := list(consent.TREAT); len(got) != 0 {
		t.Fatalf("got %v, want nobody", got)
	}
	w.create("alice", permit(labelled1("R"), func(_, p m) { p["actor"] = []any{actorOf("Organization/" + account("hospital").String())} }))
	before := list(consent.TREAT)
	if len(before) != 1 || before["hospital"] == "" {
		t.Fatalf("got %v, want the people of the hospital", before)
	}
	if got := list(consent.HRESCH); len(got) != 0 {
		t.Errorf("got %v for research, want nobody", got)
	}
	if got := list(consent.BTG); len(got) != 0 {
		t.Errorf("got %v for what is declared, want nobody", got)
	}
	w.create("alice", permit(func(_, p m) {
		p["type"], p["securityLabel"] = "deny", []any{m{"system": systemActCode, "code": "HIV"}}
		p["actor"] = []any{actorOf("Practitioner/" + account("nurse").String())}
	}))
	got := list(consent.TREAT)
	if len(got) != 2 || got["hospital"] != before["hospital"] || got["nurse"] == "" || got["nurse"] == got["hospital"] || strings.Contains(got["nurse"], "true true") {
		t.Errorf("got %v, want the nurse apart, without HIV", got)
	}
}

// Whoever is listed is granted what is listed, and who is not listed as more or less gets what their colleagues do.
func TestTheListAgreesWithWhatEachIsTold(t *testing.T) {
	w := newWorld(t)
	s := w.service()
	w.create("alice", permit(labelled1("R"), func(_, p m) { p["actor"] = []any{actorOf("Organization/" + account("hospital").String())} }))
	w.create("alice", permit(func(_, p m) {
		p["type"], p["actor"] = "deny", []any{actorOf("Practitioner/" + account("nurse").String())}
	}))
	all, err := s.Readers(t.Context(), account("alice"), consent.TREAT)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"doctor", "nurse", "researcher"} {
		e, err := s.Explain(t.Context(), account("alice"), account(name), consent.TREAT, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		who, member, err := w.Asker(t.Context(), account("alice"), account(name), consent.TREAT)
		if err != nil {
			t.Fatal(err)
		}
		var listed []fhir.Label
		for _, r := range all {
			if r.Member == member.Account && r.Role == "" || r.Role != "" && who.HasRole(r.Role) && r.Member == member.Account {
				listed = r.Labels
			}
		}
		for _, r := range all {
			if r.One == account(name) {
				listed = r.Labels
			}
		}
		if !slices.Equal(listed, e.Now.Labels) {
			t.Errorf("%s: listed with %v, granted %v", name, listed, e.Now.Labels)
		}
	}
}
