package smart

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"salus/ledger/module/consent"
)

// A User is a person who has signed in.
type User struct {
	ID       string // stable, 1 to 255 bytes: the sub of ID tokens
	Name     string // shown to her, and to apps with the scope profile
	FHIRUser string // "Practitioner/123"; "Patient/123" for who reads her own record, "RelatedPerson/123" for a carer
	// Purposes are those she may act for; none are all but the emergency ones, which must be
	// named.
	Purposes []string `json:",omitempty"`
	// Emergency lets who has no list of purposes act for the emergency ones too.
	Emergency bool `json:",omitempty"`
	// Scopes are the most that she can give an app; nil restricts nothing.
	Scopes []Scope `json:",omitempty"`
}

// patient is the id under which a person is a patient, "" for staff.
func (u *User) patient() string {
	if id, ok := strings.CutPrefix(u.FHIRUser, "Patient/"); ok {
		return id
	}
	return ""
}

// bound reports whether she is no staff: what she gives an app stays within one patient.
func (u *User) bound() bool {
	typ, _, _ := strings.Cut(u.FHIRUser, "/")
	return typ == "Patient" || typ == "RelatedPerson" || typ == "Person"
}

// mayActFor reports whether a purpose is open to her. Who is no staff acts for a patient.
func (u *User) mayActFor(code string) bool {
	p, err := consent.ParsePurpose(code)
	switch {
	case err != nil:
		return false
	case u.bound() && !p.Personal():
		return false
	case len(u.Purposes) == 0:
		return !p.Emergency() || u.Emergency
	}
	return slices.Contains(u.Purposes, code)
}

// ErrSignIn is the error of a sign-in with nobody behind it.
var ErrSignIn = errors.New("smart: the code is not one, or is used, or over")

// A SignIn says whose a code is that a person typed. A code serves once. Errors:
// ErrSignIn.
type SignIn interface {
	SignIn(ctx context.Context, code string) (*User, error)
}

// Codes is a SignIn with codes that the node's operator, or its portal after a
// passkey, hands to a person.
type Codes struct {
	Keeper Keeper
	Now    func() time.Time
}

type onceRow struct {
	ends
	User *User
}

// alphabet has no letters that are read as others.
const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// Issue returns a code with which that person can sign in once: 80 bits, too many to
// try.
func (c *Codes) Issue(u User, life time.Duration) (string, error) {
	if u.ID == "" || len(u.ID) > 255 {
		return "", errors.New("smart: a person's id has 1 to 255 bytes")
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	for i := range raw {
		raw[i] = alphabet[raw[i]%32]
	}
	code := string(raw)
	err := c.Keeper.Change(func(r Rows) error {
		return put(r, keyOf(rowOnce, code), &onceRow{until(c.Now().Add(life)), &u})
	})
	return code[:4] + "-" + code[4:8] + "-" + code[8:12] + "-" + code[12:], err
}

// SignIn implements SignIn. It forgives case, spaces and dashes.
func (c *Codes) SignIn(_ context.Context, code string) (u *User, err error) {
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(code))
	if len(code) != 16 {
		return nil, ErrSignIn
	}
	err = c.Keeper.Change(func(r Rows) error {
		row, err := load[onceRow](r, keyOf(rowOnce, code))
		if errors.Is(err, ErrNoRow) || err == nil && (row.over(c.Now()) || row.User == nil) {
			return ErrSignIn
		} else if err != nil {
			return err
		}
		u = row.User
		return r.Drop(keyOf(rowOnce, code))
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// A session is a person at one browser.
type session struct {
	ends
	User     *User
	SignedIn int64
}

// cookieName binds the cookie to this host and to TLS where there is TLS: no other
// host of the same domain can set it.
func (s *Server) cookieName() string {
	if strings.HasPrefix(s.Issuer, "https:") {
		return "__Host-salus"
	}
	return "salus"
}

func (s *Server) setCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS
		Name: s.cookieName(), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, // not Strict: the provider sends her back
		Secure: strings.HasPrefix(s.Issuer, "https:"),
	})
}

// session returns the browser's cookie, and the session of who signed in there.
func (s *Server) session(r *http.Request) (cookie string, sess *session) {
	c, err := r.Cookie(s.cookieName())
	if err != nil || len(c.Value) != secretLen {
		return "", nil
	}
	sess, err = load[session](s.Keeper, keyOf(rowSession, c.Value))
	if err != nil || sess.over(s.Now()) || sess.User == nil {
		return c.Value, nil
	}
	return c.Value, sess
}

// begin starts a session under a new cookie: one that somebody else knew before the
// sign-in is worth nothing after it.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, u *User, at time.Time) (cookie string, err error) {
	old, _ := s.session(r)
	cookie = newSecret()
	now := s.Now()
	err = s.Keeper.Change(func(rows Rows) error {
		if old != "" {
			if err := rows.Drop(keyOf(rowSession, old)); err != nil {
				return err
			}
		}
		return put(rows, keyOf(rowSession, cookie), &session{until(now.Add(s.Session)), u, at.Unix()})
	})
	if err == nil {
		s.setCookie(w, cookie)
	}
	return cookie, err
}

// flowOf is the flow that a request of its browser names.
func (s *Server) flowOf(r *http.Request, id string) (*flow, bool) {
	cookie, _ := s.session(r)
	if cookie == "" {
		return nil, false
	}
	f, ok := s.flows.find(id, digest("browser", cookie), s.Now())
	return &f, ok
}

// noFlow is told to who has none.
func (s *Server) noFlow(w http.ResponseWriter) {
	s.errorPage(w, http.StatusBadRequest, "This page is over, or belongs to another browser. Start again from the app.")
}

// toSignIn sends a browser to where the person shows who she is.
func (s *Server) toSignIn(w http.ResponseWriter, r *http.Request, f *flow) {
	switch {
	case s.Provider != nil:
		s.visitProvider(w, r, f)
	case s.SignIn != nil:
		http.Redirect(w, r, s.Issuer+"/signin?flow="+f.id, http.StatusSeeOther)
	default:
		s.refuse(w, r, f, &oauthError{0, "temporarily_unavailable", "nobody can sign in here"})
	}
}

func (s *Server) askSignIn(w http.ResponseWriter, r *http.Request) {
	f, ok := s.flowOf(r, r.URL.Query().Get("flow"))
	if !ok || s.SignIn == nil {
		s.noFlow(w)
		return
	}
	s.signInPage(w, http.StatusOK, f, "")
}

// signIn takes the code that a person typed.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	form, f, ok := s.posted(w, r)
	if !ok {
		return
	}
	if s.SignIn == nil {
		s.noFlow(w)
		return
	}
	u, err := s.SignIn.SignIn(r.Context(), form.Get("code"))
	if err != nil {
		if !errors.Is(err, ErrSignIn) {
			s.Log.ErrorContext(r.Context(), "a sign-in failed", "err", err)
		}
		s.note(Event{What: "refused", Client: f.client.ID, Why: "sign_in"})
		s.signInPage(w, http.StatusUnauthorized, f, "That code is not one of ours, or has been used, or is too old. Ask for a new one.")
		return
	}
	s.enter(w, r, f, u, s.Now())
}

// enter goes on with a flow as somebody who signed in at that time.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, f *flow, u *User, at time.Time) {
	cookie, err := s.begin(w, r, u, at)
	if err != nil {
		s.refuse(w, r, f, err)
		return
	}
	f.user, f.signedIn, f.browser = u, at, digest("browser", cookie)
	s.flows.change(f.id, func(one *flow) { one.browser = f.browser })
	if f.client == manageClient {
		s.flows.take(f.id)
		http.Redirect(w, r, s.Issuer+"/manage", http.StatusSeeOther)
		return
	}
	s.signedIn(w, r, f)
}

// signOut ends the session of a browser's request, and with it online access.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	cookie, _ := s.session(r)
	if cookie == "" {
		return nil
	}
	key := digest(rowSession, cookie)
	err := s.Keeper.Change(func(rows Rows) error { return rows.Drop(rowSession + key) })
	if err != nil {
		return err
	}
	s.setCookie(w, newSecret())
	_, err = s.RevokeAll(func(g Grant) bool { return g.Session == key })
	return err
}
