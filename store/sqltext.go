package store

import "strings"

// An sqlText is a piece of SQL with the values of its placeholders.
type sqlText struct {
	s    string
	args []any
}

func text(s string, args ...any) sqlText { return sqlText{s, args} }

// nothing holds for no resource.
var nothing = text("1 = 0")

// noRows selects nothing.
var noRows = text("SELECT rid FROM resource WHERE " + nothing.s)

// join puts pieces together, in parentheses.
func join(parts []sqlText, by string) sqlText {
	if len(parts) == 1 {
		return parts[0]
	}
	var b strings.Builder
	var args []any
	for i, p := range parts {
		if i > 0 {
			b.WriteString(by)
		}
		b.WriteString("(" + p.s + ")")
		args = append(args, p.args...)
	}
	return sqlText{b.String(), args}
}
