package pcf

import (
	"salus/fhir"
)

// A Coding is a code of a code system.
type Coding struct {
	System string
	Code   string
}

// exact are the codes whose meaning is that of one label, HL7 v3-ActCode (InformationSensitivityPolicy,
// spec/labels.md). ETH is v3-ActCode's older name of SUD and means the same here.
var exact = map[Coding]fhir.Label{
	{systemActCode, "GDIS"}: fhir.GDIS, {systemActCode, "HIV"}: fhir.HIV, {systemActCode, "PSY"}: fhir.PSY,
	{systemActCode, "PSYTHPN"}: fhir.PSYTHPN, {systemActCode, "SDV"}: fhir.SDV, {systemActCode, "SEX"}: fhir.SEX,
	{systemActCode, "STD"}: fhir.STD, {systemActCode, "SUD"}: fhir.SUD, {systemActCode, "ETH"}: fhir.SUD,
}

// Words of SystemLabel besides the labels themselves.
const (
	wordAll  = "all"
	wordNone = "none"
)

// labelled reads one security label of a provision. A confidentiality code is a high-water mark (R4
// Consent.provision.securityLabel): permitting R permits N too, denying R denies V too, and a record
// with a sensitivity is restricted.
func labelled(c Coding, permit bool) (s Labels, issue *Issue) {
	switch {
	case c.System == SystemLabel:
		if c.Code == wordNone {
			return 0, nil
		}
		if c.Code == wordAll {
			return everything, nil
		}
		if l := fhir.Label(c.Code); l.Known() {
			return LabelsOf(l), nil
		}
	case c.System == systemConfidentiality:
		if s, ok := confidential(c.Code, permit); ok {
			return s, nil
		}
		switch c.Code {
		case "U", "L", "M", "N":
			return 0, &Issue{Code: CodeLabelFiner, Text: "data of this confidentiality cannot be told apart from other data that is not restricted"}
		}
	case exact[c] != "":
		return LabelsOf(exact[c]), nil
	}
	s = tagged(c)
	switch {
	case s == 0:
		return 0, &Issue{Code: CodeLabel, Text: "not a security label that is known here"}
	case permit:
		return 0, &Issue{Code: CodeLabelFiner, Text: "permitting this code would also permit what its nearest label covers besides; name that label, or leave it out"}
	}
	return s, &Issue{Severity: "warning", Type: "business-rule", Code: CodeLabelWider, Text: "denied together with everything else that bears the same label on the ledger; the Consent reads back with that label"}
}

func confidential(code string, permit bool) (Labels, bool) {
	switch {
	case code == "N" && permit:
		return kinds, true
	case code == "R" && permit:
		return usual, true
	case code == "V" && permit:
		return everything &^ psythpn, true
	case code == "R":
		return everything &^ kinds, true
	case code == "V":
		return veryOnly, true
	}
	return 0, false
}

// tagged are the labels that a record with this security label would bear, as package fhir labels it;
// none for a code that it does not know (which makes a record restricted).
func tagged(c Coding) Labels {
	if c.System != systemActCode {
		return 0
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Basic","meta":{"security":[{"system":` + quote(c.System) + `,"code":` + quote(c.Code) + `}]}}`))
	if err != nil {
		return 0
	}
	s := LabelsOf(fhir.LabelsOf(r)...) &^ kinds
	if s == restricted { // also what an unknown code gives: not a meaning of its own
		return 0
	}
	return s
}

// permitCodes is the shortest way to say what is permitted; labelled reads it back to the same set.
func permitCodes(s Labels) []Coding {
	var out []Coding
	var rest Labels
	switch {
	case s == 0:
		return []Coding{{SystemLabel, wordNone}}
	case s&(everything&^psythpn) == everything&^psythpn:
		out, rest = []Coding{{systemConfidentiality, "N"}, {systemConfidentiality, "R"}, {systemConfidentiality, "V"}}, s&psythpn
	case s&usual == usual:
		out, rest = []Coding{{systemConfidentiality, "N"}, {systemConfidentiality, "R"}}, s&^usual
	case s&kinds == kinds:
		out, rest = []Coding{{systemConfidentiality, "N"}}, s&^kinds
	default: // HL7's codes would be read as sensitivities of data that is permitted elsewhere
		return codesOf(s, false)
	}
	return append(out, codesOf(rest, true)...)
}

// denyCodes is the shortest way to say what is denied.
func denyCodes(s Labels) []Coding {
	switch {
	case s == 0:
		return []Coding{{SystemLabel, wordNone}}
	case s == everything:
		return []Coding{{SystemLabel, wordAll}}
	case s&^kinds == everything&^kinds:
		return append([]Coding{{systemConfidentiality, "R"}}, codesOf(s&kinds, true)...)
	case s&veryOnly != 0:
		return append([]Coding{{systemConfidentiality, "V"}}, codesOf(s&^veryOnly, true)...)
	}
	return codesOf(s, true)
}

// codesOf names labels one by one, in HL7's codes where hl7 is set and there is one.
func codesOf(s Labels, hl7 bool) (out []Coding) {
	for _, l := range s.List() {
		c := Coding{systemActCode, string(l)}
		if !hl7 || exact[c] != l {
			c = Coding{SystemLabel, string(l)}
		}
		out = append(out, c)
	}
	return out
}
