package balp

import (
	"slices"
	"time"
)

// Unmatched compares disclosures that sources recorded with receipts that recipients did: each pair has
// one X-Request-Id and the receipt follows within the time. What is left over on either side is a
// finding: something left that nobody says to have got, or came that nobody says to have sent. Events
// of other kinds and failures are passed over. now ends the waiting.
func Unmatched(events []Event, within time.Duration, now time.Time) (out []Event) {
	var sent, got []Event
	for _, e := range events {
		switch {
		case e.Outcome != Success:
		case e.Kind == Disclose && e.Ledger == nil: // the ledger's need no receipt: they come before the release
			sent = append(sent, e)
		case e.Kind == Receive:
			got = append(got, e)
		}
	}
	for _, s := range sent {
		i := slices.IndexFunc(got, func(r Event) bool {
			apart := r.Time.Sub(s.Time)
			return r.Request != "" && r.Request == s.Request && r.Patient.key() == s.Patient.key() && apart.Abs() <= within
		})
		switch {
		case i >= 0:
			got = slices.Delete(got, i, i+1)
		case now.Sub(s.Time) > within:
			out = append(out, s)
		}
	}
	for _, r := range got {
		if now.Sub(r.Time) > within {
			out = append(out, r)
		}
	}
	return out
}
