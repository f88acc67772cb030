package pcf

import (
	"errors"
	"fmt"
)

// An Issue is one thing that is wrong with a posted Consent, or that its author should know. The
// fields are those of an OperationOutcome's issue (R4 2.28).
type Issue struct {
	Severity   string // "error", "warning" or "information"
	Type       string // of issue-type
	Code       string // one of the Code constants, stable
	Text       string
	Expression string // FHIRPath of the element
}

// A Refusal is a Consent that cannot be enforced, with every reason why.
type Refusal struct{ Issues []Issue }

// Error names the first issue.
func (r *Refusal) Error() string {
	if len(r.Issues) == 0 {
		return "pcf: refused"
	}
	i := r.Issues[0]
	return fmt.Sprintf("pcf: %s: %s (%d in all)", i.Code, i.Text, len(r.Issues))
}

// Errors of the service.
var (
	ErrNotFound = errors.New("pcf: there is no such consent of this patient")
	ErrConflict = errors.New("pcf: the consent is at another version")
	ErrSlots    = errors.New("pcf: the patient's slot map is not at hand; only her wallet or her steward can record a consent")
)

var errPaper = errors.New("pcf: a kept document does not read as JSON")

// Codes of issues. They are stable.
const (
	CodeJSON        = "pcf-json"        // not a Consent in FHIR JSON
	CodeSize        = "pcf-size"        // more bytes than a Consent needs
	CodeRequired    = "pcf-required"    // an element that PCF requires is missing
	CodeType        = "pcf-type"        // an element has another JSON type than in FHIR
	CodeUnknown     = "pcf-unknown"     // an element that FHIR R4 does not have there
	CodeUnsupported = "pcf-unsupported" // an element that Salus cannot enforce or PCF forbids
	CodeModifier    = "pcf-modifier"    // a modifier extension or implicit rules
	CodeContained   = "pcf-contained"   // contained resources
	CodeStatus      = "pcf-status"      // not an active Consent
	CodeScope       = "pcf-scope"       // not a privacy consent
	CodePatient     = "pcf-patient"     // another patient
	CodePerformer   = "pcf-performer"   // nobody who may agree for the patient
	CodeSteward     = "pcf-steward"     // another organisation than the one that keeps the patient's consents
	CodeTime        = "pcf-time"        // a date that does not read, or is in the future
	CodePolicy      = "pcf-policy"      // a policy that this network does not implement
	CodeProfile     = "pcf-profile"     // content beyond the level that meta.profile names
	CodeDepth       = "pcf-depth"       // provisions nested deeper than one level
	CodeProvision   = "pcf-provision"   // a provision without a type
	CodePeriod      = "pcf-period"      // a period that is empty, has ended or is too precise
	CodeActor       = "pcf-actor"       // an actor that is nobody on the ledger
	CodeRole        = "pcf-role"        // an actor in another role than IRCP
	CodePurpose     = "pcf-purpose"     // not a code of v3 PurposeOfUse
	CodeLabel       = "pcf-label"       // not a security label that is known here
	CodeLabelFiner  = "pcf-label-finer" // a permit of less than the ledger can tell apart
	CodeLabelWider  = "pcf-label-wider" // warning: a denial that takes more with it
	CodeLabelAlone  = "pcf-label-alone" // a permit of a sensitivity without what it is of
	CodeDataPeriod  = "pcf-data-period" // provision.dataPeriod
	CodeData        = "pcf-data"        // provision.data
	CodeUses        = "pcf-uses"        // a number of uses that does not read
	CodeDissent     = "pcf-dissent"     // warning: an exception within a denial leaves others at the default
	CodeNewcomer    = "pcf-newcomer"    // warning: a member joined after a denial to everybody
	CodeParts       = "pcf-parts"       // more grants than one Consent may be
	CodeKept        = "pcf-kept"        // information: kept, and not enforced
)
