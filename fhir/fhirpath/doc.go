// Package fhirpath evaluates FHIRPath 2.0 (N1) with the functions that FHIR R4 adds, over
// the elements of package element and the types of package definition.
//
// An Engine compiles an expression once; an Expression is read-only and may be evaluated by
// several goroutines. A primitive of FHIR keeps its type and place (a Value of kind Node)
// and converts where an operator wants a System type. Decimals are exact, dates keep their
// precision, and a comparison that precision leaves open is empty.
//
// Evaluation is bounded in steps and size (Env.Steps) and never panics; what goes wrong is
// an *Error with the position in the expression and no content of the resource. The package
// must never fetch: resolve() and memberOf() ask what the caller put into the Env.
//
// Where the specification and HL7's R4 test suite leave a choice:
//   - as() of a collection of several items is an error, as N1 has it; with the option
//     Lenient it filters as ofType() does, which R4's own search parameters and invariants
//     (dom-3) rely on.
//   - adding 0.5 'ms' or 0.1 's' to a time drops the fraction, as the suite wants; with the
//     calendar unit (0.1 seconds) it is kept.
//   - lowBoundary(p) and highBoundary(p) of a decimal with p below its own scale follow the
//     suite (truncate, and round half up), which may not be a bound.
//   - UCUM knows the base units, prefixes and about a hundred units of clinical practice;
//     others are equal only to themselves.
//   - regular expressions are those of RE2: no look-around, no back references.
package fhirpath
