package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/config"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// NewHome draws a fresh member's account and keys into c's home and returns what the
// members vote on, and the id of the node in consensus. The configuration is not saved yet.
func NewHome(c *config.Config, title string, class governance.Class) (governance.Admit, string, error) {
	var none governance.Admit
	if err := c.MakeDirs(); err != nil {
		return none, "", fmt.Errorf("node: home: %w", err)
	}
	if _, err := rand.Read(c.Member[:]); err != nil {
		return none, "", fmt.Errorf("node: random numbers: %w", err)
	}
	var seeds [2][32]byte
	for i, path := range []string{c.MemberKeyFile(), c.PeerKeyFile()} {
		seed, err := WriteSeed(path)
		if err != nil {
			return none, "", err
		}
		seeds[i] = seed
	}
	for _, path := range []string{c.StoreKeyFile(), c.TokenFile()} {
		if _, err := WriteSeed(path); err != nil {
			return none, "", err
		}
	}
	pv := privval.GenFilePV(validatorKeyFile(c), validatorStateFile(c))
	pv.Save()
	nodeKey, err := p2p.LoadOrGenNodeKey(nodeKeyFile(c))
	if err != nil {
		return none, "", fmt.Errorf("node: node key: %w", err)
	}
	return governance.Admit{
		Account: c.Member, Name: title, Class: class, Validator: pv.Key.PubKey.Bytes(), Peer: public(seeds[1]),
		Address: c.Peer.Listen, Keys: []tx.PublicKey{tx.Ed25519Key(public(seeds[0]))},
	}, string(nodeKey.ID()), nil
}

func public(seed [32]byte) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}

func validatorKeyFile(c *config.Config) string {
	return filepath.Join(c.Home, "priv_validator_key.json")
}
func nodeKeyFile(c *config.Config) string { return filepath.Join(c.Home, "node_key.json") }
func validatorStateFile(c *config.Config) string {
	return filepath.Join(c.Data("comet"), "priv_validator_state.json")
}

// InitOptions describe a member that joins an existing network.
type InitOptions struct {
	Home, Name, Title, Class string
	Genesis                  string // path of the network's genesis file
	Peers                    string // "<node id>@host:port", separated by commas
	Listen                   string // host:port for consensus; the three ports above it serve the rest
}

// Init writes the home of a new member's node.
func Init(o InitOptions) (governance.Admit, error) {
	var none governance.Admit
	host, portText, err := net.SplitHostPort(o.Listen)
	port, perr := strconv.Atoi(portText)
	if err != nil || perr != nil || port < 1 || port > 65532 {
		return none, errors.New("node: listen: want host:port with three free ports above it")
	}
	raw, err := os.ReadFile(o.Genesis)
	if err != nil {
		return none, fmt.Errorf("node: genesis: %w", err)
	}
	if _, err := cmttypes.GenesisDocFromJSON(raw); err != nil {
		return none, fmt.Errorf("node: genesis: %w", err)
	}
	c := config.Default(o.Home)
	if _, err := os.Stat(filepath.Join(o.Home, config.FileName)); !errors.Is(err, fs.ErrNotExist) {
		return none, errors.New("node: there is a node in that home already")
	}
	c.Name = o.Name
	at := func(i int) string { return net.JoinHostPort(host, strconv.Itoa(port+i)) }
	c.Ledger.Listen, c.Ledger.RPC, c.Peer.Listen, c.Gateway.Listen = at(0), at(1), at(2), net.JoinHostPort("127.0.0.1", strconv.Itoa(port+3))
	if o.Peers != "" {
		c.Ledger.Peers = strings.Split(o.Peers, ",")
	}
	if err := tryInit(c, o); err != nil {
		return none, err
	}
	admit, _, err := NewHome(c, o.Title, governance.Class(o.Class))
	if err != nil {
		return none, err
	}
	if err := os.WriteFile(c.GenesisFile(), raw, 0o600); err != nil {
		return none, fmt.Errorf("node: genesis: %w", err)
	}
	return admit, c.Save()
}

// tryInit refuses, before anything is written, what Save or the ledger would refuse after.
func tryInit(c *config.Config, o InitOptions) error {
	draft := *c
	draft.Member = tx.Account{1}
	if err := draft.Validate(); err != nil {
		return err
	}
	key := public([32]byte{})
	return (&governance.Propose{Action: governance.Action{Admit: &governance.Admit{
		Account: draft.Member, Name: o.Title, Class: governance.Class(o.Class), Peer: key, Address: c.Peer.Listen, Keys: []tx.PublicKey{tx.Ed25519Key(key)},
	}}}).Validate()
}
