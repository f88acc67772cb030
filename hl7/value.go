package hl7

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Value is a field, repetition, component or subcomponent as sent. The zero
// Value is absent.
type Value struct {
	raw     []byte
	m       *Message
	literal bool // MSH-1, MSH-2: delimiters are not delimiters here
}

// Raw returns the bytes as sent, with escapes and in the message's character set.
func (v Value) Raw() []byte { return v.raw }

// Absent says that nothing was sent: leave what is known alone (HL7 v2 2.5.3).
func (v Value) Absent() bool { return len(v.raw) == 0 }

// Null says that "" was sent: delete what is known.
func (v Value) Null() bool { return len(v.raw) == 2 && v.raw[0] == '"' && v.raw[1] == '"' }

// Valued says that there is a value, neither absent nor null. A field of
// delimiters alone has none.
func (v Value) Valued() bool {
	if v.Absent() || v.Null() {
		return false
	}
	if v.literal {
		return true
	}
	d := v.m.delims
	for _, c := range v.raw {
		if c == 0 || c != d.Component && c != d.Repetition && c != d.Subcomponent { // 0: a delimiter that MSH-2 does not name
			return true
		}
	}
	return false
}

func (v Value) split(sep byte, n int) Value {
	if v.literal || v.m == nil || sep == 0 {
		if n == 1 {
			return v
		}
		return Value{}
	}
	raw := v.raw
	for ; n > 1; n-- {
		i := bytes.IndexByte(raw, sep)
		if i < 0 {
			return Value{}
		}
		raw = raw[i+1:]
	}
	if i := bytes.IndexByte(raw, sep); i >= 0 {
		raw = raw[:i:i]
	}
	return Value{raw: raw, m: v.m}
}

func (v Value) count(sep byte) int {
	if v.Absent() {
		return 0
	}
	if v.literal || sep == 0 {
		return 1
	}
	return bytes.Count(v.raw, []byte{sep}) + 1
}

func (v Value) delims() Delimiters {
	if v.m == nil {
		return Delimiters{}
	}
	return v.m.delims
}

// Repetitions returns how often a field repeats.
func (v Value) Repetitions() int { return v.count(v.delims().Repetition) }

// Repetition returns repetition n of a field, counted from 1.
func (v Value) Repetition(n int) Value { return v.split(v.delims().Repetition, n) }

// Components returns the number of components of a repetition.
func (v Value) Components() int { return v.count(v.delims().Component) }

// Component returns component n of a repetition (of a field: of its first).
func (v Value) Component(n int) Value {
	return v.Repetition(1).split(v.delims().Component, n)
}

// Subcomponents returns the number of subcomponents of a component.
func (v Value) Subcomponents() int { return v.count(v.delims().Subcomponent) }

// Subcomponent returns subcomponent n of a component.
func (v Value) Subcomponent(n int) Value {
	return v.Component(1).split(v.delims().Subcomponent, n)
}

// Text returns the value as text: escapes resolved, characters decoded to UTF-8.
// Of a Value with parts it is the text of the first subcomponent. Null is "".
// The error is an *Error with CodeCharset.
func (v Value) Text() (string, error) {
	if v.Absent() || v.Null() {
		return "", nil
	}
	raw := v.raw
	if !v.literal {
		raw = v.Subcomponent(1).raw
	}
	return v.m.decode(raw, !v.literal)
}

// Whole is Text of all of the value, delimiters between its parts kept.
func (v Value) Whole() (string, error) {
	if v.Absent() || v.Null() {
		return "", nil
	}
	return v.m.decode(v.raw, !v.literal)
}

// Plain is Text without the error: bytes outside the character set become U+FFFD.
// It is for codes and identifiers that are compared, not for what is stored.
func (v Value) Plain() string {
	s, err := v.Text()
	if err != nil {
		return strings.ToValidUTF8(string(v.Subcomponent(1).raw), "\uFFFD")
	}
	return s
}

type charset int

const (
	charsetUndeclared charset = iota
	charsetASCII
	charsetUTF8
	charsetLatin1
	charsetLatin9
	charsetUnknown
)

func charsetOf(m *Message) charset {
	f := m.Segment("MSH").Field(18)
	switch name := strings.ToUpper(strings.TrimSpace(string(f.split(m.delims.Repetition, 1).raw))); name {
	case "":
		return charsetUndeclared
	case "ASCII", "ISO IR6":
		return charsetASCII
	case "UNICODE UTF-8", "UNICODE", "UTF-8", "UTF8":
		return charsetUTF8
	case "8859/1", "ISO-8859-1", "ISO8859-1", "ISO IR100":
		return charsetLatin1
	case "8859/15", "ISO-8859-15":
		return charsetLatin9
	}
	return charsetUnknown
}

// CharsetKnown says whether MSH-18 is empty or a character set of the package:
// ASCII, UNICODE UTF-8, 8859/1, 8859/15. Of another only ASCII text can be read.
func (m *Message) CharsetKnown() bool { return m.charset != charsetUnknown }

// decode gives text. Undeclared and ASCII are read as UTF-8, which senders mean
// when they send more; what is neither is refused, not guessed.
func (m *Message) decode(raw []byte, escapes bool) (string, error) {
	if escapes && m.delims.Escape != 0 && bytes.IndexByte(raw, m.delims.Escape) >= 0 {
		raw = m.unescape(raw)
	}
	ascii := true
	for _, c := range raw {
		if c >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return string(raw), nil
	}
	switch m.charset {
	case charsetLatin1, charsetLatin9:
		var b strings.Builder
		for _, c := range raw {
			b.WriteRune(latin(c, m.charset))
		}
		return b.String(), nil
	case charsetUnknown:
		return "", fail(CodeCharset, "MSH", 1, 18, TableValue)
	}
	if !utf8.Valid(raw) {
		return "", fail(CodeCharset, "MSH", 1, 18, DataType)
	}
	return string(raw), nil
}

func latin(c byte, set charset) rune {
	if set == charsetLatin9 {
		switch c {
		case 0xA4:
			return '€'
		case 0xA6:
			return 'Š'
		case 0xA8:
			return 'š'
		case 0xB4:
			return 'Ž'
		case 0xB8:
			return 'ž'
		case 0xBC:
			return 'Œ'
		case 0xBD:
			return 'œ'
		case 0xBE:
			return 'Ÿ'
		}
	}
	return rune(c)
}

// unescape resolves the sequences of HL7 v2 2.7. What it does not know (\Cxxyy\,
// \Mxxyyzz\, \Zdd..\ and anything unterminated) stays as it is: text is kept.
func (m *Message) unescape(raw []byte) []byte {
	d, out := m.delims, make([]byte, 0, len(raw))
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, d.Escape)
		if i < 0 {
			break
		}
		out = append(out, raw[:i]...)
		j := bytes.IndexByte(raw[i+1:], d.Escape)
		if j < 0 {
			raw = raw[i:]
			break
		}
		seq := string(raw[i+1 : i+1+j])
		if rep, ok := d.resolve(seq); ok {
			out = append(out, rep...)
			raw = raw[i+j+2:]
			continue
		}
		// Not a sequence: the first escape character is text, the second may begin one.
		out = append(out, raw[i:i+1+j]...)
		raw = raw[i+1+j:]
		if strings.HasPrefix(seq, "C") || strings.HasPrefix(seq, "M") || strings.HasPrefix(seq, "Z") {
			out, raw = append(out, raw[0]), raw[1:]
		}
	}
	return append(out, raw...)
}

func (d Delimiters) resolve(seq string) ([]byte, bool) {
	one := func(c byte) ([]byte, bool) { return []byte{c}, c != 0 }
	switch seq {
	case "F":
		return one(d.Field)
	case "S":
		return one(d.Component)
	case "T":
		return one(d.Subcomponent)
	case "R":
		return one(d.Repetition)
	case "E":
		return one(d.Escape)
	case "P", "L":
		return one(d.Truncation)
	case "H", "N", ".fi", ".nf", ".ce":
		return nil, true // highlighting and alignment carry no text
	case ".br", ".sp":
		return []byte{'\n'}, true
	}
	if n, ok := strings.CutPrefix(seq, ".sp"); ok {
		if k, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(n), "+")); err == nil && k >= 0 && k <= 100 {
			return bytes.Repeat([]byte{'\n'}, k), true
		}
	}
	if h, ok := strings.CutPrefix(seq, "X"); ok && h != "" {
		if b, err := hex.DecodeString(h); err == nil {
			return b, true
		}
	}
	return nil, false
}
