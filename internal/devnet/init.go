// Package devnet runs a whole network on one machine for trying out, demonstrating
// and testing: several organisations with homes, keys, ports and peer-to-peer links
// of their own, in one process or in several.
//
// Contract: Init writes exactly the files that a real member's node starts from, so
// that `salus node start` runs any of them by itself; Network only starts, stops and
// impersonates. It must never be imported by a node: what it can do to a member
// (hold all members' keys, lie in one's name) nobody can do to a real network.
package devnet

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/config"
	"salus/ledger/module/governance"
	"salus/node"
)

// An Org is one organisation of the sample network.
type Org struct {
	Name  string // of its home and in logs
	Title string
	Class governance.Class
	Staff Staff // the one person or service that comes with it
}

// Staff is a practitioner or device to register.
type Staff struct {
	Name       string
	Roles      []string // SNOMED CT occupation codes, as "sct:<code>"
	Privileges uint32
}

// Orgs are the four of the sample network: n = 4, f = 1, t = 3.
func Orgs() []Org {
	const read, write, emergency, research = 1, 2, 4, 16 // identity.Priv bits
	return []Org{
		{"hospital", "Sample Hospital", governance.Hospital, Staff{"hospital-doctor", []string{"sct:309343006"}, read | write | emergency}},
		{"clinic", "Sample Street Clinic", governance.Clinic, Staff{"clinic-doctor", []string{"sct:59058001"}, read | write}},
		{"insurer", "Sample Mutual Insurance", governance.Insurer, Staff{"claims-clerk", []string{"sct:106331006"}, read}},
		{"institute", "Sample Research Institute", governance.Research, Staff{"researcher", []string{"sct:308027008"}, read | research}},
	}
}

// Options of Init.
type Options struct {
	// Port is the first of four ports per organisation: consensus, RPC, members' link, gateway.
	Port int
	// Orgs defaults to Orgs().
	Orgs []Org
	// Params change the genesis parameters.
	Params governance.Changes
	// Wires, if not nil, carry every link between the members; they must be open for these Orgs.
	Wires *Wires
}

// portsPerOrg is the distance between the organisations' ports.
const portsPerOrg = 10

// Manifest is devnet.json in the network's directory.
type Manifest struct {
	Chain string   `json:"chain"`
	Orgs  []string `json:"orgs"`
}

const manifestName = "devnet.json"

// ErrNoNetwork means that the directory holds no sample network.
var ErrNoNetwork = errors.New("devnet: no network here")

// LoadManifest reads a network's directory.
func LoadManifest(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNoNetwork, dir)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("devnet: %s: %w", manifestName, err)
	}
	return &m, nil
}

// draft is one organisation while its files are made.
type draft struct {
	org   Org
	cfg   *config.Config
	id    string // of the node in consensus
	admit governance.Admit
}

// Init writes the homes of a fresh network below dir. A directory that has one is left alone.
func Init(dir string, o Options) (*Manifest, error) {
	if m, err := LoadManifest(dir); err == nil {
		return m, nil
	}
	if o.Orgs == nil {
		o.Orgs = Orgs()
	}
	if err := governance.DefaultParams().With(&o.Params).Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("devnet: %w", err)
	}
	var suffix [4]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return nil, fmt.Errorf("devnet: random numbers: %w", err)
	}
	m := &Manifest{Chain: "salus-dev-" + hex.EncodeToString(suffix[:])}
	var all []*draft
	for i, org := range o.Orgs {
		d, err := newDraft(filepath.Join(dir, org.Name), org, o.Port+i*portsPerOrg, o.Wires)
		if err != nil {
			return nil, fmt.Errorf("devnet: %s: %w", org.Name, err)
		}
		all = append(all, d)
		m.Orgs = append(m.Orgs, org.Name)
	}
	if o.Params.Origins == nil {
		o.Params.Origins = slices.Clone(governance.DefaultParams().Origins)
		for _, d := range all {
			o.Params.Origins = append(o.Params.Origins, d.cfg.PortalOrigin())
		}
	}
	genesis, err := newGenesis(m.Chain, all, o.Params)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		for _, other := range all {
			if other == d {
				continue
			}
			at := other.cfg.Ledger.Listen
			if o.Wires != nil {
				if at, err = o.Wires.address(end{Consensus, d.org.Name, other.org.Name}, at); err != nil {
					return nil, err
				}
			}
			d.cfg.Ledger.Peers = append(d.cfg.Ledger.Peers, other.id+"@"+at)
		}
		if err := d.cfg.Save(); err != nil {
			return nil, err
		}
		if err := genesis.SaveAs(d.cfg.GenesisFile()); err != nil {
			return nil, fmt.Errorf("devnet: genesis: %w", err)
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("devnet: %w", err)
	}
	// The manifest comes last: a directory without it is started over.
	return m, os.WriteFile(filepath.Join(dir, manifestName), append(b, '\n'), 0o600)
}

func newDraft(home string, org Org, port int, w *Wires) (*draft, error) {
	at := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)) }
	d := &draft{org: org, cfg: config.Default(home)}
	d.cfg.Record.Reserve = 64 << 20 // a sample network shares its disk with everything else
	d.cfg.Name = org.Name
	d.cfg.LogLevel = "warn"
	d.cfg.Ledger.Listen, d.cfg.Ledger.RPC, d.cfg.Peer.Listen, d.cfg.Gateway.Listen = at(0), at(1), at(2), at(3)
	d.cfg.Portal = config.Portal{Listen: at(4), SignUp: true}
	if w != nil {
		d.cfg.Peer.Listen = net.JoinHostPort(w.host(org.Name), strconv.Itoa(port+2))
	}
	var err error
	if d.admit, d.id, err = node.NewHome(d.cfg, org.Title, org.Class); err == nil && w != nil {
		d.admit.Address, err = w.address(end{on: Members, to: org.Name}, d.cfg.Peer.Listen)
	}
	return d, err
}

func newGenesis(chain string, all []*draft, params governance.Changes) (*cmttypes.GenesisDoc, error) {
	g := governance.Genesis{Params: params}
	doc := &cmttypes.GenesisDoc{ChainID: chain, GenesisTime: time.Now().UTC().Truncate(time.Second), InitialHeight: 1, ConsensusParams: cmttypes.DefaultConsensusParams()}
	doc.ConsensusParams.Block.MaxBytes = int64(governance.DefaultParams().MaxBlockBytes)
	for _, d := range all {
		g.Members = append(g.Members, d.admit)
		pub := cmted25519.PubKey(d.admit.Validator)
		doc.Validators = append(doc.Validators, cmttypes.GenesisValidator{Address: pub.Address(), PubKey: pub, Power: 1, Name: d.org.Name})
	}
	raw, err := g.Raw()
	if err != nil {
		return nil, fmt.Errorf("devnet: genesis: %w", err)
	}
	state, err := json.Marshal(map[string]json.RawMessage{"governance": raw})
	if err != nil {
		return nil, fmt.Errorf("devnet: genesis: %w", err)
	}
	doc.AppState = state
	return doc, doc.ValidateAndComplete()
}
