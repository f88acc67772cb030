package ccda

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// An Unmapped is content that went into no resource but the document itself.
type Unmapped struct {
	Template string // OID of the nearest template that holds it, "" for none
	Path     string // its place: names of elements and positions, never values
	Reason   string // one of the Reason constants
}

// Reasons of an Unmapped.
const (
	ReasonNoMap     = "no-map"       // no map for this template or element
	ReasonValue     = "value"        // a value that FHIR's type cannot hold
	ReasonDuplicate = "duplicate-id" // an id that another resource of the document has
	ReasonPrecision = "precision"    // a time without zone, kept as a date
)

// unread lists the topmost elements below n that no map took and that have content.
func unread(n *node, template string, out *[]Unmapped) {
	for _, t := range n.all("templateId") {
		if r := t.a("root"); oid(r) {
			template = r
			break
		}
	}
	if !n.read && !touched(n) {
		if content(n) {
			*out = append(*out, Unmapped{template, n.path(), ReasonNoMap})
		}
		return
	}
	for _, k := range n.kids {
		if k.name != "" {
			unread(k, template, out)
		}
	}
}

func touched(n *node) bool {
	for _, k := range n.kids {
		if k.read || touched(k) {
			return true
		}
	}
	return false
}

// content says whether n holds more than structure and null flavors.
func content(n *node) bool {
	switch n.name {
	case "templateId", "realmCode", "typeId":
		return false
	case "":
		return strings.TrimSpace(n.text) != ""
	}
	for k := range n.attr {
		switch k {
		case "nullFlavor", "classCode", "moodCode", "typeCode", "xsi:type", "determinerCode",
			"contextConductionInd", "contextControlCode", "inversionInd", "operator", "xsi:schemaLocation":
		default:
			return true
		}
	}
	return slices.ContainsFunc(n.kids, content)
}

func oid(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(s, "0123456789.") == ""
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

// system gives the URI of a code system or namespace.
func system(root string) string {
	if u, ok := oids()[root]; ok {
		return u
	}
	switch {
	case oid(root):
		return "urn:oid:" + root
	case strings.HasPrefix(root, "http://"), strings.HasPrefix(root, "https://"), strings.HasPrefix(root, "urn:"):
		return root
	}
	return "urn:uuid:" + strings.ToLower(root)
}
