package custody

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger"
	"salus/ledger/state"
	"salus/seal"
	"salus/threshold"
)

// benchScene is a release of n records of one batch, at full speed.
func benchScene(b *testing.B, n int) (*member, *exchange.ReleaseRequest) {
	w := newWorld(b)
	batch := w.batch("alice", slices.Repeat([]uint64{allowedSlot}, n)...)
	w.grant("alice")
	r := w.session("doctor", "alice")
	var list []int
	for i := range n {
		list = append(list, i)
	}
	m := w.node("lab")
	m.pace = nil
	return m, r.commit(items(batch, list...)...)
}

// A whole release: decision, receipt, opening, shares sealed and signed.
func BenchmarkRelease(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, req := benchScene(b, n)
			for b.Loop() {
				if _, err := m.Release(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Many at once share the fsync.
func BenchmarkReleaseParallel(b *testing.B) {
	m, req := benchScene(b, 10)
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := m.Release(context.Background(), req); err != nil {
				b.Error(err)
			}
		}
	})
}

// What the next block waits for: the decision alone, and with its receipt.
func BenchmarkHold(b *testing.B) {
	m, req := benchScene(b, 500)
	root := req.List.Root()
	parts, err := m.prepare(req, root)
	if err != nil {
		b.Fatal(err)
	}
	hold := func(f func() error) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				if err := m.Hold(func(v *state.View, h ledger.Head) error {
					if _, err := m.decide(v, h, req, root, parts); err != nil {
						return err
					}
					return f()
				}); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("decision", hold(func() error { return nil }))
	b.Run("with receipt", hold(func() error { return m.wal.append(receipt(1)) }))
}

// A patient with many batches of which few are allowed.
func BenchmarkLocate(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			w.batch("alice", slices.Repeat([]uint64{allowedSlot}, 20)...)
			w.grant("alice")
			m := w.node("lab")
			m.pace = nil
			for at := 0; at < n; at += 1000 {
				err := m.rows.update(func(batch *pebble.Batch) error {
					for i := at; i < min(n, at+1000); i++ {
						row := &batchRow{Index: 1, LogIndex: uint64(i), Patient: account("alice"), Slots: []uint64{deniedSlot}, Shares: make([]threshold.Share, 2)}
						if err := m.rows.putBatch(batch, digest(fmt.Sprint("batch ", i)), row, &exchange.Parcel{Entries: []seal.Entry{{Slots: deniedSlot}}}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			r := w.session("doctor", "alice")
			req := &exchange.LocateRequest{Session: r.id, ReaderKey: r.public}
			for b.Loop() {
				if _, err := m.Locate(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// From parcels on disk to shares on disk.
func BenchmarkIngest(b *testing.B) {
	w := newWorld(b)
	m := w.node("lab")
	ctx := context.Background()
	for b.Loop() {
		b.StopTimer()
		for range ingestGroup {
			p, _ := w.deal("hospital", "alice", slices.Repeat([]uint64{allowedSlot}, 100)...)
			if err := m.Accept(ctx, account("hospital"), p); err != nil {
				b.Fatal(err)
			}
			w.put("hospital", p)
		}
		if err := m.readLog(ctx); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := m.ingestReady(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(ingestGroup*b.N)/b.Elapsed().Seconds(), "batches/s")
}

// A compaction of 100,000 wrapped keys.
func BenchmarkCompact(b *testing.B) {
	r := openTestRows(b, b.TempDir())
	defer r.close()
	fill(b, r, 100000)
	for b.Loop() {
		if err := r.compact(start); err != nil {
			b.Fatal(err)
		}
	}
}
