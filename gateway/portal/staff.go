package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"salus/gateway/smart"
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Staff is how the portal signs staff in and reads for them.
type Staff interface {
	// OAuth is the organisation's authorisation server, FHIR its FHIR server under /fhir/.
	OAuth() *smart.Server
	FHIR() http.Handler
	// Account is the ledger account behind the name of a practitioner's key.
	Account(name string) (tx.Account, bool)
	// Person is who signs in under that name.
	Person(name string) (*smart.User, bool)
}

// App is the portal's registration at the authorisation server: a public client, bound by PKCE.
// The organisation answers for it to its staff; a purpose is asked where none is stated.
func App(origin string) (smart.Client, error) {
	c := smart.Client{
		ID: appID, Name: "Salus portal", Auth: smart.AuthNone, Redirects: []string{origin + backPath}, Grants: []string{"authorization_code", "refresh_token"}, Approved: true,
	}
	for s := range strings.FieldsSeq(appScopes) {
		scope, err := smart.ParseScope(s)
		if err != nil {
			return c, err
		}
		c.Scopes = append(c.Scopes, scope)
	}
	// All purposes, and of the emergency ones that of declared emergencies: it is never implied, and each
	// sign-in for it is confirmed.
	for p := consent.TREAT; p.Known(); p++ {
		if !p.Emergency() || p == consent.BTG {
			c.Purposes = append(c.Purposes, p.String())
		}
	}
	return c, nil
}

const (
	appID     = "salus-portal"
	appScopes = "openid fhirUser online_access user/*.cruds"
	backPath  = "/api/staff/callback"
	flowLife  = 10 * time.Minute
	maxFlows  = 1_000
)

// flows are sign-ins of staff under way, by their state.
type flows struct {
	mu   sync.Mutex
	open map[string]flow
}

type flow struct {
	verifier string // of PKCE (RFC 7636)
	browser  [32]byte
	ends     time.Time
	until    time.Time // when the session ends that it goes on from; zero: a fresh sign-in
}

func (p *Portal) flowCookie(value string, age int) *http.Cookie {
	// Lax: it must come along when the authorisation server sends the browser back.
	//nolint:gosec // Secure wherever there is TLS; http is for this machine alone
	return &http.Cookie{Name: p.cookieName() + "-flow", Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode}
}

func drawn() string {
	b := draw32()
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func draw32() (b [32]byte) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}

// challengeOf is the S256 challenge of a verifier (RFC 7636 section 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// staffStart sends the browser to the authorisation server.
//
// Who is signed in here goes on from there, for another purpose say. Anybody else proves anew who she
// is, even if the authorisation server remembers the browser: signing out here, at a desk that others
// use, must be enough.
func (p *Portal) staffStart(w http.ResponseWriter, r *http.Request, _ *session) error {
	if p.Staff == nil {
		return errUnknown
	}
	state, verifier, browser, now := drawn(), drawn(), drawn(), p.Now()
	var until time.Time
	if s, ok := p.find(r, true); ok && staff.admits(s.role) {
		until = s.ends
	}
	p.flows.mu.Lock()
	if p.flows.open == nil {
		p.flows.open = map[string]flow{}
	}
	for k, f := range p.flows.open {
		if !now.Before(f.ends) {
			delete(p.flows.open, k)
		}
	}
	full := len(p.flows.open) >= maxFlows
	if !full {
		p.flows.open[state] = flow{verifier, sha256.Sum256([]byte(browser)), now.Add(flowLife), until}
	}
	p.flows.mu.Unlock()
	if full {
		return errFull
	}
	http.SetCookie(w, p.flowCookie(browser, int(flowLife/time.Second)))
	server := p.Staff.OAuth()
	q := url.Values{
		"response_type": {"code"}, "client_id": {appID}, "redirect_uri": {p.Origin + backPath}, "scope": {appScopes}, "state": {state}, "aud": {server.FHIR},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	if until.IsZero() || r.URL.Query().Has("fresh") {
		q.Set("prompt", "login")
	}
	if purpose := r.URL.Query().Get("purpose"); purpose != "" {
		q.Set("purpose_of_use", purpose)
	}
	http.Redirect(w, r, server.Issuer+"/authorize?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// staffBack is where the authorisation server sends the browser: it takes the code for a token,
// and opens a session whose role the ledger says.
func (p *Portal) staffBack(w http.ResponseWriter, r *http.Request, _ *session) error {
	if p.Staff == nil {
		return errUnknown
	}
	q := r.URL.Query()
	p.flows.mu.Lock()
	f, ok := p.flows.open[q.Get("state")]
	delete(p.flows.open, q.Get("state"))
	p.flows.mu.Unlock()
	c, err := r.Cookie(p.cookieName() + "-flow")
	// The issuer is checked as RFC 9207 says, so that no other server's answer is taken for ours.
	if !ok || err != nil || sha256.Sum256([]byte(c.Value)) != f.browser || !p.Now().Before(f.ends) || q.Get("iss") != p.Staff.OAuth().Issuer {
		return errProof
	}
	if q.Get("code") == "" {
		p.back(w, r, "/#/clinician?refused=1")
		return nil
	}
	b, err := p.redeem(r, q.Get("code"), f.verifier)
	if err != nil {
		return err
	}
	s, err := p.staffSession(r, b)
	if err != nil {
		p.giveBack(b)
		return err
	}
	// The authorisation server goes on for as long from its own sign-in; it is asked at each refresh.
	if s.ends = f.until; s.ends.IsZero() {
		s.ends = p.Now().Add(p.Staff.OAuth().Session)
	}
	p.finish(w, r)
	w.Header().Del("Set-Cookie")
	http.SetCookie(w, p.flowCookie("", -1))
	if err := p.begin(w, *s); err != nil {
		return err
	}
	p.back(w, r, "/#/clinician")
	return nil
}

func (p *Portal) back(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// staffSession says who signed in.
func (p *Portal) staffSession(r *http.Request, b *bearer) (*session, error) {
	ask := r.Clone(r.Context())
	ask.Header = http.Header{"Authorization": {"Bearer " + b.token}}
	t, err := p.Staff.OAuth().Authenticate(ask)
	if err != nil || !strings.HasPrefix(t.FHIRUser, "Practitioner/") {
		return nil, errRole
	}
	account, ok := p.Staff.Account(t.User)
	if !ok {
		return nil, errRole
	}
	who, ok := p.Ledger.Standing(account)
	if !ok || who.Class != ledger.ClassPractitioner || who.Member != p.Self {
		return nil, errRole
	}
	s := &session{account: account, role: staff, name: t.User, purpose: t.Purpose, bearer: b, proved: time.Unix(t.SignedIn, 0)}
	if who.Has(identity.PrivAdmin) {
		s.role = admin
	}
	return s, nil
}

// fhir passes a request of staff to the FHIR server with the portal's token: there is no second
// way to a patient's data.
func (p *Portal) fhir(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Staff == nil || s.bearer == nil {
		return errUnknown
	}
	token, err := p.token(r, s)
	if err != nil {
		return err
	}
	req := r.Clone(r.Context())
	req.URL.Path, req.URL.RawPath, req.RequestURI = strings.TrimPrefix(r.URL.Path, "/api"), "", ""
	req.Header = http.Header{"Authorization": {"Bearer " + token}}
	for _, name := range []string{"Accept", "Content-Type", "If-Match", "If-None-Match", "If-None-Exist", "Prefer", "Salus-Wait", "Salus-Patient"} {
		if v := r.Header.Values(name); len(v) > 0 {
			req.Header[name] = v
		}
	}
	p.Staff.FHIR().ServeHTTP(w, req)
	return nil
}

// adminReads are the routes of the operator's API that an admin may read here.
var adminReads = map[string]string{
	"status": "/v1/status", "staff": "/v1/staff", "apps": "/v1/apps", "feeds": "/v1/feeds", "custody": "/v1/custody", "vault": "/v1/vault",
}

func (p *Portal) adminRead(w http.ResponseWriter, r *http.Request, s *session) error {
	path, ok := adminReads[r.PathValue("what")]
	if !ok || p.Admin == nil {
		return errUnknown
	}
	if err := p.administers(s); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, path, http.NoBody)
	if err != nil {
		return err
	}
	p.Admin.ServeHTTP(w, req)
	return nil
}
