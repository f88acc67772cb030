package record

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"
	abci "github.com/cometbft/cometbft/abci/types"

	"salus/client"
	"salus/custody"
	"salus/exchange"
	"salus/fhir"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
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

	mu     sync.Mutex // guards what follows, one block at a time
	time   time.Time
	height int64
	nonces map[tx.Account]uint64
	puts   int // anchor.put that committed
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
}

// The steps at which a gate is asked.
const (
	stepKeys   = "keys"     // before custody keys are asked for: nothing is dealt yet
	stepParcel = "parcel"   // before a parcel goes to a custodian
	stepPack   = "pack"     // before a pack goes to another member
	stepPut    = "put"      // before the header is submitted
	stepAfter  = "put done" // after it committed
)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), hub: client.NewHub(), orgs: map[string]*org{}, time: time.Unix(start, 0), nonces: map[tx.Account]uint64{}}
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
		Chain: chainID, Store: store, Params: governance.LedgerParams, Authenticate: identity.Authenticate, Committed: w.hub.Notify,
		Modules: []ledger.Module{
			governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.app.Close() })
	if _, err := w.app.InitChain(t.Context(), &abci.RequestInitChain{
		ChainId: chainID, Time: w.time.UTC(), InitialHeight: 1, AppStateBytes: raw,
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
		cancel()
		if err := errors.Join(<-done, c.Close()); err != nil {
			o.Error(err)
		}
	}
	o.Cleanup(func() { o.stop() })
}

func (o *org) logger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
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
	w.time = w.time.Add(time.Second)
	hash := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(w.height)))
	res, err := w.app.FinalizeBlock(context.Background(), &abci.RequestFinalizeBlock{Txs: raws, Height: w.height, Time: w.time.UTC(), Hash: hash[:]})
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

// pass asks the gate about a step.
func (o *org) pass(ctx context.Context, step string) error {
	o.mu.Lock()
	gate := o.gate
	o.mu.Unlock()
	if gate == nil {
		return nil
	}
	return gate(ctx, step)
}

func (o *org) setGate(gate func(ctx context.Context, step string) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gate = gate
}

func (o *org) setDown(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *org) isDown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down
}

// Submit implements Submitter for the organisation itself.
func (o *org) Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	if kind == anchor.KindPut {
		if err := o.pass(ctx, stepPut); err != nil {
			return client.Committed{}, err
		}
	}
	got, err := o.submit(kind, msg, signer(o.name))
	if kind == anchor.KindPut && err == nil {
		err = o.pass(ctx, stepAfter)
	}
	return got, err
}

// Call implements Links: the other side sees only bytes.
func (o *org) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	step := map[string]string{exchange.PathKey: stepKeys, exchange.PathParcel: stepParcel}[path]
	if err := o.pass(ctx, step); err != nil {
		return err
	}
	other, err := o.reach(to)
	if err != nil {
		return err
	}
	b, err := other.serve(ctx, account(o.name), path, tx.MustEncode(req))
	if err != nil || resp == nil {
		return err
	}
	return tx.DecodeAny(b, resp, len(b))
}

func (o *org) reach(to tx.Account) (*org, error) {
	for _, other := range o.orgs {
		if account(other.name) == to && !other.isDown() {
			return other, nil
		}
	}
	return nil, client.ErrUnreachable
}

func (o *org) serve(ctx context.Context, from tx.Account, path string, b []byte) ([]byte, error) {
	switch path {
	case exchange.PathParcel:
		return answer(b, func(p *exchange.Parcel) (*struct{}, error) { return &struct{}{}, o.custody.Accept(ctx, from, p) })
	case exchange.PathParcelOf:
		return answer(b, func(q *exchange.ParcelRequest) (*exchange.Parcel, error) { return o.custody.Parcel(ctx, from, q) })
	case exchange.PathKey:
		return answer(b, func(q *exchange.KeyRequest) (*exchange.KeyReply, error) { return o.custody.Key(ctx, q) })
	case exchange.PathLocate:
		return answer(b, func(q *exchange.LocateRequest) (*exchange.Sealed, error) { return o.custody.Locate(ctx, q) })
	case exchange.PathRelease:
		return answer(b, func(q *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) { return o.custody.Release(ctx, q) })
	case exchange.PathSlots:
		return answer(b, func(q *exchange.SlotsRequest) (*exchange.SlotsReply, error) { return o.record.Slots(ctx, from, q) })
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

// Upload implements Links.
func (o *org) Upload(ctx context.Context, to tx.Account, _, arg string, body io.Reader, size int64) error {
	if err := o.pass(ctx, stepPack); err != nil {
		return err
	}
	other, err := o.reach(to)
	if err != nil {
		return err
	}
	id, err := vault.ParsePackID(arg)
	if err != nil {
		return err
	}
	if err := other.vault.ImportPack(ctx, id, body, size); err != nil {
		return err
	}
	return other.custody.PackArrived(id)
}

// Download implements Links.
func (o *org) Download(ctx context.Context, to tx.Account, _, arg string) (io.ReadCloser, int64, error) {
	other, err := o.reach(to)
	if err != nil {
		return nil, 0, err
	}
	raw, err := hex.DecodeString(arg)
	if err != nil {
		return nil, 0, err
	}
	b, err := other.vault.Get(ctx, vault.Address(raw))
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), err
}

// enrol is the EnrolFunc of an organisation.
func (o *org) enrol(ctx context.Context, patient tx.Account, claim tx.Hash) error {
	_, err := o.Submit(ctx, identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim})
	return err
}

// A patient is one with a wallet.
type patient struct {
	*Wallet
	slots *SlotMap
}

// patient enrols somebody at the hospital, who claims her pseudonym with a wallet.
func (w *world) patient(reference string) *patient {
	w.Helper()
	s := w.orgs["hospital"].record
	id, err := s.Enrol(w.Context(), reference, w.orgs["hospital"].enrol)
	if err != nil {
		w.Fatal(err)
	}
	code, err := s.ClaimCode(id)
	if err != nil {
		w.Fatal(err)
	}
	wallet, err := ClaimWallet(w.Context(), chainID, code, w.as)
	if err != nil {
		w.Fatal(err)
	}
	slots, err := wallet.SlotMap()
	if err != nil {
		w.Fatal(err)
	}
	return &patient{wallet, slots}
}

// grant lets the clinic read for treatment.
func (w *world) grant(p *patient, without ...fhir.Label) consent.GrantID {
	w.Helper()
	id, err := NewGrantID()
	if err != nil {
		w.Fatal(err)
	}
	if _, err := Grant(w.Context(), w.as(p.Signer()), p.Patient, p.slots, id, 0, Wish{
		Grantee: consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}, Purposes: consent.PurposesOf(consent.TREAT), Without: without,
	}); err != nil {
		w.Fatal(err)
	}
	return id
}

// session opens a session of the clinic's doctor, whose questions go through ways.
func (w *world) session(p *patient, ways Custodians) *Session {
	w.Helper()
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: ways}
	s, err := OpenSession(w.Context(), r, w.as(signer("doctor")), p.Patient, consent.TREAT, 10*time.Minute)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// ways reaches custodians and vaults as the clinic does.
func (w *world) ways() Custodians {
	return memberLinks{&Service{Config: Config{Self: account("clinic"), Links: w.orgs["clinic"], Vault: w.orgs["clinic"].vault}}}
}

// read opens everything clinical that a new session of the doctor may see.
func (w *world) read(p *patient) []string {
	w.Helper()
	s := w.session(p, w.ways())
	found, err := s.Locate(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	res, err := s.Read(w.Context(), clinical(found))
	if err != nil {
		w.Fatal(err)
	}
	if len(res.Bad) != 0 {
		w.Fatalf("custodians blamed: %v", res.Bad)
	}
	for _, o := range res.Records {
		out = append(out, string(o.Body))
	}
	return out
}

func clinical(found []Located) []Located {
	var out []Located
	for _, l := range found {
		if l.Clinical() {
			out = append(out, l)
		}
	}
	return out
}

// observation makes a small resource of the patient's; note goes into its text.
func observation(t testing.TB, id, note string, security ...string) fhir.Resource {
	t.Helper()
	var labels []string
	for _, s := range security {
		labels = append(labels, `{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"`+s+`"}`)
	}
	raw := fmt.Sprintf(`{"resourceType":"Observation","id":%q,"meta":{"security":[%s]},"status":"final",`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}]},"subject":{"reference":"Patient/p"},`+
		`"effectiveDateTime":"2024-05-01","note":[{"text":%q}]}`, id, strings.Join(labels, ","), note)
	r, err := fhir.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put stores resources at the hospital and returns the ids.
func (w *world) put(p tx.Account, rs ...fhir.Resource) []ID {
	w.Helper()
	acks, err := w.orgs["hospital"].record.Put(w.Context(), p, rs)
	if err != nil {
		w.Fatal(err)
	}
	ids := make([]ID, len(acks))
	for i, a := range acks {
		ids[i] = a.ID
	}
	return ids
}

func (w *world) active(ids ...ID) {
	w.Helper()
	if err := w.orgs["hospital"].record.Wait(w.Context(), ids...); err != nil {
		w.Fatal(err)
	}
}

// copyDir makes an image of a directory as a crash would leave it.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "image"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "image")
}
