package fhirpath

import "strconv"

type op uint8

const (
	opLiteral op = iota
	opMember
	opCall
	opIndex
	opDollar
	opVariable
	opSign
	opBinary
	opIs
	opAs
)

// A node is one part of an expression. base is nil where it begins with the focus.
type node struct {
	op   op
	name string
	pos  int
	base *node
	args []*node
	lit  []Value
	step // prepared by compile
}

const (
	maxDepth = 128     // nesting of an expression
	maxText  = 1 << 16 // its bytes
)

type parser struct {
	toks  []token
	i     int
	depth int
}

func parse(text string) (*node, error) {
	if len(text) > maxText {
		return nil, fail(CodeSyntax, 0, "the expression is too long")
	}
	toks, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	n, err := p.expression(0)
	if err == nil && p.at().kind != tokEOF {
		err = p.wrong()
	}
	return n, err
}

func (p *parser) at() token    { return p.toks[p.i] }
func (p *parser) wrong() error { return fail(CodeSyntax, p.at().pos, "this is not expected here") }

func (p *parser) take(op string) bool {
	if t := p.at(); t.kind == tokOp && t.text == op {
		p.i++
		return true
	}
	return false
}

// levels gives the binary operators their precedence; a higher one binds tighter.
var levels = map[string]int{
	"implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
	"<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}

func (p *parser) expression(level int) (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fail(CodeSyntax, p.at().pos, "the expression is nested too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.unary()
	if err != nil {
		return nil, err
	}
	for chain := 0; ; chain++ {
		t := p.at()
		l := levels[t.text]
		if l == 0 || l <= level || t.kind != tokOp && t.kind != tokName {
			return left, nil
		}
		if chain > 4*maxDepth {
			return nil, fail(CodeSyntax, t.pos, "the expression is too long")
		}
		p.i++
		if t.text == "is" || t.text == "as" {
			kind := opIs
			if t.text == "as" {
				kind = opAs
			}
			n := &node{op: kind, base: left, pos: t.pos}
			if n.name, err = p.typeName(); err != nil {
				return nil, err
			}
			left = n
			continue
		}
		right, err := p.expression(l)
		if err != nil {
			return nil, err
		}
		left = &node{op: opBinary, name: t.text, pos: t.pos, args: []*node{left, right}}
	}
}

func (p *parser) typeName() (string, error) {
	t := p.at()
	if t.kind != tokName && t.kind != tokQuoted {
		return "", p.wrong()
	}
	p.i++
	name := t.text
	if p.take(".") {
		if t = p.at(); t.kind != tokName && t.kind != tokQuoted {
			return "", p.wrong()
		}
		p.i++
		name += "." + t.text
	}
	return name, nil
}

func (p *parser) unary() (*node, error) {
	if t := p.at(); t.kind == tokOp && (t.text == "+" || t.text == "-") {
		if p.depth++; p.depth > maxDepth {
			return nil, fail(CodeSyntax, t.pos, "the expression is nested too deep")
		}
		defer func() { p.depth-- }()
		p.i++
		n, err := p.unary()
		return &node{op: opSign, name: t.text, base: n, pos: t.pos}, err
	}
	n, err := p.term()
	for chain := 0; err == nil; chain++ {
		switch {
		case chain > 4*maxDepth:
			return nil, fail(CodeSyntax, p.at().pos, "the expression is too long")
		case p.take("."):
			n, err = p.invocation(n)
		case p.take("["):
			i := &node{op: opIndex, base: n, pos: p.at().pos}
			var arg *node
			if arg, err = p.expression(0); err == nil && !p.take("]") {
				err = p.wrong()
			}
			i.args = []*node{arg}
			n = i
		default:
			return n, nil
		}
	}
	return nil, err
}

// invocation reads a member or a function call.
func (p *parser) invocation(base *node) (*node, error) {
	t := p.at()
	n := &node{base: base, name: t.text, pos: t.pos}
	switch {
	case t.kind == tokDollar:
		p.i++
		n.op = opDollar
		if base != nil || t.text != "$this" && t.text != "$index" && t.text != "$total" {
			return nil, p.wrong()
		}
		return n, nil
	case t.kind != tokName && t.kind != tokQuoted:
		return nil, p.wrong()
	}
	p.i++
	if t.kind == tokQuoted || !p.take("(") {
		n.op = opMember
		return n, nil
	}
	n.op = opCall
	if p.take(")") {
		return n, nil
	}
	for {
		arg, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
		if p.take(")") {
			return n, nil
		}
		if !p.take(",") {
			return nil, p.wrong()
		}
	}
}

func (p *parser) term() (*node, error) {
	t := p.at()
	n := &node{op: opLiteral, pos: t.pos}
	switch t.kind {
	case tokString:
		p.i++
		n.lit = []Value{Text(t.text)}
	case tokNumber:
		p.i++
		d, _ := parseDecimal(t.text)
		v := Value{kind: Decimal, dec: d}
		if i, err := strconv.ParseInt(t.text, 10, 32); err == nil {
			v = Int(i)
		}
		if u := p.at(); u.kind == tokString || u.kind == tokName && calendar[u.text] != "" {
			p.i++
			v = quantityOf(d, u.text, u.kind == tokName || calendar[u.text] != "")
		}
		n.lit = []Value{v}
	case tokDate:
		p.i++
		v, ok := parseTemporal(t.text)
		if !ok {
			return nil, fail(CodeSyntax, t.pos, "this is not a date or time")
		}
		n.lit = []Value{{kind: kindOf(v), tm: v}}
	case tokOp:
		switch {
		case p.take("("):
			e, err := p.expression(0)
			if err == nil && !p.take(")") {
				err = p.wrong()
			}
			return e, err
		case p.take("{"):
			if !p.take("}") {
				return nil, p.wrong()
			}
		case p.take("%"):
			t = p.at()
			if t.kind != tokName && t.kind != tokQuoted && t.kind != tokString {
				return nil, p.wrong()
			}
			p.i++
			n.op, n.name = opVariable, t.text
		default:
			return nil, p.wrong()
		}
	case tokName:
		if (t.text == "true" || t.text == "false") && p.toks[p.i+1].text != "(" {
			p.i++
			n.lit = []Value{Bool(t.text == "true")}
			return n, nil
		}
		return p.invocation(nil)
	case tokQuoted, tokDollar:
		return p.invocation(nil)
	default:
		return nil, p.wrong()
	}
	return n, nil
}
