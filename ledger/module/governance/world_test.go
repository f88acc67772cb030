package governance

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A world is a chain of this module alone: blocks of messages that are already
// authenticated.
type world struct {
	state  *state.Cache
	height int64
	time   uint64
	txs    int
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

var nobody ledger.Signer

func freshState() *state.Cache { return state.NewCache(nothing{}) }

const start = 1_800_000_000

func account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

func bytes32(name string) []byte {
	h := sha256.Sum256([]byte(name))
	return h[:]
}

func key(name string) tx.PublicKey {
	pub := ed25519.NewKeyFromSeed(bytes32("key/" + name)).Public().(ed25519.PublicKey)
	return tx.PublicKey{Alg: tx.AlgEd25519, Key: pub}
}

func admission(name string, class Class, validates bool) *Admit {
	a := &Admit{
		Account: account(name),
		Name:    "Sample " + name,
		Class:   class,
		Peer:    bytes32("peer/" + name),
		Address: name + ".example:7000",
		Keys:    []tx.PublicKey{key(name)},
	}
	if validates {
		a.Validator = bytes32("validator/" + name)
	}
	return a
}

// newWorld starts a network with these validators, all hospitals.
func newWorld(t testing.TB, names ...string) *world {
	t.Helper()
	var g Genesis
	for _, n := range names {
		g.Members = append(g.Members, *admission(n, Hospital, true))
	}
	w, err := found(&g)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func found(g *Genesis) (*world, error) {
	raw, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	w := &world{state: freshState(), time: start}
	return w, genesis(w.context(w.state, nobody), raw)
}

func (w *world) context(s *state.Cache, by ledger.Signer) *ledger.Context {
	w.txs++
	return &ledger.Context{
		Height: w.height,
		Time:   w.time,
		Chain:  "test",
		Tx:     sha256.Sum256(fmt.Append(nil, "tx/", w.txs)),
		Signer: by,
		State:  s,
	}
}

// do runs one transaction of a member: what it refuses leaves no trace.
func do[P tx.Message](w *world, by string, handle func(*ledger.Context, P) error, m P) (tx.Hash, error) {
	return doAs(w, ledger.Signer{Account: account(by), Class: ledger.ClassMember, Member: account(by), UserVerified: true}, handle, m)
}

func doAs[P tx.Message](w *world, by ledger.Signer, handle func(*ledger.Context, P) error, m P) (tx.Hash, error) {
	if err := m.Validate(); err != nil {
		return tx.Hash{}, err
	}
	scratch := state.NewCache(w.state)
	c := w.context(scratch, by)
	if err := handle(c, m); err != nil {
		return c.Tx, err
	}
	scratch.Flush()
	return c.Tx, nil
}

// block ends the current block and begins the next one, that many seconds later.
func (w *world) block(t testing.TB, seconds uint64) {
	t.Helper()
	if err := settle(w.context(w.state, nobody)); err != nil {
		t.Fatal(err)
	}
	w.height++
	w.time += seconds
}

// ok checks the error of a call in place.
func ok(t *testing.T) func(tx.Hash, error) tx.Hash {
	return func(id tx.Hash, err error) tx.Hash {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
}
