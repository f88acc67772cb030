package index

import "strings"

// A step of a path.
type step struct {
	op   stepOp
	name string // of a child, a type, or the child that is compared
	want string // what it must be
	nth  int
}

type stepOp uint8

const (
	child   stepOp = iota // .name
	as                    // as(name), ofType(name): of a value of several types
	equals                // where(name = 'want')
	leadsTo               // where(resolve() is name)
	nth                   // [nth]
)

// paths reads an expression as alternatives of steps. ok is false where it is anything else.
func paths(expression string) (all [][]step, ok bool) {
	for _, part := range cut(expression, '|') {
		p := &pathParser{s: strings.TrimSpace(part)}
		steps, ok := p.path()
		if !ok || p.s != "" {
			return nil, false
		}
		all = append(all, steps)
	}
	return all, true
}

// cut splits at a separator that stands outside of parentheses and quotes.
func cut(s string, sep byte) (parts []string) {
	depth, quoted, from := 0, false, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == sep && depth == 0:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// A pathParser eats s from its beginning.
type pathParser struct{ s string }

func (p *pathParser) eat(token string) bool {
	rest, ok := strings.CutPrefix(p.s, token)
	if ok {
		p.s = rest
	}
	return ok
}

func (p *pathParser) space() { p.s = strings.TrimLeft(p.s, " \t\r\n") }

// word eats a name.
func (p *pathParser) word() string {
	i := 0
	for i < len(p.s) && (p.s[i] == '_' || p.s[i]|0x20 >= 'a' && p.s[i]|0x20 <= 'z' || i > 0 && p.s[i] >= '0' && p.s[i] <= '9') {
		i++
	}
	w := p.s[:i]
	p.s = p.s[i:]
	return w
}

// text eats a literal without escapes.
func (p *pathParser) text() (string, bool) {
	if !p.eat("'") {
		return "", false
	}
	s, rest, ok := strings.Cut(p.s, "'")
	p.s = rest
	return s, ok && !strings.Contains(s, `\`)
}

// path reads name(.step)* or (path as Type)(.step)*.
func (p *pathParser) path() (steps []step, ok bool) {
	if p.eat("(") {
		if steps, ok = p.path(); !ok {
			return nil, false
		}
		if p.space(); p.eat("as ") {
			p.space()
			t := p.word()
			if t == "" {
				return nil, false
			}
			steps = append(steps, step{op: as, name: t})
			p.space()
		}
		if !p.eat(")") {
			return nil, false
		}
	} else if steps, ok = p.step(nil); !ok {
		return nil, false
	}
	for {
		switch {
		case p.eat("["):
			n := 0
			for len(p.s) > 0 && p.s[0] >= '0' && p.s[0] <= '9' && n < 1e6 {
				n, p.s = 10*n+int(p.s[0]-'0'), p.s[1:]
			}
			if !p.eat("]") {
				return nil, false
			}
			steps = append(steps, step{op: nth, nth: n})
		case p.eat("."):
			if steps, ok = p.step(steps); !ok {
				return nil, false
			}
		default:
			return steps, true
		}
	}
}

// step reads a name or a function.
func (p *pathParser) step(steps []step) ([]step, bool) {
	name := p.word()
	if name == "" {
		return nil, false
	}
	if !p.eat("(") {
		return append(steps, step{op: child, name: name}), true
	}
	var ok bool
	switch name {
	case "as", "ofType":
		t := p.word()
		ok = t != ""
		steps = append(steps, step{op: as, name: t})
	case "extension":
		var url string
		url, ok = p.text()
		steps = append(steps, step{op: child, name: "extension"}, step{op: equals, name: "url", want: url})
	case "where":
		var s step
		s, ok = p.condition()
		steps = append(steps, s)
	default:
		return nil, false
	}
	return steps, ok && len(steps) > 1 && p.eat(")")
}

// condition reads resolve() is Type, or name = 'text'.
func (p *pathParser) condition() (step, bool) {
	if p.eat("resolve() is ") {
		t := p.word()
		return step{op: leadsTo, name: t}, t != ""
	}
	name := p.word()
	p.space()
	if name == "" || !p.eat("=") {
		return step{}, false
	}
	p.space()
	want, ok := p.text()
	return step{op: equals, name: name, want: want}, ok
}
