package record

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/ledger/tx"
	"salus/seal"
)

// folded runs f beside a folder with a window of 5 ms and returns what was dealt: per fold
// the patient and the number of records.
func folded(t *testing.T, f func(*folder)) (out []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(t.Context())
		d := newFolder(ctx, 5*time.Millisecond, func(_ context.Context, p tx.Account, ids []ID) {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, fmt.Sprint(p[0], ":", len(ids)))
		})
		f(d)
		<-time.After(time.Second) // of the bubble
		cancel()
		d.stop()
	})
	return out
}

func TestConcurrentWritesOfOnePatientShareABatch(t *testing.T) {
	got := folded(t, func(f *folder) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { f.add(tx.Account{1}, ID{byte(i)}); f.add(tx.Account{2}, ID{byte(i)}, ID{byte(i), 1}) })
		}
		wg.Wait()
	})
	if len(got) != 2 || !strings.Contains(fmt.Sprint(got), "1:50") || !strings.Contains(fmt.Sprint(got), "2:100") {
		t.Errorf("got %v, want one batch of 50 and one of 100", got)
	}
	got = folded(t, func(f *folder) {
		f.add(tx.Account{1}, ID{1})
		<-time.After(6 * time.Millisecond) // the window of the first has passed
		f.add(tx.Account{1}, ID{2})
	})
	if fmt.Sprint(got) != "[1:1 1:1]" {
		t.Errorf("got %v, want two batches of one", got)
	}
}

// What may wait goes along with what may not, and alone when nothing comes; it holds up nothing.
func TestWhatMayWaitGoesAlong(t *testing.T) {
	got := folded(t, func(f *folder) {
		f.within(company, tx.Account{1}, []ID{{1}})
		f.within(company, tx.Account{2}, []ID{{1}})
		<-time.After(100 * time.Millisecond)
		f.add(tx.Account{1}, ID{2}, ID{3})
		<-time.After(4 * time.Millisecond)
		f.within(company, tx.Account{1}, []ID{{4}})
		<-time.After(2 * time.Millisecond)
		f.add(tx.Account{1}, ID{5})
	})
	if fmt.Sprint(got) != "[1:4 1:1 2:1]" {
		t.Errorf("got %v, want four together, one alone, and the other patient's last", got)
	}
}

func TestFullBatchDoesNotWait(t *testing.T) {
	got := folded(t, func(f *folder) { f.add(tx.Account{1}, make([]ID, 2*maxBatch+3)...) })
	if len(got) != 3 || strings.Count(fmt.Sprint(got), fmt.Sprint("1:", maxBatch)) != 2 || !strings.Contains(fmt.Sprint(got), "1:3") {
		t.Errorf("got %v, want two full batches and one of 3", got)
	}
}

func TestStoppedFolderDealsNothing(t *testing.T) {
	got := folded(t, func(f *folder) {
		ctx, cancel := context.WithCancel(context.Background())
		f.ctx = ctx
		f.add(tx.Account{1}, ID{1})
		cancel()
		f.stop()
		f.add(tx.Account{1}, ID{2})
	})
	if len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestBatchFitsWithItsIndexRecords(t *testing.T) {
	distinct := func(n, body int) (rows []*row) {
		for i := range n {
			rows = append(rows, &row{Slots: uint64(i), Body: make([]byte, body)})
		}
		return rows
	}
	same := distinct(maxBatch, 10)
	for _, r := range same {
		r.Slots = 7
	}
	big := distinct(3, seal.MaxPlain)
	for _, c := range []struct {
		rule string
		rows []*row
		want int
	}{
		{"nothing", nil, 0},
		{"a full fold of one label", same, maxBatch},
		{"every record with an index record of its own", distinct(maxBatch, 10), seal.MaxRecords / 2},
		{"large ones", big, 2},
		{"one larger than a batch", []*row{{Body: make([]byte, maxBatchBytes+1)}}, 1},
	} {
		if got := fit(c.rows); got != c.want {
			t.Errorf("%s: got %d, want %d", c.rule, got, c.want)
		}
	}
}

// Records that do not fit into one batch go into several, each once.
func TestManyLabelsAreDealtInSeveralBatches(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p := w.patient("Patient/p")
	gateAt(t, h, stepPut, stepParcel, stepPack)
	var rows []*row
	b := s.store.db.NewBatch()
	for i := range 600 {
		r := &row{ID: ID{byte(i), byte(i >> 8), 1}, Patient: p.Patient, Status: Stored, Type: "Observation", Slots: uint64(i), Summary: []byte(`{"type":"Observation"}`), Body: []byte{0}}
		rows = append(rows, r)
		if err := s.addRow(b, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.Commit(pebble.Sync), b.Close()); err != nil {
		t.Fatal(err)
	}
	var ids []ID
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	s.deal(t.Context(), p.Patient, append(ids, ids[:5]...)) // named twice, dealt once
	dealt := map[ID]bool{}
	for seq := uint64(1); seq < 3; seq++ {
		parcel, err := s.outbox.load(seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range parcel.Records {
			if dealt[id] {
				t.Fatalf("%v is in two batches", id)
			}
			dealt[id] = true
		}
	}
	if n, err := s.Pending(); len(dealt) != len(rows) || n != (Pending{Batches: 2}) || err != nil {
		t.Errorf("got %d records, %+v, want %d in two batches", len(dealt), n, len(rows))
	}
}
