package fhir

import (
	"encoding/json"
	"slices"
)

// A Notice is a sentence that goes with what bears a label when it is disclosed, as 42 CFR 2.32 wants it for records
// of substance use treatment.
type Notice struct {
	Label  Label  // a sensitivity
	Text   string // what the recipient reads
	Policy string // the law, in HL7 v3-ActCode (ActPolicyType), e.g. "42CFRPart2"; may be empty
}

// NoticesFor are those of the notices that go with a resource of these labels.
func NoticesFor(all []Notice, labels []Label) (out []Notice) {
	for _, n := range all {
		if slices.Contains(labels, n.Label) {
			out = append(out, n)
		}
	}
	return out
}

// Coding is the notice as an element of meta.security: the refrain policy NORDSCLCD (no redisclosure without consent
// directive, v3-ActCode), whose display is the text, and its law as the label's basis (HL7 Data Segmentation for
// Privacy 1.0.0, extension-sec-label-basis). Whoever takes the resource over labels it restricted (LabelsOf).
func (n Notice) Coding() ([]byte, error) {
	type coding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	type extension struct {
		URL    string `json:"url"`
		Coding coding `json:"valueCoding"`
	}
	c := struct {
		Extension []extension `json:"extension,omitempty"`
		coding
	}{coding: coding{actCode, "NORDSCLCD", n.Text}}
	if n.Policy != "" {
		c.Extension = []extension{{"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis", coding{System: actCode, Code: n.Policy}}}
	}
	return json.Marshal(c)
}
