package validate

import (
	"slices"
	"strings"

	"salus/fhir/element"
)

// What may stand in a narrative: the elements and attributes of HTML 4.0 that R4 2.4.0
// names by chapter (7 to 11 without 9.4, 15, a, images, style attributes), in the list that
// HL7's validator makes of it (hapifhir/org.hl7.fhir.core, XhtmlValidator; facts only).
var (
	narrativeElements = names("p br div h1 h2 h3 h4 h5 h6 a span b em i strong small big tt dfn q var abbr acronym cite blockquote hr address bdo kbd sub sup" +
		" ul ol li dl dt dd pre table caption colgroup col thead tr tfoot tbody th td code samp img map area")
	narrativeAttributes = names("title style class id lang xml:lang xml:space dir accesskey tabindex span width align valign char charoff abbr axis headers scope rowspan colspan")
	narrativeOwn        = names("a.href a.name a.charset a.type a.hreflang a.rel a.rev a.shape a.coords img.src img.border img.alt img.longdesc img.height img.usemap img.ismap" +
		" blockquote.cite q.cite map.name area.shape area.coords area.href area.nohref area.alt table.summary table.border table.frame table.rules table.cellspacing" +
		" table.cellpadding pre.space td.nowrap")
)

func names(s string) map[string]bool {
	out := map[string]bool{}
	for n := range strings.FieldsSeq(s) {
		out[n] = true
	}
	return out
}

const xhtml = "http://www.w3.org/1999/xhtml"

// narrative checks a div (txt-1, txt-2).
func (w *walk) narrative(n element.Node) {
	if n.Kind() != element.String {
		return
	}
	x := markup{s: n.Text()}
	if why := x.document(); why != "" {
		w.say(Error, CodeNarrative, why)
	}
}

// maxOpen bounds the elements that are open at once.
const maxOpen = 256

// markup reads XHTML strictly, without copying.
type markup struct {
	s       string
	i       int
	open    []string
	content bool // there is text or an image
	attrs   []string
}

const (
	whyForm    = "txt-1: the narrative is not well-formed XHTML"
	whyRoot    = "txt-1: a narrative is one div in the namespace http://www.w3.org/1999/xhtml"
	whyElement = "txt-1: the narrative has an element that is not allowed in one"
	whyAttr    = "txt-1: the narrative has an attribute that is not allowed in one, such as an event handler"
	whyURL     = "txt-1: the narrative has an address that runs a script or loads a style"
	whyEntity  = "txt-1: a narrative has the entities of XML only; write other characters themselves"
	whyEmpty   = "txt-2: the narrative has no content"
	whyDeep    = "txt-1: the narrative is nested too deep"
)

// document reads all of it; the answer is "" if it is fit.
func (m *markup) document() string {
	m.space()
	if !strings.HasPrefix(m.s[m.i:], "<div") {
		return whyRoot
	}
	for m.i < len(m.s) {
		if m.s[m.i] != '<' {
			if len(m.open) == 0 {
				if m.space(); m.i < len(m.s) && m.s[m.i] != '<' {
					return whyRoot
				}
				continue
			}
			if why := m.text(); why != "" {
				return why
			}
			continue
		}
		if why := m.tag(); why != "" {
			return why
		}
	}
	switch {
	case len(m.open) > 0:
		return whyForm
	case !m.content:
		return whyEmpty
	}
	return ""
}

func (m *markup) space() {
	for m.i < len(m.s) && blank(m.s[m.i]) {
		m.i++
	}
}

// text reads up to the next '<'.
func (m *markup) text() string {
	for m.i < len(m.s) && m.s[m.i] != '<' {
		switch c := m.s[m.i]; {
		case c == '&':
			n := entity(m.s[m.i:])
			if n == 0 {
				return whyEntity
			}
			m.i += n
			m.content = true
			continue
		case !blank(c):
			m.content = true
		}
		m.i++
	}
	return ""
}

// entity returns the length of the entity at the beginning of s, 0 if XML has none such.
func entity(s string) int {
	end := strings.IndexByte(s[:min(len(s), 12)], ';')
	if end < 2 {
		return 0
	}
	switch name := s[1:end]; {
	case name == "lt", name == "gt", name == "amp", name == "quot", name == "apos":
	case name[0] == '#':
		digits := name[1:]
		hex := strings.HasPrefix(digits, "x")
		digits = strings.TrimPrefix(digits, "x")
		if digits == "" {
			return 0
		}
		for _, c := range []byte(digits) {
			if (c < '0' || c > '9') && (!hex || (c|0x20 < 'a' || c|0x20 > 'f')) {
				return 0
			}
		}
	default:
		return 0
	}
	return end + 1
}

// tag reads what begins with '<'.
func (m *markup) tag() string {
	rest := m.s[m.i:]
	switch {
	case strings.HasPrefix(rest, "<!--"):
		end := strings.Index(rest[4:], "-->")
		if end < 0 || strings.Contains(rest[4:4+end], "--") {
			return whyForm
		}
		m.i += 4 + end + 3
		return ""
	case strings.HasPrefix(rest, "<![CDATA["):
		end := strings.Index(rest, "]]>")
		if end < 0 || len(m.open) == 0 {
			return whyForm
		}
		m.content = m.content || strings.TrimSpace(rest[9:end]) != ""
		m.i += end + 3
		return ""
	case strings.HasPrefix(rest, "</"):
		m.i += 2
		name := m.name()
		m.space()
		if m.i >= len(m.s) || m.s[m.i] != '>' || len(m.open) == 0 || m.open[len(m.open)-1] != name {
			return whyForm
		}
		m.i++
		m.open = m.open[:len(m.open)-1]
		return ""
	}
	return m.element()
}

// element reads a start tag.
func (m *markup) element() string {
	if len(m.open) == 0 && m.attrs != nil {
		return whyRoot // a second root
	}
	m.i++
	name := m.name()
	if name == "" {
		return whyForm
	}
	if !narrativeElements[name] {
		return whyElement
	}
	m.attrs = append(m.attrs[:0], "")
	namespace := len(m.open) > 0
	for {
		at := m.i
		m.space()
		if m.i >= len(m.s) {
			return whyForm
		}
		if c := m.s[m.i]; c == '>' || c == '/' {
			break
		}
		if at == m.i {
			return whyForm
		}
		attr, value, why := m.attribute()
		if why == "" {
			why = allowed(name, attr, value)
		}
		if why != "" {
			return why
		}
		if slices.Contains(m.attrs, attr) {
			return whyForm
		}
		m.attrs = append(m.attrs, attr)
		namespace = namespace || attr == "xmlns"
	}
	if !namespace {
		return whyRoot
	}
	m.content = m.content || name == "img"
	if strings.HasPrefix(m.s[m.i:], "/>") {
		m.i += 2
		return ""
	}
	if m.s[m.i] != '>' {
		return whyForm
	}
	m.i++
	if len(m.open) >= maxOpen {
		return whyDeep
	}
	m.open = append(m.open, name)
	return ""
}

func (m *markup) name() string {
	from := m.i
	for m.i < len(m.s) {
		c := m.s[m.i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ':' || c == '-' || c == '_' || c == '.') {
			break
		}
		m.i++
	}
	return m.s[from:m.i]
}

func (m *markup) attribute() (name, value, why string) {
	if name = m.name(); name == "" {
		return "", "", whyForm
	}
	m.space()
	if m.i >= len(m.s) || m.s[m.i] != '=' {
		return name, "", whyForm
	}
	m.i++
	m.space()
	if m.i >= len(m.s) || m.s[m.i] != '"' && m.s[m.i] != '\'' {
		return name, "", whyForm
	}
	quote := m.s[m.i]
	m.i++
	end := strings.IndexByte(m.s[m.i:], quote)
	if end < 0 {
		return name, "", whyForm
	}
	value = m.s[m.i : m.i+end]
	m.i += end + 1
	for i := 0; i < len(value); i++ {
		if value[i] == '<' {
			return name, "", whyForm
		}
		if value[i] == '&' && entity(value[i:]) == 0 {
			return name, "", whyEntity
		}
	}
	return name, value, ""
}

// allowed judges one attribute.
func allowed(name, attr, value string) string {
	switch {
	case attr == "xmlns":
		if value != xhtml {
			return whyRoot
		}
		return ""
	case strings.HasPrefix(attr, "xmlns:"):
		return ""
	case !narrativeAttributes[attr] && !narrativeOwn[name+"."+attr]:
		return whyAttr
	}
	switch attr {
	case "href", "src", "cite", "longdesc", "usemap":
		if !harmless(value, name == "img") {
			return whyURL
		}
	case "style":
		if !internal(plain(value)) {
			return whyURL
		}
	}
	return ""
}

// internal reports whether a style runs nothing and loads nothing from elsewhere.
func internal(style string) bool {
	for _, bad := range []string{"expression(", "@import", "javascript:", "vbscript:", "behavior:", "-moz-binding"} {
		if strings.Contains(style, bad) {
			return false
		}
	}
	for {
		_, rest, ok := strings.Cut(style, "url(")
		if !ok {
			return true
		}
		style = strings.TrimLeft(rest, `'"`)
		if end := strings.IndexByte(style, ')'); strings.HasPrefix(style, "//") || !strings.HasPrefix(style, "data:image/") && strings.Contains(style[:max(end, 0)], ":") || end < 0 {
			return false
		}
	}
}

// harmless reports whether an address runs nothing. Entities and control characters, with
// which browsers let a scheme be hidden, are taken off first.
func harmless(url string, image bool) bool {
	v := plain(url)
	for _, bad := range []string{"javascript:", "vbscript:", "livescript:"} {
		if strings.HasPrefix(v, bad) {
			return false
		}
	}
	return !strings.HasPrefix(v, "data:") || image && strings.HasPrefix(v, "data:image/") && !strings.HasPrefix(v, "data:image/svg")
}

// plain lowers an attribute's value, resolves its entities and drops blanks and backslashes.
func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := rune(s[i])
		if s[i] == '&' {
			if n := entity(s[i:]); n > 0 {
				c = character(s[i+1 : i+n-1])
				i += n - 1
			}
		}
		switch {
		case c <= ' ', c == '\\':
		case c >= 'A' && c <= 'Z':
			b.WriteRune(c | 0x20)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// character returns what an entity stands for.
func character(name string) rune {
	switch name {
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "amp":
		return '&'
	case "quot":
		return '"'
	case "apos":
		return '\''
	}
	name = strings.TrimPrefix(name, "#")
	base := rune(10)
	if strings.HasPrefix(name, "x") {
		name, base = name[1:], 16
	}
	v := rune(0)
	for _, c := range []byte(name) {
		d := rune(c - '0')
		if c > '9' {
			d = rune(c|0x20-'a') + 10
		}
		if v = v*base + d; v > 0x10ffff {
			return '?'
		}
	}
	return v
}
