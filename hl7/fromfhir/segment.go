package fromfhir

import (
	"slices"
	"strings"

	"salus/hl7/tofhir"
)

// unread are rows that are not read backwards: another row, or code, says the same.
var unread = map[string][]string{
	"PID Patient":            {"2 identifier*", "4 identifier*", "9 name*", "12 address*.district", "40 telecom*", "7 _birthDate.extension*"},
	"NK1 RelatedPerson":      {"30 name*", "31 telecom*", "32 address*", "33 identifier*", "40 telecom*", "41 telecom*"},
	"OBR ServiceRequest":     {"16 requester"},
	"ORC ServiceRequest":     {"1 status"},
	"OBX Observation":        {"25 performer*"},
	"RXA Immunization":       {"7 doseQuantity", "22 recorded"},
	"SCH Appointment":        {"7 appointmentType", "25 status"},
	"SPM Specimen":           {"2 identifier*", "31 identifier*", "32 identifier*"},
	"FT1 ChargeItem":         {"25 code.coding*", "21 performer*.actor", "16 performer*.actor", "20 performer*.actor"},
	"AL1 AllergyIntolerance": {"2 type"},
	"TXA DocumentReference":  {"18 securityLabel*"},
}

// repeating are the fields that may repeat (HL7 v2.5.1); others hold the first value.
var repeating = map[string][]int{
	"PID": {3, 5, 6, 11, 13, 14}, "PV1": {7, 8, 9, 15, 17, 52}, "PV2": {13}, "PD1": {3, 4}, "OBR": {31, 46, 47}, "ORC": {12}, "OBX": {8, 16, 17},
	"RXA": {10, 19}, "SPM": {14, 24}, "TXA": {9}, "FT1": {19, 20}, "DG1": {16}, "NK1": {2, 4, 5, 6}, "AIL": {3}, "AIP": {3},
}

// rows fills a segment from a resource by the rows of HL7's table. A value goes into the first field whose
// type takes it.
func (m *maker) rows(s *segment, o object) error {
	kind := str(o["resourceType"])
	skip := unread[s.name+" "+kind]
	taken := map[string][]bool{}
	all := tofhir.Rows(s.name, kind)
	for _, own := range []bool{true, false} {
		for _, r := range all {
			// What only one row can take goes before what any row of the list could.
			if own != narrow(r.Kind) || slices.Contains(skip, itoa(r.Field)+" "+r.To) || !m.holds(s, r.When) {
				continue
			}
			if err := m.row(s, o, r, taken); err != nil {
				return err
			}
		}
	}
	return nil
}

// narrow are kinds that take few of the values of a list.
func narrow(kind string) bool {
	switch {
	case kind == "SSN", kind == "CX:VN", kind == "EI:PLAC", kind == "EI:FILL", kind == "XTN:home", kind == "XTN:work", kind == "NAMEID", strings.HasPrefix(kind, "CWE:AppointmentReasonCodes"):
		return true
	}
	return false
}

func (m *maker) row(s *segment, o object, r tofhir.Row, taken map[string][]bool) error {
	values := at(o, r.To)
	used := taken[r.To]
	if used == nil {
		used = make([]bool, len(values))
		taken[r.To] = used
	}
	many := strings.Contains(r.To, "*")
	for i, v := range values {
		if many && used[i] || s.get(r.Field) != "" && !slices.Contains(repeating[s.name], r.Field) {
			continue
		}
		rep, err := m.back(r.Kind, v)
		if err != nil {
			return err
		}
		if rep != "" {
			s.append(r.Field, rep)
			used[i] = true
		}
	}
	return nil
}

// holds says whether the conditions of a row on fields of its own segment hold that are written already. Those
// on what is valued hold by themselves: the other row's value is there or not.
func (m *maker) holds(s *segment, when []string) bool {
	for _, w := range when {
		not := true
		path, want, ok := strings.Cut(w, "!=")
		if !ok {
			not = false
			if path, want, ok = strings.Cut(w, "="); !ok {
				continue
			}
		}
		name, field, _ := strings.Cut(path, "-")
		if name != s.name || strings.Contains(field, ".") {
			continue
		}
		got, _, _ := strings.Cut(s.get(atoi(field)), "^")
		if (got == want) == not {
			return false
		}
	}
	return true
}
