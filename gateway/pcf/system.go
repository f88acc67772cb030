package pcf

// Code systems, profiles and identifiers. The HL7 and IHE ones are those of FHIR R4 and ITI.PCF 1.1.
const (
	systemScope           = "http://terminology.hl7.org/CodeSystem/consentscope"
	systemReason          = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemConfidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	systemActCode         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	systemParticipation   = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemLOINC           = "http://loinc.org"

	profiles             = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF."
	ProfileBasic         = profiles + "consentBasic"
	ProfileIntermediate  = profiles + "consentIntermediate"
	ProfileAdvanced      = profiles + "consentAdvanced"
	PolicyDeny           = "https://profiles.ihe.net/ITI/PCF/Policy-deny"
	PolicySalus          = "urn:salus:policy:consent" // deny by default, what spec/consent.md says
	PolicyBasicNormal    = "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"
	PolicyAllNormal      = "https://profiles.ihe.net/ITI/PCF/Policy-all-normal"
	PolicyBreakGlassOnly = "https://profiles.ihe.net/ITI/PCF/Policy-break-glass-only"

	// SystemLabel names the ledger's labels one by one, where HL7 has no code that means the same.
	SystemLabel = "urn:salus:label"
	// SystemAccount names who is on the ledger; SystemRole a role as "code" or "code@member".
	SystemAccount = "urn:salus:account"
	SystemRole    = "urn:salus:role"
	// SystemCommunity has the one code "any-clinical".
	SystemCommunity = "urn:salus:community"
	// SystemGrant names a grant on the ledger.
	SystemGrant = "urn:salus:grant"
	// SystemDocument names a commitment to a form or to the posted Consent.
	SystemDocument = "urn:salus:document"
	// SystemCapacity says in meta.tag who signed: patient, proxy, steward (recorded from a form).
	SystemCapacity = "urn:salus:capacity"
	// ExtensionUses is the modifier extension of a permitting provision that ends with its uses.
	ExtensionUses = "urn:salus:consent:uses"
)
