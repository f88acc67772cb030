package tofhir

import (
	_ "embed"
	"strings"
	"sync"
)

// codesText holds HL7's concept maps, one row a line: map, code, target code, target
// system, separated by tabs. source_test.go makes it from HL7's tables and compares.
//
//go:embed codes.txt
var codesText string

type target struct{ code, system string }

func (t target) coding() object {
	o := object{"code": t.code}
	put(o, "system", t.system)
	return o
}

var codeMaps = sync.OnceValue(func() map[string]target {
	out := map[string]target{}
	for line := range strings.Lines(codesText) {
		p := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(p) == 4 {
			out[p[0]+"|"+p[1]] = target{p[2], p[3]}
		}
	}
	return out
})

// lookup maps a code by one of HL7's concept maps; ok is false for a code that the
// map does not have or leaves without a target.
func lookup(name, code string) (target, bool) {
	t, ok := codeMaps()[name+"|"+code]
	return t, ok
}

// ownCodes are not of HL7's tables; docs/hl7v2-to-fhir.md says why.
func ownCodes(name, code string) (string, bool) {
	switch name + "|" + code {
	case "confidentiality|R", "confidentiality|V":
		return code, true
	case "confidentiality|U": // usual control
		return "N", true
	case "docStatus|AU", "docStatus|LA":
		return "final", true
	case "docStatus|DI", "docStatus|DO", "docStatus|IN", "docStatus|IP", "docStatus|PA":
		return "preliminary", true
	}
	return "", false
}

// codeSystem gives the URI of a coding system by its name in table 0396 (HL7 v2
// code system v2-0396; URIs as FHIR R4 lists them, 4.3.0.1).
func (c *mapping) codeSystem(name string) string {
	if name == "" {
		return ""
	}
	if u := c.o.CodeSystems[name]; u != "" {
		return u
	}
	if u := CodeSystem(name); u != "" {
		return u
	}
	return c.o.Base + ":code-system:" + escape(name)
}

// escape writes a name as the end of a URN.
func escape(s string) string {
	var b strings.Builder
	for _, r := range []byte(s) {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			b.WriteByte(r)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.Write([]byte{'%', digits[r>>4], digits[r&15]})
	}
	return b.String()
}
