package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"salus/ledger/tx"
)

// MinReshareRate is the least bound in bytes a second on what a custodian fetches in a resharing: with less, a
// page of dealings, 1 MiB, would hold up a custodian that is to stop.
const MinReshareRate = 64 << 10

// MinKeepLog is for how many years the gateway's journal is kept at least (45 CFR 164.316(b)(2)(i)).
const MinKeepLog = 6

// maxKeepLog: more is a number of days or months by mistake.
const maxKeepLog = 200

// Validate reports the first key that cannot work.
func (c *Config) Validate() error {
	if c.Member == (tx.Account{}) {
		return errors.New("config: member: the organisation's account is missing")
	}
	if c.Name == "" || len(c.Name) > 64 || strings.ContainsFunc(c.Name, notNameRune) {
		return errors.New("config: name: use 1 to 64 letters, digits and dashes")
	}
	if err := c.validateRoles(); err != nil {
		return err
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("config: log_level: unknown level %q", c.LogLevel)
	}
	if err := c.validateListeners(); err != nil {
		return err
	}
	for _, p := range c.Ledger.Peers {
		if !validPeer(p) {
			return fmt.Errorf("config: ledger.peers: %q is not <node id>@host:port", p)
		}
	}
	if h := c.Ledger.Heartbeat.Duration; h <= 0 || h > 7*time.Second {
		return errors.New("config: ledger.heartbeat: must be above 0 and at most 7s, half the custodians' lease")
	}
	if d := c.Custody.CompactEvery.Duration; d <= 0 || d > 24*time.Hour {
		return errors.New("config: custody.compact_every: must be above 0 and at most 24h")
	}
	if r := c.Custody.ReshareRate; r < 0 || r > 0 && r < MinReshareRate {
		return fmt.Errorf("config: custody.reshare_rate: must be 0 for no bound, or at least %d bytes a second", MinReshareRate)
	}
	if c.Vault.ScrubEvery.Duration <= 0 {
		return errors.New("config: vault.scrub_every: must be above 0")
	}
	if c.Record.Reserve < 0 {
		return errors.New("config: record.reserve: must be 0 for the default, or bytes")
	}
	if f := c.Record.Fold.Duration; f < 0 || f > time.Second {
		return errors.New("config: record.fold: must be between 0 and 1s")
	}
	if err := c.Portal.validate(); err != nil {
		return err
	}
	if err := c.FHIR.validate(); err != nil {
		return err
	}
	if err := c.SMART.validate(); err != nil {
		return err
	}
	if err := c.validateFeeds(); err != nil {
		return err
	}
	if err := c.validateNotices(); err != nil {
		return err
	}
	return c.Ledger.StateSync.validate()
}

func (s SMART) validate() error {
	if s.Provider == "" {
		return nil
	}
	if u, err := url.Parse(s.Provider); err != nil || u.Scheme != "https" && u.Hostname() != "127.0.0.1" || u.Host == "" {
		return errors.New("config: smart.provider: use an https address")
	}
	if s.ProviderClient == "" || s.ProviderClaim == "" {
		return errors.New("config: smart.provider_client: a provider needs this node's client id and the claim that names a practitioner")
	}
	return nil
}

func (f FHIR) validate() error {
	if u, err := url.Parse(f.Base); f.Base != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || !strings.HasSuffix(u.Path, "/fhir")) {
		return errors.New("config: fhir.base: use an http or https address that ends with /fhir")
	}
	if f.Store != "sqlite" && f.Store != "postgres" {
		return fmt.Errorf("config: fhir.store: %q is neither sqlite nor postgres", f.Store)
	}
	if f.Wait != "stored" && f.Wait != "active" {
		return fmt.Errorf("config: fhir.wait: %q is neither stored nor active", f.Wait)
	}
	if d := f.Session.Duration; d < time.Second || d > 24*time.Hour {
		return errors.New("config: fhir.session: must be between 1s and 24h")
	}
	if d := f.Journal.Duration; d < time.Second || d > 24*time.Hour {
		return errors.New("config: fhir.journal: must be between 1s and 24h")
	}
	if y := f.KeepLog; y != 0 && (y < MinKeepLog || y > maxKeepLog) {
		return fmt.Errorf("config: fhir.keep_log: must be 0, for ever, or between %d and %d years", MinKeepLog, maxKeepLog)
	}
	if d := f.Summary.Duration; d < 0 || d > time.Hour {
		return errors.New("config: fhir.summary: must be between 0s and 1h")
	}
	if d := f.StepUp.Duration; d < 10*time.Second || d > 15*time.Minute {
		return errors.New("config: fhir.step_up: must be between 10s and 15m")
	}
	return f.validateProfiles()
}

// validateRoles: a role that is left out would run all the same, so leaving one out is refused.
func (c *Config) validateRoles() error {
	all := Default("").Roles
	for i, r := range c.Roles {
		if !slices.Contains(all, r) {
			return fmt.Errorf("config: roles: unknown role %q", r)
		}
		if slices.Contains(c.Roles[:i], r) {
			return fmt.Errorf("config: roles: %q twice", r)
		}
	}
	if len(c.Roles) != len(all) {
		return fmt.Errorf("config: roles: one process runs all of %s", strings.Join(all, ", "))
	}
	return nil
}

func (c *Config) validateListeners() error {
	taken := map[string]string{}
	for _, a := range []struct{ key, addr string }{
		{"ledger.listen", c.Ledger.Listen}, {"ledger.rpc", c.Ledger.RPC}, {"peer.listen", c.Peer.Listen}, {"gateway.listen", c.Gateway.Listen}, {"portal.listen", c.Portal.Listen},
	} {
		if (a.key == "ledger.rpc" || a.key == "portal.listen") && a.addr == "" {
			continue
		}
		if !validAddress(a.addr) {
			return fmt.Errorf("config: %s: want host:port", a.key)
		}
		if other, ok := taken[a.addr]; ok {
			return fmt.Errorf("config: %s: the same address as %s", a.key, other)
		}
		taken[a.addr] = a.key
	}
	return nil
}

func (s StateSync) validate() error {
	if !s.Enable {
		return nil
	}
	if len(s.Servers) < 2 {
		return errors.New("config: ledger.state_sync.servers: name at least two")
	}
	for _, addr := range s.Servers {
		if u, err := url.Parse(addr); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("config: ledger.state_sync.servers: %q is not http://host:port", addr)
		}
	}
	if s.TrustHeight <= 0 {
		return errors.New("config: ledger.state_sync.trust_height: must be above 0")
	}
	if b, err := hex.DecodeString(s.TrustHash); err != nil || len(b) != 32 {
		return errors.New("config: ledger.state_sync.trust_hash: want 64 hex digits")
	}
	return nil
}

// validAddress accepts host:port with a port that can be listened on.
func validAddress(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && n > 0
}

// validPeer accepts "<40 hex digits>@host:port".
func validPeer(peer string) bool {
	id, addr, ok := strings.Cut(peer, "@")
	b, err := hex.DecodeString(id)
	host, _, _ := net.SplitHostPort(addr)
	return ok && err == nil && len(b) == 20 && host != "" && validAddress(addr)
}

func notNameRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r >= 'A' && r <= 'Z')
}
