package feed

import (
	"context"
	"time"

	"salus/hl7"
)

// SetAside makes a dead letter of the first pending message, with AE and the reason "feed-set-aside":
// for one that keeps the others waiting and cannot be applied, whatever is done about it. Error:
// ErrUnknown if n is not that message.
func (f *Inbound) SetAside(ctx context.Context, n uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) == 0 || f.pending[0] != n {
		return ErrUnknown
	}
	r, err := f.j.read(n)
	if err != nil {
		return err
	}
	m, _ := parse(r.Raw) // nil: it is no message
	if err := f.answer(ctx, n, m, r.Raw, hl7.AE, []error{&Rejection{Code: "feed-set-aside", Condition: hl7.ApplicationError}}); err != nil {
		return err
	}
	f.pending = f.pending[1:]
	return nil
}

// Stats are counts of a feed.
type Stats struct {
	Received uint64    // messages in the journal
	Applied  uint64    // with AA
	Again    uint64    // that came again, since Open
	Pending  uint64    // without an outcome
	Letters  uint64    // dead letters
	First    uint64    // number of the first that is pending; 0 if none is
	Oldest   time.Time // when that was received
	Failed   bool      // the journal could not be written: nothing is taken until it is opened again
}

// Stats counts.
func (f *Inbound) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := count(f.message)
	s.Again, s.Failed = f.again, f.j.failed
	if len(f.pending) > 0 {
		s.First, s.Oldest = f.pending[0], f.message[f.pending[0]].time
	}
	return s
}

func count(messages map[uint64]*state) (s Stats) {
	s.Received = uint64(len(messages))
	for _, m := range messages {
		switch {
		case m.answer == 0 && m.gone: // dropped before it was sent
		case m.answer == 0:
			s.Pending++
		case m.code == string(hl7.AA):
			s.Applied++
		case !m.gone:
			s.Letters++
		}
	}
	return s
}

// A Letter is a message that was not applied and will not be unless it is replayed.
type Letter struct {
	Number   uint64
	Hash     [32]byte
	Code     string // AE or AR
	Reason   string // code of the error
	Received time.Time
}

// Letters lists the dead letters, oldest first.
func (f *Inbound) Letters() []Letter {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Letter
	for _, n := range f.order {
		if s := f.message[n]; s.answer != 0 && s.code != string(hl7.AA) && !s.gone {
			out = append(out, Letter{n, s.hash, s.code, s.reason, s.time})
		}
	}
	return out
}

func (f *Inbound) letter(n uint64) error {
	s := f.message[n]
	if s == nil || s.answer == 0 || s.code == string(hl7.AA) || s.gone {
		return ErrUnknown
	}
	return nil
}

// Replay does a dead letter again, after what was wrong with the map or the
// configuration was put right. It is no longer in the feed's order. nil: it was
// applied; a Rejection says that it is a dead letter still.
func (f *Inbound) Replay(ctx context.Context, n uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.letter(n); err != nil {
		return err
	}
	if err := f.do(ctx, n, true); err != nil {
		return err
	}
	if s := f.message[n]; s.code != string(hl7.AA) {
		return &Rejection{Code: s.reason}
	}
	return nil
}

// Discard takes a dead letter from the list. Its bytes stay in the journal.
func (f *Inbound) Discard(n uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.letter(n); err != nil {
		return err
	}
	if _, err := f.j.append(record{Kind: kindDropped, Of: n, Time: f.c.Now().UTC()}); err != nil {
		return err
	}
	f.message[n].gone = true
	return nil
}
