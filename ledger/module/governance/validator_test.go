package governance

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/tx"
)

func consensusKey(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes32("consensus/" + name))
}

func consensusPublic(name string) []byte { return consensusKey(name).Public().(ed25519.PublicKey) }

// newValidators is newWorld with consensus keys that can sign.
func newValidators(t testing.TB, names ...string) *world {
	t.Helper()
	var g Genesis
	for _, n := range names {
		a := admission(n, Hospital, false)
		a.Validator = consensusPublic(n)
		g.Members = append(g.Members, *a)
	}
	w, err := found(&g)
	if err != nil {
		t.Fatal(err)
	}
	w.height = 1000
	return w
}

// replacement is what who sends to replace the consensus key called old.
func replacement(who, old, next string) *Validator {
	digest := HandoverDigest("test", account(who), consensusPublic(old), consensusPublic(next))
	return &Validator{
		Validator: consensusPublic(next), Old: ed25519.Sign(consensusKey(old), digest[:]), New: ed25519.Sign(consensusKey(next), digest[:]),
	}
}

func TestMemberReplacesItsConsensusKey(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d")
	size := w.state.Size()
	ok(t)(do(w, "a", replaceValidator, replacement("a", "a", "a2")))
	if w.state.Size() != size+1 {
		t.Error("the change is not in the log")
	}
	// CometBFT follows two blocks later, and so does the node.
	for height, want := range map[uint64]string{999: "a", 1000: "a", 1001: "a", 1002: "a2", 5000: "a2"} {
		if got := ValidatorAt(w.state, account("a"), height); string(got) != string(consensusPublic(want)) {
			t.Errorf("height %d: got %x, want key %s", height, got, want)
		}
	}
	if got := ValidatorAt(w.state, account("b"), 1000); string(got) != string(consensusPublic("b")) {
		t.Errorf("got %x, want another's key unchanged", got)
	}
	if s, ok := LookupSwitch(w.state, account("a")); !ok || !s.Self || s.Height != 1000 {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func TestRemovedMemberSignsNoLongerThanConsensusAsks(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d")
	decided(t, w, &Propose{Action{Remove: &Remove{account("d")}}}) // in block 1000
	for height, want := range map[uint64][]byte{1001: consensusPublic("d"), 1002: nil} {
		if got := ValidatorAt(w.state, account("d"), height); string(got) != string(want) {
			t.Errorf("height %d: got %x, want %x", height, got, want)
		}
	}
	if got := ValidatorAt(w.state, account("x"), 5); got != nil {
		t.Errorf("a stranger: got key %x", got)
	}
}

func TestReplacedKeyNeverComesBack(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d")
	ok(t)(do(w, "a", replaceValidator, replacement("a", "a", "a2")))
	w.height += 1000
	for _, next := range []string{"a", "a2", "b"} {
		if _, err := do(w, "a", replaceValidator, replacement("a", "a2", next)); !errors.Is(err, ErrValidatorTaken) {
			t.Errorf("to key %s: got %v, want %v", next, err, ErrValidatorTaken)
		}
	}
}

func TestReplacementNeedsAllThreeKeys(t *testing.T) {
	w := newValidators(t, "a", "b", "c", "d")
	good := replacement("a", "a", "a2")
	forgery := func(change func(*Validator)) *Validator {
		m := *good
		change(&m)
		return &m
	}
	other := HandoverDigest("elsewhere", account("a"), consensusPublic("a"), consensusPublic("a2"))
	for rule, m := range map[string]*Validator{
		"old key of somebody else": replacement("a", "b", "a2"),
		"no new key held":          forgery(func(m *Validator) { m.New = m.Old }),
		"no old key held":          forgery(func(m *Validator) { m.Old = m.New }),
		"another new key":          forgery(func(m *Validator) { m.Validator = consensusPublic("a3") }),
		"another member's consent": replacement("b", "a", "a2"),
		"another chain": forgery(func(m *Validator) {
			m.Old, m.New = ed25519.Sign(consensusKey("a"), other[:]), ed25519.Sign(consensusKey("a2"), other[:])
		}),
	} {
		if _, err := do(w, "a", replaceValidator, m); !errors.Is(err, ErrPossession) {
			t.Errorf("%s: got %v, want %v", rule, err, ErrPossession)
		}
	}
	// The member's own service key is the third; nobody else's will do.
	if _, err := do(w, "b", replaceValidator, good); !errors.Is(err, ErrPossession) {
		t.Errorf("sent by another member: got %v, want %v", err, ErrPossession)
	}
	by := ledger.Signer{Account: account("p"), Class: ledger.ClassPractitioner, Member: account("a")}
	if _, err := doAs(w, by, replaceValidator, good); !errors.Is(err, ErrNotMember) {
		t.Errorf("sent by a practitioner: got %v, want %v", err, ErrNotMember)
	}
	ok(t)(do(w, "a", replaceValidator, good))
}

// Model: however members replace their keys, within any pause no more of them
// have a fresh key than may fail, nobody twice, and the set keeps its size.
func TestReplacementsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var names []string
		for i := range rapid.IntRange(1, 10).Draw(t, "validators") {
			names = append(names, string(rune('a'+i)))
		}
		var g Genesis
		key, last := map[string]string{}, map[string]int64{}
		for _, n := range names {
			a := admission(n, Hospital, false)
			a.Validator, key[n] = consensusPublic(n), n
			g.Members = append(g.Members, *a)
		}
		w, err := found(&g)
		if err != nil {
			t.Fatal(err)
		}
		w.height = 1
		pause, may := int64(DefaultParams().ValidatorPause), max((len(names)-1)/3, 1)
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"replace": func(t *rapid.T) {
				who := rapid.SampledFrom(names).Draw(t, "who")
				next++
				fresh := fmt.Sprint(who, "/", next)
				_, err := do(w, who, replaceValidator, replacement(who, key[who], fresh))
				recent := 0
				for _, n := range names {
					if last[n] > 0 && w.height < last[n]+pause {
						recent++
					}
				}
				own := last[who] > 0 && w.height < last[who]+pause
				if allowed := recent < may && !own; (err == nil) != allowed {
					t.Fatalf("got %v with %d of %d recent, want allowed %v", err, recent, may, allowed)
				}
				if err == nil {
					key[who], last[who] = fresh, w.height
				} else if !errors.Is(err, ErrPace) {
					t.Fatalf("got %v, want %v", err, ErrPace)
				}
			},
			"blocks": func(t *rapid.T) { w.height += int64(rapid.IntRange(1, 120).Draw(t, "blocks")) },
			"": func(t *rapid.T) {
				if n := len(Validators(w.state)); n != len(names) {
					t.Fatalf("got %d validators, want %d", n, len(names))
				}
				for _, n := range names {
					m, _ := LookupMember(w.state, account(n))
					if string(m.Validator) != string(consensusPublic(key[n])) {
						t.Fatalf("%s: got another key than %s", n, key[n])
					}
					if got := ValidatorAt(w.state, account(n), uint64(w.height)+2); string(got) != string(m.Validator) {
						t.Fatalf("%s signs with another key two blocks later", n)
					}
				}
			},
		})
	})
}

func FuzzValidator(f *testing.F) { fuzz(f, replacement("a", "a", "a2")) }

func FuzzUpgrade(f *testing.F) {
	fuzz(f, upgradeTo(2, 1000), &Propose{Action{CancelUpgrade: &CancelUpgrade{tx.Hash{1}}}})
}
