package hl7

import (
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
