package pcf

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// An asked is one question about one record, in the words of FHIR.
type asked struct {
	practitioner string
	member       string
	clinical     bool
	roles        []string
	purpose      string
	labels       []string // of the record, as the ledger's table names them
	now          int64
}

// The oracle reads a Consent as IHE PCF and R4 say it is to be read. It shares nothing with the room
// but the names of the code systems: it walks the JSON and decides about one label at a time.
type oracle struct {
	up        map[string]string // purpose to the one above it, from spec/consent.md
	policyUse []string          // purposes of a permit that names none
}

// purposes reads the table of spec/consent.md.
func purposes(t testing.TB) map[string]string {
	raw, err := os.ReadFile("../../spec/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	up := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.Trim(cells[1], " 0123456789") != "" || strings.TrimSpace(cells[1]) == "" {
			continue
		}
		up[strings.TrimSpace(cells[2])] = strings.TrimSpace(cells[3])
	}
	if len(up) != 59 {
		t.Fatalf("got %d purposes in spec/consent.md, want 59", len(up))
	}
	return up
}

func (o *oracle) covers(named []string, asked string) bool {
	if slices.Contains(named, asked) {
		return true
	}
	if asked == "ETREAT" || asked == "BTG" || asked == "ERTREAT" {
		return false
	}
	for p := o.up[asked]; p != ""; p = o.up[p] {
		if slices.Contains(named, p) {
			return true
		}
	}
	return false
}

type object = map[string]any

func list(v any) []any { l, _ := v.([]any); return l }

// permits says whether every label of the record is permitted.
func (o *oracle) permits(t testing.TB, raw []byte, q asked) bool {
	var c object
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	root := c["provision"].(object)
	for _, label := range q.labels {
		if o.decide(root, label, q) != "permit" {
			return false
		}
	}
	return true
}

// decide is the verdict on one label: a nested provision overrides its parent, a denial the others.
func (o *oracle) decide(root object, label string, q asked) string {
	verdict := ""
	for _, n := range list(root["provision"]) {
		nested := n.(object)
		if o.matches(nested, root, label, q) && verdict != "deny" {
			verdict = nested["type"].(string)
		}
	}
	if verdict == "" && o.matches(root, nil, label, q) {
		verdict = root["type"].(string)
	}
	return verdict
}

func (o *oracle) matches(p, parent object, label string, q asked) bool {
	say := func(name string) any {
		if v, ok := p[name]; ok || parent == nil {
			return v
		}
		return parent[name]
	}
	if period, ok := say("period").(object); ok && !during(period, q.now) {
		return false
	}
	if actors := list(say("actor")); actors != nil && !slices.ContainsFunc(actors, func(a any) bool { return isActor(a.(object), q) }) {
		return false
	}
	var named []string
	for _, c := range list(say("purpose")) {
		named = append(named, c.(object)["code"].(string))
	}
	permit := p["type"] == "permit"
	if named == nil && permit {
		named = o.policyUse
	}
	if named != nil && !o.covers(named, q.purpose) {
		return false
	}
	labels := list(p["securityLabel"])
	if labels == nil && parent != nil && (permit || parent["type"] == "deny") {
		labels = list(parent["securityLabel"])
	}
	if labels == nil {
		return !permit || label != "V" && label != "PSYTHPN"
	}
	return slices.ContainsFunc(labels, func(c any) bool {
		return speaksOf(c.(object)["system"].(string), c.(object)["code"].(string), permit, label)
	})
}

func during(p object, now int64) bool {
	at := time.Unix(now, 0).UTC()
	begin := func(s string) time.Time {
		for _, layout := range []string{"2006-01-02", time.RFC3339} {
			if v, err := time.Parse(layout, s); err == nil {
				return v
			}
		}
		panic("a date that the generator does not make")
	}
	if s, ok := p["start"].(string); ok && at.Before(begin(s)) {
		return false
	}
	if e, ok := p["end"].(string); ok {
		end := begin(e)
		if len(e) == len("2006-01-02") {
			return at.Format("2006-01-02") <= e
		}
		return !at.After(end)
	}
	return true
}

func isActor(a object, q asked) bool {
	ref := a["reference"].(object)
	if id, ok := ref["identifier"].(object); ok {
		v := id["value"].(string)
		switch id["system"] {
		case "urn:salus:community":
			return q.clinical
		case "urn:salus:role":
			role, member, at := strings.Cut(v, "@")
			return slices.Contains(q.roles, role) && (at && member == q.member || !at && q.clinical)
		}
	}
	return ref["reference"] == "Practitioner/"+q.practitioner || ref["reference"] == "Organization/"+q.member
}

// speaksOf says whether a security label of a provision covers a label of a record.
func speaksOf(system, code string, permit bool, label string) bool {
	kind := label[0] >= 'a'
	switch {
	case system == "urn:salus:label":
		return code == "all" || code == label
	case strings.HasSuffix(system, "v3-Confidentiality") && permit:
		switch code {
		case "N":
			return kind
		case "R":
			return label != "V" && label != "PSYTHPN"
		case "V":
			return label != "PSYTHPN"
		}
	case strings.HasSuffix(system, "v3-Confidentiality"):
		return code == "R" && !kind || code == "V" && label == "V"
	}
	switch code { // v3-ActCode: subsumption (C-08)
	case "ETH", "ETHUD", "OPIOIDUD":
		return label == "SUD"
	case "MH":
		return label == "PSY"
	case "BH":
		return label == "PSY" || label == "SUD"
	}
	return label == code
}
