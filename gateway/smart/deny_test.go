package smart

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"salus/gateway/rest"
)

// RFC 9700 section 4.11: what is wrong with the address to return to leads nowhere.
func TestNothingIsSentToAnAddressThatIsNotRegistered(t *testing.T) {
	w := newWorld(t)
	for what, pairs := range map[string][]string{
		"unknown app":         {"client_id", "nobody"},
		"no app":              {"client_id", ""},
		"no address":          {"redirect_uri", ""},
		"other path":          {"redirect_uri", "https://app.example/callback2?k=1"},
		"no query":            {"redirect_uri", "https://app.example/callback"},
		"more query":          {"redirect_uri", callback + "&x=1"},
		"other host":          {"redirect_uri", "https://app.example.evil/callback?k=1"},
		"user part":           {"redirect_uri", "https://app.example@evil/callback?k=1"},
		"upper case":          {"redirect_uri", "https://APP.example/callback?k=1"},
		"encoded":             {"redirect_uri", "https://app.example/%63allback?k=1"},
		"encoded twice":       {"redirect_uri", url.QueryEscape(callback)},
		"fragment":            {"redirect_uri", callback + "#x"},
		"dots":                {"redirect_uri", "https://app.example/x/../callback?k=1"},
		"other loopback port": {"redirect_uri", "http://127.0.0.1:7778/back"},
		"another app's":       {"client_id", "other"},
		"script":              {"redirect_uri", "javascript:alert(1)"},
	} {
		v := w.ask("public", "user/Patient.r", pairs...)
		for _, broken := range []url.Values{v, with(v, "response_type", "token")} { // an error goes nowhere either
			a := w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/authorize?"+broken.Encode(), nil))
			if a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
				t.Errorf("%s: got %d to %q, want a page", what, a.status, a.header.Get("Location"))
			}
		}
	}
	twice := w.ask("public", "user/Patient.r").Encode() + "&redirect_uri=" + url.QueryEscape("https://evil.example/")
	if a := w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/authorize?"+twice, nil)); a.status != http.StatusBadRequest {
		t.Errorf("got %d, want a page", a.status)
	}
}

func TestAuthorisationRequestsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for what, c := range map[string]struct {
		pairs []string
		want  string
	}{
		"implicit":            {[]string{"response_type", "token"}, "unsupported_response_type"},
		"hybrid":              {[]string{"response_type", "code id_token"}, "unsupported_response_type"},
		"fragment mode":       {[]string{"response_mode", "fragment"}, "invalid_request"},
		"no state":            {[]string{"state", ""}, "invalid_request"},
		"no audience":         {[]string{"aud", ""}, "invalid_request"},
		"wrong audience":      {[]string{"aud", "https://evil.example/fhir"}, "invalid_request"},
		"audience below":      {[]string{"aud", "https://node.example/fhir/x"}, "invalid_request"},
		"wrong resource":      {[]string{"resource", "https://evil.example/fhir"}, "invalid_request"},
		"no challenge":        {[]string{"code_challenge", ""}, "invalid_request"},
		"no method":           {[]string{"code_challenge_method", ""}, "invalid_request"}, // RFC 7636: plain
		"plain":               {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"short challenge":     {[]string{"code_challenge", "abc"}, "invalid_request"},
		"no scope":            {[]string{"scope", ""}, "invalid_scope"},
		"unknown scope":       {[]string{"scope", "everything"}, "invalid_scope"},
		"system scope":        {[]string{"scope", "system/*.rs"}, "invalid_scope"},
		"launch without id":   {[]string{"scope", "launch user/Patient.r"}, "invalid_request"},
		"id without launch":   {[]string{"launch", newSecret()}, "invalid_request"},
		"unknown launch":      {[]string{"scope", "launch user/Patient.r", "launch", newSecret()}, "invalid_request"},
		"request object":      {[]string{"request", "eyJ"}, "request_not_supported"},
		"request by address":  {[]string{"request_uri", "https://app.example/r"}, "request_uri_not_supported"},
		"unknown purpose":     {[]string{"purpose_of_use", "FUN"}, "invalid_request"},
		"purpose in v3 words": {[]string{"purpose_of_use", "http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT"}, "invalid_request"},
		"strange prompt":      {[]string{"prompt", "none login"}, "invalid_request"},
		"strange age":         {[]string{"max_age", "-1"}, "invalid_request"},
	} {
		a := w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/authorize?"+w.ask("public", "user/Patient.r", c.pairs...).Encode(), nil))
		q := w.back(a)
		if q.Get("error") != c.want || q.Get("code") != "" || q.Get("k") != "1" {
			t.Errorf("%s: got %v, want %s", what, q, c.want)
		}
		// RFC 9207: an app that knows several servers sees which one this is.
		if q.Get("iss") != w.Issuer || what != "no state" && q.Get("state") != "st-4711" {
			t.Errorf("%s: got %v, want iss and state", what, q)
		}
	}
	double := w.ask("public", "user/Patient.r").Encode() + "&scope=user/*.cruds"
	if q := w.back(w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/authorize?"+double, nil))); q.Get("error") != "invalid_request" {
		t.Errorf("got %v, want no parameter to stand twice", q)
	}
	if q := w.back(w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/authorize?"+w.ask("public", "user/Patient.r", "prompt", "none").Encode(), nil))); q.Get("error") != "login_required" {
		t.Errorf("got %v, want login_required", q)
	}
}

func TestLaunchIsOneAppsAndOnePersons(t *testing.T) {
	w := newWorld(t)
	launch := func(l Launch) string {
		t.Helper()
		id, err := w.Launch(l)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	ask := func(id string) url.Values { return w.ask("public", "launch patient/*.rs", "launch", id) }
	b := &browser{w: w}
	if q := w.back(b.get("/authorize?" + ask(launch(Launch{Client: "other", User: doctor.ID, Purpose: "TREAT"})).Encode())); q.Get("error") != "invalid_request" {
		t.Errorf("got %v for another app's launch", q)
	}
	if q := w.back(b.signInAs(b.get("/authorize?"+ask(launch(Launch{User: "somebody", Patient: "p1", Purpose: "TREAT"})).Encode()), doctor)); q.Get("error") != "access_denied" {
		t.Errorf("got %v for another person's launch", q)
	}
	id := launch(Launch{User: doctor.ID, Patient: "p1", Purpose: "TREAT"})
	w.pass(6 * time.Minute)
	if q := w.back(b.get("/authorize?" + ask(id).Encode())); q.Get("error") != "invalid_request" {
		t.Errorf("got %v for a launch that is over", q)
	}
	id = launch(Launch{User: doctor.ID, Patient: "p1", Purpose: "TREAT"})
	if q := w.back(b.get("/authorize?" + with(ask(id), "purpose_of_use", "HRESCH").Encode())); q.Get("error") != "invalid_request" {
		t.Errorf("got %v for a purpose that is not the launch's", q)
	}
	// A patient's browser does not open a chart that the launch names but she may not see.
	id = launch(Launch{User: patient.ID, Patient: "p1", Purpose: "PATRQT"})
	b = &browser{w: w}
	if q := w.back(b.signInAs(b.get("/authorize?"+ask(id).Encode()), patient)); q.Get("error") != "access_denied" {
		t.Errorf("got %v", q)
	}
	for what, l := range map[string]Launch{
		"no user": {Purpose: "TREAT"}, "no purpose": {User: "u"}, "strange purpose": {User: "u", Purpose: "FUN"},
		"patient is no id": {User: "u", Purpose: "TREAT", Patient: "Patient/1"},
		"patient apart":    {User: "u", Purpose: "TREAT", Context: []Context{{Reference: "Patient/1"}}},
		"no reference":     {User: "u", Purpose: "TREAT", Context: []Context{{Type: "List"}}},
		"absolute":         {User: "u", Purpose: "TREAT", Context: []Context{{Reference: "https://x/List/1"}}},
	} {
		if _, err := w.Launch(l); !errors.Is(err, ErrLaunch) {
			t.Errorf("%s: got %v, want ErrLaunch", what, err)
		}
	}
}

func TestCodesServeOnceAndOnlyTheirOwn(t *testing.T) {
	for what, spoil := range map[string]func(*world, url.Values){
		"wrong verifier":   func(_ *world, v url.Values) { v.Set("code_verifier", strings.Repeat("a", 43)) },
		"no verifier":      func(_ *world, v url.Values) { v.Del("code_verifier") },
		"the challenge":    func(_ *world, v url.Values) { v.Set("code_verifier", challenge()) },
		"other address":    func(_ *world, v url.Values) { v.Set("redirect_uri", "http://127.0.0.1:7777/back") },
		"no address":       func(_ *world, v url.Values) { v.Del("redirect_uri") },
		"another app":      func(_ *world, v url.Values) { v.Set("client_id", "other") },
		"too late":         func(w *world, _ url.Values) { w.pass(61 * time.Second) },
		"another code":     func(_ *world, v url.Values) { v.Set("code", newSecret()) },
		"code as a prefix": func(_ *world, v url.Values) { v.Set("code", v.Get("code")+"x") },
	} {
		w := newWorld(t)
		good := redeemForm("public", w.code("public", "user/Patient.r", doctor, "purpose", "TREAT"))
		bad := with(good)
		spoil(w, bad)
		w.wantError(w.post("/token", bad), http.StatusBadRequest, "invalid_grant")
		if what == "another code" || what == "code as a prefix" {
			continue
		}
		if a := w.post("/token", good); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want the code to be used up", what, a.status)
		}
	}
}

func TestCodeThatComesBackEndsWhatItGave(t *testing.T) {
	w := newWorld(t)
	v := redeemForm("public", w.code("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT"))
	a := w.post("/token", v)
	if _, err := w.bears(a.str("access_token")); err != nil {
		t.Fatal(err)
	}
	w.wantError(w.post("/token", v), 400, "invalid_grant")
	if _, err := w.bears(a.str("access_token")); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("got %v, want the access token to have ended", err)
	}
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"))), 400, "invalid_grant")
	if !w.happened("code-reused") {
		t.Error("nobody was told")
	}
}

func TestOfManyWhoRedeemACodeOneWins(t *testing.T) {
	w := newWorld(t)
	v := redeemForm("public", w.code("public", "user/Patient.r", doctor, "purpose", "TREAT"))
	got := make(chan int)
	for range 8 {
		go func() {
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, postOf(w.Issuer+"/token", v))
			got <- rec.Code
		}()
	}
	won := 0
	for range 8 {
		if <-got == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("got %d, want 1", won)
	}
}

func TestRefreshRotatesAndReuseEndsAll(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "openid launch/patient patient/*.rs offline_access", doctor, "patient", "p1", "purpose", "TREAT")
	refresh := func(token string, pairs ...string) *answer {
		return w.post("/token", with(form("grant_type", "refresh_token", "client_id", "public", "refresh_token", token), pairs...))
	}
	b := refresh(a.str("refresh_token"))
	if b.status != http.StatusOK || b.str("refresh_token") == a.str("refresh_token") || b.str("patient") != "p1" || b.str("scope") != a.str("scope") || b.str("id_token") == "" {
		t.Fatalf("got %d %s", b.status, b.body)
	}
	// Fewer scopes for once; the grant keeps them.
	c := refresh(b.str("refresh_token"), "scope", "patient/Observation.r")
	if c.str("scope") != "patient/Observation.r" {
		t.Errorf("got %s", c.body)
	}
	tok, err := w.bears(c.str("access_token"))
	if err != nil || tok.May(rest.Search, "Observation") || tok.May(rest.Read, "Patient") {
		t.Error("the token allows more than was asked at the refresh")
	}
	// More is refused, and costs nothing.
	for _, scope := range []string{"patient/*.cruds", "user/Patient.r", "patient/*.rs system/*.rs", "nonsense", ""} {
		v := form("grant_type", "refresh_token", "client_id", "public", "refresh_token", c.str("refresh_token"), "scope", scope)
		w.wantError(w.post("/token", v), 400, "invalid_scope")
	}
	d := refresh(c.str("refresh_token"))
	if d.status != http.StatusOK || d.str("scope") != a.str("scope") {
		t.Fatalf("got %d %s", d.status, d.body)
	}
	// One that was good before was stolen, here or there.
	w.wantError(refresh(b.str("refresh_token")), 400, "invalid_grant")
	w.wantError(refresh(d.str("refresh_token")), 400, "invalid_grant")
	if _, err := w.bears(d.str("access_token")); err == nil {
		t.Error("the access token goes on")
	}
	if !w.happened("refresh-reused") {
		t.Error("nobody was told")
	}
}

func TestRefreshTokenIsOneAppsAndEnds(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "other", "refresh_token", a.str("refresh_token"))), 400, "invalid_grant")
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"))), 400, "invalid_grant")
	a = w.grant("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	w.pass(91 * 24 * time.Hour)
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"))), 400, "invalid_grant")
	for _, text := range []string{"", "x", ".", "a.b", strings.Repeat("a", 22) + "." + newSecret(), a.str("access_token")} {
		w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", text)), 400, "invalid_grant")
	}
}

func TestNarrowedRegistrationHoldsAtTheNextRefresh(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/*.cruds offline_access", doctor, "purpose", "TREAT")
	c, err := w.client("public")
	if err != nil {
		t.Fatal(err)
	}
	c.Scopes = scopesOf(t, "user/Patient.r offline_access")
	if _, _, err := w.Register(*c); err != nil {
		t.Fatal(err)
	}
	b := w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token")))
	if got, want := b.str("scope"), "user/Patient.r offline_access"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDroppedAppHasNothingLeft(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	if _, err := w.bears(a.str("access_token")); err != nil {
		t.Fatal(err)
	}
	if err := w.DropClient("public"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.bears(a.str("access_token")); err == nil {
		t.Error("its token is taken")
	}
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"))), 401, "invalid_client")
}

func TestBearerToken(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/Patient.r", doctor, "purpose", "TREAT")
	secret := a.str("access_token")
	for what, header := range map[string][]string{
		"none": nil, "basic": {"Basic " + secret}, "empty": {"Bearer "}, "unknown": {"Bearer " + newSecret()}, "longer": {"Bearer " + secret + "x"},
		"twice": {"Bearer " + secret, "Bearer " + secret}, "ID token": {"Bearer eyJhbGciOiJub25lIn0.e30."},
	} {
		r := httptest.NewRequest(http.MethodGet, w.FHIR+"/Patient?access_token="+secret, nil) // never from the address
		r.Header["Authorization"] = header
		_, err := w.Authenticate(r)
		var refused *Refused
		if !errors.Is(err, ErrUnauthorized) || !errors.As(err, &refused) || !strings.HasPrefix(refused.Challenge, "Bearer ") {
			t.Errorf("%s: got %v, want a challenge", what, err)
		}
	}
	w.pass(5*time.Minute - time.Second)
	if _, err := w.bears(secret); err != nil {
		t.Errorf("got %v before its end", err)
	}
	w.pass(time.Second)
	if _, err := w.bears(secret); err == nil {
		t.Error("the token is taken after its end")
	}
}

// Inferno: smart_backend_services_invalid_*; SMART 2.2, "Signature Verification".
func TestAssertionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	public := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: public})
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "r"})
	claims := func(pairs ...any) map[string]any {
		c := w.claim("backend")
		for i := 0; i+1 < len(pairs); i += 2 {
			c[pairs[i].(string)] = pairs[i+1]
			if pairs[i+1] == nil {
				delete(c, pairs[i].(string))
			}
		}
		return c
	}
	good := func(c map[string]any, headers ...string) string {
		return sign(t, jose.RS384, rsaKey(), "r", c, headers...)
	}
	// mac makes a token with a public key as the secret: the confusion of algorithms.
	mac := func(key []byte) string {
		body, _ := json.Marshal(claims())
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT","kid":"r"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	unsigned := func(alg string) string {
		body, _ := json.Marshal(claims())
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","typ":"JWT","kid":"r"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
	}
	_ = sha512.New384 // RS384 and ES384 hash with it
	for what, text := range map[string]string{
		"empty": "", "no JWT": "abc", "alg none": unsigned("none"), "alg NONE": unsigned("NONE"), "alg RS384 unsigned": unsigned("RS384"),
		"HS256 with the PEM": mac(asPEM), "HS256 with the DER": mac(public), "HS256 with the JWK": mac(jwk),
		"RS256":                  sign(t, jose.RS256, rsaKey(), "r", claims()),
		"PS384":                  sign(t, jose.PS384, rsaKey(), "r", claims()),
		"unknown kid":            sign(t, jose.RS384, rsaKey(), "x", claims()),
		"no kid":                 sign(t, jose.RS384, rsaKey(), "", claims()),
		"kid of the other kind":  sign(t, jose.RS384, rsaKey(), "e", claims()),
		"own key in the header":  good(claims(), "jku", "https://evil.example/jwks"),
		"other type":             good(claims(), "typ", "at+jwt"),
		"aud of the issuer":      good(claims("aud", w.Issuer)),
		"aud elsewhere":          good(claims("aud", "https://other.example/token")),
		"aud here and elsewhere": good(claims("aud", []string{w.tokenURL(), "https://other.example/token"})),
		"no aud":                 good(claims("aud", nil)),
		"expired":                good(claims("exp", w.now().Add(-time.Minute).Unix())),
		"too long":               good(claims("exp", w.now().Add(6*time.Minute).Unix())),
		"no exp":                 good(claims("exp", nil)),
		"not yet":                good(claims("nbf", w.now().Add(time.Minute).Unix())),
		"from the future":        good(claims("iat", w.now().Add(time.Minute).Unix())),
		"no jti":                 good(claims("jti", nil)),
		"other iss":              good(claims("iss", "watcher")),
		"other sub":              good(claims("sub", "watcher")),
		"unknown app":            good(claims("iss", "nobody", "sub", "nobody")),
		"a public app":           good(claims("iss", "public", "sub", "public")),
	} {
		a := w.post("/token", form("grant_type", "client_credentials", "scope", "system/Observation.rs", "client_assertion_type", assertionType, "client_assertion", text))
		if a.status != http.StatusUnauthorized || a.str("error") != "invalid_client" {
			t.Errorf("%s: got %d %s, want invalid_client", what, a.status, a.body)
		}
	}
	v := form("grant_type", "client_credentials", "scope", "system/Observation.rs", "client_assertion_type", assertionType)
	w.wantError(w.post("/token", with(v, "client_assertion", good(claims()), "client_assertion_type", "not_an_assertion_type")), 400, "invalid_request")
	w.wantError(w.post("/token", with(v, "client_assertion", good(claims()), "client_id", "watcher")), 401, "invalid_client")
	w.wantError(w.post("/token", with(v, "client_assertion", good(claims()), "client_secret", "x")), 400, "invalid_request")
	w.wantError(w.post("/token", with(v, "client_assertion", good(claims()), "grant_type", "not_a_grant_type")), 400, "unsupported_grant_type")
	// The same, unspoiled, is taken; and only once, however it is spelled.
	for _, text := range []string{good(claims()), sign(t, jose.ES384, ecKey(), "e", claims())} {
		if a := w.post("/token", with(v, "client_assertion", text)); a.status != http.StatusOK {
			t.Errorf("got %d %s, want a token", a.status, a.body)
		}
		w.wantError(w.post("/token", with(v, "client_assertion", text)), 401, "invalid_client")
	}
	again := claims()
	w.post("/token", with(v, "client_assertion", good(again)))
	w.wantError(w.post("/token", with(v, "client_assertion", sign(t, jose.ES384, ecKey(), "e", again))), 401, "invalid_client")
	w.pass(5 * time.Minute)
	w.wantError(w.post("/token", with(v, "client_assertion", good(again))), 401, "invalid_client")
}

func TestBackendServiceGetsWhatItWasRegisteredFor(t *testing.T) {
	w := newWorld(t)
	ask := func(client, scope string, pairs ...string) *answer {
		return w.post("/token", with(form("grant_type", "client_credentials", "scope", scope, "client_assertion_type", assertionType,
			"client_assertion", w.assertion(client)), pairs...))
	}
	a := ask("backend", "system/*.rs openid offline_access")
	if got, want := a.str("scope"), "system/Observation.rs system/Patient.r"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if a.json["refresh_token"] != nil || a.json["id_token"] != nil || a.json["__purpose_of_use"] != nil || a.json["expires_in"] != 300.0 {
		t.Errorf("got %s", a.body)
	}
	tok, err := w.bears(a.str("access_token"))
	if err != nil || tok.Kind != ForSystem || tok.Purpose != "" || !tok.May(rest.Read, "Patient") || tok.May(rest.Search, "Patient") {
		t.Errorf("got %+v, %v", tok, err)
	}
	if a := ask("backend", "system/Patient.r", "purpose_of_use", "HPAYMT"); a.str("__purpose_of_use") != "HPAYMT" {
		t.Errorf("got %s", a.body)
	}
	w.wantError(ask("backend", "system/Patient.r", "purpose_of_use", "ETREAT"), 400, "invalid_request")
	w.wantError(ask("watcher", "system/Observation.r", "purpose_of_use", "TREAT"), 400, "invalid_request")
	if a := ask("watcher", "system/Observation.r", "purpose_of_use", "ETREAT"); a.str("__purpose_of_use") != "ETREAT" {
		t.Errorf("got %s, want that an app may name an emergency it is registered for", a.body)
	}
	for _, scope := range []string{"", "system/Condition.rs", "patient/*.rs", "user/*.rs", "system/Patient.r patient/*.rs", "openid"} {
		w.wantError(ask("backend", scope), 400, "invalid_scope")
	}
	w.wantError(ask("keyed", "system/*.rs"), 400, "unauthorized_client")
	// UDAP's place for the purpose, in the assertion.
	c := w.claim("backend")
	c["extensions"] = map[string]any{"hl7-b2b": map[string]any{"purpose_of_use": []string{"HOPERAT"}}}
	text := sign(t, jose.RS384, rsaKey(), "r", c)
	if a := ask("backend", "system/Patient.r", "client_assertion", text); a.str("__purpose_of_use") != "HOPERAT" {
		t.Errorf("got %s", a.body)
	}
}

func TestClientSecrets(t *testing.T) {
	w := newWorld(t)
	try := func(id, secret string, v url.Values) *answer {
		r := postOf(w.Issuer+"/token", v)
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return w.do(r)
	}
	v := redeemForm("symmetric", w.code("symmetric", "user/Patient.r", doctor, "purpose", "TREAT"))
	for what, a := range map[string]*answer{
		"wrong":        try("symmetric", newSecret(), v),
		"empty":        try("symmetric", "", v),
		"the hash":     try("symmetric", digest("client-secret", "symmetric", w.secret), v),
		"unknown app":  try("nobody", w.secret, with(v, "client_id", "")),
		"unknown, ''":  try("nobody", "", with(v, "client_id", "")),
		"public app":   try("public", "", with(v, "client_id", "")),
		"in the body":  w.post("/token", with(v, "client_secret", w.secret)), // registered for the header
		"no secret":    w.post("/token", v),
		"another's id": try("symmetric", w.secret, with(v, "client_id", "public")),
	} {
		if a.status != http.StatusUnauthorized || a.str("error") != "invalid_client" || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: got %d %s, want invalid_client", what, a.status, a.body)
		}
	}
	if a := try("symmetric", w.secret, v); a.status != http.StatusOK {
		t.Errorf("got %d %s, want a token", a.status, a.body)
	}
	// The secret is nowhere in what is kept.
	_ = w.Keeper.Each("", func(key string, value []byte) error {
		if strings.Contains(string(value), w.secret) || strings.Contains(key, w.secret) {
			t.Errorf("%s holds the secret", key)
		}
		return nil
	})
}

func TestTokenEndpointReadsItsBodyStrictly(t *testing.T) {
	w := newWorld(t)
	v := redeemForm("public", w.code("public", "user/Patient.r", doctor, "purpose", "TREAT"))
	raw := func(method, target, kind, body string) *answer {
		r := httptest.NewRequest(method, w.Issuer+target, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		return w.do(r)
	}
	const enc = "application/x-www-form-urlencoded"
	w.wantError(raw("POST", "/token", "application/json", `{"grant_type":"authorization_code"}`), 400, "invalid_request")
	w.wantError(raw("POST", "/token?"+v.Encode(), enc, ""), 400, "invalid_request")
	w.wantError(raw("POST", "/token", enc, v.Encode()+"&code=x"), 400, "invalid_request")
	w.wantError(raw("POST", "/token", enc, "a=%zz"), 400, "invalid_request")
	w.wantError(raw("POST", "/token", enc, strings.Repeat("a", maxForm+1)), 400, "invalid_request")
	w.wantError(w.post("/token", with(v, "grant_type", "")), 400, "invalid_request")
	w.wantError(w.post("/token", with(v, "grant_type", "password")), 400, "unsupported_grant_type")
	if a := raw("GET", "/token", enc, ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("got %d, want 405", a.status)
	}
}

// A token for fewer scopes must not reach more patients.
func TestNarrowerRefreshStaysWithItsPatient(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "launch/patient patient/Condition.rs user/Observation.rs offline_access", doctor, "patient", "p1", "purpose", "TREAT")
	b := w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token"), "scope", "user/Observation.rs"))
	tok, err := w.bears(b.str("access_token"))
	if err != nil || tok.Kind != ForPatient || tok.Patient != "p1" {
		t.Errorf("got %+v, %v", tok, err)
	}
}

func TestCarerIsHeldToOnePatient(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Charts = charts{} })
	carer := User{ID: "care-1", Name: "Cara Carer", FHIRUser: "RelatedPerson/r1"}
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("approved", "openid fhirUser user/*.rs", "purpose_of_use", "PWATRNY").Encode()), carer)
	if page.status != http.StatusOK {
		t.Fatalf("got %d, want to be asked", page.status)
	}
	if got := b.consent(page); got.status != http.StatusBadRequest {
		t.Errorf("got %d without a patient", got.status)
	}
	a := w.post("/token", redeemForm("approved", w.back(b.consent(page, "patient", "p1")).Get("code")))
	tok, err := w.bears(a.str("access_token"))
	if err != nil || tok.Kind != ForPatient || tok.Patient != "p1" {
		t.Errorf("got %+v, %v", tok, err)
	}
	if q := w.back(b.get("/authorize?" + w.ask("approved", "user/*.rs", "purpose_of_use", "TREAT").Encode())); q.Get("error") != "access_denied" {
		t.Errorf("got %v, want that a carer does not treat", q)
	}
}

func TestIdentityNeedsOpenID(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "fhirUser profile user/Patient.r", doctor, "purpose", "TREAT")
	if a.str("scope") != "user/Patient.r" || a.json["id_token"] != nil {
		t.Errorf("got %s", a.body)
	}
	// Nor without a consent page.
	b := &browser{w: w}
	q := w.back(b.signInAs(b.get("/authorize?"+w.ask("approved", "fhirUser user/Patient.r", "purpose_of_use", "TREAT").Encode()), doctor))
	if a := w.post("/token", redeemForm("approved", q.Get("code"))); a.str("scope") != "user/Patient.r" {
		t.Errorf("got %s", a.body)
	}
}

func TestOfManyClicksOneGivesACode(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "user/Patient.r").Encode()), doctor)
	v := with(fields(page), "decision", "allow", "scope", "user/Patient.r", "purpose", "TREAT")
	cookie := w.cookieName() + "=" + b.cookie
	got := make(chan string)
	for range 16 {
		go func() {
			r := postOf(w.Issuer+"/approve", v)
			r.Header.Set("Cookie", cookie)
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, r)
			got <- rec.Header().Get("Location")
		}()
	}
	codes := 0
	for range 16 {
		if strings.Contains(<-got, "code=") {
			codes++
		}
	}
	if codes != 1 {
		t.Errorf("got %d codes, want 1", codes)
	}
	// Two that both found the flow before either ended it.
	page = b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())
	f, ok := w.flows.find(fields(page).Get("flow"), digest("browser", b.cookie), w.now())
	if !ok {
		t.Fatal("no flow")
	}
	var answers []int
	for range 2 {
		rec := httptest.NewRecorder()
		w.finish(rec, httptest.NewRequest(http.MethodPost, w.Issuer+"/approve", nil), &f, f.scopes, "", "TREAT")
		answers = append(answers, rec.Code)
	}
	if answers[0] != http.StatusSeeOther || answers[1] != http.StatusBadRequest {
		t.Errorf("got %v, want the second to be refused", answers)
	}
}

func TestOfTwoFlowsWithOneLaunchOneEnds(t *testing.T) {
	w := newWorld(t)
	id, err := w.Launch(Launch{User: doctor.ID, Patient: "p1", Purpose: "TREAT"})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{w: w}
	ask := "/authorize?" + w.ask("public", "launch patient/*.rs", "launch", id).Encode()
	first := b.signInAs(b.get(ask), doctor)
	second := b.get(ask)
	if q := w.back(b.consent(first)); q.Get("code") == "" {
		t.Errorf("got %v", q)
	}
	if q := w.back(b.consent(second)); q.Get("error") != "invalid_request" {
		t.Errorf("got %v, want the launch to be used", q)
	}
}
