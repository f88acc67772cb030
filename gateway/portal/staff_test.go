package portal

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/gateway/balp"
	"salus/gateway/smart"
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// firm is an organisation with an authorisation server and one practitioner.
type firm struct {
	*world
	server *smart.Server
	codes  *smart.Codes
	keeper *smart.Memory
	mu     sync.Mutex
	seen   []string // access tokens, as the FHIR server got them
	jar    map[string]string
	events []balp.Event
	answer func(r *http.Request, t *smart.Token) (int, string) // of the FHIR server; nil: 200
}

func (f *firm) OAuth() *smart.Server { return f.server }
func (f *firm) FHIR() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		t, err := f.server.Authenticate(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if f.answer != nil {
			status, body := f.answer(r, t)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		f.seen = append(f.seen, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
}

func (f *firm) Account(name string) (tx.Account, bool) {
	a, ok := map[string]tx.Account{"nurse": {3}, "doctor": {4}}[name]
	return a, ok
}

func (f *firm) Person(name string) (*smart.User, bool) {
	a, ok := f.Account(name)
	return &smart.User{ID: name, Name: name, FHIRUser: "Practitioner/" + name, Emergency: f.people[a].Has(identity.PrivEmergency)}, ok
}

func newFirm(t *testing.T) *firm {
	t.Helper()
	f := &firm{world: newWorld(t), keeper: smart.NewMemory(), jar: map[string]string{}}
	now := func() time.Time { return f.now }
	f.codes = &smart.Codes{Keeper: f.keeper, Now: now}
	var err error
	f.server, err = smart.New(smart.Config{
		Issuer: "http://localhost:8/oauth2", FHIR: "http://localhost:8/fhir", Name: "Sample Clinic", Keeper: f.keeper, SignIn: f.codes, Now: now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	app, err := App(origin)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.server.Register(app); err != nil {
		t.Fatal(err)
	}
	f.Staff, f.Passkeys = f, &smart.Passkeys{Keeper: f.keeper, Now: now}
	f.Note = func(_ context.Context, e balp.Event) error {
		f.events = append(f.events, e)
		return e.Valid()
	}
	f.people[tx.Account{4}] = identity.Principal{Account: tx.Account{4}, Class: ledger.ClassPractitioner, Member: f.Self, Active: true, Privileges: identity.PrivRead | identity.PrivAdmin}
	f.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Member: f.Self, Active: true, Privileges: identity.PrivRead}
	return f
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// visit sends a browser's request to where it belongs, with its cookies, and follows redirects.
func (f *firm) visit(t *testing.T, method, address string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	for range 12 {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for name, value := range f.jar {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		rec := httptest.NewRecorder()
		if strings.HasPrefix(u.Path, "/oauth2") {
			f.server.ServeHTTP(rec, r)
		} else {
			f.ServeHTTP(rec, r)
		}
		for _, c := range rec.Result().Cookies() {
			if f.jar[c.Name] = c.Value; c.MaxAge < 0 {
				delete(f.jar, c.Name)
			}
		}
		to, err := u.Parse(rec.Header().Get("Location"))
		if rec.Code/100 != 3 || err != nil || strings.HasPrefix(to.Path, "/") && to.Fragment != "" {
			return rec
		}
		method, address, form = http.MethodGet, to.String(), nil
	}
	t.Fatal("redirects without an end")
	return nil
}

// signIn goes through the organisation's pages; typed says whether a code had to be typed.
func (f *firm) signIn(t *testing.T, purpose string) (typed bool) {
	t.Helper()
	rec := f.visit(t, http.MethodGet, origin+"/api/staff/start?purpose="+purpose, nil)
	for range 3 {
		if rec.Code/100 == 3 {
			return typed
		}
		form := url.Values{}
		for _, m := range hiddenField.FindAllStringSubmatch(rec.Body.String(), -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		path := "/approve"
		if strings.Contains(rec.Body.String(), `name="code"`) {
			code, err := f.codes.Issue(smart.User{ID: "nurse", Name: "Nora Sample", FHIRUser: "Practitioner/n1"}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			form.Set("code", code)
			path, typed = "/signin", true
		}
		rec = f.visit(t, http.MethodPost, f.server.Issuer+path, form)
	}
	t.Fatalf("no way through the sign-in: %d %s", rec.Code, rec.Body)
	return false
}

// read asks the FHIR server by the portal.
func (f *firm) read() *httptest.ResponseRecorder {
	return f.ask("GET", "/api/fhir/Patient", nil, &http.Cookie{Name: f.cookieName(), Value: f.jar[f.cookieName()]}, nil)
}

// good reports whether a token still opens anything.
func (f *firm) good(token string) bool {
	r := httptest.NewRequest(http.MethodGet, "/fhir/Patient", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	_, err := f.server.Authenticate(r)
	return err == nil
}

func TestStaffReadOnWithFreshTokensWhileTheySignedIn(t *testing.T) {
	f := newFirm(t)
	f.signIn(t, "TREAT")
	for i := range 12 {
		if rec := f.read(); rec.Code != http.StatusOK {
			t.Fatalf("after %d minutes: got %d %s", 4*i, rec.Code, rec.Body)
		}
		f.now = f.now.Add(4 * time.Minute)
	}
	different := map[string]bool{}
	for _, s := range f.seen {
		different[s] = true
	}
	if len(different) != 6 {
		t.Errorf("got %d tokens in 48 minutes, want a fresh one when the last is over", len(different))
	}
	var body strings.Builder
	for _, path := range []string{"/api/session", "/api/about"} {
		body.WriteString(f.ask("GET", path, nil, &http.Cookie{Name: f.cookieName(), Value: f.jar[f.cookieName()]}, nil).Body.String())
	}
	for token := range different {
		if strings.Contains(body.String(), token) {
			t.Error("a token left the server")
		}
	}
	// The authorisation server remembers a browser for an hour.
	f.now = f.now.Add(13 * time.Minute)
	if rec := f.read(); rec.Code != http.StatusUnauthorized || codeOf(rec) != "session" {
		t.Errorf("after the hour: got %d %s, want 401 session", rec.Code, rec.Body)
	}
}

func TestSigningOutAndIdlenessGiveTheTokensBack(t *testing.T) {
	for name, end := range map[string]func(f *firm){
		"signed out": func(f *firm) {
			f.ask("DELETE", "/api/session", nil, &http.Cookie{Name: f.cookieName(), Value: f.jar[f.cookieName()]}, nil)
		},
		"idle, seen at the next request": func(f *firm) {
			f.now = f.now.Add(f.Idle)
			f.read()
		},
		"idle, seen by the sweep": func(f *firm) {
			f.now = f.now.Add(f.Idle)
			f.sweep()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFirm(t)
			f.Idle = time.Minute // the access token would live on
			f.signIn(t, "TREAT")
			if rec := f.read(); rec.Code != http.StatusOK {
				t.Fatalf("got %d %s", rec.Code, rec.Body)
			}
			end(f)
			if f.good(f.seen[0]) {
				t.Error("the access token opens records after the end")
			}
			if rec := f.read(); rec.Code != http.StatusUnauthorized {
				t.Errorf("after the end: got %d", rec.Code)
			}
		})
	}
}

func TestShutdownGivesTheTokensBack(t *testing.T) {
	f := newFirm(t)
	f.signIn(t, "TREAT")
	f.read()
	done := make(chan struct{})
	go func() { f.sweeping(); close(done) }()
	f.end()
	<-done
	if f.good(f.seen[0]) {
		t.Error("the access token opens records after the portal went away")
	}
}

func TestSignedOutStaffProveAnewWhoTheyAre(t *testing.T) {
	f := newFirm(t)
	if !f.signIn(t, "TREAT") {
		t.Fatal("the first sign-in asked for no code")
	}
	first := f.jar[f.cookieName()]
	if f.signIn(t, "HOPERAT") {
		t.Error("a change of purpose in a session asked for a code")
	}
	if first == f.jar[f.cookieName()] {
		t.Error("the session of another purpose has the old cookie")
	}
	if rec := f.ask("GET", "/api/session", nil, &http.Cookie{Name: f.cookieName(), Value: first}, nil); rec.Code != http.StatusUnauthorized {
		t.Errorf("the session of the old purpose goes on: %d", rec.Code)
	}
	f.ask("DELETE", "/api/session", nil, &http.Cookie{Name: f.cookieName(), Value: f.jar[f.cookieName()]}, nil)
	delete(f.jar, f.cookieName())
	if !f.signIn(t, "TREAT") {
		t.Error("after signing out, the next person at the desk was let in without a code")
	}
}

func TestDocumentsAreTakenInAsTheAdministratorsOwn(t *testing.T) {
	f := newFirm(t)
	boss := identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Member: f.Self, Active: true, Privileges: identity.PrivRead | identity.PrivAdmin}
	f.people[tx.Account{3}] = boss
	var got []string
	f.Intake = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if t, err := f.server.Authenticate(r); err == nil {
			b, _ := io.ReadAll(r.Body)
			got = append(got, t.User+" "+r.URL.String()+" "+string(b)+r.Header.Get("Cookie"))
		}
	})
	f.signIn(t, "HOPERAT")
	ask := func(path string) int {
		return f.ask("POST", path, "body", &http.Cookie{Name: f.cookieName(), Value: f.jar[f.cookieName()]}, nil).Code
	}
	codes := []int{ask("/api/admin/intake/ccda?zone=UTC&as=other"), ask("/api/admin/intake/csv?mapping=people"), ask("/api/admin/intake/fhir")}
	if want := []string{"nurse /v1/intake/ccda?zone=UTC body", "nurse /v1/intake/csv?mapping=people body"}; !slices.Equal(got, want) || !slices.Equal(codes, []int{200, 200, 404}) {
		t.Errorf("got %q %v, want %q", got, codes, want)
	}
	boss.Privileges = identity.PrivRead
	f.people[tx.Account{3}] = boss
	if c := ask("/api/admin/intake/ccda"); c != http.StatusForbidden || len(got) != 2 {
		t.Errorf("without the privilege: got %d", c)
	}
}

func TestARefusedRefreshEndsTheSession(t *testing.T) {
	f := newFirm(t)
	f.signIn(t, "TREAT")
	f.read()
	// The administrator takes what she was granted away.
	if n, err := f.server.RevokeAll(func(smart.Grant) bool { return true }); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	f.now = f.now.Add(5 * time.Minute)
	for range 2 {
		if rec := f.read(); rec.Code != http.StatusUnauthorized || codeOf(rec) != "session" {
			t.Errorf("got %d %s, want 401 session", rec.Code, rec.Body)
		}
	}
}
