package ccda

import (
	_ "embed"
	"strings"
	"sync"
)

// An Unmapped is content that went into no resource but the document itself.
type Unmapped struct {
	Template string // OID of the nearest template that holds it, "" for none
	Path     string // its place: names of elements and positions, never values
	Reason   string // one of the Reason constants
}

// Reasons of an Unmapped. They are stable: a reason is never given another meaning.
const (
	ReasonNoMap     = "no-map"       // no map for this template or element
	ReasonValue     = "value"        // a value that FHIR's type cannot hold
	ReasonDuplicate = "duplicate-id" // an id that another resource of the document has
	ReasonPrecision = "precision"    // a time without zone, kept as a date
	ReasonNegated   = "negated"      // a negated statement that FHIR's resource cannot say
	ReasonConflict  = "conflict"     // another value for what the same id has already
	ReasonReference = "reference"    // a reference into the document that leads nowhere
	ReasonLink      = "link"         // both ends are mapped, FHIR has no place for what joins them
	ReasonMore      = "more"         // the report was cut here
)

// oid says whether s is an OID as FHIR writes them (R4, type oid).
func oid(s string) bool {
	if len(s) < 3 || len(s) > 128 || s[0] < '0' || s[0] > '2' {
		return false
	}
	for arc := range strings.SplitSeq(s, ".") {
		if arc == "" || strings.Trim(arc, "0123456789") != "" || len(arc) > 1 && arc[0] == '0' {
			return false
		}
	}
	return strings.Contains(s, ".")
}

//go:embed oids.txt
var oidTable string

var oids = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for l := range strings.Lines(oidTable) {
		if k, v, ok := strings.Cut(strings.TrimSpace(l), " "); ok && k != "#" {
			m[k] = v
		}
	}
	return m
})

// later are systems that the NamingSystems of R4 do not hold or hold with a URI that
// HL7 has replaced since: as HL7/ccda-on-fhir and US Core 7.0.0 write them.
var later = map[string]string{
	"2.16.840.1.113883.6.103":   "http://hl7.org/fhir/sid/icd-9-cm",
	"2.16.840.1.113883.6.4":     "http://www.cms.gov/Medicare/Coding/ICD10",
	"2.16.840.1.113883.6.101":   "http://nucc.org/provider-taxonomy",
	"2.16.840.1.113883.3.221.5": "https://nahdo.org/sopt",
}

// system gives the URI of a code system or namespace, or "" for what is none.
func system(root string) string {
	if u, ok := later[root]; ok {
		return u
	}
	if u, ok := oids()[root]; ok {
		return u
	}
	switch {
	case oid(root):
		return "urn:oid:" + root
	case strings.HasPrefix(root, "http://"), strings.HasPrefix(root, "https://"), strings.HasPrefix(root, "urn:"):
		if strings.ContainsAny(root, " \t\r\n") {
			return ""
		}
		return root
	case uuidShape(root):
		return "urn:uuid:" + strings.ToLower(root)
	}
	return ""
}

// uuidShape says whether s is a UUID in its usual form (RFC 9562, 4).
func uuidShape(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
				return false
			}
		}
	}
	return true
}
