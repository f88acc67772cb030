// Package ledgertest runs a ledger in tests: through real ABCI calls, on two
// instances with two stores, whose answers and app hashes must agree in every
// block.
//
// Chain is the ledger in Go. Run tells stories to it: txtar scripts whose
// commands are transactions, blocks and reads, so that a module's test reads
// like the ledger's own history. The language is described at Run.
//
// Accounts go by name: Account, Key and Public derive them, so that nothing in
// a test depends on chance and app hashes can be kept as goldens.
//
// The package must never be imported by anything but tests.
package ledgertest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// ChainID is the chain id of every test chain.
const ChainID = "salus-test"

// Start is the time of every test chain's genesis, unix seconds.
const Start = 1_800_000_000

// Params say which state machine runs.
type Params struct {
	Modules      []ledger.Module
	Authenticate ledger.Authenticator             // for chains without an identity module: WithKeys
	Params       func(state.Reader) ledger.Params // nil: ledger.DefaultParams
	Plan         func(state.Reader) (ledger.Plan, bool)
	Newest       uint64         // 0: ledger.Version
	Genesis      map[string]any // app_state by module; marshalled to JSON
	Validators   []string       // names whose Key votes in consensus; none: the modules set them
	Options      state.Options
}

// Account is the account of that name.
func Account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

// Key is the private key of that name.
func Key(name string) ed25519.PrivateKey {
	h := sha256.Sum256([]byte("key/" + name))
	return ed25519.NewKeyFromSeed(h[:])
}

// Public is the public key of that name.
func Public(name string) tx.PublicKey {
	return tx.Ed25519Key(Key(name).Public().(ed25519.PublicKey))
}

// Signer signs as the account of that name with the key of that name.
func Signer(name string) tx.Signer { return tx.NewEd25519Signer(Account(name), Key(name)) }

// A Chain is one ledger on two instances.
type Chain struct {
	tb     testing.TB
	params Params
	dirs   [2]string
	apps   [2]*ledger.App
	time   time.Time
	nonces map[tx.Account]uint64
}

// New starts a chain; it is closed when the test ends.
func New(tb testing.TB, p Params) *Chain {
	tb.Helper()
	c := &Chain{tb: tb, params: p, time: time.Unix(Start, 0).UTC(), nonces: map[tx.Account]uint64{}}
	dir := tb.TempDir()
	for i := range c.apps {
		c.dirs[i] = filepath.Join(dir, fmt.Sprint("instance", i))
		c.apps[i] = c.open(i)
	}
	tb.Cleanup(func() {
		for _, a := range c.apps {
			if err := a.Close(); err != nil {
				tb.Errorf("close: %v", err)
			}
		}
	})
	req, err := p.InitChain()
	if err != nil {
		tb.Fatal(err)
	}
	answers := [2]*abci.ResponseInitChain{}
	for i, a := range c.apps {
		if answers[i], err = a.InitChain(context.Background(), req); err != nil {
			tb.Fatalf("genesis: %v", err)
		}
	}
	if d := cmp.Diff(answers[0].String(), answers[1].String()); d != "" {
		tb.Fatalf("instances differ at the genesis:\n%s", d)
	}
	return c
}

// InitChain is the request that starts a chain with these parameters.
func (p Params) InitChain() (*abci.RequestInitChain, error) {
	req := &abci.RequestInitChain{ChainId: ChainID, Time: time.Unix(Start, 0).UTC(), InitialHeight: 1}
	for _, name := range p.Validators {
		req.Validators = append(req.Validators, abci.Ed25519ValidatorUpdate(Public(name).Key, 1))
	}
	var err error
	if p.Genesis != nil {
		req.AppStateBytes, err = json.Marshal(p.Genesis)
	}
	return req, err
}

func (c *Chain) open(i int) *ledger.App {
	c.tb.Helper()
	a, err := c.params.Open(c.dirs[i])
	if err != nil {
		c.tb.Fatal(err)
	}
	return a
}

// Open makes an App of these parameters over the store in dir.
func (p Params) Open(dir string) (*ledger.App, error) {
	s, err := state.Open(dir, p.Options)
	if err != nil {
		return nil, err
	}
	a, err := ledger.New(ledger.Config{
		Chain: ChainID, Modules: p.Modules, Store: s, Dir: dir, Options: p.Options, Params: p.Params, Authenticate: p.Authenticate,
		Plan: p.Plan, Newest: p.Newest,
	})
	if err != nil {
		s.Close()
	}
	return a, err
}

// In is the chain as a subtest or fuzz target sees it.
func (c *Chain) In(tb testing.TB) *Chain {
	d := *c
	d.tb = tb
	return &d
}

// App returns instance 0 or 1.
func (c *Chain) App(i int) *ledger.App { return c.apps[i] }

// Restart closes an instance and opens it again from its disk.
func (c *Chain) Restart(i int) {
	c.tb.Helper()
	was := c.apps[i].Head()
	if err := c.apps[i].Close(); err != nil {
		c.tb.Fatal(err)
	}
	c.apps[i] = c.open(i)
	if got := c.apps[i].Head(); got != was {
		c.tb.Fatalf("head after a restart: got %+v, want %+v", got, was)
	}
}

// Head is the last committed block.
func (c *Chain) Head() ledger.Head { return c.apps[0].Head() }

// Now is the time of the last block, or what Wait made of it.
func (c *Chain) Now() time.Time { return c.time }

// Wait lets time pass until the next block.
func (c *Chain) Wait(d time.Duration) { c.time = c.time.Add(d) }

// Sign makes the next transaction of an account. Names after the first co-sign.
func (c *Chain) Sign(kind tx.Kind, msg tx.Message, names ...string) (raw []byte, id tx.Hash) {
	c.tb.Helper()
	account := Account(names[0])
	c.nonces[account]++
	return c.SignWith(kind, msg, c.nonces[account], uint64(c.Head().Height)+100, names...)
}

// SignWith is Sign with a nonce and expiry of the caller's choice. It does not
// validate msg: what is wrong with it is for the ledger to say.
func (c *Chain) SignWith(kind tx.Kind, msg tx.Message, nonce, expiry uint64, names ...string) (raw []byte, id tx.Hash) {
	c.tb.Helper()
	body := tx.MustEncode(&tx.Body{
		Chain: ChainID, Kind: kind, Payload: tx.MustEncode(msg), Signer: Account(names[0]), Nonce: nonce, Expiry: expiry,
	})
	id = tx.Digest(body, ChainID)
	var signatures []tx.Signature
	for _, n := range names {
		s, err := Signer(n).Sign(id)
		if err != nil {
			c.tb.Fatalf("sign %s: %v", kind, err)
		}
		signatures = append(signatures, s)
	}
	raw, err := tx.Assemble(body, signatures...)
	if err != nil {
		c.tb.Fatalf("sign %s: %v", kind, err)
	}
	return raw, id
}

// Check asks both instances for their verdict on a transaction for the mempool.
func (c *Chain) Check(raw []byte) *abci.ResponseCheckTx {
	c.tb.Helper()
	var answers [2]*abci.ResponseCheckTx
	for i, a := range c.apps {
		res, err := a.CheckTx(context.Background(), &abci.RequestCheckTx{Tx: raw})
		if err != nil {
			c.tb.Fatal(err)
		}
		answers[i] = res
	}
	if answers[0].Code != answers[1].Code {
		c.tb.Fatalf("instances differ in CheckTx: %#04x and %#04x", answers[0].Code, answers[1].Code)
	}
	return answers[0]
}

// Block proposes the transactions, lets both instances judge the proposal, and
// commits it. It returns how those that the proposer kept went.
func (c *Chain) Block(raws ...[]byte) []*abci.ExecTxResult {
	c.tb.Helper()
	txs := c.Prepare(raws...)
	if !c.Process(txs...) {
		c.tb.Fatal("an honest proposal was refused")
	}
	return c.Finalize(txs...).TxResults
}

// Prepare asks for a proposal made of the transactions.
func (c *Chain) Prepare(raws ...[]byte) [][]byte {
	c.tb.Helper()
	var answers [2][][]byte
	for i, a := range c.apps {
		res, err := a.PrepareProposal(context.Background(), &abci.RequestPrepareProposal{
			MaxTxBytes: 1 << 20, Txs: raws, Height: c.Head().Height + 1, Time: c.time,
		})
		if err != nil {
			c.tb.Fatal(err)
		}
		answers[i] = res.Txs
	}
	if d := cmp.Diff(answers[0], answers[1]); d != "" {
		c.tb.Fatalf("instances differ in PrepareProposal:\n%s", d)
	}
	return answers[0]
}

// Process reports whether the instances accept a proposal.
func (c *Chain) Process(raws ...[]byte) bool {
	c.tb.Helper()
	var accepted [2]bool
	for i, a := range c.apps {
		res, err := a.ProcessProposal(context.Background(), &abci.RequestProcessProposal{
			Txs: raws, Height: c.Head().Height + 1, Time: c.time, Hash: c.hash(raws),
		})
		if err != nil {
			c.tb.Fatal(err)
		}
		accepted[i] = res.IsAccepted()
	}
	if accepted[0] != accepted[1] {
		c.tb.Fatalf("instances differ in ProcessProposal: %v and %v", accepted[0], accepted[1])
	}
	return accepted[0]
}

// Finalize decides a block of exactly these transactions, proposable or not,
// and commits it. Instance 1 never saw it proposed, so that what a proposal
// left behind cannot matter.
func (c *Chain) Finalize(raws ...[]byte) *abci.ResponseFinalizeBlock {
	c.tb.Helper()
	var answers [2]*abci.ResponseFinalizeBlock
	for i, a := range c.apps {
		req := &abci.RequestFinalizeBlock{Txs: raws, Height: c.Head().Height + 1, Time: c.time, Hash: c.hash(raws)}
		if i == 1 {
			req.Hash = []byte("the same block under a hash that was never proposed")
		}
		res, err := a.FinalizeBlock(context.Background(), req)
		if err != nil {
			c.tb.Fatal(err)
		}
		answers[i] = res
	}
	if d := cmp.Diff(answers[0].String(), answers[1].String()); d != "" {
		c.tb.Fatalf("instances differ at height %d:\n%s", c.Head().Height+1, d)
	}
	for i, a := range c.apps {
		if err := a.CheckShared(); err != nil {
			c.tb.Error(err)
		}
		if _, err := a.Commit(context.Background(), &abci.RequestCommit{}); err != nil {
			c.tb.Fatal(err)
		}
		if h := a.Head(); !bytes.Equal(h.AppHash[:], answers[i].AppHash) {
			c.tb.Fatalf("height %d: committed app hash %x, finalised %x", h.Height, h.AppHash, answers[i].AppHash)
		}
	}
	return answers[0]
}

// hash stands in for the hash of the block's header.
func (c *Chain) hash(raws [][]byte) []byte {
	h := sha256.New()
	fmt.Fprint(h, c.Head().Height+1, c.time)
	for _, raw := range raws {
		fmt.Fprintf(h, "/%d/%s", len(raw), raw)
	}
	return h.Sum(nil)
}

// Do commits one transaction in a block of its own and returns its id and the
// refusal's code, tx.CodeOK for none. CheckTx must have come to the same code.
func (c *Chain) Do(kind tx.Kind, msg tx.Message, names ...string) (tx.Hash, *abci.ExecTxResult) {
	c.tb.Helper()
	raw, id := c.Sign(kind, msg, names...)
	return id, c.DoRaw(raw)
}

// DoRaw is Do for the bytes of a transaction. One that is refused is forced
// into a block all the same, to see that delivery refuses it likewise.
func (c *Chain) DoRaw(raw []byte) *abci.ExecTxResult {
	c.tb.Helper()
	check := c.Check(raw)
	var res *abci.ExecTxResult
	if kept := c.Prepare(raw); len(kept) == 1 {
		res = c.Block(raw)[0]
	} else {
		res = c.Finalize(raw).TxResults[0]
	}
	if res.Code != check.Code {
		c.tb.Fatalf("CheckTx answered %#04x, delivery %#04x", check.Code, res.Code)
	}
	return res
}

// Query asks both instances and returns their answer.
func (c *Chain) Query(req *abci.RequestQuery) *abci.ResponseQuery {
	c.tb.Helper()
	var answers [2]*abci.ResponseQuery
	for i, a := range c.apps {
		res, err := a.Query(context.Background(), req)
		if err != nil {
			c.tb.Fatal(err)
		}
		answers[i] = res
	}
	if d := cmp.Diff(answers[0].String(), answers[1].String()); d != "" {
		c.tb.Fatalf("instances differ in the answer to %s:\n%s", req.Path, d)
	}
	return answers[0]
}

// WithKeys authenticates the accounts of these names, each as a member with the
// key of its name, for chains without an identity module.
func WithKeys(names ...string) ledger.Authenticator {
	keys := map[tx.Account]tx.PublicKey{}
	for _, n := range names {
		keys[Account(n)] = Public(n)
	}
	return func(_ state.Reader, _ ledger.Head, p ledger.Params, b *tx.Body, e *tx.Envelope, digest tx.Hash, verify ledger.VerifyFunc) (ledger.Signer, error) {
		key, ok := keys[b.Signer]
		if !ok {
			return ledger.Signer{}, tx.Refuse(tx.CodeUnknownSigner, "ledgertest: nobody of that account")
		}
		s := &e.Signatures[0]
		if s.Account != b.Signer || s.Key != key.ID() {
			return ledger.Signer{}, tx.Refuse(tx.CodeKeyInactive, "ledgertest: not the account's key")
		}
		if err := verify(key, digest, s, tx.PasskeyPolicy{Origins: p.Origins, RequireUV: true}); err != nil {
			return ledger.Signer{}, err
		}
		return ledger.Signer{Account: b.Signer, Class: ledger.ClassMember, Member: b.Signer, Key: s.Key, UserVerified: true}, nil
	}
}
