package search

import (
	"encoding/json"
	"strings"
)

// A Tree joins clauses: what _filter asks for (R4 3.1.3), as a part of the Query like every other
// parameter, so that whatever holds of clauses holds of it.
type Tree struct {
	Op Op
	Of []Clause // two of And and Or, one of Negation
}

// An Op is how clauses are joined.
type Op uint8

// The ways of joining.
const (
	And Op = iota + 1
	Or
	Negation
)

// Limits on a filter, besides those on the query's clauses.
const (
	maxFilter = 8192 // bytes
	maxNested = 16   // parentheses
)

// A filtering is the reading of one _filter.
type filtering struct {
	*parser
	types []string
	rest  string
	depth int
}

// filter reads a _filter:
//
//	filter = test *(("and" / "or") test), from left to right without precedence
//	test   = ["not"] "(" filter ")" / path op value
//	path   = name *("." name)
//	value  = JSON string / characters without white space and parentheses
func (p *parser) filter(value string) (*Clause, *Issue) {
	if len(value) > maxFilter {
		return nil, issue(CodeTooMany, "_filter")
	}
	f := &filtering{parser: p, types: p.q.Types, rest: value}
	c, err := f.expression()
	if err != nil {
		return nil, err
	}
	if f.skip(); f.rest != "" {
		return nil, issue(CodeFilter, "_filter")
	}
	return c, nil
}

func (f *filtering) skip() { f.rest = strings.TrimLeft(f.rest, " \t\r\n") }

// word takes a word that white space, a parenthesis or the end follows.
func (f *filtering) word() string {
	f.skip()
	i := strings.IndexAny(f.rest, " \t\r\n()")
	if i < 0 {
		i = len(f.rest)
	}
	w := f.rest[:i]
	f.rest = f.rest[i:]
	return w
}

func (f *filtering) expression() (*Clause, *Issue) {
	left, err := f.test()
	for err == nil {
		before := f.rest
		op := Op(0)
		switch f.word() {
		case "and":
			op = And
		case "or":
			op = Or
		default:
			f.rest = before
			return left, nil
		}
		var right *Clause
		if right, err = f.test(); err == nil {
			left = joined(op, left, right)
		}
	}
	return nil, err
}

func (f *filtering) test() (*Clause, *Issue) {
	bad := issue(CodeFilter, "_filter")
	f.skip()
	if strings.HasPrefix(f.rest, "(") {
		return f.parentheses()
	}
	path := f.word()
	if path == "not" {
		if f.skip(); !strings.HasPrefix(f.rest, "(") {
			return nil, bad
		}
		c, err := f.parentheses()
		if err != nil {
			return nil, err
		}
		return &Clause{Tree: &Tree{Op: Negation, Of: []Clause{*c}}}, nil
	}
	if strings.ContainsAny(path, "[]") {
		return nil, issue(CodeNotSupported, "_filter") // a filter within a path
	}
	if path == "" || strings.Trim(path, letters+"-_.") != "" {
		return nil, bad
	}
	op := f.word()
	value, ok := f.value()
	if !ok {
		return nil, bad
	}
	if f.tests++; f.tests > MaxClauses {
		return nil, issue(CodeTooMany, "_filter")
	}
	return f.path(f.types, path, op, value, MaxChain)
}

// parentheses reads what is in a pair of them. It keeps a list within them apart from one around.
func (f *filtering) parentheses() (*Clause, *Issue) {
	if f.depth++; f.depth > maxNested {
		return nil, issue(CodeTooMany, "_filter")
	}
	f.rest = f.rest[1:]
	c, err := f.expression()
	if err != nil {
		return nil, err
	}
	if f.skip(); !strings.HasPrefix(f.rest, ")") {
		return nil, issue(CodeFilter, "_filter")
	}
	f.rest = f.rest[1:]
	f.depth--
	if c.Tree != nil {
		c = &Clause{Tree: &Tree{Op: And, Of: []Clause{*c}}}
	}
	return c, nil
}

// value reads a JSON string or a bare value.
func (f *filtering) value() (s string, ok bool) {
	f.skip()
	if !strings.HasPrefix(f.rest, `"`) {
		s = f.word()
		return s, s != ""
	}
	for i := 1; i < len(f.rest); i++ {
		switch f.rest[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(f.rest[:i+1]), &s) != nil {
				return "", false
			}
			f.rest = f.rest[i+1:]
			return s, s != "" && (f.rest == "" || strings.ContainsAny(f.rest[:1], " \t\r\n()"))
		}
	}
	return "", false
}

// path reads a test of a parameter, or of one at the other end of references.
func (f *filtering) path(types []string, path, op, value string, links int) (*Clause, *Issue) {
	if first, rest, chained := strings.Cut(path, "."); chained {
		return f.chain(types, first, links, func(t string) (*Clause, *Issue) {
			return f.path([]string{t}, rest, op, value, links-1)
		})
	}
	param, err := f.param(types, path)
	if err != nil {
		return nil, err
	}
	if param.Kind == Special || param.Words {
		return nil, issue(CodeNotSupported, param.Code)
	}
	if op == "pr" {
		if value != "true" && value != "false" {
			return nil, issue(CodeModifierValue, param.Code)
		}
		return &Clause{Param: param, Modifier: Missing, Missing: value == "false"}, nil
	}
	m, prefix, ok := operator(param, op)
	if !ok {
		if _, known := operators[op]; !known {
			return nil, issue(CodeFilter, "_filter")
		}
		return nil, issue(CodeOperator, param.Code)
	}
	c := &Clause{Param: param, Modifier: m}
	switch {
	case m == In, m == NotIn, (m == Above || m == Below) && param.Kind == Token:
		if err := f.resolve(c, strings.ReplaceAll(value, ",", `\,`)); err != nil {
			return nil, err
		}
		return c, nil
	case prefix != "":
		value = prefix + value
	}
	if c.Values, err = f.values(c, value); err != nil {
		return nil, err
	}
	if m == Differs && len(c.Values) > 1 {
		return nil, issue(CodeValue, param.Code) // an id without its type stands for one of each
	}
	if op == "po" {
		v, ok := Instants(value)
		if !ok {
			return nil, issue(CodeValue, param.Code)
		}
		c.Values = []Value{{Prefix: AP, Range: v}} // overlaps, and no more
	}
	f.measured(c)
	return c, nil
}

// operators are those of R4 3.1.3, with the modifier that each is of a string.
var operators = map[string]Modifier{
	"eq": Equals, "ne": Differs, "co": Contains, "sw": Plain, "ew": Ends, "gt": 0, "lt": 0, "ge": 0, "le": 0, "ap": 0, "sa": 0, "eb": 0, "pr": 0, "po": 0,
	"ss": Below, "sb": Above, "in": In, "ni": NotIn, "re": Plain,
}

// operator is what an operation asks of a parameter: a modifier, or a prefix of the value.
func operator(p *Param, op string) (m Modifier, prefix string, ok bool) {
	switch p.Kind {
	case String:
		switch op {
		case "eq", "ne", "co", "sw", "ew":
			return operators[op], "", true
		}
	case URI:
		switch op {
		case "eq":
			return Plain, "", true
		case "sw":
			return Below, "", true
		case "ne", "co", "ew":
			return operators[op], "", true
		}
	case Token:
		switch {
		case op == "eq":
			return Plain, "", true
		case op == "ne" && p.Code == "_id":
			return Not, "", true // there is one
		case op == "ne":
			return Differs, "", true
		case p.Code == "_id":
		case op == "ss", op == "sb", op == "in", op == "ni":
			return operators[op], "", true
		}
	case Reference:
		switch op {
		case "eq", "re":
			return Plain, "", true
		case "ne":
			return Differs, "", true
		}
	case Number, Date, Quantity:
		switch op {
		case "eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb":
			return Plain, op, true
		case "po":
			return Plain, "", p.Kind == Date
		}
	case Composite:
		return Plain, "", op == "eq"
	}
	return 0, "", false
}
