package validate

import "maps"

// Severities of issues (R4, issue-severity).
const (
	Fatal       = "fatal"
	Error       = "error"
	Warning     = "warning"
	Information = "information"
)

// The codes of issues. They are stable: a code is never given another meaning.
const (
	CodeResourceType   = "validate-resource-type"   // resourceType is missing or not of R4
	CodeUnknown        = "validate-unknown"         // a name that the type does not have
	CodeKind           = "validate-kind"            // another JSON type than the element has
	CodeArray          = "validate-array"           // an array where one value stands, or the reverse, or an empty one
	CodeNull           = "validate-null"            // null where there is nothing beside it
	CodeEmpty          = "validate-empty"           // an element without value and children (ele-1)
	CodeMin            = "validate-min"             // fewer than the minimum
	CodeMax            = "validate-max"             // more than the maximum
	CodeChoiceSeveral  = "validate-choice-several"  // value[x] in two types at once
	CodeType           = "validate-type"            // a type that the profile does not allow there
	CodeFormat         = "validate-format"          // not the format of the primitive
	CodeLength         = "validate-length"          // longer than allowed
	CodeFixed          = "validate-fixed"           // not the fixed value
	CodePattern        = "validate-pattern"         // without what the pattern wants
	CodeBinding        = "validate-binding"         // a code outside of a value set
	CodeUnchecked      = "validate-unchecked"       // could not be decided here
	CodeInvariant      = "validate-invariant"       // an invariant does not hold; the text begins with its key
	CodeSliceMin       = "validate-slice-min"       // too few of a slice
	CodeSliceMax       = "validate-slice-max"       // too many of a slice
	CodeSliceClosed    = "validate-slice-closed"    // in no slice where slicing is closed
	CodeSliceOrder     = "validate-slice-order"     // slices in another order
	CodeExtension      = "validate-extension"       // an extension that nothing loaded defines
	CodeModifier       = "validate-modifier"        // the same, of one that changes the meaning
	CodeContext        = "validate-context"         // an extension where it may not stand
	CodeReference      = "validate-reference"       // not the form of a reference
	CodeTarget         = "validate-target"          // a reference to a type that may not be there
	CodeNotFound       = "validate-not-found"       // a reference to what is not there
	CodeContained      = "validate-contained"       // "#id" without such a contained resource (ref-1)
	CodeFullURL        = "validate-full-url"        // fullUrl and id of an entry differ
	CodeNarrative      = "validate-narrative"       // XHTML beyond what R4 2.4.0 allows
	CodeProfileUnknown = "validate-profile-unknown" // a profile that is not loaded
	CodeProfileType    = "validate-profile-type"    // a profile of another type
	CodeLimit          = "validate-limit"           // there may be more issues
	CodeCancelled      = "validate-cancelled"       // the caller went away
)

var sentences = map[string]string{
	CodeResourceType:   "resourceType must name a resource of FHIR R4",
	CodeUnknown:        "there is no such element here",
	CodeKind:           "the value has another JSON type than the element takes",
	CodeArray:          "an element that repeats is a JSON array with at least one item; one that does not is no array",
	CodeNull:           "null stands only in an array of primitives beside an id or extension at the same position",
	CodeEmpty:          "an element must have a value or children (ele-1)",
	CodeMin:            "an element that is required is missing",
	CodeMax:            "the element is there more often than allowed",
	CodeChoiceSeveral:  "only one type may be chosen for this element",
	CodeType:           "the profile does not allow this type here",
	CodeFormat:         "the value has not the format of its type",
	CodeLength:         "the value is longer than allowed",
	CodeFixed:          "the value must be the one that the profile fixes",
	CodePattern:        "the value must contain what the profile's pattern has",
	CodeBinding:        "the code is not in the value set",
	CodeSliceMin:       "too few items of a slice that the profile requires",
	CodeSliceMax:       "too many items of a slice",
	CodeSliceClosed:    "the item belongs to none of the profile's slices, and no others are allowed",
	CodeSliceOrder:     "the slices must stand in the profile's order",
	CodeExtension:      "no definition of this extension is loaded",
	CodeModifier:       "no definition of this modifier extension is loaded, so the meaning of what holds it is not known",
	CodeContext:        "this extension may not stand here",
	CodeReference:      `a reference is "Type/id", "#id", an absolute URL or a URN`,
	CodeTarget:         "the reference leads to a type of resource that may not stand here",
	CodeNotFound:       "the reference leads to nothing that is here",
	CodeContained:      "ref-1: there is no contained resource with this id",
	CodeFullURL:        "fullUrl and the resource's id do not agree",
	CodeNarrative:      "txt-1: the narrative must be well-formed XHTML of the basic elements and attributes, without scripts",
	CodeProfileUnknown: "this profile is not loaded, so the resource was not checked against it",
	CodeProfileType:    "this profile is of another type of resource",
	CodeLimit:          "there may be more issues; these are the first",
	CodeCancelled:      "validation was cancelled before its end",
}

// An Issue is one finding (R4 2.28, OperationOutcome.issue). It holds no value of the
// resource.
type Issue struct {
	Severity   string // Fatal, Error, Warning or Information
	Type       string // of issue-type
	Code       string // one of the constants above, or a code of package element
	Text       string // a sentence that helps
	Expression string // FHIRPath of the place: "Patient.name[0].given[1]"
}

// issueTypes maps codes to R4's issue-type where it is not "structure".
var issueTypes = map[string]string{
	CodeMin: "required", CodeSliceMin: "required", CodeEmpty: "invariant", CodeFormat: "value", CodeLength: "too-long", CodeFixed: "value",
	CodePattern: "value", CodeBinding: "code-invalid", CodeUnchecked: "informational", CodeInvariant: "invariant", CodeExtension: "extension",
	CodeModifier: "extension", CodeContext: "extension", CodeReference: "value", CodeTarget: "value", CodeNotFound: "not-found",
	CodeContained: "invariant", CodeFullURL: "value", CodeNarrative: "invariant", CodeProfileUnknown: "not-supported", CodeLimit: "informational",
	CodeCancelled: "incomplete", CodeSliceOrder: "business-rule",
}

// Codes returns every code with its sentence; the text of an issue may say more.
func Codes() map[string]string {
	out := make(map[string]string, len(sentences))
	maps.Copy(out, sentences)
	out[CodeInvariant] = "an invariant of the definition does not hold"
	out[CodeUnchecked] = "this could not be decided with what is loaded"
	return out
}
