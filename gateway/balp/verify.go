package balp

import (
	"fmt"
	"time"
)

// A Verdict is what became of comparing a journal with its heads that somebody else kept.
type Verdict struct {
	First  uint64 // number of the oldest event that is here; 0 for none
	Events int    // read and opened, each behind the one before
	Head   Head
	// Faults are what an honest journal does not have: an event that does not open, a number that is
	// left out, a head that the journal never had. Nothing in them is of an event's content.
	Faults []string
}

// Verify reads every event again from disk, oldest and newest and all numbers between, and looks for
// each of the heads. Error: what the file system says.
func (j *Journal) Verify(kept []Head) (v Verdict, err error) {
	v.Head = j.Head()
	next := v.Head.Seq
	err = j.Scan("", time.Time{}, time.Time{}, func(s Stored) bool {
		if s.Seq > v.Head.Seq {
			return true // it came while this began
		}
		if s.Seq != next {
			v.Faults = append(v.Faults, fmt.Sprintf("after event %d comes %d", s.Seq, next+1))
		}
		v.First, next = s.Seq, s.Seq-1
		v.Events++
		return true
	})
	if err != nil {
		v.Faults = append(v.Faults, fmt.Sprintf("event %d cannot be read: %v", next, err))
	}
	for _, h := range kept {
		if !j.Includes(h) {
			v.Faults = append(v.Faults, fmt.Sprintf("the journal does not have the head that it had at event %d", h.Seq))
		}
	}
	return v, nil
}
