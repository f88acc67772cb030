package element

import (
	"maps"
	"strconv"
	"strings"
)

// The codes of errors; the same as package fhir has for them. They are stable.
const (
	CodeSyntax    = "fhir-json"          // not JSON (RFC 8259)
	CodeTrailing  = "fhir-trailing"      // something follows the value
	CodeUTF8      = "fhir-utf8"          // not UTF-8
	CodeSurrogate = "fhir-surrogate"     // half of a surrogate pair
	CodeDuplicate = "fhir-duplicate-key" // an object has the same name twice
	CodeDepth     = "fhir-depth"         // nested too deep
	CodeSize      = "fhir-size"          // too many bytes
	CodeName      = "fhir-name"          // a name too long for any element
)

var sentences = map[string]string{
	CodeSyntax:    "this is not valid JSON; check commas, quotes, numbers and that the text is complete",
	CodeTrailing:  "there is more after the end of the value",
	CodeUTF8:      "a string is not valid UTF-8; save the file as UTF-8 and send it again",
	CodeSurrogate: "a \\u escape is half of a surrogate pair; write the character itself or both halves",
	CodeDuplicate: "an object names the same element twice, so its meaning depends on the reader; remove one",
	CodeDepth:     "objects and arrays are nested too deep",
	CodeSize:      "the input is too large",
	CodeName:      "the name of an element is too long",
}

// An Error says why an input is not a tree, and where. It holds no byte of the input but
// names that Parser.Known accepted.
type Error struct {
	Code    string // one of the constants above
	Pointer string // JSON pointer (RFC 6901) of the value being read; unknown names are their position
	Path    string // the same place in the manner of FHIRPath: "name[0].given[1]"
	Offset  int    // bytes from the beginning
	Line    int    // counted from 1
	Column  int    // bytes, counted from 1
}

// Codes returns every code with its sentence.
func Codes() map[string]string { return maps.Clone(sentences) }

// Text is the sentence of the error's code.
func (e *Error) Text() string { return sentences[e.Code] }

// Error returns code, place and sentence.
func (e *Error) Error() string {
	s := "element: " + e.Code
	if e.Path != "" {
		s += " at " + e.Path
	}
	s += ": " + e.Text()
	if e.Line > 0 {
		s += " (line " + strconv.Itoa(e.Line) + ", byte " + strconv.Itoa(e.Column) + ")"
	}
	return s
}

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// fault makes the Error of a parsing that stopped.
func (p *parsing) fault(known func(string) bool) *Error {
	e := &Error{Code: p.code, Offset: p.i, Line: 1, Column: 1}
	for _, c := range p.b[:min(p.i, len(p.b))] {
		if e.Column++; c == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	t := Tree{src: p.b, nodes: p.nodes}
	var pointer, path strings.Builder
	for k, at := range p.open {
		// The child that was being read: the next open container, or the last child.
		stop := uint32(len(p.nodes))
		if k+1 < len(p.open) {
			stop = p.open[k+1] + 1
		}
		index, child := -1, uint32(0)
		for c := at + 1; c < stop; {
			index, child = index+1, c
			next := p.nodes[c].next
			if next <= c { // not complete
				break
			}
			c = next
		}
		if index < 0 {
			break
		}
		position := strconv.Itoa(index)
		if p.nodes[at].kind == Array {
			pointer.WriteString("/" + position)
			path.WriteString("[" + position + "]")
			continue
		}
		name := t.nameOf(child)
		if known == nil || !known(name) {
			name = position
		}
		pointer.WriteString("/" + name)
		if path.Len() > 0 {
			path.WriteByte('.')
		}
		path.WriteString(strings.TrimPrefix(name, "_"))
	}
	e.Pointer, e.Path = pointer.String(), path.String()
	return e
}
