package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/abci/example/kvstore"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	cmtnode "github.com/cometbft/cometbft/node"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/config"
	"salus/internal/devnet"
	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/node"
	"salus/seal"
)

// measureLedger commits anchor.put on one and on four validators, and the same bytes to
// CometBFT's key-value store, in turns, so that noise hits both alike.
func measureLedger(ctx context.Context, b *bench) ([]Result, error) {
	var out []Result
	for _, v := range []struct{ validators, txs, runs int }{
		{1, pick(b, 20_000, 6_000), pick(b, 3, 1)},
		{4, pick(b, 12_000, 6_000), pick(b, 3, 1)},
	} {
		var ours, theirs, cpu, cpuTheirs []float64
		size := 0.0
		for i := range v.runs {
			dir := filepath.Join(b.dir, fmt.Sprintf("ledger-%d-%d", v.validators, i))
			l, err := newLoad(filepath.Join(dir, "salus"), v.validators, v.txs)
			if err != nil {
				return nil, err
			}
			size = l.size
			r, c, err := l.commit(ctx, b, fmt.Sprintf("ledger-%d", v.validators), openSalus)
			if err != nil {
				return nil, fmt.Errorf("salus on %d validators: %w", v.validators, err)
			}
			ours, cpu = append(ours, r), append(cpu, c)
			k, err := l.asPairs(filepath.Join(dir, "kvstore"))
			if err != nil {
				return nil, err
			}
			if r, c, err = k.commit(ctx, b, fmt.Sprintf("kvstore-%d", v.validators), openPairs); err != nil {
				return nil, fmt.Errorf("kvstore on %d validators: %w", v.validators, err)
			}
			theirs, cpuTheirs = append(theirs, r), append(cpuTheirs, c)
		}
		what := fmt.Sprintf("committed anchor.put of %.0f bytes, %d in each run, %s", size, v.txs, plural(v.validators, "validator"))
		base := "CometBFT's own kvstore application (in memory, no signatures), the same bytes and configuration"
		out = append(out,
			newResult(fmt.Sprintf("ledger.put.%d", v.validators), "tx/s", "ratio >= 0.5", ours, theirs).about(what, base),
			newResult(fmt.Sprintf("ledger.put.%d.bytes", v.validators), "MB/s", "ratio >= 0.5", scale(ours, size/1e6), scale(theirs, size/1e6)).about("the same in bytes of transactions", base),
			newResult(fmt.Sprintf("ledger.put.%d.cpu", v.validators), "µs/tx", "ratio <= 2", cpu, cpuTheirs).about("CPU time of all validators together, per transaction; what else runs on the machine does not count", base))
	}
	return out, nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func scale(xs []float64, by float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = x * by
	}
	return out
}

// A load is a network's homes and the transactions that each of its nodes will be sent.
type load struct {
	homes []*config.Config
	txs   [][][]byte // by node
	size  float64    // mean bytes of a transaction
}

// newLoad writes the homes of a network and signs its transactions. One member's share of a
// block is raised to a whole block: what is measured is the engine, not the quota.
func newLoad(dir string, validators, txs int) (*load, error) {
	l, chainID, err := newHomes(dir, validators, wholeBlocks())
	if err != nil {
		return nil, err
	}
	return l, l.puts(chainID, txs, func(tx.Account) uint64 { return 1 })
}

// puts signs that many anchor.put, an equal part by each member, from the member's nonce on.
func (l *load) puts(chainID string, txs int, nonce func(tx.Account) uint64) error {
	members, err := l.members()
	if err != nil {
		return err
	}
	l.txs = nil
	for _, by := range members {
		mine, first := make([][]byte, txs/len(members)), nonce(by.Account())
		for i := range mine {
			put, err := randomPut(chainID, by.Account(), len(members))
			if err != nil {
				return err
			}
			if mine[i], _, err = tx.Sign(chainID, anchor.KindPut, put, by.Account(), first+uint64(i), 5000, by); err != nil {
				return err
			}
		}
		l.txs = append(l.txs, mine)
	}
	l.weigh()
	return nil
}

// weigh takes the mean size of the transactions.
func (l *load) weigh() {
	total, n := 0, 0
	for _, mine := range l.txs {
		for _, raw := range mine {
			total, n = total+len(raw), n+1
		}
	}
	l.size = float64(total) / float64(n)
}

func newHomes(dir string, validators int, params governance.Changes) (*load, string, error) {
	port, err := freePort(10 * validators)
	if err != nil {
		return nil, "", err
	}
	m, err := devnet.Init(dir, devnet.Options{Port: port, Orgs: devnet.Orgs()[:validators], Params: params})
	if err != nil {
		return nil, "", err
	}
	l := &load{}
	for _, org := range m.Orgs {
		c, err := devnet.LoadConfig(dir, org)
		if err != nil {
			return nil, "", err
		}
		l.homes = append(l.homes, c)
	}
	return l, m.Chain, nil
}

// randomPut is a batch header as the ledger sees one: what it commits to is random.
func randomPut(chainID string, author tx.Account, n int) (*anchor.Put, error) {
	var r [7][32]byte
	for i := range r {
		if _, err := rand.Read(r[i][:]); err != nil {
			return nil, err
		}
	}
	f := (n - 1) / 3
	return &anchor.Put{Envelopes: r[0], Pack: r[1], Header: seal.Header{
		Version: seal.Version, Suite: seal.Suite, Chain: chainID, Author: author, PatientCommit: r[2], BatchNonce: r[3], Epoch: 1,
		N: uint8(n), T: uint8(n - f), Count: 200, ManifestRoot: r[4], ShareRoots: r[5], VSSRoot: r[6],
	}}, nil
}

// asPairs is the same load for the key-value store, which takes transactions with exactly
// one '=' and no ':'. Every other byte stays what it was.
func (l *load) asPairs(dir string) (*load, error) {
	k, _, err := newHomes(dir, len(l.homes), governance.Changes{})
	if err != nil {
		return nil, err
	}
	k.size = l.size
	serial := uint64(0)
	for _, mine := range l.txs {
		pairs := make([][]byte, len(mine))
		for i, raw := range mine {
			p := bytes.Clone(raw)
			serial++
			// The first bytes of all transactions are alike, but keys must differ.
			copy(p, fmt.Appendf(nil, "%032x", binary.LittleEndian.AppendUint64(nil, serial)))
			for j, c := range p {
				if c == '=' || c == ':' {
					p[j] = c ^ 0x80
				}
			}
			p[32] = '='
			pairs[i] = p
		}
		k.txs = append(k.txs, pairs)
	}
	return k, nil
}

// openSalus opens the whole state machine as package node does.
func openSalus(c *config.Config) (abci.Application, io.Closer, error) {
	dir := c.Data("ledger")
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		return nil, nil, err
	}
	app, err := ledger.New(ledger.Config{
		Modules: node.Modules(), Store: store, Params: governance.LedgerParams, Authenticate: identity.Authenticate, Dir: dir,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return app, app, nil
}

func openPairs(*config.Config) (abci.Application, io.Closer, error) {
	return kvstore.NewInMemoryApplication(), io.NopCloser(nil), nil
}

// backlog is how many transactions wait in each mempool while there are enough: a block or
// two, and a small part of a run, so that what is measured is the whole way from CheckTx.
const backlog = 1500

// commit sends every node its transactions, as fast as its mempool drains, and returns how
// many the network committed per second, from the first sent to the last committed, and what
// that cost. The first tenth warms up and does not count.
func (l *load) commit(ctx context.Context, b *bench, profile string, open func(*config.Config) (abci.Application, io.Closer, error)) (rate, cpu float64, err error) {
	ch, err := startChain(ctx, l.homes, open)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, ch.stop()) }()
	for _, s := range b.late {
		err = errors.Join(err, s.closeNow())
	}
	if b.late = ch.stores; err != nil {
		return 0, 0, err
	}
	warm := len(l.txs[0]) / 10
	if err := l.send(ch, 0, warm); err != nil {
		return 0, 0, err
	}
	before, _ := ch.meter.committed()
	start := time.Now()
	c, err := b.spent(profile, func() error { return l.send(ch, warm, len(l.txs[0])) })
	if err != nil {
		return 0, 0, err
	}
	total, last := ch.meter.committed()
	return float64(total-before) / last.Sub(start).Seconds(), c.each(total - before), nil
}

// senders is how many clients each node has, so that a node that can check transactions on
// both cores may do so.
const senders = 2

// send gives each node its transactions from number from up to to, and waits until the
// network has committed them all.
func (l *load) send(ch *chain, from, to int) error {
	var refused atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(ch.nodes)*senders)
	for i, n := range ch.nodes {
		var next atomic.Int64 // in turns, because nonces may not be far apart
		take := func() []byte {
			if k := from + int(next.Add(1)) - 1; k < to {
				return l.txs[i][k]
			}
			return nil
		}
		for s := range senders {
			wg.Go(func() { errs[i*senders+s] = send(n, take, &refused) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	want := to * len(ch.nodes)
	err := until("the last transactions to commit", time.Minute, func() bool {
		n, _ := ch.meter.committed()
		return n >= want || refused.Load() > 0
	})
	if n, _ := ch.meter.committed(); err != nil || n < want {
		return fmt.Errorf("%d of %d committed, %d refused: %w", n, want, refused.Load(), errors.Join(errIncomplete, err))
	}
	return nil
}

var errIncomplete = errors.New("not every transaction was committed")

func send(n *cmtnode.Node, take func() []byte, refused *atomic.Int64) error {
	pool := n.Mempool()
	for raw := take(); raw != nil; raw = take() {
		if pool.Size() >= backlog {
			if err := until("room in the mempool", time.Minute, func() bool { return pool.Size() < backlog }); err != nil {
				return err
			}
		}
		err := pool.CheckTx(cmttypes.Tx(raw), func(r *abci.ResponseCheckTx) {
			if r.Code != 0 {
				refused.Add(1)
			}
		}, mempool.TxInfo{})
		if err != nil && !errors.Is(err, mempool.ErrTxInCache) {
			return err
		}
	}
	return nil
}
