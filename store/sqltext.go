package store

import (
	"slices"
	"strings"

	"salus/fhir/search"
)

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

// wide is how many pieces stand side by side: of more, groups do. Databases bound how deep a condition is nested,
// and a chain of a OR b OR c is nested as deep as it is long.
const wide = 16

// join puts pieces together, in parentheses.
func join(parts []sqlText, by string) sqlText {
	for len(parts) > wide {
		var groups []sqlText
		for group := range slices.Chunk(parts, wide) {
			groups = append(groups, join(group, by))
		}
		parts = groups
	}
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

// maxArgs is how many values one question may have: SQLite takes 32,766 (SQLITE_MAX_VARIABLE_NUMBER), PostgreSQL 65,535.
const maxArgs = 32_000

// asks refuses a question with more values than every database takes. Error: *search.Issue.
func asks(args []any) error {
	if len(args) > maxArgs {
		return search.TooMany()
	}
	return nil
}
