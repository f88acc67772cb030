package identity

import (
	"bytes"
	"errors"
	"testing"

	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/tx"
)

// authenticate signs a message for an account with these signers and resolves
// it as the ledger does at that height.
func (w *world) authenticate(t *testing.T, height int64, kind tx.Kind, m tx.Message, by string, signers ...tx.Signer) (ledger.Signer, error) {
	t.Helper()
	raw, id, err := tx.Sign("test", kind, m, account(by), 1, 100, signers...)
	ok(t, err)
	e, b, err := tx.DecodeEnvelope(raw)
	ok(t, err)
	verify := func(key tx.PublicKey, digest tx.Hash, s *tx.Signature, pol tx.PasskeyPolicy) error {
		return key.Verify(digest, s, pol)
	}
	return Authenticate(w.state, ledger.Head{Height: height}, ledger.Params{Origins: []string{wallet}}, b, e, id, verify)
}

const wallet = "https://wallet.example"

func signer(by, name string) tx.Signer { return tx.NewEd25519Signer(account(by), private(name)) }

func TestAuthenticate(t *testing.T) {
	note := &Enrol{Patient: account("note"), Keys: keys("note")}
	for _, tt := range []struct {
		rule    string
		height  int64
		by      string
		signers []tx.Signer
		before  func(t *testing.T, w *world)
		want    error
		class   ledger.Class
		member  string
	}{
		{rule: "a member signs", height: 1, by: "h1", signers: []tx.Signer{signer("h1", "h1")}, class: ledger.ClassMember, member: "h1"},
		{rule: "a practitioner signs for its member", height: 1, by: "p", signers: []tx.Signer{signer("p", "p")}, class: ledger.ClassPractitioner, member: "h1"},
		{rule: "a patient signs", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "alice")}, class: ledger.ClassPatient, member: "h1"},
		{rule: "a key does not count in the block that added it", height: 0, by: "alice", signers: []tx.Signer{signer("alice", "alice")}, want: errKeyInactive},
		{rule: "a stranger is unknown", height: 1, by: "x", signers: []tx.Signer{signer("x", "x")}, want: errUnknownSigner},
		{rule: "another account's key is not one's own", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "p")}, want: errKeyInactive},
		{rule: "the signer's own signature is needed", height: 1, by: "alice", signers: []tx.Signer{signer("p", "p")}, want: errMissingSignature},
		{rule: "a co-signer is verified too", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "alice"), signer("p", "p")}, class: ledger.ClassPatient, member: "h1"},
		{rule: "a co-signer's key must be live", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "alice"), signer("p", "x")}, want: errKeyInactive},
		{rule: "a co-signer must exist", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "alice"), signer("x", "x")}, want: errSignerInactive},
		{rule: "a forged signature does not verify", height: 1, by: "alice", signers: []tx.Signer{forger{signer("alice", "alice")}}, want: tx.Refuse(tx.CodeBadSignature, "")},
		{rule: "a forged co-signature does not verify", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "alice"), forger{signer("p", "p")}}, want: tx.Refuse(tx.CodeBadSignature, "")},
		{
			rule: "a suspended practitioner does not sign", height: 1, by: "p", signers: []tx.Signer{signer("p", "p")}, want: errSignerInactive,
			before: func(t *testing.T, w *world) { ok(t, do(w, "h1", update, &Update{Account: account("p")})) },
		},
		{
			rule: "a removed member's practitioner does not sign", height: 1, by: "p", signers: []tx.Signer{signer("p", "p")}, want: errSignerInactive,
			before: func(t *testing.T, w *world) { w.remove(t, "h1") },
		},
		{
			rule: "a removed member does not sign", height: 1, by: "h1", signers: []tx.Signer{signer("h1", "h1")}, want: errSignerInactive,
			before: func(t *testing.T, w *world) { w.remove(t, "h1") },
		},
		{
			rule: "a removed steward's patient signs", height: 1, by: "alice", signers: []tx.Signer{signer("alice", "alice")}, class: ledger.ClassPatient, member: "h1",
			before: func(t *testing.T, w *world) { w.remove(t, "h1") },
		},
		{rule: "a revoked key counts to the end of its block", height: 0 + 1, by: "alice", signers: []tx.Signer{signer("alice", "alice")}, class: ledger.ClassPatient, member: "h1", before: replaced},
		{rule: "a revoked key does not count in the next", height: 2, by: "alice", signers: []tx.Signer{signer("alice", "alice")}, want: errKeyInactive, before: replaced},
		{rule: "the key that replaces it does", height: 2, by: "alice", signers: []tx.Signer{signer("alice", "alice/2")}, class: ledger.ClassPatient, member: "h1", before: replaced},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			ok(t, do(w, "h1", register, practitioner("p")))
			ok(t, do(w, "h1", enrol, patient("alice")))
			w.height = 1
			if tt.before != nil {
				tt.before(t, w)
			}
			got, err := w.authenticate(t, tt.height, KindEnrol, note, tt.by, tt.signers...)
			if tt.want != nil {
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				return
			}
			want := ledger.Signer{Account: account(tt.by), Class: tt.class, Member: account(tt.member), Key: tt.signers[0].Public().ID(), UserVerified: true}
			if err != nil || got != want {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func replaced(t *testing.T, w *world) {
	ok(t, do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys("alice/2"), Revoke: ids("alice")}))
}

// A forger has the public key only.
type forger struct{ tx.Signer }

func (f forger) Sign(digest tx.Hash) (tx.Signature, error) {
	s, err := f.Signer.Sign(tx.Hash{1})
	return s, err
}

func TestClaimIsSignedByBothItsKeys(t *testing.T) {
	secret := seed("paper code")
	code := ClaimSigner(account("alice"), secret)
	m := &Claim{Patient: account("alice"), Key: key("alice"), ClaimKey: code.Public()}
	stolen := &Claim{Patient: account("alice"), Key: key("thief"), ClaimKey: code.Public()}
	guess := &Claim{Patient: account("alice"), Key: key("thief"), ClaimKey: key("guess")}
	for _, tt := range []struct {
		rule    string
		m       *Claim
		by      string
		signers []tx.Signer
		want    error
	}{
		{"both keys sign", m, "alice", []tx.Signer{signer("alice", "alice"), code}, nil},
		{"the new key alone is not enough", m, "alice", []tx.Signer{signer("alice", "alice")}, errMissingSignature},
		{"the code alone is not enough", m, "alice", []tx.Signer{code}, errMissingSignature},
		{"who saw the claim cannot claim for another key", stolen, "alice", []tx.Signer{signer("alice", "thief")}, errMissingSignature},
		{"nor sign with a key not in the claim", stolen, "alice", []tx.Signer{signer("alice", "thief"), signer("alice", "thief/2")}, errKeyInactive},
		{"nor forge the code's signature", stolen, "alice", []tx.Signer{signer("alice", "thief"), forger{code}}, tx.Refuse(tx.CodeBadSignature, "")},
		{"nor guess another code", guess, "alice", []tx.Signer{signer("alice", "thief"), signer("alice", "guess")}, ErrClaimKey},
		{"another account does not claim it", m, "h1", []tx.Signer{signer("h1", "h1")}, ErrNotSelf},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			ok(t, do(w, "h1", enrol, &Enrol{Patient: account("alice"), Claim: ClaimCommit(code.Public())}))
			w.height = 1
			got, err := w.authenticate(t, 1, KindClaim, tt.m, tt.by, tt.signers...)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err == nil && got.Key != key("alice").ID() {
				t.Errorf("got key %v, want the new one", got.Key)
			}
		})
	}
}

func TestPasskeyVerifiesItsUserAtAnAgreedOrigin(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		change func(p *passkey.Passkey)
		want   uint32
	}{
		{"user verified", func(*passkey.Passkey) {}, tx.CodeOK},
		{"user not verified", func(p *passkey.Passkey) { p.Flags &^= passkey.FlagUV }, tx.CodeUserVerification},
		{"another origin", func(p *passkey.Passkey) { p.Origin = "https://wallet.example.evil" }, tx.CodePasskeyOrigin},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := newWorld(t)
			s := seed("passkey")
			p, err := passkey.New(bytes.NewReader(s[:]), "wallet.example", wallet)
			ok(t, err)
			ok(t, do(w, "h1", enrol, &Enrol{Patient: account("alice"), Keys: []tx.PublicKey{p.Public()}}))
			tt.change(p)
			got, err := w.authenticate(t, 1, KindRotate, &Rotate{Account: account("alice"), Add: keys("alice/2")}, "alice", p.Signer(account("alice")))
			if code, _ := tx.CodeOf(err); code != tt.want {
				t.Errorf("got %v, want code %#04x", err, tt.want)
			}
			if err == nil && !got.UserVerified {
				t.Error("the user is not marked as verified")
			}
		})
	}
}

// No vote can take a pseudonym over: the person comes before the member.
func TestPersonComesBeforeAMemberOfTheSameAccount(t *testing.T) {
	w := newWorld(t)
	ok(t, do(w, "h1", enrol, &Enrol{Patient: account("alice"), Keys: keys("alice")}))
	w.admit(t, "alice", "usurper")
	if p, _ := Lookup(w.state, account("alice")); p.Class != ledger.ClassPatient {
		t.Errorf("got %v, want a patient", p.Class)
	}
	if _, err := w.authenticate(t, 9, KindEnrol, patient("x"), "alice", signer("alice", "usurper")); !errors.Is(err, errKeyInactive) {
		t.Errorf("got %v, want %v", err, errKeyInactive)
	}
}

func TestUndecodableClaimIsRefused(t *testing.T) {
	w := newWorld(t)
	b := &tx.Body{Chain: "test", Kind: KindClaim, Payload: []byte{0xff}, Signer: account("h1")}
	_, err := Authenticate(w.state, ledger.Head{}, ledger.Params{}, b, &tx.Envelope{}, tx.Hash{}, nil)
	if code, is := tx.CodeOf(err); !is || code == tx.CodeOK {
		t.Errorf("got %v, want a refusal", err)
	}
	b.Payload = tx.MustEncode(&Claim{})
	if _, err := Authenticate(w.state, ledger.Head{}, ledger.Params{}, b, &tx.Envelope{}, tx.Hash{}, nil); !errors.Is(err, ErrAccount) {
		t.Errorf("got %v, want %v", err, ErrAccount)
	}
}
