package config

import (
	"errors"
	"net"
	"net/url"
)

// Portal configures the web portal for patients and staff.
type Portal struct {
	// Listen is the host:port of the portal's own listener, plain HTTP: keep it on loopback or behind
	// the organisation's proxy, which must leave the Host header as it is. Empty turns it off.
	Listen string `toml:"listen"`
	// Origin is scheme, host and port at which browsers reach it, e.g. "https://portal.example.org";
	// passkeys belong to its host name, and the members must have voted it among the ledger's
	// passkey origins. Empty is http://localhost with the listener's port.
	Origin string `toml:"origin"`
	// SignUp lets people whom the organisation does not know open an account with a passkey; else
	// only who was handed a claim code.
	SignUp bool `toml:"sign_up"`
}

// PortalOrigin is the origin that browsers see.
func (c *Config) PortalOrigin() string {
	if c.Portal.Origin != "" {
		return c.Portal.Origin
	}
	_, port, err := net.SplitHostPort(c.Portal.Listen)
	if err != nil {
		return ""
	}
	return "http://localhost:" + port
}

func (p Portal) validate() error {
	if p.Listen != "" && !validAddress(p.Listen) {
		return errors.New("config: portal.listen: want host:port")
	}
	if p.Origin == "" {
		return nil
	}
	u, err := url.Parse(p.Origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != p.Origin || u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost") {
		return errors.New("config: portal.origin: want https://host or https://host:port without a path, or http://localhost:port")
	}
	return nil
}
