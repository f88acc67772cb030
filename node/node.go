// Package node puts one organisation's node together: ledger, custody, vault, record
// and gateway, in this order and nowhere else. Read New from top to bottom.
//
// Contract: New opens everything or nothing; Run returns when ctx ends or a part
// fails, after every part has stopped; what was acknowledged before survives a kill
// at any point. It holds no rule of its own: no decision about a record, a consent
// or a transaction is made here.
package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/rpc/client/local"
	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/config"
	"salus/custody"
	"salus/exchange"
	"salus/gateway"
	"salus/internal/peer"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

// Node is one organisation's node.
type Node struct {
	cfg *config.Config
	log *slog.Logger

	app      *ledger.App
	hub      *client.Hub
	quorum   *client.Quorum
	blockAt  atomic.Int64 // when the last block came, in unix nanoseconds; 0: none since the start
	client   *client.Client
	member   tx.Signer
	vault    *vault.Store
	custody  *custody.Custodian
	record   *record.Service
	links    *peer.Client
	peers    *peer.Server
	fhir     *fhirPart
	keeper   *journalKeeper
	arrivals *arrivals
	clock    clockWatch
	feeds    *feedPart
	gateway  *gateway.Gateway
	space    *space
	signer   *signer
	trail    *client.Trail
	prover   *client.Prover
	portal   *portalPart             // nil: not configured
	comet    atomic.Pointer[running] // nil until consensus has started
	cometNew func(context.Context) (*consensusNode, error)

	peerLn, apiLn net.Listener
	close         []func() error // in reverse order of opening
}

// running is consensus after its start.
type running struct {
	node  *cmtnode.Node
	rpc   *local.Local
	since time.Time
}

// New opens a node's stores and listeners. Nothing runs before Run.
func New(ctx context.Context, cfg *config.Config, log *slog.Logger) (n *Node, err error) {
	log = log.With("node", cfg.Name)
	n = &Node{cfg: cfg, log: log, hub: client.NewHub(), quorum: client.NewQuorum()}
	opened := n // an error return sets n to nil
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.closeAll())
		}
	}()
	defer damaged(&err)
	if err := cfg.MakeDirs(); err != nil {
		return nil, fmt.Errorf("node: home: %w", err)
	}
	unlock, err := lockHome(cfg)
	if err != nil {
		return nil, err
	}
	n.onClose(unlock)
	genesis, err := loadGenesis(cfg)
	if err != nil {
		return nil, err
	}
	keys, err := loadKeys(cfg)
	if err != nil {
		return nil, err
	}
	registry := newRegistry()

	// The replicated state machine comes first: everything else decides from it.
	if n.trail, err = client.OpenTrail(cfg.Data("trail"), genesis); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := n.openLedger(genesis.ChainID); err != nil {
		return nil, err
	}
	if n.signer, err = newSigner(cfg, n.app, log); err != nil {
		return nil, err
	}
	transport := client.NewLocal(n.app, n.pool, n.reached, n.hub, n.quorum)
	n.client = client.New(transport, genesis.ChainID)
	n.member = tx.NewEd25519Signer(cfg.Member, keys.member)
	member := n.client.As(n.member)
	states := member.Repeatable() // what custodian and author say, the ledger takes once

	// The members' links need only the keys that the ledger registers.
	id, err := peer.NewIdentity(keys.peer)
	if err != nil {
		return nil, err
	}
	directory := members{n.app, new(sync.Map)}
	n.links = peer.NewClient(id, directory)
	n.links.From(cfg.Peer.Listen)
	n.onClose(func() error { opened.links.Close(); return nil })
	n.peers = peer.NewServer(id, directory, log, peer.DefaultLimits)

	if n.vault, err = vault.Open(cfg.Data("vault"), vault.Options{}); err != nil {
		return nil, err
	}
	n.onClose(n.vault.Close)

	n.custody, err = custody.Open(custody.Config{
		Self: cfg.Member, Chain: genesis.ChainID, Dir: cfg.Data("custody"), Ledger: n.app, Changed: n.hub.Changed,
		Submit: states, Links: n.links, Sign: keys.member, HasPack: n.vault.HasPack, Outside: outside{n},
		CompactEvery: cfg.Custody.CompactEvery.Duration, ReshareRate: cfg.Custody.ReshareRate, Now: time.Now, Log: log, Metrics: registry,
	})
	if err != nil {
		return nil, err
	}
	n.onClose(n.custody.Close)

	n.space = &space{reserve: cfg.Record.Reserve, measure: diskOf(cfg.Data("record")), said: func(low bool, free, reserve int64) {
		log.WarnContext(ctx, "disk_reserve", "low", low, "free", free, "reserve", reserve)
	}}
	n.record, err = record.Open(ctx, record.Config{
		Self: cfg.Member, Chain: genesis.ChainID, Dir: cfg.Data("record"), StoreKey: keys.store, Sign: keys.member,
		Ledger: n.app, Changed: n.hub.Changed, Submit: states, Links: n.links, Vault: n.vault,
		Fold: cfg.Record.Fold.Duration, Log: log, Metrics: registry, Arrived: n.arrived,
	})
	if err != nil {
		return nil, err
	}
	n.onClose(n.record.Close)
	n.routes()
	prover := client.NewProver(n.app, transport, n.blocks, genesis)
	prover.Keep(n.trail)
	n.prover = prover
	if err := n.openFHIR(ctx, keys, member, prover); err != nil {
		return nil, err
	}
	n.keeper, n.arrivals = n.newJournalKeeper(), n.newArrivals()
	n.clock.heartbeat = n.cfg.Ledger.Heartbeat.Duration
	if err := n.openFeeds(keys); err != nil {
		return nil, err
	}
	if err := n.reconcile(ctx); err != nil {
		return nil, err
	}
	registry.MustRegister(n.feeds)

	n.gateway = gateway.New(gateway.Config{
		Self: cfg.Member, Name: cfg.Name, Token: keys.token, App: n.app, Calls: Calls(), Client: n.client, Member: member,
		Prover: prover, Record: n.record, Custody: n.custody, Vault: n.vault,
		Repair: n.repair, Staff: staff{cfg}, RawTx: n.rawTx, Ready: n.ready, Quorum: n.quorum, Journal: n.checkJournal, Registry: registry, Log: log,
		Parts: n.parts(), Apps: n.fhir.apps, Import: n.importer(member), Feeds: n.feeds, Waiting: n.fhir.chart.Waiting, Probe: n.probe, Room: n.space.room, Tell: n.fhir.tell,
		Accounting: n.fhir.front,
	})
	n.gauges(registry)
	if err := n.openPortal(keys, member, prover); err != nil {
		return nil, err
	}

	if n.peerLn, err = net.Listen("tcp", cfg.Peer.Listen); err != nil {
		return nil, fmt.Errorf("node: peer.listen: %w", err)
	}
	n.onClose(closeListener(n.peerLn))
	if n.apiLn, err = net.Listen("tcp", cfg.Gateway.Listen); err != nil {
		return nil, fmt.Errorf("node: gateway.listen: %w", err)
	}
	n.onClose(closeListener(n.apiLn))
	n.cometNew = func(ctx context.Context) (*consensusNode, error) {
		return newComet(ctx, cfg, n.app, n.voter(), noMetrics, log)
	}
	return n, nil
}

func (n *Node) openLedger(chain string) error {
	dir := n.cfg.Data("ledger")
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		return fmt.Errorf("node: ledger: %w", err)
	}
	n.app, err = ledger.New(ledger.Config{
		Chain: chain, Modules: Modules(), Store: store, Params: governance.LedgerParams, Authenticate: access.Authenticate,
		Plan: governance.LedgerPlan,
		Dir:  dir, Committed: n.committed, Retain: n.trail.Needs,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("node: ledger: %w", err), store.Close())
	}
	n.onClose(n.app.Close)
	return nil
}

// Run starts consensus and serves until ctx ends or a part fails.
func (n *Node) Run(ctx context.Context) error {
	if err := n.outdated(); err != nil {
		n.warnOutdated(ctx)
		return errors.Join(err, n.closeAll())
	}
	comet, err := n.startComet(ctx)
	if err != nil {
		return errors.Join(err, n.outdated(), n.closeAll())
	}
	n.comet.Store(&running{comet.Node, local.New(comet.Node), time.Now()})

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.peers.Serve(n.peerLn) })
	g.Go(func() error { return n.gateway.Serve(n.apiLn) })
	g.Go(n.portal.serve)
	g.Go(func() error { return n.custody.Run(ctx) })
	g.Go(func() error { return n.fhir.run(ctx) })
	g.Go(func() error { return n.feeds.run(ctx) })
	g.Go(func() error { return n.watch(ctx) })
	g.Go(func() error { return n.anchorJournal(ctx, n.client.As(n.member).Repeatable()) })
	g.Go(func() error { return n.tendJournal(ctx) })
	g.Go(func() error { return n.compareArrivals(ctx) })
	g.Go(func() error { return n.watchClock(ctx) })
	g.Go(func() error { return n.snapshots(ctx) })
	g.Go(func() error { return n.scrub(ctx) })
	g.Go(func() error { return n.trimWAL(ctx) })
	g.Go(func() error { return n.upgrades(ctx) })
	g.Go(func() error { return n.consensusKeys(ctx) })
	g.Go(func() error { return n.keepTrail(ctx) })
	g.Go(func() error {
		select {
		case <-comet.Quit():
			return errors.New("node: consensus stopped by itself; its log says why")
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error {
		<-ctx.Done()
		return n.shutdown(comet)
	})
	return errors.Join(g.Wait(), n.closeAll())
}

// startComet starts consensus on the stores that are there, or leaves none of its own open.
func (n *Node) startComet(ctx context.Context) (comet *consensusNode, err error) {
	defer damaged(&err)
	if comet, err = n.cometNew(ctx); err != nil {
		return nil, err
	}
	return comet, comet.start()
}

// stopTime bounds how long running requests may take to end.
const stopTime = 5 * time.Second

// shutdown stops intake first, then consensus: what is under way may still commit.
func (n *Node) shutdown(comet *consensusNode) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := errors.Join(ignoreLate(n.portal.shutdown(ctx)), ignoreLate(n.gateway.Shutdown(ctx)), ignoreLate(n.peers.Shutdown(ctx)))
	return errors.Join(err, comet.stop())
}

// ignoreLate: a request that did not end in time is cut off; that is no failure.
func ignoreLate(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func closeListener(ln net.Listener) func() error {
	return func() error {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (n *Node) onClose(f func() error) { n.close = append(n.close, f) }

func (n *Node) closeAll() error {
	var err error
	for _, v := range slices.Backward(n.close) {
		err = errors.Join(err, v())
	}
	n.close = nil
	return err
}

// pool is the mempool once consensus runs.
func (n *Node) pool() client.Pool {
	if r := n.comet.Load(); r != nil {
		return r.node.Mempool()
	}
	return nil
}

// blocks serves receipts once consensus runs.
func (n *Node) blocks() client.Blocks {
	if r := n.comet.Load(); r != nil {
		return r.rpc
	}
	return nil
}

var errPruned = tx.Refuse(0x2406, "node: this node does not keep the block of that transaction any more")

// rawTx reads a committed transaction from the block store.
func (n *Node) rawTx(height int64, index uint32) ([]byte, error) {
	r := n.comet.Load()
	if r == nil {
		return nil, client.ErrUnreachable
	}
	b := r.node.BlockStore().LoadBlock(height)
	if b == nil || int(index) >= len(b.Txs) {
		return nil, errPruned
	}
	return b.Txs[index], nil
}

// staleAfter is when a node no longer calls itself ready: three heartbeats without a block.
const staleAfter = 3

// ready says why this node should not be sent requests.
func (n *Node) ready() error {
	r := n.comet.Load()
	if r == nil {
		return errors.New("node: consensus has not started")
	}
	if n.app.Halted() {
		return errHalted
	}
	h := n.app.Head()
	if h.Height == 0 {
		return errors.New("node: no block yet")
	}
	if r.node.ConsensusReactor().WaitSync() {
		return errBehind
	}
	stale := staleAfter * n.cfg.Ledger.Heartbeat.Duration
	age, starting := time.Since(time.Unix(int64(h.Time), 0)), time.Since(r.since) < stale
	// After a stop of the whole network the last block is old, after one of this node it may be
	// young and the others far ahead all the same: what they say of themselves decides.
	switch level := n.quorumLevel(r, h.Height); {
	case starting && level:
		return nil
	case age > stale:
		return fmt.Errorf("node: the last block is %s old: too few members can be reached", age.Round(time.Second))
	case starting:
		return errBehind
	}
	return nil
}

var errBehind = errors.New("node: still catching up, or too few members can be reached")

// quorumLevel reports whether more than two thirds of the validators can take part and those
// are no further than this node. A peer that has not said yet where it stands does not count: CometBFT
// ends its catching up too early when it is connected before it was told how far the others are.
func (n *Node) quorumLevel(r *running, height int64) bool {
	level := 1
	for _, at := range heights(r) {
		if at <= height+2 { // it decides height+1, or has just done so
			level++
		}
	}
	return 3*level > 2*n.validators()
}

// routes serves the vault's and the record store's part of the members' links.
func (n *Node) routes() {
	n.custody.Routes(n.peers)
	n.peers.HandleUpload(exchange.PathPack, func(ctx context.Context, r *peer.Request) error {
		id, err := vault.ParsePackID(r.Arg)
		if err != nil {
			return errArg
		}
		if err := n.vault.ImportPack(ctx, id, r.Upload, r.Size); err != nil {
			return err
		}
		return n.custody.PackArrived(id)
	})
	n.peers.HandleDownload(exchange.PathPack, func(ctx context.Context, r *peer.Request) (io.ReadCloser, int64, error) {
		id, err := vault.ParsePackID(r.Arg)
		if err != nil {
			return nil, 0, errArg
		}
		return stream(n.vault.ReadPack(ctx, id))
	})
	n.peers.HandleDownload(exchange.PathBlob, func(ctx context.Context, r *peer.Request) (io.ReadCloser, int64, error) {
		a, err := vault.ParseAddress(r.Arg)
		if err != nil {
			return nil, 0, errArg
		}
		return stream(n.vault.Get(ctx, a))
	})
	n.peers.Handle(exchange.PathTrail, n.giveTrail)
	n.peers.Handle(exchange.PathSlots, func(ctx context.Context, r *peer.Request) (any, error) {
		var q exchange.SlotsRequest
		if err := r.Decode(&q); err != nil {
			return nil, err
		}
		return n.record.Slots(ctx, r.From, &q)
	})
}

// members is the ledger's view of who is who.
type members struct {
	app *ledger.App
	// last is where a key was found, by the key: a request then costs one row, which says whether it is still there,
	// and not the rows of all. Keys that nobody has registered are not kept.
	last *sync.Map
}

// Member implements peer.Directory.
func (m members) Member(account tx.Account) (string, ed25519.PublicKey, bool) {
	v := m.app.View()
	defer v.Close()
	x, ok := governance.LookupMember(v, account)
	return x.Address, x.Peer, ok && x.Active
}

// ByKey implements peer.Directory.
func (m members) ByKey(key ed25519.PublicKey) (tx.Account, bool) {
	v := m.app.View()
	defer v.Close()
	if last, ok := m.last.Load(string(key)); ok {
		account, _ := last.(tx.Account)
		if x, ok := governance.LookupMember(v, account); ok && x.Active && key.Equal(ed25519.PublicKey(x.Peer)) {
			return account, true
		}
	}
	for _, x := range governance.Active(v) {
		if key.Equal(ed25519.PublicKey(x.Peer)) {
			m.last.Store(string(key), x.Account)
			return x.Account, true
		}
	}
	return tx.Account{}, false
}
