package devnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/config"
	"salus/node"
)

// Network runs the organisations of one directory in this process.
type Network struct {
	dir      string
	manifest *Manifest
	log      *slog.Logger

	mu      sync.Mutex // guards running
	running map[string]*member
	failed  chan error // the first member that stopped by itself
}

// member is one organisation that runs, or somebody who answers in its place.
type member struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done
	liar   bool
}

// Open prepares a network that Init wrote; nothing runs yet.
func Open(dir string, log *slog.Logger) (*Network, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	return &Network{dir: dir, manifest: m, log: log, running: map[string]*member{}, failed: make(chan error, 1)}, nil
}

// Orgs lists the organisations by name, in their order.
func (n *Network) Orgs() []string { return n.manifest.Orgs }

// Failed delivers the error of a member that stopped without being told to.
func (n *Network) Failed() <-chan error { return n.failed }

// Config loads one organisation's configuration.
func (n *Network) Config(org string) (*config.Config, error) {
	return config.Load(filepath.Join(n.dir, org))
}

// API connects to one organisation's gateway.
func (n *Network) API(org string) (*client.API, error) { return API(filepath.Join(n.dir, org)) }

// API connects to the gateway of the node whose home this is.
func API(home string) (*client.API, error) {
	c, err := config.Load(home)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		return nil, fmt.Errorf("devnet: token: %w", err)
	}
	return client.NewAPI("http://"+c.Gateway.Listen, strings.TrimSpace(string(token))), nil
}

var (
	errRuns    = errors.New("devnet: that organisation runs already")
	errStopped = errors.New("devnet: that organisation does not run")
)

// Start starts one organisation's node and returns when its parts are open.
func (n *Network) Start(ctx context.Context, org string) error {
	c, err := n.Config(org)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running[org] != nil {
		return errRuns
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	nd, err := node.New(run, c, n.log)
	if err != nil {
		cancel()
		return err
	}
	n.watch(org, &member{cancel: cancel}, func() error { return nd.Run(run) })
	return nil
}

// watch runs f as the organisation; the caller holds mu.
func (n *Network) watch(org string, m *member, f func() error) {
	m.done = make(chan struct{})
	n.running[org] = m
	go func() {
		defer close(m.done)
		m.err = f()
		n.mu.Lock()
		unexpected := n.running[org] == m
		if unexpected {
			delete(n.running, org)
		}
		n.mu.Unlock()
		if unexpected {
			err := fmt.Errorf("devnet: %s stopped: %w", org, m.err)
			select {
			case n.failed <- err:
			default:
			}
		}
	}()
}

// Stop stops one organisation and waits until everything of it has ended.
func (n *Network) Stop(org string) error {
	n.mu.Lock()
	m := n.running[org]
	delete(n.running, org)
	n.mu.Unlock()
	if m == nil {
		return errStopped
	}
	m.cancel()
	<-m.done
	return m.err
}

// StartAll starts every organisation and waits until each takes part in consensus.
func (n *Network) StartAll(ctx context.Context) error {
	var g errgroup.Group
	for _, org := range n.Orgs() {
		g.Go(func() error {
			if err := n.Start(ctx, org); err != nil {
				return fmt.Errorf("%s: %w", org, err)
			}
			return n.Ready(ctx, org)
		})
	}
	return g.Wait()
}

// readyTime bounds how long a start may take.
const readyTime = 60 * time.Second

// Ready waits until an organisation's gateway says that it takes part in consensus.
func (n *Network) Ready(ctx context.Context, org string) error {
	api, err := n.API(org)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return api.Ping(ctx)
}

// StopAll stops whatever runs, together, so that nobody waits for votes of the others.
func (n *Network) StopAll() error {
	var g errgroup.Group
	for _, org := range n.Orgs() {
		g.Go(func() error {
			if err := n.Stop(org); err != nil && !errors.Is(err, errStopped) {
				return fmt.Errorf("%s: %w", org, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// Home is one organisation's home.
func Home(dir, org string) string { return filepath.Join(dir, org) }

// WalletDir holds the sample patients' wallets.
func WalletDir(dir string) string { return filepath.Join(dir, "wallets") }

// LoadConfig loads one organisation's configuration.
func LoadConfig(dir, org string) (*config.Config, error) { return config.Load(Home(dir, org)) }
