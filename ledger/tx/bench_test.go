package tx_test

import (
	"testing"

	"salus/ledger/tx"
)

func BenchmarkDecodeEnvelope(b *testing.B) {
	ed, _ := mustSign(b, edSigner(alice, 1))
	pk, _ := mustSign(b, newPasskey(b, 1).Signer(alice))
	for name, raw := range map[string][]byte{"ed25519": ed, "passkey": pk} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, _, err := tx.DecodeEnvelope(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	digest := tx.Digest([]byte("body"), testChain)
	for name, signer := range map[string]tx.Signer{"ed25519": edSigner(alice, 1), "passkey": newPasskey(b, 1).Signer(alice)} {
		b.Run(name, func(b *testing.B) {
			s, err := signer.Sign(digest)
			if err != nil {
				b.Fatal(err)
			}
			pub := signer.Public()
			b.ReportAllocs()
			for b.Loop() {
				if err := pub.Verify(digest, &s, testPolicy); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidateKey(b *testing.B) {
	for name, signer := range map[string]tx.Signer{"ed25519": edSigner(alice, 1), "passkey": newPasskey(b, 1).Signer(alice)} {
		b.Run(name, func(b *testing.B) {
			pub := signer.Public()
			for b.Loop() {
				if err := pub.Validate(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	signer, msg := edSigner(alice, 1), &note{Subject: bob}
	for b.Loop() {
		if _, _, err := tx.Sign(testChain, testKind, msg, alice, 1, 2, signer); err != nil {
			b.Fatal(err)
		}
	}
}
