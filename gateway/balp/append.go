package balp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// maxBatch is how many events are written together at most.
const maxBatch = 256

type pending struct {
	known
	plain []byte // the event in JSON
	done  chan recorded
}

type recorded struct {
	seq uint64
	err error
}

// Append writes an event and returns its sequence number once it is on disk. Errors: ErrEvent,
// ErrLarge, ErrFailed, ErrClosed, or the context's; after the context's it may be written all the same.
func (j *Journal) Append(ctx context.Context, e Event) (uint64, error) {
	if err := e.Valid(); err != nil {
		return 0, err
	}
	plain, err := appendJSON(make([]byte, 0, 768), &e)
	if err != nil {
		return 0, ErrEvent
	}
	if len(plain) > maxFrame-64 {
		return 0, ErrLarge
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	p := pending{knownOf(&e), plain, make(chan recorded, 1)}
	first, err := j.enqueue(p)
	if err != nil {
		return 0, err
	}
	if first {
		if j.write() {
			go j.drain()
		}
		r := <-p.done
		return r.seq, r.err
	}
	select {
	case r := <-p.done:
		return r.seq, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// enqueue lets an event wait. Who finds that nobody writes is first: it writes, and nobody needs to be
// woken for it.
func (j *Journal) enqueue(p pending) (first bool, err error) {
	j.queue.Lock()
	defer j.queue.Unlock()
	if j.closed {
		return false, ErrClosed
	}
	j.waiting = append(j.waiting, p)
	first = !j.writing
	j.writing = true
	return first, nil
}

// write writes what waits together, with one sync, and reports whether more has come meanwhile.
// If so, its caller goes on to see to that; else the next event's is first.
func (j *Journal) write() (more bool) {
	j.queue.Lock()
	if !j.alone || len(j.waiting) > 1 { // others are about to come: an event more costs less than a sync of its own
		j.queue.Unlock()
		runtime.Gosched()
		j.queue.Lock()
	}
	batch := j.waiting
	j.waiting, j.alone = nil, len(batch) == 1
	if len(batch) > maxBatch {
		batch, j.waiting = batch[:maxBatch:maxBatch], batch[maxBatch:]
	}
	j.queue.Unlock()
	j.commit(batch)
	j.queue.Lock()
	defer j.queue.Unlock()
	if len(j.waiting) > 0 {
		return true
	}
	j.writing = false
	j.idle.Broadcast()
	return false
}

// drain writes until nothing waits. Close waits for its end.
func (j *Journal) drain() {
	for j.write() {
	}
}

func (j *Journal) commit(batch []pending) {
	answers := make([]recorded, len(batch))
	j.mu.Lock()
	err := j.put(batch, answers)
	j.mu.Unlock()
	for i, p := range batch {
		if err != nil {
			answers[i] = recorded{err: err}
		}
		p.done <- answers[i]
	}
}

// put writes a batch, whole or not at all.
func (j *Journal) put(batch []pending, answers []recorded) error {
	if j.failed != nil {
		return j.failed
	}
	if j.size >= segmentSize || j.size > headerSize && batch[0].at-j.begun >= segmentSpan.Milliseconds() {
		if err := j.begin(); err != nil {
			return err
		}
	}
	size := 0
	for _, p := range batch {
		size += frameHead + len(p.plain) + j.aead.Overhead()
	}
	b := make([]byte, 0, size)
	head, rows := j.head, make([]row, len(batch))
	for i, p := range batch {
		at := len(b)
		rows[i] = row{len(j.files) - 1, j.size + int64(at), head}
		b = frame(j.aead, b, head, p.plain)
		head = head.after(b[at:])
		answers[i].seq = head.Seq
	}
	f := j.files[len(j.files)-1]
	_, err := f.WriteAt(b, j.size)
	if err == nil {
		err = f.Sync()
	}
	if err != nil { // take back what may be half there; if that fails too, nothing can be promised
		if undo := errors.Join(f.Truncate(j.size), f.Sync()); undo != nil {
			j.failed = fmt.Errorf("%w: %w", ErrFailed, undo)
		}
		return fmt.Errorf("balp: journal: %w", err)
	}
	for i := range batch {
		j.add(batch[i].known, rows[i])
	}
	j.head, j.size = head, j.size+int64(len(b))
	return nil
}
