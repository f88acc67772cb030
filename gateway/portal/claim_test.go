package portal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"salus/client"
	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// wire is a transport that takes everything and says that it is committed.
type wire struct {
	client.Transport
	sent [][]byte
}

func (w *wire) NextNonce(context.Context, tx.Account) (uint64, error) { return 1, nil }
func (w *wire) Broadcast(_ context.Context, raw []byte) error {
	w.sent = append(w.sent, raw)
	return nil
}

func (w *wire) Result(_ context.Context, id tx.Hash) (client.Committed, bool, error) {
	return client.Committed{ID: id, Height: 11}, true, nil
}

// claims is a world with a pseudonym of each standing, and the code of the first two.
func claims(t *testing.T) (w *world, sent *wire, open, used tx.Account, code func(tx.Account) tx.Signer) {
	w, sent = newWorld(t), &wire{}
	w.Transport = sent
	open, used = tx.Account{1}, tx.Account{2}
	code = func(a tx.Account) tx.Signer { return identity.ClaimSigner(a, [32]byte{a[0], 7}) }
	w.people[open] = identity.Principal{Account: open, Class: ledger.ClassPatient, Active: true, Claim: identity.ClaimCommit(code(open).Public())}
	w.people[used] = identity.Principal{Account: used, Class: ledger.ClassPatient, Active: true}
	w.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Active: true}
	w.ClaimKey = func(a tx.Account) (tx.PublicKey, bool) { return code(a).Public(), a == used || a == open }
	return w, sent, open, used, code
}

// start asks as a wallet that holds a code, changed by change.
func (w *world) start(t *testing.T, a tx.Account, code tx.Signer, change func(*ClaimStart)) (status int, problem, said string) {
	var c Challenge
	if err := json.Unmarshal(w.ask("POST", "/api/challenge", "{}", nil, nil).Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	s, err := code.Sign(claimDigest("test", origin, a, [32]byte(c.Nonce)))
	if err != nil {
		t.Fatal(err)
	}
	in := ClaimStart{a, code.Public(), Proof{Nonce: c.Nonce, Signature: base64.RawURLEncoding.EncodeToString(s.Sig)}}
	if change != nil {
		change(&in)
	}
	rec := w.ask("POST", "/api/claim/start", in, nil, nil)
	return rec.Code, codeOf(rec), rec.Body.String()
}

func TestOnlyTheCodeSaysWhetherItIsOpen(t *testing.T) {
	w, _, open, used, code := claims(t)
	if status, _, said := w.start(t, open, code(open), nil); status != 200 || said != "{\"nonce\":1,\"height\":10}\n" {
		t.Errorf("the code: got %d %s", status, said)
	}
	if status, problem, _ := w.start(t, used, code(used), nil); status != 409 || problem != "claimed" {
		t.Errorf("the used code: got %d %s", status, problem)
	}
	// Without the code, all pseudonyms answer alike.
	answers := map[string]bool{}
	for _, a := range []tx.Account{open, used, {3}, {77}} {
		status, problem, said := w.start(t, a, identity.ClaimSigner(a, [32]byte{99}), nil)
		if status != 404 || problem != "claim" {
			t.Errorf("%d without its code: got %d %s", a[0], status, problem)
		}
		answers[said] = true
	}
	if len(answers) != 1 {
		t.Errorf("got answers that differ: %v", answers)
	}
	for name, change := range map[string]func(*ClaimStart){
		"no signature":       func(c *ClaimStart) { c.Proof.Signature = "" },
		"another signature":  func(c *ClaimStart) { c.Proof.Signature = base64.RawURLEncoding.EncodeToString(make([]byte, 64)) },
		"another key":        func(c *ClaimStart) { c.Key = code(used).Public() },
		"another account":    func(c *ClaimStart) { c.Account = used },
		"another challenge":  func(c *ClaimStart) { c.Proof.Nonce = make([]byte, 32) },
		"a passkey's key":    func(c *ClaimStart) { c.Key.Alg = tx.AlgPasskeyES256 },
		"no account":         func(c *ClaimStart) { c.Account = tx.Account{} },
		"a sign-in's digest": func(c *ClaimStart) { c.Proof.Signature = signInProof(t, code(open), open, c.Proof.Nonce) },
	} {
		if status, problem, said := w.start(t, open, code(open), change); status/100 != 4 || problem != "proof" && problem != "argument" {
			t.Errorf("%s: got %d %s", name, status, said)
		}
	}
	if rec := w.ask("GET", "/api/claim/"+open.String(), nil, nil, nil); rec.Code != 404 && rec.Code != 405 {
		t.Errorf("a stranger's question: got %d %s", rec.Code, rec.Body)
	}
}

func signInProof(t *testing.T, k tx.Signer, a tx.Account, nonce []byte) string {
	s, err := k.Sign(signInDigest("test", origin, a, [32]byte(nonce)))
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(s.Sig)
}

func TestClaimsThatCannotSucceedAreNotPassedOn(t *testing.T) {
	w, sent, open, used, code := claims(t)
	k, err := passkey.New(strings.NewReader(strings.Repeat("c", 64)), "portal.example.org", origin)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(chain string, signer, a tx.Account, c tx.Signer) (status int, problem string) {
		raw, _, err := tx.Sign(chain, identity.KindClaim, &identity.Claim{Patient: a, Key: k.Public(), ClaimKey: c.Public()}, signer, 1, 20, k.Signer(signer), c)
		if err != nil {
			t.Fatal(err)
		}
		rec := w.ask("POST", "/api/claim", string(raw), nil, nil)
		return rec.Code, codeOf(rec)
	}
	wrong := func(a tx.Account) tx.Signer { return identity.ClaimSigner(a, [32]byte{99}) }
	for _, x := range []struct {
		name      string
		chain     string
		signer, a tx.Account
		code      tx.Signer
		want      string
	}{
		{"a wrong code", "test", open, open, wrong(open), "claim"},
		{"a wrong code for one that is used", "test", used, used, wrong(used), "claim"},
		{"a code of nobody", "test", tx.Account{77}, tx.Account{77}, wrong(tx.Account{77}), "claim"},
		{"a used code", "test", used, used, code(used), "claimed"},
		{"another chain", "other", open, open, code(open), "argument"},
		{"another signer", "test", used, open, code(used), "argument"},
	} {
		if status, problem := claim(x.chain, x.signer, x.a, x.code); status/100 != 4 || problem != x.want {
			t.Errorf("%s: got %d %s, want %s", x.name, status, problem, x.want)
		}
	}
	if len(sent.sent) > 0 {
		t.Fatalf("got %d transactions passed on", len(sent.sent))
	}
	if status, problem := claim("test", open, open, code(open)); status != 200 || len(sent.sent) != 1 || !bytes.Contains(sent.sent[0], open[:]) {
		t.Errorf("the code: got %d %s", status, problem)
	}
}
