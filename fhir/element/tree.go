// Package element holds FHIR JSON as an immutable tree over the bytes that were
// submitted, and walks it by the types of FHIR R4.
//
// Parse reads strictly (RFC 8259 with the unique names of RFC 7493, section 2.3) into one
// flat slice of nodes that point into the input; nothing is copied, converted or rewritten,
// so any node gives back exactly the bytes that it was read from, and a decimal keeps its
// text. A Node is the JSON as it stands. An Element is the same place seen through a Type:
// a primitive and its "_" sibling are one element, Observation.value finds valueQuantity,
// contained resources have their own type.
//
// The input must not change while its Tree is in use. Trees, Nodes and Elements are
// read-only and safe for concurrent use. The package must never log, never rewrite, and
// never put content of the input into an error: locations are made of positions and of
// names that the caller declares to be harmless (see Parser.Known).
package element

import (
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"unsafe"
)

// A Kind is the JSON type of a node.
type Kind uint8

// The kinds. Absent is the kind of the zero Node.
const (
	Absent Kind = iota
	Null
	False
	True
	Number
	String
	Array
	Object
)

// A node is one JSON value. The nodes of a tree stand in preorder: the first child of
// node i is i+1, its next sibling is at next.
type node struct {
	start, end uint32 // the value's bytes
	name       uint32 // where the member's name begins, after its quote
	next       uint32 // first node after this one's subtree
	twin       uint32 // in an object: the member "_x" of a member "x", and back; 0 for none
	nameLen    uint16
	kind       Kind
	flags      uint8
}

const (
	escaped     = 1 << iota // a string that is written with escapes
	nameEscaped             // a member whose name is
	underscore              // a member whose name begins with '_'
)

// A Tree is one parsed JSON text.
type Tree struct {
	src   []byte
	nodes []node
}

// Raw returns the whole input, spaces included.
func (t *Tree) Raw() []byte { return t.src }

// Len returns the number of nodes.
func (t *Tree) Len() int { return len(t.nodes) }

// Root returns the outermost value.
func (t *Tree) Root() Node {
	if len(t.nodes) == 0 {
		return Node{}
	}
	return Node{t, 0}
}

// A Node is one JSON value of a Tree. The zero Node is absent: every method works on it
// and finds nothing.
type Node struct {
	t *Tree
	i uint32
}

// Kind returns the node's JSON type.
func (n Node) Kind() Kind {
	if n.t == nil {
		return Absent
	}
	return n.t.nodes[n.i].kind
}

// Raw returns the node's bytes as they were submitted. They must not be changed.
func (n Node) Raw() []byte {
	if n.t == nil {
		return nil
	}
	d := &n.t.nodes[n.i]
	return n.t.src[d.start:d.end:d.end]
}

// Text returns a string's value, the exact text of a number, "true" or "false"; "" for
// everything else. It aliases the input unless the string is written with escapes.
func (n Node) Text() string {
	if n.t == nil {
		return ""
	}
	d := &n.t.nodes[n.i]
	switch d.kind {
	case String:
		if d.flags&escaped != 0 {
			return unquote(n.t.src[d.start:d.end])
		}
		return alias(n.t.src[d.start+1 : d.end-1])
	case Number, True, False:
		return alias(n.t.src[d.start:d.end])
	}
	return ""
}

// Name returns the name of a member of an object, or "".
func (n Node) Name() string {
	if n.t == nil {
		return ""
	}
	return n.t.nameOf(n.i)
}

// Len returns the number of members or elements.
func (n Node) Len() int {
	if n.Kind() < Array {
		return 0
	}
	count := 0
	for i, end := n.i+1, n.t.nodes[n.i].next; i < end; i = n.t.nodes[i].next {
		count++
	}
	return count
}

// Children yields the members of an object or the elements of an array, in order.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if n.Kind() < Array {
			return
		}
		for i, end := n.i+1, n.t.nodes[n.i].next; i < end; i = n.t.nodes[i].next {
			if !yield(Node{n.t, i}) {
				return
			}
		}
	}
}

// Get returns an object's member, or the zero Node.
func (n Node) Get(name string) Node {
	if n.Kind() != Object {
		return Node{}
	}
	if i := n.t.member(n.i, name); i != 0 {
		return Node{n.t, i}
	}
	return Node{}
}

// At returns an array's element, counted from 0, or the zero Node.
func (n Node) At(index int) Node {
	if n.Kind() != Array {
		return Node{}
	}
	for i, end := n.i+1, n.t.nodes[n.i].next; i < end; i = n.t.nodes[i].next {
		if index == 0 {
			return Node{n.t, i}
		}
		index--
	}
	return Node{}
}

// Pointer returns the node's JSON pointer (RFC 6901). It contains the names of the input.
func (n Node) Pointer() string {
	var b strings.Builder
	n.trail(func(index int, name string, inArray bool) {
		b.WriteByte('/')
		if inArray {
			b.WriteString(strconv.Itoa(index))
			return
		}
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	})
	return b.String()
}

// Path returns the node's place in the manner of FHIRPath: "Patient.name[0].given[1]". It
// begins with the resourceType of the root, and contains the names of the input.
func (n Node) Path() string {
	var b strings.Builder
	if n.t != nil {
		b.WriteString(n.t.Root().Get("resourceType").Text())
	}
	n.trail(func(index int, name string, inArray bool) {
		if inArray {
			b.WriteString("[" + strconv.Itoa(index) + "]")
			return
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strings.TrimPrefix(name, "_"))
	})
	return b.String()
}

// trail calls step for each node between the root and n, from the root down.
func (n Node) trail(step func(index int, name string, inArray bool)) {
	if n.t == nil {
		return
	}
	for at := uint32(0); at != n.i; {
		parent := n.t.nodes[at]
		index := 0
		for i := at + 1; i < parent.next; i = n.t.nodes[i].next {
			if n.i < n.t.nodes[i].next {
				step(index, n.t.nameOf(i), parent.kind == Array)
				at = i
				break
			}
			index++
		}
	}
}

// nameOf returns the member name of node i.
func (t *Tree) nameOf(i uint32) string {
	d := &t.nodes[i]
	raw := t.src[d.name : d.name+uint32(d.nameLen)]
	if d.flags&nameEscaped != 0 {
		return unescape(raw)
	}
	return alias(raw)
}

// named reports whether node i has the name.
func (t *Tree) named(i uint32, name string) bool {
	d := &t.nodes[i]
	if d.flags&nameEscaped != 0 {
		return t.nameOf(i) == name
	}
	return int(d.nameLen) == len(name) && string(t.src[d.name:d.name+uint32(d.nameLen)]) == name
}

// member finds a member of object i, or 0.
func (t *Tree) member(i uint32, name string) uint32 {
	for c, end := i+1, t.nodes[i].next; c < end; c = t.nodes[c].next {
		if t.named(c, name) {
			return c
		}
	}
	return 0
}

// alias returns b as a string without copying: the input does not change (see Parse).
func alias(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // b is never written to
}

// unquote returns the value of a JSON string that the parser has accepted.
func unquote(quoted []byte) string {
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}

func unescape(raw []byte) string {
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(quoted, '"')
	quoted = append(quoted, raw...)
	return unquote(append(quoted, '"'))
}
