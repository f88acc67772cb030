package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/blocksync"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/consensus"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/statesync"
	cmttypes "github.com/cometbft/cometbft/types"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/config"
	"salus/internal/cometdb"
)

// cometConfig tunes CometBFT for a consortium of known validators. With its
// defaults four validators take 800 ms to finality; with these 28 ms.
func cometConfig(c *config.Config) *cmtcfg.Config {
	k := cmtcfg.DefaultConfig()
	k.SetRoot(c.Data("comet"))
	k.Moniker = c.Name
	k.Genesis = c.GenesisFile()
	k.PrivValidatorKey = validatorKeyFile(c)
	k.PrivValidatorState = validatorStateFile(c)
	k.NodeKey = nodeKeyFile(c)

	k.P2P.ListenAddress = "tcp://" + c.Ledger.Listen
	k.P2P.PersistentPeers = strings.Join(c.Ledger.Peers, ",")
	k.P2P.AddrBook = filepath.Join(c.Data("comet"), "addrbook.json")
	k.P2P.PexReactor = false // the ledger says who the members are
	k.P2P.AddrBookStrict = false
	k.P2P.AllowDuplicateIP = true
	k.P2P.SendRate, k.P2P.RecvRate = 100_000_000, 100_000_000
	k.P2P.FlushThrottleTimeout = time.Millisecond
	k.P2P.PersistentPeersMaxDialPeriod = 5 * time.Second
	k.FilterPeers = true // see door

	k.Consensus.TimeoutCommit = 0         // after an empty block; see pauseAfter
	k.Consensus.SkipTimeoutCommit = false // a pause is for what comes next, not for late precommits alone
	k.Consensus.CreateEmptyBlocks = false
	k.Consensus.CreateEmptyBlocksInterval = c.Ledger.Heartbeat.Duration // the custodians' freshness lease needs a heartbeat
	k.Consensus.PeerGossipSleepDuration = 2 * time.Millisecond
	k.Consensus.PeerQueryMaj23SleepDuration = 200 * time.Millisecond
	k.Consensus.TimeoutPropose = 500 * time.Millisecond // one silent proposer costs half a second, not three
	k.Consensus.TimeoutPrevote = 250 * time.Millisecond
	k.Consensus.TimeoutPrecommit = 250 * time.Millisecond
	k.Consensus.DoubleSignCheckHeight = 0 // set to 10 by hand when a validator key moves to another machine: it refuses quick restarts

	k.Mempool.Size = 20_000
	k.Mempool.CacheSize = 50_000
	k.Mempool.MaxTxBytes = 1 << 16
	k.TxIndex.Indexer = "null" // the state machine keeps its own index
	k.Storage.DiscardABCIResponses = true
	k.RPC.ListenAddress = ""
	if c.Ledger.RPC != "" {
		k.RPC.ListenAddress = "tcp://" + c.Ledger.RPC
	}
	k.RPC.PprofListenAddress = ""
	if s := c.Ledger.StateSync; s.Enable {
		k.StateSync.Enable = true
		k.StateSync.RPCServers = s.Servers
		k.StateSync.TrustHeight = s.TrustHeight
		k.StateSync.TrustHash = s.TrustHash
		k.StateSync.DiscoveryTime = 5 * time.Second
		k.StateSync.TempDir = c.Data("comet")
	}
	return k
}

// consensusNode is the CometBFT node with the databases it opened: when it does not start, it
// does not close them itself.
type consensusNode struct {
	*cmtnode.Node
	dbs  []dbm.DB
	door *door
}

// newComet builds, but does not start, the CometBFT node over app.
func newComet(ctx context.Context, c *config.Config, app abci.Application, pv cmttypes.PrivValidator, metrics cmtnode.MetricsProvider, log *slog.Logger) (*consensusNode, error) {
	k := cometConfig(c)
	if err := k.ValidateBasic(); err != nil {
		return nil, fmt.Errorf("node: consensus configuration: %w", err)
	}
	nodeKey, err := p2p.LoadNodeKey(k.NodeKeyFile())
	if err != nil {
		return nil, fmt.Errorf("node: node key: %w", err)
	}
	genesis := func() (*cmttypes.GenesisDoc, error) { return loadGenesis(c) }
	n := &consensusNode{door: &door{Application: app, stopping: make(chan struct{})}}
	n.door.runs = func() bool { return n.Node != nil }
	n.door.syncing = func() bool { return n.ConsensusReactor().WaitSync() }
	n.door.pause = func(d time.Duration) { k.Consensus.TimeoutCommit = d }
	provider := func(x *cmtcfg.DBContext) (dbm.DB, error) {
		opened, err := cometdb.Provider(x)
		if err != nil {
			return nil, err
		}
		db := opened.(*cometdb.DB)
		db.Failed = func(err error) {
			log.ErrorContext(ctx, "store_damaged", "code", fmt.Sprintf("%#04x", errDamaged.Code), "store", x.ID, "err", err)
		}
		n.dbs = append(n.dbs, db)
		return db, nil
	}
	n.Node, err = cmtnode.NewNodeWithContext(ctx, k, pv, nodeKey, Connections(n.door), genesis, provider, metrics, cometLog{log: log, held: n.door.outdated})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("node: consensus: %w", err), n.closeDBs())
	}
	return n, nil
}

// A door lets peers in until the node stops. CometBFT asks the application about every
// connection; without that, a peer that reconnects while the switch is stopping gets a
// connection that nobody serves and nobody closes, and takes the restarted node for a duplicate
// of it until it times out after two minutes.
type door struct {
	abci.Application
	closed   atomic.Bool
	stopping chan struct{} // closed when the node stops

	runs, syncing func() bool // consensus exists; it fetches blocks

	// pause sets the least time from a commit to the next height. FinalizeBlock alone calls it, in the goroutine that
	// reads it when the block is applied.
	pause func(time.Duration)
}

// Query implements abci.Application.
func (d *door) Query(ctx context.Context, r *abci.RequestQuery) (*abci.ResponseQuery, error) {
	if !strings.HasPrefix(r.Path, "/p2p/filter/") {
		return d.Application.Query(ctx, r)
	}
	if d.closed.Load() {
		return &abci.ResponseQuery{Code: 1, Log: "node: this node is stopping"}, nil
	}
	return &abci.ResponseQuery{}, nil
}

// loadGenesis reads the genesis with app_state in the one form in which CometBFT keeps it: a
// node that was stopped before its first block must begin with the same bytes again, and
// members' files may differ in white space.
func loadGenesis(c *config.Config) (*cmttypes.GenesisDoc, error) {
	doc, err := cmttypes.GenesisDocFromFile(c.GenesisFile())
	if err == nil && len(doc.AppState) > 0 {
		doc.AppState, err = json.Marshal(doc.AppState)
	}
	if err != nil {
		return nil, fmt.Errorf("node: genesis: %w", err)
	}
	return doc, nil
}

// start starts consensus, or leaves nothing open.
func (n *consensusNode) start() error {
	if err := n.Start(); err != nil {
		return errors.Join(fmt.Errorf("node: consensus: %w", err), n.closeDBs())
	}
	return nil
}

// stop stops consensus and waits for its end.
func (n *consensusNode) stop() error {
	if !n.door.closed.Swap(true) {
		close(n.door.stopping)
	}
	var err error
	if n.IsRunning() {
		if err = n.Stop(); err != nil {
			err = fmt.Errorf("node: consensus: %w", err)
		}
	}
	n.Wait()
	return err
}

func (n *consensusNode) closeDBs() error {
	var err error
	for _, db := range n.dbs {
		err = errors.Join(err, db.Close())
	}
	return err
}

// noMetrics keeps CometBFT's own collectors out of the way: it registers them
// globally, so two nodes in one process would panic. What operators need of
// consensus is in this node's own registry.
func noMetrics(string) (*consensus.Metrics, *p2p.Metrics, *mempool.Metrics, *state.Metrics, *proxy.Metrics, *blocksync.Metrics, *statesync.Metrics) {
	return consensus.NopMetrics(), p2p.NopMetrics(), mempool.NopMetrics(), state.NopMetrics(), proxy.NopMetrics(), blocksync.NopMetrics(), statesync.NopMetrics()
}

// cometLog hands CometBFT's lines to slog. Its info level narrates every block, so it becomes
// debug; its errors are warnings where they mean that consensus or the state is in trouble,
// and debug where they only tell of peers that come and go.
type cometLog struct {
	log   *slog.Logger
	quiet bool         // a module whose errors are everyday life
	held  func() error // not nil: the node ends before a block that it does not know, and consensus calls that a failure
}

func (l cometLog) Debug(string, ...any)       {}
func (l cometLog) Info(msg string, kv ...any) { l.log.Debug(msg, stringers(kv)...) }
func (l cometLog) Warn(msg string, kv ...any) { l.log.Debug(msg, stringers(kv)...) }
func (l cometLog) Error(msg string, kv ...any) {
	// Closing the RPC listener is how a stop looks to CometBFT.
	if l.quiet || msg == "Error serving server" || l.held != nil && l.held() != nil {
		l.log.Debug(msg, stringers(kv)...)
		return
	}
	l.log.Warn(msg, stringers(kv)...)
}

func (l cometLog) With(kv ...any) cmtlog.Logger {
	quiet := l.quiet
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i] == "module" {
			switch kv[i+1] {
			case "p2p", "blocksync", "rpc-server", "rpc", "mempool", "pex", "events", "statesync":
				quiet = true
			}
		}
	}
	return cometLog{l.log.With(stringers(kv)...), quiet, l.held}
}

// stringers formats values now: some of CometBFT's are changed under its own locks later.
func stringers(kv []any) []any {
	out := make([]any, len(kv))
	for i, v := range kv {
		if s, ok := v.(fmt.Stringer); ok {
			v = s.String()
		}
		out[i] = v
	}
	return out
}
