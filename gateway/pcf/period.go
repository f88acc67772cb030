package pcf

import (
	"errors"
	"strings"
	"time"
)

// Bounds of what FHIR can write. The last second stands for an open end where one must be said.
const (
	openStart = "1970-01-01T00:00:00Z"
	openEnd   = "9999-12-31T23:59:59Z"
	wholeSecs = "2006-01-02T15:04:05Z"
)

var (
	errDate     = errors.New("not a FHIR date or dateTime")
	errFraction = errors.New("more precise than a second")
	endOfTime   = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
)

// interval is the time that a FHIR date or dateTime covers, in unix seconds, the end exclusive: a
// year, a month, a day in the given zone, or a second.
func interval(s string, zone *time.Location) (from, to time.Time, err error) {
	for _, f := range []struct {
		layout            string
		year, month, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {"2006-01-02", 0, 0, 1}} {
		if len(s) == len(f.layout) {
			if from, err = time.ParseInLocation(f.layout, s, zone); err != nil {
				return from, to, errDate
			}
			return from, from.AddDate(f.year, f.month, f.days), nil
		}
	}
	if from, err = time.Parse(time.RFC3339Nano, s); err != nil || len(s) < len(wholeSecs) || strings.Contains(s, ",") {
		return from, to, errDate
	}
	if from.Nanosecond() != 0 {
		return from, to, errFraction
	}
	return from, from.Add(time.Second), nil
}

// startOf and endOf turn a FHIR period, whose ends are inclusive, into the ledger's [from, to); 0 is open.
func startOf(s string, zone *time.Location) (uint64, error) {
	from, _, err := interval(s, zone)
	switch {
	case err != nil:
		return 0, err
	case from.Unix() < 0:
		return 0, errDate
	}
	return uint64(from.Unix()), nil
}

func endOf(s string, zone *time.Location) (uint64, error) {
	_, to, err := interval(s, zone)
	switch {
	case err != nil:
		return 0, err
	case to.Unix() <= 0:
		return 0, errDate
	case to.Unix() >= endOfTime:
		return 0, nil
	}
	return uint64(to.Unix()), nil
}

func startText(at uint64) string {
	if at == 0 {
		return openStart
	}
	return time.Unix(int64(at), 0).UTC().Format(wholeSecs)
}

func endText(at uint64) string {
	if at == 0 || at >= uint64(endOfTime) {
		return openEnd
	}
	return time.Unix(int64(at)-1, 0).UTC().Format(wholeSecs)
}
