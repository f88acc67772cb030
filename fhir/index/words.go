package index

import (
	"html"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/search"
)

// The parameters that find a resource by the words in it. R4 defines them without an expression.
const (
	textURL    = "http://hl7.org/fhir/SearchParameter/DomainResource-text"
	contentURL = "http://hl7.org/fhir/SearchParameter/Resource-content"
)

// maxWords bounds the words that one parameter has of a resource; more are not found.
const maxWords = 10_000

// FullText are R4's _text, words of the narrative, and, if it is wanted, _content, words of narrative, strings and markdown:
// for With, as what is stored has to be indexed by them before they are searched by.
func FullText(content bool) []*definition.Param {
	all := []*definition.Param{{
		URL: textURL, Code: "_text", Type: "string", Base: []string{"DomainResource"}, Status: "active",
		Description: "Words of the narrative, joined by and, or and not, with parentheses",
	}}
	if content {
		all = append(all, &definition.Param{
			URL: contentURL, Code: "_content", Type: "string", Base: []string{"Resource"}, Status: "active",
			Description: "Words of narrative, strings and markdown, joined by and, or and not, with parentheses",
		})
	}
	return all
}

func isFullText(d *definition.Param) bool { return d.URL == textURL || d.URL == contentURL }

// fullText puts them into the plan of a type that has them.
func (x *Index) fullText(k *catalogue, out *plan, typ string, words []*definition.Param) {
	for _, d := range words {
		if !k.is(typ, d.Base[0]) {
			continue
		}
		p := &param{Param: search.Param{Code: d.Code, Kind: search.String, Words: true, Definition: d.URL, Documentation: d.Description}}
		out.params, out.byCode[d.Code] = append(out.params, p), p
		out.words = append(out.words, p)
		delete(out.absent, d.Code)
	}
}

// fullText are the entries of the parameters that find words.
func (w *walk) fullText(p *plan, root element.Element) {
	for _, x := range p.words {
		if x.Definition == contentURL {
			w.content(x, map[string]bool{}, root)
		} else if div := w.root.Get("text").Get("div").Text(); div != "" {
			w.say(x, map[string]bool{}, unmarked(div))
		}
	}
}

// content takes the words of all strings in an element.
func (w *walk) content(x *param, seen map[string]bool, e element.Element) {
	c := e.Children()
	for child, ok := c.Next(); ok; child, ok = c.Next() {
		switch t := child.Type(); {
		case t == nil:
		case e.Type().Is("Reference") && child.Value().Name() == "reference": // an address
		case t.Name == "string", t.Name == "markdown":
			w.say(x, seen, child.Value().Text())
		case t.Name == "xhtml":
			w.say(x, seen, unmarked(child.Value().Text()))
		}
		w.content(x, seen, child)
	}
}

// say adds an entry for each word that there is none of yet.
func (w *walk) say(x *param, seen map[string]bool, text string) {
	for _, word := range search.Words(text) {
		if seen[word] || len(seen) == maxWords {
			continue
		}
		seen[word] = true
		w.entries = append(w.entries, search.Entry{Code: x.Code, Kind: search.String, Value: search.Value{Text: word}})
	}
}

// unmarked is the text of a narrative: each tag and comment is a space. What is stored is well-formed.
func unmarked(div string) string {
	var b strings.Builder
	for {
		text, rest, tagged := strings.Cut(div, "<")
		b.WriteString(html.UnescapeString(text))
		if !tagged {
			return b.String()
		}
		b.WriteByte(' ')
		if comment, ok := strings.CutPrefix(rest, "!--"); ok {
			_, div, _ = strings.Cut(comment, "-->")
			continue
		}
		div = afterTag(rest)
	}
}

// afterTag is what follows a tag whose beginning is read. A value of an attribute may have a ">".
func afterTag(s string) string {
	for {
		i := strings.IndexAny(s, `>"'`)
		if i < 0 {
			return ""
		}
		if s[i] == '>' {
			return s[i+1:]
		}
		_, s, _ = strings.Cut(s[i+1:], s[i:i+1])
	}
}
