package search

import "maps"

// The codes of issues. They are stable: a code is never given another meaning.
const (
	CodeUnknownParam  = "search-unknown-parameter" // no such parameter for that type
	CodeModifier      = "search-modifier"          // the modifier does not go with the parameter
	CodePrefix        = "search-prefix"            // the prefix does not go with the parameter
	CodeValue         = "search-value"             // the value does not parse as the parameter's kind
	CodeEmptyValue    = "search-empty-value"       // a parameter without a value
	CodeChain         = "search-chain"             // a chain that leads nowhere, to several types, or too far
	CodeInclude       = "search-include"           // an _include or _revinclude that names no reference
	CodeSort          = "search-sort"              // a sort by something that has no order
	CodeResult        = "search-result-parameter"  // _count, _total, _summary, _elements and others with a value they do not have
	CodeRepeated      = "search-repeated"          // a result parameter that may stand once stands twice
	CodeTooMany       = "search-too-many"          // more parameters or values than MaxClauses or MaxValues
	CodeNotSupported  = "search-not-supported"     // a standard parameter that this server does not offer
	CodeResourceType  = "search-resource-type"     // _type or a chain names no resource type of R4
	CodeModifierValue = "search-modifier-value"    // the modifier takes other values, as :missing takes true and false
	CodeNoTerminology = "search-no-terminology"    // a value set, code system or code that is not here
	CodeTooCostly     = "search-too-costly"        // a value set or hierarchy of more codes than MaxCodes
	CodeFilter        = "search-filter"            // a _filter that does not parse
	CodeOperator      = "search-filter-operator"   // the operation of a _filter does not go with the parameter
	CodeWords         = "search-words"             // what _text or _content look for does not parse
	CodeIndexing      = "search-indexing"          // a package's parameter that what is stored is still being indexed by
	CodeTerminology   = "search-terminology"       // a value set or code system that is here and cannot be used
)

var texts = map[string]string{
	CodeUnknownParam:  "there is no such search parameter for this resource type",
	CodeModifier:      "this modifier does not go with the parameter",
	CodePrefix:        "this prefix does not go with the parameter",
	CodeValue:         "the value is not of the parameter's kind",
	CodeEmptyValue:    "the parameter has no value",
	CodeChain:         "the chain leads nowhere or to several types; name one, as in subject:Patient.name",
	CodeInclude:       "write Type:parameter or Type:parameter:Target with a parameter that is a reference",
	CodeSort:          "results cannot be sorted by this",
	CodeResult:        "this result parameter does not have that value",
	CodeRepeated:      "this parameter may stand only once",
	CodeTooMany:       "the query has too many parameters or values",
	CodeNotSupported:  "this server does not offer this standard parameter",
	CodeResourceType:  "there is no such resource type in FHIR R4",
	CodeModifierValue: "the modifier takes another value",
	CodeNoTerminology: "the value set, code system or code is not known here, or its content is not loaded",
	CodeTooCostly:     "the value set or hierarchy has too many codes to search by",
	CodeFilter:        "write tests as name op value, joined by and, or, not (...), as in _filter=name co \"x\" and not (gender eq male)",
	CodeOperator:      "this operation of _filter does not go with the parameter",
	CodeWords:         "write words, joined by and, or and not, with parentheses: _text=(bone or liver) and metastases",
	CodeIndexing:      "this parameter was added by a package or a newer version, and what is stored is still being indexed by it; ask again later",
	CodeTerminology:   "the value set or code system cannot be used here: it is malformed, only in part here, or needs what is not supported",
}

// Codes returns every code with its sentence.
func Codes() map[string]string {
	return maps.Clone(texts)
}

// An Issue says what is wrong with a query: a stable code, the parameter as far as it is one that
// FHIR or this server knows, and a sentence. It never holds a searched value: an Issue may be
// logged and sent.
type Issue struct {
	Code string `json:"code"`
	// Param is the parameter's code without its modifier, or "" if it is unknown: the name of an
	// unknown parameter may hold anything.
	Param string `json:"parameter,omitempty"`
	// Place is the parameter's place in the query, from 0.
	Place int    `json:"place"`
	Text  string `json:"text"`
}

// Error returns code, parameter and sentence.
func (i *Issue) Error() string {
	at := ""
	if i.Param != "" {
		at = " at " + i.Param
	}
	return "search: " + i.Code + at + ": " + i.Text
}

// Is reports whether target is an Issue with the same code.
func (i *Issue) Is(target error) bool {
	o, ok := target.(*Issue)
	return ok && o.Code == i.Code
}

// TooMany says that a query has more parameters or values than a store can be asked for at once.
func TooMany() *Issue { return issue(CodeTooMany, "") }

func issue(code, param string) *Issue { return &Issue{Code: code, Param: param, Text: texts[code]} }
