package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

const start = 1_800_000_000

// A world is a chain of governance, identity and audit with four members: the
// hospitals h1 and h2, the insurer i1 and the clinic c1.
type world struct {
	state  *state.Cache
	height int64
	txs    int
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

func account(name string) tx.Account {
	h := sha256.Sum256([]byte("account/" + name))
	return tx.Account(h[:16])
}

func seed(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func private(name string) ed25519.PrivateKey {
	s := seed("key/" + name)
	return ed25519.NewKeyFromSeed(s[:])
}

func key(name string) tx.PublicKey {
	return tx.PublicKey{Alg: tx.AlgEd25519, Key: private(name).Public().(ed25519.PublicKey)}
}

func keys(names ...string) (list []tx.PublicKey) {
	for _, n := range names {
		list = append(list, key(n))
	}
	return list
}

func ids(names ...string) (list []tx.KeyID) {
	for _, n := range names {
		list = append(list, key(n).ID())
	}
	return list
}

func newWorld(t interface{ Fatal(...any) }) *world {
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"h1", governance.Hospital}, {"h2", governance.Hospital}, {"i1", governance.Insurer}, {"c1", governance.Clinic}} {
		v, p := seed("validator/"+m.name), seed("peer/"+m.name)
		g.Members = append(g.Members, governance.Admit{
			Account:   account(m.name),
			Name:      "Sample " + m.name,
			Class:     m.class,
			Validator: v[:],
			Peer:      p[:],
			Address:   m.name + ".example:7000",
			Keys:      keys(m.name),
		})
	}
	raw, err := json.Marshal(&g)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{state: state.NewCache(nothing{})}
	if err := governance.Module().Genesis(w.context(w.state, ledger.Signer{}), raw); err != nil {
		t.Fatal(err)
	}
	if err := genesis(w.context(w.state, ledger.Signer{}), nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) context(s *state.Cache, by ledger.Signer) *ledger.Context {
	w.txs++
	return &ledger.Context{
		Height: w.height,
		Time:   start + uint64(w.height),
		Chain:  "test",
		Tx:     sha256.Sum256(fmt.Append(nil, "tx/", w.txs)),
		Signer: by,
		State:  s,
	}
}

// do runs one transaction of an account that exists: what it refuses leaves no trace.
func do[P tx.Message](w *world, by string, handle func(*ledger.Context, P) error, m P) error {
	p, _ := Lookup(w.state, account(by))
	return doAs(w, ledger.Signer{Account: account(by), Class: p.Class, Member: p.Member, UserVerified: true}, handle, m)
}

func doAs[P tx.Message](w *world, by ledger.Signer, handle func(*ledger.Context, P) error, m P) error {
	if err := m.Validate(); err != nil {
		return err
	}
	scratch := state.NewCache(w.state)
	if err := handle(w.context(scratch, by), m); err != nil {
		return err
	}
	scratch.Flush()
	return nil
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// remove takes a member out of the network by the votes of all the others.
func (w *world) remove(t *testing.T, name string) {
	t.Helper()
	var others []string
	for _, n := range []string{"h1", "h2", "i1", "c1"} {
		if n != name {
			others = append(others, n)
		}
	}
	w.decide(t, governance.Action{Remove: &governance.Remove{Account: account(name)}}, others...)
}

// admit lets an insurer of that account and that key in.
func (w *world) admit(t *testing.T, name, withKey string) {
	t.Helper()
	p := seed("peer/" + name)
	w.decide(t, governance.Action{Admit: &governance.Admit{
		Account: account(name),
		Name:    "Sample " + name,
		Class:   governance.Insurer,
		Peer:    p[:],
		Address: name + ".example:7000",
		Keys:    keys(withKey),
	}}, "h1", "h2", "i1")
}

// decide carries an action out by these members' votes.
func (w *world) decide(t *testing.T, a governance.Action, by ...string) {
	t.Helper()
	gov := governance.Module()
	call := func(by string, kind tx.Kind, m tx.Message) tx.Hash {
		i := slices.IndexFunc(gov.Calls, func(c ledger.Call) bool { return c.Kind == kind })
		c := w.context(w.state, ledger.Signer{Account: account(by), Class: ledger.ClassMember, Member: account(by)})
		ok(t, gov.Calls[i].Run(c, tx.MustEncode(m)))
		return c.Tx
	}
	id := call(by[0], governance.KindPropose, &governance.Propose{Action: a})
	for _, n := range by[1:] {
		call(n, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
	ok(t, gov.EndBlock(w.context(w.state, ledger.Signer{})))
	if p, _ := governance.LookupProposal(w.state, id); p.Status != governance.Executed {
		t.Fatalf("got %v, want executed", p.Status)
	}
}

func practitioner(name string) *Register {
	return &Register{
		Account:    account(name),
		Class:      ledger.ClassPractitioner,
		Keys:       keys(name),
		Roles:      []string{"207Q00000X"},
		Privileges: PrivRead | PrivWrite,
	}
}

func patient(name string) *Enrol { return &Enrol{Patient: account(name), Keys: keys(name)} }
