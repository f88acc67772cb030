package tofhir

// A Row maps one field, as a row of HL7's v2-to-FHIR segment maps does. The row
// of HL7's table is the one with the same segment and field.
type Row struct {
	Field int
	Type  string // how the value is read: a key of datatypes
	To    string // element, with a dot for one within another
	Many  bool   // the element repeats
}

// segmentRows returns HL7's "Segment <name> to <resource>" tables, as far as they
// are mapped here.
func segmentRows() map[string][]Row {
	return map[string][]Row{
		"PID>Patient": {
			{2, "CX", "identifier", true}, {3, "CX", "identifier", true}, {4, "CX", "identifier", true},
			{5, "XPN", "name", true}, {7, "DT", "birthDate", false}, {8, "0001", "gender", false}, {9, "XPN", "name", true},
			{11, "XAD", "address", true}, {13, "XTN", "telecom", true}, {14, "XTN", "telecom", true},
			{16, "CWE", "maritalStatus", false}, {19, "ID", "identifier", true}, {24, "YN", "multipleBirthBoolean", false},
			{29, "DTM", "deceasedDateTime", false},
		},
		"NK1>RelatedPerson": {
			{2, "XPN", "name", true}, {3, "CWE", "relationship", true}, {4, "XAD", "address", true}, {5, "XTN", "telecom", true},
			{6, "XTN", "telecom", true}, {7, "CWE", "relationship", true}, {15, "0001", "gender", false}, {16, "DT", "birthDate", false}, {33, "CX", "identifier", true},
		},
		"PV1>Encounter": {
			{2, "0004", "class", false}, {4, "CWE", "type", true}, {10, "CWE", "serviceType", false}, {14, "CWE", "hospitalization.admitSource", false},
			{19, "CX", "identifier", true}, {36, "CWE", "hospitalization.dischargeDisposition", false},
			{44, "DTM", "period.start", false}, {45, "DTM", "period.end", false},
			{3, "PL", "location", true}, {7, "XCN:ATND", "participant", true}, {8, "XCN:REF", "participant", true}, {9, "XCN:CON", "participant", true}, {17, "XCN:ADM", "participant", true},
		},
		"PV2>Encounter": {{3, "CWE", "reasonCode", true}},
		"OBX>Observation": {
			{3, "CWE", "code", false}, {7, "RANGE", "referenceRange", true}, {8, "CWE", "interpretation", true}, {11, "0085", "status", false},
			{14, "DTM", "effectiveDateTime", false}, {17, "CWE", "method", false}, {19, "DTM", "issued", false}, {20, "CWE", "bodySite", false},
		},
		"OBR>DiagnosticReport": {
			{2, "EI:PLAC", "identifier", true}, {3, "EI:FILL", "identifier", true}, {4, "CWE", "code", false}, {7, "DTM", "effectiveDateTime", false},
			{22, "INSTANT", "issued", false}, {25, "0123", "status", false},
		},
		"OBR>ServiceRequest": {
			{2, "EI:PLAC", "identifier", true}, {3, "EI:FILL", "identifier", true}, {4, "CWE", "code", false}, {6, "DTM", "occurrenceDateTime", false},
			{16, "XCNREF", "requester", false}, {31, "CWE", "reasonCode", true},
		},
		"ORC>ServiceRequest": {{9, "DTM", "authoredOn", false}, {12, "XCNREF", "requester", false}, {5, "0038", "status", false}},
		"SPM>Specimen":       {{2, "EIP", "identifier", true}, {4, "CWE", "type", false}, {17, "DTM", "collection.collectedDateTime", false}, {18, "DTM", "receivedTime", false}, {8, "CWE", "collection.bodySite", false}, {7, "CWE", "collection.method", false}},
		"AL1>AllergyIntolerance": {
			{3, "CWE", "code", false}, {5, "REACTION", "reaction", true}, {6, "DTM", "onsetDateTime", false},
		},
		"DG1>Condition": {{3, "CWE", "code", false}, {5, "DTM", "onsetDateTime", false}, {19, "DTM", "recordedDate", false}},
		"PR1>Procedure": {{3, "CWE", "code", false}, {5, "DTM", "performedDateTime", false}},
		"RXA>Immunization": {
			{3, "DTM", "occurrenceDateTime", false}, {5, "CWE", "vaccineCode", false}, {15, "ST", "lotNumber", false}, {16, "DT", "expirationDate", false}, {18, "CWE", "statusReason", false}, {20, "0322", "status", false},
		},
		"RXR>Immunization": {{1, "CWE", "route", false}, {2, "CWE", "site", false}},
		"IN1>Coverage":     {{2, "CWEID", "identifier", true}, {15, "CWE", "type", false}, {36, "ST", "subscriberId", false}, {12, "DTM", "period.start", false}, {13, "DTM", "period.end", false}},
		"SCH>Appointment": {
			{1, "EI:PLAC", "identifier", true}, {2, "EI:FILL", "identifier", true}, {7, "CWE", "reasonCode", true}, {8, "CWE", "appointmentType", false}, {25, "0278", "status", false},
		},
		"TXA>DocumentReference": {{2, "CWE", "type", false}, {4, "DTM", "context.period.start", false}, {6, "INSTANT", "date", false}, {12, "EI:FILL", "identifier", true}, {19, "0273", "docStatus", false}},
		"FT1>ChargeItem":        {{2, "ST:id", "identifier", true}, {4, "DTM", "occurrenceDateTime", false}, {7, "CWE", "code", false}, {10, "NM", "quantity.value", false}},
	}
}

// code maps, HL7's "Table <number>" concept maps. A code outside of its table is
// reported and takes the fallback.
func codes(table, v string) (any, bool) {
	m := map[string]map[string]string{
		"0001": {"M": "male", "F": "female", "O": "other", "U": "unknown", "A": "other", "N": "other"},
		"0085": {"F": "final", "C": "corrected", "P": "preliminary", "R": "registered", "S": "preliminary", "D": "entered-in-error", "W": "entered-in-error", "X": "cancelled", "I": "registered", "U": "final", "A": "amended", "B": "amended", "O": "registered", "N": "registered", "V": "final"},
		"0123": {"F": "final", "C": "corrected", "P": "preliminary", "R": "preliminary", "A": "partial", "O": "registered", "I": "registered", "S": "registered", "X": "cancelled", "M": "amended"},
		"0038": {"CM": "completed", "CA": "revoked", "DC": "revoked", "HD": "on-hold", "IP": "active", "SC": "active", "A": "active", "ER": "entered-in-error"},
		"0278": {"PENDING": "pending", "BOOKED": "booked", "ARRIVED": "arrived", "COMPLETE": "fulfilled", "CANCELLED": "cancelled", "NOSHOW": "noshow", "DELETED": "entered-in-error", "WAITLIST": "waitlist"},
		"0322": {"CP": "completed", "RE": "not-done", "NA": "not-done", "PA": "completed"},
		"0273": {"AU": "final", "LA": "final", "DO": "final", "DI": "preliminary", "IN": "preliminary", "IP": "preliminary", "PA": "preliminary"},
	}
	to, ok := m[table][v]
	return to, ok
}

// systems maps table 0396 to the URIs of the code systems.
func system(name string) string {
	switch name {
	case "LN":
		return "http://loinc.org"
	case "SCT":
		return "http://snomed.info/sct"
	case "UCUM":
		return "http://unitsofmeasure.org"
	case "CVX":
		return "http://hl7.org/fhir/sid/cvx"
	case "I10", "I10C":
		return "http://hl7.org/fhir/sid/icd-10-cm"
	case "C4", "CPT":
		return "http://www.ama-assn.org/go/cpt"
	case "RXNORM":
		return "http://www.nlm.nih.gov/research/umls/rxnorm"
	case "NDC":
		return "http://hl7.org/fhir/sid/ndc"
	}
	if len(name) == 7 && name[:3] == "HL7" {
		return "http://terminology.hl7.org/CodeSystem/v2-" + name[3:]
	}
	return ""
}
