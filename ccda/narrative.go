package ccda

import "strings"

// xhtml is what becomes of the elements of a narrative block; others lose their
// tags and keep their words. No attribute is carried over.
var xhtml = map[string]string{
	"paragraph": "p", "list": "ul", "item": "li", "table": "table", "thead": "thead", "tbody": "tbody",
	"tfoot": "tfoot", "tr": "tr", "th": "th", "td": "td", "content": "span", "caption": "b", "sub": "sub", "sup": "sup", "br": "br",
}

var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// narrative makes the XHTML of a section's text, or "" where it has no words.
func narrative(n *node) string {
	if n.words() == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<div xmlns="http://www.w3.org/1999/xhtml">`)
	var walk func(*node)
	walk = func(n *node) {
		for _, k := range n.kids {
			tag := xhtml[k.name]
			switch {
			case k.name == "":
				b.WriteString(markup.Replace(k.text))
			case tag == "br":
				b.WriteString("<br/>")
			case tag == "":
				walk(k)
			default:
				b.WriteString("<" + tag + ">")
				walk(k)
				b.WriteString("</" + tag + ">")
			}
		}
	}
	walk(n)
	b.WriteString("</div>")
	return b.String()
}
