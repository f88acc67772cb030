package fhir

import (
	"bytes"
	"iter"
)

// A value is one JSON value that a scanner has accepted, so walking it needs no checks.
// On bytes that no scanner saw the walk may give nonsense, but it ends and stays in bounds.
type value []byte

func (v value) trim() value { return bytes.Trim(v, " \t\r\n") }

func (v value) isObject() bool { return len(v) > 1 && v[0] == '{' }
func (v value) isArray() bool  { return len(v) > 1 && v[0] == '[' }

// text returns a string's value, or "" for everything else.
func (v value) text() string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	t := unquote(v)
	return t
}

// members yields an object's members in order; nothing for other values.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		if !v.isObject() {
			return
		}
		for i := 1; ; {
			if i = skipSeparators(v, i); i >= len(v) || v[i] != '"' {
				return
			}
			end := skipString(v, i)
			name := v[i:end].text()
			if i = skipSeparators(v, end); i >= len(v) {
				return
			}
			if end = skip(v, i); end <= i || !yield(name, v[i:end]) {
				return
			}
			i = end
		}
	}
}

// elements yields an array's elements; any other value is an array of itself alone, as
// FHIR readers must not trip over a missing pair of brackets when they look for labels.
func (v value) elements() iter.Seq[value] {
	return func(yield func(value) bool) {
		if !v.isArray() {
			if len(v) > 0 {
				yield(v)
			}
			return
		}
		for i := 1; ; {
			if i = skipSeparators(v, i); i >= len(v) || v[i] == ']' {
				return
			}
			end := skip(v, i)
			if end <= i || !yield(v[i:end]) {
				return
			}
			i = end
		}
	}
}

// get follows names through objects; an array on the way stands for its first element.
func (v value) get(path ...string) value {
	for _, name := range path {
		v = v.first()
		var next value
		for k, m := range v.members() {
			if k == name {
				next = m
				break
			}
		}
		if v = next; v == nil {
			return nil
		}
	}
	return v
}

// first returns the first element of an array, or the value itself.
func (v value) first() value {
	for e := range v.elements() {
		return e
	}
	return nil
}

// skipSeparators skips space, ',' and ':'.
func skipSeparators(v value, i int) int {
	for i < len(v) {
		switch v[i] {
		case ' ', '\n', '\r', '\t', ',', ':':
			i++
		default:
			return i
		}
	}
	return i
}

// skipString returns the end of the string that begins at i.
func skipString(v value, i int) int {
	for i++; i < len(v); {
		n := bytes.IndexByte(v[i:], '"')
		if n < 0 {
			return len(v)
		}
		slashes := 0
		for v[i+n-1-slashes] == '\\' {
			slashes++
		}
		i += n + 1
		if slashes%2 == 0 {
			return i
		}
	}
	return len(v)
}

// skip returns the end of the value that begins at i.
func skip(v value, i int) int {
	depth := 0
	for i < len(v) {
		switch v[i] {
		case '"':
			if i = skipString(v, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1
			}
		default:
			if depth == 0 {
				for i < len(v) && !delimiter(v[i]) {
					i++
				}
				return i
			}
		}
		i++
	}
	return len(v)
}

func delimiter(c byte) bool {
	return c <= ' ' || c == ',' || c == ']' || c == '}'
}
