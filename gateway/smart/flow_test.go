package smart

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"salus/gateway/rest"
)

func TestStandaloneLaunchGivesAPatientThatThePersonChose(t *testing.T) {
	w := newWorld(t)
	scope := "openid fhirUser profile launch/patient offline_access patient/Observation.rs patient/Patient.r"
	a := w.grant("public", scope, doctor, "patient", "p2", "purpose", "TREAT")
	if a.str("token_type") != "Bearer" || a.str("patient") != "p2" || a.str("scope") != scope || a.json["expires_in"] != 300.0 ||
		a.str("__purpose_of_use") != "TREAT" || a.str("refresh_token") == "" || a.str("id_token") == "" {
		t.Errorf("got %s", a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("got headers %v", a.header)
	}
	tok, err := w.bears(a.str("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Token{
		Client: "public", Kind: ForPatient, User: "staff-1", FHIRUser: "Practitioner/d1", Patient: "p2", Purpose: "TREAT",
		Scopes: scopesOf(t, scope), Issued: noon, Expires: noon.Add(5 * time.Minute), SignedIn: noon.Unix(), Grant: tok.Grant, Named: true,
	}
	if diff := cmp.Diff(want, tok, cmpopts.IgnoreUnexported(Token{})); diff != "" {
		t.Error(diff)
	}
	if !tok.May(rest.Search, "Observation") || tok.May(rest.Search, "Patient") || tok.May(rest.Update, "Observation") {
		t.Error("the token allows something else than its scopes")
	}
}

// Inferno: smart_openid_token_header, _token_payload, _fhir_user_claim, _retrieve_jwks.
func TestIDTokenVerifiesWithThePublishedKey(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "openid fhirUser profile user/Patient.r", "nonce", "n-1").Encode()), doctor)
	a := w.post("/token", redeemForm("public", w.back(b.consent(page, "purpose", "TREAT")).Get("code")))
	got, err := jwt.ParseSigned(a.str("id_token"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/jwks", nil)).body, &set); err != nil {
		t.Fatal(err)
	}
	keys := set.Key(got.Headers[0].KeyID)
	if len(keys) != 1 || !keys[0].IsPublic() {
		t.Fatalf("got %d keys, want 1 that is public", len(keys))
	}
	if _, ok := keys[0].Key.(*rsa.PublicKey); !ok {
		t.Fatalf("got %T, want RSA", keys[0].Key)
	}
	var claims map[string]any
	if err := got.Claims(keys[0].Key, &claims); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"iss": w.Issuer, "sub": "staff-1", "aud": "public", "nonce": "n-1", "name": "Dr Dora Demo", "fhirUser": w.FHIR + "/Practitioner/d1",
		"iat": float64(noon.Unix()), "auth_time": float64(noon.Unix()), "exp": float64(noon.Add(5 * time.Minute).Unix()),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
}

func TestPersonCanGiveLess(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "openid fhirUser launch/patient patient/Observation.rs patient/Condition.rs", doctor,
		"patient", "p1", "purpose", "TREAT", "scope", "patient/Condition.rs")
	if got, want := a.str("scope"), "launch/patient patient/Condition.rs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if a.json["id_token"] != nil || a.json["refresh_token"] != nil {
		t.Error("got tokens that were not allowed")
	}
}

func TestNobodyCanTickWhatWasNotAsked(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "launch/patient patient/Condition.rs").Encode()), doctor)
	v := with(fields(page), "decision", "allow", "patient", "p1", "purpose", "TREAT")
	v["scope"] = []string{"patient/Condition.rs", "user/*.cruds", "offline_access"}
	a := w.post("/token", redeemForm("public", w.back(b.submit("/approve", v)).Get("code")))
	if got, want := a.str("scope"), "launch/patient patient/Condition.rs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRegistrationBoundsScopes(t *testing.T) {
	w := newWorld(t)
	a := w.grant("narrow", "launch/patient patient/*.cruds user/*.cruds openid offline_access system/*.rs", doctor, "patient", "p1", "purpose", "TREAT")
	if got, want := a.str("scope"), "launch/patient patient/Observation.rs patient/Condition.r"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersion1ScopesComeBackAsAsked(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "launch/patient patient/Observation.read user/*.*", doctor, "patient", "p1", "purpose", "TREAT")
	if got, want := a.str("scope"), "launch/patient patient/Observation.read user/*.*"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	tok, err := w.bears(a.str("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	if !tok.May(rest.Search, "Observation") || !tok.May(rest.Delete, "Condition") {
		t.Error("version 1 scopes are not taken for what SMART says they are")
	}
}

func TestEHRLaunchHandsItsContextOn(t *testing.T) {
	w := newWorld(t)
	banner := false
	l := Launch{
		User: doctor.ID, Patient: "p7", Encounter: "e3", Purpose: "COC", Intent: "reconcile", Banner: &banner, Tenant: "ten", Style: "https://node.example/s.json",
		Context: []Context{{Reference: "ImagingStudy/i1"}},
	}
	id, err := w.Launch(l)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "launch openid fhirUser patient/*.rs", "launch", id).Encode()), doctor)
	a := w.post("/token", redeemForm("public", w.back(b.consent(page)).Get("code")))
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	for name, want := range map[string]any{
		"patient": "p7", "encounter": "e3", "intent": "reconcile", "need_patient_banner": false, "tenant": "ten",
		"smart_style_url": "https://node.example/s.json", "fhirContext": []any{map[string]any{"reference": "ImagingStudy/i1"}}, "__purpose_of_use": "COC",
	} {
		if diff := cmp.Diff(want, a.json[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if q := w.back(b.get("/authorize?" + w.ask("public", "launch patient/*.rs", "launch", id).Encode())); q.Get("error") != "invalid_request" {
		t.Errorf("got %v, want a launch to serve once", q)
	}
}

func TestApprovedAppIsNotAskedForAgain(t *testing.T) {
	w := newWorld(t)
	id, err := w.Launch(Launch{Client: "approved", User: doctor.ID, Patient: "p1", Purpose: "TREAT"})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{w: w}
	q := w.back(b.signInAs(b.get("/authorize?"+w.ask("approved", "launch patient/*.rs online_access", "launch", id).Encode()), doctor))
	a := w.post("/token", redeemForm("approved", q.Get("code")))
	if a.status != http.StatusOK || a.str("patient") != "p1" || a.str("refresh_token") == "" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestApprovalOfTheOrganisationIsNotThePatients(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("approved", "launch/patient patient/*.rs", "purpose_of_use", "PATRQT").Encode()), patient)
	if page.status != http.StatusOK || len(offered(page)) != 1 {
		t.Errorf("got %d, want a consent page", page.status)
	}
}

func TestPurposeIsNeverImplied(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	// Not by an approval: the page asks.
	page := b.signInAs(b.get("/authorize?"+w.ask("approved", "user/Patient.rs").Encode()), doctor)
	if page.status != http.StatusOK || strings.Contains(string(page.body), `name="purpose" value="TREAT" checked`) {
		t.Fatalf("got %d, want a page on which no purpose is ticked", page.status)
	}
	// Not by leaving it out.
	if a := b.consent(page); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "Say what") {
		t.Errorf("got %d, want to be asked again", a.status)
	}
	// Nor by making one up, or an emergency.
	for _, p := range []string{"ETREAT", "BTG", "HMARKT", "nonsense"} {
		if a := b.consent(page, "purpose", p); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want to be asked again", p, a.status)
		}
	}
	if q := w.back(b.consent(page, "purpose", "HRESCH")); q.Get("code") == "" {
		t.Errorf("got %v, want a code", q)
	}
}

func TestEmergencyIsImpliedByNothing(t *testing.T) {
	w := newWorld(t)
	ask := func(client string, u User) *answer {
		b := &browser{w: w}
		a := b.get("/authorize?" + w.ask(client, "user/Patient.rs", "purpose_of_use", "ETREAT").Encode())
		if a.status == http.StatusOK {
			a = b.signInAs(a, u)
		}
		return a
	}
	privileged := doctor
	privileged.Purposes = []string{"TREAT", "ETREAT"}
	if q := w.back(ask("public", privileged)); q.Get("error") != "invalid_request" {
		t.Errorf("got %v from an app that is not for emergencies", q)
	}
	if q := w.back(ask("emergency", doctor)); q.Get("error") != "access_denied" {
		t.Errorf("got %v for a person who may not", q)
	}
	// Even with both, and though the organisation approved the app, the person says so.
	if a := ask("emergency", privileged); a.status != http.StatusOK || !strings.Contains(string(a.body), "emergency access") {
		t.Errorf("got %d, want a page that says what this is", a.status)
	}
}

func TestPatientActsForHerself(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "openid fhirUser user/*.rs", patient, "patient", "p9", "purpose", "PATRQT")
	tok, err := w.bears(a.str("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Kind != ForPatient || tok.Patient != "p9" {
		t.Errorf("got %s of %q: her user scopes must not reach beyond her", tok.Kind, tok.Patient)
	}
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "launch/patient patient/*.rs").Encode()), patient)
	for _, other := range []string{"p1", "p2", "", "../p9", "p9 "} {
		if got := b.consent(page, "patient", other, "purpose", "PATRQT"); got.status != http.StatusBadRequest {
			t.Errorf("%q: got %d, want to be asked again", other, got.status)
		}
	}
	if got := b.consent(page, "patient", "p9", "purpose", "TREAT"); got.status != http.StatusBadRequest {
		t.Errorf("got %d, want that a patient does not treat", got.status)
	}
}

func TestStaffChooseOnlyPatientsOfTheirs(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "launch/patient patient/*.rs").Encode()), doctor)
	found := b.consent(page, "decision", "find", "text", "bea")
	if !strings.Contains(string(found.body), "Bea Sample") || strings.Contains(string(found.body), "Ada Sample") {
		t.Error("the search finds something else")
	}
	if got := b.consent(page, "patient", "p9", "purpose", "TREAT"); got.status != http.StatusBadRequest {
		t.Errorf("got %d, want to be asked again", got.status)
	}
}

func TestSessionIsUsedForTheNextApp(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	w.back(b.consent(b.signInAs(b.get("/authorize?"+w.ask("public", "user/Patient.r").Encode()), doctor), "purpose", "TREAT"))
	second := with(w.ask("other", "user/Patient.r"), "redirect_uri", "https://other.example/cb")
	if page := b.get("/authorize?" + second.Encode()); len(offered(page)) != 1 {
		t.Errorf("got %d, want the consent page at once", page.status)
	}
	for what, v := range map[string][]string{"prompt": {"prompt", "login"}, "age": {"max_age", "0"}} {
		w.pass(time.Second)
		if page := b.get("/authorize?" + with(second, v...).Encode()); !strings.Contains(string(page.body), "One-time code") {
			t.Errorf("%s: got no sign-in page", what)
		}
	}
	if q := w.back(b.get("/authorize?" + with(second, "prompt", "none").Encode())); q.Get("error") != "consent_required" {
		t.Errorf("got %v, want consent_required", q)
	}
	w.pass(2 * time.Hour)
	if page := b.get("/authorize?" + second.Encode()); !strings.Contains(string(page.body), "One-time code") {
		t.Error("a session that is over signs in")
	}
	if q := w.back(b.get("/authorize?" + with(second, "prompt", "none").Encode())); q.Get("error") != "login_required" {
		t.Errorf("got %v, want login_required", q)
	}
}

func TestRequestByPOST(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.submit("/authorize", w.ask("public", "user/Patient.r"))
	if !strings.Contains(string(page.body), "One-time code") {
		t.Errorf("got %d, want the sign-in page", page.status)
	}
}

func TestPersonTakesAccessBack(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "user/Patient.r offline_access").Encode()), doctor)
	a := w.post("/token", redeemForm("public", w.back(b.consent(page, "purpose", "TREAT")).Get("code")))
	other := w.grant("public", "user/Patient.r offline_access", patient, "patient", "p9", "purpose", "PATRQT")
	apps := b.get("/manage")
	if strings.Count(string(apps.body), "Take back access") != 1 {
		t.Fatalf("got %s, want one app", apps.body)
	}
	if got := b.submit("/manage", with(fields(apps), "decision", "revoke", "csrf", "x")); got.status != http.StatusForbidden {
		t.Errorf("got %d, want 403 for a form of somebody else's", got.status)
	}
	// What is another person's stays.
	tok, _ := w.bears(other.str("access_token"))
	b.submit("/manage", with(fields(apps), "decision", "revoke", "grant", tok.Grant))
	if _, err := w.bears(other.str("access_token")); err != nil {
		t.Error("a person ended what is another's")
	}
	b.submit("/manage", with(fields(apps), "decision", "revoke"))
	if _, err := w.bears(a.str("access_token")); err == nil {
		t.Error("the token is taken after it was taken back")
	}
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"))), 400, "invalid_grant")
}

func TestSignOutEndsOnlineAccess(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	get := func(scope string) *answer {
		page := b.get("/authorize?" + w.ask("public", scope).Encode())
		if len(offered(page)) == 0 {
			page = b.signInAs(page, doctor)
		}
		return w.post("/token", redeemForm("public", w.back(b.consent(page, "purpose", "TREAT")).Get("code")))
	}
	online, offline := get("user/Patient.r online_access"), get("user/Patient.r offline_access")
	b.submit("/manage", with(fields(b.get("/manage")), "decision", "signout"))
	if _, err := w.bears(online.str("access_token")); err == nil {
		t.Error("online access goes on after the sign-out")
	}
	if _, err := w.bears(offline.str("access_token")); err != nil {
		t.Error("offline access ended with the sign-out")
	}
	if page := b.get("/manage"); !strings.Contains(string(page.body), "One-time code") {
		t.Error("the session goes on after the sign-out")
	}
}

func TestOnlineAccessEndsWithTheSession(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/Patient.r online_access", doctor, "purpose", "TREAT")
	w.pass(61 * time.Minute)
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"))), 400, "invalid_grant")
}

func TestConditionsThatCannotBeKeptAreNotGranted(t *testing.T) {
	w := newWorld(t)
	scope := "launch/patient patient/Observation.cruds?category=laboratory patient/*.rs?_tag=x patient/Observation.rs?patient.birthdate=1990 " +
		"patient/Observation.rs?nonsense=1 patient/Observation.rs?_sort=date patient/Nonsense.rs"
	a := w.grant("public", scope, doctor, "patient", "p1", "purpose", "TREAT")
	if got, want := a.str("scope"), "launch/patient patient/Observation.rs?category=laboratory"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	tok, err := w.bears(a.str("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	within, err := tok.Within(params{}, "Observation", "Patient")
	if err != nil {
		t.Fatal(err)
	}
	if len(within["Observation"]) != 1 || within["Observation"][0][0].Param.Code != "category" {
		t.Errorf("got %v", within)
	}
	if lists, ok := within["Patient"]; !ok || len(lists) != 0 {
		t.Errorf("got %v, want that patients are hidden", lists)
	}
}

func TestSweepRemovesWhatIsOver(t *testing.T) {
	w := newWorld(t)
	w.grant("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	w.post("/token", form("grant_type", "client_credentials", "scope", "system/Observation.rs", "client_assertion_type", assertionType, "client_assertion", w.assertion("backend")))
	if _, err := w.Launch(Launch{User: "u", Purpose: "TREAT"}); err != nil {
		t.Fatal(err)
	}
	w.pass(91 * 24 * time.Hour)
	if err := w.Sweep(); err != nil {
		t.Fatal(err)
	}
	var left []string
	_ = w.Keeper.Each("", func(key string, _ []byte) error {
		if !strings.HasPrefix(key, rowClient) {
			left = append(left, key)
		}
		return nil
	})
	left = slices.DeleteFunc(left, func(k string) bool { return k == "check" })
	if len(left) > 0 {
		t.Errorf("got %v left", left)
	}
}
