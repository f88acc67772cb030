package smart

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// A Provider is the organisation's own OpenID provider, where its staff sign in
// (OpenID Connect Core 1.0, code flow, with PKCE and nonce).
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	Scopes       []string // besides openid
	// Claim is the ID token's claim that names the practitioner: "preferred_username", "sub".
	Claim string
	// User is who that name is here. Errors: ErrSignIn for nobody.
	User func(ctx context.Context, name string) (*User, error)
	HTTP *http.Client // a client with a timeout of 10 seconds if nil

	met     atomic.Pointer[oidc.Provider]
	meeting singleflight.Group
}

// A visit is a person's way to the provider and back.
type visit struct{ state, nonce, verifier string }

func (p *Provider) client(ctx context.Context) context.Context {
	c := p.HTTP
	if c == nil {
		c = &http.Client{Timeout: 10 * time.Second}
	}
	return oidc.ClientContext(ctx, c)
}

// meet asks the provider for its configuration, once: it may start after the node. Who comes while it is asked has that answer,
// so that nobody waits for one refusal after the other.
func (p *Provider) meet(ctx context.Context) (*oidc.Provider, error) {
	if met := p.met.Load(); met != nil {
		return met, nil
	}
	met, err, _ := p.meeting.Do("", func() (any, error) {
		met, err := oidc.NewProvider(p.client(context.WithoutCancel(ctx)), p.Issuer)
		if err != nil {
			return nil, fmt.Errorf("smart: OpenID provider: %w", err)
		}
		p.met.Store(met)
		return met, nil
	})
	if err != nil {
		return nil, err
	}
	return met.(*oidc.Provider), nil
}

func (p *Provider) oauth(met *oidc.Provider, callback string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: met.Endpoint(), RedirectURL: callback,
		Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...),
	}
}

func (s *Server) visitProvider(w http.ResponseWriter, r *http.Request, f *flow) {
	met, err := s.Provider.meet(r.Context())
	if err != nil {
		s.Log.ErrorContext(r.Context(), "the OpenID provider does not answer", "err", err)
		s.refuse(w, r, f, &oauthError{0, "temporarily_unavailable", "the organisation's sign-in does not answer"})
		return
	}
	// The flow's id is the way back to it; what makes the state unguessable is its second half.
	v := &visit{state: f.id + "." + newSecret(), nonce: newSecret(), verifier: oauth2.GenerateVerifier()}
	s.flows.change(f.id, func(one *flow) { one.provider = v })
	opts := []oauth2.AuthCodeOption{oidc.Nonce(v.nonce), oauth2.S256ChallengeOption(v.verifier)}
	if f.fresh() {
		// With max_age the provider says when she signed in (OpenID Connect Core 2, auth_time).
		opts = append(opts, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	http.Redirect(w, r, s.Provider.oauth(met, s.Issuer+"/callback").AuthCodeURL(v.state, opts...), http.StatusSeeOther)
}

// callback is where the provider sends a person back.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id, _, _ := cutLast(q.Get("state"))
	f, ok := s.flowOf(r, id)
	if !ok || s.Provider == nil || f.provider == nil || once(q, "") != nil ||
		subtle.ConstantTimeCompare([]byte(f.provider.state), []byte(q.Get("state"))) != 1 {
		s.noFlow(w)
		return
	}
	// It serves once.
	s.flows.change(f.id, func(one *flow) { one.provider = nil })
	if iss := q.Get("iss"); iss != "" && iss != s.Provider.Issuer {
		s.refuse(w, r, f, &oauthError{0, "access_denied", "the sign-in came from elsewhere"})
		return
	}
	if q.Get("code") == "" {
		s.refuse(w, r, f, &oauthError{0, "access_denied", "the person did not sign in"})
		return
	}
	u, at, err := s.Provider.who(r.Context(), f.provider, q.Get("code"), s.Issuer+"/callback", s.Now)
	if err != nil {
		s.Log.WarnContext(r.Context(), "a sign-in at the OpenID provider was not accepted", "err", err)
		s.refuse(w, r, f, &oauthError{0, "access_denied", "the sign-in was not accepted"})
		return
	}
	s.enter(w, r, f, u, at)
}

// who exchanges the provider's code and reads who it is for, and when she signed in there: now, if
// the provider does not say.
func (p *Provider) who(ctx context.Context, v *visit, code, callback string, now func() time.Time) (u *User, at time.Time, err error) {
	met, err := p.meet(ctx)
	if err != nil {
		return nil, at, err
	}
	ctx = p.client(ctx)
	tokens, err := p.oauth(met, callback).Exchange(ctx, code, oauth2.VerifierOption(v.verifier))
	if err != nil {
		// The library's error may quote what the provider answered.
		return nil, at, errors.New("smart: OpenID provider: the code was not taken")
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return nil, at, errors.New("smart: OpenID provider: no ID token")
	}
	id, err := met.VerifierContext(ctx, &oidc.Config{ClientID: p.ClientID, Now: now}).Verify(ctx, raw)
	if err != nil {
		return nil, at, errors.New("smart: OpenID provider: the ID token does not verify")
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(v.nonce)) != 1 {
		return nil, at, errors.New("smart: OpenID provider: the ID token is of another sign-in")
	}
	var all map[string]any
	if err := id.Claims(&all); err != nil {
		return nil, at, errors.New("smart: OpenID provider: claims")
	}
	name, _ := all[p.Claim].(string)
	if name == "" {
		return nil, at, errors.New("smart: OpenID provider: the claim that names the practitioner is missing")
	}
	at = now()
	if said, ok := all["auth_time"].(float64); ok {
		at = time.Unix(min(at.Unix(), int64(said)), 0)
	}
	u, err = p.User(ctx, name)
	if err == nil && (u == nil || u.ID == "") {
		err = ErrSignIn
	}
	return u, at, err
}

// cutLast cuts at the last dot.
func cutLast(s string) (before, after string, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '.' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
