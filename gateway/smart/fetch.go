package smart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// Bounds of fetching a key set.
const (
	maxJWKS      = 64 << 10
	fetchTimeout = 5 * time.Second
	keysDefault  = 5 * time.Minute  // kept where the app does not say
	keysMost     = time.Hour        // kept at most
	keysAgain    = 30 * time.Second // not asked more often for a key it lacks
)

var errPrivate = errors.New("smart: the address is not a public one")

// shared is what RFC 6890 and its registry reserve besides what netip knows: none of
// it is an app's.
var shared = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// public reports whether an address is one that anybody on the internet could reach.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range shared {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// outward is a client that reaches public addresses only, besides those in allowed. It
// looks at the address it connects to, after the name was resolved: a name that leads
// inside, now or the next time, is refused. It follows no redirect and uses no proxy.
func outward(allowed []netip.Prefix) *http.Client {
	dialer := &net.Dialer{
		Timeout: fetchTimeout,
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return errPrivate
			}
			for _, p := range allowed {
				if p.Contains(at.Addr().Unmap()) {
					return nil
				}
			}
			if !public(at.Addr()) {
				return errPrivate
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: fetchTimeout, ResponseHeaderTimeout: fetchTimeout,
			MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// keySets are apps' key sets by client id, as long as each app lets them be kept
// (SMART 2.2, "Signature Verification": never longer than its Cache-Control).
type keySets struct {
	http *http.Client
	now  func() time.Time
	one  singleflight.Group
	mu   sync.Mutex
	sets map[string]*keySet
}

type keySet struct {
	url   string
	keys  *jose.JSONWebKeySet
	err   error
	asked time.Time
	until time.Time
}

func (k *keySets) forget(client string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.sets, client)
}

// of returns the keys of an app: those registered, or those at its URL. With a kid
// that a kept set lacks it asks again, but seldom.
func (k *keySets) of(ctx context.Context, c *Client, kid string) (*jose.JSONWebKeySet, error) {
	if c.JWKSURL == "" {
		return parseKeys(c.JWKS)
	}
	k.mu.Lock()
	have := k.sets[c.ID]
	k.mu.Unlock()
	now := k.now()
	if have != nil && have.url == c.JWKSURL {
		recent := now.Before(have.asked.Add(keysAgain))
		switch {
		case have.err != nil && recent:
			return nil, have.err
		case have.err == nil && now.Before(have.until) && (recent || len(have.keys.Key(kid)) > 0):
			return have.keys, nil
		}
	}
	v, _, _ := k.one.Do(c.ID+" "+c.JWKSURL, func() (any, error) {
		got := &keySet{url: c.JWKSURL, asked: now}
		var keep time.Duration
		got.keys, keep, got.err = k.fetch(context.WithoutCancel(ctx), c.JWKSURL)
		got.until = now.Add(keep)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.sets == nil || len(k.sets) > 10_000 {
			k.sets = map[string]*keySet{}
		}
		k.sets[c.ID] = got
		return got, nil
	})
	got := v.(*keySet)
	return got.keys, got.err
}

func (k *keySets) fetch(ctx context.Context, address string) (*jose.JSONWebKeySet, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("smart: key set: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	resp, err := k.http.Do(r)
	if err != nil {
		return nil, 0, fmt.Errorf("smart: key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("smart: key set: status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil || len(b) > maxJWKS {
		return nil, 0, fmt.Errorf("smart: key set: more than %d bytes, or broken off", maxJWKS)
	}
	set, err := parseKeys(b)
	return set, keepFor(resp.Header.Get("Cache-Control")), err
}

// keepFor is how long a Cache-Control header lets an answer be kept.
func keepFor(header string) time.Duration {
	keep := keysDefault
	for part := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err != nil || n < 0 {
				return 0
			}
			keep = min(time.Duration(min(n, 1<<20))*time.Second, keysMost)
		}
	}
	return keep
}
