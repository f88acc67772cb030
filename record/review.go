package record

import "time"

// Review is the end that a steward gives a parent's proxy on the ledger: the first day of the
// calendar quarter in which the child comes of age, at 0 h UTC. The day itself would tell
// everybody when the child was born; the quarter ends the proxy early rather than late.
func Review(majority time.Time) time.Time {
	return time.Date(majority.Year(), (majority.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
}
