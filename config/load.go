package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"salus/internal/durable"
)

// Default is the configuration of a node that runs every part on loopback.
func Default(home string) *Config {
	return &Config{
		Home:     home,
		Roles:    []string{"ledger", "custody", "vault", "gateway"},
		LogLevel: "info",
		Ledger:   Ledger{Listen: "127.0.0.1:26656", Heartbeat: Duration{5 * time.Second}},
		Peer:     Peer{Listen: "127.0.0.1:26660"},
		Gateway:  Gateway{Listen: "127.0.0.1:8080"},
		FHIR:     FHIR{Store: "sqlite", Wait: "stored", Session: Duration{15 * time.Minute}, Summary: Duration{5 * time.Second}, StepUp: Duration{2 * time.Minute}, Journal: Duration{time.Minute}, Profiles: "claimed", Validation: "required", References: "off", FullText: "text"},
		SMART:    SMART{ProviderClaim: "preferred_username"},
		Custody:  Custody{CompactEvery: Duration{24 * time.Hour}, ReshareRate: 16 << 20},
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
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// Save writes the file so that a crash leaves the old or the new one; it refuses an
// invalid configuration.
func (c *Config) Save() error {
	if err := c.Validate(); err != nil {
		return err
	}
	b, err := c.encode()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(c.Home, FileName), b); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
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
