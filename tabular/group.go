package tabular

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"salus/fhir"
)

// An Entry is one resource that a group makes.
type Entry struct {
	FullURL       string // urn:uuid, the same for the same type and identifier
	Type          string
	System, Value string // of the identifier
	Body          []byte // FHIR JSON
	Create        bool   // left alone if it is there
	Labels        []fhir.Label
	Lines         []int // of the rows that say it
}

// A Group are rows that are kept or refused together.
type Group struct {
	Lines   []int  // where its rows begin
	Raw     []byte // the header, if there is one, and the rows, in their bytes
	Entries []Entry
}

// Patient is the group's patient; nil if its mapping makes none.
func (g *Group) Patient() *Entry {
	for i := range g.Entries {
		if g.Entries[i].Type == "Patient" {
			return &g.Entries[i]
		}
	}
	return nil
}

// A Count says how much a file held.
type Count struct {
	Rows     int `json:"rows"` // without the header
	Rejected int `json:"rejected"`
	Groups   int `json:"groups"` // handed on
}

// reading is one file while it is read.
type reading struct {
	m      *Mapping
	names  []string
	at     map[string]int
	header []byte
	take   func(*Group) error
	reject func(Rejection) error
	count  Count

	group  []*row
	key    []string
	size   int
	failed bool // it is too large: its rows are rejected as they come
}

// Read maps a file, group by group: rows that follow each other and have the same values in the
// mapping's group columns, or every row for itself. take gets each group that is whole, reject each
// row that is none. What they return ends the reading. Other errors: *Error, of a file that cannot be
// read on, and those of r.
func (m *Mapping) Read(r io.Reader, take func(*Group) error, reject func(Rejection) error) (Count, error) {
	s, err := newRows(r, m)
	if err != nil {
		return Count{}, err
	}
	x := &reading{m: m, names: m.columns, at: map[string]int{}, take: take, reject: reject}
	if m.header {
		if err := x.head(s); err != nil {
			return Count{}, err
		}
	}
	for i, c := range x.names {
		x.at[c] = i
	}
	for {
		r, err := s.next()
		if errors.Is(err, io.EOF) {
			return x.count, x.flush()
		}
		if err != nil {
			if _, ok := errors.AsType[*Error](err); ok {
				if e := x.flush(); e != nil { // what came before is whole
					return x.count, e
				}
			}
			return x.count, err
		}
		if err := x.row(r); err != nil {
			return x.count, err
		}
	}
}

// head reads the header.
func (x *reading) head(s *rows) error {
	r, err := s.next()
	if errors.Is(err, io.EOF) {
		return &Error{Code: CodeHeader, Line: 1}
	}
	if err != nil {
		return err
	}
	if r.bad != "" || repeated(r.fields) || len(r.fields) > MaxColumns {
		return &Error{Code: CodeHeader, Line: r.line}
	}
	for _, c := range x.m.needed {
		if !slices.Contains(r.fields, c) {
			return &Error{Code: CodeHeader, Line: r.line, Column: c}
		}
	}
	x.names, x.header = r.fields, r.raw
	if !bytes.HasSuffix(x.header, []byte("\n")) {
		x.header = append(x.header, '\n')
	}
	return nil
}

// row puts a row into its group.
func (x *reading) row(r *row) error {
	x.count.Rows++
	if r.bad == "" && len(r.fields) != len(x.names) {
		r.bad = CodeFields
	}
	if len(x.m.group) == 0 {
		x.group = []*row{r}
		return x.flush()
	}
	if r.bad != "" { // whose it is cannot be known: it is of those around it
		r.fields = nil
	} else {
		key := make([]string, len(x.m.group))
		for i, c := range x.m.group {
			key[i] = x.field(r, c)
		}
		if x.key != nil && !slices.Equal(key, x.key) {
			if err := x.flush(); err != nil {
				return err
			}
		}
		x.key = key
	}
	x.size += len(r.raw)
	if !x.failed && (len(x.group) >= MaxGroup || x.size > maxGroup) {
		x.failed = true
		for _, o := range x.group {
			if err := x.refuse(Rejection{o.line, "", CodeGroupSize}); err != nil {
				return err
			}
		}
		x.group = nil
	}
	if x.failed {
		return x.refuse(Rejection{r.line, "", CodeGroupSize})
	}
	x.group = append(x.group, r)
	return nil
}

func (x *reading) refuse(r Rejection) error {
	x.count.Rejected++
	return x.reject(r)
}

// field is what a row has in a column, "" if that means nothing.
func (x *reading) field(r *row, column string) string {
	v := r.fields[x.at[column]]
	if x.m.trim {
		v = strings.TrimSpace(v)
	}
	if slices.Contains(x.m.null, v) {
		return ""
	}
	return v
}

// flush makes the group that was read, whole or not at all.
func (x *reading) flush() error {
	group := x.group
	x.group, x.key, x.size, x.failed = nil, nil, 0, false
	if len(group) == 0 {
		return nil
	}
	g := &Group{Raw: slices.Clone(x.header)}
	made := map[string]int{} // by type and identifier, to its place in Entries
	last := map[string]string{}
	bad := make([]Rejection, len(group))
	refused := false
	for i, r := range group {
		g.Lines = append(g.Lines, r.line)
		g.Raw = append(g.Raw, r.raw...)
		if !bytes.HasSuffix(g.Raw, []byte("\n")) {
			g.Raw = append(g.Raw, '\n')
		}
		bad[i] = x.make(g, r, made, last)
		refused = refused || bad[i].Code != ""
	}
	if !refused {
		x.count.Groups++
		return x.take(g)
	}
	for i, r := range group {
		if bad[i].Code == "" {
			bad[i] = Rejection{r.line, "", CodeGroup}
		}
		if err := x.refuse(bad[i]); err != nil {
			return err
		}
	}
	return nil
}

// make adds what a row says to its group. A Rejection with a code says why it cannot.
func (x *reading) make(g *Group, r *row, made map[string]int, last map[string]string) Rejection {
	if r.bad != "" {
		return Rejection{r.line, "", r.bad}
	}
	any := false
	for _, res := range x.m.resources {
		if slices.ContainsFunc(res.when, func(c string) bool { return x.field(r, c) == "" }) {
			continue
		}
		any = true
		e, column, code := x.entry(res, r, last)
		if code != "" {
			return Rejection{r.line, column, code}
		}
		last[res.name] = e.FullURL
		if i, ok := made[e.FullURL]; ok {
			if !bytes.Equal(g.Entries[i].Body, e.Body) {
				return Rejection{r.line, "", CodeConflict}
			}
			g.Entries[i].Lines = append(g.Entries[i].Lines, r.line)
			continue
		}
		if e.Type == "Patient" && g.Patient() != nil { // the group is of one
			return Rejection{r.line, "", CodeConflict}
		}
		made[e.FullURL] = len(g.Entries)
		g.Entries = append(g.Entries, *e)
	}
	if !any {
		return Rejection{r.line, "", CodeEmpty}
	}
	return Rejection{}
}

// A cell is an element and its value.
type cell struct {
	steps []step
	value any
}

// entry makes one resource of a row.
func (x *reading) entry(res *resource, r *row, last map[string]string) (e *Entry, column, code string) {
	var parts []string
	for _, c := range res.key {
		v := x.field(r, c)
		if v == "" {
			return nil, c, CodeKey
		}
		if _, ok := x.m.literal("string", v); !ok || v != strings.TrimSpace(v) {
			return nil, c, CodeValue
		}
		if len(res.key) > 1 {
			v = strings.NewReplacer("~", "~0", "/", "~1").Replace(v)
		}
		parts = append(parts, v)
	}
	e = &Entry{Type: res.typ, System: res.system, Value: strings.Join(parts, "/"), Create: res.create, Labels: res.labels, Lines: []int{r.line}}
	e.FullURL = "urn:uuid:" + uuid(e.Type, e.System, e.Value)
	var cells []cell
	for _, rule := range res.rules {
		switch {
		case rule.Refer != "":
			url := last[rule.Refer]
			if url == "" {
				return nil, "", CodeRefer
			}
			cells = append(cells, cell{rule.path.steps, map[string]any{"reference": url}})
		case rule.Column != "":
			v, code := x.m.value(rule, x.field(r, rule.Column))
			if code != "" {
				return nil, rule.Column, code
			}
			if v != nil {
				cells = append(cells, cell{rule.path.steps, v})
			}
		}
	}
	said := cells
	for _, rule := range res.rules {
		if rule.Value == "" || rule.needs > 0 && !slices.ContainsFunc(said, func(c cell) bool {
			return len(c.steps) > rule.needs && slices.Equal(c.steps[:rule.needs], rule.path.steps[:rule.needs])
		}) {
			continue
		}
		v, _ := x.m.literal(rule.path.typ, rule.Value)
		cells = append(cells, cell{rule.path.steps, v})
	}
	top := tree(cells)
	top["resourceType"] = res.typ
	id := map[string]any{"system": e.System, "value": e.Value}
	if list, ok := top["identifier"].([]any); ok || res.listed {
		top["identifier"] = append([]any{id}, list...)
	} else {
		top["identifier"] = id
	}
	if len(res.labels) > 0 {
		var security []any
		for _, l := range res.labels {
			security = append(security, map[string]any{"system": system(l), "code": string(l)})
		}
		top["meta"] = map[string]any{"security": security}
	}
	var err error
	if e.Body, err = encode(top); err != nil {
		return nil, "", CodeValue
	}
	return e, "", ""
}

// system is where a label's code is from (spec/labels.md).
func system(l fhir.Label) string {
	if l == fhir.R || l == fhir.V {
		return "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	}
	return "http://terminology.hl7.org/CodeSystem/v3-ActCode"
}

// tree puts cells into an object. Of lists, what has no value is left out.
func tree(cells []cell) map[string]any {
	out := map[string]any{}
	for len(cells) > 0 {
		s := cells[0].steps[0]
		var same, rest []cell
		for _, c := range cells {
			if c.steps[0].name == s.name {
				same = append(same, c)
			} else {
				rest = append(rest, c)
			}
		}
		cells = rest
		if !s.list || s.index < 0 {
			out[s.name] = below(same)
			continue
		}
		var places []int
		for _, c := range same {
			places = append(places, c.steps[0].index)
		}
		slices.Sort(places)
		var list []any
		for _, i := range slices.Compact(places) {
			var at []cell
			for _, c := range same {
				if c.steps[0].index == i {
					at = append(at, c)
				}
			}
			list = append(list, below(at))
		}
		out[s.name] = list
	}
	return out
}

// below is the value of cells whose first step is the same.
func below(cells []cell) any {
	if len(cells[0].steps) == 1 {
		return cells[0].value
	}
	var next []cell
	for _, c := range cells {
		next = append(next, cell{c.steps[1:], c.value})
	}
	return tree(next)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("tabular: encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// uuid is one that says nothing, the same for the same parts (RFC 9562, version 8).
func uuid(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// Bundle is a group as a transaction: every entry by its identifier, so that the same rows again
// leave what they left the first time.
func (g *Group) Bundle() ([]byte, error) {
	var list []any
	for _, e := range g.Entries {
		query := "identifier=" + token(e.System, e.Value)
		request := map[string]any{"method": "PUT", "url": e.Type + "?" + query}
		if e.Create {
			request = map[string]any{"method": "POST", "url": e.Type, "ifNoneExist": query}
		}
		list = append(list, map[string]any{"fullUrl": e.FullURL, "resource": json.RawMessage(e.Body), "request": request})
	}
	return encode(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": list})
}

// token is an identifier in a search: its separators by backslash, the rest by percent.
func token(system, value string) string {
	sep := strings.NewReplacer(`\`, `\\`, ",", `\,`, "$", `\$`, "|", `\|`)
	var b strings.Builder
	for _, c := range []byte(sep.Replace(system) + "|" + sep.Replace(value)) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~:/|", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
