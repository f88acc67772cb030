package ccda

import "strings"

// xhtml is what becomes of the elements of a narrative block (guide, "Difference
// between CDA Narrative and FHIR Narrative"); others lose their tags and keep their
// words. Of attributes only ID, spans of cells and links are carried over.
var xhtml = map[string]string{
	"paragraph": "p", "list": "ul", "item": "li", "table": "table", "thead": "thead", "tbody": "tbody",
	"tfoot": "tfoot", "tr": "tr", "th": "th", "td": "td", "content": "span", "caption": "b", "sub": "sub", "sup": "sup", "br": "br",
	"linkHtml": "a", "footnote": "span", "footnoteRef": "span",
}

const divOpen, divClose = `<div xmlns="http://www.w3.org/1999/xhtml">`, `</div>`

var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", " ")

// narrative makes the XHTML of a section's text, or "" where it has no words.
func narrative(n *node) string {
	if n.words() == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(divOpen)
	for _, k := range n.kids {
		render(&b, k)
	}
	b.WriteString(divClose)
	n.say()
	n.every(passed) // how it is laid out
	return b.String()
}

// render writes one node of a narrative block.
func render(b *strings.Builder, n *node) {
	inner := func() {
		for _, k := range n.kids {
			render(b, k)
		}
	}
	if n.name == "" {
		b.WriteString(markup.Replace(n.text))
		return
	}
	tag := xhtml[n.name]
	switch {
	case tag == "":
		inner()
		return
	case tag == "br":
		b.WriteString("<br/>")
		return
	case n.name == "list" && n.peek("listType") == "ordered":
		tag = "ol"
	case n.name == "caption" && n.parent != nil && n.parent.name == "table":
		tag = "caption"
	}
	b.WriteString("<" + tag)
	if id := n.peek("ID"); id != "" && xmlID(id) {
		b.WriteString(` id="` + id + `"`)
	}
	for _, k := range []string{"colspan", "rowspan"} {
		if v := n.peek(k); (tag == "td" || tag == "th") && v != "" && len(v) < 4 && strings.Trim(v, "0123456789") == "" {
			b.WriteString(" " + k + `="` + v + `"`)
		}
	}
	if tag == "a" {
		if h := n.peek("href"); safe(h) {
			b.WriteString(` href="` + markup.Replace(h) + `"`)
		}
	}
	b.WriteString(">")
	style := map[string]string{"Bold": "b", "Italics": "i", "Underline": "u"}[n.peek("styleCode")]
	if style != "" && tag == "span" {
		b.WriteString("<" + style + ">")
		inner()
		b.WriteString("</" + style + ">")
	} else {
		inner()
	}
	b.WriteString("</" + tag + ">")
}

// safe says whether a reference is safe to follow: of the page itself or the web.
func safe(h string) bool {
	low := strings.ToLower(h)
	return strings.HasPrefix(low, "http://") || strings.HasPrefix(low, "https://") || strings.HasPrefix(low, "mailto:") || strings.HasPrefix(h, "#")
}

func xmlID(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// story is the narrative of an entry: its own words and the part of the section's
// narrative that it refers to, a row with the heads of its table (guide, "C-CDA
// Entry/Text to FHIR Resource.text").
func (m *mapper) story(t *node) object {
	if t == nil || t.peek("representation") == "B64" {
		return nil
	}
	var b strings.Builder
	b.WriteString(divOpen)
	some := false
	if own := t.words(); own != "" {
		b.WriteString(markup.Replace(own))
		t.say()
		some = true
	}
	ref := t.one("reference")
	if at := m.target(t); at != nil && at.words() != "" {
		some = true
		ref.feed("value")
		excerpt(&b, at)
	} else if ref.peek("value") != "" {
		m.lostAttr(ref, "value", ReasonReference)
	}
	t.pass("mediaType", "language", "representation")
	if !some {
		return nil
	}
	b.WriteString(divClose)
	return object{"status": "additional", "div": b.String()}
}

func excerpt(b *strings.Builder, at *node) {
	wrap := func(open, end string, of *node) {
		b.WriteString(open)
		render(b, of)
		b.WriteString(end)
	}
	switch at.name {
	case "tr":
		b.WriteString("<table>")
		if table := at.parent.parent; table != nil && table.name == "table" {
			if head := table.one("thead"); head != nil {
				render(b, head)
			}
		}
		wrap("<tbody>", "</tbody></table>", at)
	case "td", "th", "thead", "tbody", "caption", "text":
		b.WriteString(markup.Replace(at.words()))
	case "item":
		wrap("<ul>", "</ul>", at)
	default:
		render(b, at)
	}
}
