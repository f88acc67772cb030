package custody

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"
	abci "github.com/cometbft/cometbft/abci/types"

	"salus/client"
	"salus/exchange"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/lookup"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

const (
	chainID = "salus-test"
	start   = 1_800_000_000

	retention = 3600 // seconds
)

var members = []string{"hospital", "clinic", "lab", "insurer"}

func digest(name string) tx.Hash { return sha256.Sum256([]byte(name)) }

func account(name string) tx.Account { h := digest("account/" + name); return tx.Account(h[:16]) }

func private(name string) ed25519.PrivateKey {
	h := digest("key/" + name)
	return ed25519.NewKeyFromSeed(h[:])
}

func public(name string) tx.PublicKey {
	return tx.Ed25519Key(private(name).Public().(ed25519.PublicKey))
}

// A world is a network of four members, or more: each with a ledger.App of all modules over a
// state.Store of its own, a vault and a custodian. Blocks are made on demand by real ABCI
// calls; every member's links end in the other custodians' methods.
type world struct {
	testing.TB
	dir   string
	nodes []*member

	mu     sync.Mutex   // one block at a time
	clock  atomic.Int64 // nanoseconds; read without mu, for a custodian asks while it holds the ledger
	blocks []*abci.RequestFinalizeBlock
	nonces map[tx.Account]uint64
	halt   chan struct{} // while it is not nil, no transaction of a custodian commits
}

// A member is one organisation's node.
type member struct {
	*Custodian
	w       *world
	name    string
	app     *ledger.App
	hub     *client.Hub
	vault   *vault.Store
	applied int                        // of w.blocks
	lags    bool                       // does not apply blocks
	refuses func(from tx.Account) bool // to hand over dealings
	down    bool                       // does not answer: who asks is told at once
	silent  bool                       // the same, and who asks is not told
	ignores tx.Account                 // it is silent to this one
	left    map[string][]error         // how who asked then gave up, by path
	lies    bool                       // confirms what nobody else does, in a resharing
	fetched int                        // bytes of dealings
	skew    time.Duration
	calls   map[string]int // answered, by path

	// Hooks at the seams, to stop a process there or to let a block in between.
	beforeHold, afterHold     func()
	beforeSubmit, afterSubmit func(tx.Kind) error
}

// View, Head and Hold implement Ledger.
func (m *member) View() *state.View { return m.app.View() }
func (m *member) Head() ledger.Head { return m.app.Head() }
func (m *member) Hold(f func(*state.View, ledger.Head) error) error {
	if m.beforeHold != nil {
		m.beforeHold()
	}
	err := m.app.Hold(f)
	if m.afterHold != nil {
		m.afterHold()
	}
	return err
}

// beginEpoch puts another committee in force, which no transaction of the real modules can
// do yet.
type beginEpoch struct {
	Epoch committee.Epoch `cbor:"1,keyasint"`
}

const kindEpoch tx.Kind = "epochs.begin"

func (*beginEpoch) Validate() error { return nil }

func (m *beginEpoch) handle(c *ledger.Context) error {
	c.State.Set(committee.EpochKey(m.Epoch.Epoch), tx.MustEncode(m.Epoch))
	c.State.Set([]byte{committee.Prefix, 0x02}, tx.MustEncode(struct {
		Epoch uint64 `cbor:"1,keyasint"`
	}{m.Epoch.Epoch}))
	return nil
}

func epochs() ledger.Module {
	begin := ledger.On(kindEpoch, func(c *ledger.Context, m *beginEpoch) error { return m.handle(c) })
	return ledger.Module{Name: "epochs", Prefix: 0x70, Calls: []ledger.Call{begin}}
}

func modules() []ledger.Module {
	return []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(), emergency.Module(), erasure.Module(), lookup.Module(), reshare.Module(), epochs(),
	}
}

// newWorld starts the network with a doctor, an emergency doctor, a clerk and three
// patients, and with the custodians' first keys on the ledger.
func newWorld(t testing.TB) *world { return newWorldOf(t, members...) }

// newWorldOf is newWorld with these organisations: the four there always are, and more.
func newWorldOf(t testing.TB, names ...string) *world {
	w := newLedgerOf(t, names...)
	for _, m := range w.nodes {
		m.reopen(filepath.Join(w.dir, m.name))
	}
	w.block()
	w.register("clinic", "doctor", identity.PrivRead)
	w.register("clinic", "other doctor", identity.PrivRead)
	for _, p := range []string{"alice", "bob", "carol"} {
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(p), Keys: []tx.PublicKey{public(p)}})
	}
	w.rotate() // publishes
	w.rotate() // copies what the others published
	return w
}

func newLedger(t testing.TB) *world { return newLedgerOf(t, members...) }

func newLedgerOf(t testing.TB, names ...string) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), nonces: map[tx.Account]uint64{}}
	w.clock.Store(time.Unix(start, 0).UnixNano())
	retain := uint64(retention)
	g := governance.Genesis{Params: governance.Changes{RetentionPeriod: &retain}}
	for i, name := range names {
		validator, peer := digest("validator/"+name), digest("peer/"+name)
		class := governance.Class(members[i%len(members)])
		g.Members = append(g.Members, governance.Admit{
			Account: account(name), Name: "Sample " + name, Class: class, Validator: validator[:], Peer: peer[:],
			Address: name + ".example:7000", Keys: []tx.PublicKey{public(name)},
		})
	}
	raw, err := json.Marshal(map[string]any{"governance": g})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		m := &member{w: w, name: name, hub: client.NewHub(), calls: map[string]int{}}
		store, err := state.Open("ledger", state.Options{FS: vfs.NewMem(), PageCache: 4 << 20, BlockCache: 4 << 20, MemTable: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		m.app, err = ledger.New(ledger.Config{
			Chain: chainID, Modules: modules(), Store: store, Params: governance.LedgerParams, Authenticate: access.Authenticate,
			Committed: m.hub.Notify,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.app.Close(); err != nil {
				t.Error(err)
			}
		})
		if m.vault, err = vault.Open(filepath.Join(w.dir, "vault", name), vault.Options{Backend: vault.NewMemory(1 << 30)}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.vault.Close() })
		if _, err := m.app.InitChain(context.Background(), &abci.RequestInitChain{
			ChainId: chainID, Time: time.Unix(start, 0).UTC(), InitialHeight: 1, AppStateBytes: raw,
		}); err != nil {
			t.Fatal(err)
		}
		w.nodes = append(w.nodes, m)
	}
	return w
}

// reopen closes the custodian, if it is open, and opens it on dir.
func (m *member) reopen(dir string) {
	m.w.Helper()
	m.close()
	c, err := m.open(dir)
	if err != nil {
		m.w.Fatal(err)
	}
	m.Custodian = c
	m.w.Cleanup(func() {
		if m.Custodian == c {
			m.close()
		}
	})
}

func (m *member) close() {
	if m.Custodian != nil {
		if err := m.Custodian.Close(); err != nil {
			m.w.Error(err)
		}
		m.Custodian = nil
	}
}

func (m *member) open(dir string) (*Custodian, error) {
	return Open(Config{
		Self: account(m.name), Chain: chainID, Dir: dir, Ledger: m, Changed: m.hub.Changed, Submit: m, Links: m,
		Sign: private(m.name), HasPack: m.vault.HasPack, Now: m.now, Log: slog.New(slog.NewTextHandler(m.w.Output(), nil)),
	})
}

func (m *member) now() time.Time {
	return m.w.now().Add(m.skew)
}

// node returns a member by its name.
func (w *world) node(name string) *member {
	for _, m := range w.nodes {
		if m.name == name {
			return m
		}
	}
	w.Fatalf("no member %s", name)
	return nil
}

// block makes a block of these transactions one second later, on every node that does not lag.
func (w *world) block(txs ...[]byte) *abci.ResponseFinalizeBlock {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blockLocked(txs...)
}

func (w *world) blockLocked(txs ...[]byte) *abci.ResponseFinalizeBlock {
	w.Helper()
	w.clock.Add(int64(time.Second))
	height := int64(len(w.blocks) + 1)
	hash := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(height)))
	w.blocks = append(w.blocks, &abci.RequestFinalizeBlock{Txs: txs, Height: height, Time: w.now().UTC(), Hash: hash[:]})
	var first *abci.ResponseFinalizeBlock
	for _, m := range w.nodes {
		if res := m.apply(); res != nil && first == nil {
			first = res
		}
	}
	return first
}

// apply brings the node to the head of the chain, unless it lags.
func (m *member) apply() (res *abci.ResponseFinalizeBlock) {
	m.w.Helper()
	for ; !m.lags && m.applied < len(m.w.blocks); m.applied++ {
		var err error
		if res, err = m.app.FinalizeBlock(context.Background(), m.w.blocks[m.applied]); err != nil {
			m.w.Fatal(err)
		}
		if _, err := m.app.Commit(context.Background(), &abci.RequestCommit{}); err != nil {
			m.w.Fatal(err)
		}
	}
	return res
}

// advance moves everybody's clock without a block.
func (w *world) advance(d time.Duration) {
	w.clock.Add(int64(d))
}

// sign makes a transaction.
func (w *world) sign(by string, kind tx.Kind, msg tx.Message) ([]byte, tx.Hash) {
	w.Helper()
	w.nonces[account(by)]++
	raw, id, err := tx.Sign(chainID, kind, msg, account(by), w.nonces[account(by)], uint64(len(w.blocks)+100), tx.NewEd25519Signer(account(by), private(by)))
	if err != nil {
		w.Fatalf("%s by %s: %v", kind, by, err)
	}
	return raw, id
}

// do commits one transaction in a block of its own.
func (w *world) do(by string, kind tx.Kind, msg tx.Message) (tx.Hash, error) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	raw, id := w.sign(by, kind, msg)
	if r := w.blockLocked(raw).TxResults[0]; r.Code != tx.CodeOK {
		return id, tx.Refuse(r.Code, r.Log)
	}
	return id, nil
}

func (w *world) must(by string, kind tx.Kind, msg tx.Message) tx.Hash {
	w.Helper()
	id, err := w.do(by, kind, msg)
	if err != nil {
		w.Fatalf("%s by %s: %v", kind, by, err)
	}
	return id
}

// Submit implements Submitter.
func (m *member) Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	m.w.mu.Lock()
	halt := m.w.halt
	m.w.mu.Unlock()
	if halt != nil { // nothing commits
		select {
		case <-halt:
		case <-ctx.Done():
			return client.Committed{}, ctx.Err()
		}
	}
	if m.beforeSubmit != nil {
		if err := m.beforeSubmit(kind); err != nil {
			return client.Committed{}, err
		}
	}
	id, err := m.w.do(m.name, kind, msg)
	if m.afterSubmit != nil && err == nil {
		err = m.afterSubmit(kind)
	}
	return client.Committed{ID: id}, err
}

// Call implements Links: the other side sees only bytes.
func (m *member) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	for _, n := range m.w.nodes {
		if account(n.name) != to || n.down || n.Custodian == nil {
			continue
		}
		if n.silent || n.ignores == account(m.name) {
			<-ctx.Done()
			m.w.mu.Lock()
			defer m.w.mu.Unlock()
			if n.left == nil {
				n.left = map[string][]error{}
			}
			n.left[path] = append(n.left[path], ctx.Err())
			return ctx.Err()
		}
		b, err := n.serve(ctx, account(m.name), path, tx.MustEncode(req))
		if err != nil {
			return err
		}
		if path == exchange.PathSubdeal {
			m.fetched += len(b)
		}
		return tx.DecodeAny(b, resp, len(b))
	}
	return client.ErrUnreachable
}

func (m *member) serve(ctx context.Context, from tx.Account, path string, b []byte) ([]byte, error) {
	m.w.mu.Lock()
	m.calls[path]++
	m.w.mu.Unlock()
	switch path {
	case exchange.PathParcels:
		return answer(b, func(l *exchange.Load) (*exchange.LoadReply, error) { return m.AcceptLoad(ctx, from, l) })
	case exchange.PathParcelOf:
		return answer(b, func(q *exchange.ParcelRequest) (*exchange.Parcel, error) { return m.Parcel(ctx, from, q) })
	case exchange.PathKey:
		return answer(b, func(q *exchange.KeyRequest) (*exchange.KeyReply, error) { return m.Key(ctx, q) })
	case exchange.PathLocate:
		return answer(b, func(q *exchange.LocateRequest) (*exchange.Sealed, error) { return m.Locate(ctx, q) })
	case exchange.PathRelease:
		return answer(b, func(q *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) { return m.Release(ctx, q) })
	case exchange.PathSubdeal:
		if m.refuses != nil && m.refuses(from) {
			return nil, ErrNoParcel
		}
		return answer(b, func(q *exchange.SubdealRequest) (*exchange.Sealed, error) { return m.Subdealt(ctx, from, q) })
	case exchange.PathOpenings:
		return answer(b, func(q *exchange.OpeningsRequest) (*exchange.Sealed, error) { return m.Openings(ctx, q) })
	case exchange.PathShares:
		return answer(b, func(q *exchange.SharesRequest) (*exchange.Sealed, error) { return m.Shares(ctx, from, q) })
	case exchange.PathEvaluate:
		return answer(b, func(q *exchange.EvaluateRequest) (*exchange.EvaluateReply, error) { return m.Evaluate(ctx, q) })
	case exchange.PathPoint:
		return answer(b, func(q *exchange.PointRequest) (*struct{}, error) { return &struct{}{}, m.Point(ctx, from, q) })
	case exchange.PathRows:
		return answer(b, func(q *exchange.RowsRequest) (*exchange.RowsReply, error) { return m.Rows(ctx, from, q) })
	case exchange.PathPointers:
		return answer(b, func(q *exchange.PointersRequest) (*exchange.PointersReply, error) { return m.Pointers(ctx, from, q) })
	}
	return nil, fmt.Errorf("no path %s", path)
}

func answer[Q, A any](b []byte, f func(*Q) (*A, error)) ([]byte, error) {
	q := new(Q)
	if err := tx.DecodeAny(b, q, len(b)); err != nil {
		return nil, err
	}
	a, err := f(q)
	if err != nil {
		return nil, err
	}
	return tx.Encode(a)
}

func (w *world) register(by, name string, privileges uint32) {
	w.Helper()
	w.must(by, identity.KindRegister, &identity.Register{
		Account: account(name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{public(name)}, Privileges: privileges,
	})
}

// rotate looks after every custodian's key.
func (w *world) rotate() {
	w.Helper()
	for _, m := range w.nodes {
		if m.Custodian != nil {
			if err := m.rotateOnce(context.Background()); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// step does once what the custodian's loops do all the time.
func (m *member) step() {
	m.w.Helper()
	ctx := context.Background()
	if err := m.readLog(ctx); err != nil {
		m.w.Fatal(err)
	}
	if err := m.destroyNoted(ctx); err != nil {
		m.w.Fatal(err)
	}
	if err := m.ingestReady(ctx); err != nil {
		m.w.Fatal(err)
	}
	for more := true; more; {
		var err error
		if more, err = m.sendDue(ctx); err != nil {
			m.w.Fatal(err)
		}
	}
	if err := m.attendOnce(ctx); err != nil {
		m.w.Fatal(err)
	}
}

func (w *world) step() {
	w.Helper()
	for _, m := range w.nodes {
		if m.Custodian != nil && !m.lags {
			m.step()
		}
	}
}

// entry decodes a log entry of this kind.
func (w *world) entry(v *state.View, i uint64, kind ledger.EntryKind, payload any) bool {
	w.Helper()
	raw, _ := v.Entry(i)
	var e ledger.Entry
	if tx.Decode(raw, &e) != nil || e.Kind != kind {
		return false
	}
	if err := tx.Decode(e.Payload, payload); err != nil {
		w.Fatal(err)
	}
	return true
}
