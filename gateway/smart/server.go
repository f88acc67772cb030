package smart

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"salus/fhir/search"
)

// Config is what a Server is made of. Issuer, FHIR, Keeper and Log are required, and
// one of SignIn and Provider where people are to use apps.
type Config struct {
	Issuer string // address of the OAuth endpoints, without a slash at its end: https://node.example/oauth2
	FHIR   string // address of the FHIR API, likewise: the audience of every token
	Name   string // of the organisation, as people know it
	Keeper Keeper
	// SignIn says who a person is by a code that she types; Provider by the organisation's OpenID
	// provider, which is asked first.
	SignIn   SignIn
	Provider *Provider
	// Charts says which patients a person may choose. Without it she has her own, or the one
	// that the EHR had open.
	Charts Charts
	// Params knows the resource types and what they can be searched by; scopes of others are not
	// granted.
	Params search.Params
	// Registration lets apps register themselves (RFC 7591), for at most these scopes; nil does
	// not.
	Registration []Scope
	// KeyNetworks are networks besides the public internet where a jwks_uri may lead.
	KeyNetworks []netip.Prefix
	Lifetimes
	// Notify keeps what happened; nil means that it is on disk. Without that no token is issued; what ends
	// ends all the same. May be nil.
	Notify func(Event) error
	Now    func() time.Time // time.Now if nil
	Log    *slog.Logger
}

// Lifetimes say how long things last; zero takes the default.
type Lifetimes struct {
	Access  time.Duration // 5 minutes
	Refresh time.Duration // 90 days from the consent, however often refreshed
	Session time.Duration // 1 hour at the browser, and of online access
	Launch  time.Duration // 5 minutes from the launch to the authorisation request
}

const (
	codeLife  = time.Minute      // SMART 2.2: around one minute
	codeKept  = 15 * time.Minute // how long a code that comes back is recognised
	flowLife  = 10 * time.Minute // from the request to the consent
	maxForm   = 64 << 10
	maxParams = 32 << 10

	maxClaimed = 255 // of an app's name for itself, which nothing proves
)

// An Event is something that an audit trail wants to know.
type Event struct {
	What     string // "granted", "denied", "refreshed", "revoked", "code-reused", "refresh-reused", "registered", "refused"
	Client   string // as it calls itself where nothing proves it: what is refused
	User     string
	FHIRUser string // "Practitioner/123"
	Patient  string // id of the patient in context
	Purpose  string // HL7 v3 PurposeOfUse; "" where nobody stated one
	Grant    string // a hash
	Why      string // OAuth's error code, of what was refused
}

// event is one of a grant.
func (g *Grant) event(what, id string) Event {
	e := Event{What: what, Client: g.Client, Patient: g.Patient, Purpose: g.Purpose, Grant: id}
	if g.User != nil {
		e.User, e.FHIRUser = g.User.ID, g.User.FHIRUser
	}
	return e
}

// A Server is an authorisation server. It is safe for concurrent use.
type Server struct {
	Config
	mux     *http.ServeMux
	flows   flows
	cache   cache
	keys    keySets
	origins origins
	signer  signer
}

// New makes a server.
func New(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, base := range []string{c.Issuer, c.FHIR} {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || strings.HasSuffix(base, "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(base, "{} ;,") {
			return nil, errors.New("smart: the issuer and the FHIR base are addresses without a slash at the end")
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			return nil, errors.New("smart: the issuer and the FHIR base are https, except on this machine")
		}
	}
	if c.Keeper == nil || c.Log == nil {
		return nil, errors.New("smart: a keeper and a logger are required")
	}
	l := &c.Lifetimes
	for d, standard := range map[*time.Duration]time.Duration{&l.Access: 5 * time.Minute, &l.Refresh: 90 * 24 * time.Hour, &l.Session: time.Hour, &l.Launch: 5 * time.Minute} {
		if *d <= 0 {
			*d = standard
		}
	}
	s := &Server{Config: c, keys: keySets{http: outward(c.KeyNetworks), now: c.Now}}
	s.routes()
	return s, nil
}

// routes is the whole API.
func (s *Server) routes() {
	issuer, fhir := pathOf(s.Issuer), pathOf(s.FHIR)
	s.mux = http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		// For apps.
		"GET " + fhir + "/.well-known/smart-configuration":     s.open(s.smartConfiguration),
		"GET " + issuer + "/.well-known/openid-configuration":  s.open(s.openidConfiguration),
		"GET /.well-known/oauth-authorization-server" + issuer: s.open(s.openidConfiguration), // RFC 8414
		"GET " + issuer + "/jwks":                              s.open(s.jwks),
		"POST " + issuer + "/token":                            s.shared(s.exchange),
		"POST " + issuer + "/revoke":                           s.shared(s.revoke),
		"POST " + issuer + "/introspect":                       s.shared(s.introspect),
		"POST " + issuer + "/register":                         s.shared(s.register),
		// For people.
		"GET " + issuer + "/authorize":  s.page(s.authorize),
		"POST " + issuer + "/authorize": s.page(s.authorizePosted),
		"GET " + issuer + "/signin":     s.page(s.askSignIn),
		"POST " + issuer + "/signin":    s.page(s.signIn),
		"GET " + issuer + "/callback":   s.page(s.callback),
		"GET " + issuer + "/approve":    s.page(s.askApproval),
		"POST " + issuer + "/approve":   s.page(s.approve),
		"GET " + issuer + "/manage":     s.page(s.manage),
		"POST " + issuer + "/manage":    s.page(s.manageChange),
		"GET " + issuer + "/style.css":  s.style,
	} {
		s.mux.HandleFunc(pattern, h)
	}
	for _, path := range []string{"/token", "/revoke", "/introspect", "/register"} {
		s.mux.HandleFunc("OPTIONS "+issuer+path, s.preflight)
	}
	for _, path := range []string{fhir + "/.well-known/smart-configuration", issuer + "/.well-known/openid-configuration", issuer + "/jwks"} {
		s.mux.HandleFunc("OPTIONS "+path, s.preflightOpen)
	}
}

func pathOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Path
}

// ServeHTTP implements http.Handler for everything under the issuer, and for
// .well-known/smart-configuration under the FHIR base.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // forms of our own pages then tell their origin
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	if strings.HasPrefix(s.Issuer, "https:") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) tokenURL() string { return s.Issuer + "/token" }

// notify keeps an event before what it tells of happens.
func (s *Server) notify(e Event) error {
	if e.Grant != "" {
		e.Grant = digest("event", e.Grant)
	}
	if s.Notify == nil {
		return nil
	}
	return s.Notify(e)
}

// note keeps an event of what has happened, or was refused: that it cannot be kept changes nothing then.
func (s *Server) note(e Event) {
	if err := s.notify(e); err != nil {
		s.Log.Error("event_not_recorded", "err", err)
	}
}

// An oauthError is an error as apps see it (RFC 6749 section 5.2).
type oauthError struct {
	status     int
	code, text string
}

// Error returns both.
func (e *oauthError) Error() string { return "smart: " + e.code + ": " + e.text }

func invalidRequest(text string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_request", text}
}

var (
	errInvalidGrant = &oauthError{http.StatusBadRequest, "invalid_grant", "the code or refresh token is unknown, used, expired, revoked, or of another app or redirect_uri"}
	errInvalidScope = &oauthError{http.StatusBadRequest, "invalid_scope", "none of the scopes, or more than was granted, or one that the app may not have"}
	errNotAllowed   = &oauthError{http.StatusBadRequest, "unauthorized_client", "the app is not registered for that"}
	errPurpose      = &oauthError{http.StatusBadRequest, "invalid_request", "purpose_of_use is not a code of HL7 v3 PurposeOfUse that this app may act for"}
)

// fail answers an app with an error. What is not an oauthError is ours: it is logged,
// and not told.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *oauthError
	if !errors.As(err, &e) {
		s.Log.ErrorContext(r.Context(), "a request failed", "err", err)
		e = &oauthError{http.StatusInternalServerError, "server_error", "the request could not be handled; try again later"}
	}
	s.note(Event{What: "refused", Client: claimed(r), Why: e.code})
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="oauth2"`)
	}
	s.answer(w, e.status, map[string]string{"error": e.code, "error_description": e.text})
}

// claimed is what an app calls itself, by whichever way of authentication.
func claimed(r *http.Request) string {
	id, _, ok := r.BasicAuth()
	if !ok {
		id = r.PostForm.Get("client_id")
	}
	if len(id) > maxClaimed {
		return ""
	}
	return id
}

// answer writes JSON that nobody may keep.
func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// readForm reads the parameters of a body. A parameter stands once (RFC 6749 section
// 3.2), and none in the address, which is logged everywhere.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the body is application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("parameters stand in the body")
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return nil, invalidRequest("the body is too long, or broken off")
	}
	form, err := url.ParseQuery(string(b))
	if err != nil {
		return nil, invalidRequest("the body is not form-encoded")
	}
	r.PostForm = form // for claimed
	return form, once(form, "")
}

// once refuses parameters that stand twice, except those of one name.
func once(form url.Values, except string) error {
	for name, values := range form {
		if len(values) > 1 && name != except {
			return invalidRequest("a parameter stands twice")
		}
	}
	return nil
}
