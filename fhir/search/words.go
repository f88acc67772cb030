package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxWord is how many bytes of a word count: of those that are longer, the beginning.
const MaxWord = 64

// Words are the words of a text as _text and _content know them: what is written without a space, mark or sign in between,
// folded (see Fold).
func Words(s string) []string {
	words := strings.FieldsFunc(Fold(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	for i, w := range words {
		if len(w) > MaxWord {
			n := MaxWord
			for !utf8.RuneStart(w[n]) {
				n--
			}
			words[i] = w[:n]
		}
	}
	return words
}

// A wording reads what _text and _content look for (R4 3.1.1.4.11): words, joined by "and", "or" and "not" in any case, with parentheses. Words
// side by side are joined by "and", which binds closer than "or". A word stands for all that begin with it.
type wording struct {
	*parser
	param *Param
	rest  string
	depth int
}

// words reads one alternative of a parameter whose values are words.
func (p *parser) words(param *Param, value string) (*Clause, *Issue) {
	if len(value) > maxFilter {
		return nil, issue(CodeTooMany, param.Code)
	}
	w := &wording{parser: p, param: param, rest: value}
	c, err := w.either()
	if err != nil {
		return nil, err
	}
	if w.rest != "" { // a parenthesis that nobody opened
		return nil, issue(CodeWords, param.Code)
	}
	return c, nil
}

func (w *wording) skip() { w.rest = strings.TrimLeft(w.rest, " \t\r\n") }

// next is the next word or parenthesis, "" at the end.
func (w *wording) next() string {
	w.skip()
	i := strings.IndexAny(w.rest, " \t\r\n()")
	switch {
	case i < 0:
		return w.rest
	case i == 0:
		return w.rest[:1]
	}
	return w.rest[:i]
}

// takes takes the next word if it is that one.
func (w *wording) takes(word string) bool {
	n := w.next()
	if !strings.EqualFold(n, word) {
		return false
	}
	w.rest = w.rest[len(n):]
	return true
}

func (w *wording) either() (*Clause, *Issue) {
	left, err := w.all()
	for err == nil && w.takes("or") {
		var right *Clause
		if right, err = w.all(); err == nil {
			left = joined(Or, left, right)
		}
	}
	w.skip()
	return left, err
}

func (w *wording) all() (*Clause, *Issue) {
	left, err := w.one()
	for err == nil {
		if !w.takes("and") {
			if n := w.next(); n == "" || n == ")" || strings.EqualFold(n, "or") {
				return left, nil
			}
		}
		var right *Clause
		if right, err = w.one(); err == nil {
			left = joined(And, left, right)
		}
	}
	return nil, err
}

// joined puts a clause behind another: into its list, if that is of the same kind, and not a level for each.
func joined(op Op, left, right *Clause) *Clause {
	if t := left.Tree; t != nil && t.Op == op {
		t.Of = append(t.Of, *right)
		return left
	}
	return &Clause{Tree: &Tree{Op: op, Of: []Clause{*left, *right}}}
}

func (w *wording) one() (*Clause, *Issue) {
	bad := issue(CodeWords, w.param.Code)
	if w.depth++; w.depth > maxNested {
		return nil, issue(CodeTooMany, w.param.Code)
	}
	defer func() { w.depth-- }()
	if w.takes("not") {
		c, err := w.one()
		if err != nil {
			return nil, err
		}
		return &Clause{Tree: &Tree{Op: Negation, Of: []Clause{*c}}}, nil
	}
	if w.takes("(") {
		c, err := w.either()
		if err == nil && !w.takes(")") {
			return nil, bad
		}
		return c, err
	}
	n := w.next()
	if n == "" || n == ")" || strings.EqualFold(n, "and") || strings.EqualFold(n, "or") || strings.Contains(n, `"`) {
		return nil, bad // a phrase is not known by its words
	}
	w.rest = w.rest[len(n):]
	var c *Clause
	for _, word := range Words(n) {
		if w.tests++; w.tests > MaxClauses {
			return nil, issue(CodeTooMany, w.param.Code)
		}
		leaf := &Clause{Param: w.param, Values: []Value{{Text: word}}}
		if c == nil {
			c = leaf
		} else {
			c = joined(And, c, leaf)
		}
	}
	if c == nil {
		return nil, bad // nothing but marks
	}
	return c, nil
}
