package balp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"
)

// An Anchored is a head of the journal that somebody else keeps.
type Anchored struct {
	Head

	At time.Time // since when
}

// A Verdict is what became of comparing a journal with its heads that somebody else kept.
type Verdict struct {
	First  uint64 // number of the oldest event that is here; 0 for none
	Events int    // read and opened, each behind the one before
	Head   Head
	Heads  uint64 // compared
	Faults []Fault
}

// A Fault is what an honest journal does not have. Nothing in it is of an event's content.
type Fault struct {
	What string `json:"what"`
	// From and Through are the numbers within which it is, both included: those of the events themselves,
	// or what is between two heads of which the first fits.
	From    uint64 `json:"from"`
	Through uint64 `json:"through"`
	Heads   int    `json:"heads,omitempty"` // that do not fit, this one's and those after it
}

// What a Fault is.
const (
	Missing = "missing" // events are not here
	Altered = "altered" // events were changed, left out or put in
)

// String says what and where.
func (f Fault) String() string {
	s := fmt.Sprintf("%s within events %d to %d", f.What, f.From, f.Through)
	if f.Heads > 1 {
		s += fmt.Sprintf(", so that %d heads do not fit", f.Heads)
	}
	return s
}

const (
	maxFaults = 100 // listed; the last then covers the rest
	turn      = 256 // heads or events between two rests
)

// A held is what the journal has at a moment. What is added or pruned later changes nothing in it.
type held struct {
	files []*os.File
	rows  []row
	head  Head
}

func (j *Journal) held() held {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return held{j.files, j.rows, j.head}
}

// start is the head before the oldest event.
func (h *held) start() Head {
	if len(h.rows) == 0 {
		return h.head
	}
	return h.rows[0].before
}

func (h *held) includes(x Head) bool {
	start := h.start()
	switch {
	case x == h.head, x.Seq < start.Seq:
		return true
	case x.Seq >= h.head.Seq: // another head of the same number was never its own
		return false
	}
	return h.rows[x.Seq-start.Seq].before == x
}

// after is the head after a row.
func (h *held) after(i int) Head {
	if i+1 < len(h.rows) {
		return h.rows[i+1].before
	}
	return h.head
}

// Verify compares the journal with its heads, the newest first, that somebody kept before this is called,
// and reads every event again from disk. The events under heads of since and later must be here; what is
// older may have been pruned. rest is called now and then, so that whoever has time takes it. Errors:
// those of kept and of rest, nothing else.
func (j *Journal) Verify(ctx context.Context, kept iter.Seq2[Anchored, error], since time.Time, rest func(context.Context) error) (Verdict, error) {
	c := comparison{held: j.held(), journal: j}
	c.Head = c.head
	if len(c.rows) > 0 {
		c.First = c.rows[0].before.Seq + 1
	}
	if err := c.heads(ctx, kept, since, rest); err != nil {
		return c.Verdict, err
	}
	for lo := 0; lo < len(c.rows); {
		hi := lo + 1
		for hi < len(c.rows) && c.rows[hi].file == c.rows[lo].file {
			hi++
		}
		if err := c.file(ctx, lo, hi, rest); err != nil {
			return c.Verdict, err
		}
		lo = hi
	}
	return c.Verdict, nil
}

type comparison struct {
	Verdict
	held

	journal *Journal
}

// heads looks for each head. A head that does not fit makes all after it not fit, until the next that was
// kept of what was written after the change: such a run is one fault, and what is wrong is before its first.
func (c *comparison) heads(ctx context.Context, kept iter.Seq2[Anchored, error], since time.Time, rest func(context.Context) error) error {
	start := c.start().Seq
	var later Anchored     // the head that was looked at before
	var wrong, gone *Fault // the run that goes on; what is younger than since and not here
	next := func(k Anchored) {
		if later.Seq > 0 && k.Seq < start && !later.At.Before(since) {
			if gone == nil {
				gone = &Fault{What: Missing, Through: min(later.Seq, start)}
			}
			gone.From = k.Seq + 1
		}
		if wrong != nil && (k.Seq == 0 || c.includes(k.Head)) {
			wrong.From = min(max(k.Seq, start)+1, wrong.Through)
			c.add(*wrong)
			wrong = nil
		}
		later = k
	}
	for k, err := range kept {
		if err != nil {
			return err
		}
		next(k)
		c.Heads++
		if !c.includes(k.Head) {
			if wrong == nil {
				wrong = &Fault{What: Missing, Through: k.Seq}
			}
			if k.Seq <= c.head.Seq {
				wrong.What, wrong.Through = Altered, k.Seq
			}
			wrong.Heads++
		}
		if c.Heads%turn == 0 {
			if err := rest(ctx); err != nil {
				return err
			}
		}
	}
	next(Anchored{})
	if gone != nil {
		c.add(*gone)
	}
	return nil
}

func (c *comparison) add(f Fault) {
	if n := len(c.Faults); n >= maxFaults {
		last := &c.Faults[n-1]
		last.From, last.Through, last.Heads = min(last.From, f.From), max(last.Through, f.Through), last.Heads+f.Heads
		return
	}
	c.Faults = append(c.Faults, f)
}

// event adds a fault of one event to that of the one before it.
func (c *comparison) event(what string, seq uint64) {
	if n := len(c.Faults); n > 0 {
		last := &c.Faults[n-1]
		if last.Heads == 0 && last.What == what && (last.Through == seq || last.Through+1 == seq) {
			last.Through = seq
			return
		}
	}
	c.add(Fault{What: what, From: seq, Through: seq})
}

// file reads the events of one file, by its name: what is there now, not what this process holds open.
func (c *comparison) file(ctx context.Context, lo, hi int, rest func(context.Context) error) error {
	f, err := os.Open(c.files[c.rows[lo].file].Name())
	if err != nil {
		if now := c.journal.held(); errors.Is(err, fs.ErrNotExist) && now.start().Seq > c.rows[hi-1].before.Seq {
			return nil // it was pruned meanwhile
		}
		c.add(Fault{What: Missing, From: c.rows[lo].before.Seq + 1, Through: c.rows[hi-1].before.Seq + 1})
		return nil
	}
	defer f.Close()
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, header(c.rows[lo].before)) {
		c.event(Altered, c.rows[lo].before.Seq+1)
	}
	for i := lo; i < hi; i++ {
		r := c.rows[i]
		b, err := frameAt(f, r.offset)
		if err == nil {
			_, err = opened(c.journal.aead, r.before, b)
		}
		if err == nil && r.before.after(b) == c.after(i) {
			c.Events++
		} else {
			c.event(Altered, r.before.Seq+1)
		}
		if (i+1)%turn == 0 {
			if err := rest(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
