package portal

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How often strangers may ask for what costs the ledger or a signature check.
const (
	perPlace   = 30 // in a minute, of one address (or /64)
	everywhere = 600
	window     = time.Minute
)

// limiter counts requests of strangers in windows of a minute.
type limiter struct {
	mu    sync.Mutex
	since time.Time
	all   int
	of    map[string]int
}

// place is where a request comes from. Behind a proxy it is the proxy, and the bound is one for
// all: the proxy then does what it knows better.
func place(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err == nil && a.Is6() && !a.Is4In6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return host
}

func (l *limiter) allow(r *http.Request, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil || now.Sub(l.since) >= window {
		l.of, l.all, l.since = map[string]int{}, 0, now
	}
	at := place(r)
	if l.all >= everywhere || l.of[at] >= perPlace {
		return false
	}
	l.all++
	l.of[at]++
	return true
}
