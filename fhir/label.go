package fhir

import (
	"slices"
	"strings"
)

// A Label says what kind of information a resource is or how sensitive it is, in the words
// of HL7 (v3-ActCode, v3-Confidentiality) where HL7 has one. A consent allows labels; a
// resource may be read only if every label it bears is allowed (spec/labels.md).
type Label string

// Kinds of information. Every resource bears at least one.
const (
	KindAdministrative Label = "administrative"
	KindAllergy        Label = "allergy"
	KindBilling        Label = "billing"
	KindCareplan       Label = "careplan"
	KindCondition      Label = "condition"
	KindDocument       Label = "document"
	KindEncounter      Label = "encounter"
	KindImaging        Label = "imaging"
	KindImmunization   Label = "immunization"
	KindLaboratory     Label = "laboratory"
	KindMedication     Label = "medication"
	KindProcedure      Label = "procedure"
	KindSocial         Label = "social"
	KindVitalSigns     Label = "vital-signs"
)

// Sensitivities, HL7 v3-ActCode and v3-Confidentiality.
const (
	GDIS    Label = "GDIS"    // genetic disease
	HIV     Label = "HIV"     // HIV and AIDS
	PSY     Label = "PSY"     // mental and behavioural health
	PSYTHPN Label = "PSYTHPN" // psychotherapy notes
	SDV     Label = "SDV"     // sexual assault, abuse, domestic and other violence
	SEX     Label = "SEX"     // sexuality and reproductive health
	STD     Label = "STD"     // sexually transmitted disease
	SUD     Label = "SUD"     // substance use disorder
	R       Label = "R"       // restricted, and every security code that has no meaning here
	V       Label = "V"       // very restricted
)

// allLabels is the closed set: at most 24, as many as a consent's slot masks can deny.
var allLabels = [...]Label{
	KindAdministrative, KindAllergy, KindBilling, KindCareplan, KindCondition, KindDocument, KindEncounter, KindImaging,
	KindImmunization, KindLaboratory, KindMedication, KindProcedure, KindSocial, KindVitalSigns,
	GDIS, HIV, PSY, PSYTHPN, SDV, SEX, STD, SUD, R, V,
}

// LabelTableVersion is the version of the code-to-label table. A change that gives any
// resource other labels raises it.
const LabelTableVersion = 1

// AllLabels returns every label, kinds first.
func AllLabels() []Label { return slices.Clone(allLabels[:]) }

// Known reports whether l is a label of the closed set.
func (l Label) Known() bool { return slices.Contains(allLabels[:], l) }

// Sensitive reports whether l is a sensitivity rather than a kind.
func (l Label) Sensitive() bool { return l.Known() && l[0] >= 'A' && l[0] <= 'Z' }

// labelSet is a set of labels, bit i for allLabels[i].
type labelSet uint32

func setOf(labels ...Label) (s labelSet) {
	for _, l := range labels {
		s |= 1 << slices.Index(allLabels[:], l)
	}
	return s
}

func (s labelSet) labels() []Label {
	var out []Label
	for i, l := range allLabels {
		if s&(1<<i) != 0 {
			out = append(out, l)
		}
	}
	return out
}

// LabelsOf returns the labels of a resource, in the order of AllLabels: at least one kind;
// those of its security labels, wherever HL7 lets them stand (meta.security, also of
// contained resources, DocumentReference.securityLabel, Composition.confidentiality,
// inline-sec-label extensions); and those of sensitive codes anywhere in it, told by the
// code or by a word of its display or text. A security label that the table does not know
// gives R. Nothing is ignored and nothing taken away: a low confidentiality does not undo a
// sensitive code.
func LabelsOf(r Resource) []Label {
	l := labeller{root: r.typ}
	l.object(r.body(), true)
	if l.set == 0 {
		l.set = setOf(KindAdministrative)
	}
	return l.set.labels()
}

// A labeller walks one resource.
type labeller struct {
	root string
	set  labelSet
}

// inlineLabel ends the URL of DS4P's extension that labels the element that it stands in.
const inlineLabel = "inline-sec-label"

// walk labels whatever v holds.
func (l *labeller) walk(v value) {
	switch {
	case v.isArray():
		for e := range v.elements() {
			l.walk(e)
		}
	case v.isObject():
		l.object(v, false)
	}
}

// object labels one JSON object: a resource, a Coding, an extension or what is around them.
func (l *labeller) object(v value, root bool) {
	var c Coding
	var typ, url string
	inline := value("null")
	for name, m := range v.members() {
		switch name {
		case "resourceType":
			typ = m.text()
		case "meta":
			for e := range m.elements() {
				l.meta(e)
			}
			continue
		case "securityLabel":
			if l.root != "Consent" { // a Consent speaks about labels: see the table's codes
				l.security(m)
				continue
			}
		case "confidentiality":
			if t := m.text(); t != "" {
				l.set |= securityLabels(Coding{System: confidentiality, Code: t})
			} else {
				l.security(m)
			}
			continue
		case "system":
			c.System = m.text()
		case "code":
			c.Code = m.text()
		case "display":
			l.set |= wordLabels(m.text())
		case "url":
			url = m.text()
		case "valueCoding", "valueCodeableConcept":
			inline = m
		case "text":
			l.set |= wordLabels(m.text())
		}
		l.walk(m)
	}
	if typ != "" {
		l.resource(typ, v, root)
	}
	if c.Code != "" && c.System != "" {
		l.set |= codeLabels(c)
	}
	if strings.HasSuffix(url, inlineLabel) {
		l.security(inline)
	}
}

func (l *labeller) meta(v value) {
	for name, m := range v.members() {
		if name == "security" {
			l.security(m)
		} else {
			l.walk(m)
		}
	}
}

// security labels each Coding or CodeableConcept of a security element. What is there but
// cannot be read as a known code gives R.
func (l *labeller) security(v value) {
	for e := range v.elements() {
		coding := e.get("coding")
		if coding == nil {
			coding = e
		}
		for c := range coding.elements() {
			l.set |= securityLabels(codingOf(c))
		}
		if coding.isArray() && coding.first() == nil {
			l.set |= setOf(R)
		}
	}
}

// organising are the kinds that a contained resource does not add to the resource around
// it: a Claim with its Coverage, referral and Organization stays billing.
var organising = setOf(KindAdministrative, KindBilling, KindCareplan, KindDocument, KindEncounter)

// resource adds the kind of a resource, also of a contained one if it is clinical.
func (l *labeller) resource(typ string, v value, root bool) {
	kinds := kindOf(typ, v)
	if !root {
		kinds &^= organising
	}
	l.set |= kinds
}
