package oprf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"salus/threshold"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 9497 appendix A.1.2, mode VOPRF.
const (
	rfcKey    = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909"
	rfcPublic = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e"
	rfcBlind1 = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"
	rfcBlind2 = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e"
	rfcLong   = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
	rfcOut1   = "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c"
	rfcOut2   = "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6"
	rfcEval1  = "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"
)

type rfcVector struct {
	inputs, blinds, blinded, evaluated, outputs []string
	random, proof                               string
}

var rfcVectors = []rfcVector{
	{
		[]string{"00"},
		[]string{rfcBlind1},
		[]string{"863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"},
		[]string{rfcEval1},
		[]string{rfcOut1},
		rfcBlind2,
		"ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd066d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
	},
	{
		[]string{rfcLong},
		[]string{rfcBlind1},
		[]string{"cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c"},
		[]string{"60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468"},
		[]string{rfcOut2},
		rfcBlind2,
		"401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
	},
	{
		[]string{"00", rfcLong},
		[]string{rfcBlind1, rfcBlind2},
		[]string{"863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945", "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654"},
		[]string{rfcEval1, "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a"},
		[]string{rfcOut1, rfcOut2},
		"419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c",
		"cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
	},
}

func TestVectorsOfRFC9497(t *testing.T) {
	key := threshold.Share(unhex(t, rfcKey))
	public, err := Public(key)
	if err != nil || public != Element(unhex(t, rfcPublic)) {
		t.Fatalf("public key: got %x %v, want %s", public, err, rfcPublic)
	}
	for i, v := range rfcVectors {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			var in, out []Element
			for k := range v.inputs {
				r, err := decodeScalar(unhex(t, v.blinds[k]))
				if err != nil {
					t.Fatal(err)
				}
				b, e, err := blind(r, unhex(t, v.inputs[k]))
				if err != nil || e != Element(unhex(t, v.blinded[k])) {
					t.Fatalf("blinded element: got %x %v, want %s", e, err, v.blinded[k])
				}
				got, err := Evaluate(key, e)
				if err != nil || got != Element(unhex(t, v.evaluated[k])) {
					t.Fatalf("evaluated element: got %x %v, want %s", got, err, v.evaluated[k])
				}
				o, err := Finalize(unhex(t, v.inputs[k]), b, got)
				if err != nil || !bytes.Equal(o[:], unhex(t, v.outputs[k])) {
					t.Fatalf("output: got %x %v, want %s", o[:], err, v.outputs[k])
				}
				in, out = append(in, e), append(out, got)
			}
			r, err := decodeScalar(unhex(t, v.random))
			if err != nil {
				t.Fatal(err)
			}
			p, err := prove(r, key, public, in, out)
			if err != nil || !bytes.Equal(p[:], unhex(t, v.proof)) {
				t.Fatalf("proof: got %x %v, want %s", p[:], err, v.proof)
			}
			if err := Verify(public, in, out, p); err != nil {
				t.Fatalf("verify: got %v, want nil", err)
			}
		})
	}
}

// The RFC's vectors hold for a key in parts: the custodians together are that one server.
func TestVectorsOfRFC9497HoldForASharedKey(t *testing.T) {
	d, err := Redeal(stream("rfc"), threshold.Share(unhex(t, rfcKey)), 7, 5)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Join(7, [][]Element{d.Commitments})
	if err != nil || c.Key != Element(unhex(t, rfcPublic)) {
		t.Fatalf("key: got %x %v, want %s", c.Key, err, rfcPublic)
	}
	for _, v := range rfcVectors[:2] {
		in := Element(unhex(t, v.blinded[0]))
		var parts []Partial
		for _, j := range []int{7, 2, 4, 1, 6} {
			p, err := EvaluatePartial(stream(fmt.Sprint(j)), j, d.Shares[j-1], in)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, p)
		}
		got, blamed, err := c.Combine(in, parts)
		if err != nil || len(blamed) != 0 || got != Element(unhex(t, v.evaluated[0])) {
			t.Fatalf("got %x %v %v, want %s", got, blamed, err, v.evaluated[0])
		}
	}
}

func TestProofsBindEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rand := stream(rapid.String().Draw(t, "label"))
		d, err := Deal(rand, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		key, public := d.Shares[0], d.Commitments[0]
		n := rapid.IntRange(1, 4).Draw(t, "elements")
		var in, out []Element
		for i := range n {
			_, e, err := BlindInput(rand, []byte{byte(i), 1})
			if err != nil {
				t.Fatal(err)
			}
			o, err := Evaluate(key, e)
			if err != nil {
				t.Fatal(err)
			}
			in, out = append(in, e), append(out, o)
		}
		p, err := Prove(rand, key, public, in, out)
		if err != nil || Verify(public, in, out, p) != nil {
			t.Fatalf("got %v, want a proof that holds", err)
		}
		other, err := Deal(rand, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		k := rapid.IntRange(0, n-1).Draw(t, "which")
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			public = other.Commitments[0]
		case 1:
			in[k] = other.Commitments[0]
		case 2:
			out[k] = other.Commitments[0]
		case 3:
			p[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if err := Verify(public, in, out, p); !errors.Is(err, ErrProof) {
			t.Fatalf("got %v, want ErrProof", err)
		}
	})
}

func TestWhatNoHonestCallerSendsIsRefused(t *testing.T) {
	key := threshold.Share(unhex(t, rfcKey))
	good := Element(unhex(t, rfcEval1))
	if _, err := Evaluate(key, Element{}); !errors.Is(err, ErrElement) {
		t.Errorf("the identity: got %v, want ErrElement", err)
	}
	if _, err := Evaluate(key, Element{0: 1}); !errors.Is(err, ErrElement) {
		t.Errorf("a negative encoding: got %v, want ErrElement", err)
	}
	if _, err := Evaluate(threshold.Share{}, good); !errors.Is(err, ErrScalar) {
		t.Errorf("a zero key: got %v, want ErrScalar", err)
	}
	if _, err := Evaluate(threshold.Share(bytes.Repeat([]byte{0xff}, 32)), good); !errors.Is(err, ErrScalar) {
		t.Errorf("a scalar that is not canonical: got %v, want ErrScalar", err)
	}
	if _, _, err := BlindInput(stream("x"), nil); !errors.Is(err, ErrInput) {
		t.Errorf("no input: got %v, want ErrInput", err)
	}
	if _, _, err := BlindInput(stream("x"), make([]byte, 1<<16)); !errors.Is(err, ErrInput) {
		t.Errorf("a long input: got %v, want ErrInput", err)
	}
	if _, err := Finalize(nil, Blind(key), good); !errors.Is(err, ErrInput) {
		t.Errorf("no input: got %v, want ErrInput", err)
	}
	if err := Verify(good, nil, nil, Proof{}); !errors.Is(err, ErrParams) {
		t.Errorf("nothing proved: got %v, want ErrParams", err)
	}
	if err := Verify(good, []Element{good}, []Element{good, good}, Proof{}); !errors.Is(err, ErrParams) {
		t.Errorf("pairs that do not pair: got %v, want ErrParams", err)
	}
	for _, v := range []any{key, Blind(key), Output{1}} {
		for _, f := range []string{"%v", "%x", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(f, v); got != redacted {
				t.Errorf("%T with %s: got %q, want %q", v, f, got, redacted)
			}
		}
	}
}

func FuzzElement(f *testing.F) {
	f.Add(unhex(f, rfcEval1))
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 32 {
			return
		}
		e := Element(b)
		d, err := e.decode()
		if err != nil {
			return
		}
		if got := encode(d); got != e {
			t.Fatalf("got %x, want %x", got, e)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add(unhex(f, rfcPublic), unhex(f, rfcVectors[0].blinded[0]), unhex(f, rfcEval1), unhex(f, rfcVectors[0].proof))
	f.Fuzz(func(t *testing.T, a, b, c, d []byte) {
		if len(a) != 32 || len(b) != 32 || len(c) != 32 || len(d) != 64 {
			return
		}
		if Verify(Element(a), []Element{Element(b)}, []Element{Element(c)}, Proof(d)) == nil && hex.EncodeToString(d) != rfcVectors[0].proof {
			t.Fatal("got a proof that nobody made")
		}
	})
}
