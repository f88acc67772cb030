package tabular

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Bounds of a file. They hold whatever the mapping says.
const (
	MaxRow     = 1 << 20 // bytes of a row
	MaxColumns = 1000
	MaxGroup   = 10000    // rows of a group
	maxGroup   = 10 << 20 // bytes of a group's rows: they fit into a record in base64
)

// The codes of rows that are rejected, and of files that cannot be read on. They are stable.
const (
	CodeQuote     = "csv-quote"     // a quote where none may be, or none that ends a field
	CodeFields    = "csv-fields"    // more or fewer fields than columns
	CodeEncoding  = "csv-encoding"  // not in the encoding that the mapping says
	CodeControl   = "csv-control"   // a control character
	CodeLong      = "csv-long"      // a row of more than MaxRow bytes: what follows is not read
	CodeHeader    = "csv-header"    // no header, or a column of the mapping is not in it, or one is twice
	CodeRequired  = "csv-required"  // no value where one is required
	CodeCode      = "csv-code"      // a value that the code map does not have
	CodeValue     = "csv-value"     // a value that FHIR's type cannot hold
	CodeDate      = "csv-date"      // a date that is not in the format, or does not exist
	CodeKey       = "csv-key"       // no value for what a resource is identified by
	CodeRefer     = "csv-refer"     // refers to a resource that neither the row nor its group makes
	CodeConflict  = "csv-conflict"  // two rows say different things about the same resource
	CodeGroup     = "csv-group"     // another row of the same group is rejected
	CodeGroupSize = "csv-groupsize" // more rows, or bytes, than a group may have
	CodeEmpty     = "csv-empty"     // a row that makes nothing
)

// An Error says why a file is not read on. It holds nothing that the file says.
type Error struct {
	Code   string
	Line   int    // 1-based
	Column string // of the mapping, or ""
}

// Error implements error.
func (e *Error) Error() string {
	if e.Column != "" {
		return fmt.Sprintf("tabular: %s in line %d, column %q", e.Code, e.Line, e.Column)
	}
	return fmt.Sprintf("tabular: %s in line %d", e.Code, e.Line)
}

// A Rejection is a row that became no resource. It holds nothing that the row says.
type Rejection struct {
	Line   int    `json:"line"`             // 1-based, where the row begins
	Column string `json:"column,omitempty"` // of the mapping; "" if it is about the whole row
	Code   string `json:"code"`
}

// A row is one record of a file.
type row struct {
	line   int
	raw    []byte // with its line end
	fields []string
	bad    string // a code, "" if it could be taken apart
}

// rows reads a file (RFC 4180, also with LF alone). It is not safe for concurrent use.
type rows struct {
	in     *bufio.Reader
	comma  byte
	quote  byte // 0: there are no quotes
	latin1 bool
	line   int
}

func newRows(r io.Reader, m *Mapping) (*rows, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	s := &rows{in: in, comma: m.comma, quote: m.quote, latin1: m.latin1, line: 1}
	if bom, err := in.Peek(3); err == nil && !s.latin1 && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		if _, err := in.Discard(3); err != nil {
			return nil, fmt.Errorf("tabular: %w", err)
		}
	}
	return s, nil
}

// next returns the next row that is not empty; io.EOF after the last.
func (s *rows) next() (*row, error) {
	for {
		r, err := s.read()
		if err != nil {
			return nil, err
		}
		if len(bytes.Trim(r.raw, "\r\n")) > 0 {
			return r, nil
		}
	}
}

// States of a field while it is read.
const (
	begin  = iota // nothing of it was read
	plain         // without quotes
	inside        // within quotes
	behind        // after a quote within quotes
)

func (s *rows) read() (*row, error) {
	r := &row{line: s.line}
	var field []byte
	state := begin
	end := func() {
		text, ok := s.text(field)
		if !ok && r.bad == "" {
			r.bad = CodeEncoding
		}
		if len(r.fields) <= MaxColumns {
			r.fields = append(r.fields, text)
		}
		field, state = field[:0], begin
	}
	for {
		c, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) {
			if len(r.raw) == 0 {
				return nil, io.EOF
			}
			if state == inside {
				r.bad = CodeQuote
			}
			end()
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("tabular: read: %w", err)
		}
		if r.raw = append(r.raw, c); len(r.raw) > MaxRow {
			return nil, &Error{Code: CodeLong, Line: r.line}
		}
		if c == '\n' {
			s.line++
		}
		switch {
		case state == inside && c == s.quote:
			state = behind
		case state == inside:
			field = append(field, c)
		case state == behind && c == s.quote:
			field, state = append(field, c), inside
		case c == s.comma:
			end()
		case c == '\n':
			end()
			return r, nil
		case c == '\r' && s.ended():
		case state == begin && s.quote != 0 && c == s.quote:
			state = inside
		case state == behind, s.quote != 0 && c == s.quote:
			r.bad, state = CodeQuote, plain
		default:
			field, state = append(field, c), plain
		}
	}
}

// ended reports whether the line ends here, after a CR.
func (s *rows) ended() bool {
	b, err := s.in.Peek(1)
	return err != nil || b[0] == '\n'
}

// text is a field in UTF-8.
func (s *rows) text(b []byte) (string, bool) {
	if !s.latin1 {
		return string(b), utf8.Valid(b)
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out), true
}
