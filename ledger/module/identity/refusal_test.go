package identity

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"salus/ledger"
	"salus/ledger/tx"
)

// Every refusal code of the module, each provoked.
func TestRefusals(t *testing.T) {
	var provoked []uint32
	many := func(n int) (list []tx.PublicKey) {
		for i := range n {
			list = append(list, key(fmt.Sprint("many/", i)))
		}
		return list
	}
	registered := func(change func(*Register)) func(*testing.T, *world) error {
		return func(_ *testing.T, w *world) error {
			m := practitioner("q")
			change(m)
			return do(w, "h1", register, m)
		}
	}
	rotated := func(by string, m *Rotate) func(*testing.T, *world) error {
		return func(_ *testing.T, w *world) error { return do(w, by, rotate, m) }
	}
	for _, tt := range []struct {
		rule string
		want *tx.Refusal
		try  func(t *testing.T, w *world) error
	}{
		{"registering nobody", ErrAccount, registered(func(m *Register) { m.Account = tx.Account{} })},
		{"updating nobody", ErrAccount, func(_ *testing.T, w *world) error { return do(w, "h1", update, &Update{}) }},
		{"enrolling nobody", ErrAccount, func(_ *testing.T, w *world) error { return do(w, "h1", enrol, &Enrol{}) }},
		{"claiming nobody", ErrAccount, func(_ *testing.T, w *world) error { return do(w, "alice", claim, &Claim{}) }},
		{"rotating nobody", ErrAccount, rotated("alice", &Rotate{Add: keys("x")})},
		{"registering a patient", ErrClass, registered(func(m *Register) { m.Class = ledger.ClassPatient })},
		{"registering a member", ErrClass, registered(func(m *Register) { m.Class = ledger.ClassMember })},
		{"registering of no class", ErrClass, registered(func(m *Register) { m.Class = 0 })},
		{"registering without a key", ErrNoKey, registered(func(m *Register) { m.Keys = nil })},
		{"registering nine keys", ErrTooManyKeys, registered(func(m *Register) { m.Keys = many(9) })},
		{"enrolling nine keys", ErrTooManyKeys, func(_ *testing.T, w *world) error {
			return do(w, "h1", enrol, &Enrol{Patient: account("bob"), Keys: many(9)})
		}},
		{"a ninth live key", ErrTooManyKeys, rotated("alice", &Rotate{Account: account("alice"), Add: many(8)})},
		{"revoking nine keys", ErrTooManyKeys, rotated("alice", &Rotate{Account: account("alice"), Revoke: make([]tx.KeyID, 9)})},
		{"a key twice", ErrKeyUsed, registered(func(m *Register) { m.Keys = keys("q", "q") })},
		{"adding a live key", ErrKeyUsed, rotated("alice", &Rotate{Account: account("alice"), Add: keys("alice")})},
		{"adding a key that ended long ago", ErrKeyUsed, func(t *testing.T, w *world) error {
			for _, m := range []*Rotate{
				{Account: account("alice"), Add: keys("alice/2"), Revoke: ids("alice")},
				{Account: account("alice"), Add: keys("alice/3")},
			} {
				ok(t, do(w, "alice", rotate, m))
				w.height += 10
			}
			return do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("alice")})
		}},
		{"revoking an unknown key", ErrKeyUnknown, rotated("alice", &Rotate{Account: account("alice"), Revoke: ids("x")})},
		{"revoking a key not live yet by itself", ErrKeyUnknown, rotated("alice", &Rotate{Account: account("alice"), Add: keys("x"), Revoke: ids("x")})},
		{"asking for a key before its time", ErrKeyUnknown, func(t *testing.T, w *world) error {
			_, err := answer(t, w, "identity/key", tx.MustEncode(ByKey{account("alice"), key("alice").ID(), 0}))
			return err
		}},
		{"a patient revoking her last key", ErrLastKey, rotated("alice", &Rotate{Account: account("alice"), Revoke: ids("alice")})},
		{"a practitioner revoking its last key itself", ErrLastKey, rotated("p", &Rotate{Account: account("p"), Revoke: ids("p")})},
		{"a patient rotating while keys are recovered", ErrLocked, func(t *testing.T, w *world) error {
			Lock(w.context(w.state, ledger.Signer{}), account("alice"), tx.Hash{1})
			return do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("x")})
		}},
		{"claiming while keys are recovered", ErrLocked, func(t *testing.T, w *world) error {
			ok(t, do(w, "h1", enrol, &Enrol{Patient: account("bob"), Claim: ClaimCommit(key("code"))}))
			Lock(w.context(w.state, ledger.Signer{}), account("bob"), tx.Hash{1})
			return do(w, "bob", claim, &Claim{account("bob"), key("bob"), key("code")})
		}},
		{"rotating nothing", ErrNoChange, rotated("alice", &Rotate{Account: account("alice")})},
		{"updating nothing", ErrNoChange, func(_ *testing.T, w *world) error {
			m := practitioner("p")
			return do(w, "h1", update, &Update{m.Account, m.Roles, m.Privileges, true})
		}},
		{"seventeen roles", ErrRoles, registered(func(m *Register) {
			m.Roles = nil
			for i := range MaxRoles + 1 {
				m.Roles = append(m.Roles, fmt.Sprintf("r%02d", i))
			}
		})},
		{"roles out of order", ErrRoles, registered(func(m *Register) { m.Roles = []string{"b", "a"} })},
		{"a role twice", ErrRoles, registered(func(m *Register) { m.Roles = []string{"a", "a"} })},
		{"a role with a name in it", ErrRoles, registered(func(m *Register) { m.Roles = []string{"Dr Sample"} })},
		{"an unknown privilege", ErrPrivileges, registered(func(m *Register) { m.Privileges = 128 })},
		{"an unknown privilege in an update", ErrPrivileges, func(_ *testing.T, w *world) error {
			return do(w, "h1", update, &Update{Account: account("p"), Privileges: 1 << 31})
		}},
		{"an insurer's emergency privilege", ErrEmergency, func(_ *testing.T, w *world) error {
			m := practitioner("q")
			m.Privileges = PrivEmergency
			return do(w, "i1", register, m)
		}},
		{"an insurer's emergency privilege by update", ErrEmergency, func(t *testing.T, w *world) error {
			ok(t, do(w, "i1", register, practitioner("q")))
			return do(w, "i1", update, &Update{Account: account("q"), Privileges: PrivEmergency, Active: true})
		}},
		{"a practitioner registering", ErrNotMember, func(_ *testing.T, w *world) error { return do(w, "p", register, practitioner("q")) }},
		{"a practitioner enrolling", ErrNotMember, func(_ *testing.T, w *world) error { return do(w, "p", enrol, patient("bob")) }},
		{"a patient updating", ErrNotMember, func(_ *testing.T, w *world) error {
			return do(w, "alice", update, &Update{Account: account("p")})
		}},
		{"a removed member enrolling", ErrNotMember, func(t *testing.T, w *world) error {
			w.remove(t, "h1")
			return do(w, "h1", enrol, patient("bob"))
		}},
		{"a patient rotating another", ErrNotMember, rotated("alice", &Rotate{Account: account("p"), Add: keys("x")})},
		{"registering twice", ErrTaken, func(_ *testing.T, w *world) error { return do(w, "h2", register, practitioner("p")) }},
		{"registering a patient's account", ErrTaken, func(_ *testing.T, w *world) error { return do(w, "h2", register, practitioner("alice")) }},
		{"enrolling twice", ErrTaken, func(_ *testing.T, w *world) error { return do(w, "h2", enrol, patient("alice")) }},
		{"enrolling a member's account", ErrTaken, func(_ *testing.T, w *world) error { return do(w, "h2", enrol, patient("h1")) }},
		{"updating a stranger", ErrUnknown, func(_ *testing.T, w *world) error { return do(w, "h1", update, &Update{Account: account("x")}) }},
		{"rotating a stranger", ErrUnknown, rotated("h1", &Rotate{Account: account("x"), Add: keys("x")})},
		{"a member rotating itself here", ErrUnknown, rotated("h1", &Rotate{Account: account("h1"), Add: keys("x")})},
		{"claiming a stranger", ErrUnknown, func(_ *testing.T, w *world) error {
			return do(w, "x", claim, &Claim{account("x"), key("x"), key("code")})
		}},
		{"asking for a stranger", ErrUnknown, func(t *testing.T, w *world) error {
			_, err := answer(t, w, "identity/principal", tx.MustEncode(ByAccount{account("x")}))
			return err
		}},
		{"updating another member's practitioner", ErrNotYours, func(_ *testing.T, w *world) error {
			return do(w, "h2", update, &Update{Account: account("p")})
		}},
		{"rotating another member's practitioner", ErrNotYours, rotated("h2", &Rotate{Account: account("p"), Add: keys("x")})},
		{"a steward rotating its patient", ErrNotYours, rotated("h1", &Rotate{Account: account("alice"), Add: keys("x")})},
		{"a steward updating its patient", ErrNotYours, func(_ *testing.T, w *world) error {
			return do(w, "h1", update, &Update{Account: account("alice"), Active: false})
		}},
		{"a steward claiming for its patient", ErrNotSelf, func(_ *testing.T, w *world) error {
			return do(w, "h1", claim, &Claim{account("alice"), key("x"), key("code")})
		}},
		{"claiming what cannot be claimed", ErrNoClaim, func(_ *testing.T, w *world) error {
			return do(w, "alice", claim, &Claim{account("alice"), key("x"), key("code")})
		}},
		{"claiming with another code", ErrClaimKey, func(t *testing.T, w *world) error {
			ok(t, do(w, "h1", enrol, &Enrol{Patient: account("bob"), Claim: ClaimCommit(key("code"))}))
			return do(w, "bob", claim, &Claim{account("bob"), key("bob"), key("guess")})
		}},
		{"claiming with the new key itself", ErrClaimKey, func(_ *testing.T, w *world) error {
			return do(w, "alice", claim, &Claim{account("alice"), key("x"), key("x")})
		}},
		{"a patient's keys without user verification", errUserVerification, func(_ *testing.T, w *world) error {
			return doAs(w, ledger.Signer{Account: account("alice"), Class: ledger.ClassPatient, Member: account("h1")}, rotate,
				&Rotate{Account: account("alice"), Add: keys("x")})
		}},
		{"a query that does not decode", ErrQuery, func(t *testing.T, w *world) error {
			_, err := answer(t, w, "identity/principal", nil)
			return err
		}},
		{"a key query that does not decode", ErrQuery, func(t *testing.T, w *world) error {
			_, err := answer(t, w, "identity/key", []byte{0xff})
			return err
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			ok(t, do(w, "h1", register, practitioner("p")))
			ok(t, do(w, "h1", enrol, patient("alice")))
			w.height++
			if err := tt.try(t, w); !errors.Is(err, tt.want) {
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

func TestGenesisHasNobody(t *testing.T) {
	if err := genesis(nil, []byte(`{"principals":[]}`)); err == nil {
		t.Error("with content: accepted")
	}
}
