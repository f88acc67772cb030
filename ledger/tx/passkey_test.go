package tx_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"salus/internal/passkey"
	"salus/ledger/tx"
)

const chromeExtra = `,"other_keys_can_be_added_here":"do not compare clientDataJSON against a template. See https://goo.gl/yabPex"`

// prfExtension is {"hmac-secret": 32 bytes}.
var prfExtension = append([]byte("\xa1\x6bhmac-secret\x58\x20"), make([]byte, 32)...)

// assert signs client and authenticator data of the test's making.
func assert(t testing.TB, p *passkey.Passkey, authData, clientData []byte) *tx.Signature {
	t.Helper()
	der, err := p.SignRaw(authData, clientData)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := passkey.Normalise(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tx.Signature{Account: alice, Key: p.Public().ID(), Alg: tx.AlgPasskeyES256, Sig: sig[:], AuthData: authData, ClientData: clientData}
}

// TestPasskeyAuthenticatorData signs correctly over each variation: only the
// rule itself can refuse it.
func TestPasskeyAuthenticatorData(t *testing.T) {
	const up, uv, be, bs, at, ed = passkey.FlagUP, passkey.FlagUV, passkey.FlagBE, passkey.FlagBS, passkey.FlagAT, passkey.FlagED
	ext := func(n, m int) []byte {
		return append([]byte("\xa1\x6bhmac-secret\x58"+string(byte(n))), make([]byte, m)...)
	}
	for _, c := range []struct {
		name  string
		flags byte
		ext   []byte
		code  uint32
	}{
		{"synced passkey", up | uv | be | bs, nil, tx.CodeOK},
		{"eligible, not backed up", up | uv | be, nil, tx.CodeOK},
		{"security key", up | uv, nil, tx.CodeOK},
		{"reserved bits", up | uv | 1<<1 | 1<<5, nil, tx.CodeOK},
		{"nothing", 0, nil, tx.CodePasskeyFlags},
		{"no user present", uv | be | bs, nil, tx.CodePasskeyFlags},
		{"no user verified", up | be | bs, nil, tx.CodeUserVerification},
		{"backed up, not eligible", up | uv | bs, nil, tx.CodePasskeyFlags},
		{"attested credential", up | uv | at, nil, tx.CodePasskeyFlags},
		{"attested credential with data", up | uv | at, make([]byte, 60), tx.CodePasskeyFlags},
		{"trailing bytes", up | uv, []byte{0xa0}, tx.CodePasskey},
		{"extensions announced, none there", up | uv | ed, nil, tx.CodePasskey},
		{"no extensions in the map", up | uv | ed, []byte{0xa0}, tx.CodePasskey},
		{"prf, protocol one", up | uv | ed, ext(32, 32), tx.CodeOK},
		{"prf, protocol two", up | uv | ed, ext(48, 48), tx.CodeOK},
		{"prf, two outputs, protocol one", up | uv | ed, ext(64, 64), tx.CodeOK},
		{"prf, two outputs, protocol two", up | uv | ed, ext(80, 80), tx.CodeOK},
		{"prf without its flag", up | uv, ext(32, 32), tx.CodePasskey},
		{"prf of another length", up | uv | ed, ext(33, 33), tx.CodePasskey},
		{"prf cut short", up | uv | ed, ext(32, 31), tx.CodePasskey},
		{"prf and a byte", up | uv | ed, ext(32, 33), tx.CodePasskey},
		{"prf head alone", up | uv | ed, []byte("\xa1\x6bhmac-secret\x58"), tx.CodePasskey},
		{"another extension", up | uv | ed, []byte("\xa1\x63uvm\x80"), tx.CodePasskey},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPasskey(t, 1)
			p.Flags, p.Ext = c.flags, c.ext
			digest := tx.Digest([]byte(c.name), testChain)
			s := assert(t, p, p.AuthData(), p.ClientData(digest))
			wantCode(t, "Verify", p.Public().Verify(digest, s, testPolicy), c.code)
		})
	}
}

func TestUserVerificationIsAskedForByPolicy(t *testing.T) {
	p := newPasskey(t, 1)
	p.Flags &^= passkey.FlagUV
	digest := tx.Digest([]byte("body"), testChain)
	s := assert(t, p, p.AuthData(), p.ClientData(digest))
	lax := tx.PasskeyPolicy{Origins: testPolicy.Origins}
	wantCode(t, "not required", p.Public().Verify(digest, s, lax), tx.CodeOK)
	wantCode(t, "required", p.Public().Verify(digest, s, testPolicy), tx.CodeUserVerification)
}

func TestPasskeySignatureCounterIsIgnored(t *testing.T) {
	p := newPasskey(t, 1)
	digest := tx.Digest([]byte("body"), testChain)
	for _, n := range []uint32{7, 0, 1<<32 - 1, 3} {
		p.Count = n
		s := assert(t, p, p.AuthData(), p.ClientData(digest))
		wantCode(t, fmt.Sprint(n), p.Public().Verify(digest, s, testPolicy), tx.CodeOK)
	}
}

func TestPasskeyIsForOneRelyingParty(t *testing.T) {
	p := newPasskey(t, 1)
	other, err := passkey.New(seeded(1), "evil.example.com", testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	digest := tx.Digest([]byte("body"), testChain)
	s := assert(t, p, other.AuthData(), p.ClientData(digest))
	wantCode(t, "Verify", p.Public().Verify(digest, s, testPolicy), tx.CodePasskeyRP)
}

// TestPasskeyClientData signs correctly over each client data; only the rule
// itself can refuse it. Most of the refused ones are taken by JSON readers.
func TestPasskeyClientData(t *testing.T) {
	digest := tx.Digest([]byte("body"), testChain)
	ch := base64.RawURLEncoding.EncodeToString(digest[:])
	other := tx.Digest([]byte("another body"), testChain)
	otherCh := base64.RawURLEncoding.EncodeToString(other[:])
	head := `{"type":"webauthn.get","challenge":"` + ch + `","origin":"` + testOrigin + `"`
	for _, c := range []struct {
		name, data string
		code       uint32
	}{
		{"Chrome, Firefox", head + `,"crossOrigin":false}`, tx.CodeOK},
		{"Chrome with a hint", head + `,"crossOrigin":false` + chromeExtra + `}`, tx.CodeOK},
		{"two further members", head + `,"crossOrigin":false,"a_1":"","B":"x"}`, tx.CodeOK},
		{"WebKit", head + `}`, tx.CodeOK},
		{"the other allowed origin", strings.Replace(head, testOrigin, "https://portal.example.org", 1) + `}`, tx.CodeOK},

		{"another transaction", strings.Replace(head, ch, otherCh, 1) + `}`, tx.CodePasskeyClientData},
		{"challenge with padding", strings.Replace(head, ch, ch+"=", 1) + `}`, tx.CodePasskeyClientData},
		{"challenge in plain base64", strings.Replace(head, ch, base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)), 1) + `}`, tx.CodePasskeyClientData},
		{"registration", strings.Replace(head, "webauthn.get", "webauthn.create", 1) + `}`, tx.CodePasskeyClientData},
		{"payment", strings.Replace(head, "webauthn.get", "payment.get", 1) + `}`, tx.CodePasskeyClientData},

		{"another origin", strings.Replace(head, testOrigin, "https://evil.example.com", 1) + `}`, tx.CodePasskeyOrigin},
		{"origin as a prefix", strings.Replace(head, testOrigin, testOrigin+".evil.example.com", 1) + `}`, tx.CodePasskeyOrigin},
		{"origin with a port", strings.Replace(head, testOrigin, testOrigin+":443", 1) + `}`, tx.CodePasskeyOrigin},
		{"origin with a slash", strings.Replace(head, testOrigin, testOrigin+"/", 1) + `}`, tx.CodePasskeyOrigin},
		{"origin in upper case", strings.Replace(head, testOrigin, "HTTPS://WALLET.example.org", 1) + `}`, tx.CodePasskeyOrigin},
		{"origin without TLS", strings.Replace(head, testOrigin, "http://wallet.example.org", 1) + `}`, tx.CodePasskeyOrigin},
		{"escaped origin", strings.Replace(head, testOrigin, `https:\/\/wallet.example.org`, 1) + `}`, tx.CodePasskeyOrigin},
		{"no origin", strings.Replace(head, testOrigin, "", 1) + `}`, tx.CodePasskeyOrigin},
		{"origin not closed", strings.TrimSuffix(head, `"`), tx.CodePasskeyClientData},

		{"cross origin", head + `,"crossOrigin":true}`, tx.CodePasskeyClientData},
		{"cross origin with its top", head + `,"crossOrigin":true,"topOrigin":"https://evil.example.com"}`, tx.CodePasskeyClientData},
		{"top origin alone", head + `,"topOrigin":"https://evil.example.com"}`, tx.CodePasskeyClientData},
		{"top origin after crossOrigin", head + `,"crossOrigin":false,"topOrigin":"https://evil.example.com"}`, tx.CodePasskeyClientData},
		{"crossOrigin twice", head + `,"crossOrigin":false,"crossOrigin":true}`, tx.CodePasskeyClientData},
		{"crossOrigin twice, other case", head + `,"crossOrigin":false,"CROSSORIGIN":"true"}`, tx.CodePasskeyClientData},
		{"type again", head + `,"crossOrigin":false,"type":"webauthn.create"}`, tx.CodePasskeyClientData},
		{"challenge again, other case", head + `,"crossOrigin":false,"Challenge":"` + otherCh + `"}`, tx.CodePasskeyClientData},
		{"origin again", head + `,"crossOrigin":false,"origin":"https://evil.example.com"}`, tx.CodePasskeyClientData},
		{"token binding", head + `,"crossOrigin":false,"tokenBinding":"present"}`, tx.CodePasskeyClientData},
		{"unknown member before crossOrigin", head + `,"x":"y","crossOrigin":false}`, tx.CodePasskeyClientData},
		{"unknown member and no crossOrigin", head + `,"x":"y"}`, tx.CodePasskeyClientData},
		{"type twice", `{"type":"webauthn.create","type":"webauthn.get","challenge":"` + ch + `","origin":"` + testOrigin + `"}`, tx.CodePasskeyClientData},
		{"names in other case", `{"TYPE":"webauthn.get","Challenge":"` + ch + `","ORIGIN":"` + testOrigin + `"}`, tx.CodePasskeyClientData},
		{"names sorted", `{"challenge":"` + ch + `","origin":"` + testOrigin + `","type":"webauthn.get"}`, tx.CodePasskeyClientData},
		{"white space before", " " + head + `}`, tx.CodePasskeyClientData},
		{"white space within", strings.Replace(head, `,"`, `, "`, 1) + `}`, tx.CodePasskeyClientData},
		{"white space after", head + "}\n", tx.CodePasskeyClientData},
		{"byte order mark", "\ufeff" + head + `}`, tx.CodePasskeyClientData},
		{"not closed", head, tx.CodePasskeyClientData},
		{"not closed after crossOrigin", head + `,"crossOrigin":false`, tx.CodePasskeyClientData},
		{"closed twice", head + `}}`, tx.CodePasskeyClientData},
		{"crossOrigin null", head + `,"crossOrigin":null}`, tx.CodePasskeyClientData},
		{"crossOrigin falsehood", head + `,"crossOrigin":falsehood}`, tx.CodePasskeyClientData},
		{"member without value", head + `,"crossOrigin":false,"a"}`, tx.CodePasskeyClientData},
		{"member without name", head + `,"crossOrigin":false,"":"x"}`, tx.CodePasskeyClientData},
		{"member without quotes", head + `,"crossOrigin":false,a:"x"}`, tx.CodePasskeyClientData},
		{"member with a space in its name", head + `,"crossOrigin":false,"a b":"x"}`, tx.CodePasskeyClientData},
		{"member that is a number", head + `,"crossOrigin":false,"a":1}`, tx.CodePasskeyClientData},
		{"member that is true", head + `,"crossOrigin":false,"a":true}`, tx.CodePasskeyClientData},
		{"member that is an object", head + `,"crossOrigin":false,"a":{}}`, tx.CodePasskeyClientData},
		{"member with an escape", head + `,"crossOrigin":false,"a":"\u0041"}`, tx.CodePasskeyClientData},
		{"member beyond ASCII", head + `,"crossOrigin":false,"a":"ä"}`, tx.CodePasskeyClientData},
		{"member not closed", head + `,"crossOrigin":false,"a":"x}`, tx.CodePasskeyClientData},
		{"comma at the end", head + `,"crossOrigin":false,}`, tx.CodePasskeyClientData},
		{"empty object", `{}`, tx.CodePasskeyClientData},
		{"one byte", `{`, tx.CodePasskeyClientData},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPasskey(t, 1)
			s := assert(t, p, p.AuthData(), []byte(c.data))
			wantCode(t, "Verify", p.Public().Verify(digest, s, testPolicy), c.code)
		})
	}
}

func TestNoOriginsMeansNoPasskeys(t *testing.T) {
	p := newPasskey(t, 1)
	digest := tx.Digest([]byte("body"), testChain)
	s := assert(t, p, p.AuthData(), p.ClientData(digest))
	wantCode(t, "Verify", p.Public().Verify(digest, s, tx.PasskeyPolicy{}), tx.CodePasskeyOrigin)
}

// otherS turns r||s into r||n-s.
func otherS(sig []byte) []byte {
	b := slices.Clone(sig)
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(sig[32:]))
	s.FillBytes(b[32:])
	return b
}

func TestPasskeySignatureForms(t *testing.T) {
	p := newPasskey(t, 1)
	digest := tx.Digest([]byte("body"), testChain)
	good := assert(t, p, p.AuthData(), p.ClientData(digest))
	n := elliptic.P256().Params().N
	half := new(big.Int).Rsh(n, 1)
	with := func(r, s *big.Int) []byte {
		b := make([]byte, 64)
		r.FillBytes(b[:32])
		s.FillBytes(b[32:])
		return b
	}
	one, zero := big.NewInt(1), new(big.Int)
	r, s := new(big.Int).SetBytes(good.Sig[:32]), new(big.Int).SetBytes(good.Sig[32:])
	for _, c := range []struct {
		name string
		sig  []byte
		code uint32
	}{
		{"good", good.Sig, tx.CodeOK},
		{"high s", otherS(good.Sig), tx.CodeHighS},
		{"least high s", with(r, new(big.Int).Add(half, one)), tx.CodeHighS},
		{"greatest low s", with(r, half), tx.CodeBadSignature},
		{"s = n", with(r, n), tx.CodeHighS},
		{"r = 0", with(zero, s), tx.CodeBadSignature},
		{"s = 0", with(r, zero), tx.CodeBadSignature},
		{"both 0", make([]byte, 64), tx.CodeBadSignature},
		{"r = n", with(n, s), tx.CodeBadSignature},
		{"r = n + 1", with(new(big.Int).Add(n, one), s), tx.CodeBadSignature},
		{"r all ones", append(bytes.Repeat([]byte{0xff}, 32), good.Sig[32:]...), tx.CodeBadSignature},
		{"r and s swapped", with(s, r), tx.CodeBadSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := *good
			v.Sig = c.sig
			if c.name == "r and s swapped" && r.Cmp(half) > 0 {
				c.code = tx.CodeHighS
			}
			wantCode(t, "Verify", p.Public().Verify(digest, &v, testPolicy), c.code)
		})
	}
}

// TestEveryFlippedBitIsRefused is P8, first half: no bit of an assertion, of the
// digest or of the key may change.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	p := newPasskey(t, 3)
	digest := tx.Digest([]byte("body"), testChain)
	good := assert(t, p, p.AuthData(), p.ClientData(digest))
	pub := p.Public()
	try := func(name string, field []byte) {
		for i := range len(field) * 8 {
			field[i/8] ^= 1 << (i % 8)
			if pub.Verify(digest, good, testPolicy) == nil {
				t.Errorf("%s, bit %d: got no error, want one", name, i)
			}
			field[i/8] ^= 1 << (i % 8)
		}
	}
	try("authenticator data", good.AuthData)
	try("client data", good.ClientData)
	try("signature", good.Sig)
	try("digest", digest[:])
	try("key", pub.Key)
	try("relying party", pub.RPIDHash)
	try("key id", good.Key[:])
	wantCode(t, "unchanged", pub.Verify(digest, good, testPolicy), tx.CodeOK)
}

// TestIDIsIndependentOfSignatures is P9: whoever signs, however often, and
// whatever is done to the signatures, the id is the body's.
func TestIDIsIndependentOfSignatures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		msg := &note{Subject: bob, Count: rapid.Uint64().Draw(t, "count")}
		nonce := rapid.Uint64().Draw(t, "nonce")
		p, err := passkey.New(seeded(rapid.Uint64Range(0, 50).Draw(t, "key")), testRPID, testOrigin)
		if err != nil {
			t.Fatal(err)
		}
		p.Count = rapid.Uint32().Draw(t, "count")
		a, idA, err := tx.Sign(testChain, testKind, msg, alice, nonce, 9, p.Signer(alice))
		if err != nil {
			t.Fatal(err)
		}
		b, idB, err := tx.Sign(testChain, testKind, msg, alice, nonce, 9, edSigner(alice, 1), p.Signer(bob))
		if err != nil {
			t.Fatal(err)
		}
		if idA != idB || bytes.Equal(a, b) {
			t.Fatalf("got ids %v and %v, want one id for two envelopes", idA, idB)
		}
		e, _, err := tx.DecodeEnvelope(a)
		if err != nil {
			t.Fatal(err)
		}
		s := e.Signatures[0]
		if err := p.Public().Verify(idA, &s, testPolicy); err != nil {
			t.Fatal(err)
		}
		s.Sig = otherS(s.Sig)
		if code, _ := tx.CodeOf(p.Public().Verify(idA, &s, testPolicy)); code != tx.CodeHighS {
			t.Fatalf("high s: got 0x%04x, want 0x%04x", code, tx.CodeHighS)
		}
		_, other, err := tx.Sign(testChain, testKind, msg, alice, nonce+1, 9, p.Signer(alice))
		if err != nil {
			t.Fatal(err)
		}
		if other == idA {
			t.Fatal("got one id for two nonces, want two")
		}
	})
}

func TestVerifyIsSafeForConcurrentUse(t *testing.T) {
	p := newPasskey(t, 1)
	digest := tx.Digest([]byte("body"), testChain)
	good := assert(t, p, p.AuthData(), p.ClientData(digest))
	bad := *good
	bad.Sig = otherS(good.Sig)
	pub := p.Public()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				wantCode(t, "good", pub.Verify(digest, good, testPolicy), tx.CodeOK)
				wantCode(t, "bad", pub.Verify(digest, &bad, testPolicy), tx.CodeHighS)
			}
		})
	}
	wg.Wait()
}
