package smart

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// smartConfiguration is SMART's discovery (2.2, "Using a Well-Known URI"): what is
// really served.
func (s *Server) smartConfiguration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	writeJSON(w, s.metadata())
}

// openidConfiguration is OpenID Connect Discovery 1.0, and RFC 8414.
func (s *Server) openidConfiguration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	m := s.metadata()
	m["subject_types_supported"] = []string{"public"}
	m["id_token_signing_alg_values_supported"] = []string{"RS256"}
	m["claims_supported"] = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "name", "fhirUser"}
	m["response_modes_supported"] = []string{"query"}
	m["request_parameter_supported"] = false
	m["request_uri_parameter_supported"] = false
	writeJSON(w, m)
}

func (s *Server) metadata() map[string]any {
	methods := []Auth{AuthBasic, AuthPost, AuthKeyJWT}
	m := map[string]any{
		"issuer": s.Issuer, "jwks_uri": s.Issuer + "/jwks",
		"authorization_endpoint":                           s.Issuer + "/authorize",
		"token_endpoint":                                   s.tokenURL(),
		"token_endpoint_auth_methods_supported":            methods,
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgs,
		"introspection_endpoint":                           s.Issuer + "/introspect",
		"revocation_endpoint":                              s.Issuer + "/revoke",
		"management_endpoint":                              s.Issuer + "/manage",
		"grant_types_supported":                            []string{grantCode, grantRefresh, grantClient},
		"response_types_supported":                         []string{"code"},
		"code_challenge_methods_supported":                 []string{"S256"},
		"authorization_response_iss_parameter_supported":   true, // RFC 9207
		"scopes_supported": []string{
			"openid", "fhirUser", "profile", "launch", "launch/patient", "offline_access", "online_access",
			"patient/*.cruds", "user/*.cruds", "system/*.cruds", "patient/*.read", "user/*.read", "system/*.read",
		},
		"capabilities": []string{
			"launch-ehr", "launch-standalone", "authorize-post",
			"client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
			"sso-openid-connect", "context-banner", "context-style",
			"context-ehr-patient", "context-ehr-encounter", "context-standalone-patient",
			"permission-offline", "permission-online", "permission-patient", "permission-user", "permission-v1", "permission-v2",
		},
	}
	if s.Registration != nil {
		m["registration_endpoint"] = s.Issuer + "/register"
	}
	return m
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// open lets every origin read what is public.
func (s *Server) open(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		next(w, r)
	}
}

func (s *Server) preflightOpen(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Methods", "GET")
	w.Header().Set("Access-Control-Allow-Headers", "Accept, Content-Type")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// shared lets the origins of registered apps read what an endpoint answers.
func (s *Server) shared(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.allow(w, r)
		next(w, r)
	}
}

func (s *Server) allow(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !s.AllowOrigin(origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	return true
}

func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	if s.allow(w, r) {
		w.Header().Set("Access-Control-Allow-Methods", "POST")
		w.Header().Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type")
		w.Header().Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// AllowOrigin reports whether an origin is one that an app registered (SMART 2.2,
// "Considerations for Cross-Origin Resource Sharing"): for the FHIR API's headers.
func (s *Server) AllowOrigin(origin string) bool {
	set, err := s.origins.all(s.Clients)
	return err == nil && set[origin]
}

// origins are those of all apps.
type origins struct {
	mu   sync.Mutex
	set  map[string]bool
	turn int
}

func (o *origins) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set, o.turn = nil, o.turn+1
}

func (o *origins) all(clients func() ([]Client, error)) (map[string]bool, error) {
	o.mu.Lock()
	set, turn := o.set, o.turn
	o.mu.Unlock()
	if set != nil {
		return set, nil
	}
	list, err := clients()
	if err != nil {
		return nil, err
	}
	set = map[string]bool{}
	for _, c := range list {
		for _, a := range slices.Concat(c.Origins, c.Redirects) {
			if u, err := url.Parse(a); err == nil {
				set[originOf(u)] = true
			}
		}
	}
	delete(set, "")
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.turn == turn {
		o.set = set
	}
	return set, nil
}

// Lives of a key that signs ID tokens.
const (
	keyLife = 90 * 24 * time.Hour
	keyKept = keyLife + 24*time.Hour
)

// A signingKey signs ID tokens with RSA SHA-256, which SMART asks for ("Scopes for
// requesting identity data").
type signingKey struct {
	ends
	ID      string
	Made    int64
	Private []byte // PKCS #8
	key     *rsa.PrivateKey
}

type signer struct {
	mu   sync.Mutex
	keys []*signingKey // the newest first
}

// signing returns the keys that are published, the one that signs first; it makes a
// new one when that is old.
func (s *Server) signing() ([]*signingKey, error) {
	s.signer.mu.Lock()
	defer s.signer.mu.Unlock()
	now := s.Now()
	if len(s.signer.keys) == 0 {
		err := s.Keeper.Each(rowKey, func(_ string, value []byte) error {
			k := new(signingKey)
			if err := json.Unmarshal(value, k); err != nil {
				return fmt.Errorf("smart: a row is damaged: %w", err)
			}
			private, err := x509.ParsePKCS8PrivateKey(k.Private)
			var ok bool
			if k.key, ok = private.(*rsa.PrivateKey); err != nil || !ok {
				return fmt.Errorf("smart: a signing key is damaged")
			}
			s.signer.keys = append(s.signer.keys, k)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	s.signer.keys = slices.DeleteFunc(s.signer.keys, func(k *signingKey) bool { return k.over(now) })
	slices.SortFunc(s.signer.keys, func(a, b *signingKey) int { return int(b.Made - a.Made) })
	if len(s.signer.keys) > 0 && now.Before(time.Unix(s.signer.keys[0].Made, 0).Add(keyLife)) {
		return slices.Clone(s.signer.keys), nil
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("smart: signing key: %w", err)
	}
	k := &signingKey{ends: until(now.Add(keyKept)), Made: now.Unix(), key: private}
	thumb, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("smart: signing key: %w", err)
	}
	k.ID = base64.RawURLEncoding.EncodeToString(thumb)
	if k.Private, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, fmt.Errorf("smart: signing key: %w", err)
	}
	if err := s.Keeper.Change(func(r Rows) error { return put(r, rowKey+k.ID, k) }); err != nil {
		return nil, err
	}
	s.signer.keys = append([]*signingKey{k}, s.signer.keys...)
	return slices.Clone(s.signer.keys), nil
}

func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	keys, err := s.signing()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.ID, Algorithm: "RS256", Use: "sig"})
	}
	w.Header().Set("Cache-Control", "max-age=300")
	writeJSON(w, set)
}

// idToken says who the person is, to one app (OpenID Connect Core section 2).
func (s *Server) idToken(key *signingKey, g *Grant, now time.Time) (string, error) {
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", key.ID)
	sign, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key.key}, opts)
	if err != nil {
		return "", fmt.Errorf("smart: sign: %w", err)
	}
	c := map[string]any{
		"iss": s.Issuer, "sub": g.User.ID, "aud": g.Client, "iat": now.Unix(), "exp": now.Add(s.Access).Unix(), "auth_time": g.SignedIn,
	}
	if g.Nonce != "" {
		c["nonce"] = g.Nonce
	}
	if named(g.Scopes, "profile") {
		c["name"] = g.User.Name
	}
	if named(g.Scopes, "fhirUser") && g.User.FHIRUser != "" {
		c["fhirUser"] = s.FHIR + "/" + g.User.FHIRUser
	}
	text, err := jwt.Signed(sign).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("smart: sign: %w", err)
	}
	return text, nil
}

// fhirBase takes one slash off: apps write the audience either way.
func fhirBase(s string) string { return strings.TrimSuffix(s, "/") }
