package balp

import "salus/ledger/module/consent"

// Code systems and profiles: FHIR R4 (4.0.1) and IHE BALP 1.1. Displays are those of the code systems
// in HL7's package hl7.fhir.r4.examples@4.0.1 and of BALP's own examples.
const (
	systemDCM         = "http://dicom.nema.org/resources/ontology/DCM"
	systemEventType   = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	systemLifecycle   = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
	systemRestful     = "http://hl7.org/fhir/restful-interaction"
	systemPart        = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemRole        = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
	systemReason      = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemProvAgent   = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	systemSecurity    = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
	systemEntity      = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	systemObject      = "http://terminology.hl7.org/CodeSystem/object-role"
	systemSource      = "http://terminology.hl7.org/CodeSystem/security-source-type"
	systemResource    = "http://hl7.org/fhir/resource-types"
	systemAuthZ       = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
	systemBasicEntity = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	systemUserAgent   = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
	systemIHE         = "urn:ihe:event-type-code"

	profiles = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
	// ProfileToken is BALP's profile of ITI-71, Get Access Token.
	ProfileToken = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.IUA.71" //nolint:gosec // the address of a profile

	// Identifiers of this system.
	systemLog      = "urn:salus:log"     // index of an entry of the ledger's log
	systemSession  = "urn:salus:session" // id of a session
	systemList     = "urn:salus:list"    // root of a committed list of records
	systemGrantID  = "urn:salus:grant"   // id of a grant
	systemConsents = "urn:salus:consents"
	// SystemAccount names who is on the ledger.
	SystemAccount = "urn:salus:account"
)

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding"`
}

func conceptOf(c coding) *concept { return &concept{[]coding{c}} }

var (
	typeRest     = coding{systemEventType, "rest", "Restful Operation"}
	typeAlert    = coding{systemDCM, "110113", "Security Alert"}
	typeAuth     = coding{systemDCM, "110114", "User Authentication"}
	typeExport   = coding{systemDCM, "110106", "Export"}
	typeImport   = coding{systemDCM, "110107", "Import"}
	agentSource  = coding{systemDCM, "110153", "Source Role ID"}
	agentDest    = coding{systemDCM, "110152", "Destination Role ID"}
	agentApp     = coding{systemDCM, "110150", "Application"}
	agentHolder  = coding{systemProvAgent, "custodian", "Custodian"}
	agentReader  = coding{systemPart, "IRCP", "information recipient"}
	agentAuthor  = coding{systemPart, "AUT", "author (originator)"}
	agentOrg     = coding{systemRole, "PROV", ""}
	agentAuthZ   = coding{systemSecurity, "authserver", ""}
	agentToken   = coding{systemUserAgent, "AuthzOauthService", "OAuth Authorization Server"}
	entityPerson = coding{systemEntity, "1", "Person"}
	entitySystem = coding{systemEntity, "2", "System Object"}
	entityOther  = coding{systemEntity, "4", "Other"}
	entityReq    = coding{systemBasicEntity, "XrequestId", ""}
	entityAgree  = coding{systemResource, "Consent", ""}
	rolePatient  = coding{systemObject, "1", "Patient"}
	roleReport   = coding{systemObject, "3", "Report"}
	roleDomain   = coding{systemObject, "4", "Domain Resource"}
	roleJob      = coding{systemObject, "20", "Job"}
	roleQuery    = coding{systemObject, "24", "Query"}
	sourceServer = coding{systemSource, "4", "Application Server"}
	sourceGuard  = coding{systemSource, "6", "Security Server"}
	disclosed    = coding{systemLifecycle, "disclose", "Disclose Record Lifecycle Event"}
)

// A shape is how a kind of event is written.
type shape struct {
	typ     coding
	subtype []coding
	action  string // C, R, U, D or E
	// client and server are the agents' types; zero for none.
	client, server, user coding
	profile              string // of BALP; "" for none. With a patient, "Patient" is put before those of RESTful.
	rest                 bool
}

// shapes gives each kind its codes. BALP sections 3:5.7.
var shapes = map[Kind]shape{
	Create:    restful("create", "C", "Create", agentSource, agentDest, agentAuthor),
	Read:      restful("read", "R", "Read", agentDest, agentSource, agentReader),
	VRead:     restful("vread", "R", "Read", agentDest, agentSource, agentReader),
	Update:    restful("update", "U", "Update", agentSource, agentDest, agentAuthor),
	Patch:     restful("patch", "U", "Update", agentSource, agentDest, agentAuthor),
	Delete:    restful("delete", "D", "Delete", agentApp, agentHolder, agentAuthor),
	Search:    restful("search-type", "E", "Query", agentSource, agentDest, agentReader),
	SearchAll: restful("search-system", "E", "Query", agentSource, agentDest, agentReader),
	History:   restful("history-instance", "R", "", agentDest, agentSource, agentReader),
	Operation: restful("operation", "E", "", agentSource, agentDest, agentReader),
	Batch:     restful("batch", "E", "", agentSource, agentDest, agentAuthor),
	Whole:     restful("transaction", "E", "", agentSource, agentDest, agentAuthor),

	Disclose: {typ: typeExport, subtype: []coding{disclosed}, action: "R", server: agentSource, user: agentReader, profile: "PrivacyDisclosure.Source"},
	Receive:  {typ: typeImport, subtype: []coding{disclosed}, action: "C", server: agentSource, user: agentReader, profile: "PrivacyDisclosure.Recipient"},
	Export:   {typ: typeExport, subtype: []coding{{systemRestful, "operation", "operation"}}, action: "R", client: agentDest, server: agentSource, user: agentReader},
	Login:    {typ: typeAuth, subtype: []coding{{systemIHE, "ITI-71", ""}}, action: "E", client: agentApp, server: agentToken, user: agentReader},
	Logout:   {typ: typeAuth, subtype: []coding{{systemDCM, "110123", "Logout"}}, action: "E", client: agentApp, server: agentAuthZ, user: agentReader},
	Decide: {
		typ: typeAlert, subtype: []coding{{systemAuthZ, "AuthZ-Consent", "Authorization Decision using Roles and Consent"}}, action: "E",
		client: agentApp, server: agentAuthZ, user: agentReader, profile: "AuthZconsent",
	},
	Override: {typ: typeAlert, subtype: []coding{overriding}, action: "E", client: agentApp, server: agentAuthZ, user: agentReader},

	Attest: lifecycle("attest", "Attest Record Lifecycle Event", "E"),
	Verify: lifecycle("verify", "Verify Record Lifecycle Event", "E"),

	Grant:  lifecycle("originate", "Originate/Retain Record Lifecycle Event", "C"),
	Amend:  lifecycle("amend", "Amend (Update) Record Lifecycle Event", "U"),
	Revoke: lifecycle("deprecate", "Deprecate/Retract Record Lifecycle Event", "U"),
	Enrol:  {typ: typeAlert, subtype: []coding{{systemDCM, "110137", "User security Attributes Changed"}}, action: "C", user: agentAuthor, server: agentAuthZ},
	Keys:   {typ: typeAlert, subtype: []coding{{systemDCM, "110137", "User security Attributes Changed"}}, action: "U", user: agentAuthor, server: agentAuthZ},
}

var overriding = coding{systemDCM, "110127", "Emergency Override Started"}

func restful(code, action, profile string, client, server, user coding) shape {
	return shape{typ: typeRest, subtype: []coding{{systemRestful, code, code}}, action: action, client: client, server: server, user: user, profile: profile, rest: true}
}

// lifecycle is a change of a consent that the ledger took.
func lifecycle(code, display, action string) shape {
	return shape{typ: coding{systemLifecycle, code, display}, action: action, user: agentAuthor, server: agentAuthZ}
}

func purposesOf(s consent.Purposes) (out []concept) {
	for _, p := range s.List() {
		out = append(out, concept{[]coding{{System: systemReason, Code: p.String()}}})
	}
	return out
}
