package recovery_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A world is a chain of the modules without its engine: blocks of messages that
// are already authenticated. Accounts go by name.
type world struct {
	testing.TB
	state      *state.Cache
	height     int64
	time       uint64
	txs        int
	keys       map[string]string // by which key somebody signs, if not her first
	unverified bool              // the next signers' passkeys did not verify their users
	calls      map[tx.Kind]ledger.Call
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

// newWorld starts a network of four members, with people of the clinic and the
// insurer, and patients whose steward is the hospital.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, state: state.NewCache(nothing{}), time: start, keys: map[string]string{}, calls: map[tx.Kind]ledger.Call{}}
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"clinic", governance.Clinic}, {"insurer", governance.Insurer}, {"regulator", governance.Regulator}} {
		validator, peer := digest("validator/"+m.name), digest("peer/"+m.name)
		g.Members = append(g.Members, governance.Admit{
			Account: account(m.name), Name: "Sample " + m.name, Class: m.class, Validator: validator[:], Peer: peer[:],
			Address: m.name + ".example:7000", Keys: []tx.PublicKey{key(m.name)},
		})
	}
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(), emergency.Module(), recovery.Module(),
	} {
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
	for _, p := range []string{"registrar", "officer", "third"} {
		w.register("hospital", p, identity.PrivRead|identity.PrivReproof)
	}
	w.register("hospital", "clerk", identity.PrivRead|identity.PrivReview)
	w.register("clinic", "stranger", identity.PrivReproof)
	w.register("clinic", "stranger2", identity.PrivReproof)
	w.register("clinic", "doctor", identity.PrivRead|identity.PrivEmergency, "doctor")
	w.register("insurer", "payer", identity.PrivRead|identity.PrivReproof)
	for _, p := range []string{"alice", "bob", "mother", "friend", "sister", "lawyer"} {
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(p), Keys: []tx.PublicKey{key(p)}})
	}
	w.block(5)
	return w
}

func (w *world) register(member, name string, privileges uint32, roles ...string) {
	w.Helper()
	w.must(member, identity.KindRegister, &identity.Register{
		Account: account(name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{key(name)}, Roles: roles, Privileges: privileges,
	})
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
	c := w.context(scratch, ledger.Signer{Account: p.Account, Class: p.Class, Member: p.Member, Key: key(w.with(by)).ID(), UserVerified: !w.unverified})
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

// refuse expects a refusal by its code, and nothing in the log.
func (w *world) refuse(want error, by string, kind tx.Kind, m tx.Message) {
	w.Helper()
	before := w.state.Size()
	_, err := w.do(by, kind, m)
	if !errors.Is(err, want) {
		w.Errorf("%s by %s: got %v, want %v", kind, by, err, want)
	}
	if after := w.state.Size(); after != before {
		w.Errorf("%s by %s: a refused transaction left a trace", kind, by)
	}
}

// chain is how many entries the audit chain of alice has.
func (w *world) chain() uint64 {
	at, _ := audit.At(w.state, account("alice"))
	return at.Seq
}

// block lets the hooks of a block run at its time, and begins the next one that
// many seconds later.
func (w *world) block(seconds uint64) {
	w.height, w.time = w.height+1, w.time+seconds
	if w.time > start+5 {
		if err := recovery.Module().EndBlock(w.context(w.state, ledger.Signer{})); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) with(by string) string {
	if k, ok := w.keys[by]; ok {
		return k
	}
	return by
}

// live says whether a key may sign for somebody in the block that is run.
func (w *world) live(who, k string, height int64) bool {
	_, ok := identity.KeyAt(w.state, account(who), key(k).ID(), uint64(height))
	return ok
}
