package hl7

import (
	"strings"
	"time"
)

// A Precision is the last part of a timestamp that was sent.
type Precision int

// The precisions of a DTM (HL7 v2 2A.22).
const (
	Year Precision = iota + 1
	Month
	Day
	Hour
	Minute
	Second
	Fraction
)

// A Time is a DT, DTM or TS with what was sent and no more.
type Time struct {
	Precision Precision
	Zoned     bool      // an offset was sent
	Time      time.Time // in the offset sent, else in UTC with the wall clock as sent
}

// ParseTime reads YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]. The error is an
// *Error with CodeTime.
func ParseTime(s string) (Time, error) {
	bad := func() (Time, error) { return Time{}, fail(CodeTime, "", 0, 0, DataType) }
	var t Time
	loc := time.UTC
	if i := strings.IndexAny(s, "+-"); i >= 0 {
		off := s[i:]
		s = s[:i]
		if len(off) != 5 || !digits(off[1:]) || number(off[1:3]) > 14 || number(off[3:]) > 59 {
			return bad()
		}
		sec := number(off[1:3])*3600 + number(off[3:])*60
		if off[0] == '-' {
			sec = -sec
		}
		t.Zoned, loc = true, time.FixedZone("", sec)
	}
	base, frac, hasFrac := strings.Cut(s, ".")
	n := len(base)
	if !digits(base) || n < 4 || n > 14 || n%2 != 0 || hasFrac && (n != 14 || len(frac) == 0 || len(frac) > 9 || !digits(frac)) {
		return bad()
	}
	part := [6]int{0, 1, 1, 0, 0, 0}
	part[0] = number(base[:4])
	t.Precision = Year
	for i := 4; i < n; i += 2 {
		part[i/2-1] = number(base[i : i+2])
		t.Precision++
	}
	nanos := 0
	if hasFrac {
		nanos = number(frac + "000000000"[len(frac):])
		t.Precision = Fraction
	}
	t.Time = time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], nanos, loc)
	if part[0] < 1 || t.Time.Year() != part[0] || int(t.Time.Month()) != part[1] || t.Time.Day() != part[2] ||
		t.Time.Hour() != part[3] || t.Time.Minute() != part[4] || t.Time.Second() != part[5] {
		return bad()
	}
	return t, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func number(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}
