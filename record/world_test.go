package record

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"
	abci "github.com/cometbft/cometbft/abci/types"

	"salus/client"
	"salus/custody"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/module/recovery"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

const (
	chainID = "salus-test"
	start   = 1_800_000_000
)

// members of every test network: n = 4, f = 1, t = 3.
var members = []string{"hospital", "clinic", "lab", "insurer"}

func digest(name string) tx.Hash { return sha256.Sum256([]byte(name)) }

func account(name string) tx.Account { h := digest("account/" + name); return tx.Account(h[:16]) }

func private(name string) ed25519.PrivateKey {
	h := digest("key/" + name)
	return ed25519.NewKeyFromSeed(h[:])
}

func signer(name string) tx.Signer { return tx.NewEd25519Signer(account(name), private(name)) }

func public(name string) tx.PublicKey { return signer(name).Public() }

// A world is a network of four organisations on one replica of the ledger, which makes a block
// for each transaction. Custodians, vaults and record services are real; links are calls.
type world struct {
	testing.TB
	dir  string
	app  *ledger.App
	hub  *client.Hub
	orgs map[string]*org
	time atomic.Int64 // nanoseconds; read without mu, for a custodian asks while it holds the ledger

	mu     sync.Mutex // guards what follows, one block at a time
	height int64
	nonces map[tx.Account]uint64
	puts   int // anchor.put that committed

	heard []byte // every body that went between members, in plaintext
}

// hear keeps what goes between members.
func (w *world) hear(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, b...)
}

// An org is one organisation.
type org struct {
	*world
	name    string
	vault   *vault.Store
	custody *custody.Custodian
	stop    func() // ends the custodian
	record  *Service

	mu   sync.Mutex // guards the hooks
	gate func(ctx context.Context, step string) error
	down bool

	serving sync.RWMutex // held for reading while an answer is made
}

// The steps at which a gate is asked.
const (
	stepKeys   = "keys"     // before custody keys are asked for: nothing is dealt yet
	stepParcel = "parcel"   // before a parcel goes to a custodian
	stepPack   = "pack"     // before a pack goes to another member
	stepPut    = "put"      // before the header is submitted
	stepAfter  = "put done" // after it committed
	stepTell   = "receipts" // before a custodian's receipts are submitted
)

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, members...)
}

// newWorldOf is newWorld with these organisations.
func newWorldOf(t testing.TB, members ...string) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), hub: client.NewHub(), orgs: map[string]*org{}, nonces: map[tx.Account]uint64{}}
	w.time.Store(time.Unix(start, 0).UnixNano())
	var g governance.Genesis
	for _, name := range members {
		validator, peer := digest("validator/"+name), digest("peer/"+name)
		g.Members = append(g.Members, governance.Admit{
			Account: account(name), Name: "Sample " + name, Class: governance.Class(name), Validator: validator[:], Peer: peer[:],
			Address: name + ".example:7000", Keys: []tx.PublicKey{public(name)},
		})
	}
	raw, err := json.Marshal(map[string]any{"governance": g})
	if err != nil {
		t.Fatal(err)
	}
	store, err := state.Open("ledger", state.Options{FS: vfs.NewMem(), PageCache: 4 << 20, BlockCache: 4 << 20, MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w.app, err = ledger.New(ledger.Config{
		Chain: chainID, Store: store, Params: governance.LedgerParams, Authenticate: access.Authenticate, Committed: w.hub.Notify,
		Modules: []ledger.Module{
			governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(), emergency.Module(), recovery.Module(), reshare.Module(), merge.Module(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.app.Close() })
	if _, err := w.app.InitChain(t.Context(), &abci.RequestInitChain{
		ChainId: chainID, Time: w.now().UTC(), InitialHeight: 1, AppStateBytes: raw,
	}); err != nil {
		t.Fatal(err)
	}
	w.block()
	for _, name := range members {
		w.addOrg(name)
	}
	for _, name := range members {
		w.orgs[name].runCustody()
	}
	w.await("custody keys", func(v *state.View) bool { return len(committee.LiveKeys(v, v.Meta().Time)) == len(members) })
	w.must("clinic", identity.KindRegister, &identity.Register{
		Account: account("doctor"), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{public("doctor")}, Privileges: identity.PrivRead,
	})
	return w
}

func (w *world) addOrg(name string) {
	w.Helper()
	o := &org{world: w, name: name}
	var err error
	if o.vault, err = vault.Open(filepath.Join(w.dir, "vault", name), vault.Options{Backend: vault.NewMemory(1 << 30)}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { o.vault.Close() })
	w.orgs[name] = o
}

// runCustody opens and runs the organisation's custodian.
func (o *org) runCustody() {
	o.Helper()
	c, err := custody.Open(custody.Config{
		Self: account(o.name), Chain: chainID, Dir: filepath.Join(o.dir, "custody", o.name), Ledger: o.app, Changed: o.hub.Changed,
		Submit: o, Links: o, Sign: private(o.name), HasPack: o.vault.HasPack, Now: o.now, Log: o.logger(),
	})
	if err != nil {
		o.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	o.custody, o.stop = c, func() {
		o.stop = func() {}
		cancel()
		if err := errors.Join(<-done, c.Close()); err != nil {
			o.Error(err)
		}
	}
	o.Cleanup(o.away) // the others may still ask
}

func (o *org) logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) now() time.Time {
	return time.Unix(0, w.time.Load())
}

// open opens the organisation's record service on a directory; "" is its own.
func (o *org) open(dir string) *Service {
	o.Helper()
	if dir == "" {
		dir = filepath.Join(o.dir, "record", o.name)
	}
	s, err := Open(context.Background(), o.config(dir))
	if err != nil {
		o.Fatal(err)
	}
	o.record = s
	o.Cleanup(func() {
		if o.record == s {
			o.close()
		}
	})
	return s
}

func (o *org) config(dir string) Config {
	return Config{
		Self: account(o.name), Chain: chainID, Dir: dir, StoreKey: digest("store/" + o.name), Sign: private(o.name), Ledger: o.app,
		Changed: o.hub.Changed, Submit: o, Links: o, Vault: o.vault, Fold: time.Millisecond, Log: o.logger(),
	}
}

func (o *org) close() {
	o.Helper()
	if o.record == nil {
		return
	}
	if err := o.record.Close(); err != nil {
		o.Error(err)
	}
	o.record = nil
}

// block commits one block, a second after the last.
func (w *world) block(raws ...[]byte) *abci.ResponseFinalizeBlock {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blockLocked(raws...)
}

func (w *world) blockLocked(raws ...[]byte) *abci.ResponseFinalizeBlock {
	w.height++
	w.time.Add(int64(time.Second))
	hash := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(w.height)))
	res, err := w.app.FinalizeBlock(context.Background(), &abci.RequestFinalizeBlock{Txs: raws, Height: w.height, Time: w.now().UTC(), Hash: hash[:]})
	if err == nil {
		_, err = w.app.Commit(context.Background(), &abci.RequestCommit{})
	}
	if err != nil {
		panic(err) // in whichever goroutine: no test goes on without a ledger
	}
	return res
}

// submit commits one transaction in a block of its own.
func (w *world) submit(kind tx.Kind, msg tx.Message, signers ...tx.Signer) (client.Committed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := signers[0].Account()
	w.nonces[by]++
	raw, id, err := tx.Sign(chainID, kind, msg, by, w.nonces[by], uint64(w.height+50), signers...)
	if err != nil {
		return client.Committed{}, err
	}
	r := w.blockLocked(raw).TxResults[0]
	got := client.Committed{ID: id, Height: w.height, Code: r.Code, Text: r.Log}
	if r.Code != tx.CodeOK {
		return got, tx.Refuse(r.Code, r.Log)
	}
	if kind == anchor.KindPut {
		w.puts++
	}
	return got, nil
}

func (w *world) must(by string, kind tx.Kind, msg tx.Message) client.Committed {
	w.Helper()
	got, err := w.submit(kind, msg, signer(by))
	if err != nil {
		w.Fatalf("%s by %s: %v", kind, by, err)
	}
	return got
}

// await waits until the ledger's state is so.
func (w *world) await(what string, is func(v *state.View) bool) {
	w.Helper()
	for {
		changed := w.hub.Changed()
		v := w.app.View()
		ok := is(v)
		v.Close()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-w.Context().Done():
			w.Fatalf("never: %s", what)
		}
	}
}

// as submits for the named signer.
type as struct {
	w       *world
	signers []tx.Signer
}

func (a as) Submit(_ context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	return a.w.submit(kind, msg, a.signers...)
}

func (w *world) as(signers ...tx.Signer) Submitter { return as{w, signers} }
