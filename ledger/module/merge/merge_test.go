package merge_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A world is a chain of the modules without its engine: messages that are already
// authenticated. Accounts go by name.
type world struct {
	testing.TB
	state *state.Cache
	time  uint64
	txs   int
	calls map[tx.Kind]ledger.Call
}

type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool)              { return nil, false }
func (nothing) Scan([]byte, func([]byte, []byte) bool) {}
func (nothing) Size() uint64                           { return 0 }

const start = 1_800_000_000

func account(name string) tx.Account { return ledgertest.Account(name) }

func digest(name string) tx.Hash { return sha256.Sum256([]byte(name)) }

func modules() []ledger.Module {
	return []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), consent.Module(), audit.Module(), merge.Module(),
	}
}

func genesis() governance.Genesis {
	var g governance.Genesis
	for _, name := range []string{"hospital", "clinic", "practice"} {
		g.Members = append(g.Members, governance.Admit{
			Account: account(name), Name: "Sample " + name, Class: governance.Hospital, Validator: ledgertest.Public("validator/" + name).Key,
			Peer: ledgertest.Public("peer/" + name).Key, Address: name + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(name)},
		})
	}
	return g
}

// newWorld has registrars of two stewards and of a third member, and patients of the two.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, state: state.NewCache(nothing{}), time: start, calls: map[tx.Kind]ledger.Call{}}
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
	for name, member := range staff {
		w.must(member, identity.KindRegister, &identity.Register{
			Account: account(name), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{ledgertest.Public(name)}, Privileges: identity.PrivWrite,
		})
	}
	w.must("hospital", identity.KindRegister, &identity.Register{
		Account: account("reader"), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{ledgertest.Public("reader")}, Privileges: identity.PrivRead,
	})
	for name, member := range patients {
		w.must(member, identity.KindEnrol, &identity.Enrol{Patient: account(name), Keys: []tx.PublicKey{ledgertest.Public(name)}})
	}
	return w
}

var (
	staff    = map[string]string{"h1": "hospital", "h2": "hospital", "c1": "clinic", "c2": "clinic", "p1": "practice"}
	patients = map[string]string{"alice": "hospital", "alicia": "hospital", "alix": "clinic"}
)

func (w *world) context(s *state.Cache, by ledger.Signer) *ledger.Context {
	w.txs++
	return &ledger.Context{Height: 1, Time: w.time, Chain: "test", Tx: digest(fmt.Sprint("tx/", w.txs)), Signer: by, State: s}
}

func (w *world) do(by string, kind tx.Kind, m tx.Message) (tx.Hash, error) {
	p, _, ok := identity.Standing(w.state, account(by))
	if !ok {
		return tx.Hash{}, errors.New(by + " cannot sign")
	}
	scratch := state.NewCache(w.state)
	c := w.context(scratch, ledger.Signer{Account: p.Account, Class: p.Class, Member: p.Member, UserVerified: true})
	if err := w.calls[kind].Run(c, tx.MustEncode(m)); err != nil {
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

func (w *world) refuse(want error, by string, kind tx.Kind, m tx.Message) {
	w.Helper()
	if _, err := w.do(by, kind, m); !errors.Is(err, want) {
		w.Errorf("%s by %s: got %v, want %v", kind, by, err, want)
	}
}

func pair(stays, goes string) *merge.Propose {
	return &merge.Propose{Stays: account(stays), Goes: account(goes), Basis: digest("basis")}
}

// straight translates every slot to itself.
func straight() consent.Translation {
	t := make(consent.Translation, 64)
	for i := range t {
		t[i] = byte(i)
	}
	return t
}

func approve(id tx.Hash) *merge.Approve { return &merge.Approve{Case: id, Slots: straight()} }

func TestTwoPeopleMergeAndEitherSideTakesItBack(t *testing.T) {
	w := newWorld(t)
	w.refuse(merge.ErrSigner, "reader", merge.KindPropose, pair("alice", "alicia"))
	w.refuse(merge.ErrSigner, "c1", merge.KindPropose, pair("alice", "alicia"))
	w.refuse(merge.ErrSigner, "hospital", merge.KindPropose, pair("alice", "alicia"))
	w.refuse(merge.ErrPair, "h1", merge.KindPropose, pair("alice", "alice"))
	w.refuse(merge.ErrPair, "h1", merge.KindPropose, pair("alice", "nobody"))
	w.refuse(merge.ErrPair, "h1", merge.KindPropose, pair("alice", "h2"))
	w.refuse(merge.ErrBasis, "h1", merge.KindPropose, &merge.Propose{Stays: account("alice"), Goes: account("alicia")})
	id := w.must("h1", merge.KindPropose, pair("alice", "alicia"))
	if got := merge.Linked(w.state, account("alice")); len(got) != 0 {
		t.Errorf("proposed: got %v linked, want none", got)
	}
	w.refuse(merge.ErrLinked, "h2", merge.KindPropose, pair("alicia", "alice"))
	w.refuse(merge.ErrSamePerson, "h1", merge.KindApprove, approve(id))
	w.refuse(merge.ErrSigner, "alice", merge.KindApprove, approve(id))
	w.refuse(merge.ErrUnknown, "h2", merge.KindApprove, approve(digest("none")))
	w.must("h2", merge.KindApprove, approve(id))
	w.refuse(merge.ErrStanding, "h2", merge.KindApprove, approve(id))
	if got := merge.Linked(w.state, account("alicia")); !slices.Equal(got, []tx.Account{account("alice")}) {
		t.Errorf("merged: got %v linked, want alice", got)
	}
	w.refuse(merge.ErrSigner, "p1", merge.KindEnd, &merge.End{Case: id})
	w.refuse(merge.ErrSigner, "alix", merge.KindEnd, &merge.End{Case: id})
	w.must("alicia", merge.KindEnd, &merge.End{Case: id})
	w.refuse(merge.ErrStanding, "h1", merge.KindEnd, &merge.End{Case: id})
	for _, p := range []string{"alice", "alicia"} {
		if at, _ := audit.At(w.state, account(p)); at.Seq != 4 || len(merge.Linked(w.state, account(p))) != 0 {
			t.Errorf("%s: got %d entries, want 4: enrolled, proposed, merged, unmerged", p, at.Seq)
		}
	}
	w.must("h2", merge.KindPropose, pair("alicia", "alice")) // may be thought of again
}

func TestBothStewardsAgree(t *testing.T) {
	w := newWorld(t)
	id := w.must("h1", merge.KindPropose, pair("alice", "alix"))
	w.refuse(merge.ErrSamePerson, "h2", merge.KindApprove, approve(id))
	w.refuse(merge.ErrSigner, "p1", merge.KindApprove, approve(id))
	w.time += governance.DefaultParams().ProposalPeriod
	w.refuse(merge.ErrStanding, "c1", merge.KindApprove, approve(id))
	w.must("c2", merge.KindEnd, &merge.End{Case: id})
	id = w.must("h1", merge.KindPropose, pair("alice", "alix"))
	w.must("c1", merge.KindApprove, approve(id))
}

// allowed is what a colleague of the practice may see of a patient's records.
func (w *world) allowed(patient string) uint64 {
	who, m, _ := identity.Standing(w.state, account("p1"))
	return consent.Evaluate(w.state, consent.Question{
		Patient: account(patient), Actor: who, Member: m, Purpose: consent.TREAT, Requested: ^uint64(0), Now: w.time,
	}).Allowed
}

func TestMergesFollowTheModelAndChangeNoConsentWithoutDenials(t *testing.T) {
	base := newWorld(t)
	const low, high = 1<<32 - 1, 0xffffff << 40 // 32 and 24 bits
	base.must("alice", consent.KindGrant, &consent.Give{Patient: account("alice"), Grant: consent.Grant{
		ID: consent.GrantID{1}, Version: 1, Grantee: consent.Grantee{Kind: consent.OfMember, Account: account("practice")},
		Mask: low, Except: high, Purposes: consent.PurposesOf(consent.TREAT),
	}})
	names := []string{"alice", "alicia", "alix"}
	rapid.Check(t, func(t *rapid.T) {
		fork := *base
		fork.state = state.NewCache(base.state)
		w := &fork
		type plain struct {
			id       tx.Hash
			a, b, by string
			merged   bool
			ended    bool
		}
		var all []*plain
		open := func(a, b string) bool {
			return slices.ContainsFunc(all, func(x *plain) bool { return !x.ended && (x.a == a && x.b == b || x.a == b && x.b == a) })
		}
		member := func(who string) string { return staff[who] }
		ours := func(who string, x *plain) bool { return member(who) == patients[x.a] || member(who) == patients[x.b] }
		people := []string{"h1", "h2", "c1", "c2", "p1"}
		check := func(want error, by string, kind tx.Kind, m tx.Message) (tx.Hash, bool) {
			id, err := w.do(by, kind, m)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("%s by %s: got %v, want %v", kind, by, err, want)
			}
			return id, err == nil
		}
		some := func(t *rapid.T) *plain {
			if len(all) == 0 {
				t.Skip("no case")
			}
			return rapid.SampledFrom(all).Draw(t, "case")
		}
		t.Repeat(map[string]func(*rapid.T){
			"propose": func(t *rapid.T) {
				a, b, who := rapid.SampledFrom(names).Draw(t, "a"), rapid.SampledFrom(names).Draw(t, "b"), rapid.SampledFrom(people).Draw(t, "who")
				x := &plain{a: a, b: b, by: who}
				var want error
				switch {
				case a == b:
					want = merge.ErrPair
				case !ours(who, x):
					want = merge.ErrSigner
				case open(a, b):
					want = merge.ErrLinked
				}
				var ok bool
				if x.id, ok = check(want, who, merge.KindPropose, pair(a, b)); ok {
					all = append(all, x)
				}
			},
			"approve": func(t *rapid.T) {
				x, who := some(t), rapid.SampledFrom(people).Draw(t, "who")
				var want error
				switch {
				case !ours(who, x):
					want = merge.ErrSigner
				case x.merged || x.ended:
					want = merge.ErrStanding
				case who == x.by || patients[x.a] != patients[x.b] && member(who) == member(x.by):
					want = merge.ErrSamePerson
				}
				if _, ok := check(want, who, merge.KindApprove, approve(x.id)); ok {
					x.merged = true
				}
			},
			"end": func(t *rapid.T) {
				x, who := some(t), rapid.SampledFrom(append(slices.Clone(people), names...)).Draw(t, "who")
				var want error
				switch {
				case who != x.a && who != x.b && !ours(who, x):
					want = merge.ErrSigner
				case x.ended:
					want = merge.ErrStanding
				}
				if _, ok := check(want, who, merge.KindEnd, &merge.End{Case: x.id}); ok {
					x.ended = true
				}
			},
			"": func(t *rapid.T) {
				for _, p := range names {
					if got, want := w.allowed(p), base.allowed(p); got != want || (want != 0) != (p == "alice") {
						t.Fatalf("allowed of %s: got %x, want %x: a merge changes no consent", p, got, want)
					}
					var want []tx.Account
					for _, x := range all {
						if x.merged && !x.ended && (x.a == p || x.b == p) {
							want = append(want, account(map[bool]string{true: x.b, false: x.a}[x.a == p]))
						}
					}
					slices.SortFunc(want, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
					if got := merge.Linked(w.state, account(p)); !slices.Equal(got, want) {
						t.Fatalf("linked with %s: got %v, want %v", p, got, want)
					}
				}
			},
		})
	})
}

func TestScripts(t *testing.T) {
	ledgertest.Run(t, "testdata", ledgertest.Params{
		Modules: modules(), Authenticate: identity.Authenticate, Params: governance.LedgerParams, Genesis: map[string]any{"governance": genesis()},
	})
}

// FuzzMessages: whatever decodes as a message of the module re-encodes to the same
// bytes, and validates or is refused with a code of the module.
func FuzzMessages(f *testing.F) {
	f.Add(uint8(0), tx.MustEncode(pair("alice", "alix")))
	f.Add(uint8(1), tx.MustEncode(approve(digest("x"))))
	f.Add(uint8(2), tx.MustEncode(&merge.End{Case: digest("x")}))
	calls := merge.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != merge.Prefix {
				t.Errorf("got %v, want a refusal of this module", err)
			}
		}
	})
}
