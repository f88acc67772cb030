package smart

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"salus/ledger/module/consent"
)

// A Grant is what an app was given, by a person or, without one, by its registration.
type Grant struct {
	Client   string
	Name     string  // of the app, as it was then
	User     *User   `json:",omitempty"`
	Scopes   []Scope // as allowed; a refreshed token has these or fewer
	Purpose  string  `json:",omitempty"`
	Patient  string  `json:",omitempty"`
	Launch   *Launch `json:",omitempty"`
	Nonce    string  `json:",omitempty"`
	Session  string  `json:",omitempty"` // hash of the session that online access ends with
	SignedIn int64   `json:",omitempty"`
	Declared string  `json:",omitempty"` // of an emergency, what she confirmed with her passkey
	Made     time.Time
	Until    time.Time
}

// grantRow is a grant with the hash of the only refresh token that is good now. A
// refresh token names its grant, so that one which was good before is recognised
// without keeping those.
type grantRow struct {
	ends
	Grant
	Refresh string `json:",omitempty"`
}

// codeRow is an authorisation code. It is kept after its use, to recognise it.
type codeRow struct {
	ends
	Until     int64
	Used      bool
	Redirect  string
	Challenge string
	GrantID   string
	Grant     Grant
}

type tokenRow struct {
	ends
	Token
}

// exchange is the token endpoint.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	c, purpose, err := s.identify(r, form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	kind := form.Get("grant_type")
	if kind == grantCode || kind == grantRefresh || kind == grantClient {
		if !slices.Contains(c.Grants, kind) {
			s.fail(w, r, errNotAllowed)
			return
		}
	}
	var out map[string]any
	switch kind {
	case grantCode:
		out, err = s.redeem(c, form)
	case grantRefresh:
		out, err = s.refresh(c, form)
	case grantClient:
		out, err = s.credentials(c, form, purpose)
	case "":
		err = invalidRequest("grant_type is required")
	default:
		err = &oauthError{http.StatusBadRequest, "unsupported_grant_type", "grant_type is authorization_code, refresh_token or client_credentials"}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, http.StatusOK, out)
}

// redeem exchanges a code. Whatever comes of it, but for a failure of ours, the code is used up; one that was used
// before ends what it gave (RFC 9700 section 4.5, RFC 6749 section 4.1.2).
func (s *Server) redeem(c *Client, form url.Values) (out map[string]any, err error) {
	code := form.Get("code")
	if len(code) != secretLen {
		return nil, errInvalidGrant
	}
	keys, err := s.signing() // outside of the change, as it may make one
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var refused error
	var gone []string
	var event Event
	err = s.Keeper.Change(func(rows Rows) error {
		at := keyOf(rowCode, code)
		row, err := load[codeRow](rows, at)
		if errors.Is(err, ErrNoRow) {
			refused = errInvalidGrant
			return nil
		} else if err != nil {
			return err
		}
		event = row.Grant.event("", row.GrantID)
		if row.Used {
			refused, event.What = errInvalidGrant, "code-reused"
			gone, err = dropGrant(rows, digest(rowGrant, row.GrantID))
			return err
		}
		row.Used = true
		if err := put(rows, at, row); err != nil {
			return err
		}
		if row.Grant.Client != c.ID || now.Unix() >= row.Until || form.Get("redirect_uri") != row.Redirect ||
			!verifies(form.Get("code_verifier"), row.Challenge) || !s.alive(rows, &row.Grant) {
			refused, event.What, event.Why = errInvalidGrant, "refused", "invalid_grant"
			return nil
		}
		if out, err = s.issue(rows, keys[0], row.GrantID, &row.Grant, row.Grant.Scopes, now); err != nil {
			return err
		}
		return s.notify(row.Grant.event("granted", row.GrantID))
	})
	s.cache.forget(gone...)
	if event.What != "" && err == nil {
		s.note(event)
	}
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// verifies compares a code verifier with its S256 challenge (RFC 7636 section 4.6).
func verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 || strings.ContainsFunc(verifier, func(r rune) bool { return notBase64URL(r) && r != '.' && r != '~' }) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// alive reports whether the session of online access goes on.
func (s *Server) alive(from loader, g *Grant) bool {
	if g.Session == "" {
		return true
	}
	sess, err := load[session](from, rowSession+g.Session)
	return err == nil && !sess.over(s.Now())
}

// refresh exchanges a refresh token for the next one. One that was good before, or
// comes from another app, was stolen on one side or the other: everything of the grant
// ends (RFC 9700 section 4.14).
func (s *Server) refresh(c *Client, form url.Values) (out map[string]any, err error) {
	id, secret, ok := strings.Cut(form.Get("refresh_token"), ".")
	if !ok || len(secret) != secretLen || len(id) != 22 {
		return nil, errInvalidGrant
	}
	keys, err := s.signing() // outside of the change, as it may make one
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var refused error
	var gone []string
	var event Event
	err = s.Keeper.Change(func(rows Rows) error {
		row, err := load[grantRow](rows, keyOf(rowGrant, id))
		if errors.Is(err, ErrNoRow) || err == nil && row.over(now) {
			refused = errInvalidGrant
			return nil
		} else if err != nil {
			return err
		}
		event = row.event("", id)
		good := subtle.ConstantTimeCompare([]byte(digest("refresh", secret)), []byte(row.Refresh)) == 1
		if !good || row.Client != c.ID || !s.alive(rows, &row.Grant) {
			refused, event.What = errInvalidGrant, "revoked"
			if !good {
				event.What = "refresh-reused"
			}
			gone, err = dropGrant(rows, digest(rowGrant, id))
			return err
		}
		// What the registration allows no more, a refresh does not give again.
		scopes := s.sound(narrow(row.Scopes, c.Scopes))
		if form.Has("scope") {
			if scopes, ok = fewer(form.Get("scope"), scopes); !ok {
				refused = errInvalidScope
				return nil
			}
		}
		if len(scopes) == 0 {
			refused = errInvalidScope
			return nil
		}
		if out, err = s.issue(rows, keys[0], id, &row.Grant, scopes, now); err != nil {
			return err
		}
		return s.notify(row.event("refreshed", id))
	})
	s.cache.forget(gone...)
	if event.What != "" && err == nil {
		s.note(event)
	}
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fewer reads scopes that must all lie within those granted.
func fewer(text string, granted []Scope) (out []Scope, ok bool) {
	fields := strings.Fields(text)
	if len(fields) == 0 || len(fields) > maxScopes {
		return nil, false
	}
	for _, word := range fields {
		sc, err := ParseScope(word)
		if err != nil || !slices.ContainsFunc(granted, func(g Scope) bool { return g.covers(sc) }) {
			return nil, false
		}
		out = add(out, sc)
	}
	return out, true
}

// credentials gives a backend service what it was registered for (SMART 2.2, Backend
// Services). There is no refresh token, and no purpose that was not stated.
func (s *Server) credentials(c *Client, form url.Values, purpose string) (out map[string]any, err error) {
	asked, ok := parseScopes(form.Get("scope"))
	if !ok || has(asked, PatientLevel) || has(asked, UserLevel) {
		return nil, errInvalidScope
	}
	scopes := s.sound(narrow(asked, c.Scopes))
	if !has(scopes, SystemLevel) {
		return nil, errInvalidScope
	}
	stated := form.Get("purpose_of_use")
	if stated != "" && purpose != "" && stated != purpose {
		return nil, invalidRequest("purpose_of_use is not that of the assertion")
	}
	if stated == "" {
		stated = purpose
	}
	if stated != "" && !c.allowsPurpose(stated) {
		return nil, errPurpose
	}
	scopes = slices.DeleteFunc(scopes, func(sc Scope) bool { return sc.Level != SystemLevel })
	g := &Grant{Client: c.ID, Name: c.Name, Scopes: scopes, Purpose: stated, Made: s.Now().UTC().Truncate(time.Second)}
	id := newSecret()[:22]
	err = s.Keeper.Change(func(rows Rows) (err error) {
		if out, err = s.issue(rows, nil, id, g, scopes, s.Now()); err != nil {
			return err
		}
		return s.notify(g.event("granted", id))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// issue writes an access token, with the refresh token and the ID token that go with
// it, and returns the answer (RFC 6749 section 5.1).
func (s *Server) issue(rows Rows, key *signingKey, id string, g *Grant, scopes []Scope, now time.Time) (map[string]any, error) {
	secret, of := newSecret(), digest(rowGrant, id)
	t := Token{
		Client: g.Client, Kind: ForSystem, Patient: g.Patient, Purpose: g.Purpose, Scopes: scopes, Launch: g.Launch, Grant: of,
		Issued: now.UTC().Truncate(time.Second), Expires: now.UTC().Truncate(time.Second).Add(s.Access), Session: g.Session,
	}
	out := map[string]any{"access_token": secret, "token_type": "Bearer", "expires_in": int(s.Access.Seconds()), "scope": scopeText(scopes)}
	if g.User != nil {
		t.User, t.FHIRUser, t.Kind, t.SignedIn, t.Declared = g.User.ID, g.User.FHIRUser, ForUser, g.SignedIn, g.Declared
		// By the grant, not by what of it was asked this time: a refresh for fewer scopes must not
		// reach more patients.
		if has(g.Scopes, PatientLevel) || g.User.bound() {
			t.Kind = ForPatient
		}
		if named(scopes, "openid") {
			text, err := s.idToken(key, g, now)
			if err != nil {
				return nil, err
			}
			out["id_token"], t.Named = text, true
		}
	}
	maps.Copy(out, t.context())
	row := &grantRow{Grant: *g}
	if g.Until.IsZero() {
		row.Until = g.Made.Add(s.Access)
		if named(g.Scopes, "offline_access") || named(g.Scopes, "online_access") {
			row.Until = g.Made.Add(s.Refresh)
		}
	}
	if g.User != nil && (named(g.Scopes, "offline_access") || named(g.Scopes, "online_access")) {
		next := newSecret()
		out["refresh_token"], row.Refresh = id+"."+next, digest("refresh", next)
	}
	row.ends = until(row.Until)
	// A token never outlives its grant.
	if t.Expires.After(row.Until) {
		t.Expires = row.Until
		out["expires_in"] = int(t.Expires.Sub(t.Issued).Seconds())
	}
	if err := put(rows, rowGrant+of, row); err != nil {
		return nil, err
	}
	at := keyOf(rowToken, secret)
	if err := put(rows, at, &tokenRow{until(t.Expires), t}); err != nil {
		return nil, err
	}
	return out, put(rows, rowOf+of+"/"+strings.TrimPrefix(at, rowToken), until(t.Expires))
}

// dropGrant removes a grant and its tokens. The caller makes the cache forget the keys
// once that is durable.
func dropGrant(rows Rows, of string) (gone []string, err error) {
	prefix := rowOf + of + "/"
	err = rows.Each(prefix, func(key string, _ []byte) error {
		gone = append(gone, rowToken+strings.TrimPrefix(key, prefix))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, key := range gone {
		if err := rows.Drop(key); err != nil {
			return nil, err
		}
		if err := rows.Drop(prefix + strings.TrimPrefix(key, rowToken)); err != nil {
			return nil, err
		}
	}
	return gone, rows.Drop(rowGrant + of)
}

// emergency reports whether a purpose is one of an emergency.
func emergency(code string) bool {
	p, err := consent.ParsePurpose(code)
	return err == nil && p.Emergency()
}
