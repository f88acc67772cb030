package smart

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// Inferno: well_known_endpoint, well_known_capabilities_stu2, openid_required_configuration_fields.
func TestDiscoverySaysWhatIsServed(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{w.FHIR + "/.well-known/smart-configuration", w.Issuer + "/.well-known/openid-configuration", "https://node.example/.well-known/oauth-authorization-server/oauth2"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Origin", "https://anywhere.example")
		r.Header.Set("Accept", "application/fhir+json")
		a := w.do(r)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: got %d %v", path, a.status, a.header)
		}
		for _, name := range []string{"issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "management_endpoint"} {
			if !strings.HasPrefix(a.str(name), "https://node.example/oauth2") {
				t.Errorf("%s: %s is %q", path, name, a.str(name))
			}
		}
		list := func(name string) (out []string) {
			l, _ := a.json[name].([]any)
			for _, v := range l {
				s, _ := v.(string)
				out = append(out, s)
			}
			return out
		}
		if !slices.Equal(list("code_challenge_methods_supported"), []string{"S256"}) || !slices.Equal(list("response_types_supported"), []string{"code"}) {
			t.Errorf("%s: got %s", path, a.body)
		}
		for _, want := range []string{"launch-ehr", "launch-standalone", "client-public", "client-confidential-asymmetric", "sso-openid-connect", "permission-v1", "permission-v2", "context-standalone-patient", "authorize-post"} {
			if !slices.Contains(list("capabilities"), want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		// All scopes that are listed are supported.
		for _, s := range list("scopes_supported") {
			if _, err := ParseScope(s); err != nil {
				t.Errorf("%s lists %s", path, s)
			}
		}
		if a.json["registration_endpoint"] != nil {
			t.Error("registration is off, and listed")
		}
	}
}

// Inferno: cors_token_exchange; SMART 2.2: for requests from a client's registered origins.
func TestOriginsOfAppsMayCallTheTokenEndpoint(t *testing.T) {
	w := newWorld(t)
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": "", "null": "", "": ""} {
		r := httptest.NewRequest(http.MethodOptions, w.Issuer+"/token", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		p := w.do(r)
		r = postOf(w.Issuer+"/token", form("grant_type", "x", "client_id", "public"))
		r.Header.Set("Origin", origin)
		a := w.do(r)
		if p.header.Get("Access-Control-Allow-Origin") != want || a.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%q: got %q and %q", origin, p.header.Get("Access-Control-Allow-Origin"), a.header.Get("Access-Control-Allow-Origin"))
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
			t.Errorf("%q: got %v", origin, a.header)
		}
	}
	if err := w.DropClient("public"); err != nil {
		t.Fatal(err)
	}
	if w.AllowOrigin("http://127.0.0.1:7777") {
		t.Error("an origin stays after its app is gone")
	}
}

// Inferno: token_introspection_response_group.
func TestIntrospection(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "openid fhirUser launch/patient patient/Observation.rs", doctor, "patient", "p1", "purpose", "TREAT")
	ask := func(client, token string) *answer {
		return w.post("/introspect", form("token", token, "client_assertion_type", assertionType, "client_assertion", w.assertion(client)))
	}
	got := ask("watcher", a.str("access_token"))
	for name, want := range map[string]any{
		"active": true, "scope": a.str("scope"), "client_id": "public", "patient": "p1", "iss": w.Issuer, "sub": "staff-1",
		"fhirUser": w.FHIR + "/Practitioner/d1", "exp": float64(noon.Unix() + 300), "__purpose_of_use": "TREAT", "aud": w.FHIR,
	} {
		if got.json[name] != want {
			t.Errorf("%s: got %v, want %v", name, got.json[name], want)
		}
	}
	inactive := func(what string, a *answer) {
		t.Helper()
		if a.status != http.StatusOK || a.json["active"] != false || len(a.json) != 1 {
			t.Errorf("%s: got %d %s, want no more than inactive", what, a.status, a.body)
		}
	}
	inactive("unknown", ask("watcher", newSecret()))
	inactive("empty", ask("watcher", ""))
	inactive("of another app", ask("backend", a.str("access_token")))
	// By bearer token, as SMART wants it.
	own := w.post("/token", form("grant_type", "client_credentials", "scope", "system/Observation.rs", "client_assertion_type", assertionType, "client_assertion", w.assertion("watcher")))
	bearer := func(secret string) *answer {
		r := postOf(w.Issuer+"/introspect", form("token", a.str("access_token")))
		r.Header.Set("Authorization", "Bearer "+secret)
		return w.do(r)
	}
	if got := bearer(own.str("access_token")); got.json["active"] != true {
		t.Errorf("got %s", got.body)
	}
	w.wantError(bearer(a.str("access_token")), http.StatusForbidden, "insufficient_scope")
	w.wantError(bearer(newSecret()), http.StatusUnauthorized, "invalid_client")
	w.wantError(w.post("/introspect", form("token", a.str("access_token"))), http.StatusUnauthorized, "invalid_client")
	w.wantError(w.post("/introspect", form("token", a.str("access_token"), "client_id", "public")), http.StatusUnauthorized, "invalid_client")
	w.post("/revoke", form("token", a.str("access_token"), "client_id", "public"))
	inactive("revoked", ask("watcher", a.str("access_token")))
}

func TestRevocationHoldsAtTheNextRequest(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	revoke := func(client, token string) *answer {
		return w.post("/revoke", form("client_id", client, "token", token, "token_type_hint", "nonsense"))
	}
	if _, err := w.bears(a.str("access_token")); err != nil {
		t.Fatal(err)
	}
	w.wantError(revoke("other", a.str("access_token")), 400, "invalid_grant")
	w.wantError(revoke("other", a.str("refresh_token")), 400, "invalid_grant")
	w.wantError(revoke("nobody", a.str("access_token")), 401, "invalid_client")
	if _, err := w.bears(a.str("access_token")); err != nil {
		t.Error("another app ended the token")
	}
	if got := revoke("public", newSecret()); got.status != http.StatusOK {
		t.Errorf("got %d for a token that there is not, want 200", got.status)
	}
	revoke("public", a.str("access_token"))
	if _, err := w.bears(a.str("access_token")); err == nil {
		t.Error("the token is taken after its revocation")
	}
	b := w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token")))
	revoke("public", b.str("refresh_token"))
	if _, err := w.bears(b.str("access_token")); err == nil {
		t.Error("the access token outlives its refresh token's revocation")
	}
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", b.str("refresh_token"))), 400, "invalid_grant")
	c := w.grant("public", "user/Patient.r", doctor, "purpose", "TREAT")
	if n, err := w.RevokeAll(func(g Grant) bool { return g.User != nil && g.User.ID == doctor.ID }); err != nil || n != 1 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := w.bears(c.str("access_token")); err == nil {
		t.Error("the token is taken after all were revoked")
	}
}

func TestRegistrationIsOffUnlessSwitchedOn(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest(http.MethodPost, w.Issuer+"/register", strings.NewReader(`{}`))
	r.Header.Set("Content-Type", "application/json")
	if a := w.do(r); a.status != http.StatusNotFound {
		t.Errorf("got %d, want 404", a.status)
	}
}

func TestAppsRegisterThemselves(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Registration = scopesOf(t, "openid fhirUser launch/patient offline_access patient/*.rs")
	})
	register := func(v map[string]any) *answer {
		b, _ := json.Marshal(v)
		r := httptest.NewRequest(http.MethodPost, w.Issuer+"/register", strings.NewReader(string(b)))
		r.Header.Set("Content-Type", "application/json")
		return w.do(r)
	}
	a := register(map[string]any{"client_name": "Self Made", "token_endpoint_auth_method": "none", "redirect_uris": []string{callback}, "scope": "patient/*.cruds user/*.rs system/*.rs openid"})
	if a.status != http.StatusCreated || a.str("client_id") == "" || a.json["client_secret"] != nil || a.str("scope") != "patient/*.rs openid" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask(a.str("client_id"), "patient/*.rs").Encode()), doctor)
	if !strings.Contains(string(page.body), "registered itself") {
		t.Error("the person is not told that nobody looked at the app")
	}
	if a := register(map[string]any{"redirect_uris": []string{callback}}); len(a.str("client_secret")) != secretLen || a.json["client_secret_expires_at"] != 0.0 {
		t.Errorf("got %s, want a secret", a.body)
	}
	var keys any
	_ = json.Unmarshal(keySetOf(t), &keys)
	if a := register(map[string]any{"redirect_uris": []string{callback}, "token_endpoint_auth_method": "private_key_jwt", "jwks": keys}); a.status != http.StatusCreated {
		t.Errorf("got %d %s", a.status, a.body)
	}
	secretKey := map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}}}
	for what, c := range map[string]struct {
		v    map[string]any
		want string
	}{
		"backend service":  {map[string]any{"grant_types": []string{"client_credentials"}, "token_endpoint_auth_method": "private_key_jwt", "jwks": keys}, "invalid_client_metadata"},
		"implicit":         {map[string]any{"redirect_uris": []string{callback}, "response_types": []string{"token"}}, "invalid_client_metadata"},
		"password":         {map[string]any{"redirect_uris": []string{callback}, "grant_types": []string{"password"}}, "invalid_client_metadata"},
		"no address":       {map[string]any{}, "invalid_client_metadata"},
		"plain http":       {map[string]any{"redirect_uris": []string{"http://app.example/cb"}}, "invalid_redirect_uri"},
		"fragment":         {map[string]any{"redirect_uris": []string{callback + "#x"}}, "invalid_redirect_uri"},
		"wildcard":         {map[string]any{"redirect_uris": []string{"https://*.example/cb"}}, "invalid_redirect_uri"},
		"script":           {map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}, "invalid_redirect_uri"},
		"policy injection": {map[string]any{"redirect_uris": []string{"https://a;script-src/cb"}}, "invalid_redirect_uri"},
		"foreign scopes":   {map[string]any{"redirect_uris": []string{callback}, "scope": "user/*.cruds"}, "invalid_client_metadata"},
		"secret key":       {map[string]any{"redirect_uris": []string{callback}, "token_endpoint_auth_method": "private_key_jwt", "jwks": secretKey}, "invalid_client_metadata"},
		"no keys":          {map[string]any{"redirect_uris": []string{callback}, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"},
		"keys in clear":    {map[string]any{"redirect_uris": []string{callback}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.example/jwks"}, "invalid_client_metadata"},
		"client_secret_jwt": {
			map[string]any{"redirect_uris": []string{callback}, "token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata",
		},
	} {
		if a := register(c.v); a.status != http.StatusBadRequest || a.str("error") != c.want {
			t.Errorf("%s: got %d %s, want %s", what, a.status, a.body, c.want)
		}
	}
}

func TestLaunchesAreRegisteredOverHTTP(t *testing.T) {
	w := newWorld(t)
	post := func(body string) *answer {
		rec := httptest.NewRecorder()
		w.ServeLaunch(rec, httptest.NewRequest(http.MethodPost, "/v1/launch", strings.NewReader(body)))
		a := &answer{status: rec.Code, body: rec.Body.Bytes()}
		_ = json.Unmarshal(a.body, &a.json)
		return a
	}
	a := post(`{"client":"approved","user":"staff-1","patient":"p1","purpose_of_use":"TREAT","intent":"x"}`)
	if a.status != http.StatusCreated || len(a.str("launch")) != secretLen || !strings.HasPrefix(a.str("launch_url"), "https://app.example/launch?iss=https%3A%2F%2Fnode.example%2Ffhir&launch=") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for _, body := range []string{"", "{}", `{"client":"nobody","user":"u","purpose_of_use":"TREAT"}`, `{"user":"u"}`} {
		if a := post(body); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", body, a.status)
		}
	}
}

// RFC 6749 section 6 asks a confidential app to authenticate, and a public one for nothing
// but the token.
func TestPublicAppNeedNotNameItselfToRefresh(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	b := w.post("/token", form("grant_type", "refresh_token", "refresh_token", a.str("refresh_token")))
	if b.status != http.StatusOK {
		t.Errorf("got %d %s", b.status, b.body)
	}
	for _, token := range []string{newSecret(), "", strings.Repeat("a", 22) + "." + newSecret()} {
		w.wantError(w.post("/token", form("grant_type", "refresh_token", "refresh_token", token)), 401, "invalid_client")
	}
	code := w.code("keyed", "user/Patient.r offline_access", doctor, "purpose", "TREAT")
	v := with(redeemForm("keyed", code), "client_assertion_type", assertionType, "client_assertion", w.assertion("keyed"))
	k := w.post("/token", v)
	if k.status != http.StatusOK {
		t.Fatalf("got %d %s", k.status, k.body)
	}
	w.wantError(w.post("/token", form("grant_type", "refresh_token", "refresh_token", k.str("refresh_token"))), 401, "invalid_client")
	next := form("grant_type", "refresh_token", "refresh_token", k.str("refresh_token"), "client_assertion_type", assertionType, "client_assertion", w.assertion("keyed"))
	if b := w.post("/token", next); b.status != http.StatusOK {
		t.Errorf("got %d %s", b.status, b.body)
	}
}

func TestSecretInTheBodyIsForAppsRegisteredSo(t *testing.T) {
	w := newWorld(t)
	_, secret, err := w.Register(Client{ID: "posting", Auth: AuthPost, Redirects: []string{callback}, Scopes: scopesOf(t, "user/Patient.r"), Grants: []string{grantCode}})
	if err != nil {
		t.Fatal(err)
	}
	v := redeemForm("posting", w.code("posting", "user/Patient.r", doctor, "purpose", "TREAT"))
	w.wantError(w.post("/token", with(v, "client_secret", newSecret())), 401, "invalid_client")
	r := postOf(w.Issuer+"/token", v)
	r.SetBasicAuth("posting", secret)
	w.wantError(w.do(r), 401, "invalid_client")
	if a := w.post("/token", with(v, "client_secret", secret)); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
	// Registering again changes what is said, not the secret.
	if _, again, err := w.Register(Client{ID: "posting", Auth: AuthPost, Redirects: []string{callback}, Scopes: scopesOf(t, "user/*.rs"), Grants: []string{grantCode}}); err != nil || again != "" {
		t.Errorf("got %q, %v, want no new secret", again, err)
	}
}

func TestFlowsAreBounded(t *testing.T) {
	var f flows
	for i := range maxFlows + 5 {
		f.put(&flow{id: newSecret(), browser: "b", over: noon.Add(time.Duration(i) * time.Millisecond)})
	}
	if len(f.byID) != maxFlows {
		t.Errorf("got %d, want %d", len(f.byID), maxFlows)
	}
	f.sweep(noon.Add(time.Hour))
	if len(f.byID) != 0 {
		t.Errorf("got %d after all are over", len(f.byID))
	}
}

func TestNoAppRegistersItselfForASystem(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Registration = scopesOf(t, "patient/*.rs system/*.rs") })
	r := httptest.NewRequest(http.MethodPost, w.Issuer+"/register", strings.NewReader(`{"token_endpoint_auth_method":"none","redirect_uris":["https://a.example/cb"]}`))
	r.Header.Set("Content-Type", "application/json")
	if a := w.do(r); a.status != http.StatusCreated || a.str("scope") != "patient/*.rs" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}
