package terminology

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// An Engine answers questions from a Source.
type Engine struct {
	Source Source
	Now    time.Time // of expansions
}

// An Expand is the question of ValueSet/$expand.
type Expand struct {
	Set                 *ValueSet
	Filter              string
	Offset              int
	Count               int // -1 for all
	IncludeDesignations bool
	Designations        []string // languages or uses, as tokens, of those to include; empty for all
	IncludeDefinition   bool
	ActiveOnly          bool
	ForUI               bool // without codes that are not to be chosen (excludeNotForUI)
	Language            string
	ExcludeSystems      []string // canonicals
	Versions            Versions
}

type expansion struct {
	Identifier string      `json:"identifier"`
	Timestamp  string      `json:"timestamp"`
	Total      int         `json:"total"`
	Offset     *int        `json:"offset,omitempty"`
	Parameter  []parameter `json:"parameter,omitempty"`
	Contains   []contains  `json:"contains,omitempty"`
}

type parameter struct {
	Name    string `json:"name"`
	String  string `json:"valueString,omitempty"`
	URI     string `json:"valueUri,omitempty"`
	Code    string `json:"valueCode,omitempty"`
	Boolean *bool  `json:"valueBoolean,omitempty"`
	Integer *int   `json:"valueInteger,omitempty"`
}

// Expand returns the value set with its expansion (R4 ValueSet-expand): flat, in the order of the
// value set and of its code systems, with its total before paging. Errors: *Error.
func (e *Engine) Expand(ctx context.Context, q *Expand) ([]byte, error) {
	list, used, err := e.selected(ctx, q)
	if err != nil {
		return nil, err
	}
	x := expansion{Timestamp: e.Now.UTC().Format(time.RFC3339), Total: len(list), Parameter: q.parameters(used)}
	page := list[min(q.Offset, len(list)):]
	if q.Count >= 0 {
		page = page[:min(q.Count, len(page))]
	}
	if len(page) > MaxCodes {
		return nil, ErrTooCostly.about(q.Set.URL)
	}
	if q.Count >= 0 || q.Offset > 0 {
		x.Offset = &q.Offset
	}
	h := sha256.New()
	for i := range list {
		h.Write([]byte(list[i].system + "\x00" + list[i].code + "\x00"))
	}
	id := h.Sum(nil)
	x.Identifier = "urn:uuid:" + uuid(id)
	for i := range page {
		x.Contains = append(x.Contains, q.contains(&page[i]))
	}
	return q.resource(&x)
}

// uuid writes bytes in the form of a UUID (RFC 9562, version 8): the same expansion has the same one.
func uuid(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// selected are the codes that the question asks for, before paging.
func (e *Engine) selected(ctx context.Context, q *Expand) ([]entry, []string, error) {
	s := e.selector(ctx, q.Versions)
	if s.open = append(s.open, q.Set.URL); q.Set.Version != "" {
		s.open = append(s.open, canonical(q.Set.URL, q.Set.Version))
	}
	s.words = split(q.Filter)
	if len(s.words) > 0 && q.Set.combines() {
		s.words = nil // an exclusion must not be filtered: what follows is
	}
	list, err := s.all(q.Set)
	if err != nil {
		return nil, nil, err
	}
	words := split(q.Filter)
	out := list[:0:0]
	plain := !q.ActiveOnly && !q.ForUI && len(q.ExcludeSystems) == 0 && (len(words) == 0 || len(s.words) > 0)
	if plain {
		out = list
	}
	for i := range list {
		if plain {
			break
		}
		c := list[i].concept()
		switch {
		case q.ActiveOnly && c != nil && c.Inactive, q.ForUI && c != nil && c.Abstract:
		case slices.Contains(q.ExcludeSystems, list[i].system), slices.Contains(q.ExcludeSystems, canonical(list[i].system, list[i].version)):
		case len(words) > 0 && !list[i].begins(words):
		default:
			out = append(out, list[i])
		}
	}
	return out, slices.Sorted(maps.Keys(s.used)), nil
}

// combines reports whether a value set excludes or intersects: the names that its parts give to a
// code may differ, so the text filter must come last.
func (v *ValueSet) combines() bool {
	if v.Compose == nil {
		return false
	}
	return len(v.Compose.Exclude) > 0 || slices.ContainsFunc(v.Compose.Include, func(p part) bool { return len(p.ValueSet) > 0 })
}

// begins reports whether each of the words begins one of the entry's.
func (e *entry) begins(words []string) bool {
	of := []string{}
	if e.as != nil {
		of = wordsOf(e.code, e.as.Display, e.as.Designation)
	}
	if c := e.concept(); c != nil {
		of = append(of, wordsOf(c.Code, c.Display, c.Designations)...)
	}
	return begins(words, of)
}

// names are what an entry is called.
func (e *entry) names(language string) (display string, designations []Designation) {
	c := e.concept()
	if c != nil {
		display, designations = e.of.display(c, language), c.Designations
	}
	if e.as == nil {
		return display, designations
	}
	designations = append(slices.Clone(e.as.Designation), designations...)
	spoken := false
	if language != "" {
		for _, d := range e.as.Designation {
			if speaks(d.Language, language) && !spoken {
				display, spoken = d.Value, true
			}
		}
	}
	if e.as.Display != "" && !spoken && (language == "" || c == nil || display == c.Display) {
		display = e.as.Display
	}
	return display, designations
}

func (q *Expand) contains(e *entry) contains {
	display, designations := e.names(q.Language)
	x := contains{System: e.system, Version: e.version, Code: e.code, Display: display}
	if c := e.concept(); c != nil {
		x.Abstract, x.Inactive = c.Abstract, c.Inactive
	}
	if q.IncludeDesignations {
		for _, d := range designations {
			if q.wants(&d) {
				x.Designation = append(x.Designation, d)
			}
		}
	}
	return x
}

// wants reports whether a designation is one of those asked for: by "urn:ietf:bcp:47|de", by use.
func (q *Expand) wants(d *Designation) bool {
	if len(q.Designations) == 0 {
		return true
	}
	return slices.ContainsFunc(q.Designations, func(t string) bool {
		system, code, both := strings.Cut(t, "|")
		switch {
		case !both:
			return speaks(d.Language, t) || d.Use != nil && d.Use.Code == t
		case system == "urn:ietf:bcp:47":
			return speaks(d.Language, code)
		}
		return d.Use != nil && d.Use.System == system && (code == "" || d.Use.Code == code)
	})
}

// parameters are those that shaped the expansion.
func (q *Expand) parameters(used []string) (out []parameter) {
	yes := true
	if q.Filter != "" {
		out = append(out, parameter{Name: "filter", String: q.Filter})
	}
	if q.Offset > 0 {
		out = append(out, parameter{Name: "offset", Integer: &q.Offset})
	}
	if q.Count >= 0 {
		out = append(out, parameter{Name: "count", Integer: &q.Count})
	}
	if q.IncludeDesignations {
		out = append(out, parameter{Name: "includeDesignations", Boolean: &yes})
	}
	if q.ActiveOnly {
		out = append(out, parameter{Name: "activeOnly", Boolean: &yes})
	}
	if q.ForUI {
		out = append(out, parameter{Name: "excludeNotForUI", Boolean: &yes})
	}
	if q.Language != "" {
		out = append(out, parameter{Name: "displayLanguage", Code: q.Language})
	}
	for _, s := range q.ExcludeSystems {
		out = append(out, parameter{Name: "exclude-system", URI: s})
	}
	for _, v := range []struct {
		name string
		of   map[string]string
	}{{"system-version", q.Versions.Default}, {"check-system-version", q.Versions.Check}, {"force-system-version", q.Versions.Force}} {
		for _, s := range slices.Sorted(maps.Keys(v.of)) {
			out = append(out, parameter{Name: v.name, URI: canonical(s, v.of[s])})
		}
	}
	for _, u := range used {
		out = append(out, parameter{Name: "version", URI: u})
	}
	return out
}

// resource is the value set with the expansion.
func (q *Expand) resource(x *expansion) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(q.Set.raw, &m); err != nil {
		return nil, unreadable("ValueSet")
	}
	for _, n := range []string{"text", "contained", "meta"} {
		delete(m, n)
	}
	if !q.IncludeDefinition {
		delete(m, "compose")
	}
	if m["status"] == nil {
		m["status"] = json.RawMessage(`"active"`)
	}
	b, err := json.Marshal(x)
	if err != nil {
		return nil, unreadable("ValueSet")
	}
	m["expansion"] = b
	return json.Marshal(m)
}
