package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salus/ledger"
	"salus/ledger/tx"
)

// API talks to a node's gateway with the bearer token of its home. It is a Transport.
type API struct {
	base  string
	token string
	http  *http.Client
}

// maxIdle is how many connections to the gateway stay open between requests. The standard
// library keeps two, so that of many requests at a time nearly all would open their own.
const maxIdle = 128

// NewAPI makes a client of the gateway at base, e.g. "http://127.0.0.1:8080".
func NewAPI(base, token string) *API {
	// A gateway redirects nobody; whoever does is not to get the token or the body.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	pool := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second, ForceAttemptHTTP2: true,
	}
	return &API{strings.TrimSuffix(base, "/"), token, &http.Client{Transport: pool, CheckRedirect: stay}}
}

// A Problem is the gateway's error: a stable code and a sentence.
type Problem struct {
	Status int    `json:"-"`
	Code   string `json:"code"`
	Text   string `json:"text"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

// Do sends one request; the caller closes the body of what it returns.
// Errors: ErrUnreachable, *tx.Refusal for a refusal of the ledger, *Problem for the rest.
func (a *API) Do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	h := http.Header{}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return a.DoWith(ctx, method, path, h, body)
}

// DoWith is Do with header fields; nil for none.
func (a *API) DoWith(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	r, err := a.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if r.StatusCode/100 == 2 {
		return r, nil
	}
	defer r.Body.Close()
	p := &Problem{Status: r.StatusCode}
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(p); err != nil {
		return nil, fmt.Errorf("client: the node answered status %d", r.StatusCode)
	}
	if p.Code == CodeUnsettled {
		return nil, fmt.Errorf("%w: %w", ErrUncertain, ErrUnsettled)
	}
	if code, ok := strings.CutPrefix(p.Code, "0x"); ok {
		if n, err := strconv.ParseUint(code, 16, 32); err == nil {
			return nil, tx.Refuse(uint32(n), p.Text)
		}
	}
	if p.Code == "busy" {
		return nil, ErrBusy
	}
	return nil, p
}

// JSON sends in as JSON (nil for no body) and decodes the answer into out (nil to ignore it).
func (a *API) JSON(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		body = bytes.NewReader(b)
	}
	r, err := a.Do(ctx, method, path, "application/json", body)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(r.Body).Decode(out); err != nil {
		return fmt.Errorf("client: the node's answer: %w", err)
	}
	return nil
}

// CBOR sends in as canonical CBOR and decodes a canonical answer.
func (a *API) CBOR(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := tx.Encode(in)
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		body = bytes.NewReader(b)
	}
	b, err := a.Bytes(ctx, method, path, body)
	if err != nil {
		return err
	}
	return tx.DecodeAny(b, out, len(b))
}

// Bytes sends a request and reads the whole answer.
func (a *API) Bytes(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	r, err := a.Do(ctx, method, path, "application/cbor", body)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	return b, errors.Join(err, r.Body.Close())
}

// maxAnswer bounds what is kept in memory of an answer: the largest is a receipt.
const maxAnswer = 64 << 20

// Broadcast implements Transport.
func (a *API) Broadcast(ctx context.Context, raw []byte) error {
	_, err := a.Bytes(ctx, http.MethodPost, "/v1/tx", bytes.NewReader(raw))
	return err
}

// Result implements Transport.
func (a *API) Result(ctx context.Context, id tx.Hash) (Committed, bool, error) {
	var got Committed
	err := a.JSON(ctx, http.MethodGet, "/v1/tx/"+id.String(), nil, &got)
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return got, false, nil
	}
	return got, err == nil, err
}

// Head implements Transport.
func (a *API) Head(ctx context.Context) (ledger.Head, error) { return a.headAt(ctx, "/v1/head") }

func (a *API) headAt(ctx context.Context, path string) (ledger.Head, error) {
	var h struct {
		Height  int64   `json:"height"`
		Time    uint64  `json:"time"`
		AppHash tx.Hash `json:"appHash"`
		Chain   string  `json:"chain"`
	}
	err := a.JSON(ctx, http.MethodGet, path, nil, &h)
	return ledger.Head{Height: h.Height, Time: h.Time, AppHash: h.AppHash, Chain: h.Chain}, err
}

// NextNonce implements Transport.
func (a *API) NextNonce(ctx context.Context, account tx.Account) (uint64, error) {
	var n struct {
		Next uint64 `json:"next"`
	}
	err := a.JSON(ctx, http.MethodGet, "/v1/nonce/"+account.String(), nil, &n)
	return n.Next, err
}

// WaitChange implements Transport.
func (a *API) WaitChange(ctx context.Context, height int64) error {
	_, err := a.headAt(ctx, "/v1/head?above="+strconv.FormatInt(height, 10))
	return err
}

// Ping waits until the gateway answers or ctx ends.
func (a *API) Ping(ctx context.Context) error {
	for {
		err := a.JSON(ctx, http.MethodGet, "/readyz", nil, nil)
		if err == nil {
			return nil
		}
		t := time.NewTimer(100 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ErrUnreachable, err)
		}
	}
}
