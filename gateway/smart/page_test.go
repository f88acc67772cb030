package smart

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "user/Patient.r").Encode()), doctor)
	good := with(fields(page), "decision", "allow", "scope", "user/Patient.r", "purpose", "TREAT")
	send := func(v url.Values, header ...string) int {
		r := postOf(w.Issuer+"/approve", v)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return b.send(r).status
	}
	for what, got := range map[string]int{
		"no token":      send(with(good, "csrf", "")),
		"wrong token":   send(with(good, "csrf", newSecret())),
		"other origin":  send(good, "Origin", "https://evil.example"),
		"null origin":   send(good, "Origin", "null"),
		"cross-site":    send(good, "Sec-Fetch-Site", "cross-site"),
		"same site":     send(good, "Sec-Fetch-Site", "same-site"),
		"another flow":  send(with(good, "flow", newSecret())),
		"no flow":       send(with(good, "flow", "")),
		"no decision":   send(with(good, "decision", "")),
		"doubled token": send(url.Values{"flow": good["flow"], "csrf": {good.Get("csrf"), "x"}, "decision": {"allow"}}),
	} {
		if got != http.StatusForbidden && got != http.StatusBadRequest {
			t.Errorf("%s: got %d", what, got)
		}
	}
	stranger := &browser{w: w, cookie: newSecret()}
	if a := stranger.submit("/approve", good); a.status != http.StatusBadRequest {
		t.Errorf("got %d for another browser", a.status)
	}
	if got := send(good, "Origin", "https://node.example", "Sec-Fetch-Site", "same-origin"); got != http.StatusSeeOther {
		t.Errorf("got %d for our own form", got)
	}
	if got := send(good); got != http.StatusBadRequest {
		t.Errorf("got %d for a form that was sent twice", got)
	}
}

// OWASP, session fixation: a cookie from before the sign-in is worth nothing after it.
func TestSignInChangesTheCookie(t *testing.T) {
	w := newWorld(t)
	planted := newSecret()
	victim := &browser{w: w, cookie: planted}
	page := victim.signInAs(victim.get("/authorize?"+w.ask("public", "user/Patient.r").Encode()), doctor)
	if victim.cookie == planted {
		t.Fatal("the cookie is the same after the sign-in")
	}
	thief := &browser{w: w, cookie: planted}
	if a := thief.get("/approve?flow=" + fields(page).Get("flow")); a.status != http.StatusBadRequest {
		t.Errorf("got %d for who planted the cookie", a.status)
	}
	if a := thief.get("/manage"); !strings.Contains(string(a.body), "One-time code") {
		t.Error("who planted the cookie is signed in")
	}
}

func TestCookieIsOnlyThisHosts(t *testing.T) {
	w := newWorld(t)
	a := w.do(httptest.NewRequest(http.MethodGet, w.Issuer+"/authorize?"+w.ask("public", "user/Patient.r").Encode(), nil))
	c, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if err != nil || c.Name != "__Host-salus" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestPagesCannotBeFramedOrScripted(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	signIn := b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())
	approve := b.signInAs(signIn, doctor)
	for what, a := range map[string]*answer{"sign-in": signIn, "approve": approve, "manage": b.get("/manage"), "error": b.get("/approve?flow=x")} {
		csp := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: got policy %q, want %s", what, csp, want)
			}
		}
		if a.header.Get("X-Frame-Options") != "DENY" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got headers %v", what, a.header)
		}
		page := string(a.body)
		for _, bad := range []string{"<script", "onload=", "http://", "style=", "javascript:"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %s", what, bad)
			}
		}
		for _, want := range []string{`<html lang="en">`, "<title>", "<h1>", "viewport"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %s", what, want)
			}
		}
	}
	if csp := approve.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example;") {
		t.Errorf("got %q, want that the form may lead to the app", csp)
	}
	for _, id := range []string{`for="scope-0"`, `id="scope-0"`, `for="purpose-0"`, "<legend>"} {
		if !strings.Contains(string(approve.body), id) {
			t.Errorf("the page lacks %s", id)
		}
	}
}

func TestNamesOfAppsAreEscaped(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.Register(Client{ID: "evil", Name: `<script>alert(1)</script>`, Auth: AuthNone, Redirects: []string{callback}, Scopes: scopesOf(t, "user/*.rs"), Grants: []string{grantCode}}); err != nil {
		t.Fatal(err)
	}
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("evil", `user/Observation.rs?code=%3Cscript%3E`).Encode()), doctor)
	if strings.Contains(string(page.body), "<script") || !strings.Contains(string(page.body), "&lt;script&gt;alert") {
		t.Error("what an app says is not escaped")
	}
}

func TestRefusalIsToldToTheApp(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "user/Patient.r").Encode()), doctor)
	if q := w.back(b.submit("/approve", with(fields(page), "decision", "refuse"))); q.Get("error") != "access_denied" || q.Get("state") != "st-4711" {
		t.Errorf("got %v", q)
	}
	page = b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())
	if q := w.back(b.submit("/approve", with(fields(page), "decision", "allow", "purpose", "TREAT"))); q.Get("error") != "access_denied" {
		t.Errorf("got %v, want nothing ticked to be a refusal", q)
	}
}

func TestSignInCodesServeOnceAndEnd(t *testing.T) {
	w := newWorld(t)
	b := &browser{w: w}
	page := b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())
	code, err := w.codes.Issue(doctor, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	wrong := func(code string) {
		t.Helper()
		a := b.submit("/signin", with(fields(page), "code", code))
		if a.status != http.StatusUnauthorized || !strings.Contains(string(a.body), `role="alert"`) {
			t.Errorf("got %d, want the sign-in page again", a.status)
		}
	}
	wrong("")
	wrong("AAAA-AAAA-AAAA-AAAA")
	wrong(code + "A")
	if a := b.submit("/signin", with(fields(page), "code", strings.ToLower(strings.ReplaceAll(code, "-", " ")))); a.status != http.StatusOK {
		t.Errorf("got %d, want case and spaces to be forgiven", a.status)
	}
	b = &browser{w: w}
	page = b.get("/authorize?" + w.ask("public", "user/Patient.r").Encode())
	wrong(code)
	late, err := w.codes.Issue(doctor, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Minute)
	wrong(late)
	// Before the sign-in there is nothing to approve.
	if a := b.get("/approve?flow=" + fields(page).Get("flow")); a.status != http.StatusBadRequest {
		t.Errorf("got %d", a.status)
	}
	if a := b.submit("/approve", with(fields(page), "decision", "allow", "scope", "user/Patient.r", "purpose", "TREAT")); a.status != http.StatusBadRequest {
		t.Errorf("got %d", a.status)
	}
	w.pass(20 * time.Minute)
	if a := b.submit("/signin", with(fields(page), "code", late)); a.status != http.StatusBadRequest {
		t.Errorf("got %d for a flow that is over", a.status)
	}
}
