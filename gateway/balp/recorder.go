package balp

import (
	"context"
	"strconv"
	"time"
)

// A Recorder records what this gateway does. It is safe for concurrent use.
type Recorder struct {
	Journal *Journal
	Site    Site
	Now     func() time.Time // time.Now if nil
}

// Record keeps an event. When it returns nil, the event is on disk: an answer that must not be given
// without its record is given then. The event's time is now unless it says another. The id is the one
// of the AuditEvent.
func (r *Recorder) Record(ctx context.Context, e Event) (id string, err error) {
	if e.Time.IsZero() {
		e.Time = r.now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if !e.Server.known() {
		e.Server = r.Site.Observer
	}
	seq, err := r.Journal.Append(ctx, e)
	if err != nil {
		return "", err
	}
	return localID(seq), nil
}

func (r *Recorder) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func localID(seq uint64) string    { return "local-" + strconv.FormatUint(seq, 10) }
func ledgerID(index uint64) string { return "ledger-" + strconv.FormatUint(index, 10) }
