package oprf

import (
	"crypto/sha512"
	"encoding/binary"
	"io"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"salus/threshold"
)

// context is the contextString of mode VOPRF (0x01) of this suite, RFC 9497 section 3.1.
const context = "OPRFV1-\x01-ristretto255-SHA512"

// maxBatch bounds the elements of one proof.
const maxBatch = 64

// expand is expand_message_xmd of RFC 9380 section 5.3.1 with SHA-512, for 64 bytes.
func expand(dst string, parts ...[]byte) []byte {
	h := sha512.New()
	h.Write(make([]byte, h.BlockSize()))
	for _, p := range parts {
		h.Write(p)
	}
	h.Write([]byte{0, 64, 0})
	h.Write([]byte(dst))
	h.Write([]byte{byte(len(dst))})
	b0 := h.Sum(nil)
	h.Reset()
	h.Write(b0)
	h.Write([]byte{1})
	h.Write([]byte(dst))
	h.Write([]byte{byte(len(dst))})
	return h.Sum(nil)
}

func hashToGroup(input []byte) *curve.RistrettoPoint {
	return uniform(expand("HashToGroup-"+context, input))
}

func hashToScalar(parts ...[]byte) *scalar.Scalar {
	return reduced(expand("HashToScalar-"+context, parts...))
}

// prefixed is I2OSP(len(b), 2) followed by b.
func prefixed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(b)), uint16(len(b))), b...)
}

// BlindInput hides an input of 1 to 65,535 bytes. It reads 64 bytes from rand.
// The element tells nothing of the input, whatever anybody can compute.
func BlindInput(rand io.Reader, input []byte) (Blind, Element, error) {
	r, err := randomScalar(rand)
	if err != nil {
		return Blind{}, Element{}, err
	}
	return blind(r, input)
}

func blind(r *scalar.Scalar, input []byte) (b Blind, e Element, err error) {
	if len(input) == 0 || len(input) > 0xffff {
		return b, e, ErrInput
	}
	if e = encode(times(r, hashToGroup(input))); e == (Element{}) {
		return b, e, ErrInput // happens with probability 2^-252
	}
	_ = r.ToBytes(b[:]) // 32 bytes never fail
	return b, e, nil
}

// Evaluate multiplies a blinded element by a key or a share of one.
// Errors: ErrElement, ErrScalar.
func Evaluate(k threshold.Share, blinded Element) (Element, error) {
	s, err := secret(&k)
	if err != nil {
		return Element{}, err
	}
	e, err := blinded.decode()
	if err != nil {
		return Element{}, err
	}
	return encode(times(s, e)), nil
}

// Finalize takes the blind away from what the whole key evaluated (RFC 9497 section
// 3.3.1). Errors: ErrElement, ErrScalar, ErrInput.
func Finalize(input []byte, b Blind, evaluated Element) (out Output, err error) {
	if len(input) == 0 || len(input) > 0xffff {
		return out, ErrInput
	}
	share := threshold.Share(b)
	r, err := secret(&share)
	if err != nil {
		return out, err
	}
	e, err := evaluated.decode()
	if err != nil {
		return out, err
	}
	n := encode(times(scalar.New().Invert(r), e))
	h := sha512.New()
	h.Write(prefixed(input))
	h.Write(prefixed(n[:]))
	h.Write([]byte("Finalize"))
	h.Sum(out[:0])
	return out, nil
}

// Prove shows that every out is the in of its place times k, public being k·G
// (RFC 9497 section 2.2.1). It reads 64 bytes from rand.
// Errors: ErrScalar, ErrElement, ErrParams.
func Prove(rand io.Reader, k threshold.Share, public Element, in, out []Element) (Proof, error) {
	r, err := randomScalar(rand)
	if err != nil {
		return Proof{}, err
	}
	return prove(r, k, public, in, out)
}

func prove(r *scalar.Scalar, k threshold.Share, public Element, in, out []Element) (p Proof, err error) {
	s, err := secret(&k)
	if err != nil {
		return p, err
	}
	m, _, err := composites(public, in, out)
	if err != nil {
		return p, err
	}
	c := challenge(public, m, times(s, m), base(r), times(r, m))
	return proofOf(c, r, s), nil
}

// proofOf is the challenge and the response r - c·k.
func proofOf(c, r, k *scalar.Scalar) (p Proof) {
	_ = c.ToBytes(p[:32]) // 32 bytes never fail
	_ = scalar.New().Sub(r, scalar.New().Mul(c, k)).ToBytes(p[32:])
	return p
}

// Verify checks a proof (RFC 9497 section 2.2.2). Errors: ErrProof, ErrElement, ErrParams.
func Verify(public Element, in, out []Element, p Proof) error {
	b, err := public.decode()
	if err != nil {
		return err
	}
	c, err := decodeScalar(p[:32])
	if err != nil {
		return ErrProof
	}
	s, err := decodeScalar(p[32:])
	if err != nil {
		return ErrProof
	}
	m, z, err := composites(public, in, out)
	if err != nil {
		return err
	}
	t2 := curve.NewRistrettoPoint().DoubleScalarMulBasepointVartime(c, b, s)
	t3 := linear([]*scalar.Scalar{s, c}, []*curve.RistrettoPoint{m, z})
	if challenge(public, m, z, t2, t3).Equal(c) != 1 {
		return ErrProof
	}
	return nil
}

// composites folds the pairs into one, by public weights.
func composites(public Element, in, out []Element) (m, z *curve.RistrettoPoint, err error) {
	if len(in) == 0 || len(in) > maxBatch || len(in) != len(out) {
		return nil, nil, ErrParams
	}
	cs, err := decodeAll(in)
	if err != nil {
		return nil, nil, err
	}
	ds, err := decodeAll(out)
	if err != nil {
		return nil, nil, err
	}
	h := sha512.New()
	h.Write(prefixed(public[:]))
	h.Write(prefixed([]byte("Seed-" + context)))
	seed := h.Sum(nil)
	w := make([]*scalar.Scalar, len(in))
	for i := range in {
		w[i] = hashToScalar(prefixed(seed), []byte{byte(i >> 8), byte(i)}, prefixed(in[i][:]), prefixed(out[i][:]), []byte("Composite"))
	}
	return linear(w, cs), linear(w, ds), nil
}

func challenge(public Element, m, z, t2, t3 *curve.RistrettoPoint) *scalar.Scalar {
	parts := [][]byte{prefixed(public[:])}
	for _, e := range []*curve.RistrettoPoint{m, z, t2, t3} {
		b := encode(e)
		parts = append(parts, prefixed(b[:]))
	}
	return hashToScalar(append(parts, []byte("Challenge"))...)
}
