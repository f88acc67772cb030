package balp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkAppend is durable events per second with one caller and with 64.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			j := openJournal(b, b.TempDir())
			defer j.Close()
			e := wholeEvent(Read)
			var n atomic.Int64
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for n.Add(1) <= int64(b.N) {
						if _, err := j.Append(b.Context(), e); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkOpen is how long a thousand events take to check when the journal is opened.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	j := openJournal(b, dir)
	appendAll(b, j, 0, 1000)
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		j, err := OpenJournal(dir, sealKey)
		if err != nil {
			b.Fatal(err)
		}
		_ = j.Close()
	}
}
