package ips

import (
	"strings"
	"time"
	"unicode/utf8"

	"salus/fhir/element"
)

// maxCell bounds the text of a cell, in characters.
const maxCell = 500

// cells are what a table says of a resource, as text that somebody else wrote.
type cells struct{ what, status, detail, date string }

// row reads the cells of a resource; refer finds the resource of a reference in the document.
func row(n element.Node, refer func(element.Node) element.Node) cells {
	c := cells{what: concept(n.Get("code")), status: n.Get("status").Text(), date: text(when(n))}
	var d []string
	switch n.Get("resourceType").Text() {
	case "Patient":
		c.what, c.date = name(n.Get("name")), n.Get("birthDate").Text()
		d = append(d, n.Get("gender").Text())
	case "Practitioner", "Organization", "RelatedPerson":
		c.what = name(n.Get("name"))
	case "PractitionerRole":
		c.what = join(", ", name(refer(n.Get("practitioner")).Get("name")), concepts(n.Get("code")), name(refer(n.Get("organization")).Get("name")))
	case "Condition", "AllergyIntolerance":
		c.status = join(", ", concept(n.Get("clinicalStatus")), concept(n.Get("verificationStatus")))
		d = append(d, concept(n.Get("severity")), prefixed("criticality ", n.Get("criticality").Text()), prefixed("until ", text(choice(n, "abatement"))))
		for r := range each(n.Get("reaction")) {
			d = append(d, join(", ", concept(r.Get("substance")), concepts(r.Get("manifestation")), r.Get("severity").Text()))
		}
	case "MedicationStatement", "MedicationRequest":
		c.what = either(concept(n.Get("medicationCodeableConcept")), concept(refer(n.Get("medicationReference")).Get("code")), n.Get("medicationReference").Get("display").Text())
		for dose := range each(either2(n.Get("dosage"), n.Get("dosageInstruction"))) {
			d = append(d, dosage(dose))
		}
	case "Immunization":
		c.what = concept(n.Get("vaccineCode"))
		for p := range each(n.Get("protocolApplied")) {
			d = append(d, prefixed("dose ", text(choice(p, "doseNumber"))), concepts(p.Get("targetDisease")))
		}
		d = append(d, concept(n.Get("site")))
	case "Observation":
		d = append(d, value(n), concepts(n.Get("interpretation")))
		for k := range each(n.Get("component")) {
			d = append(d, join(": ", concept(k.Get("code")), value(k)))
		}
		for k := range each(n.Get("referenceRange")) {
			d = append(d, prefixed("reference range ", either(k.Get("text").Text(), join(" to ", text(k.Get("low")), text(k.Get("high"))))))
		}
	case "DiagnosticReport":
		d = append(d, n.Get("conclusion").Text(), concepts(n.Get("conclusionCode")))
	case "Procedure":
		d = append(d, concepts(n.Get("bodySite")), concept(n.Get("outcome")))
	case "DeviceUseStatement":
		dev := refer(n.Get("device"))
		c.what = either(device(dev), n.Get("device").Get("display").Text())
		d = append(d, concept(n.Get("bodySite")))
	case "Device":
		c.what = device(n)
	case "Consent":
		c.what = concepts(n.Get("category"))
	case "Flag":
		d = append(d, concepts(n.Get("category")))
	case "ClinicalImpression":
		c.what = either(c.what, n.Get("description").Text())
		d = append(d, n.Get("summary").Text())
	case "CarePlan":
		c.what = either(n.Get("title").Text(), concepts(n.Get("category")))
		d = append(d, n.Get("description").Text())
	case "ImmunizationRecommendation":
		for r := range each(n.Get("recommendation")) {
			c.what = join("; ", c.what, either(concepts(r.Get("vaccineCode")), concept(r.Get("targetDisease"))))
		}
	case "DocumentReference":
		c.what = concept(n.Get("type"))
		d = append(d, n.Get("description").Text())
	case "Specimen":
		c.what = concept(n.Get("type"))
	case "ImagingStudy":
		c.what = either(n.Get("description").Text(), concepts(n.Get("procedureCode")))
	}
	c.detail = join("; ", d...)
	c.what = either(c.what, "not named")
	c.what, c.status, c.detail, c.date = short(c.what), short(c.status), short(c.detail), short(c.date)
	return c
}

// short cuts a text that is too long for a cell.
func short(s string) string {
	if utf8.RuneCountInString(s) <= maxCell {
		return s
	}
	return string([]rune(s)[:maxCell]) + " ..."
}

// concept is a CodeableConcept as text.
func concept(n element.Node) string {
	if t := n.Get("text").Text(); t != "" {
		return t
	}
	for _, of := range []string{"display", "code"} {
		for k := range each(n.Get("coding")) {
			if t := k.Get(of).Text(); t != "" {
				return t
			}
		}
	}
	return ""
}

func concepts(n element.Node) string {
	var out []string
	for c := range each(n) {
		out = append(out, concept(c))
	}
	return join(", ", out...)
}

// name is the first HumanName, or a name that is a string.
func name(n element.Node) string {
	if n.Kind() == element.String {
		return n.Text()
	}
	for h := range each(n) {
		if t := h.Get("text").Text(); t != "" {
			return t
		}
		var parts []string
		for g := range each(h.Get("given")) {
			parts = append(parts, g.Text())
		}
		if t := join(" ", append(parts, h.Get("family").Text())...); t != "" {
			return t
		}
	}
	return ""
}

func device(n element.Node) string {
	for d := range each(n.Get("deviceName")) {
		return either(concept(n.Get("type")), d.Get("name").Text())
	}
	return concept(n.Get("type"))
}

func dosage(n element.Node) string {
	if t := n.Get("text").Text(); t != "" {
		return t
	}
	var dose string
	for r := range each(n.Get("doseAndRate")) {
		dose = text(choice(r, "dose"))
	}
	timing := n.Get("timing")
	repeat := timing.Get("repeat")
	every := ""
	if f := repeat.Get("frequency").Text(); f != "" {
		every = join(" ", f, "time(s) per", repeat.Get("period").Text(), repeat.Get("periodUnit").Text())
	}
	asNeeded := ""
	if n.Get("asNeededBoolean").Kind() == element.True {
		asNeeded = "as needed"
	}
	return join(", ", dose, either(concept(timing.Get("code")), every), concept(n.Get("route")), asNeeded)
}

// value is value[x] of an observation or component, or why there is none.
func value(n element.Node) string {
	return either(text(choice(n, "value")), concept(n.Get("dataAbsentReason")))
}

// text is an element of any of the types that stand in a value[x], as text.
func text(n element.Node) string {
	switch n.Kind() {
	case element.String, element.Number:
		return n.Text()
	case element.True:
		return "yes"
	case element.False:
		return "no"
	case element.Object:
		switch {
		case !absent(n.Get("coding")) || !absent(n.Get("text")):
			return concept(n)
		case !absent(n.Get("start")) || !absent(n.Get("end")):
			return join(" to ", n.Get("start").Text(), n.Get("end").Text())
		case !absent(n.Get("numerator")):
			return join(" / ", text(n.Get("numerator")), text(n.Get("denominator")))
		case !absent(n.Get("low")) || !absent(n.Get("high")):
			return join(" to ", text(n.Get("low")), text(n.Get("high")))
		case !absent(n.Get("value")):
			return join(" ", n.Get("comparator").Text()+n.Get("value").Text(), either(n.Get("unit").Text(), n.Get("code").Text()))
		}
	}
	return ""
}

// dated are the elements that say when, the most telling first.
var dated = []string{"onset", "performed", "effective", "occurrence", "timing"}

// when finds the element of a resource's clinical date.
func when(n element.Node) element.Node {
	for _, c := range dated {
		if d := choice(n, c); d.Kind() == element.String || d.Kind() == element.Object && !absent(either2(d.Get("start"), d.Get("end"))) {
			return d
		}
	}
	for _, c := range []string{"period", "authoredOn", "recordedDate", "dateTime", "date", "issued", "started", "created", "dateAsserted", "recordedOn"} {
		if d := n.Get(c); d.Kind() == element.String || d.Kind() == element.Object {
			return d
		}
	}
	return element.Node{}
}

// instant is the earliest instant of a date or period; ok is false where there is none.
func instant(n element.Node) (t time.Time, ok bool) {
	if n.Kind() == element.Object {
		n = either2(n.Get("start"), n.Get("end"))
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, n.Text()); err == nil {
			return t.UTC(), true
		}
	}
	return t, false
}

func either(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

func either2(a, b element.Node) element.Node {
	if absent(a) {
		return b
	}
	return a
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// join joins the texts that are not empty.
func join(by string, texts ...string) string {
	var out []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, by)
}
