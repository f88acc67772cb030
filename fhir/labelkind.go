package fhir

// kinds gives each resource type its kind of information. Types that are not listed
// define, administer or describe rather than tell about a patient: administrative.
var kinds = map[string]labelSet{
	"AllergyIntolerance": setOf(KindAllergy),

	"Account": setOf(KindBilling), "ChargeItem": setOf(KindBilling), "Claim": setOf(KindBilling),
	"ClaimResponse": setOf(KindBilling), "Coverage": setOf(KindBilling), "CoverageEligibilityRequest": setOf(KindBilling),
	"CoverageEligibilityResponse": setOf(KindBilling), "EnrollmentRequest": setOf(KindBilling),
	"EnrollmentResponse": setOf(KindBilling), "ExplanationOfBenefit": setOf(KindBilling), "Invoice": setOf(KindBilling),
	"PaymentNotice": setOf(KindBilling), "PaymentReconciliation": setOf(KindBilling),

	"CarePlan": setOf(KindCareplan), "CareTeam": setOf(KindCareplan), "Goal": setOf(KindCareplan),
	"GuidanceResponse": setOf(KindCareplan), "NutritionOrder": setOf(KindCareplan), "RequestGroup": setOf(KindCareplan),
	"ServiceRequest": setOf(KindCareplan), "Task": setOf(KindCareplan),

	"AdverseEvent": setOf(KindCondition), "ClinicalImpression": setOf(KindCondition), "Condition": setOf(KindCondition),
	"DetectedIssue": setOf(KindCondition), "FamilyMemberHistory": setOf(KindCondition), "Flag": setOf(KindCondition),
	"ResearchSubject": setOf(KindCondition), "RiskAssessment": setOf(KindCondition),

	"Basic": setOf(KindDocument), "Binary": setOf(KindDocument), "Bundle": setOf(KindDocument),
	"Communication": setOf(KindDocument), "CommunicationRequest": setOf(KindDocument), "Composition": setOf(KindDocument),
	"DocumentManifest": setOf(KindDocument), "DocumentReference": setOf(KindDocument), "List": setOf(KindDocument),
	"MeasureReport": setOf(KindDocument), "QuestionnaireResponse": setOf(KindDocument),

	"Encounter": setOf(KindEncounter), "EpisodeOfCare": setOf(KindEncounter), "Appointment": setOf(KindEncounter),
	"AppointmentResponse": setOf(KindEncounter),

	"ImagingStudy": setOf(KindImaging), "Media": setOf(KindImaging),

	"Immunization": setOf(KindImmunization), "ImmunizationEvaluation": setOf(KindImmunization),
	"ImmunizationRecommendation": setOf(KindImmunization),

	"MolecularSequence": setOf(KindLaboratory, GDIS), "Specimen": setOf(KindLaboratory),
	"BiologicallyDerivedProduct": setOf(KindLaboratory),

	"Medication": setOf(KindMedication), "MedicationAdministration": setOf(KindMedication),
	"MedicationDispense": setOf(KindMedication), "MedicationRequest": setOf(KindMedication),
	"MedicationStatement": setOf(KindMedication),

	"BodyStructure": setOf(KindProcedure), "Device": setOf(KindProcedure), "DeviceRequest": setOf(KindProcedure),
	"DeviceUseStatement": setOf(KindProcedure), "Procedure": setOf(KindProcedure), "SupplyDelivery": setOf(KindProcedure),
	"SupplyRequest": setOf(KindProcedure), "VisionPrescription": setOf(KindProcedure),
}

// categories gives Observation and DiagnosticReport their kinds: codes of
// http://terminology.hl7.org/CodeSystem/observation-category and .../v2-0074, and LOINC
// parts that US Core uses.
var categories = map[string]labelSet{
	"laboratory": setOf(KindLaboratory), "vital-signs": setOf(KindVitalSigns), "social-history": setOf(KindSocial),
	"survey": setOf(KindSocial), "activity": setOf(KindSocial), "imaging": setOf(KindImaging),
	"procedure": setOf(KindProcedure), "therapy": setOf(KindProcedure), "exam": setOf(KindCondition),

	"LAB": setOf(KindLaboratory), "CH": setOf(KindLaboratory), "HM": setOf(KindLaboratory), "MB": setOf(KindLaboratory),
	"SR": setOf(KindLaboratory), "PAT": setOf(KindLaboratory), "SP": setOf(KindLaboratory), "CP": setOf(KindLaboratory),
	"GE": setOf(KindLaboratory, GDIS), "RAD": setOf(KindImaging), "CT": setOf(KindImaging), "NMR": setOf(KindImaging),
	"NMS": setOf(KindImaging), "RUS": setOf(KindImaging), "OUS": setOf(KindImaging), "VUS": setOf(KindImaging),
	"XRC": setOf(KindImaging), "CUS": setOf(KindImaging), "RX": setOf(KindImaging), "EC": setOf(KindProcedure),

	"LP29684-5": setOf(KindImaging), "LP29708-2": setOf(KindProcedure), "LP7839-6": setOf(KindLaboratory),
}

// vitals are the LOINC codes of R4's vital signs profiles
// (hl7.org/fhir/R4/observation-vitalsigns.html), for Observations without a category.
var vitals = map[string]bool{
	"85353-1": true, "9279-1": true, "8867-4": true, "2708-6": true, "59408-5": true, "8310-5": true, "8302-2": true,
	"9843-4": true, "29463-7": true, "39156-5": true, "85354-9": true, "8480-6": true, "8462-4": true,
}

// kindOf returns the kinds of a resource of the given type.
func kindOf(typ string, v value) labelSet {
	if typ == "Observation" || typ == "DiagnosticReport" {
		var set labelSet
		for el := range v.get("category").elements() {
			codings(el, func(c Coding) { set |= categories[c.Code] })
		}
		if set == 0 && typ == "Observation" {
			codings(v.get("code"), func(c Coding) {
				if vitals[c.Code] {
					set |= setOf(KindVitalSigns)
				}
			})
		}
		if set == 0 {
			set = setOf(KindLaboratory)
		}
		return set
	}
	if set, ok := kinds[typ]; ok {
		return set
	}
	return setOf(KindAdministrative)
}
