package hl7

import (
	"bytes"
	"strconv"
	"strings"
)

// A Path names a place in a message: SEG[n]-field[repetition].component.subcomponent,
// everything counted from 1 and n and repetition 1 if left out: PID-5.1, OBX[2]-5,
// PID-3[2].4.2.
type Path struct {
	Segment                                                string
	Occurrence, Field, Repetition, Component, Subcomponent int // Component, Subcomponent 0: all of it
}

// ParsePath reads a Path. The error is an *Error with CodePath.
func ParsePath(s string) (Path, error) {
	bad := func() (Path, error) { return Path{}, fail(CodePath, "", 0, 0, OtherError) }
	seg, rest, ok := strings.Cut(s, "-")
	if !ok {
		return bad()
	}
	p := Path{Occurrence: 1, Repetition: 1}
	var good bool
	if p.Segment, p.Occurrence, good = indexed(seg); !good || !segmentName([]byte(p.Segment)) {
		return bad()
	}
	parts := strings.Split(rest, ".")
	if len(parts) > 3 {
		return bad()
	}
	f, rep, good := indexed(parts[0])
	if p.Field, p.Repetition = positive(f), rep; !good || p.Field == 0 {
		return bad()
	}
	if len(parts) > 1 {
		if p.Component = positive(parts[1]); p.Component == 0 {
			return bad()
		}
	}
	if len(parts) > 2 {
		if p.Subcomponent = positive(parts[2]); p.Subcomponent == 0 {
			return bad()
		}
	}
	return p, nil
}

func indexed(s string) (string, int, bool) {
	name, idx, ok := strings.Cut(s, "[")
	if !ok {
		return s, 1, true
	}
	idx, ok = strings.CutSuffix(idx, "]")
	n := positive(idx)
	return name, n, ok && n > 0
}

func positive(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxFields || s[0] == '+' {
		return 0
	}
	return n
}

// Get returns the value at a path; the zero Value where there is none or the path
// is not one.
func (m *Message) Get(path string) Value {
	p, err := ParsePath(path)
	if err != nil {
		return Value{}
	}
	segs := m.Segments(p.Segment)
	if p.Occurrence > len(segs) {
		return Value{}
	}
	v := segs[p.Occurrence-1].Field(p.Field)
	if p.Repetition > 1 || p.Component > 0 {
		v = v.Repetition(p.Repetition)
	}
	if p.Component > 0 {
		v = v.Component(p.Component)
	}
	if p.Subcomponent > 0 {
		v = v.Subcomponent(p.Subcomponent)
	}
	return v
}

// Set puts text at a path, escaped and in the message's character set. Fields,
// repetitions and components up to it are added empty where missing; all other
// bytes stay. MSH-1, MSH-2 and MSH-18 cannot be set. An *Error with CodePath or CodeCharset.
func (m *Message) Set(path, text string) error {
	p, err := ParsePath(path)
	if err != nil {
		return err
	}
	enc, err := m.escape(text)
	if err != nil {
		return err
	}
	return m.put(p, enc)
}

// SetNull puts "" at a path.
func (m *Message) SetNull(path string) error {
	p, err := ParsePath(path)
	if err != nil {
		return err
	}
	return m.put(p, []byte(`""`))
}

func (m *Message) put(p Path, enc []byte) error {
	segs := m.Segments(p.Segment)
	if p.Occurrence > len(segs) || p.Segment == "MSH" && (p.Field <= 2 || p.Field == 18) {
		return fail(CodePath, p.Segment, 0, p.Field, OtherError)
	}
	seg := &m.segments[segs[p.Occurrence-1].i]
	n := p.Field
	if seg.header {
		n--
	}
	if n < 1 {
		return fail(CodePath, p.Segment, 0, p.Field, OtherError)
	}
	for len(seg.fields) <= n {
		seg.fields = append(seg.fields, nil)
	}
	d := m.delims
	type level struct {
		sep byte
		n   int
	}
	levels := []level{{d.Repetition, p.Repetition}}
	if p.Component > 0 {
		levels = append(levels, level{d.Component, p.Component})
	}
	if p.Subcomponent > 0 {
		levels = append(levels, level{d.Subcomponent, p.Subcomponent})
	}
	var replace func(old []byte, ls []level) ([]byte, bool)
	replace = func(old []byte, ls []level) ([]byte, bool) {
		if len(ls) == 0 {
			return enc, true
		}
		if ls[0].sep == 0 {
			if ls[0].n > 1 {
				return nil, false
			}
			return replace(old, ls[1:])
		}
		parts := bytes.Split(old, []byte{ls[0].sep})
		for len(parts) < ls[0].n {
			parts = append(parts, nil)
		}
		part, ok := replace(parts[ls[0].n-1], ls[1:])
		parts[ls[0].n-1] = part
		return bytes.Join(parts, []byte{ls[0].sep}), ok
	}
	out, ok := replace(seg.fields[n], levels)
	if !ok {
		return fail(CodePath, p.Segment, 0, p.Field, OtherError)
	}
	seg.fields[n] = out
	return nil
}

func (m *Message) escape(text string) ([]byte, error) {
	d := m.delims
	var out []byte
	for _, r := range text {
		name := byte(0)
		switch {
		case r == rune(d.Field):
			name = 'F'
		case r == rune(d.Component):
			name = 'S'
		case d.Subcomponent != 0 && r == rune(d.Subcomponent):
			name = 'T'
		case d.Repetition != 0 && r == rune(d.Repetition):
			name = 'R'
		case d.Escape != 0 && r == rune(d.Escape):
			name = 'E'
		case r == '\n':
			if d.Escape == 0 {
				return nil, fail(CodeDelimiters, "MSH", 1, 2, OtherError)
			}
			out = append(append(append(out, d.Escape), ".br"...), d.Escape)
			continue
		case r == '\r' || r < 0x20 && r != '\t':
			if d.Escape == 0 {
				return nil, fail(CodeDelimiters, "MSH", 1, 2, OtherError)
			}
			const digits = "0123456789ABCDEF"
			out = append(out, d.Escape, 'X', digits[r>>4], digits[r&15], d.Escape)
			continue
		}
		if name != 0 {
			if d.Escape == 0 {
				return nil, fail(CodeDelimiters, "MSH", 1, 2, OtherError)
			}
			out = append(out, d.Escape, name, d.Escape)
			continue
		}
		if r >= 0x80 {
			switch {
			case m.charset == charsetLatin1 && r <= 0xff:
				out = append(out, byte(r))
				continue
			case m.charset != charsetUTF8 && m.charset != charsetUndeclared:
				return nil, fail(CodeCharset, "MSH", 1, 18, DataType)
			}
		}
		out = append(out, string(r)...)
	}
	return out, nil
}
