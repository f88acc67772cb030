package access_test

import (
	"testing"
	"time"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// A delegate signs for its session's actor what reads on in that session, and nothing else.
func TestChainDelegateReadsOnInItsSessionAlone(t *testing.T) {
	c := ledgertest.New(t, params())
	must := func(kind tx.Kind, m tx.Message, by string) tx.Hash {
		t.Helper()
		id, res := c.Do(kind, m, by)
		if res.Code != tx.CodeOK {
			t.Fatalf("%s by %s: %#04x %s", kind, by, res.Code, res.Log)
		}
		return id
	}
	// as signs for an account with a key of another name.
	as := func(who, with string, kind tx.Kind, m tx.Message) (tx.Hash, uint32) {
		t.Helper()
		view := c.App(0).View()
		nonce := ledger.NextNonce(view, account(who))
		view.Close()
		raw, id, err := tx.Sign(ledgertest.ChainID, kind, m, account(who), nonce, uint64(c.Head().Height)+10, tx.NewEd25519Signer(account(who), ledgertest.Key(with)))
		if err != nil {
			t.Fatal(err)
		}
		return id, c.Finalize(raw).TxResults[0].Code
	}
	for _, p := range []string{"alice", "bob"} {
		must(identity.KindEnrol, &identity.Enrol{Patient: account(p), Keys: []tx.PublicKey{ledgertest.Public(p), ledgertest.Public(p + "'s second")}}, "hospital")
	}
	must(identity.KindRegister, &identity.Register{
		Account: account("doctor"), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{ledgertest.Public("doctor")}, Privileges: identity.PrivRead,
	}, "clinic")
	own := func(delegate string) *access.Request {
		r := request()
		r.Patient, r.Purpose = account("alice"), consent.PATRQT
		if delegate != "" {
			r.Delegate = ledgertest.Public(delegate).Key
		}
		return r
	}
	first := must(access.KindRequest, own("page"), "alice")
	other := must(access.KindRequest, own("another page"), "alice")
	plain := must(access.KindRequest, own(""), "alice")
	list := func(s tx.Hash) *access.CommitFetch {
		return &access.CommitFetch{Session: s, Root: digest("list"), Count: 1}
	}
	_, unknown := as("alice", "nobody's", access.KindFetch, list(first))
	if unknown == tx.CodeOK {
		t.Fatal("a key that nobody named signed")
	}
	if _, got := as("alice", "page", access.KindFetch, list(first)); got != tx.CodeOK {
		t.Fatalf("the delegate in its session: got %#04x, want none", got)
	}
	for _, tt := range []struct {
		rule      string
		who, with string
		kind      tx.Kind
		m         tx.Message
	}{
		{"in another session of the same patient", "alice", "page", access.KindFetch, list(other)},
		{"in a session without a delegate", "alice", "page", access.KindFetch, list(plain)},
		{"in the name of somebody else", "bob", "page", access.KindFetch, list(first)},
		{"in the name of her steward", "hospital", "page", access.KindFetch, list(first)},
		{"a request", "alice", "page", access.KindRequest, own("page")},
		{"a consent", "alice", "page", consent.KindGrant, grant("g")},
		{"a key", "alice", "page", identity.KindRotate, &identity.Rotate{Account: account("alice"), Add: []tx.PublicKey{ledgertest.Public("page")}}},
		{"the closing of another session", "alice", "page", access.KindClose, &access.Close{Session: other}},
	} {
		if _, got := as(tt.who, tt.with, tt.kind, tt.m); got == tx.CodeOK {
			t.Errorf("%s: the delegate signed it", tt.rule)
		}
	}
	view := c.App(0).View()
	s, ok := access.Lookup(view, first)
	view.Close()
	if !ok || s.Fetches != 1 || s.Delegation == nil || s.Delegation.By != ledgertest.Public("alice").ID() {
		t.Errorf("got %+v, want one fetch and the delegation by her first key", s)
	}

	// It closes its session, and that is its end.
	if _, got := as("alice", "page", access.KindClose, &access.Close{Session: first}); got != tx.CodeOK {
		t.Errorf("closing: got %#04x, want none", got)
	}
	if _, got := as("alice", "page", access.KindFetch, list(first)); got != access.ErrClosed.Code {
		t.Errorf("after closing: got %#04x, want %#04x", got, access.ErrClosed.Code)
	}
	// It ends with the time of the session.
	c.Wait(time.Duration(request().TTL+1) * time.Second)
	if _, got := as("alice", "another page", access.KindFetch, list(other)); got != access.ErrExpired.Code {
		t.Errorf("after its time: got %#04x, want %#04x", got, access.ErrExpired.Code)
	}
	// It ends with the key that gave it.
	third, _ := as("alice", "alice", access.KindRequest, own("page"))
	if _, got := as("alice", "alice's second", identity.KindRotate, &identity.Rotate{Account: account("alice"), Revoke: []tx.KeyID{ledgertest.Public("alice").ID()}}); got != tx.CodeOK {
		t.Fatalf("taking a key away: got %#04x", got)
	}
	if _, got := as("alice", "page", access.KindFetch, list(third)); got != unknown {
		t.Errorf("after its giver's end: got %#04x, want %#04x", got, unknown)
	}
	// It ends with its actor's standing.
	r := request()
	r.Delegate = ledgertest.Public("screen").Key
	fourth, _ := as("doctor", "doctor", access.KindRequest, r)
	if _, got := as("doctor", "screen", access.KindFetch, list(fourth)); got != tx.CodeOK {
		t.Errorf("a practitioner's: got %#04x, want none", got)
	}
	must(identity.KindUpdate, &identity.Update{Account: account("doctor"), Privileges: identity.PrivRead}, "clinic")
	if _, got := as("doctor", "screen", access.KindFetch, list(fourth)); got == tx.CodeOK {
		t.Error("the delegate of one who is suspended signed")
	}
}

func TestDelegateIsAnEd25519Key(t *testing.T) {
	for _, key := range [][]byte{{1}, make([]byte, 31), make([]byte, 33), make([]byte, 64)} {
		r := request()
		r.Delegate = key
		if err := r.Validate(); err != access.ErrDelegate {
			t.Errorf("%d bytes: got %v, want %v", len(key), err, access.ErrDelegate)
		}
		x := &access.Recover{Patient: account("alice"), Case: digest("case"), ReaderKey: digest("key"), TTL: 1, Delegate: key}
		if err := x.Validate(); err != access.ErrDelegate {
			t.Errorf("recovery, %d bytes: got %v, want %v", len(key), err, access.ErrDelegate)
		}
	}
}
