package passkey_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"salus/internal/passkey"
	"salus/ledger/tx"
)

func seed(n byte) io.Reader { return rand.NewChaCha8([32]byte{n}) }

func newPasskey(t testing.TB) *passkey.Passkey {
	t.Helper()
	p, err := passkey.New(seed(1), "wallet.example.org", "https://wallet.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSameSeedSameSignature(t *testing.T) {
	var first tx.Signature
	for i := range 3 {
		s, err := newPasskey(t).Signer(tx.Account{1}).Sign(tx.Hash{2})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && !bytes.Equal(s.Sig, first.Sig) {
			t.Error("got another signature, want the same")
		}
		first = s
	}
	other, err := passkey.New(seed(2), "wallet.example.org", "https://wallet.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if other.Public().ID() == newPasskey(t).Public().ID() {
		t.Error("got one key from two seeds, want two")
	}
}

func TestNewNeedsRandomness(t *testing.T) {
	for _, r := range []io.Reader{strings.NewReader(""), strings.NewReader("short"), bytes.NewReader(make([]byte, 32))} {
		if _, err := passkey.New(r, "a", "b"); err == nil {
			t.Error("got no error, want one")
		}
	}
	// A seed that is no scalar is passed over, not reduced.
	p, err := passkey.New(io.MultiReader(bytes.NewReader(make([]byte, 32)), bytes.NewReader(bytes.Repeat([]byte{0xff}, 32)), seed(1)), "a", "b")
	if err != nil || !bytes.Equal(p.Public().Key, newPasskey(t).Public().Key) {
		t.Errorf("got another key or %v, want the key of the third seed", err)
	}
}

func TestAssertionsPassTheLedger(t *testing.T) {
	p := newPasskey(t)
	pol := tx.PasskeyPolicy{Origins: []string{p.Origin}, RequireUV: true}
	high := 0
	for i := range 64 {
		digest := tx.Digest([]byte{byte(i)}, "salus-test-1")
		_, _, der, err := p.Assert(digest)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &v); err != nil {
			t.Fatal(err)
		}
		if v.S.Cmp(new(big.Int).Rsh(elliptic.P256().Params().N, 1)) > 0 {
			high++
		}
		s, err := p.Signer(tx.Account{1}).Sign(digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Public().Verify(digest, &s, pol); err != nil {
			t.Fatal(err)
		}
	}
	if high == 0 || high == 64 {
		t.Errorf("got %d of 64 signatures with high s, want some of each kind so that Normalise is tested", high)
	}
}

func TestClientDataIsTheStandardSerialization(t *testing.T) {
	p := newPasskey(t)
	var challenge [32]byte
	head := `{"type":"webauthn.get","challenge":"` + base64.RawURLEncoding.EncodeToString(challenge[:]) + `","origin":"https://wallet.example.org"`
	for cross, tail := range map[passkey.Cross]string{
		passkey.CrossFalse:   `,"crossOrigin":false,"x":"y"}`,
		passkey.CrossTrue:    `,"crossOrigin":true,"x":"y"}`,
		passkey.CrossOmitted: `,"x":"y"}`,
	} {
		p.Cross, p.Extra = cross, `,"x":"y"`
		if got := string(p.ClientData(challenge)); got != head+tail {
			t.Errorf("got %s, want %s", got, head+tail)
		}
	}
}

func TestNormaliseTakesDEROnly(t *testing.T) {
	n := elliptic.P256().Params().N
	der := func(r, s *big.Int, more ...byte) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return append(b, more...)
	}
	one, two := big.NewInt(1), big.NewInt(2)
	low, err := passkey.Normalise(der(one, two))
	if err != nil || low[31] != 1 || low[63] != 2 {
		t.Errorf("low s: got %x, %v", low, err)
	}
	high, err := passkey.Normalise(der(one, new(big.Int).Sub(n, two)))
	if err != nil || high != low {
		t.Errorf("high s: got %x, %v, want %x", high, err, low)
	}
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"raw":           low[:],
		"trailing byte": der(one, two, 0),
		"r zero":        der(new(big.Int), two),
		"s zero":        der(one, new(big.Int)),
		"negative":      der(big.NewInt(-1), two),
		"r = n":         der(n, two),
		"s = n":         der(one, n),
		"not minimal":   {0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x02},
	} {
		if _, err := passkey.Normalise(b); !errors.Is(err, passkey.ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		}
	}
}

// FuzzNormalise: what is taken is a low-s signature, and normalising it again
// changes nothing.
func FuzzNormalise(f *testing.F) {
	_, _, der, err := newPasskey(f).Assert([32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, b []byte) {
		sig, err := passkey.Normalise(b)
		if err != nil {
			return
		}
		r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
		if r.Sign() == 0 || s.Sign() == 0 || s.Cmp(new(big.Int).Rsh(elliptic.P256().Params().N, 1)) > 0 {
			t.Fatalf("got %x, want low s and nothing zero", sig)
		}
		again, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := passkey.Normalise(again); err != nil || twice != sig {
			t.Fatalf("got %x, %v, want %x", twice, err, sig)
		}
	})
}
