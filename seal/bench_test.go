package seal

import (
	"crypto/rand"
	"fmt"
	"testing"

	"salus/threshold"
)

func BenchmarkSeal(b *testing.B) {
	for _, c := range []struct{ n, count int }{{4, 1}, {4, 500}, {7, 500}, {16, 500}} {
		w := newWorld(b, c.n, c.count, 2000)
		_, t, _ := threshold.Quorum(c.n)
		b.Run(fmt.Sprintf("n=%d/records=%d", c.n, c.count), func(b *testing.B) {
			for b.Loop() {
				if _, err := Seal(rand.Reader, testChain, testAuthor, testPatient, 3, t, w.publics, w.recs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpenEnvelope(b *testing.B) {
	for _, count := range []int{1, 500} {
		w := newWorld(b, 4, count, 100)
		b.Run(fmt.Sprintf("records=%d", count), func(b *testing.B) {
			for b.Loop() {
				if _, err := w.open(1, &w.batch.Header, w.batch.Envelopes[0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRelease(b *testing.B) {
	w := newWorld(b, 4, 500, 100)
	reader, hh := w.reader.PublicKey().Bytes(), w.batch.Header.Hash()
	for _, count := range []int{1, 50, 500} {
		list := positions(count)
		shares := w.pickShares(1, list)
		b.Run(fmt.Sprintf("records=%d", count), func(b *testing.B) {
			for b.Loop() {
				if _, err := Release(reader, w.session, 1, hh, list, shares); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead opens n releases, combines and decrypts: all a reader computes. With a
// liar it also searches for him.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{4, 7, 16} {
		w := newWorld(b, n, 500, 300)
		for _, count := range []int{1, 500} {
			for _, liars := range []int{0, 1} {
				list := positions(count)
				sealed := map[int][]byte{}
				for i := 1; i <= n; i++ {
					sealed[i] = w.release(b, i, list)
				}
				b.Run(fmt.Sprintf("n=%d/records=%d/liars=%d", n, count, liars), func(b *testing.B) {
					for b.Loop() {
						shares := map[int][]threshold.Share{}
						for i := range sealed {
							s, err := OpenRelease(w.reader, w.session, i, w.batch.Header.Hash(), list, sealed[i])
							if err != nil {
								b.Fatal(err)
							}
							if i <= liars {
								s[0][0] ^= 1
							}
							shares[i] = s
						}
						keys, err := Combine(&w.batch.Header, w.entries(list), list, shares)
						if keys == nil || (err != nil) != (liars > 0) {
							b.Fatal(err)
						}
						for k, i := range list {
							if _, err := Decrypt(&w.batch.Header, &w.batch.Entries[i], keys[k], w.batch.Ciphertexts[i]); err != nil {
								b.Fatal(err)
							}
						}
					}
				})
			}
		}
	}
}

func positions(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
