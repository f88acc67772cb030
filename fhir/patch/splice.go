package patch

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"salus/fhir/element"
)

// The functions here work on JSON that a parser has accepted: unique names, no surprises.

// A span is a part of the bytes.
type span struct{ from, to int }

// A place is where a value is, with its name if it is a member of an object.
type place struct {
	value span
	name  span // with its quotes; empty for an item of an array
}

// pointer returns the tokens of a node's JSON pointer.
func pointer(n element.Node) []string {
	p := n.Pointer()
	if p == "" {
		return nil
	}
	tokens := strings.Split(p[1:], "/")
	for i, t := range tokens {
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(t)
	}
	return tokens
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skip returns the end of the value that begins at i.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		for i++; b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skip(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && strings.IndexByte(" \t\r\n,]}", b[i]) < 0 {
		i++
	}
	return i
}

// elements returns the items of the array at s; nil if it is none.
func elements(b []byte, s span) (out []span) {
	if b[s.from] != '[' {
		return nil
	}
	for i := space(b, s.from+1); b[i] != ']'; {
		end := skip(b, i)
		out = append(out, span{i, end})
		if i = space(b, end); b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return out
}

// members returns the members of the object at s; nil if it is none.
func members(b []byte, s span) (out []place) {
	if b[s.from] != '{' {
		return nil
	}
	for i := space(b, s.from+1); b[i] != '}'; {
		name := span{i, skip(b, i)}
		v := space(b, space(b, name.to)+1)
		end := skip(b, v)
		out = append(out, place{span{v, end}, name})
		if i = space(b, end); b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return out
}

// nameOf returns the name of a member, whose escapes are resolved.
func nameOf(b []byte, p place) string {
	name := b[p.name.from+1 : p.name.to-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var s string
		if json.Unmarshal(b[p.name.from:p.name.to], &s) == nil {
			return s
		}
	}
	return string(name)
}

// locate finds the value that the tokens lead to.
func locate(b []byte, tokens []string) (place, bool) {
	at := place{value: span{space(b, 0), len(b)}}
	at.value.to = skip(b, at.value.from)
	for _, t := range tokens {
		found := false
		if b[at.value.from] == '[' {
			i, err := strconv.Atoi(t)
			list := elements(b, at.value)
			if found = err == nil && i >= 0 && i < len(list); found {
				at = place{value: list[i]}
			}
		} else {
			for _, m := range members(b, at.value) {
				if nameOf(b, m) == t {
					at, found = m, true
					break
				}
			}
		}
		if !found {
			return place{}, false
		}
	}
	return at, true
}

// cut replaces a part of the bytes, which are never changed in place.
func (x *patching) cut(s span, with ...[]byte) {
	x.src = slices.Concat(x.src[:s.from], slices.Concat(with...), x.src[s.to:])
}

// at replaces the value that the tokens lead to.
func (x *patching) at(tokens []string, raw []byte) {
	if p, ok := locate(x.src, tokens); ok {
		x.cut(p.value, raw)
	}
}

// assign gives a member of an object a value, or takes it away with nil.
func (x *patching) assign(object []string, name string, raw []byte) {
	o, ok := locate(x.src, object)
	if !ok {
		return
	}
	list := members(x.src, o.value)
	for i, m := range list {
		if nameOf(x.src, m) != name {
			continue
		}
		switch {
		case raw != nil:
			x.cut(m.value, raw)
		case i > 0: // with the comma before it
			x.cut(span{list[i-1].value.to, m.value.to})
		case len(list) > 1: // with the comma after it
			x.cut(span{m.name.from, list[1].name.from})
		default:
			x.cut(span{m.name.from, m.value.to})
		}
		return
	}
	if raw == nil {
		return
	}
	quoted := []byte(`"` + name + `":`)
	if len(list) == 0 {
		x.cut(span{o.value.from + 1, o.value.from + 1}, quoted, raw)
		return
	}
	end := list[len(list)-1].value.to
	x.cut(span{end, end}, []byte(","), x.gap(list), quoted, raw)
}

// gap returns the space that stands before members, so that a pretty text stays one.
func (x *patching) gap(list []place) []byte {
	from := list[len(list)-1].name.from
	to := from
	for from > 0 && strings.IndexByte(" \t\r\n", x.src[from-1]) >= 0 {
		from--
	}
	return x.src[from:to]
}

// rename gives a member, if it is there, another name.
func (x *patching) rename(tokens []string, name string) {
	if p, ok := locate(x.src, tokens); ok {
		x.cut(p.name, []byte(`"`+name+`"`))
	}
}

// insertAt puts an item into an array.
func (x *patching) insertAt(tokens []string, index int, raw []byte) {
	p, ok := locate(x.src, tokens)
	if !ok || x.src[p.value.from] != '[' {
		return
	}
	list := elements(x.src, p.value)
	switch {
	case len(list) == 0:
		x.cut(span{p.value.from + 1, p.value.from + 1}, raw)
	case index < len(list):
		at := list[index].from
		x.cut(span{at, at}, raw, []byte(","))
	default:
		at := list[len(list)-1].to
		x.cut(span{at, at}, []byte(","), raw)
	}
}

// dropAt takes an item out of an array; one that is not that long stays.
func (x *patching) dropAt(tokens []string, index int) {
	p, ok := locate(x.src, tokens)
	if !ok {
		return
	}
	list := elements(x.src, p.value)
	switch {
	case index >= len(list):
	case index > 0:
		x.cut(span{list[index-1].to, list[index].to})
	case len(list) > 1:
		x.cut(span{list[0].from, list[1].from})
	default:
		x.cut(list[0])
	}
}
