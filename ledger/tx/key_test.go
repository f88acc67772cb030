package tx_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"filippo.io/edwards25519"

	"salus/ledger/tx"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// torsion is a point of order 8, in the encoding of RFC 8032.
const torsion = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"

func decodePoint(t testing.TB, b []byte) *edwards25519.Point {
	t.Helper()
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// smallOrderKeys returns the eight points of small order by walking the group
// that torsion generates.
func smallOrderKeys(t testing.TB) [][]byte {
	gen := decodePoint(t, unhex(t, torsion))
	p, all := edwards25519.NewIdentityPoint(), [][]byte{}
	for range 8 {
		all = append(all, p.Bytes())
		p = new(edwards25519.Point).Add(p, gen)
	}
	if p.Equal(edwards25519.NewIdentityPoint()) != 1 {
		t.Fatal("the generator is not of order 8")
	}
	return all
}

// nonCanonicalKeys returns encodings with y >= p, and those of x = 0 with the
// sign bit set, that lenient decoders take.
func nonCanonicalKeys() [][]byte {
	var all [][]byte
	for low := 0xed; low <= 0xff; low++ {
		for _, high := range []byte{0x7f, 0xff} {
			k := bytes.Repeat([]byte{0xff}, 32)
			k[0], k[31] = byte(low), high
			all = append(all, k)
		}
	}
	one := append([]byte{1}, make([]byte, 31)...)
	one[31] = 0x80
	minusOne := bytes.Repeat([]byte{0xff}, 32)
	minusOne[0] = 0xec
	return append(all, one, minusOne)
}

func TestEd25519KeysArePointsOfPrimeOrder(t *testing.T) {
	refuse := func(name string, key []byte) {
		t.Helper()
		k := tx.PublicKey{Alg: tx.AlgEd25519, Key: key}
		wantCode(t, name+": Validate", k.Validate(), tx.CodeBadKey)
	}
	for i, k := range smallOrderKeys(t) {
		refuse(fmt.Sprintf("small order %d", i), k)
	}
	for i, k := range nonCanonicalKeys() {
		refuse(fmt.Sprintf("not canonical %d", i), k)
	}
	offCurve := make([]byte, 32)
	offCurve[0] = 2
	refuse("not on the curve", offCurve)
	for i, s := range smallOrderKeys(t) {
		pub := decodePoint(t, edKey(1).Public().(ed25519.PublicKey))
		mixed := new(edwards25519.Point).Add(pub, decodePoint(t, s)).Bytes()
		if i == 0 {
			wantCode(t, "prime order", tx.Ed25519Key(mixed).Validate(), tx.CodeOK)
			continue
		}
		refuse(fmt.Sprintf("mixed order %d", i), mixed)
	}
	for n := range uint64(64) {
		wantCode(t, "honest key", edSigner(alice, n).Public().Validate(), tx.CodeOK)
	}
}

func TestVerifyRefusesWeakKeysByItself(t *testing.T) {
	// With a key of small order, R = identity and S = 0 "sign" one message in
	// eight at least.
	sig := make([]byte, 64)
	sig[0] = 1
	for _, key := range append(smallOrderKeys(t), nonCanonicalKeys()...) {
		k := tx.PublicKey{Alg: tx.AlgEd25519, Key: key}
		s := &tx.Signature{Key: k.ID(), Alg: tx.AlgEd25519, Sig: sig}
		if err := k.Verify(tx.Hash{}, s, tx.PasskeyPolicy{}); err == nil {
			t.Errorf("%x: got no error, want one", key)
		}
	}
}

// TestEd25519IsStrict makes the signatures on which verifiers are known to
// differ, and pins the verdict.
func TestEd25519IsStrict(t *testing.T) {
	priv := edKey(5)
	signer := tx.NewEd25519Signer(alice, priv)
	digest := tx.Digest([]byte("body"), testChain)
	good, err := signer.Sign(digest)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(sig []byte) error {
		s := good
		s.Sig = sig
		return signer.Public().Verify(digest, &s, tx.PasskeyPolicy{})
	}
	wantCode(t, "good", verify(good.Sig), tx.CodeOK)

	// S + L: the same residue, so a lenient verifier takes it.
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	plusL := slices.Clone(good.Sig)
	carry := 0
	for i := range 32 {
		carry += int(plusL[32+i]) + int(order[i])
		plusL[32+i] = byte(carry)
		carry >>= 8
	}
	wantCode(t, "S + L", verify(plusL), tx.CodeBadSignature)

	// R with a part of small order: cofactored verifiers take it.
	h := sha512.Sum512(priv.Seed())
	a, err := new(edwards25519.Scalar).SetBytesWithClamping(h[:32])
	if err != nil {
		t.Fatal(err)
	}
	r, err := new(edwards25519.Scalar).SetUniformBytes(bytes.Repeat([]byte{7}, 64))
	if err != nil {
		t.Fatal(err)
	}
	forge := func(rBytes []byte) []byte {
		kh := sha512.New()
		kh.Write(rBytes)
		kh.Write(signer.Public().Key)
		kh.Write(digest[:])
		k, err := new(edwards25519.Scalar).SetUniformBytes(kh.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		s := new(edwards25519.Scalar).MultiplyAdd(k, a, r)
		return append(slices.Clone(rBytes), s.Bytes()...)
	}
	rPoint := new(edwards25519.Point).ScalarBaseMult(r)
	wantCode(t, "made by hand", verify(forge(rPoint.Bytes())), tx.CodeOK)
	mixed := new(edwards25519.Point).Add(rPoint, decodePoint(t, unhex(t, torsion)))
	wantCode(t, "R of mixed order", verify(forge(mixed.Bytes())), tx.CodeBadSignature)

	// r = 0 makes R the identity, which has a second, non-canonical encoding.
	r = edwards25519.NewScalar()
	identity := append([]byte{1}, make([]byte, 31)...)
	wantCode(t, "R the identity", verify(forge(identity)), tx.CodeOK)
	for i, enc := range [][]byte{
		append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f),
		append(append([]byte{1}, make([]byte, 30)...), 0x80),
	} {
		wantCode(t, fmt.Sprintf("R not canonical %d", i), verify(forge(enc)), tx.CodeBadSignature)
	}
}

func TestP256KeysAreOnTheCurve(t *testing.T) {
	good := newPasskey(t, 1).Public()
	p := elliptic.P256().Params().P.Bytes()
	edit := func(f func(k *tx.PublicKey)) tx.PublicKey {
		k := tx.PublicKey{Alg: good.Alg, Key: slices.Clone(good.Key), RPIDHash: slices.Clone(good.RPIDHash)}
		f(&k)
		return k
	}
	for _, c := range []struct {
		name string
		key  tx.PublicKey
		code uint32
	}{
		{"good", good, tx.CodeOK},
		{"off the curve", edit(func(k *tx.PublicKey) { k.Key[63] ^= 1 }), tx.CodeBadKey},
		{"infinity", edit(func(k *tx.PublicKey) { clear(k.Key) }), tx.CodeBadKey},
		{"x = p", edit(func(k *tx.PublicKey) { copy(k.Key, p) }), tx.CodeBadKey},
		{"y = p", edit(func(k *tx.PublicKey) { copy(k.Key[32:], p) }), tx.CodeBadKey},
		{"33 bytes", edit(func(k *tx.PublicKey) { k.Key = k.Key[:33] }), tx.CodeFieldLength},
		{"65 bytes", edit(func(k *tx.PublicKey) { k.Key = append([]byte{4}, k.Key...) }), tx.CodeFieldLength},
		{"no relying party", edit(func(k *tx.PublicKey) { k.RPIDHash = nil }), tx.CodeFieldLength},
		{"short relying party", edit(func(k *tx.PublicKey) { k.RPIDHash = k.RPIDHash[1:] }), tx.CodeFieldLength},
		{"as Ed25519", edit(func(k *tx.PublicKey) { k.Alg = tx.AlgEd25519 }), tx.CodeFieldLength},
		{"no algorithm", edit(func(k *tx.PublicKey) { k.Alg = 0 }), tx.CodeUnknownAlg},
		{"unknown algorithm", edit(func(k *tx.PublicKey) { k.Alg = 7 }), tx.CodeUnknownAlg},
		{"Ed25519 with relying party", tx.PublicKey{Alg: tx.AlgEd25519, Key: edSigner(alice, 1).Public().Key, RPIDHash: good.RPIDHash}, tx.CodeFieldLength},
		{"Ed25519 of 31 bytes", tx.PublicKey{Alg: tx.AlgEd25519, Key: edSigner(alice, 1).Public().Key[1:]}, tx.CodeFieldLength},
	} {
		wantCode(t, c.name, c.key.Validate(), c.code)
	}
}

func TestKeyIDBindsAlgorithmAndKey(t *testing.T) {
	// printf 'salus/key/v1\0\1' followed by 32 zero bytes, SHA-256, first 16 bytes
	zero := tx.PublicKey{Alg: tx.AlgEd25519, Key: make([]byte, 32)}
	if got, want := zero.ID().String(), "33de2b755e2c6fa0b36a858b23bdf414"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	other := tx.PublicKey{Alg: tx.AlgPasskeyES256, Key: make([]byte, 32)}
	if zero.ID() == other.ID() {
		t.Error("got the same id for two algorithms, want two")
	}
	if got := tx.Alg(7).String() + (tx.PublicKey{Alg: 7}).String(); got != "unknown" {
		t.Errorf("unknown algorithm: got text %q, want unknown and none", got)
	}
	if !zero.Equal(zero) || zero.Equal(other) {
		t.Error("Equal: got it wrong")
	}
}

func TestVerifyWantsItsOwnKeyAndAlgorithm(t *testing.T) {
	digest := tx.Digest([]byte("body"), testChain)
	ed, pk := edSigner(alice, 1), newPasskey(t, 1)
	sEd, err := ed.Sign(digest)
	if err != nil {
		t.Fatal(err)
	}
	sPk, err := pk.Signer(alice).Sign(digest)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "Ed25519", ed.Public().Verify(digest, &sEd, testPolicy), tx.CodeOK)
	wantCode(t, "passkey", pk.Public().Verify(digest, &sPk, testPolicy), tx.CodeOK)
	wantCode(t, "Ed25519 by the passkey", pk.Public().Verify(digest, &sEd, testPolicy), tx.CodeBadSignature)
	wantCode(t, "passkey by Ed25519", ed.Public().Verify(digest, &sPk, testPolicy), tx.CodeBadSignature)
	wantCode(t, "another key", edSigner(alice, 2).Public().Verify(digest, &sEd, testPolicy), tx.CodeBadSignature)
	wantCode(t, "another digest", ed.Public().Verify(tx.Hash{}, &sEd, testPolicy), tx.CodeBadSignature)
	renamed := sEd
	renamed.Key[0] ^= 1
	wantCode(t, "another key id", ed.Public().Verify(digest, &renamed, testPolicy), tx.CodeBadSignature)
	wantCode(t, "no signature", ed.Public().Verify(digest, &tx.Signature{}, testPolicy), tx.CodeFieldLength)
	empty := tx.PublicKey{}
	wantCode(t, "no key", empty.Verify(digest, &tx.Signature{Key: empty.ID(), Alg: 1, Sig: make([]byte, 64)}, testPolicy), tx.CodeBadSignature)
	noBytes := tx.PublicKey{Alg: tx.AlgEd25519}
	wantCode(t, "key of no bytes", noBytes.Verify(digest, &tx.Signature{Key: noBytes.ID(), Alg: 1, Sig: make([]byte, 64)}, testPolicy), tx.CodeBadKey)
}

func TestSignersPrintNoKey(t *testing.T) {
	s := tx.NewEd25519Signer(alice, edKey(1))
	p := newPasskey(t, 1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{s, *s, p, *p} {
			if got := fmt.Sprintf(verb, v); got != "[sealed]" {
				t.Errorf("%s of %T: got %d characters, want [sealed]", verb, v, len(got))
			}
		}
	}
}
