package balp

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const guide = "../../../shared/data/ihe-balp"

type object = map[string]any

func load(t testing.TB, name string) object {
	raw, err := os.ReadFile(filepath.Join(guide, name))
	if err != nil {
		t.Skip("IHE's guide BALP is not here: ../shared/data/ihe-balp")
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func list(v any) []any { l, _ := v.([]any); return l }

func text(v any) string { s, _ := v.(string); return s }

// codes are the codings that an element holds: Coding, CodeableConcept, or lists of them.
func codes(v any) (out []string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, codes(e)...)
		}
	case object:
		if c, ok := v["coding"]; ok {
			return codes(c)
		}
		if v["code"] != nil {
			out = append(out, text(v["system"])+"|"+text(v["code"]))
		}
	}
	return out
}

func pattern(e object) (want string, ok bool) {
	for _, k := range []string{"patternCoding", "patternCodeableConcept"} {
		if p, found := e[k]; found {
			return codes(p)[0], true
		}
	}
	return text(e["patternCode"]), e["patternCode"] != nil
}

// valueSet reads the codes of a value set of the guide; nil where a whole system is included.
func valueSet(t testing.TB, url string) (out []string) {
	for _, i := range list(load(t, "ValueSet-"+url[strings.LastIndex(url, "/")+1:]+".json")["compose"].(object)["include"]) {
		for _, c := range list(i.(object)["concept"]) {
			out = append(out, text(i.(object)["system"])+"|"+text(c.(object)["code"]))
		}
	}
	return out
}

// check says in what an AuditEvent differs from a profile of BALP. It reads the profile's differential:
// cardinalities, patterns, slices of agent, entity and subtype told by type and role, value sets of
// the guide.
func check(t testing.TB, event object, profile string) (wrong []string) {
	sd := load(t, "StructureDefinition-"+profile[strings.LastIndex(profile, "/")+1:]+".json")
	if base := text(sd["baseDefinition"]); strings.Contains(base, "ihe.net") {
		wrong = check(t, event, base)
	}
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	slicesOf := map[string]map[string]object{} // "agent:client" to its elements by the rest of the path
	for _, x := range list(sd["differential"].(object)["element"]) {
		e := x.(object)
		id := strings.TrimPrefix(text(e["id"]), "AuditEvent.")
		if parts := strings.SplitN(id, ".", 2); strings.Contains(parts[0], ":") {
			if slicesOf[parts[0]] == nil {
				slicesOf[parts[0]] = map[string]object{}
			}
			rest := ""
			if len(parts) == 2 {
				rest = parts[1]
			}
			slicesOf[parts[0]][rest] = e
			continue
		}
		if id == "AuditEvent" || strings.Contains(id, ".") {
			continue
		}
		cardinality(e, event[id], id, say)
		if want, ok := pattern(e); ok && !slices.Contains(append(codes(event[id]), text(event[id])), want) {
			say("%s is not %s", id, want)
		}
	}
	for name, elements := range slicesOf {
		element, _, _ := strings.Cut(name, ":")
		n := 0
		for _, m := range list(event[element]) {
			if !inSlice(t, element, m, elements) {
				continue
			}
			n++
			for path, e := range elements {
				if path != "" && !strings.Contains(path, ".") {
					cardinality(e, m.(object)[path], name+"."+path, say)
				}
				if path == "what.identifier.value" {
					if id, ok := m.(object)["what"].(object)["identifier"].(object); !ok || text(id["value"]) == "" {
						say("%s is missing", name+"."+path)
					}
				}
			}
		}
		e := elements[""]
		if low, ok := e["min"].(float64); ok && n < int(low) {
			say("%d of %s, at least %v", n, name, low)
		}
		if high := text(e["max"]); high != "" && high != "*" && fmt.Sprint(n) > high {
			say("%d of %s, at most %s", n, name, high)
		}
	}
	return wrong
}

func inSlice(t testing.TB, element string, m any, elements map[string]object) bool {
	if element == "subtype" {
		if want, ok := pattern(elements[""]); ok {
			return slices.Contains(codes(m), want)
		}
		return among(t, m, elements[""])
	}
	for _, path := range []string{"type", "role"} {
		e, ok := elements[path]
		if !ok || element == "agent" && path == "role" {
			continue
		}
		if want, ok := pattern(e); ok {
			if !slices.Contains(codes(m.(object)[path]), want) {
				return false
			}
		} else if !among(t, m.(object)[path], e) {
			return false
		}
	}
	return true
}

func among(t testing.TB, v any, e object) bool {
	b, ok := e["binding"].(object)
	if !ok {
		return true
	}
	set := valueSet(t, text(b["valueSet"]))
	return slices.ContainsFunc(codes(v), func(c string) bool { return slices.Contains(set, c) })
}

func cardinality(e object, v any, path string, say func(string, ...any)) {
	n := len(list(v))
	if _, array := v.([]any); !array && v != nil {
		n = 1
	}
	if low, ok := e["min"].(float64); ok && n < int(low) {
		say("%d of %s, at least %v", n, path, low)
	}
	if high := text(e["max"]); high == "0" && n > 0 || high == "1" && n > 1 {
		say("%d of %s, at most %s", n, path, high)
	}
}

// TestTheCheckerAcceptsBALPsOwnExamples shows that the checker reads the profiles as their authors do.
func TestTheCheckerAcceptsBALPsOwnExamples(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(guide, "AuditEvent-*.json"))
	if len(files) == 0 {
		t.Skip("IHE's guide BALP is not here: ../shared/data/ihe-balp")
	}
	for _, f := range files {
		e := load(t, filepath.Base(f))
		profile := text(list(e["meta"].(object)["profile"])[0])
		if strings.Contains(profile, "SAML") || strings.Contains(profile, "OAUTH") {
			continue
		}
		if wrong := check(t, e, profile); len(wrong) > 0 {
			t.Errorf("%s: %v", filepath.Base(f), wrong)
		}
	}
	broken := load(t, "AuditEvent-ex-auditBasicReadServer.json")
	broken["agent"] = list(broken["agent"])[:1]
	if len(check(t, broken, profiles+"PatientRead")) == 0 {
		t.Error("an event without its server passes")
	}
}

// profilesHere says whether the guide is there.
func profilesHere() (os.FileInfo, error) { return os.Stat(guide) }
