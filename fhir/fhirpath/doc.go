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
//   - hasExtension(url) exists because one search parameter of R4 uses it.
//   - calendar years and months are comparable with each other, not with days or UCUM's
//     "a" and "mo", except by ~.
//   - resolve() follows "#id" in the resource and else only what Env.Resolve gives;
//     conformsTo() without Env.Conforms knows the types of R4 alone.
//   - elementDefinition(), slice(), checkModifiers(), subsumes() and defineVariable() are
//     not there.
//   - regular expressions are those of RE2: no look-around, no back references.
//
// All 935 tests of HL7's r4/fhirpath/tests-fhir-r4.xml (FHIR/fhir-test-cases, Apache-2.0, not
// part of this repository) pass, those of wrong paths by Check; TestSuiteOfHL7Passes runs them
// where FHIRPATH_SUITE names a folder that has them.
package fhirpath
