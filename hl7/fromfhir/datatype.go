package fromfhir

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"salus/hl7/tofhir"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

const tho = "http://terminology.hl7.org/CodeSystem/"

// back makes the repetition of a value for a kind of row; "" if that kind cannot take it.
func (m *maker) back(kind string, v any) (string, error) {
	kind, arg, _ := strings.Cut(kind, ":")
	switch kind {
	case "ST":
		return escape(str(v)), nil
	case "TEXT":
		return escape(str(obj(v)["text"])), nil
	case "YN":
		switch v {
		case true:
			return "Y", nil
		case false:
			return "N", nil
		}
		return "", nil
	case "INT":
		if n, ok := v.(json.Number); ok && len(n) <= 9 && strings.Trim(n.String(), "0123456789") == "" {
			return n.String(), nil
		}
		return "", nil
	case "NM", "DOSE":
		return number(v), nil
	case "DT":
		return when(day(str(v))), nil
	case "DTM", "INSTANT", "DRSTART":
		return when(str(v)), nil
	case "DR":
		return components(when(str(obj(v)["start"])), when(str(obj(v)["end"]))), nil
	case "CODE":
		return escape(codeOf(arg, str(v))), nil
	case "OWNCODE":
		return map[string]string{"final": "AU", "preliminary": "DO"}[str(v)], nil
	case "EXT":
		p := strings.SplitN(arg, ":", 3)
		o := obj(v)
		if len(p) < 3 || str(o["url"]) != "http://hl7.org/fhir/StructureDefinition/"+p[0] {
			return "", nil
		}
		return m.back(p[2], o[p[1]])
	case "CX", "EI", "SSN", "NAMEID", "CWEID":
		return m.identifier(kind, arg, obj(v)), nil
	case "CWE":
		return m.concept(obj(v), arg), nil
	case "IDCC":
		_, table, _ := strings.Cut(arg, ":")
		for _, c := range objects(obj(v)["coding"]) {
			if str(c["system"]) == tho+"v2-"+table {
				return escape(str(c["code"])), nil
			}
		}
		return "", nil
	case "CODING":
		return m.class(obj(v), arg), nil
	}
	return m.party(kind, arg, v)
}

// preferred are the v2 codes to send where a table maps several to one of FHIR's.
var preferred = map[string]string{
	"AdministrativeSex|other": "O", "OrderStatus|active": "IP", "OrderStatus|revoked": "CA", "ResultStatus[Non-Queries]|registered": "I",
	"CompletionStatus|completed": "CP", "CompletionStatus|not-done": "NA", "NameType|official": "L", "AddressType[Use]|work": "B", "AddressType[Type]|postal": "M",
	"ObservationResultStatusCodesInterpretation|entered-in-error": "D", "AllergenType[AllergyIntoleranceCategory]|environment": "EA",
	// Of DiagnosticReport.status, what HL7's table leaves out: amended and appended are corrections to a receiver of v2.
	"ResultStatus[Non-Queries]|amended": "C", "ResultStatus[Non-Queries]|appended": "C", "ResultStatus[Non-Queries]|entered-in-error": "X",
	"ObservationResultStatusCodesInterpretation|registered": "I",
	"FillerStatusCodes[Appointment]|arrived":                "Started",
}

// codeOf is the v2 code of a FHIR code, "" where the table has none.
func codeOf(table, code string) string {
	if code == "" {
		return ""
	}
	if c, ok := preferred[table+"|"+code]; ok {
		return c
	}
	if l := tofhir.Codes(table, code); len(l) > 0 {
		return l[0]
	}
	return ""
}

var (
	fhirTime = regexp.MustCompile(`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d))?)?)?$`)
	fhirNum  = regexp.MustCompile(`^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,2}))?$`)
	timeOnly = regexp.MustCompile(`^([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.\d+)?$`)
)

// day is the date of a dateTime.
func day(s string) string {
	s, _, _ = strings.Cut(s, "T")
	return s
}

// when writes a date, dateTime or instant as TS (HL7 v2.5.1 2A.77) with the precision and offset that it has;
// fractions are cut to the four digits of TS. "" if it is none.
func when(s string) string {
	p := fhirTime.FindStringSubmatch(s)
	if p == nil || p[1] == "0000" || p[2] > "12" || p[2] == "00" || p[3] > "31" || p[3] == "00" || p[4] > "23" || p[5] > "59" || p[6] > "59" {
		return ""
	}
	out := p[1] + p[2] + p[3] + p[4] + p[5] + p[6]
	if p[7] != "" {
		out += "." + p[7][:min(4, len(p[7]))]
	}
	switch {
	case p[8] == "Z":
		out += "+0000"
	case p[8] != "":
		out += strings.Replace(p[8], ":", "", 1)
	}
	return out
}

// number writes a decimal as NM with the digits that are stored. One with an exponent is written out; "" if it is
// none or too long.
func number(v any) string {
	n, _ := v.(json.Number)
	p := fhirNum.FindStringSubmatch(n.String())
	if p == nil || len(n) > 40 {
		return ""
	}
	sign, whole, frac := p[1], p[2], p[3]
	if e := atoi(p[4]); e > 0 {
		frac += strings.Repeat("0", max(0, e-len(frac)))
		whole, frac = whole+frac[:e], frac[e:]
	} else if e < 0 {
		whole = strings.Repeat("0", max(0, 1-e-len(whole))) + whole
		whole, frac = whole[:len(whole)+e], whole[len(whole)+e:]+frac
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if frac != "" {
		whole += "." + frac
	}
	if len(whole) > 40 {
		return ""
	}
	return sign + whole
}

// feedName is what a feed names: "urn:salus:feed:<name>:<what>:<escaped name>".
var feedName = regexp.MustCompile(`^urn:salus:feed:[a-z0-9-]+:(authority|code-system)(?::(.*))?$`)

// named is the name at the end of a URN that a feed made.
func named(uri, what string) (string, bool) {
	p := feedName.FindStringSubmatch(uri)
	if p == nil || p[1] != what {
		return "", false
	}
	s, err := url.PathUnescape(p[2])
	return s, err == nil
}

// private says whether a system is this network's own, of which others know nothing.
func private(system string) bool {
	return strings.HasPrefix(system, "urn:salus:") && !feedName.MatchString(system) && !strings.HasSuffix(system, ":document-name") && !strings.HasSuffix(system, ":insurance-plan")
}

// authority writes the system of an identifier as the parts of an HD. A name that a feed gave stays under the
// feed's URI, so that equal numbers of two senders stay two at the receiver as well.
func (m *maker) authority(system, display string) []string {
	for _, name := range slices.Sorted(maps.Keys(m.o.Authorities)) {
		if m.o.Authorities[name] != system {
			continue
		}
		if strings.Contains(name, ".") && strings.Trim(name, "0123456789.") == "" {
			return []string{escape(display), name, "ISO"}
		}
		return []string{escape(name)}
	}
	if id, ok := strings.CutPrefix(system, "urn:oid:"); ok && strings.Contains(id, ".") && strings.Trim(id, "0123456789.") == "" {
		return []string{escape(display), id, "ISO"}
	}
	if id, ok := strings.CutPrefix(system, "urn:uuid:"); ok {
		return []string{escape(display), escape(id), "UUID"}
	}
	if system == "" {
		return []string{escape(display)}
	}
	return []string{escape(display), escape(system), "URI"}
}

const ssn = "http://hl7.org/fhir/sid/us-ssn"

// idType is the code of an Identifier's type, of table 0203 where it has one.
func idType(o object) string {
	t := obj(o["type"])
	for _, c := range objects(t["coding"]) {
		code := str(c["code"])
		for _, v2 := range tofhir.Codes("IdentifierType", code) {
			if target, system, ok := tofhir.Code("IdentifierType", v2); ok && target == code && system == str(c["system"]) {
				return v2
			}
		}
		if str(c["system"]) == tho+"v2-0203" {
			return code
		}
	}
	return str(t["text"])
}

// identifier writes an Identifier. One that is old, has no value, or is of this network alone is not sent.
func (m *maker) identifier(kind, arg string, o object) string {
	value, system := str(o["value"]), str(o["system"])
	if value == "" || private(system) || str(o["use"]) == "old" {
		return ""
	}
	switch kind {
	case "CX":
		typ := idType(o)
		if arg == "VN" && typ != "" && typ != arg {
			return ""
		}
		p := obj(o["period"])
		return components(escape(value), "", "", subs(m.authority(system, str(obj(o["assigner"])["display"]))...), escape(typ), "", when(day(str(p["start"]))), when(day(str(p["end"]))))
	case "EI":
		if typ := idType(o); arg != "" && typ != arg {
			return ""
		}
		name, _ := named(system, "authority")
		return components(append([]string{escape(value)}, m.authority(system, name)...)...)
	case "SSN":
		if system == ssn {
			return escape(value)
		}
	case "NAMEID":
		if strings.HasSuffix(system, ":document-name") {
			return escape(value)
		}
	case "CWEID":
		if strings.HasSuffix(system, ":insurance-plan") {
			return components(escape(value), escape(str(obj(o["type"])["text"])))
		}
	}
	return ""
}

// system is the name of a coding system: as configured, as a feed was told it, of table 0396, or its URI.
func (m *maker) system(uri string) string {
	if uri == "" {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(m.o.CodeSystems)) {
		if m.o.CodeSystems[name] == uri {
			return escape(name)
		}
	}
	if name, ok := named(uri, "code-system"); ok {
		return escape(name)
	}
	if name := tofhir.CodeSystemName(uri); name != "" {
		return name
	}
	return escape(uri)
}

// concept writes a CodeableConcept as CWE. The first coding that HL7's table makes of the second goes without
// saying; one that has a code in the table is sent with that code, and as it is beside it.
func (m *maker) concept(o object, table string) string {
	l := objects(o["coding"])
	c := make([]string, 13)
	text := str(o["text"])
	if table != "" && len(l) > 0 {
		code, system := str(l[0]["code"]), str(l[0]["system"])
		implied := len(l) > 1 && slices.ContainsFunc(l[1:2], func(k object) bool {
			t, sys, ok := tofhir.Code(table, str(k["code"]))
			return ok && t == code && sys == system
		})
		if implied {
			l = l[1:]
		} else if v2 := codeOf(table, code); v2 != "" {
			if _, sys, _ := tofhir.Code(table, v2); sys == system {
				if v2 == code && str(l[0]["display"]) == "" && len(l) == 1 {
					l = []object{{"code": code}}
				} else if v2 != code {
					l = append([]object{{"code": v2, "display": str(l[0]["display"])}}, l...)
				}
			}
		}
	} else if table == "AppointmentReasonCodes" {
		return ""
	}
	if table == "AppointmentReasonCodes" && len(l) == len(objects(o["coding"])) {
		return "" // SCH-6 takes it
	}
	for i, k := range l[:min(3, len(l))] {
		code, display := escape(str(k["code"])), escape(str(k["display"]))
		if code == "" && display == "" {
			continue
		}
		at, version := 3*i, 6+i
		if i == 2 { // CWE.10 to 13, of version 2.7: a receiver of 2.5.1 passes over them
			at, version = 9, 12
		}
		c[at], c[at+1], c[at+2], c[version] = code, display, m.system(str(k["system"])), escape(str(k["version"]))
	}
	switch {
	case len(l) == 0:
		c[1] = escape(text) // receivers of 2.5.1 look for it there
	case escape(text) != c[1]:
		c[8] = escape(text)
	}
	return components(c...)
}

// class writes a Coding, as a code of a table if it has one there.
func (m *maker) class(o object, table string) string {
	code, system := str(o["code"]), str(o["system"])
	for _, v2 := range tofhir.Codes(table, code) {
		if _, sys, _ := tofhir.Code(table, v2); sys == system {
			return escape(v2)
		}
	}
	if table == "PatientClass[EncounterClass]" {
		// Classes of v3-ActCode that table 0004 does not tell apart.
		if system == tho+"v3-ActCode" {
			return map[string]string{"ACUTE": "I", "NONAC": "I", "OBSENC": "I", "SS": "O", "HH": "O", "FLD": "O", "VR": "O"}[code]
		}
		return ""
	}
	return components(escape(code), escape(str(o["display"])), m.system(system))
}
