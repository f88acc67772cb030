package tx_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/tx"
)

func TestKindIsModuleDotVerb(t *testing.T) {
	for kind, want := range map[tx.Kind]uint32{
		"consent.grant":                          tx.CodeOK,
		"a.b":                                    tx.CodeOK,
		"epcis2.object1":                         tx.CodeOK,
		"m." + tx.Kind(strings.Repeat("v", 46)):  tx.CodeOK,
		"m." + tx.Kind(strings.Repeat("v", 47)):  tx.CodeBadKind,
		"":                                       tx.CodeBadKind,
		".":                                      tx.CodeBadKind,
		"consent":                                tx.CodeBadKind,
		"consent.":                               tx.CodeBadKind,
		".grant":                                 tx.CodeBadKind,
		"consent.grant.now":                      tx.CodeBadKind,
		"consent..grant":                         tx.CodeBadKind,
		"Consent.grant":                          tx.CodeBadKind,
		"consent.2grant":                         tx.CodeBadKind,
		"2consent.grant":                         tx.CodeBadKind,
		"consent.gr-ant":                         tx.CodeBadKind,
		"consent.gränt":                          tx.CodeBadKind,
		"consent.grant ":                         tx.CodeBadKind,
		"consent.grant\x00":                      tx.CodeBadKind,
		tx.Kind(strings.Repeat("m", 100)) + ".v": tx.CodeBadKind,
	} {
		wantCode(t, string(kind), kind.Validate(), want)
	}
	if got := tx.Kind("consent.grant").Module(); got != "consent" {
		t.Errorf("Module: got %q, want consent", got)
	}
	if got := tx.Kind("consent").Module(); got != "consent" {
		t.Errorf("Module without verb: got %q, want consent", got)
	}
}

func TestSignedTransactionComesBack(t *testing.T) {
	pk := newPasskey(t, 9)
	msg := &note{
		Subject: bob, Count: 7, Words: []string{"one", "zwei"}, Inner: &inner{Small: [4]uint16{1, 2, 3, 4}}, Signed: -5,
		Keys: []tx.PublicKey{pk.Public()},
	}
	raw, id, err := tx.Sign(testChain, testKind, msg, alice, 42, 1000, edSigner(bob, 2), pk.Signer(alice), edSigner(alice, 1))
	if err != nil {
		t.Fatal(err)
	}
	e, b, err := tx.DecodeEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &tx.Body{Chain: testChain, Kind: testKind, Payload: tx.MustEncode(msg), Signer: alice, Nonce: 42, Expiry: 1000}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if got := tx.Digest(e.Body, testChain); got != id {
		t.Errorf("digest: got %v, want the id %v", got, id)
	}
	got := new(note)
	if err := tx.Decode(b.Payload, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tx.MustEncode(msg), tx.MustEncode(got)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	keys := []tx.PublicKey{edSigner(alice, 1).Public(), edSigner(bob, 2).Public(), pk.Public()}
	for i := range e.Signatures {
		s := &e.Signatures[i]
		for _, k := range keys {
			want := tx.CodeBadSignature
			if k.ID() == s.Key {
				want = tx.CodeOK
			}
			wantCode(t, "signature by "+k.Alg.String(), k.Verify(id, s, testPolicy), want)
		}
	}
}

func TestEnvelopeRules(t *testing.T) {
	raw, _ := mustSign(t, edSigner(alice, 1), edSigner(alice, 2), edSigner(bob, 3))
	pkRaw, _ := mustSign(t, newPasskey(t, 1).Signer(alice))
	for _, c := range []struct {
		name string
		raw  []byte
		edit func(e *tx.Envelope)
		code uint32
	}{
		{"unchanged", raw, func(*tx.Envelope) {}, tx.CodeOK},
		{"passkey unchanged", pkRaw, func(*tx.Envelope) {}, tx.CodeOK},
		{"no signature", raw, func(e *tx.Envelope) { e.Signatures = nil }, tx.CodeMissingSignature},
		{"nine signatures", raw, func(e *tx.Envelope) {
			for i := range 9 {
				s := e.Signatures[0]
				s.Key[0] = byte(i)
				e.Signatures = append(e.Signatures, s)
			}
		}, tx.CodeTooManySignatures},
		{"same signature twice", raw, func(e *tx.Envelope) { e.Signatures[1] = e.Signatures[0] }, tx.CodeDuplicateSignature},
		{"accounts not ascending", raw, func(e *tx.Envelope) { e.Signatures[0], e.Signatures[2] = e.Signatures[2], e.Signatures[0] }, tx.CodeSignatureOrder},
		{"keys not ascending", raw, func(e *tx.Envelope) { e.Signatures[0], e.Signatures[1] = e.Signatures[1], e.Signatures[0] }, tx.CodeSignatureOrder},
		{"short signature", raw, func(e *tx.Envelope) { e.Signatures[0].Sig = e.Signatures[0].Sig[:63] }, tx.CodeFieldLength},
		{"long signature", raw, func(e *tx.Envelope) { e.Signatures[0].Sig = append(e.Signatures[0].Sig, 0) }, tx.CodeFieldLength},
		{"no signature bytes", raw, func(e *tx.Envelope) { e.Signatures[0].Sig = nil }, tx.CodeFieldLength},
		{"algorithm zero", raw, func(e *tx.Envelope) { e.Signatures[0].Alg = 0 }, tx.CodeUnknownAlg},
		{"algorithm three", raw, func(e *tx.Envelope) { e.Signatures[0].Alg = 3 }, tx.CodeUnknownAlg},
		{"authenticator data with Ed25519", raw, func(e *tx.Envelope) { e.Signatures[0].AuthData = make([]byte, 37) }, tx.CodeFieldLength},
		{"client data with Ed25519", raw, func(e *tx.Envelope) { e.Signatures[0].ClientData = []byte("{}") }, tx.CodeFieldLength},
		{"passkey without authenticator data", pkRaw, func(e *tx.Envelope) { e.Signatures[0].AuthData = nil }, tx.CodeFieldLength},
		{"passkey with short authenticator data", pkRaw, func(e *tx.Envelope) { e.Signatures[0].AuthData = make([]byte, 36) }, tx.CodeFieldLength},
		{"passkey with long authenticator data", pkRaw, func(e *tx.Envelope) { e.Signatures[0].AuthData = make([]byte, 513) }, tx.CodeFieldLength},
		{"passkey without client data", pkRaw, func(e *tx.Envelope) { e.Signatures[0].ClientData = nil }, tx.CodeFieldLength},
		{"passkey with long client data", pkRaw, func(e *tx.Envelope) { e.Signatures[0].ClientData = make([]byte, 1025) }, tx.CodeFieldLength},
		{"no body", raw, func(e *tx.Envelope) { e.Body = nil }, tx.CodeMalformed},
		{"body that is no map", raw, func(e *tx.Envelope) { e.Body = []byte{0x01} }, tx.CodeMalformed},
		{"body with a trailing byte", raw, func(e *tx.Envelope) { e.Body = append(e.Body, 0) }, tx.CodeMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _, err := tx.DecodeEnvelope(c.raw)
			if err != nil {
				t.Fatal(err)
			}
			c.edit(e)
			_, _, err = tx.DecodeEnvelope(tx.MustEncode(e))
			wantCode(t, "DecodeEnvelope", err, c.code)
		})
	}
}

func TestBodyRules(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(b *tx.Body)
		code uint32
	}{
		{"unchanged", func(*tx.Body) {}, tx.CodeOK},
		{"chain of 50 bytes", func(b *tx.Body) { b.Chain = strings.Repeat("c", 50) }, tx.CodeOK},
		{"no chain", func(b *tx.Body) { b.Chain = "" }, tx.CodeFieldLength},
		{"chain of 51 bytes", func(b *tx.Body) { b.Chain = strings.Repeat("c", 51) }, tx.CodeFieldLength},
		{"bad kind", func(b *tx.Body) { b.Kind = "Consent.grant" }, tx.CodeBadKind},
		{"no payload", func(b *tx.Body) { b.Payload = nil }, tx.CodeFieldLength},
		{"no signer", func(b *tx.Body) { b.Signer = tx.Account{} }, tx.CodeFieldLength},
		{"greatest numbers", func(b *tx.Body) { b.Nonce, b.Expiry = 1<<64-1, 1<<64-1 }, tx.CodeOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &tx.Body{Chain: testChain, Kind: testKind, Payload: []byte{0xa0}, Signer: alice, Nonce: 1, Expiry: 2}
			c.edit(b)
			sig, err := edSigner(alice, 1).Sign(tx.Hash{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Assemble(tx.MustEncode(b), sig)
			wantCode(t, "Assemble", err, c.code)
		})
	}
}

func TestSignRefusesWhatANodeWouldRefuse(t *testing.T) {
	good := &note{Subject: bob}
	big := &note{Subject: bob, Words: []string{strings.Repeat("x", tx.MaxTx)}}
	one := edSigner(alice, 1)
	for _, c := range []struct {
		name    string
		chain   string
		kind    tx.Kind
		msg     tx.Message
		signers []tx.Signer
		code    uint32
	}{
		{"good", testChain, testKind, good, []tx.Signer{one}, tx.CodeOK},
		{"message that does not validate", testChain, testKind, &note{}, []tx.Signer{one}, errNoSubject.Code},
		{"no chain", "", testKind, good, []tx.Signer{one}, tx.CodeFieldLength},
		{"bad kind", testChain, "note", good, []tx.Signer{one}, tx.CodeBadKind},
		{"no signer", testChain, testKind, good, nil, tx.CodeMissingSignature},
		{"the same signer twice", testChain, testKind, good, []tx.Signer{one, one}, tx.CodeDuplicateSignature},
		{"too large", testChain, testKind, big, []tx.Signer{one}, tx.CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, _, err := tx.Sign(c.chain, c.kind, c.msg, alice, 1, 10, c.signers...)
			wantCode(t, "Sign", err, c.code)
			if (err == nil) != (raw != nil) {
				t.Errorf("got %d bytes with error %v", len(raw), err)
			}
		})
	}
}

// broken is a signer whose device is gone.
type broken struct{ tx.Signer }

var errGone = errors.New("device is gone")

func (broken) Sign(tx.Hash) (tx.Signature, error) { return tx.Signature{}, errGone }

func TestSignPassesOnASignersError(t *testing.T) {
	signer := broken{edSigner(alice, 1)}
	if signer.Account() != alice {
		t.Errorf("got account %v, want %v", signer.Account(), alice)
	}
	raw, id, err := tx.Sign(testChain, testKind, &note{Subject: bob}, alice, 1, 2, edSigner(bob, 2), signer)
	if !errors.Is(err, errGone) || raw != nil || !id.IsZero() {
		t.Errorf("got %d bytes, id %v, error %v, want the signer's error alone", len(raw), id, err)
	}
}

type unencodable struct{ F func() }

func (unencodable) Validate() error { return nil }

func TestPrepareRefusesWhatHasNoEncoding(t *testing.T) {
	if _, _, err := tx.Prepare(testChain, testKind, unencodable{}, alice, 1, 2); err == nil {
		t.Error("got no error, want one")
	}
}

func TestPrepareThenAssembleIsSign(t *testing.T) {
	msg, signer := &note{Subject: bob, Count: 7}, edSigner(alice, 1)
	body, digest, err := tx.Prepare(testChain, testKind, msg, alice, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(digest)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tx.Assemble(body, sig)
	if err != nil {
		t.Fatal(err)
	}
	want, id := mustSign(t, signer)
	if !bytes.Equal(raw, want) || digest != id {
		t.Error("got another transaction, want the one that Sign makes")
	}
}

func TestDigestBindsChainAndBody(t *testing.T) {
	seen := map[tx.Hash]string{}
	for _, c := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}, {"a", "b"}, {strings.Repeat("c", 80), "b"}} {
		d := tx.Digest([]byte(c[1]), c[0])
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q have the same digest", c, other)
		}
		seen[d] = c[0] + "|" + c[1]
	}
	// printf 'salus/tx/v1\0\0\0\0\0\0\0\0\1abc' | sha256sum
	if got, want := tx.Digest([]byte("bc"), "a").String(), "e8d4b3ab585d2e24f12a71d92769f3e0d82b29ca5046f855f5990fdc596fa79d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
