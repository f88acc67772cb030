package fhirpath

import (
	"fmt"
	"strings"
	"time"
)

// Precisions of a temporal.
const (
	pYear = 1 + iota
	pMonth
	pDay
	pHour
	pMinute
	pSecond
	pMilli
)

// A temporal is a date, a dateTime or a time with its precision.
type temporal struct {
	kind   Kind
	prec   int
	y, mo  int
	d, h   int
	mi, s  int
	ns     int
	digits int // of the fraction
	zone   bool
	off    int // minutes east of UTC
}

func kindOf(t *temporal) Kind { return t.kind }

// field reads n digits at i.
func field(s string, i, n int) (v int, ok bool) {
	if i+n > len(s) {
		return 0, false
	}
	for _, c := range []byte(s[i : i+n]) {
		if !digit(c) {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

// parseTemporal reads "2015-02-04", "2015T", "2015-02-04T14:34:28.1+10:00" and, with a
// leading T, a time.
func parseTemporal(s string) (*temporal, bool) {
	t := &temporal{kind: Date}
	if strings.HasPrefix(s, "T") {
		t.kind, t.y, t.mo, t.d = Time, 1, 1, 1
		return t, t.clock(s[1:]) && !t.zone && t.prec >= pHour
	}
	date, clock, isDateTime := strings.Cut(s, "T")
	if isDateTime {
		t.kind = DateTime
	}
	var ok bool
	if t.y, ok = field(date, 0, 4); !ok || t.y == 0 {
		return nil, false
	}
	t.prec, t.mo, t.d = pYear, 1, 1
	if len(date) > 4 {
		if t.mo, ok = field(date, 5, 2); !ok || date[4] != '-' || t.mo < 1 || t.mo > 12 {
			return nil, false
		}
		t.prec = pMonth
	}
	if len(date) > 7 {
		if t.d, ok = field(date, 8, 2); !ok || date[7] != '-' || t.d < 1 || t.d > days(t.y, t.mo) || len(date) != 10 {
			return nil, false
		}
		t.prec = pDay
	}
	if clock == "" {
		return t, len(date) == 4 || len(date) == 7 || len(date) == 10
	}
	return t, t.prec == pDay && t.clock(clock)
}

// clock reads hh[:mm[:ss[.fff]]][zone].
func (t *temporal) clock(s string) bool {
	var ok bool
	if t.h, ok = field(s, 0, 2); !ok || t.h > 23 {
		return false
	}
	t.prec, s = pHour, s[2:]
	if strings.HasPrefix(s, ":") {
		if t.mi, ok = field(s, 1, 2); !ok || t.mi > 59 {
			return false
		}
		t.prec, s = pMinute, s[3:]
		if strings.HasPrefix(s, ":") {
			if t.s, ok = field(s, 1, 2); !ok || t.s > 60 {
				return false
			}
			t.prec, s = pSecond, s[3:]
			if strings.HasPrefix(s, ".") {
				n := 1
				for scale := 100_000_000; n < len(s) && digit(s[n]); n++ {
					t.ns += int(s[n]-'0') * scale
					scale /= 10
				}
				if n == 1 {
					return false
				}
				t.prec, t.digits, s = pMilli, n-1, s[n:]
			}
		}
	}
	switch {
	case s == "":
		return true
	case s == "Z":
		t.zone = true
		return true
	case len(s) != 6 || s[3] != ':' || s[0] != '+' && s[0] != '-':
		return false
	}
	h, ok1 := field(s, 1, 2)
	m, ok2 := field(s, 4, 2)
	t.zone, t.off = true, h*60+m
	if s[0] == '-' {
		t.off = -t.off
	}
	return ok1 && ok2 && h <= 14 && m < 60
}

// parseFHIR reads the text of a FHIR date, dateTime, instant or time.
func parseFHIR(s, system string) (*temporal, bool) {
	if system == "Time" {
		return parseTemporal("T" + s)
	}
	t, ok := parseTemporal(s)
	if ok && system == "DateTime" {
		t.kind = DateTime
	}
	return t, ok && (system == "DateTime" || t.kind == Date)
}

func days(y, m int) int { return time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day() }

func fromTime(now time.Time) *temporal {
	_, off := now.Zone()
	return &temporal{
		kind: DateTime, prec: pMilli, y: now.Year(), mo: int(now.Month()), d: now.Day(), h: now.Hour(), mi: now.Minute(),
		s: now.Second(), ns: now.Nanosecond() / 1e6 * 1e6, digits: 3, zone: true, off: off / 60,
	}
}

// String returns the form of FHIR, without "@".
func (t *temporal) String() string {
	var b strings.Builder
	if t.kind != Time {
		fmt.Fprintf(&b, "%04d", t.y)
		if t.prec >= pMonth {
			fmt.Fprintf(&b, "-%02d", t.mo)
		}
		if t.prec >= pDay {
			fmt.Fprintf(&b, "-%02d", t.d)
		}
		if t.prec >= pHour {
			b.WriteByte('T')
		}
	}
	if t.prec >= pHour {
		fmt.Fprintf(&b, "%02d", t.h)
	}
	if t.prec >= pMinute {
		fmt.Fprintf(&b, ":%02d", t.mi)
	}
	if t.prec >= pSecond {
		fmt.Fprintf(&b, ":%02d", t.s)
	}
	if t.prec >= pMilli {
		b.WriteString("." + fmt.Sprintf("%09d", t.ns)[:min(max(t.digits, 1), 9)])
	}
	if t.zone && t.prec >= pHour {
		switch off := t.off; {
		case off == 0:
			b.WriteByte('Z')
		case off < 0:
			fmt.Fprintf(&b, "-%02d:%02d", -off/60, -off%60)
		default:
			fmt.Fprintf(&b, "+%02d:%02d", off/60, off%60)
		}
	}
	return b.String()
}

func (t *temporal) time() time.Time {
	return time.Date(t.y, time.Month(t.mo), t.d, t.h, t.mi-t.off, t.s, t.ns, time.UTC)
}

// compareTemporal orders two temporals; known is false where precision or a missing zone
// leave it open (N1, 6.2.1).
func compareTemporal(a, b *temporal) (order int, known bool) {
	if a.prec >= pHour && b.prec >= pHour && a.kind != Time {
		if a.zone != b.zone {
			d := a.time().Sub(b.time())
			if d > 14*time.Hour || d < -14*time.Hour {
				return sign(int64(d)), true
			}
			return 0, false
		}
		if a.zone && a.off != b.off {
			a, b = a.utc(), b.utc()
		}
	}
	x := [...]int{a.y, a.mo, a.d, a.h, a.mi, a.s*1e9 + a.ns}
	y := [...]int{b.y, b.mo, b.d, b.h, b.mi, b.s*1e9 + b.ns}
	p, q := min(a.prec, pSecond), min(b.prec, pSecond)
	for i := range min(p, q) {
		if x[i] != y[i] {
			return sign(int64(x[i] - y[i])), true
		}
	}
	return 0, p == q
}

func sign(i int64) int {
	switch {
	case i < 0:
		return -1
	case i > 0:
		return 1
	}
	return 0
}

func (t *temporal) utc() *temporal {
	u := t.time()
	c := *t
	c.y, c.mo, c.d, c.h, c.mi, c.off = u.Year(), int(u.Month()), u.Day(), u.Hour(), u.Minute(), 0
	return &c
}

// plus adds a quantity of time; ok is false if the unit is not one, empty if the year leaves 1 to 9999.
func (t *temporal) plus(q Value, negative bool) (out *temporal, ok bool) {
	unit := calendar[q.text]
	if !q.cal {
		unit = map[string]string{"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}[q.text]
	}
	if unit == "" || t.kind == Time && (unit == "year" || unit == "month" || unit == "week" || unit == "day") {
		return nil, false
	}
	d := q.dec
	if negative {
		d = d.neg()
	}
	n, small32 := small(d.trunc(0).c)
	if !small32 {
		return nil, true
	}
	c := *t
	switch unit {
	case "year", "month":
		if unit == "year" {
			n *= 12
		}
		if t.prec == pYear {
			n = n / 12 * 12
		}
		months := int64(c.y)*12 + int64(c.mo-1) + n
		c.y, c.mo = int(months/12), int(months%12)+1
		if months < 12 || c.y > 9999 {
			return nil, true
		}
		c.d = min(c.d, days(c.y, c.mo))
		return &c, true
	}
	span := map[string]time.Duration{"week": 168 * time.Hour, "day": 24 * time.Hour, "hour": time.Hour, "minute": time.Minute, "second": time.Second, "millisecond": time.Millisecond}[unit]
	whole := big64(n, span)
	if unit == "second" && q.cal {
		whole, _ = small64(d.mul(intDecimal(int64(time.Second))).trunc(0))
	}
	if t.prec < pDay { // in the precision that there is: 24 months make 2 years (N1, 6.6.1)
		months := whole / int64(30*24*time.Hour)
		if t.prec == pYear {
			months = whole / int64(365*24*time.Hour) * 12
		}
		return t.plus(Value{kind: Quantity, dec: intDecimal(months), text: "month", cal: true}, false)
	}
	grain := int64(1)
	switch t.prec {
	case pDay:
		grain = int64(24 * time.Hour)
	case pHour:
		grain = int64(time.Hour)
	case pMinute:
		grain = int64(time.Minute)
	case pSecond:
		grain = int64(time.Second)
	}
	whole = whole / grain * grain
	u := time.Date(c.y, time.Month(c.mo), c.d, c.h, c.mi, c.s, c.ns, time.UTC).Add(time.Duration(whole))
	if t.kind != Time && (u.Year() < 1 || u.Year() > 9999) {
		return nil, true
	}
	c.h, c.mi, c.s, c.ns = u.Hour(), u.Minute(), u.Second(), u.Nanosecond()
	if t.kind != Time {
		c.y, c.mo, c.d = u.Year(), int(u.Month()), u.Day()
	}
	return &c, true
}

// big64 multiplies without overflow: beyond about 290 years the span is cut.
func big64(n int64, span time.Duration) int64 {
	const most = int64(1<<63 - 1)
	if n > most/int64(span) {
		return most / 2
	}
	if n < -most/int64(span) {
		return -most / 2
	}
	return n * int64(span)
}

func small64(d *decimal) (int64, bool) {
	if !d.c.IsInt64() {
		return 0, false
	}
	return d.c.Int64(), true
}
