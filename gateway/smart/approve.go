package smart

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A Chart is a patient whom a person may choose.
type Chart struct {
	ID     string // of the FHIR resource
	Name   string
	Detail string // what tells people of one name apart
}

// Charts knows which patients a person may choose. A patient's own chart, and those of
// whom she cares for, are hers to choose.
type Charts interface {
	// Find returns at most n of them; text is what she typed, or "".
	Find(ctx context.Context, u *User, text string, n int) ([]Chart, error)
	// May reports whether that is one of them.
	May(ctx context.Context, u *User, patient string) (bool, error)
}

const maxCharts = 20

// mayChoose reports whether a person may choose a patient.
func (s *Server) mayChoose(r *http.Request, u *User, patient string) bool {
	if patient == "" || !idOrNone(patient) {
		return false
	}
	if u.patient() == patient {
		return true
	}
	if s.Charts == nil {
		return false
	}
	ok, err := s.Charts.May(r.Context(), u, patient)
	if err != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "the charts could not be asked", "err", err)
	}
	return ok && err == nil
}

// charts are the patients to choose from, her own first.
func (s *Server) charts(r *http.Request, u *User, text string) (list []Chart) {
	if s.Charts != nil {
		found, err := s.Charts.Find(r.Context(), u, text, maxCharts)
		if err != nil && r.Context().Err() == nil {
			s.Log.ErrorContext(r.Context(), "the charts could not be asked", "err", err)
		}
		list = found
	}
	if own := u.patient(); own != "" && !slices.ContainsFunc(list, func(c Chart) bool { return c.ID == own }) {
		list = append([]Chart{{ID: own, Name: u.Name}}, list...)
	}
	return list[:min(len(list), maxCharts)]
}

// posted reads a form of one of our pages: it must come from this browser's flow, with
// its token, from our own origin.
func (s *Server) posted(w http.ResponseWriter, r *http.Request) (url.Values, *flow, bool) {
	form, ok := s.ours(w, r)
	if !ok {
		return nil, nil, false
	}
	f, ok := s.flowOf(r, form.Get("flow"))
	if !ok {
		s.noFlow(w)
		return nil, nil, false
	}
	if subtle.ConstantTimeCompare([]byte(form.Get("csrf")), []byte(f.csrf)) != 1 {
		s.errorPage(w, http.StatusForbidden, "The form is not one of ours. Start again from the app.")
		return nil, nil, false
	}
	return form, f, true
}

// ours reads a form and refuses one that another site sent.
func (s *Server) ours(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	own, err := url.Parse(s.Issuer)
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if err != nil || origin != "" && origin != originOf(own) || site != "" && site != "same-origin" && site != "none" {
		s.errorPage(w, http.StatusForbidden, "The form is not one of ours. Start again from the app.")
		return nil, false
	}
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || once(r.PostForm, "scope") != nil {
		s.errorPage(w, http.StatusBadRequest, "The form cannot be read.")
		return nil, false
	}
	return r.PostForm, true
}

// askApproval shows what the app asks for.
func (s *Server) askApproval(w http.ResponseWriter, r *http.Request) {
	f, ok := s.flowOf(r, r.URL.Query().Get("flow"))
	if !ok || f.user == nil {
		s.noFlow(w)
		return
	}
	s.approvalPage(w, r, http.StatusOK, f, nil, "")
}

// approve takes the person's decision. She can give less than was asked, never more.
func (s *Server) approve(w http.ResponseWriter, r *http.Request) {
	form, f, ok := s.posted(w, r)
	if !ok {
		return
	}
	if f.user == nil || f.client == manageClient {
		s.noFlow(w)
		return
	}
	again := func(text string) { s.approvalPage(w, r, http.StatusBadRequest, f, form, text) }
	switch form.Get("decision") {
	case "find":
		s.approvalPage(w, r, http.StatusOK, f, form, "")
		return
	case "allow":
	case "refuse":
		s.refuse(w, r, f, &oauthError{0, "access_denied", "the person refused"})
		return
	default:
		again("Choose whether to allow this.")
		return
	}
	scopes := chosen(f.scopes, form["scope"])
	if !slices.ContainsFunc(scopes, func(sc Scope) bool { return asksAbout(sc) }) {
		s.refuse(w, r, f, &oauthError{0, "access_denied", "the person allowed nothing"})
		return
	}
	purpose := f.purpose
	if purpose == "" {
		purpose = form.Get("purpose")
	}
	if !slices.Contains(f.purposes(), purpose) {
		again("Say what the app is to be used for.")
		return
	}
	patient := ""
	if f.wantsPatient(scopes) {
		if f.launch != nil && f.launch.Patient != "" {
			patient = f.launch.Patient
		} else if patient = form.Get("patient"); !s.mayChoose(r, f.user, patient) {
			again("Choose a patient.")
			return
		}
	}
	s.finish(w, r, f, scopes, patient, purpose)
}

// asksAbout reports whether a person is asked about a scope; launch context comes with
// the launch.
func asksAbout(sc Scope) bool {
	return sc.Level != "" || sc.Name == "openid" || sc.Name == "fhirUser" || sc.Name == "profile" || sc.Name == "offline_access" || sc.Name == "online_access"
}

// chosen are the scopes that were ticked, and those that nobody is asked about.
func chosen(offered []Scope, ticked []string) (out []Scope) {
	for _, sc := range offered {
		if !asksAbout(sc) || slices.Contains(ticked, sc.String()) {
			out = append(out, sc)
		}
	}
	if !named(out, "openid") {
		out = withoutNamed(out, "fhirUser", "profile")
	}
	return out
}

// purposes are those that the person and the app may both act for, the usual ones; one
// alone where it is stated.
func (f *flow) purposes() (list []string) {
	if f.purpose != "" {
		return []string{f.purpose}
	}
	offer := usualPurposes
	if len(f.user.Purposes) > 0 {
		offer = f.user.Purposes
	}
	for _, p := range offer {
		if f.user.mayActFor(p) && f.client.allowsPurpose(p) {
			list = append(list, p)
		}
	}
	return list
}

// usualPurposes are offered to who has no list of her own.
var usualPurposes = []string{"TREAT", "PATRQT", "FAMRQT", "PWATRNY", "HPAYMT", "HOPERAT", "HRESCH", "PUBHLTH"}

// finish ends a flow with a code for the app.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, f *flow, scopes []Scope, patient, purpose string) {
	if !s.flows.take(f.id) {
		s.noFlow(w) // a second click
		return
	}
	code := newSecret()
	now := s.Now()
	row := codeRow{
		ends: until(now.Add(codeKept)), Until: now.Add(codeLife).Unix(), Redirect: f.redirect, Challenge: f.verify, GrantID: newSecret()[:22],
		Grant: Grant{
			Client: f.client.ID, Name: f.client.Name, User: f.user, Scopes: scopes, Purpose: purpose, Patient: patient,
			Launch: f.launch, Nonce: f.nonce, SignedIn: f.signedIn.Unix(), Made: now.UTC().Truncate(time.Second),
		},
	}
	if named(scopes, "online_access") && !named(scopes, "offline_access") {
		if row.Grant.Session = s.sessionKey(w, r); row.Grant.Session == "" {
			row.Grant.Scopes = withoutNamed(scopes, "online_access")
		}
	}
	err := s.Keeper.Change(func(rows Rows) error {
		if f.launchID != "" {
			// The launch serves once: of two flows with it, one ends here.
			if _, err := s.launched(rows, f.launchID, f.client.ID); err != nil {
				return err
			}
			if err := rows.Drop(keyOf(rowLaunch, f.launchID)); err != nil {
				return err
			}
		}
		return put(rows, keyOf(rowCode, code), &row)
	})
	if err != nil {
		s.sendBack(w, r, f, err)
		return
	}
	s.leave(w, r, f, "code", code)
}

// sessionKey is the hash of the session that a browser has, or was just given.
func (s *Server) sessionKey(w http.ResponseWriter, r *http.Request) string {
	cookie, sess := s.session(r)
	for _, line := range w.Header().Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == s.cookieName() {
			cookie, sess = c.Value, &session{}
		}
	}
	if sess == nil {
		return ""
	}
	return digest(rowSession, cookie)
}
