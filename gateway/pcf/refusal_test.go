package pcf

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// provision is the Consent with one provision, its type and purpose filled in.
func withProvision(change func(c, p map[string]any)) []byte {
	c := posting()
	p := map[string]any{"type": "permit", "purpose": []any{map[string]any{"system": systemReason, "code": "TREAT"}}}
	c["provision"] = p
	change(c, p)
	b, _ := json.Marshal(c)
	return b
}

type m = map[string]any

// actorOf is whom a provision is about: who gets information.
func actorOf(ref string) m {
	return m{"role": m{"coding": []any{m{"system": systemParticipation, "code": "IRCP"}}}, "reference": m{"reference": ref}}
}

// TestWhatCannotBeEnforcedIsRefusedWhereItStands has a case for each element of R4 Consent that is
// not enforced, and each bad input of the checklist.
func TestWhatCannotBeEnforcedIsRefusedWhereItStands(t *testing.T) {
	ref := func(s string) m { return m{"reference": s} }
	for _, tt := range []struct {
		name   string
		change func(c, p m)
		want   string
	}{
		{"no policy", func(c, _ m) { delete(c, "policy") }, CodeRequired + " Consent.policy"},
		{"policy without uri", func(c, _ m) { c["policy"] = []any{m{"authority": "urn:x"}} }, CodeRequired + " Consent.policy[0].uri"},
		{"a stale policy", func(c, _ m) { c["policy"] = []any{m{"uri": PolicySalus + ":v0"}} }, CodePolicy + " Consent.policy[0].uri"},
		{"two policies", func(c, _ m) { c["policy"] = []any{m{"uri": PolicySalus}, m{"uri": PolicyDeny}} }, CodePolicy + " Consent.policy"},
		{"a policy that permits by itself", func(c, _ m) { c["policy"] = []any{m{"uri": PolicyBreakGlassOnly}} }, CodePolicy + " Consent.policy[0].uri"},
		{"policyRule", func(c, _ m) { c["policyRule"] = m{"text": "x"} }, CodePolicy + " Consent.policyRule"},
		{"no provision", func(c, _ m) { delete(c, "provision") }, CodeRequired + " Consent.provision"},
		{"no type", func(_, p m) { delete(p, "type") }, CodeProvision + " Consent.provision.type"},
		{"no dateTime", func(c, _ m) { delete(c, "dateTime") }, CodeRequired + " Consent.dateTime"},
		{"dateTime in the future", func(c, _ m) { c["dateTime"] = "2027-02-01" }, CodeTime + " Consent.dateTime"},
		{"no performer", func(c, _ m) { delete(c, "performer") }, CodeRequired + " Consent.performer"},
		{"somebody else agrees", func(c, _ m) { c["performer"] = []any{ref("Patient/" + account("bob").String())} }, CodePerformer + " Consent.performer[0]"},
		{"a practitioner agrees", func(c, _ m) { c["performer"] = []any{ref("Practitioner/" + account("alice").String())} }, CodePerformer + " Consent.performer[0]"},
		{"another patient", func(c, _ m) { c["patient"] = ref("Patient/" + account("bob").String()) }, CodePatient + " Consent.patient"},
		{"no organization", func(c, _ m) { delete(c, "organization") }, CodeRequired + " Consent.organization"},
		{"another organization", func(c, _ m) { c["organization"] = []any{ref("Organization/" + account("clinic").String())} }, CodeSteward + " Consent.organization[0]"},
		{"another organization beside hers", func(c, _ m) {
			c["organization"] = []any{ref("Organization/" + account("hospital").String()), ref("Organization/" + account("clinic").String())}
		}, CodeSteward + " Consent.organization[1]"},
		{"a person as the organization", func(c, _ m) { c["organization"] = []any{ref("Practitioner/" + account("doctor").String())} }, CodeSteward + " Consent.organization[0]"},
		{"no source", func(c, _ m) { delete(c, "sourceReference") }, CodeRequired + " Consent.source"},
		{"two sources", func(c, _ m) { c["sourceAttachment"] = m{"title": "x"} }, CodeRequired + " Consent.source"},
		{"research scope", func(c, _ m) { c["scope"] = m{"coding": []any{m{"system": systemScope, "code": "research"}}} }, CodeScope + " Consent.scope"},
		{"draft", func(c, _ m) { c["status"] = "draft" }, CodeStatus + " Consent.status"},
		{"rejected", func(c, _ m) { c["status"] = "rejected" }, CodeStatus + " Consent.status"},
		{"no status of FHIR", func(c, _ m) { c["status"] = "on" }, CodeStatus + " Consent.status"},
		{"contained", func(c, _ m) { c["contained"] = []any{m{"resourceType": "Group"}} }, CodeContained + " Consent.contained"},
		{"implicit rules", func(c, _ m) { c["implicitRules"] = "urn:x" }, CodeModifier + " Consent.implicitRules"},
		{"modifier extension", func(c, _ m) { c["modifierExtension"] = []any{m{"url": "urn:x"}} }, CodeModifier + " Consent.modifierExtension"},
		{"modifier extension inside", func(_, p m) { p["modifierExtension"] = []any{m{"url": "urn:x", "valuePositiveInt": 1}} }, CodeModifier + " Consent.provision.modifierExtension[0]"},
		{"extension inside", func(_, p m) { p["extension"] = []any{m{"url": "urn:x"}} }, CodeUnsupported + " Consent.provision.extension"},
		{"extension of a primitive", func(_, p m) { p["_type"] = m{"extension": []any{m{"url": "urn:x"}}} }, CodeUnsupported + " Consent.provision.type"},
		{"verification", func(c, _ m) { c["verification"] = []any{m{"verified": true}} }, CodeUnsupported + " Consent.verification"},
		{"an element that is none", func(c, _ m) { c["patientName"] = "x" }, CodeUnknown + " Consent"},
		{"an element of another place", func(_, p m) { p["status"] = "active" }, CodeUnknown + " Consent.provision.status"},
		{"a provision as a list", func(c, p m) { c["provision"] = []any{p} }, CodeType + " Consent.provision"},
		{"an empty list", func(_, p m) { p["purpose"] = []any{} }, CodeType + " Consent.provision.purpose"},
		{"dataPeriod", func(_, p m) { p["dataPeriod"] = m{"start": "2022"} }, CodeDataPeriod + " Consent.provision.dataPeriod"}, // C-06
		{"data", func(_, p m) { p["data"] = []any{m{"meaning": "authoredby"}} }, CodeData + " Consent.provision.data"},          // C-05, C-07
		{"class", func(_, p m) { p["class"] = []any{m{"code": "x"}} }, CodeUnsupported + " Consent.provision.class"},
		{"code", func(_, p m) { p["code"] = []any{m{"text": "x"}} }, CodeUnsupported + " Consent.provision.code"},
		{"action", func(_, p m) { p["action"] = []any{m{"text": "x"}} }, CodeUnsupported + " Consent.provision.action"},
		{"three deep", func(_, p m) { // C-13
			p["provision"] = []any{m{"type": "deny", "provision": []any{m{"type": "permit"}}}}
		}, CodeDepth + " Consent.provision.provision[0].provision[0]"},
		{"period backwards", func(_, p m) { p["period"] = m{"start": "2028-01-02", "end": "2028-01-01"} }, CodePeriod + " Consent.provision.period"},
		{"period over", func(_, p m) { p["period"] = m{"end": "2027-01-13"} }, CodePeriod + " Consent.provision.period.end"},
		{"period in fractions", func(_, p m) { p["period"] = m{"end": "2028-01-01T00:00:00.5Z"} }, CodePeriod + " Consent.provision.period.end"},
		{"period before 1970", func(_, p m) { p["period"] = m{"start": "1969"} }, CodePeriod + " Consent.provision.period.start"},
		{"no date", func(_, p m) { p["period"] = m{"start": "2028-13-01"} }, CodePeriod + " Consent.provision.period.start"},
		{"purpose of another system", func(_, p m) { p["purpose"] = []any{m{"system": "urn:x", "code": "TREAT"}} }, CodePurpose + " Consent.provision.purpose[0]"},
		{"purpose in small letters", func(_, p m) { p["purpose"] = []any{m{"system": systemReason, "code": "treat"}} }, CodePurpose + " Consent.provision.purpose[0]"},
		{"actor nobody knows", func(_, p m) { p["actor"] = []any{actorOf("Practitioner/x")} }, CodeActor + " Consent.provision.actor[0].reference"},
		{"actor a related person", func(_, p m) { p["actor"] = []any{actorOf("RelatedPerson/" + account("mother").String())} }, CodeActor + " Consent.provision.actor[0].reference"},
		{"actor without role", func(_, p m) { p["actor"] = []any{m{"reference": ref("Practitioner/" + account("doctor").String())}} }, CodeRole + " Consent.provision.actor[0].role"},
		{"actor without reference", func(_, p m) { p["actor"] = []any{m{"role": actorOf("x")["role"]}} }, CodeRequired + " Consent.provision.actor[0].reference"},
		{"unknown label", func(_, p m) { p["securityLabel"] = []any{m{"system": systemActCode, "code": "VIP"}} }, CodeLabel + " Consent.provision.securityLabel[0]"},
		{"label without system", func(_, p m) { p["securityLabel"] = []any{m{"code": "R"}} }, CodeLabel + " Consent.provision.securityLabel[0]"},
		{"permit of a part of a label", func(_, p m) {
			p["securityLabel"] = []any{m{"system": systemConfidentiality, "code": "N"}, m{"system": systemActCode, "code": "ETHUD"}}
		}, CodeLabelFiner + " Consent.provision.securityLabel[1]"},
		{"permit of less than normal", func(_, p m) { p["securityLabel"] = []any{m{"system": systemConfidentiality, "code": "L"}} }, CodeLabelFiner + " Consent.provision.securityLabel[0]"},
		{"permit of a sensitivity alone", func(_, p m) { p["securityLabel"] = []any{m{"system": systemActCode, "code": "HIV"}} }, CodeLabelAlone + " Consent.provision.securityLabel"},
		{"basic with nested", func(c, p m) { c["meta"] = m{"profile": []any{ProfileBasic}}; p["provision"] = []any{m{"type": "deny"}} }, CodeProfile + " Consent.meta.profile"},
		{"uses of a denial", func(_, p m) {
			p["type"], p["modifierExtension"] = "deny", []any{m{"url": ExtensionUses, "valuePositiveInt": 1}}
		}, CodeUses + " Consent.provision"},
		{"no uses", func(_, p m) { p["modifierExtension"] = []any{m{"url": ExtensionUses, "valuePositiveInt": 0}} }, CodeUses + " Consent.provision.modifierExtension[0]"},
		{"a long narrative", func(c, _ m) { c["text"] = m{"div": strings.Repeat("x", 1<<20)} }, CodeSize + " Consent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			o.Now = time.Unix(start, 0)
			_, _, err := ToWishes(withProvision(tt.change), o)
			if err == nil {
				t.Fatal("accepted")
			}
			got := issues(err)
			if len(got) == 0 || got[0].Code+" "+got[0].Expression != tt.want {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
			for _, i := range got {
				if i.Severity != "error" || i.Type == "" || i.Text == "" {
					t.Errorf("an issue is not whole: %+v", i)
				}
			}
		})
	}
	t.Run("not JSON", func(t *testing.T) {
		for _, s := range []string{"", "{", `[]`, `{"resourceType":"Patient"}`, `{"resourceType":"Consent","resourceType":"Consent"}`} {
			if _, _, err := ToWishes([]byte(s), options()); err == nil || issues(err)[0].Code != CodeJSON {
				t.Errorf("%q: got %v, want %s", s, err, CodeJSON)
			}
		}
	})
}

func TestADenialOfAPartOfALabelSaysThatItTakesMore(t *testing.T) {
	wishes, notes, err := ToWishes(withProvision(func(_, p m) {
		p["provision"] = []any{m{"type": "deny", "securityLabel": []any{m{"system": systemActCode, "code": "OPIOIDUD"}}}}
	}), options())
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || notes[0].Code != CodeLabelWider || notes[0].Expression != "Consent.provision.provision[0].securityLabel[0]" {
		t.Errorf("got %+v, want one %s", notes, CodeLabelWider)
	}
	for _, w := range wishes {
		if w.Deny != LabelsOf("SUD") || w.Allow != usual&^w.Deny {
			t.Errorf("got %v less %v, want all but SUD", w.Allow.List(), w.Deny.List())
		}
	}
}

// A clock a little ahead of the ledger's is no reason to refuse; one more than five minutes is.
func TestAConsentMayBeDatedALittleAhead(t *testing.T) {
	o := options()
	o.Now = time.Unix(start, 0)
	at := func(d time.Duration) error {
		_, _, err := ToWishes(withProvision(func(c, _ m) { c["dateTime"] = time.Unix(start, 0).Add(d).UTC().Format(time.RFC3339) }), o)
		return err
	}
	if err := at(skew); err != nil {
		t.Errorf("got %v", err)
	}
	if got := issues(at(skew + time.Second)); len(got) != 1 || got[0].Code != CodeTime {
		t.Errorf("got %+v, want %s", got, CodeTime)
	}
}
