package smart

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// idp is an organisation's OpenID provider that says whatever the test wants.
type idp struct {
	t        *testing.T
	w        *world
	claims   map[string]any // over the good ones; nil values take away
	sign     func(map[string]any) string
	verifier string // that it was sent
	nonce    string // that it puts into the ID token
	down     bool
}

const idpIssuer = "https://idp.example"

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.down {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	out := map[string]any{}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		out = map[string]any{
			"issuer": idpIssuer, "authorization_endpoint": idpIssuer + "/auth", "token_endpoint": idpIssuer + "/token", "jwks_uri": idpIssuer + "/jwks",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		}
	case "/jwks":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keySetOf(p.t))
		return
	case "/token":
		_ = r.ParseForm()
		p.verifier = r.Form.Get("code_verifier")
		claims := map[string]any{
			"iss": idpIssuer, "aud": "salus", "sub": "x-77", "preferred_username": "dora", "nonce": p.nonce,
			"iat": p.w.now().Unix(), "exp": p.w.now().Add(time.Minute).Unix(),
		}
		for k, v := range p.claims {
			if claims[k] = v; v == nil {
				delete(claims, k)
			}
		}
		out = map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.sign(claims)}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func newIDPWorld(t *testing.T) (*world, *idp) {
	t.Helper()
	p := &idp{t: t, sign: func(c map[string]any) string { return sign(t, jose.RS256, rsaKey(), "r", c) }}
	w := newWorld(t, func(c *Config) {
		c.Provider = &Provider{
			Issuer: idpIssuer, ClientID: "salus", ClientSecret: "s", Claim: "preferred_username", HTTP: &http.Client{Transport: transport{"idp.example": p}},
			User: func(_ context.Context, name string) (*User, error) {
				if name != "dora" {
					return nil, ErrSignIn
				}
				u := doctor
				return &u, nil
			},
		}
	})
	p.w = w
	return w, p
}

// visit begins a flow and returns what the provider is asked.
func visitOf(w *world, b *browser) url.Values {
	w.t.Helper()
	a := b.get("/authorize?" + w.ask("public", "openid user/Patient.r").Encode())
	to := a.header.Get("Location")
	if !strings.HasPrefix(to, idpIssuer+"/auth?") {
		w.t.Fatalf("got %d to %q, want the provider", a.status, to)
	}
	u, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Query()
}

func TestStaffSignInAtTheirProvider(t *testing.T) {
	w, p := newIDPWorld(t)
	b := &browser{w: w}
	q := visitOf(w, b)
	if q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("redirect_uri") != w.Issuer+"/callback" || !strings.Contains(q.Get("scope"), "openid") {
		t.Errorf("got %v", q)
	}
	p.nonce = q.Get("nonce")
	page := b.get("/callback?" + form("code", "c", "state", q.Get("state")).Encode())
	if !verifies(p.verifier, q.Get("code_challenge")) {
		t.Error("the verifier is not that of the challenge")
	}
	a := w.post("/token", redeemForm("public", w.back(b.consent(page, "purpose", "TREAT")).Get("code")))
	tok, err := w.bears(a.str("access_token"))
	if err != nil || tok.User != doctor.ID || tok.FHIRUser != doctor.FHIRUser {
		t.Errorf("got %+v, %v", tok, err)
	}
	if got := b.get("/callback?" + form("code", "c", "state", q.Get("state")).Encode()); got.status != http.StatusBadRequest {
		t.Errorf("got %d for an answer that comes again", got.status)
	}
}

func TestSignInsThatAreNotAccepted(t *testing.T) {
	for what, spoil := range map[string]func(*idp, url.Values){
		"other nonce":     func(p *idp, _ url.Values) { p.nonce = "x" },
		"no nonce":        func(p *idp, _ url.Values) { p.claims = map[string]any{"nonce": nil} },
		"other audience":  func(p *idp, _ url.Values) { p.claims = map[string]any{"aud": "another"} },
		"other issuer":    func(p *idp, _ url.Values) { p.claims = map[string]any{"iss": "https://evil.example"} },
		"expired":         func(p *idp, _ url.Values) { p.claims = map[string]any{"exp": noon.Add(-time.Minute).Unix()} },
		"no claim":        func(p *idp, _ url.Values) { p.claims = map[string]any{"preferred_username": nil} },
		"claim of a list": func(p *idp, _ url.Values) { p.claims = map[string]any{"preferred_username": []string{"dora"}} },
		"nobody here":     func(p *idp, _ url.Values) { p.claims = map[string]any{"preferred_username": "mallory"} },
		"refused there":   func(_ *idp, q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		"mixed up":        func(_ *idp, q url.Values) { q.Set("iss", "https://evil.example") },
		"unsigned": func(p *idp, _ url.Values) {
			p.sign = func(map[string]any) string { return "eyJhbGciOiJub25lIn0.e30." }
		},
		"shared secret": func(p *idp, _ url.Values) {
			p.sign = func(c map[string]any) string { return sign(p.t, jose.HS256, []byte(strings.Repeat("s", 32)), "r", c) }
		},
	} {
		w, p := newIDPWorld(t)
		b := &browser{w: w}
		q := visitOf(w, b)
		p.nonce = q.Get("nonce")
		back := form("code", "c", "state", q.Get("state"))
		spoil(p, back)
		if got := w.back(b.get("/callback?" + back.Encode())); got.Get("error") != "access_denied" || got.Get("code") != "" {
			t.Errorf("%s: got %v, want access_denied", what, got)
		}
	}
}

func TestCallbackIsBoundToItsBrowser(t *testing.T) {
	w, p := newIDPWorld(t)
	b := &browser{w: w}
	q := visitOf(w, b)
	p.nonce = q.Get("nonce")
	id, _, _ := strings.Cut(q.Get("state"), ".")
	for what, c := range map[string]struct {
		b     *browser
		state string
	}{
		"another browser": {&browser{w: w, cookie: newSecret()}, q.Get("state")},
		"no cookie":       {&browser{w: w}, q.Get("state")},
		"half a state":    {b, id},
		"other half":      {b, id + "." + newSecret()},
		"no state":        {b, ""},
	} {
		if got := c.b.get("/callback?" + form("code", "c", "state", c.state).Encode()); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", what, got.status)
		}
	}
}

func TestProviderMayBeDownAndComeBack(t *testing.T) {
	w, p := newIDPWorld(t)
	p.down = true
	b := &browser{w: w}
	if q := w.back(b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())); q.Get("error") != "temporarily_unavailable" {
		t.Errorf("got %v", q)
	}
	p.down = false
	visitOf(w, b)
	if a := w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/manage", nil)); !strings.HasPrefix(a.header.Get("Location"), idpIssuer) {
		t.Errorf("got %d to %q, want the provider", a.status, a.header.Get("Location"))
	}
}

func TestNobodySignsInWithoutAWay(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SignIn = nil })
	b := &browser{w: w}
	if q := w.back(b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())); q.Get("error") != "temporarily_unavailable" {
		t.Errorf("got %v", q)
	}
	if a := b.get("/manage"); a.status != http.StatusForbidden {
		t.Errorf("got %d, want a page", a.status)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	w := newWorld(t)
	for what, change := range map[string]func(*Config){
		"plain http": func(c *Config) { c.Issuer = "http://node.example/oauth2" },
		"slash":      func(c *Config) { c.FHIR += "/" },
		"query":      func(c *Config) { c.Issuer += "?x=1" },
		"no host":    func(c *Config) { c.Issuer = "/oauth2" },
		"no keeper":  func(c *Config) { c.Keeper = nil },
		"no log":     func(c *Config) { c.Log = nil },
	} {
		c := w.Config
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: is taken", what)
		}
	}
}

// asleep is a provider that takes a question and answers after an hour, for whom the client does not wait.
type asleep struct{ asked atomic.Int32 }

func (a *asleep) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked.Add(1)
	select {
	case <-time.After(time.Hour):
	case <-r.Context().Done():
	}
	return nil, r.Context().Err()
}

// Those who sign in while the provider keeps silent are told so together, not one after the other.
func TestASilentProviderIsAskedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := &asleep{}
		p := &Provider{Issuer: idpIssuer, HTTP: &http.Client{Transport: silent, Timeout: 10 * time.Second}}
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := p.meet(t.Context()); err == nil {
					t.Error("it has not said anything")
				}
			})
		}
		all.Wait()
		if took := time.Since(began); silent.asked.Load() != 1 || took > 11*time.Second {
			t.Errorf("asked %d times, in %s; want once", silent.asked.Load(), took)
		}
	})
}
