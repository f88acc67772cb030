package governance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"salus/ledger"
	"salus/ledger/tx"
)

// Every refusal code of the module, each provoked.
func TestRefusals(t *testing.T) {
	act := func(a Action) *Propose { return &Propose{a} }
	admitted := func(change func(*Admit)) *Propose {
		a := admission("e", Clinic, true)
		change(a)
		return act(Action{Admit: a})
	}
	num := func(n uint64) *uint64 { return &n }
	many := func(n int) (keys []tx.PublicKey) {
		for i := range n {
			keys = append(keys, key(strings.Repeat("k", i+1)))
		}
		return keys
	}
	var provoked []uint32
	for _, tt := range []struct {
		rule string
		want *tx.Refusal
		try  func(t *testing.T, w *world) error
	}{
		{"a stranger does not propose", ErrNotMember, func(t *testing.T, w *world) error {
			_, err := do(w, "x", propose, admitted(func(*Admit) {}))
			return err
		}},
		{"a practitioner does not vote", ErrNotMember, func(t *testing.T, w *world) error {
			_, err := doAs(w, ledger.Signer{Account: account("p"), Class: ledger.ClassPractitioner, Member: account("a")}, vote, &Vote{tx.Hash{1}, true})
			return err
		}},
		{"a stranger has no address", ErrNotMember, func(t *testing.T, w *world) error {
			_, err := do(w, "x", address, &Address{"x.example:1", bytes32("x")})
			return err
		}},
		{"a stranger has no keys", ErrNotMember, func(t *testing.T, w *world) error {
			_, err := do(w, "x", rotate, &Rotate{Add: many(1)})
			return err
		}},
		{"no action", ErrAction, proposal("a", &Propose{})},
		{"two actions", ErrAction, proposal("a", act(Action{Admit: admission("e", Clinic, false), Remove: &Remove{account("b")}}))},
		{"empty account", ErrAccount, proposal("a", admitted(func(a *Admit) { a.Account = tx.Account{} }))},
		{"empty name", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = "" }))},
		{"long name", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = strings.Repeat("n", 97) }))},
		{"name with a control character", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = "a\x1b[2J" }))},
		{"name with space at its end", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = "a " }))},
		{"name with a hidden direction", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = "a\u202eb" }))},
		{"name after a wide space", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = "\u3000a" }))},
		{"name in no encoding", ErrName, proposal("a", admitted(func(a *Admit) { a.Name = "\xff" }))},
		{"unknown class", ErrClass, proposal("a", admitted(func(a *Admit) { a.Class = "bank" }))},
		{"short validator key", ErrKeyLength, proposal("a", admitted(func(a *Admit) { a.Validator = []byte{1} }))},
		{"missing peer key", ErrKeyLength, proposal("a", admitted(func(a *Admit) { a.Peer = nil }))},
		{"short new validator key", ErrKeyLength, proposal("a", act(Action{SetValidator: &SetValidator{account("b"), []byte{1}}}))},
		{"a disaster for who has no patients", ErrDisaster, proposal("a", act(Action{Disaster: &Disaster{Class: Insurer, Seconds: 60}}))},
		{"a disaster without end", ErrDisaster, proposal("a", act(Action{Disaster: &Disaster{Seconds: MaxDisaster + 1}}))},
		{"an erasure of nothing", ErrTarget, proposal("a", act(Action{Erase: &Erase{Ground: tx.Hash{1}}}))},
		{"a hold on two things", ErrTarget, proposal("a", act(Action{Hold: &Hold{Patient: account("p"), Batch: tx.Hash{1}, Matter: tx.Hash{1}}}))},
		{"short new peer key", ErrKeyLength, func(t *testing.T, w *world) error {
			_, err := do(w, "a", address, &Address{"a.example:1", []byte{1}})
			return err
		}},
		{"address without a port", ErrAddress, proposal("a", admitted(func(a *Admit) { a.Address = "e.example" }))},
		{"address with a port too large", ErrAddress, proposal("a", admitted(func(a *Admit) { a.Address = "e.example:65536" }))},
		{"address with a path", ErrAddress, proposal("a", admitted(func(a *Admit) { a.Address = "e.example/x:1" }))},
		{"lease longer than a minute", ErrParams, proposal("a", act(Action{SetParams: &Changes{LeaseSeconds: num(61)}}))},
		{"snapshots rarer than blocks are kept", ErrParams, proposal("a", act(Action{SetParams: &Changes{RetainBlocks: num(100), SnapshotInterval: num(101)}}))},
		{"origin with a path", ErrParams, proposal("a", act(Action{SetParams: &Changes{Origins: []string{"https://a.example/"}}}))},
		{"plain origin beyond the loopback", ErrParams, proposal("a", act(Action{SetParams: &Changes{Origins: []string{"http://a.example"}}}))},
		{"no parameter", ErrNoChange, proposal("a", act(Action{SetParams: &Changes{}}))},
		{"the same validator", ErrNoChange, proposal("a", act(Action{SetValidator: &SetValidator{account("b"), bytes32("validator/b")}}))},
		{"the same address", ErrNoChange, func(t *testing.T, w *world) error {
			_, err := do(w, "a", address, &Address{"a.example:7000", bytes32("peer/a")})
			return err
		}},
		{"no key", ErrNoChange, rotation(&Rotate{})},
		{"removing a stranger", ErrUnknownMember, proposal("a", act(Action{Remove: &Remove{account("x")}}))},
		{"a stranger's validator", ErrUnknownMember, proposal("a", act(Action{SetValidator: &SetValidator{account("x"), bytes32("x")}}))},
		{"asking for a stranger", ErrUnknownMember, query("governance/member", ByAccount{account("x")})},
		{"admitting a member", ErrMemberExists, proposal("a", act(Action{Admit: admission("b", Clinic, false)}))},
		{"another's validator key", ErrValidatorTaken, proposal("a", admitted(func(a *Admit) { a.Validator = bytes32("validator/b") }))},
		{"another's peer key", ErrPeerTaken, proposal("a", admitted(func(a *Admit) { a.Peer = bytes32("peer/b") }))},
		{"moving to another's peer key", ErrPeerTaken, func(t *testing.T, w *world) error {
			_, err := do(w, "a", address, &Address{"a.example:1", bytes32("peer/b")})
			return err
		}},
		{"removing the last member", ErrLastMember, func(t *testing.T, _ *world) error {
			_, err := do(newWorld(t, "a"), "a", propose, act(Action{Remove: &Remove{account("a")}}))
			return err
		}},
		{"removing the last validator", ErrLastValidator, func(t *testing.T, _ *world) error {
			w, err := found(&Genesis{Members: []Admit{*admission("a", Hospital, true), *admission("b", Clinic, false)}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = do(w, "b", propose, act(Action{Remove: &Remove{account("a")}}))
			return err
		}},
		{"the last validator stepping down", ErrLastValidator, func(t *testing.T, _ *world) error {
			_, err := do(newWorld(t, "a"), "a", propose, act(Action{SetValidator: &SetValidator{account("a"), nil}}))
			return err
		}},
		{"a ninth open proposal", ErrTooManyProposals, func(t *testing.T, w *world) (err error) {
			for range MaxOpenOfMember + 1 {
				_, err = do(w, "a", propose, act(Action{Remove: &Remove{account("b")}}))
			}
			return err
		}},
		{"vote on nothing", ErrUnknownProposal, func(t *testing.T, w *world) error {
			_, err := do(w, "a", vote, &Vote{tx.Hash{1}, true})
			return err
		}},
		{"vote on an empty id", ErrUnknownProposal, func(t *testing.T, w *world) error {
			_, err := do(w, "a", vote, &Vote{})
			return err
		}},
		{"asking for no proposal", ErrUnknownProposal, query("governance/proposal", ByProposal{tx.Hash{1}})},
		{"vote after the decision", ErrProposalClosed, func(t *testing.T, w *world) error {
			id := ok(t)(do(w, "a", propose, admitted(func(*Admit) {})))
			ok(t)(do(w, "b", vote, &Vote{id, true}))
			ok(t)(do(w, "c", vote, &Vote{id, true}))
			w.block(t, 1)
			_, err := do(w, "d", vote, &Vote{id, true})
			return err
		}},
		{"a second vote", ErrVoted, func(t *testing.T, w *world) error {
			id := ok(t)(do(w, "a", propose, admitted(func(*Admit) {})))
			_, err := do(w, "a", vote, &Vote{id, false})
			return err
		}},
		{"a key twice", ErrKeyUsed, proposal("a", admitted(func(a *Admit) { a.Keys = append(a.Keys, a.Keys[0]) }))},
		{"adding a live key", ErrKeyUsed, rotation(&Rotate{Add: []tx.PublicKey{key("a")}})},
		{"adding an ended key", ErrKeyUsed, func(t *testing.T, w *world) error {
			ok(t)(do(w, "a", rotate, &Rotate{Add: []tx.PublicKey{key("a/2")}, Revoke: []tx.KeyID{key("a").ID()}}))
			w.block(t, 1)
			w.block(t, 1)
			_, err := do(w, "a", rotate, &Rotate{Add: []tx.PublicKey{key("a")}})
			return err
		}},
		{"adding a key revoked in the same block", ErrKeyUsed, func(t *testing.T, w *world) error {
			ok(t)(do(w, "a", rotate, &Rotate{Add: []tx.PublicKey{key("a/2")}}))
			ok(t)(do(w, "a", rotate, &Rotate{Revoke: []tx.KeyID{key("a/2").ID()}}))
			_, err := do(w, "a", rotate, &Rotate{Add: []tx.PublicKey{key("a/2")}})
			return err
		}},
		{"revoking an unknown key", ErrKeyUnknown, rotation(&Rotate{Revoke: []tx.KeyID{key("b").ID()}})},
		{"revoking a key twice", ErrKeyUnknown, rotation(&Rotate{Add: many(1), Revoke: []tx.KeyID{key("a").ID(), key("a").ID()}})},
		{"nine keys at once", ErrTooManyKeys, proposal("a", admitted(func(a *Admit) { a.Keys = many(9) }))},
		{"a ninth key", ErrTooManyKeys, rotation(&Rotate{Add: many(8)})},
		{"adding nine keys", ErrTooManyKeys, rotation(&Rotate{Add: many(9)})},
		{"revoking the last key", ErrLastKey, rotation(&Rotate{Revoke: []tx.KeyID{key("a").ID()}})},
		{"admission without a key", ErrLastKey, proposal("a", admitted(func(a *Admit) { a.Keys = nil }))},
		{"one validator too many", ErrTooManyValidators, func(t *testing.T, _ *world) error {
			var names []string
			for i := range MaxValidators {
				names = append(names, fmt.Sprint("v", i))
			}
			w := newWorld(t, names...)
			_, err := do(w, "v0", propose, admitted(func(*Admit) {}))
			return err
		}},
		{"an upgrade to the first version", ErrVersion, proposal("a", upgradeTo(1, 5000))},
		{"an upgrade that skips a version", ErrVersion, proposal("a", upgradeTo(3, 5000))},
		{"an upgrade without notice", ErrNotice, proposal("a", upgradeTo(2, 999))},
		{"an upgrade beyond all heights", ErrNotice, proposal("a", upgradeTo(2, 1<<63))},
		{"an upgrade without a digest", ErrDigest, proposal("a", act(Action{Upgrade: &Upgrade{Version: 2, Height: 5000, Name: "n"}}))},
		{"an upgrade without a name", ErrName, proposal("a", act(Action{Upgrade: &Upgrade{Version: 2, Height: 5000, Digest: tx.Hash{1}}}))},
		{"an upgrade after an upgrade", ErrPlanned, func(t *testing.T, w *world) error {
			decided(t, w, upgradeTo(2, 5000))
			_, err := do(w, "a", propose, upgradeTo(2, 6000))
			return err
		}},
		{"cancelling nothing", ErrNoPlan, proposal("a", act(Action{CancelUpgrade: &CancelUpgrade{tx.Hash{1}}}))},
		{"asking for no plan", ErrNoPlan, query("governance/plan", nil)},
		{"an upgrade and a removal", ErrAction, proposal("a", act(Action{Upgrade: upgradeTo(2, 5000).Action.Upgrade, Remove: &Remove{account("b")}}))},
		{"a notice too short", ErrParams, proposal("a", act(Action{SetParams: &Changes{UpgradeNotice: num(9)}}))},
		{"a pause too short", ErrParams, proposal("a", act(Action{SetParams: &Changes{ValidatorPause: num(9)}}))},
		{"a floor of no validator", ErrParams, proposal("a", act(Action{SetParams: &Changes{ValidatorFloor: num(0)}}))},
		{"a floor above all networks", ErrParams, proposal("a", act(Action{SetParams: &Changes{ValidatorFloor: num(MaxValidators + 1)}}))},
		{"a consensus key that is none", ErrKeyLength, func(t *testing.T, w *world) error {
			m := replacement("a", "a", "a2")
			m.Validator = make([]byte, 32) // of small order
			_, err := do(w, "a", replaceValidator, m)
			return err
		}},
		{"a handover without signatures", ErrPossession, func(t *testing.T, w *world) error {
			_, err := do(w, "a", replaceValidator, &Validator{Validator: consensusPublic("a2")})
			return err
		}},
		{"a handover by whom no key votes", ErrNotValidator, func(t *testing.T, _ *world) error {
			w, err := found(&Genesis{Members: []Admit{*admission("a", Hospital, true), *admission("b", Clinic, false)}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = do(w, "b", replaceValidator, replacement("b", "b", "b2"))
			return err
		}},
		{"a second fresh consensus key of four", ErrPace, func(t *testing.T, _ *world) error {
			w := newValidators(t, "a", "b", "c", "d")
			ok(t)(do(w, "a", replaceValidator, replacement("a", "a", "a2")))
			_, err := do(w, "b", replaceValidator, replacement("b", "b", "b2"))
			return err
		}},
		{"a query that does not decode", ErrQuery, func(t *testing.T, w *world) error {
			_, err := answer(t, w, "governance/member", []byte{0xff})
			return err
		}},
		{"a proposal query that does not decode", ErrQuery, func(t *testing.T, w *world) error {
			_, err := answer(t, w, "governance/proposal", nil)
			return err
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if err := tt.try(t, newWorld(t, "a", "b", "c", "d")); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
		provoked = append(provoked, tt.want.Code)
	}
	for _, c := range Codes() {
		if c.Code>>8 != Prefix || !slices.Contains(provoked, c.Code) {
			t.Errorf("code %#04x (%s) is provoked by no test", c.Code, c.Name)
		}
	}
}

func proposal(by string, m *Propose) func(*testing.T, *world) error {
	return func(_ *testing.T, w *world) error {
		_, err := do(w, by, propose, m)
		return err
	}
}

func rotation(m *Rotate) func(*testing.T, *world) error {
	return func(_ *testing.T, w *world) error {
		_, err := do(w, "a", rotate, m)
		return err
	}
}

func query(path string, arg any) func(*testing.T, *world) error {
	return func(t *testing.T, w *world) error {
		_, err := answer(t, w, path, tx.MustEncode(arg))
		return err
	}
}

func answer(t *testing.T, w *world, path string, arg []byte) ([]byte, error) {
	t.Helper()
	for _, q := range queries() {
		if q.Path == path {
			return q.Answer(w.state, ledger.Head{Height: w.height, Time: w.time}, arg)
		}
	}
	t.Fatalf("no query %s", path)
	return nil, nil
}
