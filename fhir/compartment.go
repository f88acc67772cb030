package fhir

import (
	"iter"
	"strings"
)

// compartment names, for every type in R4's Patient compartment
// (hl7.org/fhir/R4/compartmentdefinition-patient.html) and for the few others that point at
// a patient, the elements that say whose the resource is, most telling first. Elements that
// only say who took part (author, performer, recorder, asserter ...) come after those that
// say whom it is about, or not at all: a mother who reports her child's allergy does not
// own the report.
var compartment = map[string][]string{
	"Account":                     {"subject"},
	"AdverseEvent":                {"subject"},
	"AllergyIntolerance":          {"patient"},
	"Appointment":                 {"participant.actor"},
	"AppointmentResponse":         {"actor"},
	"AuditEvent":                  {"entity.what", "agent.who"},
	"Basic":                       {"subject", "author"},
	"BiologicallyDerivedProduct":  {"collection.source"},
	"BodyStructure":               {"patient"},
	"CarePlan":                    {"subject"},
	"CareTeam":                    {"subject"},
	"ChargeItem":                  {"subject"},
	"Claim":                       {"patient"},
	"ClaimResponse":               {"patient"},
	"ClinicalImpression":          {"subject"},
	"Communication":               {"subject", "recipient", "sender"},
	"CommunicationRequest":        {"subject", "recipient", "requester", "sender"},
	"Composition":                 {"subject"},
	"Condition":                   {"subject"},
	"Consent":                     {"patient"},
	"Contract":                    {"subject"},
	"Coverage":                    {"beneficiary", "subscriber", "policyHolder", "payor"},
	"CoverageEligibilityRequest":  {"patient"},
	"CoverageEligibilityResponse": {"patient"},
	"DetectedIssue":               {"patient"},
	"Device":                      {"patient"},
	"DeviceRequest":               {"subject"},
	"DeviceUseStatement":          {"subject"},
	"DiagnosticReport":            {"subject"},
	"DocumentManifest":            {"subject"},
	"DocumentReference":           {"subject"},
	"Encounter":                   {"subject"},
	"EnrollmentRequest":           {"candidate"},
	"EpisodeOfCare":               {"patient"},
	"ExplanationOfBenefit":        {"patient"},
	"FamilyMemberHistory":         {"patient"},
	"Flag":                        {"subject"},
	"Goal":                        {"subject"},
	"Group":                       {"member.entity"},
	"GuidanceResponse":            {"subject"},
	"ImagingStudy":                {"subject"},
	"Immunization":                {"patient"},
	"ImmunizationEvaluation":      {"patient"},
	"ImmunizationRecommendation":  {"patient"},
	"Invoice":                     {"subject", "recipient"},
	"List":                        {"subject", "source"},
	"MeasureReport":               {"subject"},
	"Media":                       {"subject"},
	"MedicationAdministration":    {"subject"},
	"MedicationDispense":          {"subject", "receiver"},
	"MedicationRequest":           {"subject"},
	"MedicationStatement":         {"subject"},
	"MolecularSequence":           {"patient"},
	"NutritionOrder":              {"patient"},
	"Observation":                 {"subject"},
	"Person":                      {"link.target"},
	"Procedure":                   {"subject"},
	"Provenance":                  {"target"},
	"QuestionnaireResponse":       {"subject", "source", "author"},
	"RelatedPerson":               {"patient"},
	"RequestGroup":                {"subject"},
	"ResearchSubject":             {"individual"},
	"RiskAssessment":              {"subject"},
	"Schedule":                    {"actor"},
	"ServiceRequest":              {"subject"},
	"Specimen":                    {"subject"},
	"SupplyDelivery":              {"patient"},
	"SupplyRequest":               {"deliverTo", "requester"},
	"Task":                        {"for"},
	"VisionPrescription":          {"patient"},
}

// Patient returns the reference to the patient whose the resource is, as the resource
// writes it but without a version: "Patient/x", "urn:uuid:..." or an absolute URL. A
// Patient is its own: "Patient/<id>". ok is false if nothing names one patient, or if the
// element that does names several. A
// urn:uuid or other opaque reference is returned unresolved: only the Bundle around the
// resource knows whether it is a Patient (GroupByPatient resolves it).
func (r Resource) Patient() (ref string, ok bool) {
	if r.typ == "Patient" {
		return ownReference(Item{Resource: r}), r.id != ""
	}
	for element := range r.owners() {
		for _, o := range element {
			switch {
			case o.kind != refPatient && o.kind != refOpaque:
			case ref != "" && ref != o.ref:
				return "", false
			default:
				ref = o.ref
			}
		}
		if ref != "" {
			return ref, true
		}
	}
	return "", false
}

// The kinds of references, told by their text alone.
type refKind uint8

const (
	refOther      refKind = iota // names a type that is not Patient, e.g. Group/1
	refPatient                   // Patient/<id> or an absolute URL that ends so
	refOpaque                    // urn:uuid:, urn:oid: or a URL without a type
	refUnfollowed                // a patient that no reference leads to: contained, conditional, identifier only
)

type owner struct {
	ref  string
	kind refKind
}

// owners yields the references that may name the patient, those of one element together,
// the most telling element first.
func (r Resource) owners() iter.Seq[[]owner] {
	return func(yield func([]owner) bool) {
		body := r.body()
		for _, path := range compartment[r.typ] {
			top, rest, _ := strings.Cut(path, ".")
			var out []owner
			for el := range body.get(top).elements() {
				if rest != "" {
					el = el.get(rest)
				}
				for ref := range el.elements() {
					if o, ok := parseReference(ref); ok {
						out = append(out, o)
					}
				}
			}
			if len(out) > 0 && !yield(out) {
				return
			}
		}
	}
}

// parseReference reads a FHIR Reference (R4 2.3.0).
func parseReference(v value) (owner, bool) {
	var ref, typ string
	identifier := false
	for name, m := range v.members() {
		switch name {
		case "reference":
			ref = strings.TrimSpace(m.text())
		case "type":
			typ = m.text()
		case "identifier":
			identifier = true
		}
	}
	if ref == "" {
		return owner{kind: refUnfollowed}, identifier && (typ == "" || typ == "Patient")
	}
	if strings.HasPrefix(ref, "#") {
		return owner{kind: refUnfollowed}, typ == "" || typ == "Patient"
	}
	kind, ref := classify(ref)
	if kind == refOpaque && typ != "" && typ != "Patient" {
		kind = refOther
	}
	return owner{ref: ref, kind: kind}, true
}

// classify tells what a reference's text says about its target, and removes a version.
func classify(ref string) (refKind, string) {
	ref, _, _ = strings.Cut(ref, "/_history/")
	if typ, _, conditional := strings.Cut(ref, "?"); conditional && !strings.Contains(typ, "/") {
		if typ == "Patient" {
			return refUnfollowed, ""
		}
		return refOther, ref
	}
	if strings.HasPrefix(ref, "urn:") {
		return refOpaque, ref
	}
	parts := strings.Split(ref, "/")
	if n := len(parts); n >= 2 {
		if typ := knownType(parts[n-2]); typ != "" && typ != "Patient" {
			return refOther, ref
		} else if typ == "Patient" && validID(parts[n-1]) {
			return refPatient, ref
		} else if typ == "Patient" {
			return refUnfollowed, ""
		}
	}
	return refOpaque, ref
}
