package fhir

import (
	"bytes"
	"maps"
	"strconv"
)

// An Issue says what is wrong with an input: a stable code, where, and a sentence that
// helps. It never holds a byte of the input: the expression is made of element names of
// the FHIR specification and counts only, so an Issue may be logged and sent.
type Issue struct {
	// Code is one of the constants below; programs may branch on it.
	Code string `json:"code"`
	// Expression is the place as far as it can be told without quoting the input, in the
	// manner of FHIRPath: "Bundle.entry[3].resource.id", "line[12]".
	Expression string `json:"expression,omitempty"`
	Text       string `json:"text"`

	cause error
}

// The codes of issues. They are stable: a code is never given another meaning.
const (
	CodeEmpty        = "fhir-empty"         // no input at all
	CodeJSON         = "fhir-json"          // not JSON (RFC 8259)
	CodeTrailing     = "fhir-trailing"      // something follows the resource
	CodeUTF8         = "fhir-utf8"          // not UTF-8
	CodeSurrogate    = "fhir-surrogate"     // half of a surrogate pair
	CodeDuplicateKey = "fhir-duplicate-key" // an object has the same name twice (RFC 7493, 2.3)
	CodeDepth        = "fhir-depth"         // nested deeper than MaxDepth
	CodeSize         = "fhir-size"          // larger than MaxResource, MaxBundle or MaxImport
	CodeType         = "fhir-type"          // resourceType missing or not of FHIR R4
	CodeID           = "fhir-id"            // id against the syntax of R4 2.24.0.1
	CodeBundleType   = "fhir-bundle-type"   // not a Bundle, or of a type that carries no records
	CodeBundleEmpty  = "fhir-bundle-empty"  // a Bundle without entries
	CodeEntry        = "fhir-entry"         // an entry without a resource to keep
	CodeFullURL      = "fhir-full-url"      // two different resources under one fullUrl
	CodeNoPatient    = "fhir-no-patient"    // nothing says whose the resource is
	CodeReference    = "fhir-reference"     // the patient reference leads nowhere, or to several
	CodeSummary      = "fhir-summary"       // not a Summary in canonical form
	CodeRead         = "fhir-read"          // the input could not be read to its end
)

// sentences holds the fixed text of each code; a detail may be put in front of it.
var sentences = map[string]string{
	CodeEmpty:        "the input is empty; send one FHIR R4 resource in JSON",
	CodeJSON:         "this is not valid JSON; check commas, quotes, numbers and that the text is complete",
	CodeTrailing:     "there is more after the end of the resource; send one resource only, or NDJSON with one resource a line",
	CodeUTF8:         "a string is not valid UTF-8; save the file as UTF-8 and send it again",
	CodeSurrogate:    "a \\u escape is half of a surrogate pair; write the character itself or both halves",
	CodeDuplicateKey: "an object names the same element twice, so its meaning depends on the reader; remove one",
	CodeDepth:        "objects and arrays are nested deeper than " + strconv.Itoa(MaxDepth) + " levels",
	CodeSize:         "the input is too large; split it, or keep large attachments outside of the resource",
	CodeType:         "resourceType must be a string that names a resource of FHIR R4 (4.0.1)",
	CodeID:           "id must be 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'",
	CodeBundleType:   "this must be a Bundle of type transaction, batch, collection, searchset, history, document or message",
	CodeBundleEmpty:  "the Bundle has no entries, so there is nothing to store",
	CodeEntry:        "the entry carries no record: it needs a resource, and its request, if any, must be POST or PUT",
	CodeFullURL:      "another entry has the same fullUrl for a different resource, so references to it are ambiguous",
	CodeNoPatient:    "the resource names no patient, and the input does not have exactly one Patient that it could belong to",
	CodeReference:    "the reference to the patient cannot be followed: the Patient is not in the input, or several match",
	CodeSummary:      "this is not a record summary in its canonical form",
	CodeRead:         "the input ended before it was complete",
}

// Codes returns every code with its sentence.
func Codes() map[string]string {
	out := make(map[string]string, len(sentences))
	maps.Copy(out, sentences)
	return out
}

// Error returns code, place and sentence.
func (i *Issue) Error() string {
	if i.Expression == "" {
		return "fhir: " + i.Code + ": " + i.Text
	}
	return "fhir: " + i.Code + " at " + i.Expression + ": " + i.Text
}

// Is reports whether target is an Issue with the same code.
func (i *Issue) Is(target error) bool {
	t, ok := target.(*Issue)
	return ok && t.Code == i.Code
}

// Unwrap returns what stopped the reading, for CodeRead.
func (i *Issue) Unwrap() error { return i.cause }

// issue makes an Issue from a code's fixed sentence.
func issue(code, expression string) *Issue {
	return &Issue{Code: code, Expression: expression, Text: sentences[code]}
}

// under puts an expression in front of the Issue's own.
func (i *Issue) under(prefix string) *Issue {
	c := *i
	switch {
	case c.Expression == "":
		c.Expression = prefix
	case prefix != "":
		c.Expression = prefix + "." + c.Expression
	}
	return &c
}

// place adds line and column, both counted from 1, in bytes; of an input of one line the column alone.
func (i *Issue) place(b []byte, at int) *Issue {
	line, column := 1, 1
	for _, c := range b[:min(at, len(b))] {
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	where := "byte " + strconv.Itoa(column)
	if bytes.IndexByte(b, '\n') >= 0 {
		where = "line " + strconv.Itoa(line) + ", " + where
	}
	c := *i
	c.Text += " (" + where + ")"
	return &c
}
