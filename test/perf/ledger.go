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

	"github.com/cometbft/cometbft/abci/example/kvstore"
	abci "github.com/cometbft/cometbft/abci/types"

	"salus/config"
	"salus/internal/devnet"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/node"
	"salus/seal"
)

// measureLedger commits anchor.put on one and on four validators, and the same bytes to
// CometBFT's key-value store and to an application that verifies a signature and nothing else, in
// turns, so that noise hits all alike.
func measureLedger(ctx context.Context, b *bench) ([]Result, error) {
	var out []Result
	for _, v := range []struct{ validators, txs, runs int }{
		{1, pick(b, 20_000, 6_000), pick(b, 3, 1)},
		{4, pick(b, 12_000, 6_000), pick(b, 3, 1)},
	} {
		var ours, pairs, signed spends
		size := 0.0
		for i := range v.runs {
			dir := filepath.Join(b.dir, fmt.Sprintf("ledger-%d-%d", v.validators, i))
			l, err := newLoad(filepath.Join(dir, "salus"), v.validators, v.txs)
			if err != nil {
				return out, err
			}
			size = l.size
			for _, x := range []struct {
				name string
				load func(dir string) (*load, error)
				open opener
				to   *spends
			}{
				{"ledger", func(string) (*load, error) { return l, nil }, openSalus, &ours},
				{"kvstore", l.asPairs, openPairs, &pairs},
				{"signed", l.asSigned, openSigned, &signed},
			} {
				k, err := x.load(filepath.Join(dir, x.name))
				if err != nil {
					return out, err
				}
				s, err := k.commit(ctx, b, fmt.Sprintf("%s-%d", x.name, v.validators), x.open)
				if err != nil {
					return out, fmt.Errorf("%s on %s: %w", x.name, plural(v.validators, "validator"), err)
				}
				x.to.add(s)
			}
		}
		what := fmt.Sprintf("committed anchor.put of %.0f bytes, %d in each run, %s", size, v.txs, plural(v.validators, "validator"))
		base := "CometBFT's own kvstore application (in memory, no signatures), the same bytes and configuration"
		floor := "an application in memory that verifies one Ed25519 signature of each transaction once, in CheckTx, and does nothing else"
		name := func(s string) string { return fmt.Sprintf("ledger.put.%d%s", v.validators, s) }
		out = append(out,
			newResult(name(""), "tx/s", "ratio >= 0.5", ours.rate, pairs.rate).about(what, base),
			newResult(name(".bytes"), "MB/s", "ratio >= 0.5", scale(ours.rate, size/1e6), scale(pairs.rate, size/1e6)).about("the same in bytes of transactions", base),
			newResult(name(".cpu"), "µs/tx", "ratio <= 2", ours.cpu, pairs.cpu).about("CPU time of all validators together, per transaction; what else runs on the machine does not count", base),
			newResult(name(".signed"), "tx/s", "ratio >= 0.5", ours.rate, signed.rate).about("the same transactions per second again", floor),
			newResult(name(".signed.cpu"), "µs/tx", "ratio <= 2", ours.cpu, signed.cpu).about("the same CPU time again", floor))
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

// An opener makes the application of a home, and what is to be closed after it.
type opener = func(*config.Config) (abci.Application, io.Closer, error)

// openSalus opens the whole state machine as package node does.
func openSalus(c *config.Config) (abci.Application, io.Closer, error) {
	dir := c.Data("ledger")
	store, err := state.Open(dir, state.Options{})
	if err != nil {
		return nil, nil, err
	}
	app, err := ledger.New(ledger.Config{
		Modules: node.Modules(), Store: store, Params: governance.LedgerParams, Authenticate: access.Authenticate, Dir: dir,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return app, app, nil
}

func openPairs(*config.Config) (abci.Application, io.Closer, error) {
	return kvstore.NewInMemoryApplication(), io.NopCloser(nil), nil
}
