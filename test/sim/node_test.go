package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/client"
	"salus/custody"
	"salus/exchange"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	wiring "salus/node"
	"salus/vault"
)

// storeOptions keep a store small: a run has dozens of them.
var storeOptions = state.Options{Keep: 12, PageCache: 1 << 20, BlockCache: 1 << 20, MemTable: 4 << 20}

// A node is one member: its disk, and while it is up the real ledger.App and
// custody.Custodian on it, with a simulated consensus engine in front.
type node struct {
	w       *world
	i       int
	name    string
	account tx.Account
	genesis []byte
	skew    int64  // of its clock, milliseconds
	rogue   *rogue // a Byzantine member
	fake    *fake  // instead of the real custodian

	// Durable: disk by its own rules, the others as soon as they are set.
	disk    *disk
	blocks  map[int64]*decided
	packs   map[[32]byte][][]byte
	kept    kept  // what the engine must remember of its votes
	shelved *kept // the same, of a height that a lost replica has still to reach
	acked   int64

	// Of one life.
	up      bool
	life    int
	store   *state.Store
	app     *ledger.App
	cust    *custody.Custodian
	steps   *custody.Steps
	engine  *engine
	pool    *pool
	waiting map[tx.Kind]waiting // the custodian's transactions that are on their way
	asks    []ask               // for parcels, gathered while the custodian looks
	due     bool                // a follow step is planned
}

type waiting struct {
	id     tx.Hash
	digest tx.Hash
	expiry int64
}

type ask struct {
	to     tx.Account
	header tx.Hash
}

func (n *node) byzantine() bool { return n.rogue != nil }

// alive reports whether what this node does now happens at all.
func (n *node) alive() bool { return n.up && !n.disk.dead() }

func (n *node) height() int64 { return n.app.Head().Height }

// clock is what this member's clock shows.
func (n *node) clock() time.Time {
	return time.Unix(genesis, 0).Add(time.Duration(n.w.now+n.skew) * time.Millisecond).UTC()
}

// step lets the node do something, unless it is down. A crash inside ends it.
func (n *node) step(f func()) {
	if !n.up {
		return
	}
	func() {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(violation); ok || !n.disk.dead() {
					if !ok {
						r = violation(fmt.Sprintf("member %d halted: %v\n%s", n.i, r, stack()))
					}
					panic(r)
				}
			}
		}()
		f()
	}()
	if n.up && n.disk.dead() {
		n.w.log("disk of %d crashed (%s)", n.i, n.disk.how)
		n.w.saw("crashes in a durable write: " + n.disk.how.String())
		n.crash()
	}
}

// later plans a step of this life.
func (n *node) later(after int64, f func()) {
	life := n.life
	n.w.at(after, func() {
		if n.life == life {
			n.step(f)
		}
	})
}

// must ends the run for an error that is not of a dead machine.
func (n *node) must(what string, err error) {
	if err != nil && n.alive() {
		n.w.fail("member %d: %s: %v", n.i, what, err)
	}
}

// crash cuts the power; the machine starts again after a while.
func (n *node) crash() {
	n.discard()
	n.up = false
	n.life++
	n.disk = n.disk.cutPower()
	life := n.life
	away := n.w.between(200, 10_000)
	if n.w.chance(0.15) {
		away = n.w.between(15_000, 40_000)
	}
	n.w.at(away, func() {
		if n.life == life && !n.up {
			n.start()
		}
	})
}

// discard lets go of what a dead process held.
func (n *node) discard() {
	if n.cust != nil {
		_ = n.cust.Close() // its disk is dead
		n.cust = nil
	}
	if n.app != nil {
		_ = n.app.Close()
		n.app = nil
	}
}

// start opens what is on the disk and runs again what the ledger misses of the decided blocks.
func (n *node) start() {
	n.up = true
	n.life++
	n.w.log("start %d", n.i)
	n.w.saw("starts")
	n.step(func() {
		n.openLedger()
		if !n.alive() {
			return
		}
		n.pool = newPool(n)
		n.waiting = map[tx.Kind]waiting{}
		n.due = false
		n.w.truth.stands(n)
		n.engine = newEngine(n)
		for n.alive() && n.blocks[n.height()+1] != nil {
			n.w.saw("blocks replayed")
			n.apply(n.blocks[n.height()+1])
		}
		if n.alive() && n.fake == nil {
			n.openCustody()
		}
		if n.alive() {
			n.engine.resume()
			n.follow(1)
			n.later(n.w.between(1, 2000), n.look)
		}
	})
}

func (n *node) openLedger() {
	if n.blocks == nil {
		n.blocks = map[int64]*decided{}
	}
	o := storeOptions
	o.FS = n.disk
	s, err := state.Open("ledger", o)
	if err != nil {
		n.must("open the store", err)
		return
	}
	n.store = s
	cfg := ledger.Config{
		Chain: chainID, Modules: wiring.Modules(), Store: s, Dir: "ledger", Options: o,
		Params: governance.LedgerParams, Authenticate: access.Authenticate,
	}
	if n.w.mutant.modules != nil {
		cfg.Modules = n.w.mutant.modules(n, cfg.Modules)
	}
	if n.app, err = ledger.New(cfg); err != nil {
		n.must("open the ledger", err)
		return
	}
	if h := n.height(); h < n.acked {
		n.w.fail("member %d committed block %d and is back at %d after a crash", n.i, n.acked, h)
	}
	if n.height() == 0 && (n.i < 0 || !n.stateSync()) && n.alive() {
		_, err = n.app.InitChain(context.Background(), &abci.RequestInitChain{
			ChainId: chainID, Time: time.Unix(genesis, 0).UTC(), InitialHeight: 1, AppStateBytes: n.genesis,
		})
		n.must("genesis", err)
	}
}

func (n *node) openCustody() {
	cfg := custody.Config{
		Self: n.account, Chain: chainID, Dir: "custody", FS: n.disk, Ledger: n.app, Submit: n, Links: n, Sign: n.w.key(n.name),
		Changed: func() <-chan struct{} { return nil }, HasPack: func(id vault.PackID) bool { return n.packs[id] != nil },
		Now: n.clock, Log: slog.New(slog.DiscardHandler),
	}
	if n.w.mutant.custody != nil {
		n.w.mutant.custody(n, &cfg)
	}
	c, err := custody.Open(cfg)
	if err != nil {
		n.must("open the custodian", err)
		return
	}
	n.cust, n.steps = c, c.Steps()
}

// apply executes and commits one decided block.
func (n *node) apply(d *decided) {
	b := d.block
	ctx := context.Background()
	id := b.id()
	res, err := n.app.FinalizeBlock(ctx, &abci.RequestFinalizeBlock{
		Txs: b.Txs, Height: b.Height, Time: b.when(), Hash: id[:], Misbehavior: b.misbehavior(n.w),
	})
	n.must("finalize", err)
	if err != nil {
		return
	}
	if _, err := n.app.Commit(ctx, &abci.RequestCommit{}); err != nil {
		n.must("commit", err)
		return
	}
	if n.alive() {
		n.acked = b.Height
		n.w.truth.executed(n, d, res)
	}
	n.pool.committed(b.Txs)
	if b.Height%20 == 0 && n.alive() {
		n.must("snapshot", n.app.TakeSnapshot())
	}
	n.follow(n.w.between(5, 150))
}

// follow plans the custodian's next look at the ledger.
func (n *node) follow(after int64) {
	if n.due {
		return
	}
	n.due = true
	n.later(after, func() {
		n.due = false
		if n.fake != nil {
			n.fake.follow(n)
		} else {
			n.must("custodian", n.steps.Follow(context.Background()))
		}
	})
}

// look is what the custodian does every other second.
func (n *node) look() {
	n.later(2000, n.look)
	if n.rogue != nil {
		n.rogue.mischief(n)
	}
	if n.fake != nil {
		n.fake.follow(n)
		return
	}
	n.must("custodian", n.steps.Look(context.Background()))
	// The custodian asks from several goroutines: only the sorted set is the same in every run.
	asks := n.asks
	n.asks = nil
	slices.SortFunc(asks, func(a, b ask) int {
		if c := strings.Compare(a.header.String(), b.header.String()); c != 0 {
			return c
		}
		return strings.Compare(a.to.String(), b.to.String())
	})
	for _, a := range asks {
		n.w.saw("parcels chased")
		n.w.net.send(n, n.w.member(a.to).i, func(to *node) { to.giveParcel(n, a.header) })
	}
}

func (w *world) member(account tx.Account) *node {
	for _, n := range w.nodes {
		if n.account == account {
			return n
		}
	}
	return nil
}

func (n *node) giveParcel(to *node, header tx.Hash) {
	var p *exchange.Parcel
	var err error
	if n.fake != nil {
		p = n.fake.parcels[header]
	} else {
		p, err = n.cust.Parcel(context.Background(), to.account, &exchange.ParcelRequest{Header: header})
	}
	if err == nil && p != nil {
		n.w.net.send(n, to.i, func(to *node) { to.takeParcel(n.account, p, nil) })
	}
}

// takeParcel is the members' link and the vault's: a parcel, and the pack that belongs to it.
func (n *node) takeParcel(from tx.Account, p *exchange.Parcel, pack [][]byte) {
	if pack != nil && n.packs[p.Pack] == nil {
		n.packs[p.Pack] = pack
		if n.cust != nil {
			n.must("pack", n.cust.PackArrived(p.Pack))
		}
	}
	if n.fake != nil {
		n.fake.parcels[p.Header.Hash()] = p
	} else if err := n.cust.Accept(context.Background(), from, p); err != nil && !errors.Is(err, custody.ErrParcel) && !errors.Is(err, custody.ErrBusy) {
		n.must("accept", err)
	}
	n.follow(n.w.between(1, 50))
}

var (
	errWaits = errors.New("sim: on its way")
	errAsked = errors.New("sim: asked over the network")
)

// Submit implements custody.Submitter: it sends, and says so again and again until the
// ledger answers. One transaction of a kind is on its way at a time.
func (n *node) Submit(_ context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	digest := tx.Hash(digestOf(string(tx.MustEncode(msg))))
	if was, ok := n.waiting[kind]; ok {
		r, found := n.app.Result(was.id)
		if !found && n.height() < was.expiry {
			return client.Committed{}, errWaits
		}
		delete(n.waiting, kind)
		if found && was.digest == digest {
			if r.Code != tx.CodeOK {
				return client.Committed{}, tx.Refuse(r.Code, r.Text)
			}
			return client.Committed{ID: was.id, Height: r.Height}, nil
		}
	}
	raw, id := n.w.sign(n.name, kind, msg, n.height())
	n.waiting[kind] = waiting{id, digest, n.height() + txLife}
	n.pool.add(raw, true)
	return client.Committed{}, errWaits
}

// Call implements custody.Links. Keys are answered at once, because the custodian waits for
// them; parcels come over the network.
func (n *node) Call(_ context.Context, to tx.Account, path string, req, resp any) error {
	m := n.w.member(to)
	switch q := req.(type) {
	case exchange.KeyRequest:
		if m == nil || !m.up || n.w.net.cut(n.i, m.i) || path != exchange.PathKey {
			return client.ErrUnreachable
		}
		public := m.custodyKey(q.Hash)
		if public == nil {
			return custody.ErrNoKey
		}
		*resp.(*exchange.KeyReply) = exchange.KeyReply{Public: public}
		return nil
	case exchange.ParcelRequest:
		n.w.asking.Lock()
		defer n.w.asking.Unlock()
		if m != nil {
			n.asks = append(n.asks, ask{to, q.Header})
		}
	}
	return errAsked
}

// custodyKey is the public custody key of that hash, if this member knows it.
func (n *node) custodyKey(hash tx.Hash) []byte {
	if n.fake != nil {
		return n.fake.publicKey(hash)
	}
	if n.cust == nil {
		return nil
	}
	reply, err := n.cust.Key(context.Background(), &exchange.KeyRequest{Hash: hash})
	if err != nil {
		return nil
	}
	return reply.Public
}

// stack is where a panic comes from, without the machine's paths.
func stack() string {
	b := make([]byte, 16<<10)
	b = b[:runtime.Stack(b, false)]
	return string(b)
}
