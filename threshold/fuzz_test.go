package threshold

import (
	"testing"

	"filippo.io/edwards25519"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

func FuzzShare(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Add(order[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 32 {
			return
		}
		s := Share(b)
		var v edwards25519.Scalar
		if decodeShare(&v, &s) != nil {
			if s.Canonical() {
				t.Fatal("got canonical for a share that does not decode")
			}
			return
		}
		if got := Share(v.Bytes()); got != s {
			t.Fatal("share: got other bytes after decoding")
		}
		// The two libraries must agree on what a scalar is.
		if _, err := scalar.NewFromCanonicalBytes(b); err != nil {
			t.Fatalf("share: got %v from the other decoder", err)
		}
	})
}

func FuzzCommitments(f *testing.F) {
	d, err := Deal(stream("fuzz"), 1, 4, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(append(d.Commitments[0][:], d.Commitments[1][:]...), d.Commitments[2][:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var in [][32]byte
		for ; len(b) >= 32; b = b[32:] {
			in = append(in, [32]byte(b[:32]))
		}
		out, err := decodeCommitments(in)
		if err != nil {
			return
		}
		for k := range out {
			if encode(out[k]) != in[k] {
				t.Fatalf("commitment %d: got other bytes after decoding", k)
			}
		}
		_ = Verify(in, 1, d.Shares[0]) // must not panic
	})
}
