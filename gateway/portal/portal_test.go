package portal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

const origin = "https://portal.example.org"

// world is a portal over a ledger of a few rows.
type world struct {
	*Portal
	now      time.Time
	people   map[tx.Account]identity.Principal
	sessions map[tx.Hash]access.Session
	asked    []string
	answers  map[string]any // of queries, by path; a func(arg []byte) any makes one
	time     uint64         // of the last block
}

func (w *world) Head() ledger.Head { return ledger.Head{Height: 10, Time: w.time} }
func (w *world) Ask(path string, arg []byte) ([]byte, error) {
	w.asked = append(w.asked, path)
	if a, ok := w.answers[path]; ok {
		if f, ok := a.(func(arg []byte) any); ok {
			a = f(arg)
		}
		return tx.Encode(a)
	}
	return []byte{0xa0}, nil
}

func (w *world) Standing(a tx.Account) (identity.Principal, bool) {
	p, ok := w.people[a]
	return p, ok
}
func (w *world) Entry(uint64) ([]byte, bool) { return nil, false }

func (w *world) Session(_ context.Context, id tx.Hash) (access.Session, error) {
	s, ok := w.sessions[id]
	if !ok {
		return s, errors.New("no such session")
	}
	return s, nil
}
func (w *world) Committee(context.Context) (c record.Committee, err error) { return c, nil }
func (w *world) Anchored(context.Context, tx.Hash) (*exchange.Anchored, error) {
	return nil, errors.New("none")
}

func newWorld(t testing.TB) *world {
	w := &world{now: time.Unix(1_800_000_000, 0), people: map[tx.Account]identity.Principal{}, sessions: map[tx.Hash]access.Session{}}
	files := fstest.MapFS{"index.html": {Data: []byte("<p>page</p>")}, "assets/app-1.js": {Data: []byte(strings.Repeat("let a;", 200))}}
	p, err := New(Config{
		Name: func() string { return "Sample Clinic" }, Self: tx.Account{9}, Chain: "test", Origin: origin, SignUp: true, Files: files,
		Ledger: w, Reading: w, Relay: blobs{}, Changed: func() <-chan struct{} { return nil }, Now: func() time.Time { return w.now },
		Enrol: func(_ context.Context, m *identity.Enrol) (client.Committed, error) {
			w.people[m.Patient] = identity.Principal{Account: m.Patient, Class: ledger.ClassPatient, Active: true, Keys: identity.Ring{{Public: m.Keys[0], From: 1}}}
			return client.Committed{}, nil
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Portal = p
	return w
}

// as begins a session and returns its cookie.
func (w *world) as(t *testing.T, s session) *http.Cookie {
	rec := httptest.NewRecorder()
	if err := w.begin(rec, s); err != nil {
		t.Fatal(err)
	}
	return rec.Result().Cookies()[0]
}

// ask sends a request as the portal's own page would, changed by change.
func (w *world) ask(method, path string, body any, c *http.Cookie, change func(*http.Request)) *httptest.ResponseRecorder {
	var b io.Reader = http.NoBody
	switch x := body.(type) {
	case nil:
	case string:
		b = strings.NewReader(x)
	default:
		raw, _ := json.Marshal(x)
		b = strings.NewReader(string(raw))
	}
	r := httptest.NewRequest(method, origin+path, b)
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if c != nil {
		r.AddCookie(c)
	}
	if change != nil {
		change(r)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

func codeOf(rec *httptest.ResponseRecorder) string {
	var p Problem
	_ = json.Unmarshal(rec.Body.Bytes(), &p)
	return p.Code
}

// TestEveryRouteIsDeniedToWhoMayNot goes over the whole table: without a session, in every role but
// its own, and from another site.
func TestEveryRouteIsDeniedToWhoMayNot(t *testing.T) {
	w := newWorld(t)
	cookies := map[role]*http.Cookie{}
	for _, r := range []role{patient, staff, admin} {
		cookies[r] = w.as(t, session{account: tx.Account{byte(r)}, role: r})
	}
	fill := strings.NewReplacer("{account}", tx.Account{1}.String(), "{custodian}", tx.Account{1}.String(), "{session}", tx.Hash{1}.String(), "{id}", tx.Hash{1}.String(),
		"{header}", tx.Hash{1}.String(), "{address}", tx.Hash{1}.String(), "{index}", "1", "{key}", "0202", "{height}", "1", "{module}", "consent", "{name}", "grants", "{what}", "status")
	for _, rt := range w.table() {
		method, path, ok := strings.Cut(rt.pattern, " ")
		if !ok {
			method, path = "GET", rt.pattern
		}
		path = fill.Replace(path)
		if rt.who != nobody {
			if rec := w.ask(method, path, nil, nil, nil); rec.Code != 401 || codeOf(rec) != "session" {
				t.Errorf("%s without a session: got %d %s", rt.pattern, rec.Code, rec.Body)
			}
			for have, c := range cookies {
				if rt.who.admits(have) {
					continue
				}
				if rec := w.ask(method, path, nil, c, nil); rec.Code != 403 || codeOf(rec) != "role" {
					t.Errorf("%s as %s: got %d %s", rt.pattern, have, rec.Code, rec.Body)
				}
			}
		}
		if rt.navigated {
			continue
		}
		for name, change := range map[string]func(*http.Request){
			"another origin":     func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") },
			"another site":       func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"a sibling site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
			"a link":             func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") },
			"nothing said":       func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") },
			"another host name":  func(r *http.Request) { r.Host = "127.0.0.1:1" },
			"the opaque origin":  func(r *http.Request) { r.Header.Set("Origin", "null") },
			"origin with a port": func(r *http.Request) { r.Header.Set("Origin", origin+":444") },
		} {
			if rec := w.ask(method, path, nil, cookies[patient], change); rec.Code != 403 || codeOf(rec) != "origin" {
				t.Errorf("%s from %s: got %d %s", rt.pattern, name, rec.Code, rec.Body)
			}
		}
	}
}

func TestPatientAsksOnlyAboutHerself(t *testing.T) {
	w := newWorld(t)
	me, other, doctor := tx.Account{1}, tx.Account{2}, tx.Account{3}
	w.people[other] = identity.Principal{Account: other, Class: ledger.ClassPatient, Active: true}
	w.people[doctor] = identity.Principal{Account: doctor, Class: ledger.ClassPractitioner, Active: true}
	w.sessions[tx.Hash{1}] = access.Session{Patient: me, Actor: me}
	w.sessions[tx.Hash{2}] = access.Session{Patient: other, Actor: other}
	w.sessions[tx.Hash{3}] = access.Session{Patient: me, Actor: doctor}
	c := w.as(t, session{account: me, role: patient})
	query := func(path string, arg any) *httptest.ResponseRecorder {
		b, err := tx.Encode(arg)
		if err != nil {
			t.Fatal(err)
		}
		return w.ask("GET", "/api/query/"+path+"?arg="+hexOf(b), nil, c, nil)
	}
	for _, x := range []struct {
		path string
		arg  any
		want int
	}{
		{"consent/grants", identity.ByAccount{Account: me}, 200},
		{"consent/grants", identity.ByAccount{Account: other}, 403},
		{"consent/denials", identity.ByAccount{Account: me}, 200},
		{"consent/denials", identity.ByAccount{Account: other}, 403},
		{"audit/position", identity.ByAccount{Account: other}, 403},
		{"identity/principal", identity.ByAccount{Account: me}, 200},
		{"identity/principal", identity.ByAccount{Account: other}, 403},
		{"identity/principal", identity.ByAccount{Account: doctor}, 200},
		{"identity/principal", identity.ByAccount{Account: tx.Account{77}}, 403},
		{"access/session", access.BySession{Session: tx.Hash{1}}, 200},
		{"access/session", access.BySession{Session: tx.Hash{3}}, 200},
		{"access/session", access.BySession{Session: tx.Hash{2}}, 404},
		{"access/released", identity.ByAccount{Account: me}, 404},
		{"anchor/batch", access.BySession{Session: tx.Hash{1}}, 404},
		{"consent/grants", access.BySession{Session: tx.Hash{1}}, 400},
	} {
		if rec := query(x.path, x.arg); rec.Code != x.want {
			t.Errorf("%s %v: got %d %s, want %d", x.path, x.arg, rec.Code, rec.Body, x.want)
		}
	}
	for id, want := range map[tx.Hash]int{{1}: 200, {2}: 404, {3}: 200} {
		if rec := w.ask("GET", "/api/relay/session/"+id.String(), nil, c, nil); rec.Code != want {
			t.Errorf("relayed session %d: got %d, want %d", id[0], rec.Code, want)
		}
	}
	// Only who opened a session asks custodians in its name.
	for id, want := range map[tx.Hash]string{{2}: "unknown", {3}: "account"} {
		b := tx.MustEncode(exchange.LocateRequest{Session: id, ReaderKey: []byte{1}})
		if rec := w.ask("POST", "/api/relay/"+doctor.String()+"/locate", string(b), c, nil); codeOf(rec) != want {
			t.Errorf("locate for session %d: got %s, want %s", id[0], rec.Body, want)
		}
	}
	// A transaction of somebody else is not passed on.
	k, err := passkey.New(strings.NewReader(strings.Repeat("o", 64)), "portal.example.org", origin)
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := tx.Sign("test", identity.KindRotate, &identity.Rotate{Account: other, Add: []tx.PublicKey{k.Public()}}, other, 1, 20, k.Signer(other))
	if err != nil {
		t.Fatal(err)
	}
	if rec := w.ask("POST", "/api/tx", string(raw), c, nil); rec.Code != 403 || codeOf(rec) != "account" {
		t.Errorf("another's transaction: got %d %s", rec.Code, rec.Body)
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// prove makes a proof as a browser does.
func (w *world) prove(t *testing.T, k *passkey.Passkey, named tx.Account, over func([32]byte) tx.Hash) Proof {
	var c Challenge
	if err := json.Unmarshal(w.ask("POST", "/api/challenge", "{}", nil, nil).Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	nonce := [32]byte(c.Nonce)
	digest := signInDigest("test", origin, named, nonce)
	if over != nil {
		digest = over(nonce)
	}
	auth, data, der, err := k.Assert(digest)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	return Proof{Nonce: c.Nonce, AuthenticatorData: text(auth), ClientDataJSON: text(data), Signature: text(der)}
}

func TestOnlyALiveKeyOverThisChallengeOpensASession(t *testing.T) {
	w := newWorld(t)
	me := tx.Account{1}
	draw := func(seed, rp, at string) *passkey.Passkey {
		k, err := passkey.New(strings.NewReader(strings.Repeat(seed, 64)), rp, at)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := draw("a", "portal.example.org", origin)
	if rec := w.ask("POST", "/api/sign-up", SignUp{me, k.Public(), w.prove(t, k, me, nil)}, nil, nil); rec.Code != 200 {
		t.Fatalf("sign-up: got %d %s", rec.Code, rec.Body)
	}
	good := w.prove(t, k, tx.Account{}, nil)
	rec := w.ask("POST", "/api/sign-in", SignIn{me, good}, nil, nil)
	if rec.Code != 200 {
		t.Fatalf("sign-in: got %d %s", rec.Code, rec.Body)
	}
	c := rec.Result().Cookies()[0]
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("got the cookie %v", c)
	}
	noUV := draw("a", "portal.example.org", origin)
	noUV.Flags &^= passkey.FlagUV
	for name, proof := range map[string]Proof{
		"used twice":             good,
		"another's key":          w.prove(t, draw("b", "portal.example.org", origin), tx.Account{}, nil),
		"another account named":  w.prove(t, k, tx.Account{2}, nil),
		"another origin":         w.prove(t, draw("a", "portal.example.org", "https://evil.example.org"), tx.Account{}, nil),
		"the user not verified":  w.prove(t, noUV, tx.Account{}, nil),
		"a bare nonce":           w.prove(t, k, tx.Account{}, func(n [32]byte) tx.Hash { return n }),
		"another chain":          w.prove(t, k, tx.Account{}, func(n [32]byte) tx.Hash { return signInDigest("other", origin, tx.Account{}, n) }),
		"a portal of other name": w.prove(t, k, tx.Account{}, func(n [32]byte) tx.Hash { return signInDigest("test", "https://p2.example.org", tx.Account{}, n) }),
	} {
		if rec := w.ask("POST", "/api/sign-in", SignIn{me, proof}, nil, nil); rec.Code != 401 || codeOf(rec) != "proof" || len(rec.Result().Cookies()) > 0 {
			t.Errorf("%s: got %d %s", name, rec.Code, rec.Body)
		}
	}
	late := w.prove(t, k, tx.Account{}, nil)
	w.now = w.now.Add(challengeLife)
	if rec := w.ask("POST", "/api/sign-in", SignIn{me, late}, nil, nil); rec.Code != 401 {
		t.Errorf("a late answer: got %d", rec.Code)
	}
	p := w.people[me]
	p.Keys[0].Until = 5
	if rec := w.ask("POST", "/api/sign-in", SignIn{me, w.prove(t, k, tx.Account{}, nil)}, nil, nil); rec.Code != 401 {
		t.Errorf("a key that ended: got %d", rec.Code)
	}
	if rec := w.ask("POST", "/api/sign-up", SignUp{tx.Account{5}, draw("c", "evil.example.org", origin).Public(), good}, nil, nil); rec.Code != 400 {
		t.Errorf("a passkey of another relying party: got %d", rec.Code)
	}
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	alive := func(c *http.Cookie) bool { return w.ask("GET", "/api/relay/committee", nil, c, nil).Code == 200 }
	c := w.as(t, session{account: tx.Account{1}, role: patient})
	for range 40 { // used every 14 minutes it lives for 8 hours, and not longer
		w.now = w.now.Add(14 * time.Minute)
		if !alive(c) {
			break
		}
	}
	if alive(c) || w.now.Sub(time.Unix(1_800_000_000, 0)) < 8*time.Hour {
		t.Errorf("got an end after %s", w.now.Sub(time.Unix(1_800_000_000, 0)))
	}
	c = w.as(t, session{account: tx.Account{1}, role: patient})
	for range 3 { // what no person caused keeps nothing alive
		w.now = w.now.Add(6 * time.Minute)
		w.ask("GET", "/api/session", nil, c, nil)
	}
	if alive(c) {
		t.Error("got an idle session alive")
	}
	c = w.as(t, session{account: tx.Account{1}, role: patient})
	if rec := w.ask("DELETE", "/api/session", nil, c, nil); rec.Code != 204 || alive(c) {
		t.Error("got a session alive after the sign-out")
	}
}

func TestStrangersAreLimited(t *testing.T) {
	w := newWorld(t)
	for range perPlace {
		w.ask("POST", "/api/challenge", "{}", nil, nil)
	}
	if rec := w.ask("POST", "/api/challenge", "{}", nil, nil); rec.Code != 429 {
		t.Errorf("got %d", rec.Code)
	}
	w.now = w.now.Add(window)
	if rec := w.ask("POST", "/api/challenge", "{}", nil, nil); rec.Code != 200 {
		t.Errorf("a minute later: got %d", rec.Code)
	}
	if rec := w.ask("POST", "/api/sign-in", strings.Repeat(" ", 9<<10), nil, nil); rec.Code != 413 {
		t.Errorf("a long body: got %d %s", rec.Code, rec.Body)
	}
}

func TestAssetsAreServedWithTheirRulesAndNothingElse(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		"/": 200, "/patient/looked": 200, "/assets/app-1.js": 200, "/index.html": 200,
		"/assets/none.js": 404, "/portal.go": 404, "/assets/": 404, "/api/none": 404, "/%2e%2e/portal.go": 404, "/assets/..%2f..%2fportal.go": 404,
	} {
		rec := w.ask("GET", path, nil, nil, nil)
		if rec.Code != want && (want != 404 || rec.Code/100 != 3) { // the router cleans a path by sending elsewhere
			t.Errorf("%s: got %d, want %d", path, rec.Code, want)
		}
		h := rec.Header()
		if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Strict-Transport-Security") == "" || h.Get("Cross-Origin-Embedder-Policy") != "require-corp" {
			t.Errorf("%s: got the headers %v", path, h)
		}
	}
	rec := w.ask("GET", "/assets/app-1.js", nil, nil, func(r *http.Request) { r.Header.Set("Accept-Encoding", "br;q=0, gzip") })
	if rec.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(rec.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("got %v", rec.Header())
	}
	etag := rec.Header().Get("ETag")
	again := w.ask("GET", "/assets/app-1.js", nil, nil, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip"); r.Header.Set("If-None-Match", etag) })
	if again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("got %d for %s", again.Code, etag)
	}
	if w.ask("GET", "/", nil, nil, func(r *http.Request) { r.Host = "rebound.example" }).Code != 403 {
		t.Error("got the page under another host name")
	}
}

// blobs is a relay that has the ciphertexts whose address begins with an even byte.
type blobs struct{ Relay }

func (blobs) Ciphertext(_ context.Context, holders []tx.Account, a [32]byte) ([]byte, error) {
	if a[0]%2 == 1 || len(holders) != 1 {
		return nil, vault.ErrNotFound
	}
	return bytes.Clone(a[:3]), nil
}

// Many ciphertexts come in one answer, in their order, and what nobody has holds up no other.
func TestManyCiphertextsAtOnce(t *testing.T) {
	w := newWorld(t)
	c := w.as(t, session{account: tx.Account{1}, role: patient})
	ask := func(body string) *httptest.ResponseRecorder { return w.ask("POST", "/api/relay/blobs", body, c, nil) }
	address := func(b byte) string { return strings.Repeat(fmt.Sprintf("%02x", b), 32) }
	rec := ask(fmt.Sprintf(`{"addresses":[%q,%q,%q],"holders":[%q]}`, address(4), address(5), address(6), tx.Account{2}.String()))
	want := []byte{0, 0, 0, 3, 4, 4, 4, 255, 255, 255, 255, 0, 0, 0, 3, 6, 6, 6}
	if rec.Code != 200 || !bytes.Equal(rec.Body.Bytes(), want) {
		t.Errorf("got %d %v, want %v", rec.Code, rec.Body.Bytes(), want)
	}
	many := strings.TrimSuffix(strings.Repeat(`"`+address(4)+`",`, maxBlobs+1), ",")
	for _, body := range []string{`{`, `{}`, `{"addresses":["x"]}`, `{"addresses":[` + many + `]}`} {
		if rec := ask(body); rec.Code != 400 || codeOf(rec) != "argument" {
			t.Errorf("%.40s: got %d %s, want a refusal", body, rec.Code, rec.Body)
		}
	}
}

func TestWhoEnrolledHerselfIsTakenInAndMayAskAgain(t *testing.T) {
	w := newWorld(t)
	var asked []tx.Account
	var fails error
	w.TakeIn = func(_ context.Context, a tx.Account) error { asked = append(asked, a); return fails }
	me := tx.Account{1}
	c := w.as(t, session{account: me, role: patient})
	if rec := w.ask("POST", "/api/slots", "{}", c, nil); rec.Code != http.StatusNoContent || !slices.Equal(asked, []tx.Account{me}) {
		t.Errorf("got %d, asked for %v", rec.Code, asked)
	}
	fails = record.ErrNotSteward
	if rec := w.ask("POST", "/api/slots", "{}", c, nil); codeOf(rec) != "0x2202" {
		t.Errorf("at another steward's: got %d %s", rec.Code, rec.Body)
	}
	w.TakeIn = nil
	if rec := w.ask("POST", "/api/slots", "{}", c, nil); rec.Code != http.StatusNotFound {
		t.Errorf("where nobody can be taken in: got %d", rec.Code)
	}
}
