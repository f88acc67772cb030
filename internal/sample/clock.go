package sample

import "time"

// A clock is the time of a visit, in the time zone of Sampletown.
type clock struct{ t time.Time }

// begin is when every story begins; visits follow one another from there.
var begin = time.Date(2015, time.March, 2, 8, 0, 0, 0, time.FixedZone("", -5*3600))

func (c clock) plus(minutes int) clock { return clock{c.t.Add(time.Duration(minutes) * time.Minute)} }
func (c clock) days(n int) clock       { return clock{c.t.AddDate(0, 0, n)} }
func (c clock) date() string           { return c.t.Format("2006-01-02") }
func (c clock) dateTime() string       { return c.t.Format("2006-01-02T15:04:05-07:00") }
func (c clock) instant(ms int) string {
	return c.t.Add(time.Duration(ms) * time.Millisecond).Format("2006-01-02T15:04:05.000-07:00")
}
