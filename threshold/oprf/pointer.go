package oprf

import (
	"crypto/sha512"
	"io"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// A Pointer is 32 bytes sealed to a shared key: TDH2 of Shoup and Gennaro (Journal
// of Cryptology 15, 2002, section 4.2) over ristretto255. Its proof binds all of it
// together, so that nobody makes another pointer from it whose opening would open
// this one too.
type Pointer struct {
	Seal  Element  // r·G: what the custodians evaluate
	Twin  Element  // r·G' under a second generator
	Body  [32]byte // content xor H(r·key)
	Proof Proof    // of one r under both generators; bound to Body and the label
}

// twin is the second generator; nobody knows its logarithm.
func twin() *curve.RistrettoPoint {
	h := sha512.Sum512([]byte("salus/lookup/v1/twin"))
	return uniform(h[:])
}

// SealPointer seals 32 bytes for t custodians of the key; label is bound in. It reads
// 128 bytes from rand.
func SealPointer(rand io.Reader, key Element, label []byte, content [32]byte) (p Pointer, err error) {
	h, err := key.decode()
	if err != nil {
		return p, err
	}
	r, err := randomScalar(rand)
	if err != nil {
		return p, err
	}
	s, err := randomScalar(rand)
	if err != nil {
		return p, err
	}
	g := twin()
	p.Seal = encode(base(r))
	p.Twin = encode(times(r, g))
	p.Body = p.mask(encode(times(r, h)), content)
	c := p.bind(label, base(s), times(s, g))
	p.Proof = proofOf(c, s, r)
	return p, nil
}

// Validate checks that whoever made the pointer knew what it seals, under this label.
// No custodian evaluates one that does not pass. Errors: ErrElement, ErrProof.
func (p *Pointer) Validate(label []byte) error {
	u, err := p.Seal.decode()
	if err != nil {
		return err
	}
	v, err := p.Twin.decode()
	if err != nil {
		return err
	}
	c, err := decodeScalar(p.Proof[:32])
	if err != nil {
		return ErrProof
	}
	s, err := decodeScalar(p.Proof[32:])
	if err != nil {
		return ErrProof
	}
	w := curve.NewRistrettoPoint().DoubleScalarMulBasepointVartime(c, u, s)
	x := linear([]*scalar.Scalar{s, c}, []*curve.RistrettoPoint{twin(), v})
	if p.bind(label, w, x).Equal(c) != 1 {
		return ErrProof
	}
	return nil
}

// Open returns the content, given what t custodians made of p.Seal.
func (p *Pointer) Open(evaluated Element) [32]byte { return p.mask(evaluated, p.Body) }

func (p *Pointer) mask(shared Element, b [32]byte) (out [32]byte) {
	h := sha512.New()
	h.Write([]byte("salus/lookup/v1/pointer"))
	h.Write(p.Seal[:])
	h.Write(shared[:])
	k := h.Sum(nil)
	for i := range out {
		out[i] = b[i] ^ k[i]
	}
	return out
}

func (p *Pointer) bind(label []byte, w, x *curve.RistrettoPoint) *scalar.Scalar {
	a, b := encode(w), encode(x)
	h := sha512.New()
	h.Write([]byte("salus/lookup/v1/bind"))
	h.Write(prefixed(label))
	h.Write(p.Seal[:])
	h.Write(p.Twin[:])
	h.Write(p.Body[:])
	h.Write(a[:])
	h.Write(b[:])
	return reduced(h.Sum(nil))
}
