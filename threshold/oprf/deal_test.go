package oprf

import (
	"crypto/sha3"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/threshold"
)

func stream(label string) io.Reader {
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte(label))
	return h
}

// ceremony makes a key: every custodian deals, all dealings count.
func ceremony(t interface{ Fatal(...any) }, rand io.Reader, n, th int) (*Committee, []threshold.Share) {
	var publics [][]Element
	got := make([][]threshold.Share, n)
	for range n {
		d, err := Deal(rand, n, th)
		if err != nil {
			t.Fatal(err)
		}
		publics = append(publics, d.Commitments)
		for j := range got {
			if err := VerifyShare(d.Commitments, j+1, d.Shares[j]); err != nil {
				t.Fatal(err)
			}
			got[j] = append(got[j], d.Shares[j])
		}
	}
	c, err := Join(n, publics)
	if err != nil {
		t.Fatal(err)
	}
	shares := make([]threshold.Share, n)
	for j := range shares {
		if shares[j], err = JoinShares(got[j]); err != nil {
			t.Fatal(err)
		}
		if p, err := Public(shares[j]); err != nil || p != c.Shares[j] {
			t.Fatal("got a share that its element does not belong to", err)
		}
	}
	return c, shares
}

// find runs the whole protocol for one input and returns what is found.
func find(t interface{ Fatal(...any) }, rand io.Reader, c *Committee, shares []threshold.Share, who []int, input string) Output {
	b, e, err := BlindInput(rand, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	var parts []Partial
	for _, j := range who {
		p, err := EvaluatePartial(rand, j, shares[j-1], e)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	whole, blamed, err := c.Combine(e, parts)
	if err != nil || len(blamed) != 0 {
		t.Fatal("combine:", blamed, err)
	}
	out, err := Finalize([]byte(input), b, whole)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// some draws t different custodians of n.
func some(t *rapid.T, n, th int, name string) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return rapid.Permutation(all).Draw(t, name)[:th]
}

func draw(t *rapid.T, most int, name string) (n, th int) {
	n = rapid.IntRange(1, most).Draw(t, name+" custodians")
	_, th, _ = threshold.Quorum(n)
	return n, th
}

func TestAnyThresholdFindsTheSameAlsoAfterResharing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rand := stream(rapid.String().Draw(t, "label"))
		n, th := draw(t, 7, "old")
		c, shares := ceremony(t, rand, n, th)
		want := find(t, rand, c, shares, some(t, n, th, "first"), "input")
		if got := find(t, rand, c, shares, some(t, n, th, "second"), "input"); got != want {
			t.Fatal("got two results for one input")
		}
		if got := find(t, rand, c, shares, some(t, n, th, "third"), "another"); got == want {
			t.Fatal("got one result for two inputs")
		}

		n2, th2 := draw(t, 7, "new")
		dealers := some(t, n, th, "dealers")
		var publics [][]Element
		got := make([][]threshold.Share, n2)
		for _, i := range dealers {
			d, err := Redeal(rand, shares[i-1], n2, th2)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckDealing(d.Commitments, th2, c.Shares[i-1]); err != nil {
				t.Fatal(err)
			}
			publics = append(publics, d.Commitments)
			for j := range got {
				got[j] = append(got[j], d.Shares[j])
			}
		}
		c2, err := Carry(n2, dealers, publics)
		if err != nil || c2.Key != c.Key {
			t.Fatalf("got another key after resharing: %v", err)
		}
		shares2 := make([]threshold.Share, n2)
		for j := range shares2 {
			if shares2[j], err = CarryShares(dealers, got[j]); err != nil {
				t.Fatal(err)
			}
			if p, err := Public(shares2[j]); err != nil || p != c2.Shares[j] {
				t.Fatalf("got a share that its element does not belong to: %v", err)
			}
		}
		if found := find(t, rand, c2, shares2, some(t, n2, th2, "fourth"), "input"); found != want {
			t.Fatal("got another result after resharing")
		}
	})
}

func TestWrongPartsAreFoundAndNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rand := stream(rapid.String().Draw(t, "label"))
		n, th := rapid.IntRange(4, 7).Draw(t, "custodians"), 0
		_, th, _ = threshold.Quorum(n)
		c, shares := ceremony(t, rand, n, th)
		_, in, err := BlindInput(rand, []byte("input"))
		if err != nil {
			t.Fatal(err)
		}
		var parts []Partial
		for j := 1; j <= n; j++ {
			p, err := EvaluatePartial(rand, j, shares[j-1], in)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, p)
		}
		want, _, err := c.Combine(in, parts)
		if err != nil {
			t.Fatal(err)
		}
		liars := some(t, n, rapid.IntRange(0, n).Draw(t, "liars"), "who lies")
		slices.Sort(liars)
		for _, j := range liars {
			p := &parts[j-1]
			switch rapid.IntRange(0, 4).Draw(t, "lie") {
			case 0:
				p.Element = in
			case 1:
				p.Element = Element{}
			case 2:
				p.Proof[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1
			case 3: // sound, but for another element
				_, other, err := BlindInput(rand, []byte("other"))
				if err != nil {
					t.Fatal(err)
				}
				if *p, err = EvaluatePartial(rand, j, shares[j-1], other); err != nil {
					t.Fatal(err)
				}
			case 4: // with a key of its own
				if *p, err = EvaluatePartial(rand, j, threshold.Share{0: 7}, in); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, blamed, err := c.Combine(in, append(parts, parts...)) // one who answers twice counts once
		slices.Sort(blamed)
		if !slices.Equal(slices.Compact(blamed), liars) {
			t.Fatalf("got blame for %v, want %v", blamed, liars)
		}
		if n-len(liars) < th {
			if !errors.Is(err, ErrTooFew) {
				t.Fatalf("got %v, want ErrTooFew", err)
			}
			return
		}
		if err != nil || got != want {
			t.Fatalf("got %v, want the evaluation of the sound parts", err)
		}
	})
}

func TestDealersThatCheatAreFound(t *testing.T) {
	rand := stream("cheat")
	c, shares := ceremony(t, rand, 4, 3)
	d, err := Redeal(rand, shares[0], 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		name string
		got  error
		want error
	}{
		{"another's share under this one's name", CheckDealing(d.Commitments, 3, c.Shares[1]), ErrDealer},
		{"another threshold", CheckDealing(d.Commitments, 2, c.Shares[0]), ErrParams},
		{"no element", CheckDealing([]Element{d.Commitments[0], {}, d.Commitments[2]}, 3, c.Shares[0]), ErrElement},
		{"another's share of the dealing", VerifyShare(d.Commitments, 1, d.Shares[1]), ErrShare},
		{"a share of another dealing", VerifyShare(d.Commitments, 1, shares[0]), ErrShare},
		{"not a scalar", VerifyShare(d.Commitments, 1, threshold.Share{31: 0xff}), ErrScalar},
		{"no such custodian", VerifyShare(d.Commitments, 0, d.Shares[0]), ErrParams},
	} {
		if !errors.Is(s.got, s.want) {
			t.Errorf("%s: got %v, want %v", s.name, s.got, s.want)
		}
	}
	if _, err := Carry(4, []int{1, 1, 2}, [][]Element{d.Commitments, d.Commitments, d.Commitments}); !errors.Is(err, ErrParams) {
		t.Errorf("a dealer twice: got %v, want ErrParams", err)
	}
	if _, err := CarryShares([]int{1, 2}, shares[:1]); !errors.Is(err, ErrParams) {
		t.Errorf("a share missing: got %v, want ErrParams", err)
	}
	if _, err := Deal(rand, 4, 2); !errors.Is(err, threshold.ErrParams) {
		t.Errorf("a weak threshold: got %v, want threshold.ErrParams", err)
	}
}

func TestPointersOpenTogetherAndOnlyWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rand := stream(rapid.String().Draw(t, "label"))
		n, th := draw(t, 7, "all")
		c, shares := ceremony(t, rand, n, th)
		content := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "content"))
		p, err := SealPointer(rand, c.Key, []byte("label"), content)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate([]byte("label")); err != nil {
			t.Fatalf("got %v, want nil", err)
		}
		if err := p.Validate([]byte("other")); !errors.Is(err, ErrProof) {
			t.Fatalf("another label: got %v, want ErrProof", err)
		}
		var parts []Partial
		for _, j := range some(t, n, th, "who") {
			part, err := EvaluatePartial(rand, j, shares[j-1], p.Seal)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, part)
		}
		whole, _, err := c.Combine(p.Seal, parts)
		if err != nil || p.Open(whole) != content {
			t.Fatalf("got another content, %v", err)
		}

		// Whatever is changed: nobody evaluates it, so nobody learns the content by it.
		q, at := p, rapid.IntRange(0, 7).Draw(t, "bit")
		i := rapid.IntRange(0, 31).Draw(t, "byte")
		switch rapid.IntRange(0, 4).Draw(t, "part") {
		case 0:
			q.Body[i] ^= 1 << at
		case 1:
			q.Proof[2*i] ^= 1 << at
		case 2:
			q.Seal[i] ^= 1 << at
		case 3:
			q.Twin[i] ^= 1 << at
		case 4:
			q.Twin = q.Seal
		}
		if q.Validate([]byte("label")) == nil {
			t.Fatal("got a changed pointer that passes")
		}
	})
}

func FuzzDealing(f *testing.F) {
	d, err := Deal(stream("fuzz"), 4, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Concat(d.Commitments[0][:], d.Commitments[1][:], d.Commitments[2][:]), d.Shares[1][:], 2)
	f.Fuzz(func(t *testing.T, b, s []byte, j int) {
		var in []Element
		for ; len(b) >= 32 && len(in) < 8; b = b[32:] {
			in = append(in, Element(b[:32]))
		}
		if CheckDealing(in, len(in), Element{}) != nil || len(s) != 32 {
			return
		}
		_ = VerifyShare(in, j, threshold.Share(s)) // must not panic
		if c, err := Join(4, [][]Element{in}); err == nil && c.Key != in[0] {
			t.Fatal("got another key than the dealing's")
		}
	})
}

func FuzzPointer(f *testing.F) {
	d, err := Deal(stream("fuzz"), 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	p, err := SealPointer(stream("p"), d.Commitments[0], nil, [32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Seal[:], p.Twin[:], p.Body[:], p.Proof[:])
	f.Fuzz(func(t *testing.T, a, b, c, e []byte) {
		if len(a) != 32 || len(b) != 32 || len(c) != 32 || len(e) != 64 {
			return
		}
		q := Pointer{Element(a), Element(b), [32]byte(c), Proof(e)}
		if q.Validate(nil) == nil && q != p {
			t.Fatal("got a pointer that nobody made")
		}
	})
}
