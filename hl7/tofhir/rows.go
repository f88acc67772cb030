package tofhir

import (
	"strconv"
	"strings"
	"sync"
)

// segmentText holds the rows that are mapped, of HL7's segment tables. A set begins with
//
//	> segment resource table
//
// and each row has the field, HL7's attribute (the row's name in its table, blanks
// left out; "own" for ours), where the value goes (* for an element of a list), how
// it is converted (datatype.go), and the conditions, all of which must hold: SEG-n
// (valued), !SEG-n (not valued), SEG-n=code, SEG-n!=code.
const segmentText = `
> PID Patient PID[Patient]
2 identifier[1] identifier* CX
3 identifier[2] identifier* CX
4 identifier[3] identifier* CX
5 name[1] name* XPN
6 extension[1].valueString extension* EXT:patient-mothersMaidenName:valueString:XPNTEXT
7 birthDate birthDate DT
7 birthDate.extension[1].valueDateTime _birthDate.extension* EXT:patient-birthTime:valueDateTime:BIRTHTIME
8 gender gender CODE:AdministrativeSex
9 name[2] name* XPN
11 address[1] address* XAD
12 address[1].district address*.district ST !PID-11
13 telecom[1] telecom* XTN:home
14 telecom[2] telecom* XTN:work
15 communication.language communication*.language CWE
16 maritalStatus maritalStatus CWE:MaritalStatus
17 extension[2].valueCodeableConcept extension* EXT:patient-religion:valueCodeableConcept:CWE:Religion
19 identifier[4].value identifier* SSN
23 extension[3].valueAddress.text extension* EXT:patient-birthPlace:valueAddress:TEXT
24 multipleBirthBoolean multipleBirthBoolean YN !PID-25
25 multipleBirthInteger multipleBirthInteger INT
29 deceasedDateTime deceasedDateTime DTM
30 deceasedBoolean deceasedBoolean YN !PID-29
40 telecom[3] telecom* XTN
> PD1 Patient PD1[Patient]
3 generalPractitioner[1](Organization) generalPractitioner* ORG
4 generalPractitioner[2](Practitioner) generalPractitioner* REF
6 extension[1].valueCodeableConcept extension* EXT:patient-disability:valueCodeableConcept:CWE
> NK1 RelatedPerson NK1[RelatedPerson]
2 name[1] name* XPN
3 relationship[1] relationship* CWE:Relationship
4 address[1] address* XAD
5 telecom[1] telecom* XTN
6 telecom[2] telecom* XTN:work
7 relationship[2] relationship* CWE:ContactRole
8 period.start period.start DT
9 period.end period.end DT
12 identifier[1] identifier* CX
15 gender gender CODE:AdministrativeSex
16 birthDate birthDate DT
20 communication.language communication*.language CWE
30 name[2] name* XPN
31 telecom[3] telecom* XTN
32 address[2] address* XAD
33 identifier[2] identifier* CX
40 telecom[4] telecom* XTN
41 telecom[5] telecom* XTN
> PV1 Encounter PV1[Encounter]
2 class class CODING:PatientClass[EncounterClass]
3 location[1].location(Location) location* PL:active PV1-2!=P
3 location[1].location(Location) location* PL:planned PV1-2=P
4 type type* CWE:AdmissionType
5 hospitalization.preAdmissionIdentifier hospitalization.preAdmissionIdentifier CX
6 location[2].location(Location) location* PL:completed
7 participant[1].individual(Practitioner) participant* PART:ATND:attender
8 participant[2].individual(Practitioner) participant* PART:REF:referrer
9 participant[3].individual(Practitioner) participant* PART:CON:consultant
10 serviceType serviceType CWE:HospitalService
11 location[3].location(Location) location* PL:active
13 hospitalization.reAdmission hospitalization.reAdmission CWE:ReadmissionIndicator
14 hospitalization.admitSource hospitalization.admitSource CWE
15 hospitalization.specialArrangement hospitalization.specialArrangement* CWE:AmbulatoryStatus
16 hospitalization.specialCourtesy hospitalization.specialCourtesy* CWE
17 participant[4].individual(Practitioner) participant* PART:ADM:admitter
19 identifier[1] identifier* CX:VN
36 hospitalization.dischargeDisposition hospitalization.dischargeDisposition CWE
38 hospitalization.dietPreference hospitalization.dietPreference* CWE
42 location[4].location(Location) location* PL:reserved
44 period.start period.start DTM
45 period.end period.end DTM
50 identifier[2] identifier* CX
52 participant[5].individual(Practitioner) participant* PART:PART:Participation
> SFT Device SFT[Device]
1 manufacturer manufacturer ST
2 version.value version*.value ST
3 deviceName.name deviceName*.name ST
4 modelNumber modelNumber ST
> PV2 Encounter PV2[Encounter]
1 location[5].location(Location) location* PL:planned
3 reasonCode[1] reasonCode* CWE
13 participant.individual(Practitioner) participant* PART:REF:referrer
25 priority priority CWE:EncounterPriority
> OBR DiagnosticReport OBR[DiagnosticReport]
2 identifier[1] identifier* EI:PLAC
3 identifier[2] identifier* EI:FILL
4 code code CWE
7 effectiveDateTime effectiveDateTime DTM !OBR-8
7 effectivePeriod.start effectivePeriod.start DTM OBR-8
8 effectivePeriod.end effectivePeriod.end DTM
22 issued issued INSTANT
24 category category* IDCC:DiagnosticServiceSectionID:0074
25 status status CODE:ResultStatus[Non-Queries]
> OBR ServiceRequest OBR[ServiceRequest]
2 identifier[1] identifier* EI:PLAC !ORC-2
3 identifier[2] identifier* EI:FILL !ORC-3
4 code code CWE
5 priority priority CODE:ExtendedPriorityCodes
6 occurrenceDateTime occurrenceDateTime DTM
16 requester(Practitioner) requester REF !ORC-12
31 reasonCode reasonCode* CWE
46 orderDetail[1] orderDetail* CWE
47 orderDetail[2] orderDetail* CWE
> ORC ServiceRequest ORC[ServiceRequest]
1 status status CODE:OrderControlCode[ServiceRequest.status] !ORC-5
2 identifier[1] identifier* EI:PLAC
3 identifier[2] identifier* EI:FILL
4 requisition[1].value requisition EI:PGN
5 status status CODE:OrderStatus
9 authoredOn authoredOn DTM ORC-1=NW
12 requester(PractitionerRole.practitioner) requester REF
29 locationCode locationCode* CWE:OrderType
> OBX Observation OBX[Observation]
3 code code CWE
7 referenceRange.text referenceRange*.text ST
8 interpretation interpretation* CWE:InterpretationCodes
14 effectiveDateTime effectiveDateTime DTM
16 performer[1](PractitionerRole.practitioner(Practitioner)) performer* REF
17 method method CWE
20 bodySite bodySite CWE
21 identifier identifier* EI:FILL
23 performer[2](Organization) performer* ORG !OBX-25
25 performer[2](PractitionerRole[1].practitioner) performer* REF
> NTE note NTE[Observation]
3 note.text text ST
5 note.authorReference(Practitioner) authorReference REF
6 note.time time DTM
> ORC Immunization ORC[Immunization]
2 identifier[1] identifier* EI:PLAC
3 identifier[2] identifier* EI:FILL
9 recorded recorded DTM
12 performer.actor(PractitionerRole) performer* PERF:OP
> RXA Immunization RXA[Immunization]
3 occurrenceDateTime occurrenceDateTime DTM
5 vaccineCode vaccineCode CWE
6 doseQuantity.value doseQuantity.value DOSE
7 doseQuantity doseQuantity UNIT RXA-6
10 performer.actor(Practitioner) performer* PERF:AP
15 lotNumber lotNumber ST
16 expirationDate expirationDate DT
17 manufacturer(Organization) manufacturer CWEORG
18 statusReason statusReason CWE
19 reasonCode reasonCode* CWE
20 status status CODE:CompletionStatus RXA-21!=D
22 recorded recorded DTM RXA-21=A
27 location[1](Location) location PLREF
> RXR Immunization RXR[Immunization]
1 route route CWE:RouteOfAdministration
2 site site CWE:BodyParts
> AL1 AllergyIntolerance AL1[AllergyIntolerance]
2 category category* CODE:AllergenType[AllergyIntoleranceCategory]
2 type type CODE:AllergyType
3 code code CWE
4 criticality criticality CODE:AllergySeverity[AllergyIntolerance.criticality]
5 reaction.manifestation.text reaction*.manifestation* TEXT
6 onsetDateTime onsetDateTime DTM
> DG1 Condition DG1[Condition]
3 code[1] code CWE
4 code[1].text code.text ST
5 onsetDateTime onsetDateTime DTM
16 asserter(Practitioner) asserter REF
19 recordedDate recordedDate DTM
20 identifier identifier* EI
> SPM Specimen SPM[Specimen]
2 identifier[1] identifier* EIP:1:PLAC
2 identifier[2] identifier* EIP:2:FILL
4 type type CWE:SpecimenType
7 collection.method collection.method CWE:SpecimenCollectionMethod
8 collection.bodySite collection.bodySite CWE
14 note(Annotation.text) note*.text ST
17 collection.collectedDateTime collection.collectedDateTime DRSTART !SPM-17.2
17 collection.collectedPeriod collection.collectedPeriod DR SPM-17.2
18 receivedTime receivedTime DTM
20 status status CODE:YesNoIndicator[AvailabilityStatus]
24 condition condition* CWE:SpecimenCondition
30 accessionIdentifier accessionIdentifier CX
31 identifier[2] identifier* CX
32 identifier[3] identifier* EI
> IN1 Coverage IN1[Coverage]
2 identifier identifier* CWEID
4 payor[1](Organization) payor* ORG
12 period.start period.start DT
13 period.end period.end DT
15 type type CWE
17 relationship relationship CWE:Relationship
36 own subscriberId ST
> SCH Appointment SCH[Appointment]
1 identifier[1] identifier* EI:PLAC
2 identifier[2] identifier* EI:FILL
6 own reasonCode* CWE
7 reasonCode[1] reasonCode* CWE:AppointmentReasonCodes SCH-7.3!=HL70277
7 appointmentType[1] appointmentType CWE:AppointmentTypeCodes SCH-7.3=HL70277
8 appointmentType[1] appointmentType CWE:AppointmentTypeCodes
9 minutesDuration[1] minutesDuration INT
25 status status CODE:FillerStatusCodes[Appointment]
> AIS Appointment AIS[Appointment]
3 serviceType serviceType* CWE
> AIL Appointment AIL[Appointment]
3 participant.actor[1] participant* APL
> AIP Appointment AIP[Appointment]
3 participant.actor[1] participant* APR
> AIG Appointment own
3 own participant* ADEV
> TXA DocumentReference TXA[DocumentReference]
2 type type CWE
6 date date INSTANT
9 author(Practitioner) author* REF
10 authenticator(Practitioner) authenticator REF
12 masterIdentifier masterIdentifier EI
16 identifier[1] identifier* NAMEID
17 docStatus docStatus OWNCODE:docStatus
18 securityLabel securityLabel* CONF
25 description description ST
> FT1 ChargeItem own
2 own identifier* EI
4 own occurrenceDateTime DRSTART !FT1-4.2
4 own occurrencePeriod DR FT1-4.2
5 own enteredDate DTM
7 own code CWE
10 own quantity.value DOSE
13 own performingOrganization ORG
16 own performer*.actor PLREF
19 own reason* CWE
20 own performer*.actor REF
21 own performer*.actor REF
25 own code.coding* CODING
`

type row struct {
	fieldText, attr, to, kind string
	field                     int
	when                      []string
}

type rowSet struct {
	segment, resource, source string
	rows                      []row
}

var rowSets = sync.OnceValue(func() []rowSet {
	var out []rowSet
	for line := range strings.Lines(segmentText) {
		p := strings.Fields(line)
		switch {
		case len(p) == 4 && p[0] == ">":
			out = append(out, rowSet{segment: p[1], resource: p[2], source: p[3]})
		case len(p) >= 4:
			n, _ := strconv.Atoi(p[0])
			s := &out[len(out)-1]
			s.rows = append(s.rows, row{fieldText: p[0], field: n, attr: p[1], to: p[2], kind: p[3], when: p[4:]})
		}
	}
	return out
})

func rowsOf(segment, resource string) []row {
	for _, s := range rowSets() {
		if s.segment == segment && s.resource == resource {
			return s.rows
		}
	}
	return nil
}
