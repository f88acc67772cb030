package rest

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"salus/fhir/definition"
)

// undated are the types of the patient compartment of which no date is one of care.
var undated = []string{
	"AppointmentResponse", "Basic", "BodyStructure", "Coverage", "DeviceUseStatement", "EnrollmentRequest", "Group", "MolecularSequence",
	"Patient", "Person", "Provenance", "RelatedPerson", "SupplyDelivery",
}

// TestDatesOfCareAreWhatR4Defines: every type of the patient compartment has its parameter, or is
// one that has none; each parameter is a date, and so is what its path leads to.
func TestDatesOfCareAreWhatR4Defines(t *testing.T) {
	set := definition.R4()
	compartment := set.Compartment("Patient").Params
	for typ := range careDates {
		if compartment[typ] == nil {
			t.Errorf("%s is not in the patient compartment", typ)
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(compartment)) {
		code, own := careDates[typ]
		if !own {
			code = "date"
		}
		all := set.Params(typ)
		i := slices.IndexFunc(all, func(p *definition.Param) bool { return p.Code == code })
		if slices.Contains(undated, typ) {
			if i >= 0 {
				t.Errorf("%s has %s, and is said to have no date of care", typ, code)
			}
			continue
		}
		if i < 0 || all[i].Type != "date" {
			t.Errorf("%s has no search parameter %s of type date", typ, code)
			continue
		}
		found := false
		for _, path := range regexp.MustCompile(`\b`+typ+`\.[A-Za-z.]+`).FindAllString(all[i].Expression, -1) {
			path, _, _ = strings.Cut(path, ".as")
			e := set.Type(typ).Element(path)
			if e == nil {
				e = set.Type(typ).Element(path + "[x]")
			}
			if e == nil {
				t.Errorf("%s: %s is no element", typ, path)
				continue
			}
			found = found || slices.ContainsFunc(e.Types, func(r definition.TypeRef) bool {
				return slices.Contains([]string{"date", "dateTime", "instant", "Period", "Timing"}, r.Code)
			})
		}
		if !found {
			t.Errorf("%s: %s leads to no date: %s", typ, code, all[i].Expression)
		}
	}
}
