package fromfhir

import (
	"strings"
	"unicode/utf8"
)

// A segment is one segment under construction. Its fields hold escaped repetitions.
type segment struct {
	name string
	f    map[int][]string
	last int
}

// segment begins a segment at the end of the message.
func (m *maker) segment(name string) *segment {
	s := m.loose(name)
	m.out = append(m.out, s)
	return s
}

// loose begins a segment that add puts into the message if it says something.
func (m *maker) loose(name string) *segment { return &segment{name: name, f: map[int][]string{}} }

func (m *maker) add(s *segment) {
	if s.last > 0 {
		m.out = append(m.out, s)
	}
}

// append adds a repetition to a field; "" adds none.
func (s *segment) append(field int, repetition string) {
	if repetition == "" {
		return
	}
	s.f[field] = append(s.f[field], repetition)
	s.last = max(s.last, field)
}

// set makes a field what is given; "" leaves it as it is.
func (s *segment) set(field int, repetition string) {
	if repetition == "" {
		return
	}
	s.f[field] = nil
	s.append(field, repetition)
}

// get is a field's first repetition.
func (s *segment) get(field int) string {
	if len(s.f[field]) == 0 {
		return ""
	}
	return s.f[field][0]
}

// encode writes segments with the recommended delimiters, each ended by CR.
func encode(list []*segment) []byte {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s.name)
		first := 1
		if s.name == "MSH" {
			b.WriteString(`|^~\&`)
			first = 3
		}
		for i := first; i <= s.last; i++ {
			b.WriteByte('|')
			b.WriteString(strings.Join(s.f[i], "~"))
		}
		b.WriteByte('\r')
	}
	return []byte(b.String())
}

// components joins escaped components; those at the end that are empty are left out.
func components(list ...string) string { return strings.TrimRight(strings.Join(list, "^"), "^") }

// subs joins escaped subcomponents.
func subs(list ...string) string { return strings.TrimRight(strings.Join(list, "&"), "&") }

// escape writes text as a subcomponent (HL7 v2.5.1 2.7): no character of it is a delimiter, or ends a segment.
// Line ends become \.br\; other control characters, which FHIR does not allow in text, are left out.
func escape(text string) string {
	if text == `""` { // as it is, it would say: delete what is known (2.5.3)
		return `\X22\\X22\`
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '|':
			b.WriteString(`\F\`)
		case r == '^':
			b.WriteString(`\S\`)
		case r == '&':
			b.WriteString(`\T\`)
		case r == '~':
			b.WriteString(`\R\`)
		case r == '\\':
			b.WriteString(`\E\`)
		case r == '\n' || r == '\r':
			b.WriteString(`\.br\`)
		case r == '\t':
			b.WriteString(`\X09\`)
		case r < 0x20 || r == 0x7f || r == utf8.RuneError:
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
