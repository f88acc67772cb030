package ccda

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	nsCDA  = "urn:hl7-org:v3"
	nsSDTC = "urn:hl7-org:sdtc"
	nsXSI  = "http://www.w3.org/2001/XMLSchema-instance"
)

// Stable codes of an Error.
const (
	CodeSyntax    = "ccda-xml"       // not well-formed, or an unknown entity
	CodeDTD       = "ccda-dtd"       // a DOCTYPE or other markup declaration
	CodeEncoding  = "ccda-encoding"  // not UTF-8, UTF-16, US-ASCII or ISO-8859-1
	CodeLimit     = "ccda-limit"     // too large, too deep, or too many elements
	CodeNamespace = "ccda-namespace" // the root is not of urn:hl7-org:v3
	CodeRoot      = "ccda-root"      // the root is not ClinicalDocument
	CodePatient   = "ccda-patient"   // no recordTarget with a patient, or several
	CodeID        = "ccda-id"        // the document has no usable id
)

// An Error says why a document is refused; it holds no content of it.
type Error struct {
	Code string
	Line int // 1-based; 0 if it is of the whole document
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return "ccda: " + e.Code
	}
	return fmt.Sprintf("ccda: %s at line %d", e.Code, e.Line)
}

// Limits of a document. Elements count every element, text runs and attributes.
const (
	maxBytes = 32 << 20
	maxDepth = 128
	maxNodes = 1 << 20
)

// A node is an element, or a run of text if its name is empty. Names of the
// namespace urn:hl7-org:sdtc have the prefix "sdtc:"; names of others are "*".
type node struct {
	name   string
	text   string
	attrs  []attribute
	kids   []*node
	parent *node
	nth    int   // among siblings of its name, from 1
	state  state // of the text
	size   int   // of all text at and below, with room for markup
}

// An attribute is named like an element; what became of it is its state.
type attribute struct {
	name, value string
	state       state
}

func parse(src []byte) (*node, error) {
	if len(src) > maxBytes {
		return nil, &Error{Code: CodeLimit}
	}
	src, err := decode(src)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(src)) //nolint:gosec // tokens alone are read, into nodes within limits
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(label) {
		case "utf-16", "us-ascii": // decode made it UTF-8
			return in, nil
		case "iso-8859-1", "latin1":
			b, err := io.ReadAll(in)
			if err != nil {
				return nil, err
			}
			out := make([]rune, len(b))
			for i, c := range b {
				out[i] = rune(c)
			}
			return strings.NewReader(string(out)), nil
		}
		return nil, errEncoding
	}
	fail := func(code string) error {
		line, _ := d.InputPos()
		return &Error{Code: code, Line: line}
	}
	var root, at *node
	depth, count := 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if errors.Is(err, errEncoding) {
				return nil, fail(CodeEncoding)
			}
			return nil, fail(CodeSyntax)
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, fail(CodeDTD)
		case xml.StartElement:
			if at == nil && root != nil {
				return nil, fail(CodeSyntax)
			}
			depth++
			count += 1 + len(t.Attr)
			if depth > maxDepth || count > maxNodes {
				return nil, fail(CodeLimit)
			}
			n := &node{name: name(t.Name), parent: at, nth: 1}
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
					continue
				}
				k := plain(a.Name.Local)
				switch a.Name.Space {
				case "":
				case nsXSI:
					k = "xsi:" + k
				case nsSDTC:
					k = "sdtc:" + k
				default:
					k = "*"
				}
				if !strings.HasSuffix(k, "*") && n.find(k) != nil {
					return nil, fail(CodeSyntax)
				}
				n.attrs = append(n.attrs, attribute{name: k, value: a.Value})
			}
			if at == nil {
				if t.Name.Space != nsCDA {
					return nil, fail(CodeNamespace)
				}
				root = n
			} else {
				at.kids = append(at.kids, n)
			}
			at = n
		case xml.EndElement:
			depth--
			number(at)
			at = at.parent
		case xml.CharData:
			s := string(t)
			if at == nil {
				if strings.Trim(s, " \t\r\n\ufeff") != "" {
					return nil, fail(CodeSyntax)
				}
				continue
			}
			if count++; count > maxNodes {
				return nil, fail(CodeLimit)
			}
			at.kids = append(at.kids, &node{text: s, parent: at, size: len(s)})
		}
	}
	if root == nil || at != nil {
		return nil, fail(CodeSyntax)
	}
	if root.name != "ClinicalDocument" {
		return nil, &Error{Code: CodeRoot, Line: 1}
	}
	return root, nil
}

var errEncoding = errors.New("ccda: encoding")

// number counts the children of n among those of their name, once it is whole.
func number(n *node) {
	seen := map[string]int{}
	n.size = 32
	for _, k := range n.kids {
		n.size += k.size
		if k.name != "" {
			seen[k.name]++
			k.nth = seen[k.name]
		}
	}
}

// name keeps a name out of paths if it cannot be one of the standard.
func name(n xml.Name) string {
	switch n.Space {
	case nsCDA:
		return plain(n.Local)
	case nsSDTC:
		return "sdtc:" + plain(n.Local)
	}
	return "*"
}

func plain(s string) string {
	if len(s) > 40 || strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) >= 0 {
		return "*"
	}
	return s
}

// decode makes UTF-16 into UTF-8 and refuses what is neither, unless the
// declaration names a single-byte encoding.
func decode(src []byte) ([]byte, error) {
	big := bytes.HasPrefix(src, []byte{0xfe, 0xff}) || bytes.HasPrefix(src, []byte{0, '<'})
	little := bytes.HasPrefix(src, []byte{0xff, 0xfe}) || bytes.HasPrefix(src, []byte{'<', 0})
	if big || little {
		if len(src)%2 != 0 {
			return nil, &Error{Code: CodeEncoding}
		}
		u := make([]uint16, len(src)/2)
		for i := range u {
			a, b := uint16(src[2*i]), uint16(src[2*i+1])
			if little {
				a, b = b, a
			}
			u[i] = a<<8 | b
		}
		src = []byte(string(utf16.Decode(u)))
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	head := strings.ToLower(string(src[:min(len(src), 200)]))
	if before, _, ok := strings.Cut(head, "?>"); ok && (strings.Contains(before, "8859-1") || strings.Contains(before, "latin1")) {
		return src, nil
	}
	if !utf8.Valid(src) {
		return nil, &Error{Code: CodeEncoding}
	}
	return src, nil
}

// all gives the children of a name; one gives the first or nil. Both take nil.
func (n *node) all(name string) []*node {
	if n == nil {
		return nil
	}
	var out []*node
	for _, k := range n.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

func (n *node) one(path ...string) *node {
	for _, p := range path {
		if n == nil {
			return nil
		}
		var next *node
		for _, k := range n.kids {
			if k.name == p {
				next = k
				break
			}
		}
		n = next
	}
	return n
}

// find gives an attribute or nil.
func (n *node) find(name string) *attribute {
	if n == nil {
		return nil
	}
	for i := range n.attrs {
		if n.attrs[i].name == name {
			return &n.attrs[i]
		}
	}
	return nil
}

// peek reads an attribute to decide by it; a reads it to put it into a resource.
func (n *node) peek(name string) string {
	if a := n.find(name); a != nil {
		return strings.TrimSpace(a.value)
	}
	return ""
}

func (n *node) a(name string) string {
	n.feed(name)
	return n.peek(name)
}

// words gives the text below n with runs of space made one.
func (n *node) words() string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	var walk func(*node)
	walk = func(n *node) {
		b.WriteString(n.text)
		for _, k := range n.kids {
			walk(k)
			if k.name != "" {
				b.WriteByte(' ')
			}
		}
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

// template says whether n claims the template, in any version.
func (n *node) template(roots ...string) bool {
	for _, t := range n.all("templateId") {
		for _, r := range roots {
			if t.peek("root") == r {
				return true
			}
		}
	}
	return false
}

// path is the place of n: names of the standard and positions.
func (n *node) path() string {
	if n == nil {
		return ""
	}
	if n.parent == nil {
		return "/" + n.name
	}
	return fmt.Sprintf("%s/%s[%d]", n.parent.path(), n.name, n.nth)
}
