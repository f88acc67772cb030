package threshold

import (
	"crypto/rand"
	"fmt"
	"testing"
)

var sizes = []int{4, 7, 16}

func BenchmarkDeal500(b *testing.B) {
	for _, n := range sizes {
		_, t, _ := Quorum(n)
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Deal(rand.Reader, 500, n, t); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify500(b *testing.B) {
	d, err := Deal(rand.Reader, 500, 7, 5)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Verify(d.Commitments, 1, d.Shares[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReshare500(b *testing.B) {
	d, err := Deal(rand.Reader, 500, 7, 5)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("subdeal", func(b *testing.B) {
		for b.Loop() {
			if _, err := Subdeal(rand.Reader, d.Shares[0], 7, 5); err != nil {
				b.Fatal(err)
			}
		}
	})
	var subs []Received
	for i := range 5 {
		s, err := Subdeal(rand.Reader, d.Shares[i], 7, 5)
		if err != nil {
			b.Fatal(err)
		}
		subs = append(subs, Received{From: i + 1, Commitments: s.Commitments, Shares: s.Shares[0]})
	}
	b.Run("combine", func(b *testing.B) {
		for b.Loop() {
			if _, err := CombineSubdeals(d.Commitments, 1, 5, 501, subs); err != nil {
				b.Fatal(err)
			}
		}
	})
}
