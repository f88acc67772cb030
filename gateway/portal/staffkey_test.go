package portal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/gateway/balp"
	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

var text64 = base64.RawURLEncoding.EncodeToString

// device is an authenticator with one passkey.
type device struct {
	*passkey.Passkey
	id []byte
}

func newDevice(t testing.TB, seed string) *device {
	t.Helper()
	k, err := passkey.New(strings.NewReader(strings.Repeat(seed, 64)), "portal.example.org", origin)
	if err != nil {
		t.Fatal(err)
	}
	return &device{k, bytes.Repeat([]byte(seed), 16)}
}

// attested is the authenticator data of the passkey as it was made.
func (d *device) attested() attested {
	return attested{rpHash: [32]byte(d.Public().RPIDHash), flags: tx.AuthFlags(d.Flags) | tx.AttestedCredential, count: d.Count, id: d.id, key: d.Public().Key}
}

func (d *device) clientData(digest tx.Hash) []byte {
	return []byte(strings.Replace(string(d.ClientData(digest)), "webauthn.get", "webauthn.create", 1))
}

// nonce asks for a challenge.
func (f *firm) nonce(t *testing.T, path string, in any, c *http.Cookie) []byte {
	t.Helper()
	var got Challenge
	rec := f.ask("POST", path, in, c, nil)
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
	}
	return got.Nonce
}

// proves signs a challenge of staff as a browser does.
func (d *device) proves(t *testing.T, what string, nonce []byte) Proof {
	t.Helper()
	auth, data, der, err := d.Assert(staffDigest("test", origin, what, [32]byte(nonce)))
	if err != nil {
		t.Fatal(err)
	}
	return Proof{Nonce: nonce, AuthenticatorData: text64(auth), ClientDataJSON: text64(data), Signature: text64(der)}
}

// fresh begins a session of who has just signed in by a code.
func (f *firm) fresh(t *testing.T, name string) *http.Cookie {
	a, _ := f.Account(name)
	s := session{account: a, role: staff, name: name, proved: f.now}
	if f.people[a].Has(identity.PrivAdmin) {
		s.role = admin
	}
	return f.as(t, s)
}

// register registers a device's passkey for who is signed in.
func (f *firm) register(t *testing.T, d *device, c *http.Cookie) *httptest.ResponseRecorder {
	t.Helper()
	nonce := f.nonce(t, "/api/staff/passkeys/challenge", "{}", c)
	a := d.attested()
	return f.ask("POST", "/api/staff/passkeys", NewPasskey{"My phone", nonce, text64(a.encode()), text64(d.clientData(staffDigest("test", origin, forRegister, [32]byte(nonce))))}, c, nil)
}

func (f *firm) enter(t *testing.T, d *device) *httptest.ResponseRecorder {
	t.Helper()
	return f.ask("POST", "/api/staff/sign-in", StaffSignIn{text64(d.id), "TREAT", d.proves(t, forSignIn, f.nonce(t, "/api/staff/challenge", "{}", nil))}, nil, nil)
}

// last is the last thing that was noted: kind, outcome, reason and who.
func (f *firm) last() string {
	if len(f.events) == 0 {
		return ""
	}
	e := f.events[len(f.events)-1]
	return strings.Join([]string{string(e.Kind), string(e.Outcome), e.Reason, e.User.Reference}, " ")
}

func withDevice(t *testing.T) (*firm, *device) {
	t.Helper()
	f, d := newFirm(t), newDevice(t, "a")
	d.Count = 7
	if rec := f.register(t, d, f.fresh(t, "nurse")); rec.Code != http.StatusOK {
		t.Fatalf("register: got %d %s", rec.Code, rec.Body)
	}
	return f, d
}

func TestStaffSignInWithAPasskeyThatTheyRegistered(t *testing.T) {
	f, d := withDevice(t)
	if e := f.events[0]; f.last() != "keys 0  Practitioner/nurse" || e.Query != "POST /api/staff/passkeys" {
		t.Errorf("registering noted %s %s", f.last(), e.Query)
	}
	d.Count++
	rec := f.enter(t, d)
	var info SessionInfo
	if err := json.Unmarshal(rec.Body.Bytes(), &info); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if info.Role != "staff" || info.Name != "nurse" || info.Purpose != "TREAT" || info.Account != (tx.Account{3}) || !info.Ends.Equal(f.now.Add(f.server.Session)) {
		t.Errorf("got %+v", info)
	}
	if f.last() != "login 0  Practitioner/nurse" {
		t.Errorf("signing in noted %q", f.last())
	}
	c := rec.Result().Cookies()[0]
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("got the cookie %v", c)
	}
	// It reads by the same way as who typed a code, with fresh tokens, and no longer.
	for range 11 {
		if rec := f.ask("GET", "/api/fhir/Patient", nil, c, nil); rec.Code != http.StatusOK {
			t.Fatalf("reading: got %d %s", rec.Code, rec.Body)
		}
		f.now = f.now.Add(5 * time.Minute)
	}
	f.now = f.now.Add(5 * time.Minute)
	if rec := f.ask("GET", "/api/fhir/Patient", nil, c, nil); rec.Code != http.StatusUnauthorized {
		t.Errorf("after the hour: got %d", rec.Code)
	}
	d.Count++
	if rec := f.enter(t, d); rec.Code != http.StatusOK {
		t.Errorf("the next day: got %d %s", rec.Code, rec.Body)
	}
}

func TestAPasskeyOfStaffThatIsNotTaken(t *testing.T) {
	post := func(f *firm, d *device, p Proof) *httptest.ResponseRecorder {
		return f.ask("POST", "/api/staff/sign-in", StaffSignIn{text64(d.id), "TREAT", p}, nil, nil)
	}
	for rule, try := range map[string]struct {
		why string
		do  func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder
	}{
		"another origin": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Origin = "https://evil.example.org"
			return f.enter(t, d)
		}},
		"an origin with a port": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Origin = origin + ":444"
			return f.enter(t, d)
		}},
		"another relying party": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			k, err := passkey.New(strings.NewReader(strings.Repeat("a", 64)), "evil.example.org", origin)
			if err != nil {
				t.Fatal(err)
			}
			k.Count = d.Count
			d.Passkey = k
			return f.enter(t, d)
		}},
		"a user who was not verified": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Flags &^= passkey.FlagUV
			return f.enter(t, d)
		}},
		"nobody there": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Flags &^= passkey.FlagUP
			return f.enter(t, d)
		}},
		"inside a foreign frame": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Cross = passkey.CrossTrue
			return f.enter(t, d)
		}},
		"another's key": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			other := newDevice(t, "b")
			other.id, other.Count = d.id, d.Count
			return f.enter(t, other)
		}},
		"the making of a passkey in place of its use": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			nonce := f.nonce(t, "/api/staff/challenge", "{}", nil)
			auth, data := d.AuthData(), d.clientData(staffDigest("test", origin, forSignIn, [32]byte(nonce)))
			der, err := d.SignRaw(auth, data)
			if err != nil {
				t.Fatal(err)
			}
			return post(f, d, Proof{nonce, text64(auth), text64(data), text64(der)})
		}},
		"a bare nonce": {"passkey-signature", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			nonce := f.nonce(t, "/api/staff/challenge", "{}", nil)
			auth, data, der, err := d.Assert([32]byte(nonce))
			if err != nil {
				t.Fatal(err)
			}
			return post(f, d, Proof{nonce, text64(auth), text64(data), text64(der)})
		}},
		"a challenge that was used": {"passkey-challenge", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			p := d.proves(t, forSignIn, f.nonce(t, "/api/staff/challenge", "{}", nil))
			if rec := post(f, d, p); rec.Code != http.StatusOK {
				t.Fatalf("the first time: got %d %s", rec.Code, rec.Body)
			}
			return post(f, d, p)
		}},
		"a challenge that a wrong try used up": {"passkey-challenge", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			p := d.proves(t, forSignIn, f.nonce(t, "/api/staff/challenge", "{}", nil))
			bad := p
			bad.Signature = d.proves(t, forRegister, p.Nonce).Signature
			post(f, d, bad)
			return post(f, d, p)
		}},
		"a challenge of its own making": {"passkey-challenge", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			return post(f, d, d.proves(t, forSignIn, make([]byte, 32)))
		}},
		"a challenge for a new passkey": {"passkey-challenge", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			return post(f, d, d.proves(t, forRegister, f.nonce(t, "/api/staff/passkeys/challenge", "{}", f.fresh(t, "nurse"))))
		}},
		"a patient's challenge": {"passkey-challenge", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			return post(f, d, d.proves(t, forSignIn, f.nonce(t, "/api/challenge", "{}", nil)))
		}},
		"a late answer": {"passkey-challenge", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			p := d.proves(t, forSignIn, f.nonce(t, "/api/staff/challenge", "{}", nil))
			f.now = f.now.Add(challengeLife)
			return post(f, d, p)
		}},
		"an unknown credential": {"passkey-unknown", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.id = bytes.Repeat([]byte("x"), 16)
			return f.enter(t, d)
		}},
		"a removed credential": {"passkey-unknown", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			if rec := f.ask("DELETE", "/api/staff/passkeys/"+text64(d.id), nil, f.fresh(t, "nurse"), nil); rec.Code != http.StatusNoContent {
				t.Fatalf("removing: got %d %s", rec.Code, rec.Body)
			}
			return f.enter(t, d)
		}},
		"a counter that went back": {"passkey-count", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Count--
			return f.enter(t, d)
		}},
		"a counter that stands": {"passkey-count", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			if rec := f.enter(t, d); rec.Code != http.StatusOK {
				t.Fatal(rec.Code)
			}
			return f.enter(t, d)
		}},
		"a counter that is gone": {"passkey-count", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			d.Count = 0
			return f.enter(t, d)
		}},
		"somebody who was suspended": {"passkey-role", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			delete(f.people, tx.Account{3}) // the ledger lets her act no more
			return f.enter(t, d)
		}},
		"another member's practitioner": {"passkey-role", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			f.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Member: tx.Account{8}, Active: true, Privileges: identity.PrivRead}
			return f.enter(t, d)
		}},
		"a device of the organisation": {"passkey-role", func(t *testing.T, f *firm, d *device) *httptest.ResponseRecorder {
			f.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassDevice, Member: f.Self, Active: true, Privileges: identity.PrivRead}
			return f.enter(t, d)
		}},
	} {
		t.Run(rule, func(t *testing.T) {
			f, d := withDevice(t)
			d.Count++
			rec := try.do(t, f, d)
			want, status := "proof", http.StatusUnauthorized
			if try.why == "passkey-role" {
				want, status = "role", http.StatusForbidden
			}
			if rec.Code != status || codeOf(rec) != want || len(rec.Result().Cookies()) > 0 {
				t.Errorf("got %d %s, want %d %s", rec.Code, rec.Body, status, want)
			}
			who := " Practitioner/nurse"
			if try.why == "passkey-unknown" {
				who = " "
			}
			if got := f.last(); got != "login 8 "+try.why+who {
				t.Errorf("noted %q, want %q", got, try.why)
			}
			if rule == "a counter that went back" { // nor is the counter set back by it
				d.Count += 2
				if rec := f.enter(t, d); rec.Code != http.StatusOK {
					t.Errorf("the counter that went on: got %d", rec.Code)
				}
			}
		})
	}
}

func TestNoPasskeyOpensASessionForAnEmergencyOrForNothing(t *testing.T) {
	for _, purpose := range []string{"BTG", "ETREAT", "ERTREAT", "", "WHIM"} {
		f, d := withDevice(t)
		d.Count++
		rec := f.ask("POST", "/api/staff/sign-in", StaffSignIn{text64(d.id), purpose, d.proves(t, forSignIn, f.nonce(t, "/api/staff/challenge", "{}", nil))}, nil, nil)
		if rec.Code != http.StatusBadRequest || codeOf(rec) != "argument" {
			t.Errorf("%q: got %d %s", purpose, rec.Code, rec.Body)
		}
	}
}

func TestAPasskeyThatIsNotRegistered(t *testing.T) {
	for rule, change := range map[string]struct {
		code string
		do   func(a *attested, in *NewPasskey, f *firm)
	}{
		"nobody was verified":              {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.flags &^= tx.UserVerified }},
		"nobody was there":                 {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.flags &^= tx.UserPresent }},
		"no credential in it":              {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.flags &^= tx.AttestedCredential }},
		"backed up without being eligible": {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.flags = a.flags&^tx.BackupEligible | tx.BackedUp }},
		"another relying party":            {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.rpHash[0] ^= 1 }},
		"a key off the curve":              {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.key = bytes.Repeat([]byte{1}, 64) }},
		"an id that is too short":          {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.id = a.id[:15] }},
		"extensions that nothing tells of": {"passkey", func(a *attested, _ *NewPasskey, _ *firm) { a.further = []byte{0xa0} }},
		"another origin": {"proof", func(_ *attested, in *NewPasskey, _ *firm) {
			in.ClientDataJSON = altered(in, origin, "https://evil.example.org")
		}},
		"an origin that goes on": {"proof", func(_ *attested, in *NewPasskey, _ *firm) {
			in.ClientDataJSON = altered(in, origin, origin+".evil.example")
		}},
		"an assertion": {"proof", func(_ *attested, in *NewPasskey, _ *firm) {
			in.ClientDataJSON = altered(in, "webauthn.create", "webauthn.get")
		}},
		"a foreign frame": {"proof", func(_ *attested, in *NewPasskey, _ *firm) {
			in.ClientDataJSON = altered(in, `"crossOrigin":false`, `"crossOrigin":true`)
		}},
		"client data that is no JSON":          {"proof", func(_ *attested, in *NewPasskey, _ *firm) { in.ClientDataJSON = altered(in, "}", "") }},
		"a challenge of its own making":        {"proof", func(_ *attested, in *NewPasskey, _ *firm) { in.Nonce = make([]byte, 32) }},
		"a late answer":                        {"proof", func(_ *attested, _ *NewPasskey, f *firm) { f.now = f.now.Add(challengeLife) }},
		"no label":                             {"argument", func(_ *attested, in *NewPasskey, _ *firm) { in.Label = " " }},
		"a label with a line break":            {"argument", func(_ *attested, in *NewPasskey, _ *firm) { in.Label = "a\nb" }},
		"a sign-in of an hour ago":             {"stale", func(_ *attested, _ *NewPasskey, f *firm) { f.now = f.now.Add(freshly + time.Second) }},
		"a nonce that is none":                 {"argument", func(_ *attested, in *NewPasskey, _ *firm) { in.Nonce = in.Nonce[:31] }},
		"a credential that is registered here": {"passkeys", func(a *attested, _ *NewPasskey, _ *firm) { a.id = bytes.Repeat([]byte("a"), 16) }},
	} {
		t.Run(rule, func(t *testing.T) {
			f, _ := withDevice(t)
			d := newDevice(t, "b")
			c := f.fresh(t, "nurse")
			nonce := f.nonce(t, "/api/staff/passkeys/challenge", "{}", c)
			a := d.attested()
			in := NewPasskey{"Second", nonce, "", text64(d.clientData(staffDigest("test", origin, forRegister, [32]byte(nonce))))}
			change.do(&a, &in, f)
			in.AuthenticatorData = text64(a.encode())
			rec := f.ask("POST", "/api/staff/passkeys", in, c, nil)
			if codeOf(rec) != change.code {
				t.Errorf("got %d %s, want %s", rec.Code, rec.Body, change.code)
			}
			if list, err := f.Passkeys.Of("nurse"); err != nil || len(list) != 1 {
				t.Errorf("got %d passkeys, %v", len(list), err)
			}
		})
	}
}

func altered(in *NewPasskey, old, to string) string {
	b, err := base64.RawURLEncoding.DecodeString(in.ClientDataJSON)
	if err != nil {
		panic(err)
	}
	return text64([]byte(strings.Replace(string(b), old, to, 1)))
}

func TestAnothersChallengeRegistersNothing(t *testing.T) {
	f := newFirm(t)
	d, mine, theirs := newDevice(t, "a"), f.fresh(t, "nurse"), f.fresh(t, "doctor")
	nonce := f.nonce(t, "/api/staff/passkeys/challenge", "{}", theirs)
	a := d.attested()
	in := NewPasskey{"Phone", nonce, text64(a.encode()), text64(d.clientData(staffDigest("test", origin, forRegister, [32]byte(nonce))))}
	if rec := f.ask("POST", "/api/staff/passkeys", in, mine, nil); codeOf(rec) != "proof" {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if len(f.events) != 0 {
		t.Errorf("noted %v", f.events)
	}
}

func TestARemovedPasskeyEndsWhatItBegan(t *testing.T) {
	f, d := withDevice(t)
	d.Count++
	hers := f.enter(t, d).Result().Cookies()[0]
	lives := func(c *http.Cookie) bool { return f.ask("GET", "/api/fhir/Patient", nil, c, nil).Code == http.StatusOK }
	list := func(c *http.Cookie, path string) (out StaffPasskeys) {
		rec := f.ask("GET", path, nil, c, nil)
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
		}
		return out
	}
	if got := list(hers, "/api/staff/passkeys"); len(got.Keys) != 1 || got.Keys[0].Label != "My phone" || got.Keys[0].Used.IsZero() || !got.Fresh {
		t.Errorf("got %+v", got)
	}
	boss := f.fresh(t, "doctor")
	if got := list(boss, "/api/staff/passkeys"); len(got.Keys) != 0 {
		t.Errorf("another's list has %+v", got)
	}
	one := text64(d.id)
	for rule, rec := range map[string]*httptest.ResponseRecorder{
		"by another, as her own":     f.ask("DELETE", "/api/staff/passkeys/"+one, nil, boss, nil),
		"by the admin, of another":   f.ask("DELETE", "/api/admin/staff/doctor/passkeys/"+one, nil, boss, nil),
		"by the admin, of nobody":    f.ask("DELETE", "/api/admin/staff/nobody/passkeys/"+one, nil, boss, nil),
		"by one who is no admin":     f.ask("DELETE", "/api/admin/staff/nurse/passkeys/"+one, nil, hers, nil),
		"one that is not registered": f.ask("DELETE", "/api/staff/passkeys/"+text64([]byte("sixteen bytes it is")), nil, hers, nil),
	} {
		if rec.Code/100 == 2 || !lives(hers) {
			t.Errorf("%s: got %d %s", rule, rec.Code, rec.Body)
		}
	}
	if got := list(boss, "/api/admin/staff/nurse/passkeys"); len(got.Keys) != 1 || got.Keys[0].ID != one {
		t.Errorf("the admin's list has %+v", got)
	}
	if rec := f.ask("DELETE", "/api/admin/staff/nurse/passkeys/"+one, nil, boss, nil); rec.Code != http.StatusNoContent {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if e := f.events[len(f.events)-1]; e.Kind != balp.Keys || e.User.Reference != "Practitioner/doctor" || e.Query != "DELETE /api/admin/staff/nurse/passkeys/"+one {
		t.Errorf("noted %+v", e)
	}
	if lives(hers) {
		t.Error("the session that it began goes on")
	}
	p := f.people[tx.Account{4}]
	p.Privileges = identity.PrivRead
	f.people[tx.Account{4}] = p
	if rec := f.ask("GET", "/api/admin/staff/nurse/passkeys", nil, boss, nil); rec.Code != http.StatusForbidden {
		t.Errorf("without the privilege: got %d", rec.Code)
	}
}

func TestAPasskeyIsOfTheKeyThatTheNameHadThen(t *testing.T) {
	f, d := withDevice(t)
	// The name is given to somebody else, with another account.
	one, err := f.Passkeys.Find(d.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Passkeys.Drop("nurse", d.id); err != nil {
		t.Fatal(err)
	}
	one.Account = tx.Account{77}
	if err := f.Passkeys.Add(*one); err != nil {
		t.Fatal(err)
	}
	d.Count++
	if rec := f.enter(t, d); rec.Code != http.StatusForbidden {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
}

func TestWhatCannotBeNotedIsNotDone(t *testing.T) {
	f, d := withDevice(t)
	f.Note = func(context.Context, balp.Event) error { return errInternal }
	d.Count++
	if rec := f.enter(t, d); rec.Code != http.StatusInternalServerError || len(rec.Result().Cookies()) > 0 {
		t.Errorf("signing in: got %d", rec.Code)
	}
	if rec := f.register(t, newDevice(t, "b"), f.fresh(t, "nurse")); rec.Code != http.StatusInternalServerError {
		t.Errorf("registering: got %d", rec.Code)
	}
	if rec := f.ask("DELETE", "/api/staff/passkeys/"+text64(d.id), nil, f.fresh(t, "nurse"), nil); rec.Code != http.StatusInternalServerError {
		t.Errorf("removing: got %d", rec.Code)
	}
	if list, err := f.Passkeys.Of("nurse"); err != nil || len(list) != 1 {
		t.Errorf("got %d passkeys, %v", len(list), err)
	}
}

func TestAnInvitationIsTheAdministratorsAndNoted(t *testing.T) {
	f := newFirm(t)
	var got []string
	f.Admin = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		got = append(got, r.Method+" "+r.URL.Path+" "+b.String())
	})
	if rec := f.ask("POST", "/api/admin/staff/nurse/code", "{}", f.fresh(t, "nurse"), nil); rec.Code != http.StatusForbidden {
		t.Errorf("by a nurse: got %d", rec.Code)
	}
	if rec := f.ask("POST", "/api/admin/staff/nurse/code", "{}", f.fresh(t, "doctor"), nil); rec.Code != http.StatusOK || !slices.Equal(got, []string{`POST /v1/codes {"staff":"nurse"}`}) {
		t.Errorf("got %d %q", rec.Code, got)
	}
	if e := f.events[len(f.events)-1]; len(f.events) != 1 || e.Query != "POST /api/admin/staff/nurse/code" || e.User.Reference != "Practitioner/doctor" {
		t.Errorf("noted %+v", f.events)
	}
}

func FuzzAttested(f *testing.F) {
	d := newDevice(f, "a")
	a := d.attested()
	f.Add(a.encode())
	a.flags, a.further = a.flags|tx.ExtensionData, []byte("\xa1\x6bcredProtect\x02")
	f.Add(a.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAttested(b); err == nil && !bytes.Equal(a.encode(), b) {
			t.Errorf("got other bytes from %x", b)
		}
	})
}

// The same values stand in portal/src/staff/passkey.test.ts.
func TestTheWalletComputesTheSameDigestOfStaff(t *testing.T) {
	nonce := [32]byte(bytes.Repeat([]byte{7}, 32))
	d := declaration{breaks, tx.Account{1}, 1_800_000_000}
	for what, want := range map[string]string{
		forSignIn: "4387030e1e38b2c2b8bc6f896bd710b12e5882b81525c4413316521aff152df5",
		d.what():  "22c696c75db276178d77164016c7c37cafa53a87c914a7f4353e9650fca44c68",
	} {
		if got := staffDigest("test", origin, what, nonce).String(); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	if got, want := d.what(), "emergency declare 01000000000000000000000000 047d63a6a3c08439f10381ec097bad72978e761c3619fb77e236491b8a1f58f5 3600 1800000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
