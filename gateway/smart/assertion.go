package smart

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionType is the one kind of client_assertion (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of an assertion (SMART 2.2, "Authenticating to the Token endpoint").
const (
	assertionLife = 5 * time.Minute
	skew          = 10 * time.Second
	maxAssertion  = 16 << 10
)

// assertionAlgs are the only algorithms: neither "none" nor one with a shared secret
// can be tried on a public key.
var assertionAlgs = []jose.SignatureAlgorithm{jose.RS384, jose.ES384}

var (
	errInvalidClient = &oauthError{http.StatusUnauthorized, "invalid_client", "the app is not known, or could not show that it is the one it names"}
	errOneWay        = &oauthError{http.StatusBadRequest, "invalid_request", "an app authenticates in one way only"}
	errAssertionType = &oauthError{http.StatusBadRequest, "invalid_request", "client_assertion_type must be " + assertionType}
)

// identify returns the app that a request comes from, by the way that it is registered
// for. purpose is what an assertion says of it.
func (s *Server) identify(r *http.Request, form url.Values) (c *Client, purpose string, err error) {
	id, secret, basic := r.BasicAuth()
	assertion, posted := form.Get("client_assertion"), form.Has("client_secret")
	ways := 0
	for _, way := range []bool{basic, posted, assertion != ""} {
		if way {
			ways++
		}
	}
	switch {
	case ways > 1:
		return nil, "", errOneWay
	case assertion != "" || form.Has("client_assertion_type"):
		if form.Get("client_assertion_type") != assertionType {
			return nil, "", errAssertionType
		}
		return s.asserted(r.Context(), assertion, form.Get("client_id"))
	case basic:
		// RFC 6749 section 2.3.1: both are form-encoded first.
		var e1, e2 error
		id, e1 = url.QueryUnescape(id)
		secret, e2 = url.QueryUnescape(secret)
		if e1 != nil || e2 != nil || form.Has("client_id") && form.Get("client_id") != id {
			return nil, "", errInvalidClient
		}
		c, err = s.bySecret(id, secret, AuthBasic)
		return c, "", err
	case posted:
		c, err = s.bySecret(form.Get("client_id"), form.Get("client_secret"), AuthPost)
		return c, "", err
	}
	id = form.Get("client_id")
	if id == "" && form.Get("grant_type") == "refresh_token" {
		id = s.refreshes(form.Get("refresh_token"))
	}
	c, err = s.client(id)
	if errors.Is(err, ErrNoRow) || err == nil && c.Auth != AuthNone {
		return nil, "", errInvalidClient
	}
	return c, "", err
}

// refreshes is the app that a refresh token was given to. RFC 6749 section 6 does not ask a public
// app to name itself again, and SMART's own library does not.
func (s *Server) refreshes(token string) (client string) {
	id, _, _ := strings.Cut(token, ".")
	row, err := load[grantRow](s.Keeper, keyOf(rowGrant, id))
	if err != nil {
		return "" // as any other token that is none
	}
	return row.Client
}

// bySecret compares hashes in constant time, also for an app that does not exist.
func (s *Server) bySecret(id, secret string, way Auth) (*Client, error) {
	c, err := s.client(id)
	if err != nil && !errors.Is(err, ErrNoRow) {
		return nil, err
	}
	if c == nil {
		c = &Client{SecretHash: digest("client-secret", id, "")}
	}
	same := subtle.ConstantTimeCompare([]byte(digest("client-secret", id, secret)), []byte(c.SecretHash)) == 1
	if !same || c.ID == "" || c.Auth != way {
		return nil, errInvalidClient
	}
	return c, nil
}

// claims are those of an assertion that matter here. The purpose may stand in the
// place that UDAP's B2B extension gives it.
type claims struct {
	jwt.Claims
	Purpose    string `json:"purpose_of_use"`
	Extensions struct {
		B2B struct {
			Purposes []string `json:"purpose_of_use"`
		} `json:"hl7-b2b"`
	} `json:"extensions"`
}

// asserted verifies an assertion (SMART 2.2, "Signature Verification"; RFC 7523
// section 3). Every failure is the same to the caller.
func (s *Server) asserted(ctx context.Context, text, named string) (*Client, string, error) {
	if len(text) > maxAssertion {
		return nil, "", errInvalidClient
	}
	token, err := jwt.ParseSigned(text, assertionAlgs)
	if err != nil || len(token.Headers) != 1 {
		return nil, "", errInvalidClient
	}
	var said claims // not yet believed: only to find the keys
	if token.UnsafeClaimsWithoutVerification(&said) != nil || named != "" && named != said.Subject {
		return nil, "", errInvalidClient
	}
	c, err := s.client(said.Subject)
	if errors.Is(err, ErrNoRow) || err == nil && c.Auth != AuthKeyJWT {
		return nil, "", errInvalidClient
	}
	if err != nil {
		return nil, "", err
	}
	header := token.Headers[0]
	if jku, given := header.ExtraHeaders["jku"]; given && (c.JWKSURL == "" || jku != c.JWKSURL) {
		return nil, "", errInvalidClient
	}
	if typ, given := header.ExtraHeaders[jose.HeaderType]; given && typ != "JWT" {
		return nil, "", errInvalidClient
	}
	keys, err := s.keys.of(ctx, c, header.KeyID)
	if err != nil {
		s.Log.WarnContext(ctx, "an app's keys could not be had", "client", c.ID, "err", err)
		return nil, "", errInvalidClient
	}
	key, ok := pick(keys, header.KeyID, header.Algorithm)
	if !ok {
		return nil, "", errInvalidClient
	}
	var believed claims
	if token.Claims(key, &believed) != nil {
		return nil, "", errInvalidClient
	}
	if err := s.fresh(c, &believed); err != nil {
		return nil, "", err
	}
	purpose := believed.Purpose
	if list := believed.Extensions.B2B.Purposes; purpose == "" && len(list) == 1 {
		purpose = list[0]
	}
	return c, purpose, nil
}

// pick is the one key with that kid that goes with the algorithm.
func pick(set *jose.JSONWebKeySet, kid, alg string) (key any, ok bool) {
	if kid == "" {
		return nil, false
	}
	for _, k := range set.Key(kid) {
		fits := false
		switch pub := k.Key.(type) {
		case *rsa.PublicKey:
			fits = alg == string(jose.RS384) && pub.N.BitLen() >= 2048
		case *ecdsa.PublicKey:
			fits = alg == string(jose.ES384) && pub.Curve == elliptic.P384()
		}
		if !fits || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != alg {
			continue
		}
		if ok {
			return nil, false // two with one kid
		}
		key, ok = k.Key, true
	}
	return key, ok
}

// fresh checks the claims of a verified assertion and that it serves for the first
// time.
func (s *Server) fresh(c *Client, said *claims) error {
	now := s.Now()
	switch {
	case said.Issuer != c.ID || said.Subject != c.ID:
		return errInvalidClient
	// One audience: an assertion that is good elsewhere too may come from there.
	case !slices.Equal(said.Audience, jwt.Audience{s.tokenURL()}):
		return errInvalidClient
	case said.Expiry == nil || !now.Before(said.Expiry.Time().Add(skew)) || said.Expiry.Time().After(now.Add(assertionLife+skew)):
		return errInvalidClient
	case said.NotBefore != nil && said.NotBefore.Time().After(now.Add(skew)), said.IssuedAt != nil && said.IssuedAt.Time().After(now.Add(skew)):
		return errInvalidClient
	case said.ID == "" || len(said.ID) > 512:
		return errInvalidClient
	}
	key := rowJTI + digest("jti", c.ID, said.ID)
	return s.Keeper.Change(func(r Rows) error {
		if b, err := r.Load(key); err == nil {
			var row ends
			if json.Unmarshal(b, &row) != nil || !row.over(now) {
				return errInvalidClient
			}
		} else if !errors.Is(err, ErrNoRow) {
			return err
		}
		return put(r, key, until(said.Expiry.Time().Add(2*skew)))
	})
}
