package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/blocksync"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/consensus"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/statesync"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/config"
	"salus/internal/cometdb"
	"salus/ledger"
	"salus/node"
)

// cometConfig is the configuration of package node, which keeps its own to itself;
// TestConfigIsTheNodes compares the two.
func cometConfig(c *config.Config) *cmtcfg.Config {
	k := cmtcfg.DefaultConfig()
	k.SetRoot(c.Data("comet"))
	k.Moniker = c.Name
	k.Genesis = c.GenesisFile()
	k.PrivValidatorKey = filepath.Join(c.Home, "priv_validator_key.json")
	k.PrivValidatorState = filepath.Join(c.Data("comet"), "priv_validator_state.json")
	k.NodeKey = filepath.Join(c.Home, "node_key.json")

	k.P2P.ListenAddress = "tcp://" + c.Ledger.Listen
	k.P2P.PersistentPeers = strings.Join(c.Ledger.Peers, ",")
	k.P2P.AddrBook = filepath.Join(c.Data("comet"), "addrbook.json")
	k.P2P.PexReactor = false
	k.P2P.AddrBookStrict = false
	k.P2P.AllowDuplicateIP = true
	k.P2P.SendRate, k.P2P.RecvRate = 100_000_000, 100_000_000
	k.P2P.FlushThrottleTimeout = time.Millisecond
	k.P2P.PersistentPeersMaxDialPeriod = 5 * time.Second

	k.Consensus.TimeoutCommit = 0
	k.Consensus.SkipTimeoutCommit = false
	k.Consensus.CreateEmptyBlocks = false
	k.Consensus.CreateEmptyBlocksInterval = c.Ledger.Heartbeat.Duration
	k.Consensus.PeerGossipSleepDuration = 2 * time.Millisecond
	k.Consensus.PeerQueryMaj23SleepDuration = 200 * time.Millisecond
	k.Consensus.TimeoutPropose = 500 * time.Millisecond
	k.Consensus.TimeoutPrevote = 250 * time.Millisecond
	k.Consensus.TimeoutPrecommit = 250 * time.Millisecond
	k.Consensus.DoubleSignCheckHeight = 0

	k.Mempool.Size = 20_000
	k.Mempool.CacheSize = 50_000
	k.Mempool.MaxTxBytes = 1 << 16
	k.TxIndex.Indexer = "null"
	k.Storage.DiscardABCIResponses = true
	k.RPC.ListenAddress = ""
	k.RPC.PprofListenAddress = ""
	return k
}

// A chain is CometBFT nodes in this process over applications of any kind.
type chain struct {
	nodes  []*cmtnode.Node
	apps   []io.Closer
	meter  *counted // of the first node
	stores []*lateStore
}

// A lateStore is closed after the next chain has started: CometBFT's reactors read the block
// store for a moment after the node has closed it, which ends the process with Pebble.
type lateStore struct{ dbm.DB }

// Close implements dbm.DB; it does nothing yet.
func (lateStore) Close() error { return nil }

func (s lateStore) closeNow() error { return s.DB.Close() }

// startChain starts one node for each configuration and waits until all are connected.
func startChain(ctx context.Context, cs []*config.Config, open func(*config.Config) (abci.Application, io.Closer, error)) (*chain, error) {
	ch := &chain{}
	fail := func(err error) (*chain, error) { return nil, errors.Join(err, ch.stop()) }
	for i, c := range cs {
		app, closer, err := open(c)
		if err != nil {
			return fail(err)
		}
		ch.apps = append(ch.apps, closer)
		if i == 0 {
			ch.meter = &counted{Application: app}
			app = ch.meter
		}
		n, err := startNode(ctx, c, app, func(d *cmtcfg.DBContext) (dbm.DB, error) {
			db, err := cometdb.Provider(d)
			if err != nil {
				return nil, err
			}
			ch.stores = append(ch.stores, &lateStore{db})
			return ch.stores[len(ch.stores)-1], nil
		})
		if err != nil {
			return fail(err)
		}
		ch.nodes = append(ch.nodes, n)
	}
	err := until("consensus to start", func() bool {
		for _, n := range ch.nodes {
			if n.Switch().Peers().Size() < len(cs)-1 || n.BlockStore().Height() < 1 {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fail(err)
	}
	return ch, nil
}

func startNode(ctx context.Context, c *config.Config, app abci.Application, stores cmtcfg.DBProvider) (*cmtnode.Node, error) {
	k := cometConfig(c)
	if err := k.ValidateBasic(); err != nil {
		return nil, err
	}
	nodeKey, err := p2p.LoadNodeKey(k.NodeKeyFile())
	if err != nil {
		return nil, err
	}
	pv := privval.LoadFilePVEmptyState(k.PrivValidatorKeyFile(), k.PrivValidatorStateFile())
	genesis := func() (*cmttypes.GenesisDoc, error) { return cmttypes.GenesisDocFromFile(c.GenesisFile()) }
	n, err := cmtnode.NewNodeWithContext(ctx, k, pv, nodeKey, connections(app), genesis, stores, noMetrics, cmtlog.NewNopLogger())
	if err != nil {
		return nil, err
	}
	return n, n.Start()
}

// connections are those of package node for ours, which locks for itself, and CometBFT's own
// for its applications, which do not.
func connections(app abci.Application) proxy.ClientCreator {
	inner := app
	if c, ok := app.(*counted); ok {
		inner = c.Application
	}
	if _, ours := inner.(*ledger.App); ours {
		return node.Connections(app)
	}
	return proxy.NewConnSyncLocalClientCreator(app)
}

// noMetrics: CometBFT's collectors are global, and these are several nodes.
func noMetrics(string) (*consensus.Metrics, *p2p.Metrics, *mempool.Metrics, *state.Metrics, *proxy.Metrics, *blocksync.Metrics, *statesync.Metrics) {
	return consensus.NopMetrics(), p2p.NopMetrics(), mempool.NopMetrics(), state.NopMetrics(), proxy.NopMetrics(), blocksync.NopMetrics(), statesync.NopMetrics()
}

func (ch *chain) stop() error {
	var wg sync.WaitGroup
	errs := make([]error, len(ch.nodes))
	for i, n := range ch.nodes {
		wg.Go(func() { errs[i] = n.Stop(); n.Wait() })
	}
	wg.Wait()
	for _, a := range ch.apps {
		errs = append(errs, a.Close()) //nolint:makezero // one place per node above, the stores behind them
	}
	return errors.Join(errs...)
}

// loopback is an address of this machine only.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort finds a first port above which n are free. Two runs of this program begin to look at
// different places, because what is free now may be taken before a node listens. All are below the ports
// that the kernel hands out.
func freePort(n int) (int, error) {
	for first := 28000 + 100*(os.Getpid()%20); first < 32000; first += 100 {
		if portsFree(first, n) {
			return first, nil
		}
	}
	return 0, errors.New("no free ports on loopback")
}

func portsFree(first, n int) bool {
	for p := first; p < first+n; p++ {
		ln, err := net.Listen("tcp", loopback(p))
		if err != nil {
			return false
		}
		_ = ln.Close()
	}
	return true
}

// silent drops log lines.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }
