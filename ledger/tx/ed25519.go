package tx

import (
	"bytes"
	"crypto/ed25519"

	"filippo.io/edwards25519"
)

// verifyEd25519 is RFC 8032 section 5.1.7 with every choice that the RFC leaves
// open made, so that all verifiers agree:
//
//   - the key is canonical and not of small order (checked here), and of prime
//     order (checked by PublicKey.Validate before it enters the state);
//   - S is canonical, S < L;
//   - the equation is the cofactorless one, [S]B = R + [k]A, decided by
//     comparing the encoding of [S]B - [k]A with the bytes of R, which
//     therefore must be canonical too. There is no batch verification.
//
// crypto/ed25519 has done the last two since its first release as a package of
// the standard library (Go 1.13), in assembly, in pure Go and in FIPS mode.
func verifyEd25519(key []byte, digest Hash, sig []byte) error {
	if len(key) != ed25519Size || !canonicalEd25519(key) || smallOrderEd25519(key) {
		return errBadKey
	}
	if !ed25519.Verify(key, digest[:], sig) {
		return errBadSignature
	}
	return nil
}

// validEd25519 reports whether key encodes, canonically, a point of prime order.
func validEd25519(key []byte) error {
	if !canonicalEd25519(key) || smallOrderEd25519(key) {
		return errBadKey
	}
	a, err := new(edwards25519.Point).SetBytes(key)
	if err != nil {
		return errBadKey
	}
	// [L]A, computed as [L-1]A + A because L itself is no scalar, is the
	// identity if and only if A has no part of small order. The re-encoding
	// also refuses x = 0 with the sign bit set.
	minusOne, err := new(edwards25519.Scalar).SetCanonicalBytes(orderMinusOne[:])
	if err != nil {
		panic("tx: internal error: L-1 is no scalar")
	}
	q := new(edwards25519.Point).ScalarMult(minusOne, a)
	q.Add(q, a)
	if q.Equal(edwards25519.NewIdentityPoint()) != 1 || !bytes.Equal(a.Bytes(), key) {
		return errBadKey
	}
	return nil
}

// orderMinusOne is L-1, little-endian.
var orderMinusOne = [32]byte{
	0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
}

// canonicalEd25519 reports whether y < p = 2^255-19, little-endian, without the
// sign bit.
func canonicalEd25519(key []byte) bool {
	if key[31]&0x7f != 0x7f {
		return true
	}
	for _, b := range key[1:31] {
		if b != 0xff {
			return true
		}
	}
	return key[0] < 0xed
}

// smallOrder lists y of the eight points of small order, canonical; the sign of
// x does not matter.
var smallOrder = [5][32]byte{
	{}, // y = 0, order 4
	{1},
	{ // y = -1, order 2
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
	{ // order 8
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{ // order 8
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
}

func smallOrderEd25519(key []byte) bool {
	for i := range smallOrder {
		y := &smallOrder[i]
		if key[31]&0x7f == y[31] && bytes.Equal(key[:31], y[:31]) {
			return true
		}
	}
	return false
}
