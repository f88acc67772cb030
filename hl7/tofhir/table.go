package tofhir

import (
	"slices"
	"strings"
	"sync"
)

// A Row is one row of the segment tables, for whoever reads them the other way round.
type Row struct {
	Field int
	To    string   // where the value goes in the resource; * marks an element of a list
	Kind  string   // how it is converted
	When  []string // conditions, as segmentText has them
}

// Rows are the rows of a segment and resource type, in their order.
func Rows(segment, resource string) []Row {
	list := rowsOf(segment, resource)
	out := make([]Row, len(list))
	for i, r := range list {
		out[i] = Row{r.field, r.to, r.kind, slices.Clone(r.when)}
	}
	return out
}

// Code maps a v2 code by one of HL7's concept maps.
func Code(table, code string) (target, system string, ok bool) {
	t, ok := lookup(table, code)
	return t.code, t.system, ok
}

// backCodes are the v2 codes of each table and target, in the order of codes.txt.
var backCodes = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(codesText) {
		if p := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(p) == 4 {
			out[p[0]+"|"+p[2]] = append(out[p[0]+"|"+p[2]], p[1])
		}
	}
	return out
})

// Codes are the v2 codes that a concept map maps to a target code.
func Codes(table, target string) []string { return slices.Clone(backCodes()[table+"|"+target]) }

// codeSystems are names of table 0396 and their URIs (FHIR R4 4.3.0.1).
var codeSystems = [...][2]string{
	{"LN", "http://loinc.org"},
	{"SCT", "http://snomed.info/sct"},
	{"UCUM", "http://unitsofmeasure.org"},
	{"CVX", "http://hl7.org/fhir/sid/cvx"},
	{"MVX", "http://hl7.org/fhir/sid/mvx"},
	{"NDC", "http://hl7.org/fhir/sid/ndc"},
	{"I10C", "http://hl7.org/fhir/sid/icd-10-cm"},
	{"I10", "http://hl7.org/fhir/sid/icd-10"},
	{"I9C", "http://hl7.org/fhir/sid/icd-9-cm"},
	{"C4", "http://www.ama-assn.org/go/cpt"},
	{"RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"},
	{"CDCREC", "urn:oid:2.16.840.1.113883.6.238"},
}

const v2Table = "http://terminology.hl7.org/CodeSystem/v2-"

// CodeSystem is the URI of a coding system by its name in table 0396, or of an HL7 table; "" is one that has
// no URI of its own.
func CodeSystem(name string) string {
	for _, s := range codeSystems {
		if s[0] == name {
			return s[1]
		}
	}
	if n, ok := strings.CutPrefix(name, "HL7"); ok && len(n) == 4 && strings.Trim(n, "0123456789") == "" {
		return v2Table + n
	}
	// A sender that has no short name for a system gives its URI.
	if (strings.Contains(name, "://") || strings.HasPrefix(name, "urn:")) && !strings.ContainsAny(name, " \t\r\n|") {
		return name
	}
	return ""
}

// CodeSystemName is the name in table 0396 of a coding system with a URI, or that of an HL7 table; "" if it has none.
func CodeSystemName(uri string) string {
	for _, s := range codeSystems {
		if s[1] == uri {
			return s[0]
		}
	}
	if n, ok := strings.CutPrefix(uri, v2Table); ok && CodeSystem("HL7"+n) == uri {
		return "HL7" + n
	}
	return ""
}
