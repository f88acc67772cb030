package patch

import (
	"maps"
	"strconv"
)

// The codes of errors. They are stable: a code is never given another meaning.
const (
	CodeParameters = "patch-parameters" // the patch is no Parameters with operations, or one has other parts than it takes
	CodeOperation  = "patch-operation"  // no such type of operation
	CodeMany       = "patch-many"       // more than MaxOperations, or too many for a resource so large
	CodeResource   = "patch-resource"   // the resource is not one of R4 in JSON, or would be none afterwards
	CodePath       = "patch-path"       // the path is no FHIRPath, or leads to what is no element of the resource
	CodeNotFound   = "patch-not-found"  // the path leads to nothing
	CodeSeveral    = "patch-several"    // the path leads to several elements
	CodeName       = "patch-name"       // there is no element with this name there
	CodeExists     = "patch-exists"     // the element does not repeat and is there already
	CodeList       = "patch-list"       // the element does not repeat
	CodeIndex      = "patch-index"      // the index is beyond the end of the list
	CodeType       = "patch-type"       // the value is of another type than the element
	CodeValue      = "patch-value"      // the value has no form that can be used
)

var sentences = map[string]string{
	CodeParameters: "a patch is a Parameters resource with parameters named operation, each with the parts type, path and those that its type takes",
	CodeOperation:  "the type of an operation is add, insert, delete, replace or move",
	CodeMany:       "the patch has more operations than this server takes",
	CodeResource:   "this is not a resource of FHIR R4 in JSON",
	CodePath:       "the path must be FHIRPath that begins with the type of the resource and leads to an element of it",
	CodeNotFound:   "the path leads to nothing",
	CodeSeveral:    "the path leads to several elements; it must lead to one",
	CodeName:       "there is no element with this name at the path",
	CodeExists:     "the element does not repeat and is there already; use replace",
	CodeList:       "the element does not repeat, so nothing can be inserted or moved in it",
	CodeIndex:      "the index is beyond the end of the list",
	CodeType:       "the value is of another type than the element",
	CodeValue:      "a value is one value[x] or resource, or parts that name elements",
}

// Codes returns every code with its sentence.
func Codes() map[string]string {
	out := make(map[string]string, len(sentences))
	maps.Copy(out, sentences)
	return out
}

// An Error says why nothing was changed. It holds no content of the resource or the patch.
type Error struct {
	Code      string // one of the constants above
	Operation int    // counted from 0; -1 for the patch as a whole
	err       error
}

func fail(code string, operation int) *Error { return &Error{Code: code, Operation: operation} }

// Text returns the sentence of the code.
func (e *Error) Text() string { return sentences[e.Code] }

// Expression returns where in the Parameters it is: "Parameters.parameter[2]", or "".
func (e *Error) Expression() string {
	if e.Operation < 0 {
		return ""
	}
	return "Parameters.parameter[" + strconv.Itoa(e.Operation) + "]"
}

// Error returns code, place and sentence.
func (e *Error) Error() string {
	s := "patch: " + e.Code
	if x := e.Expression(); x != "" {
		s += " at " + x
	}
	return s + ": " + e.Text()
}

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Unwrap returns what went wrong below, if anything did.
func (e *Error) Unwrap() error { return e.err }
