package pcf

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
)

// A world is the ledger's modules without its engine: blocks of one message, already authenticated.
// Accounts go by name.
type world struct {
	testing.TB
	state   *state.Cache
	height  int64
	time    uint64
	calls   map[tx.Kind]ledger.Call
	changes []Change
	slots   *record.SlotMap
	random  *rand.ChaCha8
	fail    int // submissions until one fails; 0 for never
	papers  papers
	// community is who is not clinical; those that the ledger has if nil.
	community []tx.Account
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

// start is 2027-01-15.
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

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, state: state.NewCache(nothing{}), time: start, calls: map[tx.Kind]ledger.Call{}, random: rand.NewChaCha8([32]byte{1}), papers: papers{}}
	var g governance.Genesis
	for _, m := range []struct {
		name  string
		class governance.Class
	}{{"hospital", governance.Hospital}, {"clinic", governance.Clinic}, {"insurer", governance.Insurer}, {"institute", governance.Research}} {
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
	for _, m := range []ledger.Module{governance.Module(), identity.Module(), consent.Module(), audit.Module(), access.Module(), merge.Module()} {
		for _, c := range m.Calls {
			w.calls[c.Kind] = c
		}
		if m.Name != "governance" {
			raw = nil
		}
		if err := m.Genesis(w.context(ledger.Signer{}), raw); err != nil {
			t.Fatal(err)
		}
	}
	register := func(member, name string, roles ...string) {
		w.must(member, identity.KindRegister, &identity.Register{
			Account: account(name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{key(name)}, Roles: roles, Privileges: identity.PrivRead,
		})
	}
	register("clinic", "doctor", "doctor")
	register("hospital", "nurse", "nurse")
	register("hospital", "trauma surgeon", "doctor", "privileged")
	register("insurer", "adjudicator", "payer")
	register("institute", "researcher", "scientist")
	for _, p := range []string{"alice", "bob", "mother"} {
		w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(p), Keys: []tx.PublicKey{key(p)}})
	}
	if w.slots, err = record.NewSlotMap(w.random); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) context(by ledger.Signer) *ledger.Context {
	return &ledger.Context{Height: w.height, Time: w.time, Chain: "test", Tx: digest(fmt.Sprint("tx/", w.height)), Signer: by, State: w.state}
}

// do runs one transaction in a block of its own.
func (w *world) do(by string, kind tx.Kind, m tx.Message) error {
	w.height++
	w.time++
	p, _, ok := identity.Standing(w.state, account(by))
	if !ok {
		return errors.New(by + " cannot sign")
	}
	payload, err := tx.Encode(m)
	if err != nil {
		return err
	}
	scratch := state.NewCache(w.state)
	run := w.context(ledger.Signer{Account: p.Account, Class: p.Class, Member: p.Member, UserVerified: true})
	run.State = scratch
	if err := w.calls[kind].Run(run, payload); err != nil {
		return err
	}
	scratch.Flush()
	c := Change{Index: uint64(w.height), Height: uint64(w.height), Time: w.time, Tx: digest(fmt.Sprint("tx/", w.height)), By: p.Account}
	gave := func(id consent.GrantID) {
		c.ID = id
		c.Grant, _ = consent.LookupGrant(w.state, account("alice"), id)
		w.changes = append(w.changes, c)
	}
	revoked := func(id consent.GrantID) {
		c.ID = id
		w.changes = append(w.changes, c)
	}
	switch m := m.(type) {
	case *consent.Give:
		gave(m.Grant.ID)
	case *consent.Revoke:
		revoked(m.ID)
	case *consent.Change:
		for _, id := range m.Revoke {
			revoked(id)
		}
		for i := range m.Give {
			gave(m.Give[i].ID)
		}
	}
	return nil
}

// last is the id of the last transaction.
func (w *world) last() tx.Hash { return digest(fmt.Sprint("tx/", w.height)) }

func (w *world) must(by string, kind tx.Kind, m tx.Message) {
	w.Helper()
	if err := w.do(by, kind, m); err != nil {
		w.Fatalf("%s %s: %v", by, kind, err)
	}
}

// Chart implements Chain.
func (w *world) Chart(_ context.Context, patient tx.Account) (Chart, error) {
	c := Chart{Basis: consent.BasisOf(w.state, patient), Erased: erasure.PatientErased(w.state, patient), Steward: account("hospital"), Height: uint64(w.height), Time: w.time}
	c.Members = governance.Active(w.state)
	for _, m := range c.Members {
		if !m.Clinical && w.community == nil {
			c.Community = append(c.Community, m.Account)
		}
	}
	c.Community = append(c.Community, w.community...)
	return c, nil
}

// Changes implements Chain; every change of these tests is alice's.
func (w *world) Changes(context.Context, tx.Account) ([]Change, error) { return w.changes, nil }

// Asker implements Chain.
func (w *world) Asker(_ context.Context, patient, account tx.Account, purpose consent.Purpose) (identity.Principal, governance.Member, error) {
	return askerIn(w.state, patient, account, purpose, w.time)
}

// A signer submits as somebody.
type signer struct {
	w  *world
	by string
}

var errLink = errors.New("the link is down")

func (s signer) Submit(_ context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	if s.w.fail > 0 {
		if s.w.fail--; s.w.fail == 0 {
			return client.Committed{}, errLink
		}
	}
	return client.Committed{Height: s.w.height + 1}, s.w.do(s.by, kind, msg)
}

// papers keeps papers in memory: what an adapter over the node's store does on disk.
type papers map[tx.Hash]*Paper

func (p papers) Keep(_ context.Context, _ tx.Account, x *Paper) error {
	p[x.Commitment()] = x
	return nil
}

func (p papers) Find(_ context.Context, _ tx.Account, h tx.Hash) (*Paper, error) {
	return p[h], nil
}

func (w *world) service() *Service {
	return &Service{
		Chain: w, Slots: func(context.Context, tx.Account) (*record.SlotMap, error) { return w.slots, nil }, Papers: w.papers, Random: w.random,
	}
}

func (w *world) by(name string) Author {
	return Author{Submit: signer{w, name}, Account: account(name), Steward: name == "hospital"}
}

// may says whether somebody may read a record of these labels now.
func (w *world) may(name, purpose string, labels ...string) bool {
	w.Helper()
	a, m, _ := identity.Standing(w.state, account(name))
	return allowed(w.TB, w.slots, consent.Load(w.state, account("alice")), asked{purpose: purpose, labels: labels, now: int64(w.time)}, a, m)
}

func (w *world) until(date string) {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		w.Fatal(err)
	}
	w.time = uint64(at.Unix())
}
