package index

import (
	"time"

	"salus/fhir/search"
)

// instants is search.Instants, sooner for what nearly all dates look like: YYYY-MM-DD and
// YYYY-MM-DDThh:mm:ss with a zone.
func instants(s string) (search.Range, bool) {
	if r, ok := quick(s); ok {
		return r, true
	}
	return search.Instants(s)
}

const day = 86_400_000 // milliseconds

// quick reads those two forms, and refuses all others.
func quick(s string) (r search.Range, ok bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return r, false
	}
	y, ok1 := digits(s[:4])
	m, ok2 := digits(s[5:7])
	d, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 || y == 0 || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return r, false
	}
	ms := civil(y, m, d) * day
	if len(s) == 10 {
		return search.Range{Low: float64(ms), High: float64(ms + day - 1)}, true
	}
	if len(s) < 20 || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return r, false
	}
	h, ok1 := digits(s[11:13])
	mi, ok2 := digits(s[14:16])
	sec, ok3 := digits(s[17:19])
	if !ok1 || !ok2 || !ok3 || h > 23 || mi > 59 || sec > 59 {
		return r, false
	}
	ms += int64(h)*3_600_000 + int64(mi)*60_000 + int64(sec)*1000
	s = s[19:]
	step := int64(1000)
	if s[0] == '.' {
		n := 1
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			if step > 1 {
				step /= 10
				ms += int64(s[n]-'0') * step
			}
			n++
		}
		if n == 1 || n > 10 || n == len(s) {
			return r, false
		}
		s = s[n:]
	}
	if s != "Z" {
		if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
			return r, false
		}
		zh, ok1 := digits(s[1:3])
		zm, ok2 := digits(s[4:6])
		if !ok1 || !ok2 || zh > 14 || zm > 59 {
			return r, false
		}
		off := int64(zh)*3_600_000 + int64(zm)*60_000
		if s[0] == '-' {
			off = -off
		}
		ms -= off
	}
	return search.Range{Low: float64(ms), High: float64(ms + step - 1)}, true
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, true
}

func daysIn(y, m int) int {
	switch time.Month(m) { //nolint:exhaustive // the others have 31
	case time.February:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// civil is the number of days since 1970-01-01 of a date of the Gregorian calendar. March is taken
// as the first month, so that the leap day is the last of a year; 400 years have 146,097 days.
func civil(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	return int64(365*y+y/4-y/100+y/400+(153*(m-3)+2)/5+d) - 719_469
}
