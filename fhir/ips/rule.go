package ips

import (
	"slices"
	"strings"

	"salus/fhir/element"
)

const observationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"

var (
	// pending is the status of an observation or report that has no final result yet.
	pending = []string{"registered", "preliminary", "partial"}
	// reported is the status of one that has.
	reported = []string{"final", "amended", "corrected", "appended", "unknown"}

	// IPS 2.0.0, value sets pregnancy-expected-delivery-date-method and pregnancies-summary, and the
	// pattern of Observation-pregnancy-status.
	pregnancyCodes = []string{
		"82810-3", "11778-8", "11779-6", "11780-4",
		"11636-8", "11637-6", "11638-4", "11639-2", "11640-0", "11612-9", "11613-7", "11614-5", "33065-4",
	}
	// The patterns of Observation-tobaccouse and Observation-alcoholuse.
	socialCodes = []string{"72166-2", "74013-4"}
)

// one reports whether a code is one of those.
func one(n element.Node, codes ...string) bool {
	return n.Kind() == element.String && slices.Contains(codes, n.Text())
}

// has reports whether a CodeableConcept, or one of a list of them, has one of those codes; system ""
// is any.
func has(n element.Node, system string, codes ...string) bool {
	for c := range each(n) {
		for k := range each(c.Get("coding")) {
			if (system == "" || k.Get("system").Text() == system) && one(k.Get("code"), codes...) {
				return true
			}
		}
	}
	return false
}

// each yields the elements of an array, or the node itself.
func each(n element.Node) func(yield func(element.Node) bool) {
	return func(yield func(element.Node) bool) {
		switch n.Kind() {
		case element.Absent:
		case element.Array:
			for c := range n.Children() {
				if !yield(c) {
					return
				}
			}
		default:
			yield(n)
		}
	}
}

// choice finds value[x] by its name without type, with or without "_".
func choice(n element.Node, name string) element.Node {
	for c := range n.Children() {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(c.Name(), "_"), name); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
			return c
		}
	}
	return element.Node{}
}

func absent(n element.Node) bool { return n.Kind() == element.Absent }

func status(codes ...string) func(element.Node) bool {
	return func(n element.Node) bool { return one(n.Get("status"), codes...) }
}

func currentProblem(n element.Node) bool {
	s := n.Get("clinicalStatus")
	return has(s, "", "active", "recurrence", "relapse") || !pastProblem(n)
}

func pastProblem(n element.Node) bool {
	s := n.Get("clinicalStatus")
	if has(s, "", "active", "recurrence", "relapse") {
		return false
	}
	return has(s, "", "inactive", "remission", "resolved") || absent(s) && !absent(choice(n, "abatement"))
}

func allergy(n element.Node) bool { return !has(n.Get("clinicalStatus"), "", "resolved") }

func medication(n element.Node) bool {
	if one(n.Get("resourceType"), "MedicationStatement") {
		return one(n.Get("status"), "active", "intended", "on-hold", "unknown")
	}
	return one(n.Get("status"), "active", "on-hold", "unknown") && !one(n.Get("intent"), "proposal", "option") && n.Get("doNotPerform").Kind() != element.True
}

func result(n element.Node) bool {
	if !one(n.Get("status"), slices.Concat(reported, pending)...) {
		return false
	}
	if one(n.Get("resourceType"), "DiagnosticReport") {
		c := n.Get("category")
		for k := range each(c) {
			for coding := range each(k.Get("coding")) {
				if one(coding.Get("system"), "http://terminology.hl7.org/CodeSystem/v2-0074") {
					return true
				}
			}
		}
		return absent(c)
	}
	return has(n.Get("category"), observationCategory, "laboratory", "imaging")
}

func vitalSign(n element.Node) bool {
	return one(n.Get("status"), slices.Concat(reported, pending)...) && has(n.Get("category"), observationCategory, "vital-signs")
}

func pregnancy(n element.Node) bool {
	return one(n.Get("status"), reported...) && has(n.Get("code"), loinc, pregnancyCodes...)
}

func social(n element.Node) bool {
	return one(n.Get("status"), reported...) && has(n.Get("code"), loinc, socialCodes...)
}

func directive(n element.Node) bool {
	return one(n.Get("status"), "active") && has(n.Get("scope"), "http://terminology.hl7.org/CodeSystem/consentscope", "adr")
}

func plan(n element.Node) bool {
	if one(n.Get("resourceType"), "ImmunizationRecommendation") {
		return true
	}
	return one(n.Get("status"), "active", "on-hold") && one(n.Get("intent"), "plan", "order")
}

// planGroup leaves every CarePlan alone and takes the newest recommendation.
func planGroup(n element.Node) string {
	if one(n.Get("resourceType"), "CarePlan") {
		return ""
	}
	return "recommendation"
}

// codeGroup names what a resource is of; "" is nothing else's.
func codeGroup(n element.Node) string {
	typ := n.Get("resourceType").Text()
	code := n.Get("code")
	for k := range each(code.Get("coding")) {
		return typ + "\x00" + k.Get("system").Text() + "\x00" + k.Get("code").Text()
	}
	if t := code.Get("text").Text(); t != "" {
		return typ + "\x00\x00\x00" + strings.ToLower(t)
	}
	return ""
}

// isPending marks the group of what is pending.
const isPending = "\x00pending"

func codeAndPending(n element.Node) string {
	g := codeGroup(n)
	if g != "" && one(n.Get("status"), pending...) {
		g += isPending
	}
	return g
}
