// Package config is one organisation's node configuration: a single TOML file
// in the node's home, one struct, every field documented. Unknown keys are
// errors, because a misspelt security setting must never be ignored.
//
// Contract: Load returns a complete, validated Config whose paths are under its
// home; Save writes what Load reads. It must never hold a secret: keys and
// tokens live in files of their own (mode 0600), whose places are methods here.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"salus/ledger/tx"
)

// FileName is the configuration file inside a node's home.
const FileName = "config.toml"

// Config is config.toml. Zero values are replaced by Default's on Load.
type Config struct {
	// Home is the node's directory; it is not in the file.
	Home string `toml:"-"`
	// Member is the account of the organisation that runs this node.
	Member tx.Account `toml:"member"`
	// Name is what logs and metrics call this node: letters, digits and dashes.
	Name string `toml:"name"`
	// Roles are the parts this process runs: "ledger", "custody", "vault", "gateway".
	Roles []string `toml:"roles"`
	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string `toml:"log_level"`

	Ledger  Ledger  `toml:"ledger"`
	Peer    Peer    `toml:"peer"`
	Gateway Gateway `toml:"gateway"`
	Custody Custody `toml:"custody"`
	Vault   Vault   `toml:"vault"`
	Record  Record  `toml:"record"`
}

// Ledger configures CometBFT and the state machine.
type Ledger struct {
	// Listen is the host:port of the CometBFT peer-to-peer listener.
	Listen string `toml:"listen"`
	// Peers are the other nodes as "<node id>@host:port"; the mesh is full.
	Peers []string `toml:"peers"`
	// RPC is the host:port of CometBFT's RPC (light clients, state sync); empty turns it off.
	RPC string `toml:"rpc"`
	// Heartbeat is the pause between empty blocks; custodians refuse to release when
	// the last block is older than the lease, so it must stay well below that.
	Heartbeat Duration `toml:"heartbeat"`
	// StateSync makes a node with an empty home join by snapshot instead of replaying every block.
	StateSync StateSync `toml:"state_sync"`
}

// StateSync is the trust root for joining by snapshot.
type StateSync struct {
	// Enable turns it on for an empty home.
	Enable bool `toml:"enable"`
	// Servers are at least two RPC addresses, e.g. "http://127.0.0.1:26657".
	Servers []string `toml:"servers"`
	// TrustHeight and TrustHash (hex) name one header the operator has checked.
	TrustHeight int64  `toml:"trust_height"`
	TrustHash   string `toml:"trust_hash"`
}

// Peer configures the link to the other members (TLS 1.3, both sides by key).
type Peer struct {
	// Listen is the host:port the other members connect to.
	Listen string `toml:"listen"`
}

// Gateway configures the organisation's own API.
type Gateway struct {
	// Listen is the host:port of the API; keep it on loopback or behind the organisation's proxy.
	Listen string `toml:"listen"`
}

// Custody configures the custodian.
type Custody struct {
	// CompactEvery is how often the key file is written anew under a fresh root, at most 24h.
	CompactEvery Duration `toml:"compact_every"`
}

// Vault configures the ciphertext store.
type Vault struct {
	// ScrubEvery is how often all ciphertext is read and verified again.
	ScrubEvery Duration `toml:"scrub_every"`
}

// Record configures how writes become batches.
type Record struct {
	// Fold is how long a write waits for others of the same patient.
	Fold Duration `toml:"fold"`
}

// Duration is a time.Duration in Go's text form, e.g. "5s".
type Duration struct{ time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(b))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Default is the configuration of a node that runs every part on loopback.
func Default(home string) *Config {
	return &Config{
		Home:     home,
		Roles:    []string{"ledger", "custody", "vault", "gateway"},
		LogLevel: "info",
		Ledger:   Ledger{Listen: "127.0.0.1:26656", Heartbeat: Duration{5 * time.Second}},
		Peer:     Peer{Listen: "127.0.0.1:26660"},
		Gateway:  Gateway{Listen: "127.0.0.1:8080"},
		Custody:  Custody{CompactEvery: Duration{24 * time.Hour}},
		Vault:    Vault{ScrubEvery: Duration{24 * time.Hour}},
		Record:   Record{Fold: Duration{3 * time.Millisecond}},
	}
}

// ErrNoHome means that the directory holds no config.toml.
var ErrNoHome = errors.New("config: no node here")

// Load reads <home>/config.toml over the defaults and validates it.
// Errors: ErrNoHome, or a sentence that names the key at fault.
func Load(home string) (*Config, error) {
	b, err := os.ReadFile(filepath.Join(home, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s", ErrNoHome, home, FileName)
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return parse(home, b)
}

func parse(home string, b []byte) (*Config, error) {
	c := Default(home)
	md, err := toml.Decode(string(b), c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if left := md.Undecoded(); len(left) > 0 {
		return nil, fmt.Errorf("config: unknown key %q", left[0].String())
	}
	return c, c.Validate()
}

// Save writes the file; it refuses an invalid configuration.
func (c *Config) Save() error {
	if err := c.Validate(); err != nil {
		return err
	}
	b, err := c.encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Home, FileName), b, 0o600)
}

func (c *Config) encode() ([]byte, error) {
	var buf bytes.Buffer
	e := toml.NewEncoder(&buf)
	e.Indent = ""
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return buf.Bytes(), nil
}

// Validate reports the first key that cannot work.
func (c *Config) Validate() error {
	if c.Member == (tx.Account{}) {
		return errors.New("config: member: the organisation's account is missing")
	}
	if c.Name == "" || strings.ContainsFunc(c.Name, notNameRune) {
		return errors.New("config: name: use letters, digits and dashes")
	}
	for _, r := range c.Roles {
		switch r {
		case "ledger", "custody", "vault", "gateway":
		default:
			return fmt.Errorf("config: roles: unknown role %q", r)
		}
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("config: log_level: unknown level %q", c.LogLevel)
	}
	for _, a := range []struct{ key, addr string }{
		{"ledger.listen", c.Ledger.Listen}, {"peer.listen", c.Peer.Listen}, {"gateway.listen", c.Gateway.Listen},
	} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return fmt.Errorf("config: %s: want host:port", a.key)
		}
	}
	if h := c.Ledger.Heartbeat.Duration; h <= 0 || h > 7*time.Second {
		return errors.New("config: ledger.heartbeat: must be above 0 and at most 7s, half the custodians' lease")
	}
	if d := c.Custody.CompactEvery.Duration; d <= 0 || d > 24*time.Hour {
		return errors.New("config: custody.compact_every: must be above 0 and at most 24h")
	}
	if c.Vault.ScrubEvery.Duration <= 0 {
		return errors.New("config: vault.scrub_every: must be above 0")
	}
	if f := c.Record.Fold.Duration; f < 0 || f > time.Second {
		return errors.New("config: record.fold: must be between 0 and 1s")
	}
	if s := c.Ledger.StateSync; s.Enable && (len(s.Servers) < 2 || s.TrustHeight <= 0 || len(s.TrustHash) != 64) {
		return errors.New("config: ledger.state_sync: needs two servers, trust_height and trust_hash")
	}
	return nil
}

func notNameRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r >= 'A' && r <= 'Z')
}
