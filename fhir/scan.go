package fhir

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// Limits on input. They bound memory and the stack on hostile input.
const (
	MaxDepth    = 64        // levels of objects and arrays within one resource
	MaxResource = 16 << 20  // bytes of one resource
	MaxBundle   = 128 << 20 // bytes of one Bundle
	MaxImport   = 512 << 20 // bytes of resources that GroupByPatient holds at once
)

// A scanner checks JSON strictly in one pass, without building anything: grammar (RFC
// 8259), UTF-8, surrogate pairs, unique names (RFC 7493) and depth.
//
// What breaks the grammar stops the scan (err). What leaves it intact is kept in soft and
// the scan goes on, so that one bad resource in a Bundle does not take the others with it.
type scanner struct {
	b     []byte
	i     int
	depth int
	limit int      // of depth
	keys  [][]byte // names of the open objects, innermost last

	err    string // code of the fault that stopped the scan
	soft   string // code of the first fault that did not
	softAt int
}

// stop ends the scan at the current byte.
func (s *scanner) stop(code string) bool {
	if s.err == "" {
		s.err = code
	}
	return false
}

func (s *scanner) note(code string, at int) {
	if s.soft == "" {
		s.soft, s.softAt = code, at
	}
}

// fault returns the scan's fault as an Issue, or nil.
func (s *scanner) fault() *Issue {
	switch {
	case s.err != "":
		return issue(s.err, "").place(s.b, s.i)
	case s.soft != "":
		return issue(s.soft, "").place(s.b, s.softAt)
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return
		}
	}
}

// peek skips space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i == len(s.b) {
		return 0
	}
	return s.b[s.i]
}

// value scans any value.
func (s *scanner) value() bool {
	switch c := s.peek(); c {
	case '{':
		return s.object(nil)
	case '[':
		return s.array(nil)
	case '"':
		_, ok := s.str()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.stop(CodeJSON)
	}
	s.i += len(word)
	return true
}

func (s *scanner) number() bool {
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return s.stop(CodeJSON)
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		if s.i++; !s.digits() {
			return s.stop(CodeJSON)
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		if s.i++; s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return s.stop(CodeJSON)
		}
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	return s.i > start
}

func (s *scanner) enter() bool {
	if s.depth == s.limit {
		return s.stop(CodeDepth)
	}
	s.depth++
	s.i++
	return true
}

// array scans an array. each, if given, scans one element.
func (s *scanner) array(each func() bool) bool {
	if !s.enter() {
		return false
	}
	for first := true; ; first = false {
		c := s.peek()
		if c == ']' && first {
			break
		}
		if each == nil && !s.value() || each != nil && !each() {
			return false
		}
		if c = s.peek(); c == ']' {
			break
		}
		if c != ',' {
			return s.stop(CodeJSON)
		}
		s.i++
		s.space()
	}
	s.i++
	s.depth--
	return true
}

// object scans an object. on, if given, is called with each name when the scanner stands
// at its value; it returns false to leave the value to the scanner.
func (s *scanner) object(on func(name []byte) (taken bool)) bool {
	if !s.enter() {
		return false
	}
	names := nameSet{base: len(s.keys)}
	for first := true; ; first = false {
		c := s.peek()
		if c == '}' && first {
			break
		}
		if c != '"' {
			return s.stop(CodeJSON)
		}
		at := s.i
		name, ok := s.name()
		if !ok {
			return false
		}
		if !names.add(s, name) {
			s.note(CodeDuplicateKey, at)
		}
		if s.peek() != ':' {
			return s.stop(CodeJSON)
		}
		s.i++
		s.space()
		if on == nil || !on(name) {
			if s.err != "" || !s.value() {
				return false
			}
		}
		if c = s.peek(); c == '}' {
			break
		}
		if c != ',' {
			return s.stop(CodeJSON)
		}
		s.i++
	}
	s.i++
	s.depth--
	s.keys = s.keys[:names.base]
	return true
}

// A nameSet finds repeated names of one object: by comparing for the small objects that
// FHIR has, by a map for those made to be slow.
type nameSet struct {
	base int // where the object's names begin in scanner.keys
	many map[string]struct{}
}

func (n *nameSet) add(s *scanner, name []byte) (fresh bool) {
	if n.many != nil {
		_, dup := n.many[string(name)]
		n.many[string(name)] = struct{}{}
		return !dup
	}
	for _, k := range s.keys[n.base:] {
		if string(k) == string(name) {
			return false
		}
	}
	s.keys = append(s.keys, name)
	if len(s.keys)-n.base > 32 {
		n.many = make(map[string]struct{}, 64)
		for _, k := range s.keys[n.base:] {
			n.many[string(k)] = struct{}{}
		}
	}
	return true
}

// name scans a string and returns its value. The value aliases the input unless the name
// is written with escapes.
func (s *scanner) name() ([]byte, bool) {
	start := s.i
	plain, ok := s.str()
	if !ok {
		return nil, false
	}
	if plain {
		return s.b[start+1 : s.i-1], true
	}
	text := unquote(s.b[start:s.i])
	return []byte(text), true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str scans a string and reports whether it is plain, that is without escapes.
func (s *scanner) str() (plain, ok bool) {
	b := s.b
	i := s.i + 1
	plain = true
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			stop := (w | (quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
			if stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			s.i = len(b)
			return plain, s.stop(CodeJSON)
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return plain, true
		case c == '\\':
			plain = false
			s.i = i
			if !s.escape() {
				return plain, false
			}
			i = s.i
		case c < ' ':
			s.i = i
			return plain, s.stop(CodeJSON)
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				s.note(CodeUTF8, i)
			}
			i += n
		}
	}
}

// escape scans one escape, or two that form a surrogate pair.
func (s *scanner) escape() bool {
	if s.i+1 >= len(s.b) {
		return s.stop(CodeJSON)
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return true
	case 'u':
	default:
		return s.stop(CodeJSON)
	}
	at := s.i
	u, ok := hex4(s.b, s.i+2)
	if !ok {
		return s.stop(CodeJSON)
	}
	s.i += 6
	if u < 0xd800 || u > 0xdfff {
		return true
	}
	if u < 0xdc00 && s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		if low, ok := hex4(s.b, s.i+2); ok && low >= 0xdc00 && low <= 0xdfff {
			s.i += 6
			return true
		}
	}
	s.note(CodeSurrogate, at)
	return true
}

func hex4(b []byte, i int) (u rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		u <<= 4
		switch {
		case c-'0' <= 9:
			u |= rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			u |= rune(c | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	return u, true
}

// unquote returns the value of a JSON string that was scanned before.
func unquote(quoted []byte) string {
	if len(quoted) < 2 || quoted[0] != '"' {
		return ""
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return ""
	}
	return text
}
