package portal

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A bearer is what a staff session reads with: an access token of minutes and the refresh token that
// gets the next. Neither leaves the server. A refresh token serves once (RFC 9700 section 4.14), so
// that requests at the same time wait for each other.
type bearer struct {
	mu      sync.Mutex // guards what follows
	token   string
	refresh string
	expires time.Time
	over    bool // given back, or the authorisation server gave no other
}

// early is how long before its end a token is exchanged.
const early = 20 * time.Second

// token is the access token of a staff session, a fresh one where the last is nearly over.
// Errors: errSession if the authorisation server gives no other: the person signed out there, or was
// taken off.
func (p *Portal) token(r *http.Request, s *session) (string, error) {
	b := s.bearer
	b.mu.Lock()
	defer b.mu.Unlock()
	now := p.Now()
	if b.over {
		return "", errSession
	}
	if now.Before(b.expires.Add(-early)) {
		return b.token, nil
	}
	if b.refresh == "" {
		if now.Before(b.expires) {
			return b.token, nil
		}
		return "", errSession
	}
	next, err := p.exchange(r.Context(), r.RemoteAddr, url.Values{"grant_type": {"refresh_token"}, "client_id": {appID}, "refresh_token": {b.refresh}})
	if err != nil {
		b.over, b.token, b.refresh = true, "", ""
		return "", errSession
	}
	b.token, b.refresh, b.expires = next.token, next.refresh, next.expires
	return b.token, nil
}

// redeem takes a code for tokens (RFC 6749 section 4.1.3).
func (p *Portal) redeem(r *http.Request, code, verifier string) (*bearer, error) {
	return p.exchange(r.Context(), r.RemoteAddr, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.Origin + backPath}, "client_id": {appID}, "code_verifier": {verifier},
	})
}

// exchange asks the authorisation server for tokens, in this process. Errors: errProof.
func (p *Portal) exchange(ctx context.Context, from string, form url.Values) (*bearer, error) {
	got, err := p.authorisation(ctx, from, "/token", form)
	if err != nil {
		return nil, err
	}
	var out struct {
		Token   string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Expires int    `json:"expires_in"`
	}
	if got.status != http.StatusOK && got.status != 0 || json.Unmarshal(got.body.Bytes(), &out) != nil || out.Token == "" {
		return nil, errProof
	}
	return &bearer{token: out.Token, refresh: out.Refresh, expires: p.Now().Add(time.Duration(out.Expires) * time.Second)}, nil
}

// giveBack revokes what a session that is over read with (RFC 7009), with all that was got from it.
func (p *Portal) giveBack(b *bearer) {
	if b == nil || p.Staff == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.refresh
	if text == "" {
		text = b.token
	}
	b.over, b.token, b.refresh = true, "", ""
	if text == "" {
		return
	}
	// Not with the request that ended it: it must happen even if that one goes away.
	ctx := context.Background()
	if got, err := p.authorisation(ctx, "", "/revoke", url.Values{"client_id": {appID}, "token": {text}}); err != nil || got.status >= http.StatusBadRequest {
		p.Log.WarnContext(ctx, "token_not_revoked", "status", got.status, "err", err)
	}
}

// authorisation sends a form to the organisation's authorisation server.
func (p *Portal) authorisation(ctx context.Context, from, path string, form url.Values) (got reply, err error) {
	server := p.Staff.OAuth()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.RemoteAddr = from
	server.ServeHTTP(&got, req)
	return got, nil
}

// reply keeps what a handler in this process answers.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *reply) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// Write implements http.ResponseWriter.
func (w *reply) Write(b []byte) (int, error) { return w.body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (w *reply) WriteHeader(status int) { w.status = status }
