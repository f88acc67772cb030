package tabular

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A layout is the form of dates in a column.
type layout struct {
	go_                  string // as package time writes it
	clock, zoned, second bool
	day, month           bool
}

// tokens of a format, the longer before the shorter, and what package time calls them.
var tokens = [][2]string{
	{"yyyy", "2006"}, {"MM", "01"}, {"M", "1"}, {"dd", "02"}, {"d", "2"}, {"HH", "15"}, {"hh", "03"}, {"h", "3"}, {"mm", "04"}, {"ss", "05"}, {"a", "PM"}, {"Z", "Z07:00"},
}

// newLayout reads a format for an element of a type. The sentence says what is wrong.
func newLayout(format, typ string) (*layout, string) {
	l := &layout{}
	have := map[string]bool{}
	for rest := format; rest != ""; {
		found := false
		for _, t := range tokens {
			if strings.HasPrefix(rest, t[0]) {
				kind := t[0][:1]
				if have[kind] {
					return nil, "says " + t[0] + " twice"
				}
				have[kind] = true
				l.go_ += t[1]
				rest, found = rest[len(t[0]):], true
				break
			}
		}
		if found {
			continue
		}
		if !strings.Contains("-/. :,T", rest[:1]) {
			return nil, "is made of yyyy MM dd HH hh mm ss a Z and - / . : , T and space"
		}
		l.go_ += rest[:1]
		rest = rest[1:]
	}
	hour := have["H"] || have["h"]
	l.clock, l.zoned, l.second, l.day, l.month = hour, have["Z"], have["s"], have["d"], have["M"]
	switch {
	case have["H"] && have["h"], have["h"] != have["a"]:
		return nil, "want HH, or hh with a"
	case hour != have["m"], l.second && !hour, l.zoned && !hour:
		return nil, "a time has hours and minutes"
	case typ == "time":
		if !hour || have["y"] || l.month || l.day || l.zoned {
			return nil, "a time has no date and no zone"
		}
		return l, ""
	case !have["y"], l.day && !l.month, hour && !l.day:
		return nil, "a date has a year, a day its month, a time its day"
	case typ == "date" && hour:
		return nil, "FHIR's date has no time"
	case typ == "instant" && !hour:
		return nil, "FHIR's instant has a time"
	case typ != "date" && typ != "dateTime" && typ != "instant":
		return nil, "is for dates and times"
	}
	return l, ""
}

var errDate = errors.New("tabular: date")

// date is a field in FHIR's form of its type, no more exact than it was.
func (l *layout) date(text, typ string, zone *time.Location) (string, error) {
	if zone == nil || l.zoned {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(l.go_, text, zone)
	if err != nil || t.Year() < 1 {
		return "", errDate
	}
	switch {
	case typ == "time":
		return t.Format(time.TimeOnly), nil
	case l.clock:
		if !l.zoned {
			// In an hour that a zone leaves out, there is no such time.
			u, err := time.ParseInLocation(l.go_, text, time.UTC)
			if err != nil || u.Format(time.DateTime) != t.Format(time.DateTime) {
				return "", errDate
			}
		}
		return t.Format("2006-01-02T15:04:05Z07:00"), nil
	case l.day:
		return t.Format(time.DateOnly), nil
	case l.month:
		return t.Format("2006-01"), nil
	}
	return t.Format("2006"), nil
}

var (
	decimalText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	errType     = errors.New("tabular: type")
)

// primitive makes ready what values of a type must look like.
func (m *Mapping) primitive(typ string) error {
	if _, ok := m.primitives[typ]; ok {
		return nil
	}
	t := m.set.Type(typ)
	if t == nil {
		return errType
	}
	var re *regexp.Regexp
	for _, e := range t.Elements {
		if e.Regex == "" {
			continue
		}
		var err error
		if re, err = regexp.Compile(`^(?:` + e.Regex + `)$`); err != nil {
			re = nil // of no type that Go cannot read: a test shows it
		}
	}
	m.primitives[typ] = re
	return nil
}

// literal is a value in the JSON of its type.
func (m *Mapping) literal(typ, text string) (any, bool) {
	for _, c := range text {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f || c == '\ufffe' || c == '\uffff' {
			return nil, false
		}
	}
	switch typ {
	case "boolean":
		return text == "true", text == "true" || text == "false"
	case "integer", "positiveInt", "unsignedInt":
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || strconv.FormatInt(n, 10) != text || typ != "integer" && n < 0 || typ == "positiveInt" && n == 0 {
			return nil, false
		}
		return json.Number(text), true
	case "decimal":
		return json.Number(text), decimalText.MatchString(text) && len(text) <= 40
	}
	re := m.primitives[typ]
	return text, strings.TrimSpace(text) != "" && (re == nil || re.MatchString(text))
}

// value is a field as a rule has it; nil for one that is empty. The code says why it is refused.
func (m *Mapping) value(r *rule, text string) (v any, code string) {
	if text == "" {
		if r.Required {
			return nil, CodeRequired
		}
		if text = r.Default; text == "" {
			return nil, ""
		}
		v, _ = m.literal(r.path.typ, text)
		return v, ""
	}
	if r.Split == "" {
		return m.one(r, text)
	}
	var list []any
	for part := range strings.SplitSeq(text, r.Split) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		one, code := m.one(r, part)
		if code != "" {
			return nil, code
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		if r.Required {
			return nil, CodeRequired
		}
		return nil, ""
	}
	return list, ""
}

func (m *Mapping) one(r *rule, text string) (v any, code string) {
	if r.Codes != "" {
		mapped, ok := m.codes[r.Codes][text]
		if !ok {
			return nil, CodeCode
		}
		if text = mapped; text == "" { // said to be nothing
			return nil, ""
		}
	}
	if r.layout != nil {
		d, err := r.layout.date(text, r.path.typ, m.zone)
		if err != nil {
			return nil, CodeDate
		}
		text = d
	}
	if r.path.typ == "decimal" && m.decimal == "," {
		if strings.Contains(text, ".") {
			return nil, CodeValue
		}
		text = strings.Replace(text, ",", ".", 1)
	}
	v, ok := m.literal(r.path.typ, text)
	if !ok {
		return nil, CodeValue
	}
	return v, ""
}
