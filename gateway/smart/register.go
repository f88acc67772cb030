package smart

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
)

// maxDynamic bounds how many apps register themselves.
const maxDynamic = 5_000

// register lets an app register itself (RFC 7591 section 3), where the organisation
// wants that. Such an app acts only through a person; backend services are registered
// by the organisation.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	if s.Registration == nil {
		http.NotFound(w, r)
		return
	}
	c, scope, err := s.registration(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	c, secret, err := s.Register(c)
	if errors.Is(err, ErrClient) {
		code := "invalid_client_metadata"
		if errors.Is(err, errBadRedirect) {
			code = "invalid_redirect_uri"
		}
		s.fail(w, r, &oauthError{http.StatusBadRequest, code, err.Error()})
		return
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	s.note(Event{What: "registered", Client: c.ID})
	out := map[string]any{
		"client_id": c.ID, "client_id_issued_at": c.Issued.Unix(), "token_endpoint_auth_method": c.Auth, "grant_types": c.Grants,
		"response_types": []string{"code"}, "redirect_uris": c.Redirects, "scope": scope,
	}
	if secret != "" {
		out["client_secret"], out["client_secret_expires_at"] = secret, 0
	}
	if c.Name != "" {
		out["client_name"] = c.Name
	}
	if c.JWKSURL != "" {
		out["jwks_uri"] = c.JWKSURL
	}
	if len(c.JWKS) > 0 {
		out["jwks"] = c.JWKS
	}
	s.answer(w, http.StatusCreated, out)
}

// registration reads a request. Members that this server does not know mean nothing
// (RFC 7591 section 2).
func (s *Server) registration(w http.ResponseWriter, r *http.Request) (c Client, scope string, err error) {
	bad := func(text string) error {
		return &oauthError{http.StatusBadRequest, "invalid_client_metadata", text}
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return c, "", bad("the body is application/json")
	}
	var said struct {
		Name      string          `json:"client_name"`
		Auth      Auth            `json:"token_endpoint_auth_method"`
		Redirects []string        `json:"redirect_uris"`
		Grants    []string        `json:"grant_types"`
		Responses []string        `json:"response_types"`
		Scope     string          `json:"scope"`
		JWKS      json.RawMessage `json:"jwks"`
		JWKSURL   string          `json:"jwks_uri"`
		LaunchURL string          `json:"initiate_login_uri"`
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil || json.Unmarshal(b, &said) != nil {
		return c, "", bad("the body is too long, or not the JSON of a registration")
	}
	if said.Auth == "" {
		said.Auth = AuthBasic // RFC 7591 section 2
	}
	if len(said.Grants) == 0 {
		said.Grants = []string{grantCode, grantRefresh}
	}
	if slices.Contains(said.Grants, grantClient) {
		return c, "", bad("backend services are registered by the organisation")
	}
	if len(said.Responses) > 0 && !slices.Equal(said.Responses, []string{"code"}) {
		return c, "", bad("response_types is code")
	}
	scopes := s.Registration
	if said.Scope != "" {
		asked, ok := parseScopes(said.Scope)
		if !ok {
			return c, "", bad("too many scopes")
		}
		if scopes = narrow(asked, s.Registration); len(scopes) == 0 {
			return c, "", bad("none of the scopes is open to apps that register themselves")
		}
	}
	if u, err := url.Parse(said.LaunchURL); said.LaunchURL != "" && (err != nil || originOf(u) == "") {
		return c, "", bad("initiate_login_uri is an address")
	}
	all, err := s.Clients()
	if err != nil {
		return c, "", err
	}
	if len(slices.DeleteFunc(all, func(c Client) bool { return !c.Dynamic })) >= maxDynamic {
		return c, "", &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", "too many apps have registered themselves"}
	}
	scopes = without(scopes, SystemLevel)
	return Client{
		Name: said.Name, Auth: said.Auth, Redirects: said.Redirects, Grants: said.Grants, Scopes: scopes, JWKS: said.JWKS,
		JWKSURL: said.JWKSURL, LaunchURL: said.LaunchURL, Dynamic: true,
	}, scopeText(scopes), nil
}
