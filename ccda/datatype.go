package ccda

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any

// empty reports whether v says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case object:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// set puts v under k unless it is empty.
func set(o object, k string, v any) {
	if !empty(v) {
		o[k] = v
	}
}

// push appends v to the list under k unless it is empty.
func push(o object, k string, v any) {
	if !empty(v) {
		l, _ := o[k].([]any)
		o[k] = append(l, v)
	}
}

func list[T any](v ...T) []any {
	var out []any
	for _, x := range v {
		if o, ok := any(x).(object); ok && len(o) == 0 {
			continue
		}
		out = append(out, x)
	}
	return out
}

func coding(sys, code string) object {
	return object{"coding": list(object{"system": sys, "code": code})}
}

const absentURL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

// why maps a null flavor (ConceptMap CF-NullFlavorDataAbsentReason).
func why(n *node) string {
	code := map[string]string{
		"NI": "unknown", "OTH": "unsupported", "NINF": "negative-infinity", "PINF": "positive-infinity",
		"MSK": "masked", "NA": "not-applicable", "UNK": "unknown", "ASKU": "asked-unknown", "NAV": "temp-unknown",
		"NASK": "not-asked", "TRC": "unsupported", "NP": "unknown",
	}[n.peek("nullFlavor")]
	if code == "" {
		return "unknown"
	}
	n.feed("nullFlavor")
	return code
}

// absent is the extension for data that is not there.
func absent(n *node) object {
	return object{"extension": list(object{"url": absentURL, "valueCode": why(n)})}
}

func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// codingOf reads the code, system, version and display of n itself.
func (m *mapper) codingOf(n *node) object {
	code := words(n.peek("code"))
	if code == "" {
		return nil
	}
	n.feed("code")
	o := object{"code": code}
	if s := n.peek("codeSystem"); s != "" {
		if u := system(s); u != "" {
			o["system"] = u
			n.feed("codeSystem")
			n.pass("codeSystemName")
		} else {
			m.lostAttr(n, "codeSystem", ReasonValue)
		}
	}
	if v := words(n.peek("codeSystemVersion")); v != "" {
		o["version"] = v
		n.feed("codeSystemVersion")
	}
	if d := words(n.peek("displayName")); d != "" {
		o["display"] = d
		n.feed("displayName")
	}
	n.pass("sdtc:valueSet", "sdtc:valueSetVersion")
	return o
}

// concept reads CD, CE, CV, CS: codings of the code and its translations, text by
// originalText or its reference into the narrative.
func (m *mapper) concept(n *node) object {
	if n == nil {
		return nil
	}
	codings := list(m.codingOf(n))
	originals := []*node{n.one("originalText")}
	for _, t := range n.all("translation") {
		if c := m.codingOf(t); c != nil && (len(codings) >= maxMerged || !slices.ContainsFunc(codings, func(x any) bool { return same(x, c) })) {
			codings = append(codings, c)
		}
		originals = append(originals, t.one("originalText"))
	}
	o := object{}
	set(o, "coding", codings)
	text := ""
	for _, t := range originals {
		if len(text) > maxText {
			break
		}
		switch s := m.text(t); {
		case text == "":
			text = s
		case s != "" && s != text:
			text += "; " + s
		}
	}
	if text == "" {
		text = words(n.peek("displayName"))
		n.feed("displayName")
	}
	set(o, "text", text)
	return o
}

// maxText bounds what is put together from parts; what is left out stays unread.
const maxText = 1 << 14

// same compares two codings.
func same(a, b any) bool {
	x, _ := a.(object)
	y, _ := b.(object)
	return x["system"] == y["system"] && x["code"] == y["code"] && x["display"] == y["display"] && x["version"] == y["version"]
}

// must is concept, or why there is none.
func (m *mapper) must(n *node) object {
	if o := m.concept(n); len(o) > 0 {
		return o
	}
	return absent(n)
}

// target finds the narrative that an ED refers to, as long as the entries together do
// not repeat many times what the document holds.
func (m *mapper) target(n *node) *node {
	ref := n.one("reference").peek("value")
	at := m.byID[strings.TrimPrefix(ref, "#")]
	if ref == "" || at == nil || at.size > m.budget {
		return nil
	}
	m.budget -= at.size
	return at
}

// text reads an ED: its own words, or those of the narrative that it refers to.
func (m *mapper) text(n *node) string {
	if n == nil || n.peek("representation") == "B64" {
		return ""
	}
	n.pass("mediaType", "language", "representation")
	ref := n.one("reference")
	if t := m.target(n); t != nil {
		ref.feed("value")
		if own := n.say(); own != "" {
			return own
		}
		return t.words()
	}
	own := n.say()
	if ref.peek("value") != "" {
		m.lostAttr(ref, "value", ReasonReference)
	}
	return own
}

var stamp = regexp.MustCompile(`^(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d+)?([+-]\d{4})?$`)

// moment reads a TS as a dateTime. Without a zone a time of day is kept only if
// Options.Zone says where it was written.
func (m *mapper) moment(n *node) string {
	v := n.peek("value")
	if v == "" {
		return ""
	}
	n.feed("value")
	bad := func() string {
		m.lostAttr(n, "value", ReasonValue)
		n.find("value").state = told
		return ""
	}
	p := stamp.FindStringSubmatch(v)
	if p == nil || p[1] == "0000" {
		return bad()
	}
	out := p[1]
	for i := 2; i <= 3 && p[i] != ""; i++ {
		out += "-" + p[i]
	}
	if _, err := time.Parse("2006-01-02"[:len(out)], out); err != nil {
		return bad()
	}
	if p[4] == "" {
		return out
	}
	if p[5] != "" {
		sec := p[6]
		if sec == "" {
			sec = "00"
		}
		clock := out + "T" + p[4] + ":" + p[5] + ":" + sec + p[7]
		switch {
		case p[8] != "":
			out = clock + p[8][:3] + ":" + p[8][3:]
			if _, err := time.Parse(time.RFC3339Nano, out); err != nil || p[8][1:3] > "14" {
				return bad()
			}
			return out
		case m.o.Zone != nil:
			t, err := time.ParseInLocation("2006-01-02T15:04:05", clock, m.o.Zone)
			if err != nil {
				return bad()
			}
			return clock + t.Format("-07:00")
		}
	}
	m.lostAttr(n, "value", ReasonPrecision)
	n.find("value").state = told
	return out
}

// point is the moment of a TS, or of an interval its low (guide, "Structured types").
func (m *mapper) point(n *node) string {
	if t := m.moment(n); t != "" {
		return t
	}
	return m.moment(n.one("low"))
}

// day is a date: what is more precise than a day is reported.
func (m *mapper) day(n *node) string {
	v := m.moment(n)
	if len(v) > 10 {
		m.lostAttr(n, "value", ReasonPrecision)
		n.find("value").state = told
		v = v[:10]
	}
	return v
}

// when puts effectiveTime under name+"DateTime" or name+"Period".
func (m *mapper) when(o object, name string, n *node) {
	if n == nil {
		return
	}
	if t := m.moment(n); t != "" {
		o[name+"DateTime"] = t
		return
	}
	p := m.interval(n)
	if p["start"] != nil && p["start"] == p["end"] {
		o[name+"DateTime"] = p["start"]
		return
	}
	set(o, name+"Period", p)
}

// interval reads the low and high of an IVL_TS as a Period.
func (m *mapper) interval(n *node) object {
	o := object{}
	if n != nil {
		start, end := m.moment(n.one("low")), m.moment(n.one("high"))
		set(o, "start", start)
		if start != "" && end != "" && before(end, start) { // per-1
			m.lostAttr(n.one("high"), "value", ReasonValue)
			return o
		}
		set(o, "end", end)
	}
	return o
}

// period is interval; a single time is its start (guide, encounters).
func (m *mapper) period(n *node) object {
	if t := m.moment(n); t != "" {
		return object{"start": t}
	}
	return m.interval(n)
}

// before compares two dateTimes as far as both are precise.
func before(a, b string) bool {
	if len(a) > 10 && len(b) > 10 {
		x, err1 := time.Parse(time.RFC3339Nano, a)
		y, err2 := time.Parse(time.RFC3339Nano, b)
		return err1 == nil && err2 == nil && x.Before(y)
	}
	k := min(len(a), len(b), 10)
	return a[:k] < b[:k]
}

var number10 = regexp.MustCompile(`^([+-]?)0*(\d*)(\.\d+)?$`)

// decimal keeps the digits as written where JSON can hold them.
func decimal(s string) (json.Number, bool) {
	p := number10.FindStringSubmatch(s)
	if p == nil || p[2] == "" && p[3] == "" && !strings.Contains(s, "0") || len(s) > 40 {
		return "", false
	}
	if p[2] == "" {
		p[2] = "0"
	}
	return json.Number(strings.TrimPrefix(p[1], "+") + p[2] + p[3]), true
}

// quantity reads a PQ, or the value of a REAL. A value that is only in a translation
// (a unit outside of UCUM) has its unit as text.
func (m *mapper) quantity(n *node) object {
	d, ok := decimal(n.peek("value"))
	if !ok {
		for _, t := range n.all("translation") {
			v, ok := decimal(t.peek("value"))
			if !ok {
				continue
			}
			t.feed("value")
			o := object{"value": v}
			unit := m.text(t.one("originalText"))
			if c := m.codingOf(t); c != nil && c["system"] != nil {
				o["system"], o["code"] = c["system"], c["code"]
				if unit == "" {
					unit, _ = c["display"].(string)
				}
			}
			set(o, "unit", unit)
			return o
		}
		return nil
	}
	n.feed("value")
	o := object{"value": d}
	if u := n.peek("unit"); u != "" {
		n.feed("unit")
		o["unit"] = u
		if !strings.ContainsAny(u, " \t\r\n") {
			o["system"], o["code"] = "http://unitsofmeasure.org", u
		}
	}
	return o
}

// bounds reads an IVL_PQ: a Range, or a Quantity with a comparator (guide, "Ranges of
// Physical Quantities").
func (m *mapper) bounds(n *node) (quantity, span object) {
	if q := m.quantity(n); q != nil {
		return q, nil
	}
	low, high := m.quantity(n.one("low")), m.quantity(n.one("high"))
	open := func(k string) bool {
		v := n.one(k).peek("inclusive")
		n.one(k).feed("inclusive")
		return v == "false"
	}
	switch {
	case low != nil && high != nil && (low["value"] != json.Number("0") || !open("low")):
		if open("low") || open("high") { // Range has no open ends
			for _, k := range []string{"low", "high"} {
				if n.one(k).peek("inclusive") == "false" {
					n.one(k).find("inclusive").state = told
					m.lostAttr(n.one(k), "inclusive", ReasonValue)
				}
			}
		}
		return nil, object{"low": low, "high": high}
	case high != nil:
		high["comparator"] = map[bool]string{true: "<", false: "<="}[open("high")]
		return high, nil
	case low != nil:
		low["comparator"] = map[bool]string{true: ">", false: ">="}[open("low")]
		return low, nil
	}
	return nil, nil
}

// whole reads an INT.
func whole(n *node) (int64, bool) {
	i, err := strconv.ParseInt(n.peek("value"), 10, 32)
	if err != nil {
		return 0, false
	}
	n.feed("value")
	return i, true
}

// flag reads a BL.
func flag(n *node) (v, ok bool) {
	s := n.peek("value")
	if s != "true" && s != "false" {
		return false, false
	}
	n.feed("value")
	return s == "true", true
}

// Systems whose OID alone identifies nobody (guide, "CDA id", note 1).
var bare = map[string]bool{"2.16.840.1.113883.4.1": true, "2.16.840.1.113883.4.6": true}

// identifiers reads II (guide, "CDA id to FHIR identifier").
func (m *mapper) identifiers(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		root, ext := n.peek("root"), n.peek("extension")
		o := object{}
		sys := system(root)
		switch {
		case root == "" && ext == "":
			continue
		case root == "":
			o["value"] = ext
		case ext != "" && root == "2.16.840.1.113883.4.873":
			i := max(strings.LastIndexByte(ext, '/'), strings.LastIndexByte(ext, ':'))
			if i > 0 && i < len(ext)-1 && !strings.ContainsAny(ext, " \t\r\n") {
				o["system"], o["value"] = ext[:i], ext[i+1:]
			} else {
				o["system"], o["value"] = "urn:ietf:rfc:3986", ext
			}
		case ext != "" && sys != "":
			o["system"], o["value"] = sys, ext
		case ext != "":
			m.lostAttr(n, "root", ReasonValue)
			o["value"] = ext
		case bare[root]:
			o["system"], o["_value"] = sys, absent(n)
		case oid(root):
			o["system"], o["value"] = "urn:ietf:rfc:3986", "urn:oid:"+root
		case sys != "":
			o["system"], o["value"] = "urn:ietf:rfc:3986", sys
		default:
			m.lostAttr(n, "root", ReasonValue)
			continue
		}
		n.feed("root", "extension")
		n.pass("displayable")
		if a := words(n.peek("assigningAuthorityName")); a != "" {
			n.feed("assigningAuthorityName")
			o["assigner"] = object{"display": a}
		}
		out = append(out, o)
	}
	return out
}

// key gives what an identifier is searched by, or "" if it does not identify alone.
func key(id any) string {
	o, _ := id.(object)
	s, _ := o["system"].(string)
	v, _ := o["value"].(string)
	if s == "" || v == "" {
		return ""
	}
	return s + "|" + v
}
