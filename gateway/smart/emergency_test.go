package smart

import (
	"strings"
	"testing"
	"time"
)

// Who is at the browser all day still signs in for an emergency, and the token says when she did.
func TestAnEmergencyWantsAFreshSignIn(t *testing.T) {
	w := newWorld(t)
	privileged := doctor
	privileged.Emergency = true
	b := &browser{w: w}
	page := b.signInAs(b.get("/authorize?"+w.ask("public", "user/Patient.rs").Encode()), privileged)
	if q := w.back(b.consent(page, "purpose", "TREAT")); q.Get("code") == "" {
		t.Fatalf("got %v, want a code", q)
	}
	w.pass(time.Minute)
	asksWho := func(a *answer) bool { return strings.Contains(string(a.body), `name="code"`) }
	if again := b.get("/authorize?" + w.ask("public", "user/Patient.rs", "purpose_of_use", "TREAT").Encode()); asksWho(again) {
		t.Errorf("another authorisation for treatment wants a new sign-in: %d", again.status)
	}
	a := b.get("/authorize?" + w.ask("emergency", "user/Patient.rs", "purpose_of_use", "ETREAT").Encode())
	if !asksWho(a) {
		t.Fatalf("got %d %s, want a sign-in", a.status, a.body)
	}
	out := w.post("/token", redeemForm("emergency", w.back(b.consent(b.signInAs(a, privileged), "purpose", "ETREAT")).Get("code")))
	tok, err := w.bears(out.str("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	if tok.SignedIn != noon.Add(time.Minute).Unix() || tok.Purpose != "ETREAT" {
		t.Errorf("got a token for %s of somebody who signed in at %d, want %d", tok.Purpose, tok.SignedIn, noon.Add(time.Minute).Unix())
	}
}

// A provider that knows its people from before says when they signed in: that counts, not when they came here.
func TestASignInIsAsOldAsTheProviderSays(t *testing.T) {
	w, p := newIDPWorld(t)
	for claim, want := range map[any]int64{
		noon.Add(-time.Hour).Unix(): noon.Add(-time.Hour).Unix(),
		noon.Add(time.Hour).Unix():  noon.Unix(), // its clock is not ours
		nil:                         noon.Unix(),
	} {
		b := &browser{w: w}
		q := visitOf(w, b)
		if q.Get("max_age") != "" {
			t.Errorf("got max_age %s though nobody asked", q.Get("max_age"))
		}
		p.nonce, p.claims = q.Get("nonce"), map[string]any{"auth_time": claim}
		page := b.get("/callback?" + form("code", "c", "state", q.Get("state")).Encode())
		a := w.post("/token", redeemForm("public", w.back(b.consent(page, "purpose", "TREAT")).Get("code")))
		tok, err := w.bears(a.str("access_token"))
		if err != nil || tok.SignedIn != want {
			t.Errorf("auth_time %v: got %+v, %v; want %d", claim, tok, err, want)
		}
	}
}
