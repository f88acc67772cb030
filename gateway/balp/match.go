package balp

import (
	"cmp"
	"slices"
	"time"

	"salus/ledger/tx"
)

// A Transfer is one list of records that a session asked for: the ledger has its salted root before custodians
// release anything of it.
type Transfer struct {
	Session tx.Hash `json:"session"`
	List    tx.Hash `json:"list"`
}

// An Arrival is what a journal says of one: that it came, or why not.
type Arrival struct {
	Transfer
	At   time.Time
	Seq  uint64 // of the event
	Came bool
}

// arrival is what an event says of a list of records, nil if it says nothing of one.
func (e *Event) arrival() *Arrival {
	if e.Kind != Receive || e.Session.IsZero() || e.List.IsZero() {
		return nil
	}
	return &Arrival{Transfer: Transfer{e.Session, e.List}, At: e.Time, Came: e.Outcome == Success}
}

// Arrivals are those of lists of records (Event.List) in the events after a number, in their order.
func (j *Journal) Arrivals(after uint64) []Arrival {
	j.mu.RLock()
	defer j.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(j.arrivals, after+1, func(a Arrival, seq uint64) int { return cmp.Compare(a.Seq, seq) })
	return slices.Clone(j.arrivals[i:])
}

// What Unmatched says.
const (
	NotReceived = "not received" // the ledger says it was asked for in this member's name, and the journal says nothing of it
	NotSent     = "not sent"     // the journal says it came, and the ledger that it was never asked for
)

// An Unmatched is a transfer that only one side tells of.
type Unmatched struct {
	What string `json:"what"`
	Transfer
	At    time.Time `json:"at"`              // of the side that tells
	Index uint64    `json:"index,omitempty"` // of the ledger's entry
	Event uint64    `json:"event,omitempty"` // number in the journal
}

// A Matching compares what the ledger says was sent to a member with what its journal says it received. Both
// sides may come in any order, each transfer once. The zero value is not ready: NewMatching.
type Matching struct {
	since time.Time
	open  map[Transfer]Unmatched // What is "" for what did not come: that needs no other side
}

// NewMatching compares what is told since a time.
func NewMatching(since time.Time) *Matching {
	return &Matching{since: since, open: map[Transfer]Unmatched{}}
}

// Sent is an entry of the ledger. One from before the beginning only ends an arrival's waiting.
func (m *Matching) Sent(t Transfer, at time.Time, index uint64) {
	if was, ok := m.open[t]; ok && was.What != NotReceived {
		delete(m.open, t)
		return
	}
	m.open[t] = Unmatched{What: NotReceived, Transfer: t, At: at, Index: index}
}

// Received is an event of the journal. That something did not come says only what became of it.
func (m *Matching) Received(a Arrival) {
	was, ok := m.open[a.Transfer]
	switch {
	case ok && was.What == NotReceived:
		delete(m.open, a.Transfer)
	case a.Came:
		m.open[a.Transfer] = Unmatched{What: NotSent, Transfer: a.Transfer, At: a.At, Event: a.Seq}
	case !ok:
		m.open[a.Transfer] = Unmatched{Transfer: a.Transfer}
	}
}

// Unmatched is what one side told before a time and the other has not, the oldest first.
func (m *Matching) Unmatched(before time.Time) []Unmatched {
	out := []Unmatched{}
	for _, u := range m.open {
		if u.What != "" && !u.At.Before(m.since) && u.At.Before(before) {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b Unmatched) int {
		return cmp.Or(a.At.Compare(b.At), slices.Compare(a.List[:], b.List[:]))
	})
	return out
}
