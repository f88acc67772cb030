package smart

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A flow is an authorisation request on its way: from the app to the sign-in, the
// consent, and back. It is in memory, bound to one browser.
type flow struct {
	id       string
	csrf     string // in every form of this flow
	browser  string // digest of the cookie that may go on with it
	client   *Client
	redirect string
	state    string
	verify   string // the code challenge
	nonce    string
	scopes   []Scope // what may be given
	launchID string
	launch   *Launch
	purpose  string // stated by launch or app; "" if the person is to say
	prompt   string
	maxAge   time.Duration // of a sign-in; negative for any
	user     *User         // nil before the sign-in
	signedIn time.Time
	provider *visit // at the organisation's OpenID provider
	over     time.Time
}

// flows are the requests on their way.
type flows struct {
	mu   sync.Mutex
	byID map[string]*flow
}

const maxFlows = 10_000

func (f *flows) put(one *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = map[string]*flow{}
	}
	if len(f.byID) >= maxFlows {
		oldest := one
		for _, other := range f.byID {
			if other.over.Before(oldest.over) {
				oldest = other
			}
		}
		delete(f.byID, oldest.id)
	}
	f.byID[one.id] = one
}

// find returns a copy of a flow, for the browser that it is bound to.
func (f *flows) find(id, browser string, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.byID[id]
	if one == nil || !now.Before(one.over) || browser == "" || subtle.ConstantTimeCompare([]byte(one.browser), []byte(browser)) != 1 {
		return flow{}, false
	}
	return *one, true
}

// take ends a flow; only one of several takers has it.
func (f *flows) take(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.byID[id]
	delete(f.byID, id)
	return ok
}

// change applies a step to a flow that is still there.
func (f *flows) change(id string, step func(*flow)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.byID[id]; one != nil {
		next := *one
		step(&next)
		f.byID[id] = &next
	}
}

func (f *flows) sweep(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, one := range f.byID {
		if !now.Before(one.over) {
			delete(f.byID, id)
		}
	}
}

// authorizePosted turns a request by POST into one by GET. A browser does not send the
// session's cookie with a POST from elsewhere.
func (s *Server) authorizePosted(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err != nil || len(form.Encode()) > maxParams {
		s.errorPage(w, http.StatusBadRequest, "The app's request cannot be read.")
		return
	}
	http.Redirect(w, r, s.Issuer+"/authorize?"+form.Encode(), http.StatusSeeOther)
}

// authorize begins a flow (SMART 2.2, "Obtain authorization code"). Until it is known
// that the address to return to is the app's, errors are shown here and lead nowhere.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxParams || len(params["client_id"]) != 1 || len(params["redirect_uri"]) != 1 {
		s.errorPage(w, http.StatusBadRequest, "The app's request cannot be read.")
		return
	}
	c, err := s.client(params.Get("client_id"))
	if errors.Is(err, ErrNoRow) || err == nil && !slices.Contains(c.Redirects, params.Get("redirect_uri")) {
		s.errorPage(w, http.StatusBadRequest, "The app is not registered here, or not with the address that it wants to return to.")
		return
	} else if err != nil {
		s.errorPage(w, http.StatusInternalServerError, "The request could not be handled. Try again later.")
		return
	}
	f := &flow{id: newSecret(), csrf: newSecret(), client: c, redirect: params.Get("redirect_uri"), state: params.Get("state"), over: s.Now().Add(flowLife)}
	if err := s.request(f, params); err != nil {
		s.sendBack(w, r, f, err)
		return
	}
	cookie, sess := s.session(r)
	if sess != nil && s.recent(f, sess) && f.launch.suits(sess.User) {
		f.user, f.signedIn = sess.User, time.Unix(sess.SignedIn, 0)
	}
	if f.user == nil && f.prompt == "none" {
		s.sendBack(w, r, f, &oauthError{0, "login_required", "nobody is signed in"})
		return
	}
	if cookie == "" {
		cookie = newSecret()
		s.setCookie(w, cookie)
	}
	f.browser = digest("browser", cookie)
	s.flows.put(f)
	if f.user == nil {
		s.toSignIn(w, r, f)
		return
	}
	s.signedIn(w, r, f)
}

// recent reports whether a session's sign-in is good enough for what the app asked. An emergency wants
// somebody who signs in for it.
func (s *Server) recent(f *flow, sess *session) bool {
	return f.prompt != "login" && !emergency(f.purpose) && (f.maxAge < 0 || s.Now().Sub(time.Unix(sess.SignedIn, 0)) <= f.maxAge)
}

// fresh reports whether a sign-in of before will not do.
func (f *flow) fresh() bool { return f.prompt == "login" || f.maxAge >= 0 || emergency(f.purpose) }

// request reads the parameters into a flow. Errors go back to the app.
func (s *Server) request(f *flow, p url.Values) error {
	if err := once(p, ""); err != nil {
		return err
	}
	switch {
	case p.Has("request"):
		return &oauthError{0, "request_not_supported", "send the parameters themselves"}
	case p.Has("request_uri"):
		return &oauthError{0, "request_uri_not_supported", "send the parameters themselves"}
	case p.Get("response_type") != "code":
		return &oauthError{0, "unsupported_response_type", "response_type is code"}
	case p.Has("response_mode") && p.Get("response_mode") != "query":
		return invalidRequest("response_mode is query")
	case !slices.Contains(f.client.Grants, grantCode):
		return errNotAllowed
	case p.Get("state") == "" || len(p.Get("state")) > 4096 || len(p.Get("nonce")) > 1024:
		return invalidRequest("state is required")
	case !s.audience(p):
		return invalidRequest("aud is required, and is the FHIR base of this server")
	case p.Get("code_challenge_method") != "S256" || !isChallenge(p.Get("code_challenge")):
		return invalidRequest("code_challenge is required, with code_challenge_method S256")
	}
	f.verify, f.nonce, f.prompt, f.maxAge = p.Get("code_challenge"), p.Get("nonce"), p.Get("prompt"), -1
	if p.Has("max_age") {
		n, err := strconv.Atoi(p.Get("max_age"))
		if err != nil || n < 0 || n > 1<<30 {
			return invalidRequest("max_age is a number of seconds")
		}
		f.maxAge = time.Duration(n) * time.Second
	}
	if !slices.Contains([]string{"", "none", "login", "consent"}, f.prompt) {
		return invalidRequest("prompt is none, login or consent")
	}
	asked, ok := parseScopes(p.Get("scope"))
	if !ok {
		return errInvalidScope
	}
	if err := s.atLaunch(f, p, named(asked, "launch")); err != nil {
		return err
	}
	if f.scopes = s.grantable(asked, f.client); len(f.scopes) == 0 {
		return errInvalidScope
	}
	return nil
}

// audience reports whether the app means this FHIR server: a token for it must not end
// up at another. "resource" is RFC 8707's name for the same.
func (s *Server) audience(p url.Values) bool {
	aud, resource := p.Get("aud"), p.Get("resource")
	if aud == "" {
		aud = resource
	}
	return aud != "" && fhirBase(aud) == s.FHIR && (resource == "" || fhirBase(resource) == s.FHIR)
}

// isChallenge reports whether s can be a SHA-256 in base64url (RFC 7636 section 4.2).
func isChallenge(s string) bool { return len(s) == 43 && !strings.ContainsFunc(s, notBase64URL) }

func notBase64URL(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

// atLaunch reads the EHR's launch and the purpose of use.
func (s *Server) atLaunch(f *flow, p url.Values, asked bool) (err error) {
	if f.launchID = p.Get("launch"); asked != (f.launchID != "") {
		return invalidRequest("the scope launch goes with the parameter launch")
	}
	f.purpose = p.Get("purpose_of_use")
	if f.launchID != "" {
		if f.launch, err = s.launched(s.Keeper, f.launchID, f.client.ID); err != nil {
			return err
		}
		if f.purpose != "" && f.purpose != f.launch.Purpose {
			return invalidRequest("purpose_of_use is not that of the launch")
		}
		f.purpose = f.launch.Purpose
	}
	if f.purpose != "" && !f.client.allowsPurpose(f.purpose) {
		return errPurpose
	}
	return nil
}

// grantable is what a person could give an app of the scopes that it asked for.
func (s *Server) grantable(asked []Scope, c *Client) []Scope {
	given := s.sound(narrow(without(asked, SystemLevel), c.Scopes))
	if !named(given, "openid") {
		given = withoutNamed(given, "fhirUser", "profile")
	}
	if !slices.Contains(c.Grants, grantRefresh) {
		given = withoutNamed(given, "offline_access", "online_access")
	}
	return given
}

// sound leaves out scopes that could not be held to.
func (s *Server) sound(scopes []Scope) (out []Scope) {
	var known func(string) bool
	if s.Params != nil {
		known = s.Params.Known
	}
	for _, sc := range enforceable(scopes, known) {
		if sc.Query != "" {
			if s.Params == nil {
				continue
			}
			if _, err := condition(sc, s.Params, s.Now()); err != nil {
				continue
			}
		}
		out = append(out, sc)
	}
	return out
}

// signedIn goes on once it is known who the person is.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, f *flow) {
	denied := &oauthError{0, "access_denied", "the person who signed in may not do that"}
	switch {
	case !f.launch.suits(f.user):
		denied.text = "the launch is somebody else's"
	case f.purpose != "" && !f.user.mayActFor(f.purpose):
		denied.text = "the person may not act for that purpose of use"
	case f.user.bound() && f.launch != nil && f.launch.Patient != "" && !s.mayChoose(r, f.user, f.launch.Patient):
	default:
		if f.user.Scopes != nil {
			f.scopes = narrow(f.scopes, f.user.Scopes)
		}
		if len(f.scopes) == 0 {
			s.refuse(w, r, f, errInvalidScope)
			return
		}
		s.flows.change(f.id, func(one *flow) { one.user, one.signedIn, one.scopes, one.provider = f.user, f.signedIn, f.scopes, nil })
		if patient, ok := f.settled(); ok {
			s.finish(w, r, f, f.scopes, patient, f.purpose)
			return
		}
		if f.prompt == "none" {
			s.refuse(w, r, f, &oauthError{0, "consent_required", "the person must be asked"})
			return
		}
		http.Redirect(w, r, s.Issuer+"/approve?flow="+f.id, http.StatusSeeOther)
		return
	}
	s.refuse(w, r, f, denied)
}

// settled reports whether nothing is left to ask: the organisation has answered for
// its staff, the purpose is stated and no emergency, the patient is known.
func (f *flow) settled() (patient string, ok bool) {
	if f.launch != nil {
		patient = f.launch.Patient
	}
	return patient, f.client.Approved && f.prompt != "consent" && !f.user.bound() && f.purpose != "" && !emergency(f.purpose) && (patient != "" || !f.wantsPatient(f.scopes))
}

// wantsPatient reports whether a patient must be in context. Who is no staff is always in
// one: her own, or that of somebody she cares for.
func (f *flow) wantsPatient(scopes []Scope) bool {
	return has(scopes, PatientLevel) || named(scopes, "launch/patient") || f.user.bound()
}

// refuse ends a flow and tells the app.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f *flow, err error) {
	s.flows.take(f.id)
	s.sendBack(w, r, f, err)
}

// sendBack returns to the app with an error (RFC 6749 section 4.1.2.1), naming the
// issuer, so that an app that knows several is not mixed up (RFC 9207).
func (s *Server) sendBack(w http.ResponseWriter, r *http.Request, f *flow, err error) {
	var e *oauthError
	if !errors.As(err, &e) {
		s.Log.ErrorContext(r.Context(), "an authorisation failed", "err", err)
		e = &oauthError{0, "server_error", "the request could not be handled"}
	}
	denied := Event{What: "denied", Client: f.client.ID, Why: e.code}
	if f.user != nil {
		denied.User, denied.FHIRUser = f.user.ID, f.user.FHIRUser
	}
	if f.redirect == "" {
		s.errorPage(w, http.StatusForbidden, "That is not possible: "+e.text+".")
		return
	}
	s.note(denied)
	s.leave(w, r, f, "error", e.code, "error_description", e.text)
}

// leave sends the browser to the app's registered address. 303: a form's body does not
// go along (RFC 9700 section 4.12).
func (s *Server) leave(w http.ResponseWriter, r *http.Request, f *flow, params ...string) {
	if f.state != "" {
		params = append(params, "state", f.state)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, withParams(f.redirect, append(params, "iss", s.Issuer)...), http.StatusSeeOther) //nolint:gosec // registered, compared byte for byte
}

// withParams adds parameters to an address and leaves its own alone.
func withParams(address string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	return address + sep + q.Encode()
}
