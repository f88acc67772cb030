package chart_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"salus/gateway"
	"salus/ledger/module/audit"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/lookup"
	"salus/ledger/tx"
)

// A matched patient, as $match answers.
type matched struct {
	id, pseudonym, grade, score string
	raw                         string
}

// matches sends a Patient to $match and returns what it leads to.
func (n *network) matches(params string, header ...string) (out []matched) {
	n.t.Helper()
	a := n.must(n.fhir("clinic", "POST", "Patient/$match", params, header...), 200)
	var b struct {
		Type  string
		Total int
		Entry []struct {
			FullURL  string
			Resource json.RawMessage
			Search   struct {
				Mode      string
				Score     json.Number
				Extension []struct{ URL, ValueCode string }
			}
		}
	}
	if err := json.Unmarshal(a.body, &b); err != nil || b.Type != "searchset" {
		n.t.Fatalf("got %s (%v), want a searchset", a.body, err)
	}
	for _, e := range b.Entry {
		if e.Search.Mode != "match" {
			continue
		}
		var p struct {
			ID         string
			Identifier []struct{ System, Value string }
		}
		if err := json.Unmarshal(e.Resource, &p); err != nil || e.FullURL == "" || len(e.Search.Extension) != 1 || e.Search.Extension[0].URL != "http://hl7.org/fhir/StructureDefinition/match-grade" {
			n.t.Fatalf("got %s (%v), want a Patient with a grade", a.body, err)
		}
		m := matched{id: p.ID, grade: e.Search.Extension[0].ValueCode, score: e.Search.Score.String(), raw: string(e.Resource)}
		for _, i := range p.Identifier {
			if i.System == "urn:salus:patient" {
				m.pseudonym = i.Value
			}
		}
		out = append(out, m)
	}
	return out
}

const sampleID = `"identifier":[{"system":"urn:oid:2.999.1","value":"12 345-678"}]`

const sampleTraits = `"name":[{"use":"official","family":"Müller-Sample","given":["Anna","Maria"]}],"birthDate":"1980-02-29","gender":"female"`

func looksFor(elements string, more ...string) string {
	s := `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient",` + elements + `}}`
	return s + strings.Join(append(more, "]}"), "")
}

// PDQm ITI-119 and the checklist's I-13: graded, scored, never a list to browse; each look is an entry
// of the ledger and of her log, and what denies it has a code.
func TestAPatientIsMatchedThroughTheLedger(t *testing.T) {
	if testing.Short() {
		t.Skip("a network of four nodes")
	}
	quota := uint64(8)
	n := newNetwork(t, governance.Changes{LookupQuota: &quota})
	n.v1("clinic", "POST", "/v1/staff/er-doctor", gateway.Registration{Privileges: identity.PrivRead | identity.PrivEmergency}, nil)
	n.v1("clinic", "POST", "/v1/staff/clerk", gateway.Registration{Privileges: identity.PrivWrite}, nil)
	n.must(n.fhir("hospital", "PUT", "Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"Sample"}]}`, "Salus-Wait: active"), 201)
	n.must(n.fhir("hospital", "PUT", "Patient/p2", `{"resourceType":"Patient","id":"p2","name":[{"family":"Sample"}]}`, "Salus-Wait: active"), 201)
	first, second := n.pseudonym("hospital", "Patient/p1"), n.pseudonym("hospital", "Patient/p2")
	n.until("the custodians' key, which they make by themselves", func() bool {
		api, err := n.API("hospital")
		if err != nil {
			t.Fatal(err)
		}
		var key struct{ Answer string }
		return api.JSON(t.Context(), "GET", "/v1/query/lookup/key?arg="+hex.EncodeToString(tx.MustEncode(lookup.Nothing{})), nil, &key) == nil
	})
	enrol := func(patient tx.Account, id gateway.Identifier) {
		t.Helper()
		n.v1("hospital", "POST", "/v1/patients/"+patient.String()+"/identifiers", gateway.EnrolIdentifier{Identifier: id}, nil)
	}
	traits := gateway.Identifier{Family: "Muller Sample", Given: "Anna", Born: "1980-02-29", Sex: "female"}
	enrol(first, gateway.Identifier{System: "urn:oid:2.999.1", Value: "12345678"})
	enrol(first, traits)
	enrol(second, traits) // a twin, say

	// With an identifier of a system: certain. With traits of two: possible, and nothing where only certain ones count.
	before := n.looked(first)
	got := n.matches(looksFor(sampleID), asDoctor, forTreatment)
	if len(got) != 1 || got[0].grade != "certain" || got[0].score != "1.00" || got[0].pseudonym != first.String() || got[0].id != "" {
		t.Fatalf("got %+v, want her with certainty", got)
	}
	if strings.Contains(got[0].raw, "name") {
		t.Errorf("got %s, want nothing of her but the pseudonym", got[0].raw)
	}
	if after := n.looked(first); after != before+1 {
		t.Errorf("her log: got %d more lookups, want 1", after-before)
	}
	if got := n.matches(looksFor(sampleTraits), asDoctor, forTreatment); len(got) != 2 || got[0].grade != "possible" || got[1].score != "0.60" {
		t.Errorf("got %+v, want two that are possible", got)
	}
	if got := n.matches(looksFor(sampleTraits, `,{"name":"count","valueInteger":1}`), asDoctor, forTreatment); len(got) != 1 {
		t.Errorf("count 1: got %d", len(got))
	}
	if got := n.matches(looksFor(sampleTraits, `,{"name":"onlyCertainMatches","valueBoolean":true}`), asDoctor, forTreatment); len(got) != 0 {
		t.Errorf("several that are not certain: got %+v, want none", got)
	}
	got = n.matches(looksFor(sampleID+","+sampleTraits), asDoctor, forTreatment)
	if len(got) != 2 || got[0].grade != "probable" || got[0].pseudonym != first.String() || got[1].grade != "possible" {
		t.Errorf("one identifier of a system and traits of two: got %+v, want her first", got)
	}
	if got := n.matches(looksFor(`"identifier":[{"system":"urn:oid:2.999.1","value":"87654321"}]`), asDoctor, forTreatment); len(got) != 0 {
		t.Errorf("an identifier of nobody: got %+v", got)
	}
	// Whom the clinic has itself by now comes as its own Patient; the body may be the Patient alone.
	n.v1("clinic", "POST", "/v1/patients/"+first.String()+"/adopt", map[string]string{"reference": "Patient/c9"}, nil)
	n.must(n.fhir("clinic", "PUT", "Patient/c9", `{"resourceType":"Patient","id":"c9","name":[{"family":"Own"}]}`), 201)
	if got := n.matches(`{"resourceType":"Patient",`+sampleID+`}`, asDoctor, forTreatment); len(got) != 1 || got[0].id != "c9" || !strings.Contains(got[0].raw, "Own") {
		t.Errorf("got %+v, want the clinic's own Patient", got)
	}
	// In an emergency two identifiers are needed, and only one to whom both lead is shown.
	if got := n.matches(looksFor(sampleID+","+sampleTraits), "Salus-As: er-doctor", "Salus-Purpose: BTG"); len(got) != 1 || got[0].id != "c9" {
		t.Errorf("in an emergency: got %+v, want the one to whom both lead", got)
	}
	n.denied(first)
	n.statementHasMatch()
}

// denied asks in every way that is refused, none of which leads to the patient's log.
func (n *network) denied(patient tx.Account) {
	n.t.Helper()
	before := n.looked(patient)
	for name, tt := range map[string]struct {
		status int
		code   string
		body   string
		header []string
	}{
		"nobody asks":          {403, "match-caller", looksFor(sampleID), []string{forTreatment}},
		"no purpose":           {403, "match-purpose", looksFor(sampleID), []string{asDoctor}},
		"no privilege to read": {403, "lookup-signer", looksFor(sampleID), []string{"Salus-As: clerk", forTreatment}},
		"no emergency privilege": {
			403, "lookup-signer", looksFor(sampleID + "," + sampleTraits), []string{asDoctor, "Salus-Purpose: BTG"},
		},
		"one identifier in an emergency": {422, "match-two-identifiers", looksFor(sampleID), []string{"Salus-As: er-doctor", "Salus-Purpose: BTG"}},
		"nothing to look for":            {422, "match-identifier", looksFor(`"name":[{"family":"Sample"}]`), []string{asDoctor, forTreatment}},
		"another resource":               {400, "match-resource", `{"resourceType":"Practitioner"}`, []string{asDoctor, forTreatment}},
		"a parameter that is not known":  {400, "match-parameter", looksFor(sampleID, `,{"name":"threshold","valueDecimal":0.5}`), []string{asDoctor, forTreatment}},
		"count 0":                        {400, "match-count", looksFor(sampleID, `,{"name":"count","valueInteger":0}`), []string{asDoctor, forTreatment}},
		"perhaps certain":                {400, "match-only-certain", looksFor(sampleID, `,{"name":"onlyCertainMatches","valueString":"1"}`), []string{asDoctor, forTreatment}},
	} {
		a := n.fhir("clinic", "POST", "Patient/$match", tt.body, tt.header...)
		if a.status != tt.status || !bytes.Contains(a.body, []byte(`"OperationOutcome"`)) || !bytes.Contains(a.body, []byte(`"`+tt.code+`"`)) {
			n.t.Errorf("%s: got %d %s, want %d %s", name, a.status, a.body, tt.status, tt.code)
		}
		if bytes.Contains(a.body, []byte("345")) || bytes.Contains(a.body, []byte("Sample")) {
			n.t.Errorf("%s: got %s, want nothing of what was asked", name, a.body)
		}
	}
	if a := n.fhir("clinic", "GET", "Patient/$match", "", asDoctor, forTreatment); a.status != 405 {
		n.t.Errorf("by GET: got %d, want 405", a.status)
	}
	if after := n.looked(patient); after != before {
		n.t.Errorf("refused lookups: got %d entries in her log, want none", after-before)
	}
	// The quota of the practitioner, eight here, ends it, whoever is looked for.
	a := n.fhir("clinic", "POST", "Patient/$match", looksFor(sampleID), asDoctor, forTreatment)
	if a.status != 429 || !bytes.Contains(a.body, []byte(`"lookup-quota"`)) || !bytes.Contains(a.body, []byte(`"throttled"`)) {
		n.t.Errorf("beyond the quota: got %d %s, want 429 lookup-quota", a.status, a.body)
	}
	// Without a quorum nobody is looked for, and the answer says so.
	for _, org := range []string{"institute", "insurer"} {
		if err := n.Stop(org); err != nil {
			n.t.Fatal(err)
		}
	}
	n.until("the loss of the quorum", func() bool {
		a = n.fhir("clinic", "POST", "Patient/$match", looksFor(sampleID+","+sampleTraits), "Salus-As: er-doctor", "Salus-Purpose: BTG")
		return a.status == 503 && bytes.Contains(a.body, []byte(`"match-no-quorum"`))
	})
}

// looked counts the lookups in a patient's log.
func (n *network) looked(patient tx.Account) (count int) {
	n.t.Helper()
	var log struct {
		Complete bool
		Entries  []audit.Link
	}
	n.v1("clinic", "GET", "/v1/patients/"+patient.String()+"/log", nil, &log)
	if !log.Complete {
		n.t.Fatal("her log is not complete")
	}
	for _, l := range log.Entries {
		if l.Record.Action == audit.LookedUp {
			count++
		}
	}
	return count
}

func (n *network) statementHasMatch() {
	n.t.Helper()
	a := n.must(n.fhir("clinic", "GET", "metadata", ""), 200)
	if !bytes.Contains(a.body, []byte(`"definition":"http://hl7.org/fhir/OperationDefinition/Patient-match"`)) {
		n.t.Errorf("the CapabilityStatement does not name $match: %.200s", a.body)
	}
}
