package smart

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"salus/fhir/search"
)

// Keys of apps, made once: RSA takes its time.
var (
	rsaKey    = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	ecKey     = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader); return k })
	signerRow = sync.OnceValue(func() map[string][]byte {
		m := NewMemory()
		s, err := New(Config{Issuer: "http://127.0.0.1/oauth2", FHIR: "http://127.0.0.1/fhir", Keeper: m, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }})
		if err == nil {
			_, err = s.signing()
		}
		if err != nil {
			panic(err)
		}
		return m.rows
	})
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// params knows a few types and parameters.
type params struct{}

func (params) Known(t string) bool {
	return t == "Patient" || t == "Observation" || t == "Condition" || t == "Encounter" || t == "Practitioner"
}

func (params) Param(typ, code string) (*search.Param, bool) {
	switch {
	case code == "_id" || code == "_tag":
		return &search.Param{Code: code, Kind: search.Token}, true
	case typ == "Observation" && (code == "category" || code == "code" || code == "status"):
		return &search.Param{Code: code, Kind: search.Token}, true
	case typ == "Observation" && code == "date":
		return &search.Param{Code: code, Kind: search.Date}, true
	case typ == "Observation" && code == "patient":
		return &search.Param{Code: code, Kind: search.Reference, Targets: []string{"Patient"}}, true
	case typ == "Patient" && code == "birthdate":
		return &search.Param{Code: code, Kind: search.Date}, true
	}
	return nil, false
}

// charts are three patients; each person but the patient herself may choose two.
type charts struct{}

func (charts) Find(_ context.Context, _ *User, text string, n int) (list []Chart, err error) {
	for _, c := range []Chart{{"p1", "Ada Sample", "born 1970"}, {"p2", "Bea Sample", "born 1980"}} {
		if strings.Contains(strings.ToLower(c.Name), strings.ToLower(text)) && len(list) < n {
			list = append(list, c)
		}
	}
	return list, nil
}

func (charts) May(_ context.Context, u *User, id string) (bool, error) {
	return u.patient() == "" && (id == "p1" || id == "p2"), nil
}

// world is a server with the apps that the tests use.
type world struct {
	*Server
	t      *testing.T
	mu     sync.Mutex
	at     time.Time
	codes  *Codes
	events []Event
	full   error  // why nothing can be recorded
	secret string // of the app "symmetric"
}

const (
	callback = "https://app.example/callback?k=1"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
)

var (
	doctor  = User{ID: "staff-1", Name: "Dr Dora Demo", FHIRUser: "Practitioner/d1"}
	patient = User{ID: "pat-9", Name: "Pia Probe", FHIRUser: "Patient/p9"}
)

func scopesOf(t testing.TB, text string) []Scope {
	t.Helper()
	s, ok := parseScopes(text)
	if !ok || len(s) != len(strings.Fields(text)) {
		t.Fatalf("scopes %q do not parse", text)
	}
	return s
}

const everything = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.cruds user/*.cruds patient/*.* user/*.*"

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, at: noon}
	m := NewMemory()
	maps.Copy(m.rows, signerRow())
	w.codes = &Codes{Keeper: m, Now: w.now}
	c := Config{
		Issuer: "https://node.example/oauth2", FHIR: "https://node.example/fhir", Name: "Sample Clinic", Keeper: m, SignIn: w.codes, Charts: charts{},
		Params: params{}, Now: w.now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Notify: func(e Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.full != nil {
				return w.full
			}
			w.events = append(w.events, e)
			return nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	people := []string{grantCode, grantRefresh}
	all := scopesOf(t, everything)
	for _, c := range []Client{
		{ID: "public", Name: "Public App", Auth: AuthNone, Redirects: []string{callback, "http://127.0.0.1:7777/back", "com.example.app:/back"}, Scopes: all, Grants: people},
		{ID: "other", Name: "Other App", Auth: AuthNone, Redirects: []string{"https://other.example/cb"}, Scopes: all, Grants: people},
		{ID: "narrow", Auth: AuthNone, Redirects: []string{callback}, Scopes: scopesOf(t, "launch/patient patient/Observation.rs patient/Condition.r"), Grants: []string{grantCode}},
		{ID: "approved", Auth: AuthNone, Redirects: []string{callback}, Scopes: all, Grants: people, Approved: true, LaunchURL: "https://app.example/launch"},
		{ID: "emergency", Auth: AuthNone, Redirects: []string{callback}, Scopes: all, Grants: people, Approved: true, Purposes: []string{"TREAT", "ETREAT"}},
		{ID: "symmetric", Auth: AuthBasic, Redirects: []string{callback}, Scopes: all, Grants: people},
		{ID: "keyed", Auth: AuthKeyJWT, Redirects: []string{callback}, Scopes: all, Grants: people, JWKS: keySetOf(t)},
		{ID: "backend", Auth: AuthKeyJWT, Scopes: scopesOf(t, "system/Observation.rs system/Patient.r"), Grants: []string{grantClient}, JWKS: keySetOf(t)},
		{ID: "watcher", Auth: AuthKeyJWT, Scopes: scopesOf(t, "system/Observation.rs"), Grants: []string{grantClient}, JWKS: keySetOf(t), Inspect: true, Purposes: []string{"HOPERAT", "ETREAT"}},
	} {
		_, secret, err := s.Register(c)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		if secret != "" {
			w.secret = secret
		}
	}
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// happened reports whether an event of that kind was notified.
func (w *world) happened(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.What == what {
			return true
		}
	}
	return false
}

func keySetOf(t *testing.T) []byte {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "r"}, {Key: ecKey().Public(), KeyID: "e"}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// claim is a good assertion of an app, to be spoiled.
func (w *world) claim(client string) map[string]any {
	return map[string]any{"iss": client, "sub": client, "aud": w.tokenURL(), "exp": w.now().Add(4 * time.Minute).Unix(), "jti": newSecret()}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any, headers ...string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		opts = opts.WithHeader(jose.HeaderKey(headers[i]), headers[i+1])
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (w *world) assertion(client string) string {
	return sign(w.t, jose.RS384, rsaKey(), "r", w.claim(client))
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (a *answer) str(name string) string { s, _ := a.json[name].(string); return s }

func (w *world) do(r *http.Request) *answer {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	a := &answer{status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(a.body, &a.json)
	}
	return a
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func with(v url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for k, list := range v {
		out[k] = append([]string(nil), list...)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if out.Del(pairs[i]); pairs[i+1] != "" {
			out.Set(pairs[i], pairs[i+1])
		}
	}
	return out
}

func postOf(address string, v url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, address, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// post calls an endpoint of the issuer.
func (w *world) post(path string, v url.Values) *answer { return w.do(postOf(w.Issuer+path, v)) }

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is a good authorisation request, to be spoiled.
func (w *world) ask(client, scope string, pairs ...string) url.Values {
	return with(form("response_type", "code", "client_id", client, "redirect_uri", callback, "scope", scope, "state", "st-4711",
		"aud", w.FHIR, "code_challenge", challenge(), "code_challenge_method", "S256"), pairs...)
}

// A browser keeps one cookie, and goes where it is sent within the issuer.
type browser struct {
	w      *world
	cookie string
}

func (b *browser) send(r *http.Request) *answer {
	if b.cookie != "" {
		r.Header.Set("Cookie", b.w.cookieName()+"="+b.cookie)
	}
	a := b.w.do(r)
	for _, line := range a.header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == b.w.cookieName() {
			b.cookie = c.Value
		}
	}
	return a
}

// follow goes on until it stands on a page, or leaves the issuer.
func (b *browser) follow(a *answer) *answer {
	for range 10 {
		to := a.header.Get("Location")
		if a.status/100 != 3 || !strings.HasPrefix(to, b.w.Issuer) {
			return a
		}
		a = b.send(httptest.NewRequest(http.MethodGet, to, nil))
	}
	b.w.t.Fatal("redirects without an end")
	return nil
}

func (b *browser) get(path string) *answer {
	return b.follow(b.send(httptest.NewRequest(http.MethodGet, b.w.Issuer+path, nil)))
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// fields are a page's hidden fields.
func fields(a *answer) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(string(a.body), -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	return v
}

var ticked = regexp.MustCompile(`name="scope" value="([^"]*)" checked`)

// offered are the scopes that a consent page offers.
func offered(a *answer) (list []string) {
	for _, m := range ticked.FindAllStringSubmatch(string(a.body), -1) {
		list = append(list, html.UnescapeString(m[1]))
	}
	return list
}

func (b *browser) submit(path string, v url.Values) *answer {
	return b.follow(b.send(postOf(b.w.Issuer+path, v)))
}

// signInAs types a code on the sign-in page.
func (b *browser) signInAs(page *answer, u User) *answer {
	b.w.t.Helper()
	code, err := b.w.codes.Issue(u, time.Minute)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return b.submit("/signin", with(fields(page), "code", code))
}

// consent allows what a page offers.
func (b *browser) consent(page *answer, pairs ...string) *answer {
	v := with(fields(page), append([]string{"decision", "allow"}, pairs...)...)
	if !v.Has("scope") {
		v["scope"] = offered(page)
	}
	return b.submit("/approve", v)
}

// back is what an app got at its redirect_uri.
func (w *world) back(a *answer) url.Values {
	w.t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if a.status != http.StatusSeeOther || err != nil || strings.HasPrefix(a.header.Get("Location"), w.Issuer) {
		w.t.Fatalf("got %d to %q, want a redirect to the app\n%s", a.status, a.header.Get("Location"), a.body)
	}
	return u.Query()
}

// code goes through sign-in and consent.
func (w *world) code(client, scope string, u User, pairs ...string) string {
	w.t.Helper()
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask(client, scope).Encode()), u)
	q := w.back(b.consent(page, pairs...))
	if q.Get("code") == "" {
		w.t.Fatalf("got %v, want a code", q)
	}
	return q.Get("code")
}

func redeemForm(client, code string) url.Values {
	return form("grant_type", "authorization_code", "client_id", client, "code", code, "redirect_uri", callback, "code_verifier", verifier)
}

// grant is a token response after sign-in and consent.
func (w *world) grant(client, scope string, u User, pairs ...string) *answer {
	w.t.Helper()
	a := w.post("/token", redeemForm(client, w.code(client, scope, u, pairs...)))
	if a.status != http.StatusOK {
		w.t.Fatalf("got %d %s, want a token", a.status, a.body)
	}
	return a
}

// bears authenticates a token.
func (w *world) bears(secret string) (*Token, error) {
	r := httptest.NewRequest(http.MethodGet, w.FHIR+"/Patient", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	return w.Authenticate(r)
}

func (w *world) wantError(a *answer, status int, code string) {
	w.t.Helper()
	if a.status != status || a.str("error") != code {
		w.t.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("got Cache-Control %q, want no-store", a.header.Get("Cache-Control"))
	}
}

// transport answers requests in this process.
type transport map[string]http.Handler

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	h := t[r.URL.Host]
	if h == nil {
		return nil, fmt.Errorf("no host %q", r.URL.Host)
	}
	rec := httptest.NewRecorder()
	r.RequestURI = r.URL.RequestURI()
	if r.Body == nil {
		r.Body = io.NopCloser(strings.NewReader(""))
	}
	h.ServeHTTP(rec, r)
	return rec.Result(), nil
}
