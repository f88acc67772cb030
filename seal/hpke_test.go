package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// openByHand opens a sealed message from a seed with nothing of crypto/hpke: the KEM of
// draft-connolly-cfrg-xwing-kem section 5 and the key schedule of RFC 9180 section 5.1,
// base mode, HKDF-SHA256, AES-256-GCM. It is what another language has to write.
func openByHand(seed Seed, info, sealed []byte) ([]byte, error) {
	if len(sealed) < 1120 {
		return nil, errors.New("short")
	}
	shared, err := decapByHand(seed, sealed[:1120])
	if err != nil {
		return nil, err
	}
	suite := binary.BigEndian.AppendUint16([]byte("HPKE"), Suite)
	suite = append(suite, 0, 1, 0, 2) // HKDF-SHA256, AES-256-GCM
	extract := func(salt []byte, label string, ikm []byte) []byte {
		return must(hkdf.Extract(sha256.New, bytes.Join([][]byte{[]byte("HPKE-v1"), suite, []byte(label), ikm}, nil), salt))
	}
	context := append([]byte{0}, append(extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info)...)...)
	secret := extract(shared, "secret", nil)
	expand := func(label string, n int) []byte {
		full := bytes.Join([][]byte{binary.BigEndian.AppendUint16(nil, uint16(n)), []byte("HPKE-v1"), suite, []byte(label), context}, nil)
		return must(hkdf.Expand(sha256.New, secret, string(full), n))
	}
	aead := must(cipher.NewGCM(must(aes.NewCipher(expand("key", 32)))))
	return aead.Open(nil, expand("base_nonce", 12), sealed[1120:], nil)
}

func decapByHand(seed Seed, enc []byte) ([]byte, error) {
	expanded := sha3.SumSHAKE256(seed[:], 96)
	dk, err := mlkem.NewDecapsulationKey768(expanded[:64])
	if err != nil {
		return nil, err
	}
	sk, err := ecdh.X25519().NewPrivateKey(expanded[64:])
	if err != nil {
		return nil, err
	}
	ssM, err := dk.Decapsulate(enc[:1088])
	if err != nil {
		return nil, err
	}
	ctX := enc[1088:]
	pkX, err := ecdh.X25519().NewPublicKey(ctX)
	if err != nil {
		return nil, err
	}
	ssX, err := sk.ECDH(pkX)
	if err != nil {
		return nil, err
	}
	h := sha3.Sum256(bytes.Join([][]byte{ssM, ssX, ctX, sk.PublicKey().Bytes(), []byte(`\.//^\`)}, nil))
	return h[:], nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// P10, differential.
func TestSealedMessagesOpenWithAnIndependentImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, public, err := NewCustodyKey(stream(rapid.String().Draw(t, "key")))
		if err != nil {
			t.Fatal(err)
		}
		plain, info := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), Sum("info", []byte(rapid.String().Draw(t, "info")))
		sealed, err := Box(public, info, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := openByHand(seed, info[:], sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("got other bytes (%v)", err)
		}
	})
}

// P10, against the vectors that Go's own library is tested with.
func TestKeysAndDecapsulationAgreeWithPublishedVectors(t *testing.T) {
	name := filepath.Join(build.Default.GOROOT, "src/crypto/hpke/testdata/hpke-pq.json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Skip("this Go installation comes without its sources and test data: ", err)
	}
	var vectors []struct {
		KEM         uint16 `json:"kem_id"`
		KDF         uint16 `json:"kdf_id"`
		AEAD        uint16 `json:"aead_id"`
		Info        hexed  `json:"info"`
		Private     hexed  `json:"skRm"`
		Public      hexed  `json:"pkRm"`
		Enc         hexed  `json:"enc"`
		Shared      hexed  `json:"shared_secret"`
		Encryptions []struct {
			AAD hexed `json:"aad"`
			CT  hexed `json:"ct"`
			PT  hexed `json:"pt"`
		} `json:"encryptions"`
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, v := range vectors {
		if v.KEM != Suite || v.KDF != 1 {
			continue
		}
		used++
		sk, err := CustodyKeyFromSeed(Seed(v.Private))
		if err != nil {
			t.Fatal(err)
		}
		if got := sk.PublicKey().Bytes(); !bytes.Equal(got, v.Public) {
			t.Errorf("public key: got %x, want %x", got[:8], v.Public[:8])
		}
		if got, err := decapByHand(Seed(v.Private), v.Enc); err != nil || !bytes.Equal(got, v.Shared) {
			t.Errorf("shared secret by hand: got %x (%v), want %x", got, err, v.Shared)
		}
		aead, err := hpke.NewAEAD(v.AEAD)
		if err != nil {
			t.Fatal(err)
		}
		r, err := hpke.NewRecipient(v.Enc, sk, hpke.HKDFSHA256(), aead, v.Info)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range v.Encryptions {
			if got, err := r.Open(e.AAD, e.CT); err != nil || !bytes.Equal(got, e.PT) {
				t.Errorf("encryption %d: got other bytes (%v)", i, err)
			}
		}
	}
	if used == 0 {
		t.Error("got no vector of the suite, want one")
	}
}

// hexed is a byte string in a vector file.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexed) UnmarshalText(b []byte) error {
	out, err := hex.DecodeString(string(b))
	if err != nil {
		return fmt.Errorf("vector: %w", err)
	}
	*h = out
	return nil
}
