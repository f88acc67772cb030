package fhirpath

import "strconv"

// The codes of errors.
const (
	CodeSyntax   = "fhirpath-syntax"   // the expression is not FHIRPath
	CodeSemantic = "fhirpath-semantic" // it names what does not exist
	CodeType     = "fhirpath-type"     // an operand is of a type that the operator does not take
	CodeSingle   = "fhirpath-single"   // one item was wanted and several were there
	CodeBudget   = "fhirpath-budget"   // evaluation took too many steps
)

// An Error says why an expression was not compiled or evaluated. It holds no content of a resource.
type Error struct {
	Code string
	Pos  int // byte of the expression
	Text string
}

// Error returns code, position and sentence.
func (e *Error) Error() string {
	return "fhirpath: " + e.Code + " at " + strconv.Itoa(e.Pos) + ": " + e.Text
}

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func fail(code string, pos int, text string) *Error { return &Error{code, pos, text} }
