package smart

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// manageClient stands for our own page in a flow that only signs somebody in.
var manageClient = &Client{ID: "manage"}

// csrfOf is the token of forms that belong to a session and to no flow.
func csrfOf(cookie string) string { return digest("csrf", cookie) }

// manage shows a person which apps have access on her behalf (SMART 2.2,
// management_endpoint).
func (s *Server) manage(w http.ResponseWriter, r *http.Request) {
	cookie, sess := s.session(r)
	if sess == nil {
		if cookie == "" {
			cookie = newSecret()
			s.setCookie(w, cookie)
		}
		f := &flow{id: newSecret(), csrf: newSecret(), client: manageClient, browser: digest("browser", cookie), maxAge: -1, over: s.Now().Add(flowLife)}
		s.flows.put(f)
		s.toSignIn(w, r, f)
		return
	}
	v := view{Title: "Your apps", Person: sess.User.Name, CSRF: csrfOf(cookie)}
	err := s.Keeper.Each(rowGrant, func(key string, value []byte) error {
		var row grantRow
		if err := json.Unmarshal(value, &row); err != nil {
			return fmt.Errorf("smart: a row is damaged: %w", err)
		}
		if row.User == nil || row.User.ID != sess.User.ID || row.over(s.Now()) {
			return nil
		}
		name := row.Name
		if name == "" {
			name = row.Client
		}
		v.Given = append(v.Given, given{
			ID: strings.TrimPrefix(key, rowGrant), App: name, What: scopeText(row.Scopes),
			Since: row.Made.Format("2 January 2006"), Until: row.Until.Format("2 January 2006"),
		})
		return nil
	})
	if err != nil {
		s.Log.ErrorContext(r.Context(), "the grants could not be read", "err", err)
		s.errorPage(w, http.StatusInternalServerError, "The request could not be handled. Try again later.")
		return
	}
	s.show(w, http.StatusOK, "manage", "", v)
}

// manageChange takes back one app's access, or signs the person out.
func (s *Server) manageChange(w http.ResponseWriter, r *http.Request) {
	form, ok := s.ours(w, r)
	if !ok {
		return
	}
	cookie, sess := s.session(r)
	if sess == nil || subtle.ConstantTimeCompare([]byte(form.Get("csrf")), []byte(csrfOf(cookie))) != 1 {
		s.errorPage(w, http.StatusForbidden, "The form is not one of ours. Open your apps again.")
		return
	}
	var err error
	switch form.Get("decision") {
	case "revoke":
		err = s.takeBack(sess.User.ID, form.Get("grant"))
	case "signout":
		if err = s.signOut(w, r); err == nil {
			s.show(w, http.StatusOK, "error", "", view{Title: "You are signed out"})
			return
		}
	}
	if err != nil {
		s.Log.ErrorContext(r.Context(), "a grant could not be ended", "err", err)
		s.errorPage(w, http.StatusInternalServerError, "The request could not be handled. Try again later.")
		return
	}
	http.Redirect(w, r, s.Issuer+"/manage", http.StatusSeeOther)
}

// takeBack ends a grant that is that person's.
func (s *Server) takeBack(user, of string) error {
	var gone []string
	var ended *Grant
	err := s.Keeper.Change(func(rows Rows) error {
		row, err := load[grantRow](rows, rowGrant+of)
		if err != nil || row.User == nil || row.User.ID != user {
			return nil //nolint:nilerr // there is nothing of hers to end
		}
		ended = &row.Grant
		gone, err = dropGrant(rows, of)
		return err
	})
	s.cache.forget(gone...)
	if err == nil && ended != nil {
		s.note(ended.event("revoked", ""))
	}
	return err
}
