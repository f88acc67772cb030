package reshare_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// failer is testing.TB and rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// A world is a chain of the modules without its engine: blocks of messages that are already
// authenticated, by members m0, m1 ... all of them validators.
type world struct {
	failer
	state  *state.Cache
	height int64
	time   uint64
	txs    int
	calls  map[tx.Kind]ledger.Call
	ends   []func(*ledger.Context) error
	dealt  map[tx.Hash]*batch
}

// A batch is what the custodians hold of one, in the epoch that holds it.
type batch struct {
	header      seal.Header
	commitments [][32]byte
	shares      [][]threshold.Share // by custodian - 1
	secret      []threshold.Secret
	since       reshare.Place
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

const start = 1_800_000_000

func name(i int) string { return fmt.Sprint("m", i) }

func account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

func digest(name string) tx.Hash { return sha256.Sum256([]byte(name)) }

func key(name string) tx.PublicKey {
	seed := digest("key/" + name)
	return tx.PublicKey{Alg: tx.AlgEd25519, Key: ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)}
}

func admit(i int) governance.Admit {
	validator, peer := digest("validator/"+name(i)), digest("peer/"+name(i))
	return governance.Admit{
		Account: account(name(i)), Name: "Sample " + name(i), Class: governance.Hospital, Validator: validator[:], Peer: peer[:],
		Address: name(i) + ".example:7000", Keys: []tx.PublicKey{key(name(i))},
	}
}

// newWorld starts a network of n validators, all of them custodians.
func newWorld(t failer, n int) *world {
	t.Helper()
	w := &world{failer: t, state: state.NewCache(nothing{}), time: start, calls: map[tx.Kind]ledger.Call{}, dealt: map[tx.Hash]*batch{}}
	wait, grace := uint64(30), uint64(100)
	g := governance.Genesis{Params: governance.Changes{ReshareWait: &wait, ReshareGrace: &grace}}
	for i := range n {
		g.Members = append(g.Members, admit(i))
	}
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), anchor.Module(), audit.Module(), erasure.Module(), reshare.Module(),
	} {
		for _, c := range m.Calls {
			w.calls[c.Kind] = c
		}
		if m.EndBlock != nil {
			w.ends = append(w.ends, m.EndBlock)
		}
		if m.Name != "governance" {
			raw = nil
		}
		if err := m.Genesis(w.context(w.state, ledger.Signer{}), raw); err != nil {
			t.Fatal(err)
		}
	}
	w.height = 1
	return w
}

func (w *world) context(s *state.Cache, by ledger.Signer) *ledger.Context {
	w.txs++
	return &ledger.Context{Height: w.height, Time: w.time, Chain: "test", Tx: digest(fmt.Sprint("tx/", w.txs)), Signer: by, State: s}
}

// do runs one transaction: what is refused leaves no trace.
func (w *world) do(by tx.Account, kind tx.Kind, m tx.Message) (tx.Hash, error) {
	w.Helper()
	p, _, ok := identity.Standing(w.state, by)
	if !ok {
		return tx.Hash{}, errors.New("cannot sign")
	}
	payload, err := tx.Encode(m)
	if err != nil {
		w.Fatal(err)
	}
	scratch := state.NewCache(w.state)
	c := w.context(scratch, ledger.Signer{Account: p.Account, Class: p.Class, Member: p.Member, UserVerified: true})
	if err := w.calls[kind].Run(c, payload); err != nil {
		return c.Tx, err
	}
	scratch.Flush()
	return c.Tx, nil
}

func (w *world) must(by tx.Account, kind tx.Kind, m tx.Message) tx.Hash {
	w.Helper()
	id, err := w.do(by, kind, m)
	if err != nil {
		w.Fatalf("%s: %v", kind, err)
	}
	return id
}

// refuse expects a refusal by its code, and nothing in the log.
func (w *world) refuse(want error, by tx.Account, kind tx.Kind, m tx.Message) {
	w.Helper()
	before := w.state.Size()
	if _, err := w.do(by, kind, m); !errors.Is(err, want) {
		w.Errorf("%s: got %v, want %v", kind, err, want)
	}
	if after := w.state.Size(); after != before {
		w.Errorf("%s: a refused transaction left a trace", kind)
	}
}

// block ends the block and begins the next one, that many seconds later.
func (w *world) block(seconds uint64) {
	w.Helper()
	for _, end := range w.ends {
		if err := end(w.context(w.state, ledger.Signer{})); err != nil {
			w.Fatal(err)
		}
	}
	w.height, w.time = w.height+1, w.time+seconds
}

// vote passes an action with the votes of all active members.
func (w *world) vote(a governance.Action) {
	w.Helper()
	active := governance.Active(w.state)
	id := w.must(active[0].Account, governance.KindPropose, &governance.Propose{Action: a})
	for _, m := range active[1:] {
		w.must(m.Account, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
	w.block(1)
	if p, _ := governance.LookupProposal(w.state, id); p.Status != governance.Executed {
		w.Fatalf("the proposal is %v, code %#x", p.Status, p.Code)
	}
}

func (w *world) current() committee.Epoch {
	w.Helper()
	e, err := committee.Current(w.state)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// anchor seals a batch of count records for the epoch in force and puts it on the ledger.
func (w *world) anchor(name string, count int) tx.Hash {
	w.Helper()
	return w.anchorBy(w.current().Members[0], name, count)
}

func (w *world) anchorBy(author tx.Account, name string, count int) tx.Hash {
	w.Helper()
	e := w.current()
	d, err := threshold.Deal(rand.Reader, count, int(e.N), int(e.T))
	if err != nil {
		w.Fatal(err)
	}
	h := seal.Header{
		Version: seal.Version, Suite: seal.Suite, Chain: "test", Author: author, PatientCommit: digest("patient"), BatchNonce: digest(name),
		Epoch: e.Epoch, N: e.N, T: e.T, Count: uint16(count), ManifestRoot: digest("manifest"), ShareRoots: digest("shares"),
		VSSRoot: seal.CommitmentsHash(d.Commitments),
	}
	id := tx.Hash(h.Hash())
	w.must(author, anchor.KindPut, &anchor.Put{Header: h, Envelopes: digest("envelopes"), Pack: digest("pack")})
	w.dealt[id] = &batch{header: h, commitments: d.Commitments, shares: d.Shares, secret: d.Secrets}
	return id
}

// activate brings receipts of the first t custodians.
func (w *world) activate(ids ...tx.Hash) {
	w.Helper()
	e := w.current()
	for _, id := range ids {
		for _, m := range e.Members[:e.T] {
			w.must(m, anchor.KindReceipts, &anchor.Receipts{List: []anchor.Receipt{{Header: id, Holds: true}}})
		}
	}
}

func (w *world) resharing() *reshare.Resharing {
	w.Helper()
	r, ok := reshare.Latest(w.state)
	if !ok {
		w.Fatal("no resharing")
	}
	return &r
}

func (w *world) members() (old, next committee.Epoch) {
	w.Helper()
	old, next, err := reshare.Members(w.state, w.resharing())
	if err != nil {
		w.Fatal(err)
	}
	return old, next
}

// An own is what one old custodian deals in a pass.
type own struct {
	dealer int
	order  []tx.Hash
	subs   []*threshold.Subdealing
	sums   [][]tx.Hash
	tree   *reshare.Tree
}

// deal makes and commits a dealing; twist changes it before it is committed to.
func (w *world) deal(dealer int, twist func(*own)) *own {
	w.Helper()
	r := w.resharing()
	p := r.Passes[r.Open()-1]
	old, _ := w.members()
	d := &own{dealer: dealer}
	anchor.EachActive(w.state, p.After, p.UpTo, func(id tx.Hash, _ anchor.Batch) bool {
		s, err := threshold.Subdeal(rand.Reader, w.dealt[id].shares[dealer-1], int(r.N), int(r.T))
		if err != nil {
			w.Fatal(err)
		}
		d.order, d.subs = append(d.order, id), append(d.subs, s)
		return true
	})
	if twist != nil {
		twist(d)
	}
	var leaves []tx.Hash
	for k, s := range d.subs {
		var sums []tx.Hash
		for _, v := range s.Shares {
			sums = append(sums, reshare.ShareSum(v))
		}
		d.sums = append(d.sums, sums)
		leaves = append(leaves, reshare.DealtLeaf(d.order[k], s.Commitments, sums))
	}
	d.tree = reshare.NewTree(leaves)
	w.must(old.Members[dealer-1], reshare.KindDeal, &reshare.DealAll{Name: w.name(), Count: p.Count, Root: d.tree.Root()})
	return d
}

func (w *world) name() reshare.Name {
	r := w.resharing()
	return reshare.Name{To: r.To, Start: r.Start, Pass: uint8(r.Open())}
}

// complaint opens dealing k of d to new custodian to.
func (w *world) complaint(d *own, k, to int) *reshare.Complain {
	b := w.dealt[d.order[k]]
	return &reshare.Complain{
		Name: w.name(), Dealer: uint8(d.dealer), Header: b.header, Previous: reshare.Slices(b.commitments), Since: b.since,
		Commitments: reshare.Slices(d.subs[k].Commitments), Sums: d.sums[k],
		At: reshare.Place{Number: uint64(k), Path: d.tree.Path(k)}, Shares: flat(d.subs[k].Shares[to-1]),
	}
}

func flat(shares []threshold.Share) (b []byte) {
	for i := range shares {
		b = append(b, shares[i][:]...)
	}
	return b
}

// combine makes the next epoch's batches out of these dealings, those that the ledger counts,
// and confirms them by every new custodian in by.
func (w *world) combine(all []*own, by ...int) {
	w.Helper()
	r := w.resharing()
	p := r.Passes[r.Open()-1]
	_, next := w.members()
	var used []*own
	for _, deal := range p.Sound() {
		i := slices.IndexFunc(all, func(o *own) bool { return o.dealer == int(deal.Dealer) })
		if used = append(used, all[i]); len(used) == int(r.OldT) {
			break
		}
	}
	var leaves []tx.Hash
	made := map[tx.Hash]*batch{}
	if p.Count > 0 {
		for k, id := range used[0].order {
			b := w.dealt[id]
			n := &batch{header: b.header, secret: b.secret}
			var from []int
			var lists [][][32]byte
			for _, u := range used {
				from, lists = append(from, u.dealer), append(lists, u.subs[k].Commitments)
			}
			var err error
			if n.commitments, err = threshold.NextCommitments(from, lists); err != nil {
				w.Fatal(err)
			}
			for j := 1; j <= int(r.N); j++ {
				var subs []threshold.Received
				for _, u := range used {
					subs = append(subs, threshold.Received{From: u.dealer, Commitments: u.subs[k].Commitments, Shares: u.subs[k].Shares[j-1]})
				}
				got, err := threshold.CombineSubdeals(b.commitments, j, int(r.T), len(b.shares[0]), subs)
				if err != nil || len(got.Blamed) > 0 {
					w.Fatalf("combine: %v, blamed %v", err, got.Blamed)
				}
				n.shares = append(n.shares, got.Shares)
			}
			leaves = append(leaves, reshare.NextLeaf(id, n.commitments))
			made[id] = n
		}
	}
	tree := reshare.NewTree(leaves)
	for k := range leaves {
		made[used[0].order[k]].since = reshare.Place{Number: uint64(k), Path: tree.Path(k)}
	}
	maps.Copy(w.dealt, made)
	for _, j := range by {
		w.must(next.Members[j-1], reshare.KindConfirm, &reshare.ConfirmAll{Name: w.name(), Left: p.Left, Root: tree.Root()})
	}
}

func upTo(n int) (all []int) {
	for i := 1; i <= n; i++ {
		all = append(all, i)
	}
	return all
}

// opens reports whether the first t custodians of the epoch can open every record.
func (w *world) opens(id tx.Hash) bool {
	w.Helper()
	b, e := w.dealt[id], w.current()
	for r := range b.secret {
		c, err := threshold.NewCombiner(upTo(int(e.T)))
		if err != nil {
			w.Fatal(err)
		}
		var shares []threshold.Share
		for i := range int(e.T) {
			shares = append(shares, b.shares[i][r+1])
		}
		got, err := c.Secret(shares)
		if err != nil || got != b.secret[r] {
			return false
		}
	}
	return true
}

// subdeal deals a vector to the next committee.
func subdeal(w *world, shares []threshold.Share) (*threshold.Subdealing, error) {
	r := w.resharing()
	return threshold.Subdeal(rand.Reader, shares, int(r.N), int(r.T))
}

func keysOf[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
