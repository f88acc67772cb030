package fhirpath

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokName
	tokQuoted // `delimited`
	tokString
	tokNumber
	tokDate // @...
	tokOp
	tokDollar // $this
)

type token struct {
	kind tokenKind
	text string
	pos  int
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// lex splits an expression (N1, appendix "Tokens").
func lex(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		c := s[i]
		from := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case strings.HasPrefix(s[i:], "//"):
			if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(s)
			}
			continue
		case strings.HasPrefix(s[i:], "/*"):
			n := strings.Index(s[i+2:], "*/")
			if n < 0 {
				return nil, fail(CodeSyntax, i, "the comment does not end")
			}
			i += n + 4
			continue
		case letter(c):
			for i < len(s) && (letter(s[i]) || digit(s[i])) {
				i++
			}
			out = append(out, token{tokName, s[from:i], from})
		case digit(c):
			for i < len(s) && digit(s[i]) {
				i++
			}
			if i+1 < len(s) && s[i] == '.' && digit(s[i+1]) {
				for i++; i < len(s) && digit(s[i]); {
					i++
				}
			}
			out = append(out, token{tokNumber, s[from:i], from})
		case c == '\'' || c == '`' || c == '"':
			text, n, ok := quoted(s[i:])
			if !ok {
				return nil, fail(CodeSyntax, i, "the quotation does not end, or an escape is wrong")
			}
			i += n
			kind := tokString
			if c != '\'' {
				kind = tokQuoted
			}
			out = append(out, token{kind, text, from})
		case c == '@':
			i = dateEnd(s, i+1)
			out = append(out, token{tokDate, s[from+1 : i], from})
		case c == '$':
			for i++; i < len(s) && letter(s[i]); {
				i++
			}
			out = append(out, token{tokDollar, s[from:i], from})
		default:
			n := 1
			for _, op := range []string{"<=", ">=", "!=", "!~"} {
				if strings.HasPrefix(s[i:], op) {
					n = 2
				}
			}
			if n == 1 && !strings.ContainsRune("+-*/&|<>=~.,()[]{}%", rune(c)) {
				return nil, fail(CodeSyntax, i, "this character has no meaning here")
			}
			i += n
			out = append(out, token{tokOp, s[from:i], from})
		}
	}
	return append(out, token{tokEOF, "", len(s)}), nil
}

// dateEnd finds the end of a date, dateTime or time literal.
func dateEnd(s string, i int) int {
	for i < len(s) && (digit(s[i]) || s[i] == '-' && i+1 < len(s) && digit(s[i+1])) {
		i++
	}
	if i < len(s) && s[i] == 'T' {
		for i++; i < len(s) && (digit(s[i]) || s[i] == ':' || s[i] == '.' && i+1 < len(s) && digit(s[i+1])); {
			i++
		}
		if i < len(s) && s[i] == 'Z' {
			return i + 1
		}
		if i+5 < len(s) && (s[i] == '+' || s[i] == '-') && digit(s[i+1]) && digit(s[i+2]) && s[i+3] == ':' && digit(s[i+4]) && digit(s[i+5]) {
			return i + 6
		}
	}
	return i
}

// quoted reads a delimited text with its escapes.
func quoted(s string) (text string, n int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), i + 1, true
		case c != '\\':
			b.WriteByte(c)
			i++
		case i+1 == len(s):
			return "", 0, false
		case s[i+1] == 'u':
			if i+6 > len(s) {
				return "", 0, false
			}
			u, err := strconv.ParseUint(s[i+2:i+6], 16, 32)
			if err != nil {
				return "", 0, false
			}
			if r := rune(u); utf8.ValidRune(r) {
				b.WriteRune(r)
			} else {
				b.WriteRune(utf8.RuneError)
			}
			i += 6
		default:
			if k := strings.IndexByte("rntf", s[i+1]); k >= 0 {
				b.WriteByte("\r\n\t\f"[k])
			} else {
				b.WriteByte(s[i+1])
			}
			i += 2
		}
	}
	return "", 0, false
}
