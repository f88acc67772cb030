package config

import (
	"os"
	"path/filepath"
	"strings"
)

// The places inside a node's home. Everything below data/ can be rebuilt from
// the network but what is in data/record (the organisation's own store).

// GenesisFile is the CometBFT genesis with the modules' app_state.
func (c *Config) GenesisFile() string { return filepath.Join(c.Home, "genesis.json") }

// MemberKeyFile holds the Ed25519 seed with which the member signs transactions.
func (c *Config) MemberKeyFile() string { return filepath.Join(c.Home, "keys", "member.key") }

// PeerKeyFile holds the Ed25519 seed of the member's TLS certificate.
func (c *Config) PeerKeyFile() string { return filepath.Join(c.Home, "keys", "peer.key") }

// StoreKeyFile holds the AES-256 key of the organisation's own record store.
func (c *Config) StoreKeyFile() string { return filepath.Join(c.Home, "keys", "store.key") }

// KeyDir holds the keys of the member's practitioners and devices, one file each.
func (c *Config) KeyDir() string { return filepath.Join(c.Home, "keys") }

// TokenFile holds the bearer token of the gateway's operator API.
func (c *Config) TokenFile() string { return filepath.Join(c.Home, "api.token") }

// PostgresFile holds the address of the PostgreSQL server for fhir.store = "postgres".
func (c *Config) PostgresFile() string { return filepath.Join(c.Home, "keys", "postgres.dsn") }

// ProviderSecretFile holds this node's secret at the OpenID provider.
func (c *Config) ProviderSecretFile() string {
	return filepath.Join(c.Home, "keys", "provider.secret")
}

// OAuthBase is the address of the authorisation server, beside the FHIR server.
func (c *Config) OAuthBase() string {
	b := c.FHIRBase()
	return b[:strings.LastIndexByte(b, '/')] + "/oauth2"
}

// FHIRBase is the address that clients reach the FHIR server at.
func (c *Config) FHIRBase() string {
	if c.FHIR.Base != "" {
		return c.FHIR.Base
	}
	return "http://" + c.Gateway.Listen + "/fhir"
}

// Data is the directory of one part's data: "ledger", "comet", "custody", "vault", "record", "fhir", "smart", "feeds".
func (c *Config) Data(part string) string { return filepath.Join(c.Home, "data", part) }

// MakeDirs creates the home's directories with mode 0700.
func (c *Config) MakeDirs() error {
	for _, d := range []string{c.Home, c.KeyDir(), c.Data("ledger"), c.Data("comet"), c.Data("custody"), c.Data("vault"), c.Data("record"), c.Data("fhir"), c.Data("smart")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	return nil
}
