package fhirxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// maxOpen bounds the elements of a narrative that are open at once.
const maxOpen = 256

// div writes the markup of a narrative, whose start tag is read, as a string: as it stands, with its namespace said.
func (r *reading) div(e *xml.StartElement) error {
	from := r.at
	if !plain(r.src[from:], e) || e.Name.Local != "div" {
		return r.fail(CodeNarrative)
	}
	if err := markup(r.d, r.src); errors.Is(err, errMarkup) {
		return r.fail(CodeNarrative)
	} else if err != nil {
		return malformed(err, r.place())
	}
	raw := lineEnds(string(r.src[from:r.d.InputOffset()]))
	if !declared(e) {
		raw = `<div xmlns="` + xhtml + `"` + strings.TrimPrefix(raw, "<div")
	}
	r.out = quote(r.out, raw)
	return nil
}

// lineEnds ends the lines of markup as a reader of XML hears them (XML 1.0, 2.11).
func lineEnds(raw string) string {
	return strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\r", "\n")
}

// declared reports whether a start tag names its namespace itself.
func declared(e *xml.StartElement) bool {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == "xmlns" {
			return true
		}
	}
	return false
}

var (
	errMarkup    = errors.New("fhirxml: not a narrative")
	errCharacter = errors.New("fhirxml: not a character of XML")
)

// markup reads up to the end tag of an element whose start tag is read: elements of XHTML without prefixes,
// text and comments.
func markup(d *xml.Decoder, src []byte) error {
	for open := 1; open > 0; {
		at := d.InputOffset()
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if open++; open > maxOpen || !plain(src[at:], &t) {
				return errMarkup
			}
		case xml.EndElement:
			open--
		case xml.Comment:
			if !characters(t) {
				return errCharacter
			}
		case xml.ProcInst, xml.Directive:
			return errMarkup
		}
	}
	return nil
}

// plain reports whether a start tag, and what it looks like, is one of XHTML that needs nothing of what is around it.
func plain(tag []byte, e *xml.StartElement) bool {
	rest, named := bytes.CutPrefix(tag, []byte("<"+e.Name.Local))
	if e.Name.Space != xhtml || !named || len(rest) == 0 || rest[0] == ':' { // "<p:p", where p is a prefix
		return false
	}
	seen := map[xml.Name]bool{}
	for _, a := range e.Attr {
		switch {
		case seen[a.Name]:
			return false
		case a.Name.Space == "" && a.Name.Local == "xmlns" && a.Value != xhtml:
			return false
		case a.Name.Space != "" && a.Name.Space != xmlSpace:
			return false
		}
		seen[a.Name] = true
	}
	return true
}

// standsAlone reports whether a string is one div, well-formed and complete, and so may go into a document as it is.
func standsAlone(s string) bool {
	src := []byte(strings.TrimSpace(s))
	d := xml.NewDecoder(bytes.NewReader(src))
	t, err := d.Token()
	if err != nil {
		return false
	}
	e, ok := t.(xml.StartElement)
	if !ok || e.Name.Local != "div" || !plain(src, &e) || !declared(&e) || markup(d, src) != nil {
		return false
	}
	_, err = d.Token()
	return errors.Is(err, io.EOF)
}
