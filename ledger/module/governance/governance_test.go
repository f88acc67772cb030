package governance

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/tx"
)

func TestOutcome(t *testing.T) {
	as := func(names ...string) []tx.Account {
		var list []tx.Account
		for _, n := range names {
			list = with(list, account(n))
		}
		return list
	}
	four, seven := as("a", "b", "c", "d"), as("a", "b", "c", "d", "e", "f", "g")
	for _, tt := range []struct {
		rule    string
		yes, no []tx.Account
		active  []tx.Account
		now     uint64
		want    Status
	}{
		{"two of four are not two thirds", as("a", "b"), nil, four, 0, Open},
		{"three of four pass", as("a", "b", "c"), nil, four, 0, Executed},
		{"one against of four leaves it open", as("a"), as("b"), four, 0, Open},
		{"two against of four reject", as("a"), as("b", "c"), four, 0, Rejected},
		{"four of seven are not enough", as("a", "b", "c", "d"), nil, seven, 0, Open},
		{"five of seven pass", as("a", "b", "c", "d", "e"), nil, seven, 0, Executed},
		{"three against of seven reject", nil, as("a", "b", "c"), seven, 0, Rejected},
		{"the deadline itself is too late", as("a"), nil, four, 100, Lapsed},
		{"a second before is not", as("a"), nil, four, 99, Open},
		{"approval at the deadline still counts", as("a", "b", "c"), nil, four, 100, Executed},
		{"who has left has no vote", as("a", "b", "x"), nil, four, 0, Open},
		{"one alone decides alone", as("a"), nil, as("a"), 0, Executed},
		{"nobody decides nothing", nil, nil, nil, 0, Open},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := Proposal{Approvals: tt.yes, Rejections: tt.no, Deadline: 100}
			if got := Outcome(p, tt.active, tt.now); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTwoThirdsAdmitAMember(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	id := ok(t)(do(w, "a", propose, &Propose{Action{Admit: admission("e", Clinic, true)}}))
	ok(t)(do(w, "b", vote, &Vote{id, true}))
	w.block(t, 1)
	if _, ok := LookupMember(w.state, account("e")); ok {
		t.Fatal("admitted by two of four")
	}
	ok(t)(do(w, "c", vote, &Vote{id, true}))
	w.block(t, 1)
	m, ok := LookupMember(w.state, account("e"))
	if !ok || !m.Active || !m.Clinical || !m.IsValidator() || m.Joined != 1 {
		t.Fatalf("got %+v, want an active clinical validator since height 1", m)
	}
	if p, _ := LookupProposal(w.state, id); p.Status != Executed || p.Closed != 1 || len(p.Approvals) != 3 {
		t.Errorf("got %+v, want executed at height 1 by 3", p)
	}
	if open := OpenProposals(w.state); len(open) != 0 {
		t.Errorf("got %d open proposals, want none", len(open))
	}
	if _, live := KeyAt(w.state, account("e"), key("e").ID(), 1); live {
		t.Error("key is live in the block that admitted its member")
	}
	if _, live := KeyAt(w.state, account("e"), key("e").ID(), 2); !live {
		t.Error("key is not live in the block after")
	}
}

func TestProposalLapsesByBlockTime(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	id := ok(t)(do(w, "a", propose, &Propose{Action{Remove: &Remove{account("d")}}}))
	w.block(t, DefaultParams().ProposalPeriod)
	if _, err := do(w, "b", vote, &Vote{id, true}); !errors.Is(err, ErrProposalClosed) {
		t.Errorf("vote at the deadline: got %v, want %v", err, ErrProposalClosed)
	}
	w.block(t, 1)
	if p, _ := LookupProposal(w.state, id); p.Status != Lapsed {
		t.Errorf("got %v, want lapsed", p.Status)
	}
}

func TestRemovalOfAVoterDecidesWhatWaited(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	n := uint64(3600)
	tune := ok(t)(do(w, "a", propose, &Propose{Action{SetParams: &Changes{SessionMax: &n}}}))
	ok(t)(do(w, "b", vote, &Vote{tune, true}))
	w.block(t, 1)
	drop := ok(t)(do(w, "a", propose, &Propose{Action{Remove: &Remove{account("d")}}}))
	ok(t)(do(w, "b", vote, &Vote{drop, true}))
	ok(t)(do(w, "c", vote, &Vote{drop, true}))
	w.block(t, 1)
	w.block(t, 1)
	if got := ParamsOf(w.state).SessionMax; got != n {
		t.Errorf("two of the three that remain: got session max %d, want %d", got, n)
	}
	if vs := Validators(w.state); len(vs) != 3 {
		t.Errorf("got %d validators, want 3", len(vs))
	}
}

func TestPassedActionThatCannotBeCarriedOutFailsWithItsCode(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	one := ok(t)(do(w, "a", propose, &Propose{Action{Admit: admission("e", Clinic, false)}}))
	two := ok(t)(do(w, "b", propose, &Propose{Action{Admit: admission("e", Lab, false)}}))
	for _, id := range []tx.Hash{one, two} {
		for _, by := range []string{"a", "b", "c", "d"} {
			if _, err := do(w, by, vote, &Vote{id, true}); err != nil && !errors.Is(err, ErrVoted) {
				t.Fatal(err)
			}
		}
	}
	w.block(t, 1)
	var status []Status
	for _, id := range []tx.Hash{one, two} {
		p, _ := LookupProposal(w.state, id)
		status = append(status, p.Status)
		if p.Status == Failed && p.Code != ErrMemberExists.Code {
			t.Errorf("got code %#04x, want %#04x", p.Code, ErrMemberExists.Code)
		}
	}
	if status[0]+status[1] != Executed+Failed || status[0] == status[1] {
		t.Errorf("got %v, want one executed and one failed", status)
	}
}

func TestRemovedMemberComesBackWithItsHistory(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	decide := func(a Action) {
		t.Helper()
		id := ok(t)(do(w, "a", propose, &Propose{a}))
		ok(t)(do(w, "b", vote, &Vote{id, true}))
		ok(t)(do(w, "c", vote, &Vote{id, true}))
		w.block(t, 1)
		if p, _ := LookupProposal(w.state, id); p.Status != Executed {
			t.Fatalf("got %v, want executed", p.Status)
		}
	}
	w.block(t, 1)
	decide(Action{Remove: &Remove{account("d")}})
	if m, _ := LookupMember(w.state, account("d")); m.Active || m.IsValidator() {
		t.Fatalf("got %+v, want inactive", m)
	}
	back := admission("d", Clinic, true)
	back.Keys = []tx.PublicKey{key("d/2")}
	decide(Action{Admit: back}) // at height 2
	for _, tt := range []struct {
		key    string
		height uint64
		want   bool
	}{{"d", 0, true}, {"d", 2, true}, {"d", 3, false}, {"d/2", 2, false}, {"d/2", 3, true}} {
		if _, got := KeyAt(w.state, account("d"), key(tt.key).ID(), tt.height); got != tt.want {
			t.Errorf("key %s at height %d: got live %v, want %v", tt.key, tt.height, got, tt.want)
		}
	}
	decide(Action{Remove: &Remove{account("d")}})
	if _, err := do(w, "a", propose, &Propose{Action{Admit: admission("d", Clinic, true)}}); !errors.Is(err, ErrKeyUsed) {
		t.Errorf("admission with an ended key: got %v, want %v", err, ErrKeyUsed)
	}
}

func TestRotationKeepsOldHeightsVerifiable(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.block(t, 1)
	w.block(t, 1)
	ok(t)(do(w, "a", rotate, &Rotate{Add: []tx.PublicKey{key("a/2")}, Revoke: []tx.KeyID{key("a").ID()}}))
	for range 5 { // the key leaves the row at the next rotation, not the state
		w.block(t, 1)
	}
	ok(t)(do(w, "a", rotate, &Rotate{Add: []tx.PublicKey{key("a/3")}}))
	if m, _ := LookupMember(w.state, account("a")); len(m.Keys) != 2 {
		t.Errorf("got %d keys in the row, want 2", len(m.Keys))
	}
	for _, tt := range []struct {
		key    string
		height uint64
		want   bool
	}{{"a", 0, true}, {"a", 2, true}, {"a", 3, false}, {"a/2", 2, false}, {"a/2", 3, true}, {"a/2", 99, true}, {"a/3", 7, false}, {"a/3", 8, true}} {
		if _, got := KeyAt(w.state, account("a"), key(tt.key).ID(), tt.height); got != tt.want {
			t.Errorf("key %s at height %d: got live %v, want %v", tt.key, tt.height, got, tt.want)
		}
	}
}

func TestValidatorKeyChangesHands(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	id := ok(t)(do(w, "a", propose, &Propose{Action{SetValidator: &SetValidator{account("b"), bytes32("new")}}}))
	ok(t)(do(w, "b", vote, &Vote{id, true}))
	w.block(t, 1)
	m, _ := LookupMember(w.state, account("b"))
	if diff := cmp.Diff(bytes32("new"), m.Validator); diff != "" {
		t.Error(diff)
	}
	if _, err := do(w, "a", propose, &Propose{Action{SetValidator: &SetValidator{account("c"), bytes32("validator/b")}}}); !errors.Is(err, ErrValidatorTaken) {
		t.Errorf("a key b once validated with: got %v, want %v", err, ErrValidatorTaken)
	}
	ok(t)(do(w, "c", address, &Address{"c.example:7001", bytes32("peer/c/2")}))
	if m, _ := LookupMember(w.state, account("c")); m.Address != "c.example:7001" {
		t.Errorf("got %s, want the new address", m.Address)
	}
}

func TestGenesisFillsInDefaults(t *testing.T) {
	n := uint64(600)
	g := &Genesis{Members: []Admit{*admission("a", Hospital, true), *admission("b", Insurer, false)}, Params: Changes{SessionMax: &n}}
	w, err := found(g)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultParams()
	want.SessionMax = 600
	if diff := cmp.Diff(want, ParamsOf(w.state)); diff != "" {
		t.Error(diff)
	}
	if got := len(Members(w.state)); got != 2 {
		t.Errorf("got %d members, want 2", got)
	}
	if vs := Validators(w.state); len(vs) != 1 || vs[0].Account != account("a") {
		t.Errorf("got validators %v, want a alone", vs)
	}
	if _, live := KeyAt(w.state, account("b"), key("b").ID(), 0); !live {
		t.Error("genesis key is not live from the start")
	}
}

func TestGenesisRefusesWhatCannotWork(t *testing.T) {
	two := func(change func(a, b *Admit)) *Genesis {
		a, b := admission("a", Hospital, true), admission("b", Clinic, true)
		change(a, b)
		return &Genesis{Members: []Admit{*a, *b}}
	}
	zero := uint64(0)
	for rule, g := range map[string]*Genesis{
		"no members":           {},
		"no validator":         two(func(a, b *Admit) { a.Validator, b.Validator = nil, nil }),
		"the same account":     two(func(a, b *Admit) { b.Account = a.Account }),
		"the same validator":   two(func(a, b *Admit) { b.Validator = a.Validator }),
		"the same peer key":    two(func(a, b *Admit) { b.Peer = a.Peer }),
		"parameter at nothing": {Members: []Admit{*admission("a", Hospital, true)}, Params: Changes{LeaseSeconds: &zero}},
	} {
		if _, err := found(g); err == nil {
			t.Errorf("%s: accepted", rule)
		}
	}
	w := &world{}
	for _, raw := range []string{``, `null`, `{"membres": []}`, `{"members": 7}`} {
		if err := genesis(w.context(nil, ledger.Signer{}), []byte(raw)); err == nil {
			t.Errorf("genesis %q: accepted", raw)
		}
	}
}
