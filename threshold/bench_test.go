package threshold

import (
	"crypto/rand"
	"fmt"
	"testing"
)

func BenchmarkDeal(b *testing.B) {
	for _, c := range []struct{ count, n int }{{1, 4}, {4, 4}, {100, 4}, {1024, 4}, {1, 16}, {500, 7}, {500, 16}} {
		_, t, _ := Quorum(c.n)
		b.Run(fmt.Sprintf("secrets=%d/n=%d", c.count, c.n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Deal(rand.Reader, c.count, c.n, t); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct{ count, n int }{{1, 4}, {4, 4}, {100, 4}, {1024, 4}, {1, 16}, {500, 7}} {
		_, t, _ := Quorum(c.n)
		d, err := Deal(rand.Reader, c.count, c.n, t)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("secrets=%d/n=%d", c.count, c.n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Verify(d.Commitments, 1, d.Shares[0]); err != nil {
					b.Fatal(err)
				}
			}
		})
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
