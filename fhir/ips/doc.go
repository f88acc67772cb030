// Package ips makes an International Patient Summary of a patient's resources: a FHIR R4 document
// Bundle by the HL7 IPS implementation guide, edition 2.0.0 or 1.1.0.
//
//	document.go   Select and Document: what is selected, and its addresses
//	refer.go      what comes with the entries, because they refer to it
//	bundle.go     the Composition and the Bundle
//	section.go    the sections, and what goes into which
//	rule.go       the rules of selection, by resource type
//	cell.go       what a table says of a resource, as plain text
//	narrative.go  narratives: escaping is in one place
//	emit.go       a resource as the document has it
//	absent.go     what stands where there is nothing
//
// Contract: Document is a function of its arguments. The same resources in any order, with the same
// Options, give the same bytes. Every reference in the document leads to a resource in it. Numbers,
// dates and texts are those of the resources, byte for byte; narratives are made anew, so that no
// markup of a source is in them.
//
// The rules of selection. The guide names the sections ("Structure of the International Patient
// Summary") and leaves to the maker of a summary what is still relevant ("Generating & Accessing IPS
// Documents", Data Included in IPS Documents). Where it is silent, the rules lean to saying more of
// what may do harm.
//
//  1. Only resources about the patient (fhir.Resource.Patient is the subject) are selected; none is given to
//     her by guessing.
//  2. entered-in-error is never selected, nor is what was refuted (verificationStatus).
//  3. Problem List (11450-4, required): Condition whose clinicalStatus is active, recurrence or relapse, or
//     which has none and no abatement.
//  4. Allergies and Intolerances (48765-2, required): AllergyIntolerance that is not resolved. The guide wants
//     "currently active and any relevant historical" ones: inactive ones are in, with their status.
//  5. Medication Summary (10160-0, required): MedicationStatement active, intended, on-hold or unknown;
//     MedicationRequest active, on-hold or unknown that is an order or a plan, and does not say
//     "do not perform" (2.0.0 fixes doNotPerform to false). Dispenses and administrations are not selected.
//  6. Immunizations (11369-6): Immunization completed; all of them.
//  7. Diagnostic Results (30954-2): of each code the newest Observation of category laboratory or imaging that is
//     final, amended, corrected or unknown, and the newest pending one (registered, preliminary) if it is
//     newer; of each code the newest DiagnosticReport that has no category or one of HL7's table 0074.
//     Clinical notes, which have others, are not selected.
//  8. History of Procedures (47519-4): of each code the newest Procedure that was done or begun.
//  9. Medical Devices (46264-8): DeviceUseStatement active, on-hold, completed or stopped.
//  10. Advance Directives (42348-3): Consent of scope adr that is active.
//  11. Alerts (104605-1): Flag active.
//  12. Functional Status (47420-5): ClinicalImpression completed.
//  13. History of Past Problems (11348-0): Condition whose clinicalStatus is inactive, remission or resolved, or which has
//     none and an abatement.
//  14. History of Pregnancy (10162-6): of each code the newest Observation of pregnancy status (82810-3), estimated
//     delivery (11778-8, 11779-6, 11780-4) and outcome (the guide's value set pregnancies-summary).
//  15. Plan of Care (18776-5): CarePlan active or on-hold that is a plan or an order; the newest ImmunizationRecommendation.
//  16. Social History (29762-2): the newest Observation of tobacco use (72166-2) and of alcohol use (74013-4).
//  17. Vital Signs (8716-3): of each code the newest Observation of category vital-signs, as in 7.
//  18. A current DocumentReference whose type is the LOINC code of a section is an entry of that section; so is made
//     Patient Story (81338-6), which has no other.
//  19. The code of 7, 8 and 17 is the first coding, or the text where there is none. What has neither is alone. The newest is that
//     of the latest clinical date; what has no date is oldest; of the same date what was written
//     last (meta.lastUpdated).
//  20. Entries stand newest first. Problems, allergies and medications are never cut short.
//  21. A required section without entries says so: emptyReason unavailable in 2.0.0 ("Empty & Known Absent
//     Sections"), an entry of the code system absent-unknown in 1.1.0. Never "none known": only a resource may say that. emptyReason
//     is withheld where the caller said that the section's types were kept from her. Other sections are left out.
//  22. What entries refer to is in the document if it is a Medication, Substance, Device, Specimen, Practitioner,
//     PractitionerRole, Organization, ImagingStudy, or an Observation that is a member or result. Every other reference
//     loses its address and keeps display and identifier; one that says nothing else goes. At most 2,000 come so, from three
//     steps away.
//  23. What the guide's profiles require and a resource lacks is filled with data-absent-reason unknown ("Required Data
//     Elements with Must Support/Obligations"). Where R4 binds the codes there is none to fill in: a Condition without
//     clinicalStatus keeps none, which 1.1.0 has no place for.
//
// The package must never read a clock, draw at random, speak HTTP, decide who may see what, or put
// what a resource says into an error.
package ips
