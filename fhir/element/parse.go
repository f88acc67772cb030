package element

import "sync"

// Default bounds of a Parser.
const (
	DefaultDepth = 64       // levels of objects and arrays
	DefaultSize  = 16 << 20 // bytes
	MaxSize      = 1 << 31  // bytes that a Tree can hold
	maxName      = 1 << 10  // bytes of a member's name
)

// A Parser reads JSON within bounds. The zero Parser has the default ones. A Parser may be
// used by several goroutines.
type Parser struct {
	Depth int // levels of objects and arrays; DefaultDepth if 0
	Size  int // bytes of input; DefaultSize if 0
	// Known says which member names may be shown in the location of an error. Others are
	// shown as their position. Without it no name is shown.
	Known func(name string) bool
}

// Parse reads one JSON value with the default bounds. An error is an *Error.
func Parse(src []byte) (*Tree, error) { return Parser{}.Parse(src) }

// A scratch is what parsing needs and the tree does not keep.
type scratch struct{ nodes []node }

var pool = sync.Pool{New: func() any { return &scratch{nodes: make([]node, 0, 512)} }}

// keepScratch bounds the nodes that a pooled scratch holds on to: 1.5 MB.
const keepScratch = 1 << 16

// Parse reads one JSON value. The Tree aliases src, which must not change afterwards. An
// error is an *Error with the place where reading stopped.
func (p Parser) Parse(src []byte) (*Tree, error) {
	if p.Depth <= 0 {
		p.Depth = DefaultDepth
	}
	if p.Size <= 0 {
		p.Size = DefaultSize
	}
	if len(src) > min(p.Size, MaxSize) {
		return nil, &Error{Code: CodeSize}
	}
	s := pool.Get().(*scratch)
	q := parsing{b: src, nodes: s.nodes[:0], limit: p.Depth}
	q.space()
	ok := q.value()
	if ok {
		if q.space(); q.i != len(src) {
			ok = q.stop(CodeTrailing)
		}
	}
	var tree *Tree
	var err error
	if ok {
		tree = &Tree{src: src, nodes: append(make([]node, 0, len(q.nodes)), q.nodes...)}
	} else {
		err = q.fault(p.Known)
	}
	if s.nodes = q.nodes; cap(s.nodes) > keepScratch {
		s.nodes = make([]node, 0, 512)
	}
	pool.Put(s)
	return tree, err
}

// A parsing is the state of one Parse.
type parsing struct {
	b     []byte
	i     int
	nodes []node
	limit int
	code  string
	open  []uint32 // containers around the current value
	room  [DefaultDepth]uint32
}

func (p *parsing) stop(code string) bool {
	if p.code == "" {
		p.code = code
	}
	return false
}

func (p *parsing) space() {
	for p.i < len(p.b) && p.b[p.i] <= ' ' {
		if c := p.b[p.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		p.i++
	}
}

// value reads the value at i into a new node.
func (p *parsing) value() bool {
	if p.i >= len(p.b) {
		return p.stop(CodeSyntax)
	}
	at := len(p.nodes)
	p.nodes = append(p.nodes, node{start: uint32(p.i)})
	return p.fill(at)
}

// fill reads the value at i into node at, which is the last.
func (p *parsing) fill(at int) bool {
	if p.i >= len(p.b) {
		return p.stop(CodeSyntax)
	}
	var kind Kind
	var ok bool
	switch c := p.b[p.i]; c {
	case '"':
		kind = String
		var plain bool
		if plain, ok = p.str(); !plain {
			p.nodes[at].flags |= escaped
		}
	case '{', '[':
		if len(p.open) == p.limit {
			return p.stop(CodeDepth)
		}
		if p.open == nil {
			p.open = p.room[:0]
		}
		p.open = append(p.open, uint32(at))
		p.i++
		if c == '{' {
			kind = Object
			p.nodes[at].kind = kind
			ok = p.object(at)
		} else {
			kind = Array
			p.nodes[at].kind = kind
			ok = p.array()
		}
		if ok {
			p.open = p.open[:len(p.open)-1]
		}
	case 't':
		kind, ok = True, p.word("true")
	case 'f':
		kind, ok = False, p.word("false")
	case 'n':
		kind, ok = Null, p.word("null")
	default:
		kind, ok = Number, p.number()
	}
	n := &p.nodes[at]
	n.kind, n.end, n.next = kind, uint32(p.i), uint32(len(p.nodes))
	return ok
}

func (p *parsing) word(w string) bool {
	if len(p.b)-p.i < len(w) || string(p.b[p.i:p.i+len(w)]) != w {
		return p.stop(CodeSyntax)
	}
	p.i += len(w)
	return true
}

func (p *parsing) number() bool {
	b, i := p.b, p.i
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	ok := i > first && (b[first] != '0' || i == first+1)
	if ok && i < len(b) && b[i] == '.' {
		i++
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		ok = i > from
	}
	if ok && i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		ok = i > from
	}
	if !ok {
		return p.stop(CodeSyntax)
	}
	p.i = i
	return true
}

func (p *parsing) array() bool {
	if p.space(); p.i < len(p.b) && p.b[p.i] == ']' {
		p.i++
		return true
	}
	for {
		if !p.value() {
			return false
		}
		p.space()
		if p.i >= len(p.b) {
			return p.stop(CodeSyntax)
		}
		c := p.b[p.i]
		if c != ',' && c != ']' {
			return p.stop(CodeSyntax)
		}
		if p.i++; c == ']' {
			return true
		}
		p.space()
	}
}

func (p *parsing) object(at int) bool {
	if p.space(); p.i < len(p.b) && p.b[p.i] == '}' {
		p.i++
		return true
	}
	seen := names{at: uint32(at)}
	for {
		if p.i >= len(p.b) || p.b[p.i] != '"' {
			return p.stop(CodeSyntax)
		}
		from := p.i
		plain, ok := p.str()
		if !ok {
			return false
		}
		length := p.i - from - 2
		if length > maxName {
			return p.stop(CodeName)
		}
		member := len(p.nodes)
		n := node{name: uint32(from + 1), nameLen: uint16(length)}
		if !plain {
			n.flags = nameEscaped
		}
		if length > 0 && p.b[from+1] == '_' {
			n.flags |= underscore
			seen.underscores = true
		}
		p.nodes = append(p.nodes, n)
		if !seen.add(p, member) {
			p.i = from
			return p.stop(CodeDuplicate)
		}
		if p.i < len(p.b) && p.b[p.i] == ':' {
			p.i++
		} else if p.space(); p.i < len(p.b) && p.b[p.i] == ':' {
			p.i++
		} else {
			return p.stop(CodeSyntax)
		}
		p.space()
		p.nodes[member].start = uint32(p.i)
		if !p.fill(member) {
			return false
		}
		p.space()
		if p.i >= len(p.b) {
			return p.stop(CodeSyntax)
		}
		c := p.b[p.i]
		if c != ',' && c != '}' {
			return p.stop(CodeSyntax)
		}
		if p.i++; c == '}' {
			if seen.underscores {
				seen.pair(p)
			}
			return true
		}
		p.space()
	}
}

// manyNames is how many members an object has before a map finds its names.
const manyNames = 48

// names finds repeated names and "_" siblings in one object.
type names struct {
	at          uint32 // the object
	count       int
	mask        uint64 // of hashes of the names so far
	underscores bool
	many        map[string]uint32
}

// add takes in the name of a member; false if the object has it already.
func (s *names) add(p *parsing, member int) bool {
	d := &p.nodes[member]
	t := Tree{src: p.b, nodes: p.nodes}
	s.count++
	if s.count > manyNames {
		if s.many == nil {
			s.many = make(map[string]uint32, 2*manyNames)
			for c := s.at + 1; c < uint32(member); c = p.nodes[c].next {
				s.many[t.nameOf(c)] = c
			}
		}
		name := t.nameOf(uint32(member))
		_, dup := s.many[name]
		s.many[name] = uint32(member)
		return !dup
	}
	var bit uint64
	if d.flags&nameEscaped != 0 {
		bit = ^uint64(0) // compare with all, and let all others compare
	} else if d.nameLen > 0 {
		h := uint(p.b[d.name])*7 + uint(p.b[d.name+uint32(d.nameLen)-1])*31 + uint(d.nameLen)*13
		bit = 1 << (h & 63)
	} else {
		bit = 1
	}
	if s.mask&bit != 0 {
		name := t.nameOf(uint32(member))
		for c := s.at + 1; c < uint32(member); c = p.nodes[c].next {
			if t.named(c, name) {
				return false
			}
		}
	}
	s.mask |= bit
	return true
}

// pair links each member "_x" with its member "x".
func (s *names) pair(p *parsing) {
	t := Tree{src: p.b, nodes: p.nodes}
	end := uint32(len(p.nodes))
	for c := s.at + 1; c < end; c = p.nodes[c].next {
		if p.nodes[c].flags&underscore == 0 {
			continue
		}
		name := t.nameOf(c)[1:]
		var plain uint32
		if s.many != nil {
			plain = s.many[name]
		} else {
			for o := s.at + 1; o < end; o = p.nodes[o].next {
				if t.named(o, name) {
					plain = o
					break
				}
			}
		}
		if plain != 0 {
			p.nodes[c].twin, p.nodes[plain].twin = plain, c
		}
	}
}
