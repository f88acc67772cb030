package threshold

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// reshareAll runs one resharing of all custodians' shares, with the given ways to cheat
// by dealer, and returns the new shares, commitments and who was blamed by anybody.
func reshareAll(t *rapid.T, commitments [][32]byte, shares [][]Share, n, th int, cheat map[int]func(*Subdealing)) ([][]Share, [][32]byte, []int) {
	subs := map[int]*Subdealing{}
	for i := range shares {
		// Dealers draw by themselves: with the same numbers for all, and for the dealing, new shares
		// are the old ones.
		s, err := Subdeal(stream(fmt.Sprint("subdeal ", i, rapid.String().Draw(t, "subdeal"))), shares[i], n, th)
		if err != nil {
			t.Fatal(err)
		}
		if f := cheat[i+1]; f != nil {
			f(s)
		}
		subs[i+1] = s
	}
	receive := func(dealers []int, j int) []Received {
		var out []Received
		for _, i := range dealers {
			out = append(out, Received{From: i, Commitments: subs[i].Commitments, Shares: subs[i].Shares[j-1]})
		}
		return out
	}
	// Everybody checks everything: complaints are upheld by anybody who runs VerifySubdeal.
	blamed := map[int]bool{}
	all := make([]int, len(shares))
	for i := range all {
		all[i] = i + 1
	}
	for j := 1; j <= n; j++ {
		r, err := CombineSubdeals(commitments, j, th, len(shares[0]), receive(all, j))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range r.Blamed {
			if VerifySubdeal(commitments, i, subs[i].Commitments, j, subs[i].Shares[j-1]) == nil {
				t.Fatalf("dealer %d blamed by %d: complaint not upheld", i, j)
			}
			blamed[i] = true
		}
	}
	var dealers, named []int
	for _, i := range all {
		if blamed[i] {
			named = append(named, i)
		} else if len(dealers) < len(commitments) {
			dealers = append(dealers, i)
		}
	}
	var rows [][][32]byte
	for _, i := range dealers {
		rows = append(rows, subs[i].Commitments)
	}
	next, err := NextCommitments(dealers, rows)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]Share, n)
	for j := 1; j <= n; j++ {
		r, err := CombineSubdeals(commitments, j, th, len(shares[0]), receive(dealers, j))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(dealers, r.Used); d != "" || len(r.Blamed) != 0 {
			t.Fatalf("new custodian %d: used (-want +got) %s, blamed %v", j, d, r.Blamed)
		}
		if err := Verify(next, j, r.Shares); err != nil {
			t.Fatalf("new custodian %d against the next commitments: %v", j, err)
		}
		out[j-1] = r.Shares
	}
	return out, next, named
}

// P6: two rounds over random committees, up to f cheaters in each, secrets unchanged and
// exactly the cheaters blamed.
func TestResharingKeepsSecretsAndBlamesExactlyTheCheaters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, th := drawParams(t, 10, "first")
		count := rapid.IntRange(1, 3).Draw(t, "count")
		d, err := Deal(stream(rapid.String().Draw(t, "label")), count, n, th)
		if err != nil {
			t.Fatal(err)
		}
		shares, commitments := d.Shares, d.Commitments
		for round := range 2 {
			n2, th2 := drawParams(t, 10, "next")
			f, _, _ := Quorum(n)
			cheat, cheaters := map[int]func(*Subdealing){}, pick(t, n, rapid.IntRange(0, f).Draw(t, "cheaters"), "who")
			for _, i := range cheaters {
				cheat[i] = drawCheat(t, shares[i-1], n2, th2)
			}
			var blamed []int
			shares, commitments, blamed = reshareAll(t, commitments, shares, n2, th2, cheat)
			slices.Sort(cheaters)
			if !slices.Equal(cheaters, blamed) {
				t.Fatalf("round %d: got %v blamed, want %v", round, blamed, cheaters)
			}
			n, th = n2, th2
		}
		indices := pick(t, n, th, "openers")
		c, err := NewCombiner(indices)
		if err != nil {
			t.Fatal(err)
		}
		for r := range count {
			if got, err := c.Secret(column(shares, indices, r+1)); err != nil || got != d.Secrets[r] {
				t.Fatalf("secret %d after two resharings: got another one (%v)", r, err)
			}
		}
	})
}

// drawCheat draws one of the ways to cheat.
func drawCheat(t *rapid.T, shares []Share, n, th int) func(*Subdealing) {
	to := rapid.IntRange(1, n).Draw(t, "victim")
	r := rapid.IntRange(0, len(shares)-1).Draw(t, "share")
	switch rapid.IntRange(0, 4).Draw(t, "cheat") {
	case 0: // one share to one recipient
		return func(s *Subdealing) { s.Shares[to-1][r][0] ^= 1 }
	case 1: // a value that is no scalar
		return func(s *Subdealing) { s.Shares[to-1][r] = order }
	case 2: // shares something else than it holds, consistently
		return func(s *Subdealing) {
			forged := append([]Share(nil), shares...)
			forged[r] = Share{1}
			if forged[r] == shares[r] {
				forged[r] = Share{2}
			}
			other, err := Subdeal(stream("forged"), forged, n, th)
			if err != nil {
				t.Fatal(err)
			}
			*s = *other
		}
	case 3: // no commitments at all
		return func(s *Subdealing) { s.Commitments = nil }
	default: // a vector of another length
		return func(s *Subdealing) { s.Shares[to-1] = s.Shares[to-1][:len(s.Shares[to-1])-1] }
	}
}

func TestForgedConstantTermIsPlainToEverybody(t *testing.T) {
	d, err := Deal(stream("forge"), 2, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := Subdeal(stream("sub"), d.Shares[1], 7, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifySubdealer(d.Commitments, 2, sub.Commitments); err != nil {
		t.Errorf("honest dealer: got %v, want nil", err)
	}
	for _, from := range []int{1, 3, 4} {
		if err := VerifySubdealer(d.Commitments, from, sub.Commitments); !errors.Is(err, ErrSubdealer) {
			t.Errorf("dealing of 2 in the name of %d: got %v, want ErrSubdealer", from, err)
		}
	}
	if err := VerifySubdealer([][32]byte{{31: 0xff}}, 2, sub.Commitments); !errors.Is(err, ErrParams) {
		t.Errorf("damaged previous commitments: got %v, want ErrParams, nobody's fault", err)
	}
	if err := VerifySubdealer(d.Commitments, 2, [][32]byte{{31: 0xff}}); !errors.Is(err, ErrElement) {
		t.Errorf("malformed commitments: got %v, want ErrElement", err)
	}
}

func TestTooFewSoundDealersNameTheOthers(t *testing.T) {
	d, err := Deal(stream("few"), 1, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	var subs []Received
	for i := 1; i <= 3; i++ {
		s, err := Subdeal(stream("sub"), d.Shares[i-1], 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			s.Shares[0][1] = Share{9}
		}
		subs = append(subs, Received{From: i, Commitments: s.Commitments, Shares: s.Shares[0]})
	}
	got, err := CombineSubdeals(d.Commitments, 1, 3, 2, subs)
	if !errors.Is(err, ErrTooFew) || !slices.Equal(got.Blamed, []int{2}) {
		t.Errorf("got %v blamed and %v, want [2] and ErrTooFew", got, err)
	}
	if _, err := CombineSubdeals(d.Commitments, 1, 3, 2, append(subs, subs[0])); !errors.Is(err, ErrParams) {
		t.Errorf("one dealer twice: got %v, want ErrParams", err)
	}
	if r, err := CombineSubdeals([][32]byte{{31: 0xff}}, 1, 3, 2, subs); !errors.Is(err, ErrParams) || r != nil {
		t.Errorf("damaged previous commitments: got %v, want ErrParams and no blame", err)
	}
}

// S5: shares of one epoch do not combine with shares of the next.
func TestSharesOfTwoEpochsDoNotCombine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := Deal(stream(rapid.String().Draw(t, "label")), 1, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		next, commitments, _ := reshareAll(t, d.Commitments, d.Shares, 4, 3, nil)
		c, err := NewCombiner([]int{1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		old := rapid.IntRange(1, 2).Draw(t, "old shares")
		mix := column(next, []int{1, 2, 3}, 1)
		copy(mix, column(d.Shares, []int{1, 2, 3}[:old], 1))
		if got, err := c.Secret(mix); err != nil || got == d.Secrets[0] {
			t.Fatalf("%d old shares with new ones: got the secret or %v", old, err)
		}
		if Verify(commitments, 1, d.Shares[0]) == nil {
			t.Fatal("old shares under the next commitments: got nil, want ErrShares")
		}
	})
}
