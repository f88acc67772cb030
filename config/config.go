// Package config is one organisation's node configuration: a single TOML file
// in the node's home, one struct, every field documented. Unknown keys are
// errors, because a misspelt security setting must never be ignored.
//
// Contract: Load returns a complete, validated Config whose paths are under its
// home; Save writes what Load reads. It must never hold a secret: keys and
// tokens live in files of their own (mode 0600), whose places are methods here.
package config

import (
	"time"

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
	// Roles are the parts this process runs. This version runs all four in one process and
	// accepts no shorter list: "ledger", "custody", "vault", "gateway".
	Roles []string `toml:"roles"`
	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string `toml:"log_level"`

	Ledger  Ledger  `toml:"ledger"`
	Peer    Peer    `toml:"peer"`
	Gateway Gateway `toml:"gateway"`
	Portal  Portal  `toml:"portal"`
	FHIR    FHIR    `toml:"fhir"`
	SMART   SMART   `toml:"smart"`
	Custody Custody `toml:"custody"`
	Vault   Vault   `toml:"vault"`
	Record  Record  `toml:"record"`

	// Feeds are the HL7 v2 feeds, a block [[feed]] each.
	Feeds []Feed `toml:"feed"`
	// Notices go with sensitive resources when they are disclosed, a block [[notice]] each.
	Notices []Notice `toml:"notice"`
}

// Ledger configures CometBFT and the state machine.
type Ledger struct {
	// Listen is the host:port of the CometBFT peer-to-peer listener.
	Listen string `toml:"listen"`
	// Peers are the other nodes as "<node id>@host:port"; the mesh is full.
	Peers []string `toml:"peers"`
	// RPC is the host:port of CometBFT's RPC (light clients, state sync); empty turns it off.
	RPC string `toml:"rpc"`
	// Heartbeat is the pause between empty blocks, at most 7s; custodians refuse to release
	// when the last block is older than the lease (15s), so it must stay well below that.
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
	// TrustHeight is the height of one header that the operator has checked by another way.
	TrustHeight int64 `toml:"trust_height"`
	// TrustHash is the hash of that header in hex.
	TrustHash string `toml:"trust_hash"`
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

// FHIR configures the FHIR server, which the gateway's listener serves under /fhir.
type FHIR struct {
	// Base is the address that clients reach it at, e.g. "https://fhir.example.org/fhir"; empty is
	// the gateway's listener.
	Base string `toml:"base"`
	// Store is where resources and their index are kept: "sqlite", an encrypted file of this node,
	// or "postgres", the server whose address is in keys/postgres.dsn.
	Store string `toml:"store"`
	// Wait is how safe a version is before the answer to its write comes, where the request does
	// not say: "stored" or "active".
	Wait string `toml:"wait"`
	// Hooks are the addresses, with all below them, that subscriptions may have called; empty
	// allows none.
	Hooks []string `toml:"hooks"`
	// Session is for how long a ledger session is asked for when a reader's request needs one.
	Session Duration `toml:"session"`
	// Summary is for how long nothing of a patient changes before the summary that emergencies open
	// first is written anew; "0s" writes none.
	Summary Duration `toml:"summary"`
	// StepUp is how long ago somebody may have signed in, or have answered with her passkey, when she
	// declares an emergency: 10s to 15m.
	StepUp Duration `toml:"step_up"`
	// Journal is how often it is anchored on the ledger where this gateway's own journal stands, if it
	// has grown.
	Journal Duration `toml:"journal"`
	// KeepLog is for how many years the gateway's journal of who asked it for what is kept, at least 6;
	// 0 keeps it for ever.
	KeepLog int64 `toml:"keep_log"`
	// StaffPseudonyms hides from patients who of the staff it was: their log has a pseudonym for each, always the
	// same. The organisation's own readers of the log see the name.
	StaffPseudonyms bool `toml:"staff_pseudonyms"`
	// Packages are npm packages (.tgz) of FHIR R4, such as US Core or IPS, whose profiles and value
	// sets are checked, and whose search parameters are searched by: files in the node's home or
	// absolute, each, if it is to be pinned, with "#sha256=<64 hex digits>" behind its name.
	// docs/profiles.md
	Packages []string `toml:"packages"`
	// Profiles says whether a resource must fit the profiles that its meta.profile claims:
	// "claimed" or "off".
	Profiles string `toml:"profiles"`
	// Require are canonicals of profiles that every resource of their type must fit, claimed or not.
	Require []string `toml:"require"`
	// Validation is how much is checked: "structure", "required" or "full".
	Validation string `toml:"validation"`
	// References says which literal references must lead to something that their writer may see:
	// "off", "local" those to this server, or "strict", which refuses references to other servers.
	References string `toml:"references"`
	// FullText says by which words resources are found: "off" by none, "text" those of narratives (_text), or
	// "content" those of narratives, strings and markdown too (_content).
	FullText string `toml:"full_text"`
	// DeleteMany is how many resources a conditional delete may delete at once; 0 is one.
	DeleteMany int64 `toml:"delete_many"`
}

// SMART configures the authorisation server for apps, under /oauth2 beside the FHIR server.
type SMART struct {
	// Registration lets apps register themselves for at most these scopes (RFC 7591); empty does
	// not.
	Registration []string `toml:"registration"`
	// Provider is the issuer address of the organisation's OpenID provider, where its staff sign
	// in; empty lets them sign in with one-time codes (salus app code).
	Provider string `toml:"provider"`
	// ProviderClient is this node's client id there; its secret, if it has one, is in
	// keys/provider.secret.
	ProviderClient string `toml:"provider_client"`
	// ProviderClaim is the claim of an ID token that names the practitioner's key.
	ProviderClaim string `toml:"provider_claim"`
}

// Custody configures the custodian.
type Custody struct {
	// CompactEvery is how often the key file is written anew under a fresh root, at most 24h.
	CompactEvery Duration `toml:"compact_every"`
	// ReshareRate is how many bytes a second this custodian fetches at most when the shares pass to
	// another committee, so that readers and writers keep their part of the link; 0 sets no bound.
	ReshareRate int64 `toml:"reshare_rate"`
}

// Vault configures the ciphertext store.
type Vault struct {
	// ScrubEvery is how often all ciphertext is read and verified again.
	ScrubEvery Duration `toml:"scrub_every"`
}

// Record configures how writes become batches.
type Record struct {
	// Fold is how long a write waits for others of the same patient, at most 1s.
	Fold Duration `toml:"fold"`
	// Reserve is how many bytes of the disk FHIR writes, imports, documents, tables and feeds leave free;
	// 0 is 1 GiB, or 2 % of a disk below 50 GiB; never less than 64 MiB.
	Reserve int64 `toml:"reserve"`
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
