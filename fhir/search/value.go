package search

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A Prefix compares what is searched with what is there (R4 3.1.1.4.5).
type Prefix uint8

// The prefixes of numbers, dates and quantities.
const (
	EQ Prefix = iota
	NE
	GT
	LT
	GE
	LE
	SA // starts after
	EB // ends before
	AP // approximately
)

var prefixNames = [...]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

// String is the prefix as it is written.
func (p Prefix) String() string {
	if int(p) >= len(prefixNames) {
		return "unknown"
	}
	return prefixNames[p]
}

// cutPrefix splits a value into its prefix, EQ if it has none, and the rest.
func cutPrefix(s string) (Prefix, string) {
	if len(s) > 2 && s[0] >= 'a' && s[0] <= 'z' {
		for i, name := range prefixNames {
			if strings.HasPrefix(s, name) {
				return Prefix(i), s[2:]
			}
		}
	}
	return EQ, s
}

// A Value is one of the alternatives that a clause asks for, or one entry of an index. Which
// fields count depends on the parameter's kind.
type Value struct {
	Prefix Prefix // number, date, quantity; only in queries

	// Text is a string folded by Fold, or as it is written for :exact; a URI; a reference's
	// identity "Type/id", or absolute URL; the code of a token.
	Text string
	// System is of a token or a quantity. In queries, HasSystem tells "|code" (no system) from
	// "code" (any system); an empty Text with a system asks for every code of it.
	System    string
	HasSystem bool

	Range Range // of a number, date or quantity
	Code  string
	// Parts are those of a composite, one for each component.
	Parts []Value
	// Circle is what is asked of positions; only in queries.
	Circle *Circle
}

// A Range is a closed interval of an order-preserving measure: milliseconds since 1970 in UTC for
// dates, the number itself for numbers and quantities.
type Range struct {
	Low, High float64
}

// Overlaps reports whether the ranges have a point in common.
func (r Range) Overlaps(o Range) bool { return r.Low <= o.High && o.Low <= r.High }

// Within reports whether r lies in o.
func (r Range) Within(o Range) bool { return o.Low <= r.Low && r.High <= o.High }

// Matches reports whether a value that is there is found by a prefix with a range that is asked
// for (R4 3.1.1.4.5: "the range of the search value" against "the range of the target value").
func (r Range) Matches(p Prefix, asked Range) bool {
	switch p {
	case EQ:
		return r.Within(asked)
	case NE:
		return !r.Within(asked)
	case GT:
		return r.High > asked.High
	case LT:
		return r.Low < asked.Low
	case GE:
		return r.High > asked.High || r.Within(asked)
	case LE:
		return r.Low < asked.Low || r.Within(asked)
	case SA:
		return r.Low > asked.High
	case EB:
		return r.High < asked.Low
	case AP:
		return r.Overlaps(asked)
	}
	return false
}

// Fold is how strings are compared where a query does not ask for :exact (R4 3.1.1.4.8): without
// regard to case, accents and other combining characters, or the amount of white space. It is
// idempotent.
func Fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	// A byte that is no UTF-8 would keep what follows it from being taken apart.
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(s, "\ufffd")) {
		switch {
		case unicode.Is(unicode.Mn, r) || !starter(r):
			continue
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		switch r {
		case 'ß', 'ẞ':
			b.WriteString("ss")
		case 'ø', 'Ø':
			b.WriteByte('o')
		case 'æ', 'Æ':
			b.WriteString("ae")
		case 'đ', 'Đ':
			b.WriteByte('d')
		case 'ł', 'Ł':
			b.WriteByte('l')
		case 'ı':
			b.WriteByte('i')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// starter says whether a character begins a new one. Some that do not are not of category Mn: left
// in, they would change their order once a mark between them is gone, and Fold would not be
// idempotent (Unicode Standard Annex 15, canonical ordering).
func starter(r rune) bool {
	if r < 0x300 {
		return true
	}
	var b [utf8.UTFMax]byte
	return norm.NFKD.Properties(b[:utf8.EncodeRune(b[:], r)]).CCC() == 0
}

// An Entry is what a resource can be found by: one value of one of its search parameters.
type Entry struct {
	Code     string
	Modifier Modifier // Plain; Identifier of references, Text and OfType of tokens, InBase of quantities have entries of their own
	Kind     Kind     // of the value: not Composite, whose parts are entries with one Group; a Spot is two of them (see Positioned)
	Value    Value
	Exact    string // of a string, as it is written; of a quantity, its unit
	Group    int    // of a part of a composite: which value it belongs to, from 1
	Part     int    // of a part of a composite: which component it is, from 1
}

// Name is the entry's parameter with its modifier and component, one name for each index.
func (e *Entry) Name() string { return IndexName(e.Code, e.Modifier, e.Part) }

// IndexName names an index of a resource type.
func IndexName(code string, m Modifier, part int) string {
	if m != Plain {
		code += ":" + m.String()
	}
	if part > 0 {
		code += "$" + strconv.Itoa(part)
	}
	return code
}
