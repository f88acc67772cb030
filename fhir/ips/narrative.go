package ips

import "strings"

// A markup is XHTML under way. Text gets into it by text alone; everything else is written here.
type markup struct{ b strings.Builder }

const divOpen = `<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">`

// raw writes markup that is a constant of this package.
func (m *markup) raw(s string) { m.b.WriteString(s) }

// text writes text that somebody else wrote: no character of it is markup. What XML 1.0 does not
// allow (section 2.2), what turns the direction of the text around it, and white space other than a
// blank are replaced.
func (m *markup) text(s string) {
	for _, r := range s {
		switch {
		case r == '<':
			m.b.WriteString("&lt;")
		case r == '>':
			m.b.WriteString("&gt;")
		case r == '&':
			m.b.WriteString("&amp;")
		case r == '"':
			m.b.WriteString("&quot;")
		case r == '\'':
			m.b.WriteString("&#39;")
		case r == '\t', r == '\n', r == '\r', r == 0x85, r == 0x2028, r == 0x2029:
			m.b.WriteByte(' ')
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff,
			r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0xfeff:
			m.b.WriteRune('\uFFFD')
		default:
			m.b.WriteRune(r)
		}
	}
}

// in writes text in an element that has no attributes.
func (m *markup) in(tag, s string) {
	m.raw("<" + tag + ">")
	m.text(s)
	m.raw("</" + tag + ">")
}

// paragraphs are a narrative of sentences.
func paragraphs(lines ...string) string {
	var m markup
	m.raw(divOpen)
	for _, l := range lines {
		m.in("p", l)
	}
	m.raw("</div>")
	return m.b.String()
}

// table is a narrative of rows under headings.
func table(head []string, rows [][]string) string {
	var m markup
	m.raw(divOpen + "<table><thead><tr>")
	for _, h := range head {
		m.in("th", h)
	}
	m.raw("</tr></thead><tbody>")
	for _, r := range rows {
		m.raw("<tr>")
		for _, c := range r {
			m.in("td", c)
		}
		m.raw("</tr>")
	}
	m.raw("</tbody></table></div>")
	return m.b.String()
}

// about is the narrative of one resource.
func about(kind string, c cells) string {
	var m markup
	m.raw(divOpen)
	m.raw("<p><b>")
	m.text(kind)
	m.raw("</b>: ")
	m.text(c.what)
	m.raw("</p>")
	for _, l := range [][2]string{{"Status", c.status}, {"Details", c.detail}, {"Date", c.date}} {
		if l[1] != "" {
			m.raw("<p>")
			m.text(l[0])
			m.raw(": ")
			m.text(l[1])
			m.raw("</p>")
		}
	}
	m.raw("</div>")
	return m.b.String()
}
