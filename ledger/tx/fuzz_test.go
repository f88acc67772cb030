package tx_test

import (
	"bytes"
	"testing"

	"salus/ledger/tx"
)

func FuzzDecodeEnvelope(f *testing.F) {
	one, _ := mustSign(f, edSigner(alice, 1))
	two, _ := mustSign(f, edSigner(bob, 2), newPasskey(f, 1).Signer(alice))
	f.Add(one)
	f.Add(two)
	f.Add([]byte{})
	f.Add([]byte{0xa2, 0x01, 0x40, 0x02, 0x80})
	f.Add(otherAccount(f, one))
	signed, _, err := tx.DecodeEnvelope(one)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, body, err := tx.DecodeEnvelope(b)
		if err != nil {
			if _, ok := tx.CodeOf(err); !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			return
		}
		if !bytes.Equal(tx.MustEncode(e), b) || !bytes.Equal(tx.MustEncode(body), e.Body) {
			t.Fatal("decoded, but encodes to other bytes")
		}
		for i := range e.Signatures {
			s := &e.Signatures[i]
			if edSigner(alice, 1).Public().Verify(tx.Digest(e.Body, body.Chain), s, testPolicy) != nil {
				continue
			}
			if !bytes.Equal(e.Body, signed.Body) || !bytes.Equal(s.Sig, signed.Signatures[0].Sig) {
				t.Fatal("forged a signature")
			}
		}
	})
}

// otherAccount puts another account beside the one signature of raw. What is
// signed is the body: the account says only in whose ring to look for the key.
func otherAccount(t testing.TB, raw []byte) []byte {
	t.Helper()
	e, _, err := tx.DecodeEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures[0].Account = bob
	return tx.MustEncode(e)
}

func FuzzDecode(f *testing.F) {
	f.Add(tx.MustEncode(&note{}))
	f.Add(tx.MustEncode(&note{
		Subject: alice, Count: 1 << 40, Words: []string{"a", "ä"}, Keys: []tx.PublicKey{edSigner(alice, 1).Public()},
		Flag: true, Inner: &inner{Small: [4]uint16{1, 300}, Blob: []byte{1}}, Signed: -300,
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, decode := range []func(v any) error{
			func(v any) error { return tx.Decode(b, v) },
			func(v any) error { return tx.DecodeAny(b, v, len(b)) },
		} {
			n := new(note)
			if decode(n) == nil && !bytes.Equal(tx.MustEncode(n), b) {
				t.Fatal("decoded, but encodes to other bytes")
			}
			m := map[uint64][]byte{}
			if decode(&m) == nil && !bytes.Equal(tx.MustEncode(m), b) {
				t.Fatal("decoded a map, but encodes to other bytes")
			}
		}
	})
}

func FuzzParseText(f *testing.F) {
	ed, pk := edSigner(alice, 1).Public(), newPasskey(f, 1).Public()
	for _, s := range []string{alice.String(), ed.ID().String(), tx.Hash{}.String(), ed.String(), pk.String(), "", "ed25519:", "passkey-es256::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := tx.ParseAccount(s); err == nil && a.String() != s {
			t.Fatalf("account: got %s", a)
		}
		if h, err := tx.ParseHash(s); err == nil && h.String() != s {
			t.Fatalf("hash: got %s", h)
		}
		if k, err := tx.ParseKeyID(s); err == nil && k.String() != s {
			t.Fatalf("key id: got %s", k)
		}
		if p, err := tx.ParsePublicKey(s); err == nil && (p.String() != s || p.Validate() != nil) {
			t.Fatalf("key: got %s", p)
		}
	})
}

// FuzzPasskey has the key sign whatever the fuzzer makes up, so that only the
// rules stand between it and acceptance, and asks go-webauthn too.
func FuzzPasskey(f *testing.F) {
	p := newPasskey(f, 1)
	digest := tx.Digest([]byte("body"), testChain)
	f.Add(p.AuthData(), p.ClientData(digest))
	p.Extra = chromeExtra
	f.Add(p.AuthData(), p.ClientData(digest))
	p.Cross, p.Extra = 2, ""
	p.Flags |= 1 << 7
	p.Ext = prfExtension
	f.Add(p.AuthData(), p.ClientData(digest))
	f.Fuzz(func(t *testing.T, authData, clientData []byte) {
		compare(t, p, digest, assert(t, p, authData, clientData), testPolicy)
	})
}

// FuzzPasskeyTail fuzzes only what may vary, behind the fixed parts.
func FuzzPasskeyTail(f *testing.F) {
	p := newPasskey(f, 1)
	digest := tx.Digest([]byte("body"), testChain)
	f.Add(byte(5), []byte{}, []byte(`}`))
	f.Add(byte(0x85), prfExtension, []byte(chromeExtra+`}`))
	f.Add(byte(0x1d), []byte{}, []byte(`,"new_keys_may_be_added_here":"x"}`))
	head := bytes.TrimSuffix(p.ClientData(digest), []byte("}"))
	rp := p.AuthData()[:32]
	f.Fuzz(func(t *testing.T, flags byte, ext, tail []byte) {
		authData := append(append(append([]byte{}, rp...), flags, 0, 0, 0, 0), ext...)
		clientData := append(append([]byte{}, head...), tail...)
		compare(t, p, digest, assert(t, p, authData, clientData), testPolicy)
	})
}

func FuzzVerifyEd25519(f *testing.F) {
	digest := tx.Digest([]byte("body"), testChain)
	s, err := edSigner(alice, 1).Sign(digest)
	if err != nil {
		f.Fatal(err)
	}
	pub := edSigner(alice, 1).Public()
	f.Add(pub.Key, s.Sig)
	f.Fuzz(func(t *testing.T, key, sig []byte) {
		k := tx.PublicKey{Alg: tx.AlgEd25519, Key: key}
		v := tx.Signature{Key: k.ID(), Alg: tx.AlgEd25519, Sig: sig}
		if k.Verify(digest, &v, tx.PasskeyPolicy{}) == nil && bytes.Equal(key, pub.Key) && !bytes.Equal(sig, s.Sig) {
			t.Fatal("a second signature for one message and key")
		}
	})
}
