// Package hl7 reads and writes HL7 v2 messages (2.1 to 2.8) in ER7, the
// encoding with bars and hats.
//
// Its contract: a Message keeps the bytes it was read from. Bytes of a message
// that Parse accepts are the bytes that Encode returns. Parse is tolerant in what
// senders get wrong (LF or CRLF after segments, blank lines, Z segments, segments
// out of order, bytes above 127 without MSH-18) and strict in what would make the
// meaning a guess (no MSH, delimiters that are not distinct, a line that is no
// segment).
//
// The package must never put the content of a message into an error (an *Error
// names segment, field and code), never log, never open a connection or a file,
// and know nothing of FHIR or the ledger.
package hl7

import (
	"bytes"
	"slices"
	"strconv"
)

// Limits on input. They bound memory on hostile input.
const (
	MaxMessage  = 16 << 20 // bytes of one message
	MaxSegments = 20000    // segments of one message
	MaxFields   = 1000     // fields of one segment
	MaxBatch    = 128 << 20
)

// Delimiters are the characters of MSH-1 and MSH-2 (HL7 v2 2.5.4).
type Delimiters struct {
	Field, Component, Repetition, Escape, Subcomponent byte
	Truncation                                         byte // 2.7; 0 if not declared
}

// Standard returns the recommended delimiters, |^~\&, which nearly every sender uses.
func Standard() Delimiters {
	return Delimiters{Field: '|', Component: '^', Repetition: '~', Escape: '\\', Subcomponent: '&'}
}

// A Message is one HL7 v2 message; nothing changes it.
type Message struct {
	prefix   []byte // line ends before MSH
	delims   Delimiters
	segments []Segment
	charset  charset
}

// A Segment is one segment: its name and its fields as sent.
type Segment struct {
	Name   string   // three characters
	fields [][]byte // fields[0] is the name; of MSH, FHS and BHS fields[1] is what stands in MSH-2
	end    []byte   // the line end as sent; may be empty in the last segment
	header bool     // MSH, FHS, BHS: the field separator is itself field 1
}

// Parse reads one message. The error is an *Error. The bytes are copied.
func Parse(data []byte) (*Message, error) {
	if len(data) == 0 {
		return nil, fail(CodeEmpty, "", 0, 0, SegmentSequence)
	}
	if len(data) > MaxMessage {
		return nil, fail(CodeSize, "", 0, 0, ApplicationError)
	}
	return parseOwned(bytes.Clone(data), "MSH")
}

func parseOwned(data []byte, head string) (*Message, error) {
	start := lineEnds(data)
	m := &Message{prefix: data[:start:start]}
	rest := data[start:]
	d, err := readDelimiters(rest, head)
	if err != nil {
		return nil, err
	}
	m.delims = d
	crs := bytes.IndexByte(rest, '\r') >= 0
	m.segments = make([]Segment, 0, bytes.Count(rest, []byte{'\r'})+bytes.Count(rest, []byte{'\n'})+1)
	for len(rest) > 0 {
		if len(m.segments) == MaxSegments {
			return nil, fail(CodeSize, "", len(m.segments)+1, 0, ApplicationError)
		}
		line, end, next := cutLine(rest, crs, d.Field)
		rest = next
		seg, err := parseSegment(line, end, d, len(m.segments)+1)
		if err != nil {
			return nil, err
		}
		if len(m.segments) > 0 && (seg.Name == "MSH" || seg.Name == "FHS" || seg.Name == "BHS") {
			return nil, fail(CodeSequence, seg.Name, len(m.segments)+1, 0, SegmentSequence)
		}
		m.segments = append(m.segments, seg)
	}
	m.charset = charsetOf(m)
	return m, nil
}

func readDelimiters(data []byte, head string) (Delimiters, error) {
	var d Delimiters
	if len(data) < 5 || string(data[:3]) != head {
		return d, fail(CodeNoHeader, "", 1, 0, SegmentSequence)
	}
	d.Field = data[3]
	enc := data[4:]
	if i := bytes.IndexByte(enc, d.Field); i >= 0 {
		enc = enc[:i]
	}
	if i := bytes.IndexAny(enc, "\r\n"); i >= 0 {
		enc = enc[:i]
	}
	if len(enc) < 1 || len(enc) > 5 {
		return d, fail(CodeDelimiters, head, 1, 2, RequiredMissing)
	}
	// Senders of 2.1 and 2.2 leave out characters they do not use.
	for i, at := range []*byte{&d.Component, &d.Repetition, &d.Escape, &d.Subcomponent, &d.Truncation} {
		if i < len(enc) {
			*at = enc[i]
		}
	}
	all := append([]byte{d.Field}, enc...)
	for i, c := range all {
		if c <= ' ' || c >= 0x7f || letterOrDigit(c) || bytes.IndexByte(all[:i], c) >= 0 {
			return d, fail(CodeDelimiters, head, 1, 2, DataType)
		}
	}
	return d, nil
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func lineEnds(data []byte) int {
	n := 0
	for n < len(data) && (data[n] == '\r' || data[n] == '\n') {
		n++
	}
	return n
}

// cutLine splits off the first segment. In a message that ends its segments with
// CR, an LF alone that is not followed by a segment belongs to the text.
func cutLine(data []byte, crs bool, field byte) (line, end, rest []byte) {
	for i := 0; i < len(data); i++ {
		if data[i] != '\r' && data[i] != '\n' {
			continue
		}
		n := lineEnds(data[i:])
		after := data[i+n:]
		if crs && data[i] == '\n' && bytes.IndexByte(data[i:i+n], '\r') < 0 && len(after) > 0 && !startsSegment(after, field) {
			i += n - 1
			continue
		}
		return data[:i:i], data[i : i+n : i+n], after
	}
	return data, nil, nil
}

func startsSegment(data []byte, field byte) bool {
	return len(data) >= 4 && segmentName(data[:3]) && data[3] == field
}

func segmentName(b []byte) bool {
	if len(b) != 3 || b[0] < 'A' || b[0] > 'Z' {
		return false
	}
	for _, c := range b[1:] {
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

func parseSegment(line, end []byte, d Delimiters, index int) (Segment, error) {
	if len(line) < 3 || !segmentName(line[:3]) || len(line) > 3 && line[3] != d.Field {
		return Segment{}, fail(CodeSegment, "", index, 0, SegmentSequence)
	}
	n := bytes.Count(line, []byte{d.Field})
	name := string(line[:3])
	if n > MaxFields {
		return Segment{}, fail(CodeSize, name, index, 0, ApplicationError)
	}
	s := Segment{Name: name, end: end, fields: make([][]byte, 0, n+1)}
	s.header = name == "MSH" || name == "FHS" || name == "BHS"
	for {
		i := bytes.IndexByte(line, d.Field)
		if i < 0 {
			s.fields = append(s.fields, slices.Clip(line))
			return s, nil
		}
		s.fields = append(s.fields, line[:i:i])
		line = line[i+1:]
	}
}

// Encode returns the message's bytes: those it was read from, but for the fields
// that were set.
func (m *Message) Encode() []byte {
	n := len(m.prefix)
	for i := range m.segments {
		n += len(m.segments[i].end) + len(m.segments[i].fields)
		for _, f := range m.segments[i].fields {
			n += len(f)
		}
	}
	out := append(make([]byte, 0, n), m.prefix...)
	for i := range m.segments {
		for j, f := range m.segments[i].fields {
			if j > 0 {
				out = append(out, m.delims.Field)
			}
			out = append(out, f...)
		}
		out = append(out, m.segments[i].end...)
	}
	return out
}

// Delimiters returns the delimiters of the message.
func (m *Message) Delimiters() Delimiters { return m.delims }

// Len returns the number of segments.
func (m *Message) Len() int { return len(m.segments) }

// At returns segment i, counted from 0.
func (m *Message) At(i int) SegmentRef { return SegmentRef{m, i} }

// Segments returns the segments called name, in order.
func (m *Message) Segments(name string) []SegmentRef {
	var out []SegmentRef
	for i := range m.segments {
		if m.segments[i].Name == name {
			out = append(out, SegmentRef{m, i})
		}
	}
	return out
}

// Segment returns the first segment called name; without one, the zero SegmentRef,
// all of whose fields are absent.
func (m *Message) Segment(name string) SegmentRef {
	for i := range m.segments {
		if m.segments[i].Name == name {
			return SegmentRef{m, i}
		}
	}
	return SegmentRef{}
}

// A SegmentRef is a segment of a message.
type SegmentRef struct {
	m *Message
	i int
}

// Exists says whether there is such a segment.
func (s SegmentRef) Exists() bool { return s.m != nil }

// Name returns the segment's three characters, "" of the zero SegmentRef.
func (s SegmentRef) Name() string {
	if s.m == nil {
		return ""
	}
	return s.m.segments[s.i].Name
}

// Index returns the place in the message, counted from 0.
func (s SegmentRef) Index() int { return s.i }

// Fields returns the number of the last field sent.
func (s SegmentRef) Fields() int {
	if s.m == nil {
		return 0
	}
	n := len(s.m.segments[s.i].fields) - 1
	if s.m.segments[s.i].header {
		n++
	}
	return n
}

// Field returns field n (counted from 1, as HL7 does) with all its repetitions.
func (s SegmentRef) Field(n int) Value {
	if s.m == nil || n < 1 {
		return Value{}
	}
	seg := &s.m.segments[s.i]
	if seg.header {
		if n == 1 {
			return Value{raw: []byte{s.m.delims.Field}, literal: true, m: s.m}
		}
		n--
	}
	if n >= len(seg.fields) {
		return Value{}
	}
	return Value{raw: seg.fields[n], m: s.m, literal: seg.header && n == 1}
}

// Type returns MSH-9: message code, trigger event and structure, as sent. Senders
// of 2.1 to 2.3 leave the structure out, some the event.
func (m *Message) Type() (code, event, structure string) {
	f := m.Segment("MSH").Field(9).Repetition(1)
	return f.Component(1).Plain(), f.Component(2).Plain(), f.Component(3).Plain()
}

// Version returns MSH-12.1.
func (m *Message) Version() string { return m.Segment("MSH").Field(12).Component(1).Plain() }

// ControlID returns MSH-10.
func (m *Message) ControlID() string { return m.Segment("MSH").Field(10).Plain() }

func itoa(n int) string { return strconv.Itoa(n) }
