package chart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/fhir"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

const (
	// window is how many versions may be on their way at once: what is beyond it waits on disk.
	window = 20_000
	// together is how many versions of one compartment are handed on at once: as many records as a
	// batch of the ledger holds, nearly.
	together = 1000
	// usual and fewest are how many compartments may be handed on at once, while few versions wait
	// and while crowd or more do and others come. A compartment that waits its turn gathers versions, which share
	// the work of a batch; and those who write are not kept from it. So that batches share a block, too, which costs as
	// much as several of them, the fewest go together, and then none for a lull. Versions that somebody waits for do not
	// gather: as many go at once as are waited for, most at the most. So it is when long or more wait: who writes
	// faster for long than the ledger takes waits for it.
	usual, fewest, crowd = 24, 8, 600
	most, long           = 96, window * 3 / 4
	lull                 = time.Second
	// calm is after how long without a write nothing is left to gather, and nobody to make room for.
	calm = 250 * time.Millisecond
	// retryPause is how long a compartment waits whose versions could not be handed on.
	retryPause = time.Second
	// markEvery is how often it is written down how far the pump has come. What a crash repeats
	// changes nothing: the same bytes are the same record.
	markEvery = time.Second
	markName  = "pump"
)

// A pump carries what is written to the store on to the ledger, each compartment in its order.
type pump struct {
	s *Service

	mu     sync.Mutex // guards what follows
	read   int64      // versions up to it are on their way or done
	mark   int64      // versions up to it are done
	marked int64      // what is written down
	road   []int64    // versions on their way, in their order, with those done that wait for earlier ones
	done   map[int64]bool
	waits  map[int64][]chan struct{}
	queues map[string]*queue
	space  chan struct{}        // a signal that the road is shorter, or that there are more places
	busy   int                  // compartments that are being handed on
	turns  []string             // compartments that wait for theirs, in their order
	late   map[string]time.Time // those whose turn failed, and when they get another
	came   time.Time            // when the last version that was read was written
	began  time.Time            // when the last compartment was begun with

	work sync.WaitGroup
}

// A queue are the versions of one compartment that wait; it is there until they are done.
type queue struct {
	waiting []store.Version
	handed  int // those of them, from the first, that are records already
}

func newPump(ctx context.Context, s *Service) (*pump, error) {
	mark, err := s.Store.Mark(ctx, markName)
	if err != nil {
		return nil, err
	}
	return &pump{
		s: s, read: mark, mark: mark, marked: mark, done: map[int64]bool{}, waits: map[int64][]chan struct{}{}, queues: map[string]*queue{},
		late: map[string]time.Time{}, space: make(chan struct{}, 1),
	}, nil
}

// run follows the store until ctx ends.
func (p *pump) run(ctx context.Context) error {
	defer p.work.Wait()
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	for {
		changed := p.s.Store.Changed()
		p.retry(ctx)
		more, err := p.take(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			p.s.Log.WarnContext(ctx, "store_not_followed", "err", err)
		case more:
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-p.space:
		case <-tick.C:
		}
		if err := p.writeMark(ctx); err != nil && ctx.Err() == nil {
			p.s.Log.WarnContext(ctx, "mark_not_written", "err", err)
		}
	}
}

// take reads the next versions and gives them to their compartments; more says that there may be
// others.
func (p *pump) take(ctx context.Context) (more bool, err error) {
	p.mu.Lock()
	free, after := window-len(p.road), p.read
	p.mu.Unlock()
	if free <= 0 {
		return false, nil
	}
	free = min(free, 1000)
	vs, err := p.s.Store.After(ctx, after, free)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(vs) > 0 {
		p.came = vs[len(vs)-1].Updated
	}
	for _, v := range vs {
		p.read = v.Seq
		p.road = append(p.road, v.Seq)
		if v.Record == derived {
			p.done[v.Seq] = true
			continue
		}
		q := p.queues[v.Owner]
		if q == nil {
			q = &queue{}
			p.queues[v.Owner] = q
			p.turns = append(p.turns, v.Owner)
		}
		q.waiting = append(q.waiting, v)
	}
	p.advance()
	p.dispatch(ctx)
	return len(vs) == free, nil
}

// dispatch begins with those compartments that have waited longest, as many as there are places for.
// A compartment that waits costs nothing but its versions. The caller holds mu.
func (p *pump) dispatch(ctx context.Context) {
	now := time.Now()
	places := p.places(now)
	for len(p.turns) > 0 && p.busy < places && ctx.Err() == nil {
		owner := p.turns[0]
		p.turns = p.turns[1:]
		p.busy++
		p.began = now
		p.work.Go(func() { p.turn(ctx, owner) })
	}
}

// turn hands on what waits in a compartment, and lets the next begin.
func (p *pump) turn(ctx context.Context, owner string) {
	p.mu.Lock()
	q := p.queues[owner]
	n := min(len(q.waiting), together)
	batch := slices.Clone(q.waiting[:n])
	p.mu.Unlock()
	err := p.carry(ctx, owner, batch)
	again := err != nil || !p.carried(owner, q, n)
	if err != nil && ctx.Err() == nil {
		p.s.Log.WarnContext(ctx, "versions_wait", "versions", n, "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	switch {
	case ctx.Err() != nil:
		return // what waits after ctx's end is read again at the next start
	case err != nil:
		p.late[owner] = time.Now().Add(retryPause) // others have its place meanwhile
	case again:
		p.turns = append(p.turns, owner)
	}
	p.dispatch(ctx)
}

// retry gives those a turn again whose last one failed, when they have paused.
func (p *pump) retry(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for owner, at := range p.late {
		if !now.Before(at) {
			delete(p.late, owner)
			p.turns = append(p.turns, owner)
		}
	}
	p.dispatch(ctx)
}

// handed notes that the first n versions of a compartment are records.
func (p *pump) handed(owner string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[owner]
	q.handed = max(q.handed, n)
}

// carried notes that the first n versions of a compartment are active; empty says that it has no
// more.
func (p *pump) carried(owner string, q *queue, n int) (empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range q.waiting[:n] {
		p.done[v.Seq] = true
		for _, ch := range p.waits[v.Seq] {
			close(ch)
		}
		delete(p.waits, v.Seq)
	}
	p.advance()
	q.waiting, q.handed = slices.Delete(q.waiting, 0, n), max(0, q.handed-n)
	if len(q.waiting) > 0 {
		return false
	}
	delete(p.queues, owner)
	return true
}

// places is how many compartments may be handed on at once at that time. The caller holds mu.
func (p *pump) places(now time.Time) int {
	n := usual
	switch waiting := len(p.road); {
	case waiting >= long:
		n = most
	case now.Sub(p.came) > calm:
	case waiting < crowd:
		n = max(fewest, usual-waiting*usual/crowd)
	case now.Sub(p.began) < lull:
		n = 0
	default:
		n = fewest
	}
	return max(n, min(most, len(p.waits)))
}

// carry stores versions of one compartment as records, waits until they are active, and writes
// down where they are. A patient who is new is registered meanwhile.
func (p *pump) carry(ctx context.Context, owner string, vs []store.Version) error {
	name := ownerName(owner)
	patient, err := p.s.Record.Draw(name)
	if err != nil {
		return fmt.Errorf("chart: draw: %w", err)
	}
	var registering errgroup.Group
	if !p.s.onLedger(patient) { // also one whose enrolment a crash kept from it
		registering.Go(func() error {
			if _, err := p.s.Record.Enrol(ctx, name, p.s.Enrol); err != nil {
				return fmt.Errorf("chart: enrol: %w", err)
			}
			return nil
		})
	}
	ids, first, err := p.hand(ctx, patient, owner, vs)
	if err := errors.Join(registering.Wait(), err); err != nil {
		return err
	}
	if err := p.wait(ctx, ids); err != nil {
		return fmt.Errorf("chart: wait: %w", err)
	}
	return p.s.writeProvenance(ctx, vs, ids, first)
}

// hand stores versions as records and returns these; first is the first record of each version.
func (p *pump) hand(ctx context.Context, patient tx.Account, owner string, vs []store.Version) (ids []record.ID, first []int, err error) {
	var resources []fhir.Resource
	var labels [][]fhir.Label
	first = make([]int, len(vs))
	for i := range vs {
		first[i] = len(resources)
		rs, ls, err := p.s.recordsOf(ctx, &vs[i])
		if err != nil {
			return nil, nil, err
		}
		resources, labels = append(resources, rs...), append(labels, ls...)
	}
	acks, err := p.s.Record.PutVersions(ctx, patient, resources, labels)
	if err != nil {
		return nil, nil, fmt.Errorf("chart: put: %w", err)
	}
	for _, a := range acks {
		ids = append(ids, a.ID)
	}
	p.handed(owner, len(vs))
	return ids, first, nil
}

// wait returns when records are active. While the ledger stands still it gives its turn away, so that
// the other compartments' versions become records too, each sealed and in the outbox.
func (p *pump) wait(ctx context.Context, ids []record.ID) error {
	going, cancel := p.s.while(ctx)
	err := p.s.Record.Wait(going, ids...)
	still := going.Err() != nil && ctx.Err() == nil
	cancel()
	if err == nil || !still {
		return err
	}
	p.occupied(ctx, -1)
	defer p.occupied(ctx, 1)
	return p.s.Record.Wait(ctx, ids...)
}

// occupied changes how many turns are taken.
func (p *pump) occupied(ctx context.Context, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy += by
	p.dispatch(ctx)
}

// advance takes what is done from the beginning of the road. The caller holds mu.
func (p *pump) advance() {
	n := 0
	for n < len(p.road) && p.done[p.road[n]] {
		delete(p.done, p.road[n])
		p.mark = p.road[n]
		n++
	}
	if n == 0 {
		return
	}
	p.road = slices.Delete(p.road, 0, n)
	p.wake()
}

// wake has run look whether something can be handed on.
func (p *pump) wake() {
	select {
	case p.space <- struct{}{}:
	default:
	}
}

// writeMark writes down how far the pump has come.
func (p *pump) writeMark(ctx context.Context) error {
	p.mu.Lock()
	mark, marked := p.mark, p.marked
	// The mark alone changes nothing that is to be followed: without this, writing it would wake
	// the pump to write it again.
	idle := len(p.road) == 0
	p.mu.Unlock()
	if mark == marked || !idle && mark-marked < window/10 {
		return nil
	}
	if err := p.s.Store.Write(ctx, func(t *store.Tx) error { return t.SetMark(markName, mark) }); err != nil {
		return err
	}
	p.mu.Lock()
	p.marked = mark
	p.mu.Unlock()
	return nil
}
