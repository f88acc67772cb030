package portal

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/smart"
	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// ward is a firm where a nurse with a passkey may declare emergencies, and one patient.
type ward struct {
	*firm
	d      *device
	cookie *http.Cookie
	called []string // operations, as the FHIR server got them
}

func newWard(t *testing.T) *ward {
	t.Helper()
	f, d := withDevice(t)
	w := &ward{firm: f, d: d}
	f.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Member: f.Self, Active: true, Privileges: identity.PrivRead | identity.PrivEmergency}
	f.Desk = &books{refs: map[tx.Account]string{{1}: "Patient/a"}}
	f.answer = func(r *http.Request, t *smart.Token) (int, string) {
		b, _ := io.ReadAll(r.Body)
		w.called = append(w.called, fmt.Sprintf("%s %s as %s for %s at %d: %s | %s", r.Method, r.URL.Path, t.User, t.Purpose, t.SignedIn-f.now.Unix(), t.Declared, b))
		return http.StatusOK, `{"resourceType":"Parameters"}`
	}
	w.cookie = f.as(t, session{account: tx.Account{3}, role: staff, name: "nurse", purpose: "TREAT", proved: f.now, ends: f.now.Add(time.Hour)})
	return w
}

var breaks = Declare{stepDeclare, "Patient/a", "OVRER", 3600}

// declare asks for a challenge and answers it as a browser does; over changes what is signed.
func (w *ward) declare(t *testing.T, d Declare, over func(what string) string) *httptest.ResponseRecorder {
	t.Helper()
	rec := w.ask("POST", "/api/emergency/challenge", d, w.cookie, nil)
	var c DeclareChallenge
	if err := json.Unmarshal(rec.Body.Bytes(), &c); err != nil || rec.Code != http.StatusOK {
		return rec
	}
	what := (&declaration{d, c.Patient, c.Time}).what()
	if over != nil {
		what = over(what)
	}
	w.d.Count++
	return w.ask("POST", "/api/emergency", Confirm{text64(w.d.id), w.d.proves(t, what, c.Nonce)}, w.cookie, nil)
}

func TestAnEmergencyIsDeclaredByWhatThePasskeyConfirmed(t *testing.T) {
	w := newWard(t)
	before := w.as(t, session{account: tx.Account{1}, role: patient}) // of somebody else: it stays
	w.now = w.now.Add(10 * time.Minute)
	ends := w.sessionOf(w.cookie).ends
	rec := w.declare(t, breaks, nil)
	if rec.Code != http.StatusOK {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	want := []string{`POST /fhir/Patient/$break-glass as nurse for BTG at 0: break-glass Patient/a OVRER 3600 | ` +
		`{"parameter":[{"name":"patient","valueReference":{"reference":"Patient/a"}},{"name":"reason","valueCode":"OVRER"},{"name":"seconds","valuePositiveInt":3600}],"resourceType":"Parameters"}`}
	if !slices.Equal(w.called, want) {
		t.Errorf("got %q, want %q", w.called, want)
	}
	var got Declared
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.Purpose != "BTG" || got.Name != "nurse" || string(got.Outcome) != `{"resourceType":"Parameters"}` {
		t.Errorf("got %s", rec.Body)
	}
	if e := w.events[len(w.events)-1]; e.Kind != balp.Login || e.Outcome != balp.Success || e.Purposes != consent.PurposesOf(consent.BTG) || e.User.Reference != "Practitioner/nurse" {
		t.Errorf("noted %+v", e)
	}
	old := w.cookie
	w.cookie = rec.Result().Cookies()[0]
	if s := w.sessionOf(w.cookie); s == nil || !s.ends.Equal(ends) {
		t.Errorf("the session of the emergency ends otherwise than the sign-in that it goes on from: %+v", s)
	}
	if w.sessionOf(old) != nil || w.sessionOf(before) == nil {
		t.Error("the sessions are not those that should be")
	}
	// The second step is confirmed by itself.
	w.called = nil
	if rec := w.declare(t, Declare{Step: stepWiden, Patient: "Patient/a"}, nil); rec.Code != http.StatusOK || len(w.called) != 1 ||
		!strings.HasPrefix(w.called[0], "POST /fhir/Patient/$break-glass-widen as nurse for BTG at 0: break-glass-widen Patient/a | ") {
		t.Errorf("widen: got %d %s %q", rec.Code, rec.Body, w.called)
	}
}

func (f *firm) sessionOf(c *http.Cookie) *session {
	r := httptest.NewRequest(http.MethodGet, origin, http.NoBody)
	r.AddCookie(c)
	s, ok := f.find(r, true)
	if !ok {
		return nil
	}
	return s
}

func TestAnEmergencyIsNotDeclaredByWhatElseWasSigned(t *testing.T) {
	for rule, try := range map[string]struct {
		code string
		do   func(t *testing.T, w *ward) *httptest.ResponseRecorder
	}{
		"another patient": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string { return strings.Replace(s, tx.Account{1}.String(), tx.Account{2}.String(), 1) })
		}},
		"another reason": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string {
				d := declaration{Declare{stepDeclare, "Patient/a", "OVRPS", 3600}, tx.Account{1}, uint64(w.now.Unix())}
				return d.what()
			})
		}},
		"a longer time": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string { return strings.Replace(s, " 3600 ", " 7200 ", 1) })
		}},
		"another moment": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string { return s + "0" })
		}},
		"the second step": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string { return strings.Replace(s, stepDeclare, stepWiden, 1) })
		}},
		"a sign-in": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(string) string { return forSignIn })
		}},
		"a challenge for a sign-in": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.d.Count++
			return w.ask("POST", "/api/emergency", Confirm{text64(w.d.id), w.d.proves(t, forSignIn, w.nonce(t, "/api/staff/challenge", "{}", nil))}, w.cookie, nil)
		}},
		"a challenge for a passkey": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.d.Count++
			return w.ask("POST", "/api/emergency", Confirm{text64(w.d.id), w.d.proves(t, forRegister, w.nonce(t, "/api/staff/passkeys/challenge", "{}", w.cookie))}, w.cookie, nil)
		}},
		"nobody verified": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.d.Flags &^= passkey.FlagUV
			return w.declare(t, breaks, nil)
		}},
		"a counter that went back": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.d.Count = 1
			return w.declare(t, breaks, nil)
		}},
		"an old challenge": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string {
				w.now = w.now.Add(w.StepUp)
				return s
			})
		}},
		"somebody else's passkey": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.people[tx.Account{4}] = identity.Principal{Account: tx.Account{4}, Class: ledger.ClassPractitioner, Member: w.Self, Active: true, Privileges: identity.PrivRead | identity.PrivEmergency}
			other := newDevice(t, "b")
			w.register(t, other, w.fresh(t, "doctor"))
			other.Count = 9
			w.d = other
			return w.declare(t, breaks, nil)
		}},
		"a passkey that was removed": {"proof", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string {
				if err := w.Passkeys.Drop("nurse", w.d.id); err != nil {
					t.Fatal(err)
				}
				return s
			})
		}},
		"suspended meanwhile": {"role", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string {
				delete(w.people, tx.Account{3})
				return s
			})
		}},
		"no privilege": {"role", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Member: w.Self, Active: true, Privileges: identity.PrivRead}
			return w.declare(t, breaks, nil)
		}},
		"the privilege taken meanwhile": {"role", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, breaks, func(s string) string {
				w.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Member: w.Self, Active: true, Privileges: identity.PrivRead}
				return s
			})
		}},
		"no passkey at all": {"no-passkey", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			if err := w.Passkeys.Drop("nurse", w.d.id); err != nil {
				t.Fatal(err)
			}
			return w.declare(t, breaks, nil)
		}},
		"a patient who is not known": {"unknown", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, Declare{stepDeclare, "Patient/b", "OVRER", 3600}, nil)
		}},
		"a reason in words": {"argument", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, Declare{stepDeclare, "Patient/a", "because", 3600}, nil)
		}},
		"no time": {"argument", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, Declare{stepDeclare, "Patient/a", "OVRER", 0}, nil)
		}},
		"a step that is none": {"argument", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			return w.declare(t, Declare{"both", "Patient/a", "OVRER", 3600}, nil)
		}},
		"what the FHIR server refuses": {"emergency-quota", func(t *testing.T, w *ward) *httptest.ResponseRecorder {
			w.answer = func(*http.Request, *smart.Token) (int, string) {
				return http.StatusTooManyRequests, `{"resourceType":"OperationOutcome","issue":[{"code":"throttled","details":{"coding":[{"code":"emergency-quota"}],"text":"too many"}}]}`
			}
			return w.declare(t, breaks, nil)
		}},
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWard(t)
			rec := try.do(t, w)
			if codeOf(rec) != try.code || len(rec.Result().Cookies()) > 0 || len(w.called) > 0 {
				t.Errorf("got %d %s %q, want %s", rec.Code, rec.Body, w.called, try.code)
			}
			if s := w.sessionOf(w.cookie); s == nil || s.purpose != "TREAT" {
				t.Errorf("the session did not stay: %+v", s)
			}
		})
	}
}

func TestADeclarationServesOnce(t *testing.T) {
	w := newWard(t)
	rec := w.ask("POST", "/api/emergency/challenge", breaks, w.cookie, nil)
	var c DeclareChallenge
	if err := json.Unmarshal(rec.Body.Bytes(), &c); err != nil || rec.Code != http.StatusOK || c.Patient != (tx.Account{1}) {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	w.d.Count++
	in := Confirm{text64(w.d.id), w.d.proves(t, (&declaration{breaks, c.Patient, c.Time}).what(), c.Nonce)}
	rec = w.ask("POST", "/api/emergency", in, w.cookie, nil)
	if rec.Code != http.StatusOK {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	w.cookie = rec.Result().Cookies()[0]
	if rec := w.ask("POST", "/api/emergency", in, w.cookie, nil); rec.Code != http.StatusUnauthorized || codeOf(rec) != "proof" || len(w.called) != 1 {
		t.Errorf("again: got %d %s", rec.Code, rec.Body)
	}
}

func TestWhoHasAPasskeyIsToldToUseIt(t *testing.T) {
	w := newWard(t)
	how := func() (e Emergency) {
		if err := json.Unmarshal(w.ask("GET", "/api/emergency", nil, w.cookie, nil).Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if got, want := how(), (Emergency{true, true, int(chart.StepUp / time.Second)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := w.Passkeys.Drop("nurse", w.d.id); err != nil {
		t.Fatal(err)
	}
	if got := how(); got.Passkey || !got.May {
		t.Errorf("without a passkey: got %+v", got)
	}
	delete(w.people, tx.Account{3})
	if got := how(); got.May {
		t.Errorf("without a standing: got %+v", got)
	}
}
