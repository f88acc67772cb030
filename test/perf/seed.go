package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble"
	abci "github.com/cometbft/cometbft/abci/types"
	sm "github.com/cometbft/cometbft/state"

	"salus/config"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/node"
)

// A seed is the homes of a network that does not run, and the one state machine that all of
// them will begin with. It is fed whole blocks without consensus: the same code executes and
// commits them, and leaves the same bytes as if CometBFT had delivered them, but for
// signatures: they are random bytes that nobody verifies, because verifying a million would
// take longer than the measurement.
type seed struct {
	load
	dir      string
	chain    string
	genesis  sm.State // of consensus, before the first block
	app      *ledger.App
	nonces   map[tx.Account]uint64
	anchored int
	people   *people
}

// newSeed makes homes whose members may fill a block each.
func newSeed(ctx context.Context, dir string, validators int) (*seed, error) {
	l, chain, err := newHomes(dir, validators, wholeBlocks())
	if err != nil {
		return nil, err
	}
	s := &seed{load: *l, dir: dir, chain: chain, nonces: map[tx.Account]uint64{}}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.genesis, err = initChain(ctx, s.homes[0], s.app)
	return s, err
}

// wholeBlocks raises every quota to a block: what is measured is the engine.
func wholeBlocks() governance.Changes {
	memberTxs, memberBytes, patientTxs := uint64(100_000), uint64(4<<20), uint64(1000)
	return governance.Changes{MemberTxs: &memberTxs, MemberBytes: &memberBytes, PatientTxs: &patientTxs}
}

// open opens the state machine that blocks are fed to. It believes every signature.
func (s *seed) open() error {
	c := s.homes[0]
	store, err := state.Open(c.Data("ledger"), state.Options{})
	if err != nil {
		return err
	}
	s.app, err = ledger.New(ledger.Config{
		Modules: node.Modules(), Store: store, Params: governance.LedgerParams, Dir: c.Data("ledger"),
		Authenticate: func(r state.Reader, h ledger.Head, p ledger.Params, b *tx.Body, e *tx.Envelope, digest tx.Hash, _ ledger.VerifyFunc) (ledger.Signer, error) {
			return access.Authenticate(r, h, p, b, e, digest, believe)
		},
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return nil
}

func believe(tx.PublicKey, tx.Hash, *tx.Signature, tx.PasskeyPolicy) error { return nil }

// close lets go of the state; what was fed stays.
func (s *seed) close() error { return s.app.Close() }

// sign makes a transaction of the signer's next nonce with a random signature.
func (s *seed) sign(kind tx.Kind, m tx.Message, as tx.Signer) ([]byte, error) {
	account := as.Account()
	s.nonces[account]++
	return unverified(s.chain, kind, m, as, s.nonces[account])
}

// unverified makes a transaction that only a seed takes.
func unverified(chain string, kind tx.Kind, m tx.Message, as tx.Signer, nonce uint64) ([]byte, error) {
	body, _, err := tx.Prepare(chain, kind, m, as.Account(), nonce, 5000)
	if err != nil {
		return nil, err
	}
	sig := make([]byte, ed25519.SignatureSize)
	if _, err := rand.Read(sig); err != nil {
		return nil, err
	}
	return tx.Assemble(body, tx.Signature{Account: as.Account(), Key: as.Public().ID(), Alg: tx.AlgEd25519, Sig: sig})
}

var errRefused = errors.New("perf: a seeded transaction was refused")

// block feeds one block. Every transaction of it must succeed.
func (s *seed) block(ctx context.Context, txs [][]byte) error {
	h := s.app.Head().Height + 1
	hash := binary.BigEndian.AppendUint64(make([]byte, 24), uint64(h))
	res, err := s.app.FinalizeBlock(ctx, &abci.RequestFinalizeBlock{Height: h, Time: time.Now().Add(-2 * time.Second), Hash: hash, Txs: txs})
	if err != nil {
		return err
	}
	for _, r := range res.TxResults {
		if r.Code != tx.CodeOK {
			return fmt.Errorf("%w: %s", errRefused, r.Log)
		}
	}
	_, err = s.app.Commit(ctx, &abci.RequestCommit{})
	return err
}

// seedBlock is how many records a seeded block anchors.
const seedBlock = 8192

// anchorTo anchors records, each as a batch of its own, until there are n: a put by one of the
// members in turn, and the receipts of three custodians, which make it active.
func (s *seed) anchorTo(ctx context.Context, n int) error {
	members, err := s.members()
	if err != nil {
		return err
	}
	type made struct {
		txs [][]byte
		n   int
		err error
	}
	ready := make(chan made, 1) // the next block is made while one is executed
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(ready)
		for at := s.anchored; at < n; {
			m := made{n: min(seedBlock, n-at)}
			m.txs, m.err = s.anchors(members, m.n)
			at += m.n
			select {
			case ready <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	for m := range ready {
		if m.err == nil {
			m.err = s.block(ctx, m.txs)
		}
		if m.err != nil {
			return fmt.Errorf("after %d records: %w", s.anchored, m.err)
		}
		s.anchored += m.n
	}
	return ctx.Err()
}

// settle waits until the store has sorted what was fed to it: feeding is hundreds of times faster
// than life, and no network would begin a day with that work still before it.
func settle(ctx context.Context) error {
	const look, idle = 250 * time.Millisecond, 25 * time.Millisecond
	t := time.NewTicker(look)
	defer t.Stop()
	for last := cpuTime(); ; {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now := cpuTime()
		if now-last < idle {
			return nil
		}
		last = now
	}
}

// anchors makes the transactions that anchor n records and activate them.
func (s *seed) anchors(members []tx.Signer, n int) ([][]byte, error) {
	txs, headers := make([][]byte, 0, n+n/100), make([]tx.Hash, 0, n)
	for i := range n {
		by := members[i%len(members)]
		put, err := randomPut(s.chain, by.Account(), len(members))
		if err != nil {
			return nil, err
		}
		put.Header.Count = 1
		raw, err := s.sign(anchor.KindPut, put, by)
		if err != nil {
			return nil, err
		}
		txs, headers = append(txs, raw), append(headers, put.Header.Hash())
	}
	slices.SortFunc(headers, func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) })
	for _, by := range members[:len(members)-(len(members)-1)/3] {
		for some := range slices.Chunk(headers, anchor.MaxReceipts) {
			m := &anchor.Receipts{}
			for _, h := range some {
				m.List = append(m.List, anchor.Receipt{Header: h, Holds: true})
			}
			raw, err := s.sign(anchor.KindReceipts, m, by)
			if err != nil {
				return nil, err
			}
			txs = append(txs, raw)
		}
	}
	return txs, nil
}

// members are the signers of the members' own keys, one for each home.
func (l *load) members() ([]tx.Signer, error) {
	var out []tx.Signer
	for _, c := range l.homes {
		seed, err := node.WriteSeed(c.MemberKeyFile()) // reads the one that is there
		if err != nil {
			return nil, err
		}
		out = append(out, tx.NewEd25519Signer(c.Member, ed25519.NewKeyFromSeed(seed[:])))
	}
	return out, nil
}

// plant copies the homes to dir, on ports of their own, so that they start from what was fed
// so far: the ledger of each of them is the one state, and each custodian has read its log.
func (s *seed) plant(dir string) (*load, error) {
	head := s.app.Head()
	v := s.app.View()
	size := v.Size()
	v.Close()
	if err := s.app.Close(); err != nil {
		return nil, err
	}
	l, err := s.copyTo(dir, size)
	if err == nil {
		err = bootstrap(l.homes, s.genesis, head)
	}
	return l, errors.Join(err, s.open())
}

func (s *seed) copyTo(dir string, log uint64) (*load, error) {
	homes, err := cloneHomes(s.dir, dir, s.homes)
	if err != nil {
		return nil, err
	}
	for _, c := range homes {
		if err := linkStore(s.homes[0].Data("ledger"), c.Data("ledger")); err != nil {
			return nil, err
		}
		if err := haveRead(c, log); err != nil {
			return nil, err
		}
	}
	return &load{homes: homes}, nil
}

// haveRead lets a custodian begin after the seeded log: nobody has the shares of the seeded
// records, and it would ask for them for ever. The row is the cursor of package custody.
func haveRead(c *config.Config, log uint64) error {
	db, err := pebble.Open(filepath.Join(c.Data("custody"), "rows"), &pebble.Options{Logger: quiet{}})
	if err != nil {
		return err
	}
	return errors.Join(db.Set([]byte("mc"), binary.BigEndian.AppendUint64(nil, log), pebble.Sync), db.Close())
}
