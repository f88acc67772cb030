package validate

import (
	"strconv"
	"strings"

	"salus/fhir/element"
)

// A format is the form of a primitive's value (R4 2.24.0.1).
type format uint8

const (
	formatNone format = iota // not a primitive
	formatBoolean
	formatInteger
	formatUnsigned
	formatPositive
	formatDecimal
	formatString
	formatMarkdown
	formatCode
	formatID
	formatURI
	formatOID
	formatUUID
	formatBase64
	formatDate
	formatDateTime
	formatInstant
	formatTime
	formatXHTML
)

var formats = map[string]format{
	"boolean": formatBoolean, "integer": formatInteger, "unsignedInt": formatUnsigned, "positiveInt": formatPositive, "decimal": formatDecimal,
	"string": formatString, "System.String": formatString, "markdown": formatMarkdown, "code": formatCode, "id": formatID,
	"uri": formatURI, "url": formatURI, "canonical": formatURI, "oid": formatOID, "uuid": formatUUID, "base64Binary": formatBase64,
	"date": formatDate, "dateTime": formatDateTime, "instant": formatInstant, "time": formatTime, "xhtml": formatXHTML,
}

var formatTexts = [...]string{
	formatBoolean: "a boolean is true or false, without quotes", formatInteger: "an integer is a whole number from -2147483648 to 2147483647",
	formatUnsigned: "an unsignedInt is a whole number from 0 to 2147483647", formatPositive: "a positiveInt is a whole number from 1 to 2147483647",
	formatDecimal: "a decimal is a JSON number within the range of a double", formatString: "a string has at least one character and no control characters",
	formatMarkdown: "markdown has at least one character and no control characters", formatCode: "a code has no spaces at its ends and only single ones within",
	formatID: "an id has 1 to 64 letters, digits, '-' and '.'", formatURI: "a URI has at least one character and no spaces",
	formatOID: "an OID is written as in urn:oid:1.2.3", formatUUID: "a UUID is written as in urn:uuid:c757873d-ec9a-4326-a141-556f43239520, in lower case",
	formatBase64: "base64 has groups of four characters and '=' only at its end", formatDate: "a date is YYYY, YYYY-MM or YYYY-MM-DD and a day that exists",
	formatDateTime: "a dateTime is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone",
	formatInstant:  "an instant is YYYY-MM-DDThh:mm:ss with a zone", formatTime: "a time is hh:mm:ss without a zone", formatXHTML: "a narrative is XHTML in a string",
}

// maxString is how many bytes a string may have (R4 2.24.0.1).
const maxString = 1 << 20

// kind reports whether a JSON type fits the format.
func (f format) kind(k element.Kind) bool {
	switch f {
	case formatBoolean:
		return k == element.True || k == element.False
	case formatInteger, formatUnsigned, formatPositive, formatDecimal:
		return k == element.Number
	}
	return k == element.String
}

// fits reports whether the text of a value, whose JSON type fits, has the format.
func (f format) fits(s string) bool {
	switch f {
	case formatBoolean, formatNone, formatXHTML:
		return true
	case formatInteger:
		_, err := strconv.ParseInt(s, 10, 32)
		return err == nil && s != "-0"
	case formatUnsigned, formatPositive:
		n, err := strconv.ParseInt(s, 10, 32)
		return err == nil && s[0] != '-' && (n > 0 || f == formatUnsigned)
	case formatDecimal:
		return decimal(s)
	case formatString, formatMarkdown:
		return text(s)
	case formatCode:
		return code(s)
	case formatID:
		return id(s)
	case formatURI:
		return uri(s)
	case formatOID:
		return oid(s)
	case formatUUID:
		return uuid(s)
	case formatBase64:
		return base64(s)
	case formatDate:
		rest, ok := date(s, false)
		return ok && rest == ""
	case formatDateTime:
		return dateTime(s, false)
	case formatInstant:
		return dateTime(s, true)
	case formatTime:
		rest, ok := clock(s)
		return ok && rest == ""
	}
	return false
}

// decimal bounds the exponent: what no double can hold, hardly any reader can.
func decimal(s string) bool {
	if _, exp, ok := strings.Cut(strings.ToLower(s), "e"); ok {
		n, err := strconv.Atoi(exp)
		return err == nil && n >= -308 && n <= 308
	}
	return len(s) <= 310
}

// text refuses what R4 forbids in strings: nothing at all, and characters below U+0020
// other than tab, line feed and carriage return.
func text(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return s != ""
}

func blank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func code(s string) bool {
	gap := true
	for i := range len(s) {
		if blank(s[i]) {
			if gap {
				return false
			}
			gap = true
		} else {
			gap = false
		}
	}
	return !gap
}

func id(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func uri(s string) bool {
	for i := range len(s) {
		if blank(s[i]) {
			return false
		}
	}
	return s != ""
}

func oid(s string) bool {
	rest, ok := strings.CutPrefix(s, "urn:oid:")
	if !ok || len(rest) < 3 || rest[0] < '0' || rest[0] > '2' || rest[1] != '.' {
		return false
	}
	for part := range strings.SplitSeq(rest[2:], ".") {
		if part == "" || len(part) > 1 && part[0] == '0' {
			return false
		}
		for i := range len(part) {
			if part[i] < '0' || part[i] > '9' {
				return false
			}
		}
	}
	return true
}

func uuid(s string) bool {
	rest, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(rest) != 36 {
		return false
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

func base64(s string) bool {
	n, pad := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case blank(c) && n%4 == 0: // between groups
			continue
		case c == '=':
			pad++
		case pad == 0 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'):
		default:
			return false
		}
		n++
	}
	return n > 0 && n%4 == 0 && pad <= 2
}

// digits reads n digits at the beginning of s.
func digits(s string, n int) (v int, rest string, ok bool) {
	if len(s) < n {
		return 0, s, false
	}
	for i := range n {
		if s[i] < '0' || s[i] > '9' {
			return 0, s, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, s[n:], true
}

// part reads a separator and two digits between low and high.
func part(s string, sep byte, low, high int) (v int, rest string, ok bool) {
	if s == "" || s[0] != sep {
		return 0, s, false
	}
	v, rest, ok = digits(s[1:], 2)
	return v, rest, ok && v >= low && v <= high
}

// date reads YYYY, YYYY-MM or YYYY-MM-DD, a day that exists; whole wants all three.
func date(s string, whole bool) (rest string, ok bool) {
	y, rest, ok := digits(s, 4)
	if !ok || y == 0 {
		return s, false
	}
	m, r, ok := part(rest, '-', 1, 12)
	if !ok {
		return rest, !whole && rest == ""
	}
	d, r2, ok := part(r, '-', 1, 31)
	if !ok {
		return r, !whole && r == ""
	}
	return r2, d <= days(y, m)
}

func days(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// clock reads hh:mm:ss with a fraction; a second may be the leap second 60.
func clock(s string) (rest string, ok bool) {
	h, s, ok := digits(s, 2)
	if !ok || h > 23 {
		return s, false
	}
	if _, s, ok = part(s, ':', 0, 59); !ok {
		return s, false
	}
	if _, s, ok = part(s, ':', 0, 60); !ok {
		return s, false
	}
	if s != "" && s[0] == '.' {
		n := 1
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return s[n:], n > 1
	}
	return s, true
}

func dateTime(s string, whole bool) bool {
	rest, ok := date(s, whole)
	if !ok || rest == "" {
		return ok && !whole
	}
	if rest[0] != 'T' || len(s)-len(rest) != len("2006-01-02") {
		return false
	}
	if rest, ok = clock(rest[1:]); !ok || rest == "" {
		return false
	}
	if rest == "Z" {
		return true
	}
	h, m, ok := part(rest, rest[0], 0, 14)
	if !ok || rest[0] != '+' && rest[0] != '-' {
		return false
	}
	minute, end, ok := part(m, ':', 0, 59)
	return ok && end == "" && (h < 14 || minute == 0)
}
