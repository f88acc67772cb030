package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"salus/ledger/tx"
)

// How long a member may take to accept a connection, to answer a ping on a silent one, and to begin an answer.
const (
	dialTime   = 5 * time.Second
	pingTime   = 5 * time.Second
	answerTime = 30 * time.Second
)

// ErrUnreachable wraps every failure to reach a member; errors.Is finds it.
var ErrUnreachable = errors.New("peer: member unreachable")

// Client calls other members.
type Client struct {
	id  *Identity
	dir Directory
	// A call, and an upload or download, take no longer than that, whatever the caller's context says: a member that
	// trickles bytes must not hold anybody up for ever.
	callTime, streamTime time.Duration

	mu    sync.Mutex // guards links and from
	links map[tx.Account]*link
	from  netip.Addr // see From
}

// A link is the connection pool to one member at one address under one key.
type link struct {
	address string
	key     string
	http    *http.Client
	pool    *http.Transport
}

// NewClient makes a client; connections open on first use and stay open.
func NewClient(id *Identity, dir Directory) *Client {
	return &Client{
		id: id, dir: dir, links: map[tx.Account]*link{},
		callTime: DefaultLimits.BodyTime + answerTime + DefaultLimits.BodyTime, streamTime: DefaultLimits.StreamTime,
	}
}

// From makes calls to loopback addresses come from the host of listen (host:port), if that
// is one too, so that members on one machine can be told apart by address. It changes
// nothing between machines.
func (c *Client) From(listen string) {
	at, err := netip.ParseAddrPort(listen)
	if err != nil || !at.Addr().IsLoopback() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from = at.Addr()
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	from := c.from
	c.mu.Unlock()
	d := net.Dialer{Timeout: dialTime}
	to, err := netip.ParseAddrPort(address)
	if err == nil && from.IsValid() && to.Addr().IsLoopback() && to.Addr().Is4() == from.Is4() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	return d.DialContext(ctx, network, address)
}

// Close drops idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		l.pool.CloseIdleConnections()
	}
}

// link returns the pool for a member, a new one when its address or key changed on the ledger.
func (c *Client) link(to tx.Account) (*link, error) {
	address, key, ok := c.dir.Member(to)
	if !ok {
		return nil, errNotMember
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.links[to]
	if l != nil && l.address == address && l.key == string(key) {
		return l, nil
	}
	if l != nil {
		l.pool.CloseIdleConnections()
	}
	pool := &http.Transport{
		TLSClientConfig: c.id.clientTLS(key), ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		DialContext:         c.dial,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Minute, ResponseHeaderTimeout: answerTime,
		DisableCompression: true, // sealed bytes do not shrink, and nobody is to inflate ours
		// Without pings a connection to a machine that lost its power swallows calls for minutes.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingTime, PingTimeout: pingTime},
	}
	// A member redirects nobody: its answer may name any address, and in the clear.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	l = &link{address: address, key: string(key), http: &http.Client{Transport: pool, CheckRedirect: stay}, pool: pool}
	c.links[to] = l
	return l, nil
}

// Call sends req to a member and decodes its answer into resp (nil to ignore it).
// Errors: *tx.Refusal from the other side, ErrUnreachable, or a context error.
func (c *Client) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	b, err := tx.Encode(req)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	r, err := c.do(ctx, c.callTime, to, http.MethodPost, path, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, DefaultLimits.Body+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if int64(len(answer)) > DefaultLimits.Body {
		return errTooLarge
	}
	if resp == nil {
		return nil
	}
	return decode(answer, resp)
}

// Upload streams size bytes to a member's path/arg.
func (c *Client) Upload(ctx context.Context, to tx.Account, path, arg string, body io.Reader, size int64) error {
	r, err := c.do(ctx, c.streamTime, to, http.MethodPut, path+"/"+arg, body, size)
	if err != nil {
		return err
	}
	return r.Body.Close()
}

// Download opens a member's path/arg; the caller closes it and must verify what it reads.
func (c *Client) Download(ctx context.Context, to tx.Account, path, arg string) (io.ReadCloser, int64, error) {
	r, err := c.do(ctx, c.streamTime, to, http.MethodGet, path+"/"+arg, nil, 0)
	if err != nil {
		return nil, 0, err
	}
	return r.Body, r.ContentLength, nil
}

// do sends a request; the answer and its body may take the time within.
func (c *Client) do(ctx context.Context, within time.Duration, to tx.Account, method, path string, body io.Reader, size int64) (*http.Response, error) {
	l, err := c.link(to)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+l.address+"/"+path, body)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	req.ContentLength = size
	timed := *l.http // the pool is shared
	timed.Timeout = within
	r, err := timed.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if r.StatusCode/100 == 2 {
		return r, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var f fault
	if r.StatusCode == http.StatusNotFound || decode(b, &f) != nil || f.Code == 0 {
		return nil, fmt.Errorf("peer: %s answered status %d", path, r.StatusCode)
	}
	return nil, tx.Refuse(f.Code, f.Text)
}
