// Package fhirxml says FHIR R4 resources in XML and reads them from it (R4 2.6.1, "XML Representation of
// Resources"). What is stored is JSON; this is another form of it for those who speak XML.
//
//	XML to JSON   read.go
//	JSON to XML   write.go
//	narratives    div.go
//
// Contract: the types of the model say which elements repeat, which are attributes, and which values are numbers
// or truth values, so nothing is guessed from the text. Decimals keep their text, strings their characters,
// narratives their markup. What one form has and the other cannot say is an error, never left out: what reads
// from XML is said in the same elements again. Reading is strict: one namespace, elements in the order of their definition, no
// text between them, no document type and so no entities but XML's own. Comments and processing
// instructions are no content and are passed over.
//
// Errors are *fhir.Issue with the codes below, or fhir's for what both forms can have. They hold element names of the definitions and
// positions, no byte of the input. It must never fetch anything that a document names.
package fhirxml

import (
	"encoding/xml"
	"errors"
	"maps"
	"strconv"

	"salus/fhir"
)

// The codes of what is wrong with a document. They are stable.
const (
	CodeSyntax    = "fhir-xml"           // not well-formed XML 1.0 in UTF-8
	CodeDoctype   = "fhir-xml-doctype"   // a document type
	CodeNamespace = "fhir-xml-namespace" // not in http://hl7.org/fhir
	CodeElement   = "fhir-xml-element"   // not an element of its parent
	CodeAttribute = "fhir-xml-attribute" // not an attribute of its element
	CodeText      = "fhir-xml-text"      // text between elements
	CodeOrder     = "fhir-xml-order"     // after one that comes later in the definition
	CodeRepeated  = "fhir-xml-repeated"  // more than once, or in two types
	CodeBlank     = "fhir-xml-empty"     // neither value nor content
	CodeValue     = "fhir-xml-value"     // no value of a number or truth value
	CodeNarrative = "fhir-xml-narrative" // not a div that stands for itself
	CodeUnsaid    = "fhir-xml-unsaid"    // JSON that has no form in XML
)

var sentences = map[string]string{
	CodeSyntax:    "this is not well-formed XML 1.0 in UTF-8",
	CodeDoctype:   "a resource has no document type and no entities but those of XML",
	CodeNamespace: "the elements of a resource are in the namespace " + space,
	CodeElement:   "R4 defines no such element here; ids of elements and urls of extensions are attributes",
	CodeAttribute: "R4 defines no such attribute here; the value of a primitive is the attribute value",
	CodeText:      "there is text between elements; the value of a primitive is the attribute value",
	CodeOrder:     "elements stand in the order of their definition, those of one name together",
	CodeRepeated:  "the element is there more than once, or in two types",
	CodeBlank:     "an element has a value or content",
	CodeValue:     "the value is not a number, or not true or false, where the type is that",
	CodeNarrative: "a narrative is one div in the namespace " + xhtml + " with elements of that namespace, without prefixes",
	CodeUnsaid:    "the resource has something that cannot be said in XML; ask for application/fhir+json",
}

// Codes returns every code of this package with its sentence.
func Codes() map[string]string { return maps.Clone(sentences) }

// The namespaces of a resource, and those that a document may name besides.
const (
	space    = "http://hl7.org/fhir"
	xhtml    = "http://www.w3.org/1999/xhtml"
	instance = "http://www.w3.org/2001/XMLSchema-instance"
	xmlSpace = "http://www.w3.org/XML/1998/namespace"
)

// maxDepth bounds the elements of a resource that are open at once.
const maxDepth = 64

func issue(code, expression string) *fhir.Issue {
	text, ok := sentences[code]
	if !ok {
		text = fhir.Codes()[code]
	}
	return &fhir.Issue{Code: code, Expression: expression, Text: text}
}

// malformed is what the XML parser stopped at, without its words: they quote the input.
func malformed(err error, expression string) *fhir.Issue {
	i := issue(CodeSyntax, expression)
	if s, ok := errors.AsType[*xml.SyntaxError](err); ok {
		i.Text += " (line " + strconv.Itoa(s.Line) + ")"
	}
	return i
}

// attributes are those of an element by name; declarations of namespaces, and where a schema is, are none.
func attributes(e *xml.StartElement, allowed ...string) (values map[string]string, ok bool) {
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" || a.Name.Space == instance {
			continue
		}
		known := false
		for _, name := range allowed {
			known = known || a.Name.Space == "" && a.Name.Local == name
		}
		if _, twice := values[a.Name.Local]; twice || !known {
			return nil, false
		}
		if values == nil {
			values = map[string]string{}
		}
		values[a.Name.Local] = a.Value
	}
	return values, true
}
