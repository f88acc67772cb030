package balp

import (
	"testing"
)

// BenchmarkAppend is durable events per second with 64 callers.
func BenchmarkAppend(b *testing.B) {
	j := openJournal(b, b.TempDir())
	defer j.Close()
	e := wholeEvent(Read)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := j.Append(b.Context(), e); err != nil {
				b.Error(err)
				return
			}
		}
	})
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
