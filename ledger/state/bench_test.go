package state_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"salus/ledger/state"
)

// benchKey is a random-looking key of a table's length.
func benchKey(i int) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	return append([]byte{0x06, 0x01}, h[:16]...)
}

// fill commits n rows of 100 bytes, 1,000 in a block, and returns the height.
func fill(tb testing.TB, s *state.Store, height int64, from, n int) int64 {
	value := make([]byte, 100)
	for i := from; i < from+n; {
		v := s.View()
		c := state.NewCache(v)
		for j := 0; j < 1000 && i < from+n; j++ {
			binary.BigEndian.PutUint64(value, uint64(i))
			c.Set(benchKey(i), value)
			i++
		}
		height++
		if _, err := s.Stage(state.Block{Height: height, Changes: c}); err != nil {
			tb.Fatal(err)
		}
		if err := s.Commit(); err != nil {
			tb.Fatal(err)
		}
		v.Close()
	}
	return height
}

// BenchmarkInsert measures rows inserted into a store that grows to that many,
// 1,000 in a block, on disk, with an fsync per block. Run it with -benchtime=1x.
func BenchmarkInsert(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				s, err := state.Open(b.TempDir(), state.Options{})
				if err != nil {
					b.Fatal(err)
				}
				fill(b, s, 0, 0, n)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkProve measures proofs from a store of 100,000 rows, and their checks.
func BenchmarkProve(b *testing.B) {
	s, err := state.Open(b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	const n = 100_000
	fill(b, s, 0, 0, n)
	v := s.View()
	hash := v.Meta().AppHash
	defer func() {
		v.Close()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	key := func(i int, absent bool) []byte {
		if absent {
			return benchKey(n + i)
		}
		return benchKey(i % n)
	}
	for _, absent := range []bool{false, true} {
		name := map[bool]string{false: "row", true: "absence"}[absent]
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				if _, err := v.ProveKey(key(i, absent)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/verify", func(b *testing.B) {
			p, err := v.ProveKey(key(7, absent))
			if err != nil {
				b.Fatal(err)
			}
			var value []byte
			if !absent {
				value, _ = v.Get(key(7, false))
			}
			for b.Loop() {
				if err := p.Verify(hash, key(7, absent), value); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(p.Proof)), "B/proof")
		})
	}
}
