package record

import (
	"context"
	"sync"
	"time"

	"salus/ledger/tx"
)

// maxBatch leaves room for the index records in a batch of 1,024.
const maxBatch = 960

// folder gathers the writes of one patient for a few milliseconds, so that concurrent
// requests share one batch: one ledger entry, one envelope per custodian, one fsync.
type folder struct {
	wait time.Duration
	deal func(context.Context, tx.Account, []ID)

	mu      sync.Mutex // guards pending
	pending map[tx.Account]*fold
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // the folder's life: timers fire outside any request
}

// fold is what waits for one patient.
type fold struct {
	ids   []ID
	due   time.Time
	timer *time.Timer
}

// company is how long the label map of a patient who is new waits for the first of her records, to share their batch.
const company = 500 * time.Millisecond

func newFolder(ctx context.Context, wait time.Duration, deal func(context.Context, tx.Account, []ID)) *folder {
	return &folder{wait: wait, deal: deal, pending: map[tx.Account]*fold{}, ctx: ctx}
}

// add queues stored records of one patient.
func (f *folder) add(patient tx.Account, ids ...ID) { f.within(f.wait, patient, ids) }

// within queues records that may wait longer than others, or not as long.
func (f *folder) within(wait time.Duration, patient tx.Account, ids []ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(ids) > 0 {
		due := time.Now().Add(wait)
		p := f.pending[patient]
		switch {
		case p == nil:
			p = &fold{due: due}
			p.timer = time.AfterFunc(wait, func() { f.flush(patient, p) })
			f.pending[patient] = p
		case due.Before(p.due):
			p.due = due
			p.timer.Reset(wait)
		}
		n := min(len(ids), maxBatch-len(p.ids))
		p.ids, ids = append(p.ids, ids[:n]...), ids[n:]
		if len(p.ids) == maxBatch {
			p.timer.Stop()
			f.start(patient, p)
		}
	}
}

func (f *folder) flush(patient tx.Account, p *fold) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending[patient] == p {
		f.start(patient, p)
	}
}

// start hands a fold to the dealer; the caller holds mu.
func (f *folder) start(patient tx.Account, p *fold) {
	delete(f.pending, patient)
	if f.ctx.Err() != nil {
		return // the records stay marked as stored and are dealt after the next start
	}
	f.running.Go(func() { f.deal(f.ctx, patient, p.ids) })
}

// stop waits for the dealings that run.
func (f *folder) stop() {
	f.mu.Lock()
	for _, p := range f.pending {
		p.timer.Stop()
	}
	clear(f.pending)
	f.mu.Unlock()
	f.running.Wait()
}
