package smart

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"salus/ledger/module/consent"
)

// An Auth says how an app shows who it is at the token endpoint.
type Auth string

// The ways (SMART 2.2, "Client Authentication"). An app has exactly one.
const (
	AuthNone   Auth = "none"                // public: PKCE binds it to the browser
	AuthBasic  Auth = "client_secret_basic" // a secret that this server drew
	AuthPost   Auth = "client_secret_post"
	AuthKeyJWT Auth = "private_key_jwt" // RS384 or ES384
)

// A Client is an app as it is registered.
type Client struct {
	ID        string   `json:"client_id"`
	Name      string   `json:"client_name,omitempty"`
	Auth      Auth     `json:"token_endpoint_auth_method"`
	Redirects []string `json:"redirect_uris,omitempty"` // compared byte for byte
	LaunchURL string   `json:"launch_url,omitempty"`
	Scopes    []Scope  `json:"scopes"` // the most it may ask for
	// Grants are "authorization_code", "refresh_token", "client_credentials".
	Grants  []string        `json:"grant_types"`
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURL string          `json:"jwks_uri,omitempty"`
	// Origins may call the token endpoint from a browser, besides those of Redirects.
	Origins []string `json:"origins,omitempty"`
	// Purposes are the only ones it may act for; none restricts nothing. An emergency purpose is
	// open only to apps that name it.
	Purposes []string `json:"purposes,omitempty"`
	// Approved: the organisation has answered for its staff, who are not asked again. Patients
	// are always asked.
	Approved bool `json:"approved,omitempty"`
	// Inspect: it may introspect tokens of all apps.
	Inspect bool `json:"inspect,omitempty"`
	// Dynamic: it registered itself, nobody has looked at it.
	Dynamic bool      `json:"dynamic,omitempty"`
	Issued  time.Time `json:"issued"`

	// SecretHash is of the secret, which is shown once.
	SecretHash string `json:"secret_hash,omitempty"`
}

// Grant types.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantClient  = "client_credentials"
)

// ErrClient is the error of a registration that cannot be.
var ErrClient = errors.New("smart: the app cannot be registered so")

func badClient(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrClient, fmt.Errorf(format, args...))
}

var errBadRedirect = errors.New("a redirect_uri is https, or http on this machine, or a scheme of the app's own with a dot, without fragment and user")

// check says what is wrong with a registration.
func (c *Client) check() error {
	if len(c.Name) > 200 || len(c.Redirects) > 20 || len(c.Scopes) > maxScopes || len(c.Origins) > 20 || len(c.JWKS) > maxJWKS {
		return badClient("too long")
	}
	if !slices.Contains([]Auth{AuthNone, AuthBasic, AuthPost, AuthKeyJWT}, c.Auth) {
		return badClient("token_endpoint_auth_method is none of the four that SMART has")
	}
	if len(c.Grants) == 0 {
		return badClient("grant_types is empty")
	}
	for _, g := range c.Grants {
		if g != grantCode && g != grantRefresh && g != grantClient {
			return badClient("a grant_type is not one of authorization_code, refresh_token, client_credentials")
		}
	}
	if slices.Contains(c.Grants, grantCode) != (len(c.Redirects) > 0) {
		return badClient("authorization_code goes with redirect_uris")
	}
	// SMART 2.2, Backend Services: authenticated by key.
	if slices.Contains(c.Grants, grantClient) && c.Auth != AuthKeyJWT {
		return badClient("client_credentials goes with private_key_jwt")
	}
	if has(c.Scopes, SystemLevel) && !slices.Contains(c.Grants, grantClient) {
		return badClient("system scopes go with client_credentials")
	}
	for _, r := range c.Redirects {
		if err := c.checkRedirect(r); err != nil {
			return badClient("%w", err)
		}
	}
	for _, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || originOf(u) != o {
			return badClient("an origin is scheme and host")
		}
	}
	for _, p := range c.Purposes {
		if _, err := consent.ParsePurpose(p); err != nil {
			return badClient("%w", err)
		}
	}
	return c.checkKeys()
}

func (c *Client) checkKeys() error {
	if c.Auth != AuthKeyJWT {
		if len(c.JWKS) > 0 || c.JWKSURL != "" {
			return badClient("keys go with private_key_jwt")
		}
		return nil
	}
	if (len(c.JWKS) > 0) == (c.JWKSURL != "") {
		return badClient("private_key_jwt needs either jwks or jwks_uri")
	}
	if c.JWKSURL != "" {
		if u, err := url.Parse(c.JWKSURL); err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			return badClient("jwks_uri is an https address")
		}
		return nil
	}
	_, err := parseKeys(c.JWKS)
	return err
}

// checkRedirect refuses addresses that could lead elsewhere than to the app (RFC 8252
// section 7, RFC 9700 section 4.1).
func (c *Client) checkRedirect(s string) error {
	u, err := url.Parse(s)
	// Quotes, commas and semicolons have no place in a policy header, which has the origin in it.
	if err != nil || len(s) > 2000 || u.Fragment != "" || strings.ContainsAny(s, "#*\\ \"'<>") || u.User != nil || strings.ContainsAny(u.Host, ";,") || u.String() != s {
		return errBadRedirect
	}
	switch {
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	case strings.Contains(u.Scheme, ".") && c.Auth == AuthNone && u.Opaque == "":
		return nil // RFC 8252 section 7.1: a domain name in reverse
	}
	return errBadRedirect
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// originOf is an address's origin, "" for a scheme that has none.
func originOf(u *url.URL) string {
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// parseKeys reads a key set as SMART wants it: bare public keys, asymmetric, each with
// a kid.
func parseKeys(raw []byte) (*jose.JSONWebKeySet, error) {
	set := new(jose.JSONWebKeySet)
	if err := json.Unmarshal(raw, set); err != nil || len(set.Keys) == 0 || len(set.Keys) > 50 {
		return nil, badClient("the key set is not a JWK Set")
	}
	for _, k := range set.Keys {
		// Keys of other algorithms may stand in a set; a secret one must not.
		if _, symmetric := k.Key.([]byte); symmetric || !k.IsPublic() {
			return nil, badClient("the key set has a key that is not public")
		}
	}
	return set, nil
}

// newSecret draws a secret of 256 bits.
func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Register adds an app, or replaces what is registered under its ID. Without an ID it
// draws one. An app with a secret gets a new one if it has none yet; it is returned
// here and never again. Errors: ErrClient.
func (s *Server) Register(c Client) (out Client, secret string, err error) {
	if c.ID == "" {
		c.ID = newSecret()[:22]
	}
	if len(c.ID) > 255 || strings.ContainsFunc(c.ID, notScopeChar) {
		return out, "", badClient("a client_id has 1 to 255 printable ASCII characters")
	}
	slices.Sort(c.Grants)
	c.Grants = slices.Compact(c.Grants)
	if err := c.check(); err != nil {
		return out, "", err
	}
	c.Issued = s.Now().UTC().Truncate(time.Second)
	err = s.Keeper.Change(func(r Rows) error {
		old, err := load[Client](r, rowClient+c.ID)
		switch {
		case err == nil:
			c.SecretHash = cmp.Or(c.SecretHash, old.SecretHash)
		case !errors.Is(err, ErrNoRow):
			return err
		}
		if c.Auth != AuthBasic && c.Auth != AuthPost {
			c.SecretHash = ""
		} else if c.SecretHash == "" {
			secret = newSecret()
			c.SecretHash = digest("client-secret", c.ID, secret)
		}
		return put(r, rowClient+c.ID, &c)
	})
	if err != nil {
		return out, "", err
	}
	s.origins.forget()
	s.keys.forget(c.ID)
	return c, secret, nil
}

// Clients returns the apps that are registered, by their IDs.
func (s *Server) Clients() (list []Client, err error) {
	err = s.Keeper.Each(rowClient, func(_ string, value []byte) error {
		var c Client
		if err := json.Unmarshal(value, &c); err != nil {
			return fmt.Errorf("smart: a row is damaged: %w", err)
		}
		list = append(list, c)
		return nil
	})
	return list, err
}

// DropClient removes an app and ends everything that it was given. Errors: ErrNoRow.
func (s *Server) DropClient(id string) error {
	err := s.Keeper.Change(func(r Rows) error {
		if _, err := r.Load(rowClient + id); err != nil {
			return err
		}
		return r.Drop(rowClient + id)
	})
	if err != nil {
		return err
	}
	s.origins.forget()
	s.keys.forget(id)
	_, err = s.RevokeAll(func(g Grant) bool { return g.Client == id })
	return err
}

// client is the app with that ID. Errors: ErrNoRow.
func (s *Server) client(id string) (*Client, error) {
	if id == "" || len(id) > 255 {
		return nil, ErrNoRow
	}
	return load[Client](s.Keeper, rowClient+id)
}

// allowsPurpose reports whether the app may act for a purpose. An emergency is implied
// by nothing: it must be named.
func (c *Client) allowsPurpose(code string) bool {
	p, err := consent.ParsePurpose(code)
	if err != nil {
		return false
	}
	if len(c.Purposes) == 0 {
		return !p.Emergency()
	}
	return slices.Contains(c.Purposes, code)
}
