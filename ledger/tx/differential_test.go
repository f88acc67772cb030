package tx_test

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-webauthn/webauthn/protocol"
	"pgregory.net/rapid"

	"salus/internal/passkey"
	"salus/ledger/tx"
)

// oracle asks go-webauthn for its verdict on an assertion. It is no part of the
// ledger: it reads JSON and CBOR as leniently as its libraries do.
func oracle(pub tx.PublicKey, digest tx.Hash, s *tx.Signature, pol tx.PasskeyPolicy) error {
	b64 := base64.RawURLEncoding.EncodeToString
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(s.Sig[:32]), new(big.Int).SetBytes(s.Sig[32:])})
	if err != nil {
		return err
	}
	credential, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: pub.Key[:32], -3: pub.Key[32:]})
	if err != nil {
		return err
	}
	j, err := json.Marshal(map[string]any{
		"id": b64([]byte("credential")), "rawId": b64([]byte("credential")), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"authenticatorData": b64(s.AuthData), "clientDataJSON": b64(s.ClientData), "signature": b64(der)},
	})
	if err != nil {
		return err
	}
	p, err := protocol.ParseCredentialRequestResponseBytes(j)
	if err != nil {
		return err
	}
	return p.Verify(b64(digest[:]), testRPID, "", pol.Origins, nil, nil, protocol.TopOriginExplicitVerificationMode,
		false, pol.RequireUV, true, credential, protocol.SignaturePolicy{})
}

// compare fails if the strict verifier takes what go-webauthn refuses.
func compare(t testing.TB, p *passkey.Passkey, digest tx.Hash, s *tx.Signature, pol tx.PasskeyPolicy) (strict, lenient error) {
	t.Helper()
	strict = p.Public().Verify(digest, s, pol)
	if _, ok := tx.CodeOf(strict); !ok {
		t.Fatalf("got %v, want a refusal", strict)
	}
	// The oracle does not know the ledger's size limits and key ids.
	lenient = oracle(p.Public(), digest, s, pol)
	if strict == nil && lenient != nil {
		var detail *protocol.Error
		errors.As(lenient, &detail)
		t.Fatalf("strict takes what go-webauthn refuses: %v %+v\nauthenticator data %x\nclient data %s", lenient, detail, s.AuthData, s.ClientData)
	}
	return strict, lenient
}

// TestStrictIsWithinGoWebAuthn is P8, second half: whatever the strict verifier
// takes, go-webauthn takes, over assertions put together at random from pieces
// that browsers write and pieces that they must not.
func TestStrictIsWithinGoWebAuthn(t *testing.T) {
	both := 0
	rapid.Check(t, func(t *rapid.T) {
		p, err := passkey.New(seeded(rapid.Uint64Range(0, 20).Draw(t, "key")), testRPID, testOrigin)
		if err != nil {
			t.Fatal(err)
		}
		digest := tx.Digest(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "body"), testChain)
		good := passkey.FlagUP | passkey.FlagUV
		p.Flags = rapid.OneOf(
			rapid.SampledFrom([]byte{good, good | passkey.FlagBE, good | passkey.FlagBE | passkey.FlagBS, good | passkey.FlagED}),
			rapid.Byte(),
		).Draw(t, "flags")
		if p.Flags&passkey.FlagED != 0 {
			p.Ext = rapid.SampledFrom([][]byte{prfExtension, {0xa0}, nil}).Draw(t, "ext")
		}
		p.Cross = rapid.SampledFrom([]passkey.Cross{passkey.CrossFalse, passkey.CrossOmitted, passkey.CrossTrue}).Draw(t, "cross")
		p.Extra = strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			chromeExtra, `,"a":"b"`, `,"new_keys_may_be_added_here":"x"`, `,"hint":"y"`, `,"new_keys_may_be_added_here":true`,
			`,"topOrigin":"https://a.example"`, `,"crossOrigin":true`, `,"tokenBinding":{}`, `,"type":"webauthn.create"`, `}`, `,`, ` `,
		}), 0, 2).Draw(t, "extra"), "")
		p.Origin = rapid.SampledFrom([]string{testOrigin, testOrigin, testOrigin, "https://portal.example.org", "https://evil.example.com", testOrigin + ":443"}).Draw(t, "origin")
		pol := tx.PasskeyPolicy{Origins: testPolicy.Origins, RequireUV: rapid.Bool().Draw(t, "uv")}
		s, err := p.Signer(alice).Sign(digest)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 9).Draw(t, "spoil") == 0 {
			s.Sig[rapid.IntRange(0, 63).Draw(t, "at")] ^= 1
		}
		strict := p.Public().Verify(digest, &s, pol)
		lenient := oracle(p.Public(), digest, &s, pol)
		if strict == nil && lenient != nil {
			t.Fatalf("strict takes what go-webauthn refuses: %v", lenient)
		}
		if strict == nil {
			both++
		}
	})
	if both == 0 {
		t.Error("nothing was accepted: the test tells nothing")
	}
}

// TestStrictRefusesLenientReadings lists what go-webauthn takes and a replicated
// state machine must not, because another reader may take it for something else.
func TestStrictRefusesLenientReadings(t *testing.T) {
	digest := tx.Digest([]byte("body"), testChain)
	e := base64.RawURLEncoding.EncodeToString(digest[:])
	for name, cd := range map[string]string{
		"type twice":          `{"type":"webauthn.create","type":"webauthn.get","challenge":"` + e + `","origin":"` + testOrigin + `"}`,
		"names in other case": `{"TYPE":"webauthn.get","Challenge":"` + e + `","ORIGIN":"` + testOrigin + `"}`,
		"white space":         ` { "type" : "webauthn.get","challenge":"` + e + `","origin":"` + testOrigin + `" }`,
		"sorted":              `{"challenge":"` + e + `","origin":"` + testOrigin + `","type":"webauthn.get"}`,
		"origin's case":       `{"type":"webauthn.get","challenge":"` + e + `","origin":"HTTPS://WALLET.example.org:443"}`,
		"escapes":             `{"type":"webauthn\u002eget","challenge":"` + e + `","origin":"` + testOrigin + `"}`,
	} {
		p := newPasskey(t, 1)
		s := assert(t, p, p.AuthData(), []byte(cd))
		strict, lenient := compare(t, p, digest, s, testPolicy)
		if strict == nil || lenient != nil {
			t.Errorf("%s: got strict %v, go-webauthn %v, want refused and taken", name, strict, lenient)
		}
	}
	p := newPasskey(t, 1)
	s := assert(t, p, p.AuthData(), p.ClientData(digest))
	s.Sig = otherS(s.Sig)
	if strict, lenient := compare(t, p, digest, s, testPolicy); strict == nil || lenient != nil {
		t.Errorf("high s: got strict %v, go-webauthn %v, want refused and taken", strict, lenient)
	}
}
