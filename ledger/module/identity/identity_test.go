package identity

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/tx"
)

func TestRegisteredPractitionerStandsWithItsMember(t *testing.T) {
	w := newWorld(t)
	ok(t, do(w, "h1", register, practitioner("p")))
	p, m, standing := Standing(w.state, account("p"))
	if !standing || p.Member != account("h1") || m.Account != account("h1") || !p.Has(PrivRead|PrivWrite) || p.Has(PrivEmergency) || !p.HasRole("207Q00000X") || p.HasRole("x") {
		t.Fatalf("got %+v, %v", p, standing)
	}
	ok(t, do(w, "h1", update, &Update{Account: account("p"), Privileges: PrivRead, Active: false}))
	if p, _, standing := Standing(w.state, account("p")); standing || p.Privileges != PrivRead {
		t.Errorf("got %+v, %v; want suspended", p, standing)
	}
	ok(t, do(w, "h1", update, &Update{Account: account("p"), Privileges: PrivRead, Active: true}))
	w.remove(t, "h1")
	if _, _, standing := Standing(w.state, account("p")); standing {
		t.Error("its member left and it still stands")
	}
}

func TestPatientOutlivesHerSteward(t *testing.T) {
	w := newWorld(t)
	ok(t, do(w, "h1", enrol, patient("alice")))
	w.remove(t, "h1")
	if p, m, standing := Standing(w.state, account("alice")); !standing || m.Active || p.Member != account("h1") {
		t.Errorf("got %+v, %v; want a patient who stands though her steward left", p, standing)
	}
}

func TestMemberIsAPrincipal(t *testing.T) {
	w := newWorld(t)
	p, found := Lookup(w.state, account("i1"))
	want := Principal{Account: account("i1"), Class: ledger.ClassMember, Member: account("i1"), Active: true, Keys: Ring{{Public: key("i1")}}}
	if diff := cmp.Diff(want, p); !found || diff != "" {
		t.Error(diff)
	}
	if _, live := KeyAt(w.state, account("i1"), key("i1").ID(), 0); !live {
		t.Error("its genesis key is not live")
	}
	w.remove(t, "i1")
	if _, _, standing := Standing(w.state, account("i1")); standing {
		t.Error("it was removed and still stands")
	}
}

func TestKeyIsJudgedByHeight(t *testing.T) {
	w := newWorld(t)
	w.height = 10
	ok(t, do(w, "h1", enrol, patient("alice")))
	w.height = 20
	ok(t, do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("alice/2"), Revoke: ids("alice")}))
	w.height = 30
	ok(t, do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("alice/3"), Revoke: ids("alice/2")}))
	w.height = 40
	ok(t, do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("alice/4")}))
	for _, tt := range []struct {
		key         string
		from, until uint64
	}{{"alice", 11, 21}, {"alice/2", 21, 31}, {"alice/3", 31, 0}, {"alice/4", 41, 0}} {
		for h := range uint64(50) {
			want := tt.from <= h && (tt.until == 0 || h < tt.until)
			k, got := KeyAt(w.state, account("alice"), key(tt.key).ID(), h)
			if got != want || got && (k.From != tt.from || k.Until != tt.until) {
				t.Fatalf("key %s at height %d: got %+v, %v; want live %v", tt.key, h, k, got, want)
			}
		}
	}
}

func TestPatientsEntriesAreAChain(t *testing.T) {
	w := newWorld(t)
	ok(t, do(w, "h1", enrol, &Enrol{Patient: account("alice"), Claim: ClaimCommit(key("code"))}))
	ok(t, do(w, "alice", claim, &Claim{Patient: account("alice"), Key: key("alice"), ClaimKey: key("code")}))
	w.height++
	ok(t, do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("alice/2")}))
	if at, _ := audit.At(w.state, account("alice")); at.Seq != 3 {
		t.Errorf("got %d entries, want 3: enrolled, claimed, keys changed", at.Seq)
	}
	ok(t, do(w, "h1", register, practitioner("p")))
	if _, has := audit.At(w.state, account("p")); has {
		t.Error("a practitioner has a chain; only pseudonyms do")
	}
}

func TestClaimWorksOnce(t *testing.T) {
	w := newWorld(t)
	ok(t, do(w, "h1", enrol, &Enrol{Patient: account("alice"), Claim: ClaimCommit(key("code"))}))
	c := &Claim{Patient: account("alice"), Key: key("alice"), ClaimKey: key("code")}
	ok(t, do(w, "alice", claim, c))
	p, _ := Lookup(w.state, account("alice"))
	if p.Claim != (tx.Hash{}) || len(p.Keys) != 1 {
		t.Errorf("got %+v, want one key and no claim", p)
	}
	c.Key = key("alice/2")
	if err := do(w, "alice", claim, c); !errors.Is(err, ErrNoClaim) {
		t.Errorf("got %v, want %v", err, ErrNoClaim)
	}
}

func TestMemberEndsALostDevicesKeys(t *testing.T) {
	w := newWorld(t)
	m := practitioner("d")
	m.Class = ledger.ClassDevice
	ok(t, do(w, "h1", register, m))
	w.height++
	ok(t, do(w, "h1", rotate, &Rotate{Account: account("d"), Revoke: ids("d")}))
	if _, live := KeyAt(w.state, account("d"), key("d").ID(), uint64(w.height)+1); live {
		t.Error("the key is still live")
	}
	ok(t, do(w, "h1", rotate, &Rotate{Account: account("d"), Add: keys("d/2")}))
}

func TestQueriesAnswer(t *testing.T) {
	w := newWorld(t)
	ok(t, do(w, "h1", register, practitioner("p")))
	var p Principal
	b, err := answer(t, w, "identity/principal", tx.MustEncode(ByAccount{account("p")}))
	ok(t, err)
	ok(t, tx.Decode(b, &p))
	if want, _ := Lookup(w.state, account("p")); !cmp.Equal(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
	_, err = answer(t, w, "identity/key", tx.MustEncode(ByKey{account("p"), key("p").ID(), 1}))
	ok(t, err)
}

func answer(t *testing.T, w *world, path string, arg []byte) ([]byte, error) {
	t.Helper()
	for _, q := range queries() {
		if q.Path == path {
			return q.Answer(w.state, ledger.Head{Height: w.height}, arg)
		}
	}
	t.Fatalf("no query %s", path)
	return nil, nil
}
