package rest

import "regexp"

// quotedURN is a link of a narrative that only holds within its Bundle.
var quotedURN = regexp.MustCompile(`"urn:[^"<>\s]+"`)

// Relink replaces strings of a resource that fhir.Parse has taken: to says what stands for one that is the
// value of an element, and for the links by URN of a narrative, whose element is "div". Nothing else of the
// bytes changes. The error is that of to.
func Relink(body []byte, to func(element, text string) (string, error)) ([]byte, error) {
	var edits []edit
	var failed error
	ask := func(name, text string) string {
		if failed != nil {
			return text
		}
		now, err := to(name, text)
		if err != nil {
			failed = err
			return text
		}
		return now
	}
	eachString(body, func(name string, from, to int) {
		text := unquote(body[from:to])
		var now string
		if name == "div" {
			now = quotedURN.ReplaceAllStringFunc(text, func(q string) string { return `"` + ask(name, q[1:len(q)-1]) + `"` })
		} else {
			now = ask(name, text)
		}
		if now != text {
			edits = append(edits, edit{from, to, must(now)})
		}
	})
	if failed != nil || len(edits) == 0 {
		return body, failed
	}
	return apply(body, edits), nil
}
