package fhir

import "strings"

// Code systems of the label table.
const (
	confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	actCode         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	actReason       = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	snomed          = "http://snomed.info/sct"
	loinc           = "http://loinc.org"
	rxnorm          = "http://www.nlm.nih.gov/research/umls/rxnorm"
	icd10cm         = "http://hl7.org/fhir/sid/icd-10-cm"
)

// aliases are other names of those systems: object identifiers (R4 4.3), older URLs, and
// ICD-10 in its other editions, whose sensitive chapters agree with ICD-10-CM's.
var aliases = map[string]string{
	"urn:oid:2.16.840.1.113883.5.25":            confidentiality,
	"http://hl7.org/fhir/v3/confidentiality":    confidentiality,
	"urn:oid:2.16.840.1.113883.5.4":             actCode,
	"http://hl7.org/fhir/v3/actcode":            actCode,
	"urn:oid:2.16.840.1.113883.5.8":             actReason,
	"http://hl7.org/fhir/v3/actreason":          actReason,
	"urn:oid:2.16.840.1.113883.6.96":            snomed,
	"urn:oid:2.16.840.1.113883.6.1":             loinc,
	"urn:oid:2.16.840.1.113883.6.88":            rxnorm,
	"urn:oid:2.16.840.1.113883.6.90":            icd10cm,
	"urn:oid:2.16.840.1.113883.6.3":             icd10cm,
	"http://hl7.org/fhir/sid/icd-10":            icd10cm,
	"http://fhir.de/codesystem/bfarm/icd-10-gm": icd10cm,
	"http://fhir.de/codesystem/dimdi/icd-10-gm": icd10cm,
}

// canonicalSystem makes the spellings of a system's URI that are met in practice one: https,
// a closing slash, a version after '|' or (SNOMED CT) as a path, other case.
func canonicalSystem(system string) string {
	s := strings.TrimSpace(system)
	s, _, _ = strings.Cut(s, "|")
	s = strings.TrimSuffix(strings.ToLower(s), "/")
	if rest, ok := strings.CutPrefix(s, "https://"); ok {
		s = "http://" + rest
	}
	if strings.HasPrefix(s, snomed+"/") {
		return snomed
	}
	if full, ok := aliases[s]; ok {
		return full
	}
	if full, ok := systems[s]; ok {
		return full
	}
	return s
}

// systems maps the lower-case form of each system to its own.
var systems = map[string]string{
	strings.ToLower(confidentiality): confidentiality, strings.ToLower(actCode): actCode, strings.ToLower(actReason): actReason,
	snomed: snomed, loinc: loinc, rxnorm: rxnorm, icd10cm: icd10cm,
}

// securityLabels returns the labels of one security label. Only what the table knows to be
// harmless gives none; what it does not know gives R.
func securityLabels(c Coding) labelSet {
	if rows, ok := securityTable[canonicalSystem(c.System)]; ok {
		if row, ok := rows[strings.TrimSpace(c.Code)]; ok {
			return row.set
		}
	}
	return setOf(R)
}

// codeLabels returns the labels of a code anywhere in a resource.
func codeLabels(c Coding) (set labelSet) {
	code := strings.TrimSpace(c.Code)
	switch canonicalSystem(c.System) {
	case actCode: // a sensitivity outside of the security elements counts all the same
		if row, ok := securityTable[actCode][code]; ok && row.sensitivity {
			return row.set
		}
	case snomed:
		return snomedTable[code].set
	case loinc:
		return loincTable[code].set
	case rxnorm:
		return rxnormTable[code].set
	case icd10cm:
		return icdLabels(code)
	}
	return 0
}

// icdLabels looks a code's prefixes up, so that a category stands for all its codes. Dots
// and case do not matter.
func icdLabels(code string) (set labelSet) {
	code = strings.ToUpper(strings.ReplaceAll(code, ".", ""))
	for n := 1; n <= len(code); n++ {
		row, ok := icdTable[code[:n]]
		if ok {
			set |= row.set
		}
	}
	return set
}

// A wordSet finds labels by words.
type wordSet struct {
	whole  map[string]labelSet
	begins map[string][]beginning // by their first four letters
}

type beginning struct {
	stem string
	set  labelSet
}

// maxWords bounds the text that is searched, in bytes: names of codes, not notes.
const maxWords = 512

// wordLabels finds the words of wordTable in the human text of a code.
func wordLabels(text string) (set labelSet) {
	if len(text) > maxWords {
		text = text[:maxWords]
	}
	for len(text) > 0 {
		n := 0
		for n < len(text) && letter(text[n]) {
			n++
		}
		if n >= 3 {
			set |= wordTable.find(strings.ToLower(text[:n]))
		}
		text = text[min(n+1, len(text)):]
	}
	return set
}

func (w *wordSet) find(word string) labelSet {
	set := w.whole[word]
	if len(word) >= 4 {
		for _, b := range w.begins[word[:4]] {
			if strings.HasPrefix(word, b.stem) {
				set |= b.set
			}
		}
	}
	return set
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
