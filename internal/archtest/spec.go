package archtest

import (
	"fmt"
	"reflect"
	"strings"

	"salus/ledger"
	"salus/ledger/tx"
)

// Codes writes spec/codes.md: every result code of a network of those modules.
func Codes(mods []ledger.Module) string {
	var b strings.Builder
	b.WriteString(`# Result codes

Generated from the code by ` + "`go test ./internal/archtest -update`" + `; do not edit.

A code is module prefix << 8 | n, so a number says by itself what it means. It is unique for ever: it is
never reused and never changes its meaning. 0 is success. Codes below 0x0100 are those of the wire and of
authentication (tx.md), 0x01xx those of the ledger itself (ledger.md). The sentence may be reworded; the
number and the name may not.

| code | name | sentence |
|---|---|---|
`)

	for _, c := range ledger.Codes(mods) {
		fmt.Fprintf(&b, "| %#04x | %s | %s |\n", c.Code, c.Name, escapeCell.Replace(c.Text))
	}
	return b.String()
}

// State writes spec/state.md: every table, log entry, message and query.
func State(mods []ledger.Module) string {
	s := &shapes{seen: map[reflect.Type]bool{}}
	var b strings.Builder
	b.WriteString(`# What is on the ledger

Generated from the code by ` + "`go test ./internal/archtest -update`" + `; do not edit.

Every row of the authenticated tree, every entry of the log, every message that may be sent and every
query that may be asked, module by module. A row's key is the table's prefix and an id of fixed layout
(see the module's store.go); its value, like every payload, is canonical CBOR (tx.md) of the shape named,
and the shapes are at the end. How rows and entries become the app hash is in state-tree.md.

`)
	core := ledger.Module{Name: "ledger", Prefix: ledger.Prefix, Tables: ledger.Tables(), Entries: ledger.Entries()}
	for _, m := range append([]ledger.Module{core}, mods...) {
		fmt.Fprintf(&b, "## %s (%#02x)\n\n", m.Name, m.Prefix)
		if len(m.Tables) > 0 {
			b.WriteString("| rows | prefix | value |\n|---|---|---|\n")
			for _, t := range m.Tables {
				fmt.Fprintf(&b, "| %s | `%x` | %s |\n", t.Name, t.Prefix, s.use(reflect.TypeOf(t.Value)))
			}
			b.WriteString("\n")
		}
		if len(m.Entries) > 0 {
			b.WriteString("| log entry | kind | payload |\n|---|---|---|\n")
			for _, e := range m.Entries {
				fmt.Fprintf(&b, "| %s | %#04x | %s |\n", e.Name, uint16(e.Kind), s.use(reflect.TypeOf(e.Payload)))
			}
			b.WriteString("\n")
		}
		if len(m.Calls) > 0 {
			b.WriteString("| message | payload |\n|---|---|\n")
			for _, c := range m.Calls {
				fmt.Fprintf(&b, "| %s | %s |\n", c.Kind, s.use(reflect.TypeOf(c.New())))
			}
			b.WriteString("\n")
		}
		if len(m.Queries) > 0 {
			b.WriteString("| query | argument | answer |\n|---|---|---|\n")
			for _, q := range m.Queries {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", q.Path, s.useAny(q.Arg), s.useAny(q.Reply))
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("## Shapes\n\nField numbers are the integer keys of the CBOR map.\n\n")
	for i := 0; i < len(s.order); i++ { // writing one may add more
		s.write(&b, s.order[i])
	}
	return b.String()
}

// shapes collects the struct types that a document uses, in order of use.
type shapes struct {
	seen  map[reflect.Type]bool
	order []reflect.Type
}

func (s *shapes) useAny(v any) string {
	if v == nil {
		return "see the module's queries.go"
	}
	return s.use(reflect.TypeOf(v))
}

// use names a type and remembers it if it is a shape of ours.
func (s *shapes) use(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return s.use(t.Elem())
	case t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8:
		if t.Name() != "" {
			return fmt.Sprintf("%s (%d bytes)", name(t), t.Len())
		}
		return fmt.Sprintf("%d bytes", t.Len())
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes"
	case t.Kind() == reflect.Slice:
		return "list of " + s.use(t.Elem())
	case t.Kind() == reflect.Array:
		return fmt.Sprintf("%d of %s", t.Len(), s.use(t.Elem()))
	case t.Kind() == reflect.Struct:
		if !s.seen[t] {
			s.seen[t] = true
			s.order = append(s.order, t)
		}
		return name(t)
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "bool"
	}
	if t.PkgPath() != "" {
		return fmt.Sprintf("%s (%s)", name(t), t.Kind())
	}
	return t.Kind().String()
}

func name(t reflect.Type) string {
	if t.PkgPath() == reflect.TypeFor[tx.Hash]().PkgPath() {
		return "tx." + t.Name()
	}
	return t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:] + "." + t.Name()
}

func (s *shapes) write(b *strings.Builder, t reflect.Type) {
	fmt.Fprintf(b, "### %s\n\n", name(t))
	if t.NumField() == 0 {
		b.WriteString("No fields.\n\n")
		return
	}
	b.WriteString("| key | field | type |\n|---|---|---|\n")
	for f := range fields(t) {
		key, opts, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		kind := s.use(f.Type)
		if strings.Contains(opts, "omitempty") {
			kind += ", optional"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", key, f.Name, kind)
	}
	b.WriteString("\n")
}

// fields iterates over what is encoded: exported fields, embedded ones inlined.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && !(f.Anonymous && f.Tag.Get("cbor") == "") && f.Tag.Get("cbor") != "-" {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// Untagged reports fields of the modules' shapes that have no integer key: they
// would be encoded under their Go name.
func Untagged(mods []ledger.Module) (wrong []string) {
	s := &shapes{seen: map[reflect.Type]bool{}}
	for _, m := range mods {
		for _, t := range m.Tables {
			s.use(reflect.TypeOf(t.Value))
		}
		for _, e := range m.Entries {
			s.use(reflect.TypeOf(e.Payload))
		}
		for _, c := range m.Calls {
			s.use(reflect.TypeOf(c.New()))
		}
	}
	for i := 0; i < len(s.order); i++ {
		for f := range fields(s.order[i]) {
			key, opts, _ := strings.Cut(f.Tag.Get("cbor"), ",")
			if key == "" || strings.Trim(key, "0123456789") != "" || !strings.HasPrefix(opts, "keyasint") {
				wrong = append(wrong, fmt.Sprintf("%s.%s has no integer key", name(s.order[i]), f.Name))
			}
			s.use(f.Type)
		}
	}
	return wrong
}
