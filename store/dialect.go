package store

import (
	"strconv"
	"strings"
)

// A dialect is what the two databases say differently. All other SQL is common to both.
type dialect struct {
	name     string
	blob     string // type of bytes
	text     string // type of text that is compared byte by byte
	float    string // type of a 64-bit float
	tail     string // of a table whose rows are its primary key
	position string // function: where the second argument is in the first, from 1
	begin    string // a transaction that will write
	numbered bool   // placeholders are $1, $2, ... instead of ?
}

var (
	sqliteDialect   = dialect{name: "sqlite", blob: "BLOB", text: "TEXT", float: "REAL", tail: " WITHOUT ROWID", position: "instr", begin: "BEGIN IMMEDIATE"}
	postgresDialect = dialect{name: "postgres", blob: "BYTEA", text: `TEXT COLLATE "C"`, float: "DOUBLE PRECISION", position: "strpos", begin: "BEGIN", numbered: true}
)

// bind numbers the placeholders where the database wants numbers. No statement has a question
// mark that is not a placeholder.
func (d *dialect) bind(q string) string {
	if !d.numbered {
		return q
	}
	var b strings.Builder
	b.Grow(len(q) + 16)
	n := 0
	for i := range len(q) {
		if q[i] != '?' {
			b.WriteByte(q[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
