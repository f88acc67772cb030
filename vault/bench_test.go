package vault_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"salus/vault"
	"salus/vault/vaulttest"
)

// BenchmarkPut and BenchmarkPlainFiles do the same: 64 goroutines bring packs to disk, each durable before the next. The
// plain way is one file per pack, written, fsynced and its folder fsynced.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{200, 1} {
		b.Run(fmt.Sprintf("%dRecords", n), func(b *testing.B) {
			s, err := vault.Open(b.TempDir(), vault.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			each(b, n, func(_ uint64, blobs [][]byte) error {
				_, err := s.PutPack(context.Background(), blobs)
				return err
			})
			st := s.Stats()
			b.ReportMetric(float64(st.Puts)/float64(st.Syncs), "packs/fsync")
		})
	}
}

func BenchmarkPlainFiles(b *testing.B) {
	for _, n := range []int{200, 1} {
		b.Run(fmt.Sprintf("%dRecords", n), func(b *testing.B) {
			dir := b.TempDir()
			each(b, n, func(i uint64, blobs [][]byte) error {
				_, raw := vault.EncodePack(blobs)
				return writeFile(dir, filepath.Join(dir, fmt.Sprint(i)), raw)
			})
		})
	}
}

func writeFile(dir, name string, b []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// each calls put from 64 goroutines with n blobs of about 2 KiB, no two packs the same.
func each(b *testing.B, n int, put func(i uint64, blobs [][]byte) error) {
	proto := vaulttest.Blobs(1, n, 2048)
	size := 0
	for _, x := range proto {
		size += len(x) + 8
	}
	var next atomic.Uint64
	b.SetBytes(int64(size))
	b.SetParallelism(32) // times two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := next.Add(1)
			blobs := make([][]byte, n)
			for j, x := range proto {
				blobs[j] = append(binary.BigEndian.AppendUint64(nil, i<<16|uint64(j)), x...)
			}
			if err := put(i, blobs); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{200, 1} {
		b.Run(fmt.Sprintf("%dRecords", n), func(b *testing.B) {
			ctx := context.Background()
			s, err := vault.Open(b.TempDir(), vault.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var addrs []vault.Address
			for i := range 10_000 / n {
				blobs := vaulttest.Blobs(uint64(i), n, 2048)
				if n == 1 && i%100 != 0 {
					continue
				}
				if _, err := s.PutPack(ctx, blobs); err != nil {
					b.Fatal(err)
				}
				for _, x := range blobs {
					addrs = append(addrs, vault.AddressOf(x))
				}
			}
			b.SetParallelism(32)
			var next atomic.Uint64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Get(ctx, addrs[next.Add(7919)%uint64(len(addrs))]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkReadPack200(b *testing.B) {
	ctx := context.Background()
	s, err := vault.Open(b.TempDir(), vault.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	id, err := s.PutPack(ctx, vaulttest.Blobs(1, 200, 2048))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.ReadPack(ctx, id); err != nil {
			b.Fatal(err)
		}
	}
}
