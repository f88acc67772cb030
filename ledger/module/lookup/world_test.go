package lookup_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/threshold"
	"salus/threshold/oprf"
)

// A world is a chain of the modules without its engine: blocks of messages that
// are already authenticated, and the custodians' secrets. Accounts go by name.
type world struct {
	testing.TB
	state  *state.Cache
	height int64
	time   uint64
	txs    int
	calls  map[tx.Kind]ledger.Call
	rand   io.Reader
	evals  []threshold.Share // of custodian i at i-1
	opens  []threshold.Share
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

const start = 1_800_000_000

func account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

func digest(name string) tx.Hash { return sha256.Sum256([]byte(name)) }

func key(name string) tx.PublicKey {
	seed := digest("key/" + name)
	return tx.PublicKey{Alg: tx.AlgEd25519, Key: ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)}
}

var names = []string{"hospital", "clinic", "practice", "laboratory"}

func modules() []ledger.Module {
	return []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), consent.Module(), audit.Module(), lookup.Module(),
	}
}

func genesis() governance.Genesis {
	var g governance.Genesis
	for _, name := range names {
		class := governance.Hospital
		validator, peer := digest("validator/"+name), digest("peer/"+name)
		g.Members = append(g.Members, governance.Admit{
			Account: account(name), Name: "Sample " + name, Class: class, Validator: validator[:], Peer: peer[:],
			Address: name + ".example:7000", Keys: []tx.PublicKey{key(name)},
		})
	}
	return g
}

// newWorld starts a network of four members, with a doctor and a clerk of the clinic, and
// patients whose steward is the hospital.
func newWorld(t testing.TB) *world {
	t.Helper()
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte(t.Name()))
	w := &world{TB: t, state: state.NewCache(nothing{}), time: start, calls: map[tx.Kind]ledger.Call{}, rand: h}
	raw, err := json.Marshal(genesis())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules() {
		for _, c := range m.Calls {
			w.calls[c.Kind] = c
		}
		if m.Name != "governance" {
			raw = nil
		}
		if err := m.Genesis(w.context(w.state, ledger.Signer{}), raw); err != nil {
			t.Fatal(err)
		}
	}
	w.block(5)
	for name, p := range map[string]uint32{"doctor": identity.PrivRead | identity.PrivEmergency, "clerk": identity.PrivRead, "cleaner": identity.PrivAdmin} {
		w.must("clinic", identity.KindRegister, &identity.Register{
			Account: account(name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{key(name)}, Privileges: p,
		})
	}
	for _, p := range []string{"alice", "bob"} {
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(p), Keys: []tx.PublicKey{key(p)}})
	}
	w.block(5)
	return w
}

func (w *world) context(s *state.Cache, by ledger.Signer) *ledger.Context {
	w.txs++
	return &ledger.Context{Height: w.height, Time: w.time, Chain: "test", Tx: digest(fmt.Sprint("tx/", w.txs)), Signer: by, State: s}
}

// do runs one transaction: what is refused leaves no trace.
func (w *world) do(by string, kind tx.Kind, m tx.Message) (tx.Hash, error) {
	w.Helper()
	p, _, ok := identity.Standing(w.state, account(by))
	if !ok {
		return tx.Hash{}, errors.New(by + " cannot sign")
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

func (w *world) must(by string, kind tx.Kind, m tx.Message) tx.Hash {
	w.Helper()
	id, err := w.do(by, kind, m)
	if err != nil {
		w.Fatalf("%s by %s: %v", kind, by, err)
	}
	return id
}

// refuse expects a refusal by its code.
func (w *world) refuse(want error, by string, kind tx.Kind, m tx.Message) {
	w.Helper()
	if _, err := w.do(by, kind, m); !errors.Is(err, want) {
		w.Errorf("%s by %s: got %v, want %v", kind, by, err, want)
	}
}

// actions lists what the chain of a patient says, by the log.
func (w *world) chain(patient string) uint64 {
	at, _ := audit.At(w.state, account(patient))
	return at.Seq
}

// block lets the hooks of a block run at its time, and begins the next one that many
// seconds later.
func (w *world) block(seconds uint64) {
	w.height, w.time = w.height+1, w.time+seconds
	if w.time > start+5 {
		if err := lookup.Module().EndBlock(w.context(w.state, ledger.Signer{})); err != nil {
			w.Fatal(err)
		}
	}
}

func onWire(in []oprf.Element) []tx.Hash {
	out := make([]tx.Hash, len(in))
	for i := range in {
		out[i] = tx.Hash(in[i])
	}
	return out
}

// A pair is one dealer's two dealings.
type pair struct{ eval, open *oprf.Dealing }

func (w *world) dealing(n, t int) pair {
	eval, err := oprf.Deal(w.rand, n, t)
	if err != nil {
		w.Fatal(err)
	}
	open, err := oprf.Deal(w.rand, n, t)
	if err != nil {
		w.Fatal(err)
	}
	return pair{eval, open}
}

func (p pair) message(number uint64) *lookup.Deal {
	return &lookup.Deal{Ceremony: number, Eval: onWire(p.eval.Commitments), Open: onWire(p.open.Commitments)}
}

func (p pair) answer(number uint64, to int) *lookup.Answer {
	return &lookup.Answer{Ceremony: number, Recipient: uint8(to), Eval: tx.Hash(p.eval.Shares[to-1]), Open: tx.Hash(p.open.Shares[to-1])}
}

// members returns the names in the order of their custodian index.
func (w *world) members() []string {
	e, err := committee.Current(w.state)
	if err != nil {
		w.Fatal(err)
	}
	out := make([]string, len(e.Members))
	for _, name := range names {
		i, ok := e.IndexOf(account(name))
		if ok {
			out[i-1] = name
		}
	}
	return out
}

// makeKey runs a whole ceremony in which everybody is honest.
func (w *world) makeKey() lookup.Key {
	w.Helper()
	who := w.members()
	n, t := len(who), 3
	w.must(who[0], lookup.KindBegin, &lookup.Begin{Number: 1})
	deals := make([]pair, n)
	for i := range who {
		deals[i] = w.dealing(n, t)
		w.must(who[i], lookup.KindDeal, deals[i].message(1))
	}
	w.block(1)
	for i := range who {
		w.must(who[i], lookup.KindVouch, &lookup.Vouch{Ceremony: 1, Sound: 15})
	}
	w.block(1)
	k, ok := lookup.Current(w.state)
	if !ok {
		w.Fatal("got no key")
	}
	w.collect(deals, k)
	return k
}

// collect adds up the custodians' shares of the dealings and compares them with the key.
func (w *world) collect(deals []pair, k lookup.Key) {
	w.Helper()
	w.evals, w.opens = nil, nil
	for j := range k.Members {
		var evals, opens []threshold.Share
		for _, d := range deals {
			evals, opens = append(evals, d.eval.Shares[j]), append(opens, d.open.Shares[j])
		}
		e, err := oprf.JoinShares(evals)
		if err != nil {
			w.Fatal(err)
		}
		o, err := oprf.JoinShares(opens)
		if err != nil {
			w.Fatal(err)
		}
		w.evals, w.opens = append(w.evals, e), append(w.opens, o)
		pe, err1 := oprf.Public(e)
		po, err2 := oprf.Public(o)
		if err1 != nil || err2 != nil || tx.Hash(pe) != k.Evals[j] || tx.Hash(po) != k.Opens[j] {
			w.Fatalf("custodian %d: got a share that is not the ledger's", j+1)
		}
	}
}

// part is what custodian i does for an entry.
func (w *world) part(k lookup.Key, i int, entry tx.Hash, pointers ...lookup.Pointer) *lookup.Open {
	m := &lookup.Open{Entry: entry, Key: k.Number}
	for _, p := range pointers {
		q, err := oprf.EvaluatePartial(w.rand, i, w.opens[i-1], oprf.Element(p.Seal))
		if err != nil {
			w.Fatal(err)
		}
		m.Parts = append(m.Parts, lookup.Part{Element: tx.Hash(q.Element), Proof: q.Proof[:]})
	}
	return m
}

func (w *world) pointer(k lookup.Key, to tx.Hash) lookup.Pointer {
	p, err := oprf.SealPointer(w.rand, oprf.Element(k.Open), lookup.Label("test"), to)
	if err != nil {
		w.Fatal(err)
	}
	return lookup.PointerOf(p)
}

func find(name string) *lookup.Ask {
	return &lookup.Ask{Use: lookup.Find, Purpose: consent.TREAT, Element: digest(name)}
}

func enrol(name, patient string) *lookup.Ask {
	return &lookup.Ask{Use: lookup.Enrol, Purpose: consent.TREAT, Element: digest(name), Patient: account(patient)}
}

// next begins another custody epoch of these members, as module committee would.
func next(w *world, members []string) {
	w.Helper()
	e, err := committee.Current(w.state)
	if err != nil {
		w.Fatal(err)
	}
	e.Epoch++
	e.Members = nil
	for _, name := range members {
		e.Members = append(e.Members, account(name))
	}
	state.NewTable[committee.Epoch]("epochs", committee.Prefix, 0x01).Put(w.state, binary.BigEndian.AppendUint64(nil, e.Epoch), e)
	state.NewTable[pointerRow]("pointer", committee.Prefix, 0x02).Put(w.state, nil, pointerRow{e.Epoch})
}

type pointerRow struct {
	Epoch uint64 `cbor:"1,keyasint"`
}

// carried is what recipient j, from 0, makes of the opening halves of passed-on dealings.
func carried(deals []pair, j int) (threshold.Share, error) {
	var from []int
	var got []threshold.Share
	for i := range deals {
		from, got = append(from, i+1), append(got, deals[i].open.Shares[j])
	}
	return oprf.CarryShares(from, got)
}

// fork is the same world on a state of its own.
func (w *world) fork() *world {
	out := *w
	out.state = state.NewCache(w.state)
	return &out
}

// setParams changes the parameters, as a vote would.
func setParams(w *world, p governance.Params) {
	state.NewTable[governance.Params]("parameters", governance.Prefix, 0x02).Put(w.state, nil, p)
}
