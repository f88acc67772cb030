package tofhir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
	"salus/hl7"
)

func options() Options {
	return Options{Base: "urn:salus:feed:test", Key: []byte("0123456789abcdef"), Zone: time.UTC, Recorded: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func parse(t testing.TB, s string) *hl7.Message {
	t.Helper()
	m, err := hl7.Parse([]byte(strings.ReplaceAll(s, "\n", "\r")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type entries []map[string]any

func (e entries) of(kind string) (out []map[string]any) {
	for _, r := range e {
		if r["resourceType"] == kind {
			out = append(out, r)
		}
	}
	return out
}

func resources(t testing.TB, r *Result) (out entries) {
	t.Helper()
	var b struct {
		Entry []struct{ Resource map[string]any }
	}
	d := json.NewDecoder(bytes.NewReader(r.Bundle))
	d.UseNumber()
	if err := d.Decode(&b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Entry {
		out = append(out, e.Resource)
	}
	return out
}

// get reads a path such as name.0.family as text.
func get(v any, path string) string {
	for p := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			if p != "0" { // a list of one that flat took away
				v = x[p]
			}
		case string:
			if p != "0" {
				return ""
			}
		case []any:
			i := int(p[0] - '0')
			if i >= len(x) {
				return ""
			}
			v = x[i]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func do(t testing.TB, s string) (*Result, entries) {
	t.Helper()
	r, err := Map(parse(t, s), options())
	if err != nil {
		t.Fatal(err)
	}
	return r, resources(t, r)
}

func paths(r *Result) string {
	var s []string
	for _, p := range r.Unmapped {
		x := fmt.Sprintf("%s[%d]-%d[%d]", p.Segment, p.Occurrence, p.Field, p.Repetition)
		if p.Component > 0 {
			x += fmt.Sprintf(".%d", p.Component)
		}
		if p.Subcomponent > 0 {
			x += fmt.Sprintf(".%d", p.Subcomponent)
		}
		s = append(s, x)
	}
	return strings.Join(s, " ")
}

const (
	head = `MSH|^~\&|APP|FAC|SALUS|NODE|20260102030405+0000||`
	pid  = "\nPID|1||SYN-1^^^FAC&1.2.3&ISO^MR||Example^Ann^B^^^^L||19800102|F"
)

var validator = func() *validate.Validator {
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		panic(err)
	}
	return v
}()

// invalid lists what base R4 refuses in the resources of a result.
func invalid(t testing.TB, r *Result) (out []string) {
	t.Helper()
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(r.Bundle, &b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Entry {
		x, err := fhir.Parse(e.Resource)
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		for _, i := range validator.Validate(t.Context(), x) {
			if i.Severity == "error" || i.Severity == "fatal" {
				out = append(out, i.Code+" "+fmt.Sprint(i.Expression)+" "+i.Text)
			}
		}
	}
	return out
}

func TestEveryOwnMessageIsValidFHIR(t *testing.T) {
	for _, name := range []string{"adt_a01", "adt_a03", "adt_a40", "dft_p03", "mdm_t02", "oml_o21", "orm_o01", "oru_r01", "siu_s12", "vxu_v04"} {
		b, err := os.ReadFile("../testdata/" + name + ".hl7")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Map(parse(t, string(b)), options())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range invalid(t, r) {
			t.Errorf("%s: %s", name, s)
		}
	}
}

func TestAdmissionMakesPatientAndEncounter(t *testing.T) {
	r, e := do(t, head+"ADT^A01|M1|P|2.5.1"+pid+"|||1 Way^^Town^ST^12345^USA^H||^PRN^PH^^^555^1234567\nPV1|1|I|W1^2^3^FAC||||D1^Sample^Dora||||||||||||V-1^^^FAC|||||||||||||||||||||||||20260102")
	p := e.of("Patient")[0]
	for path, want := range map[string]string{
		"identifier.0.system": "urn:oid:1.2.3", "identifier.0.value": "SYN-1", "identifier.0.type.coding.0.code": "MR",
		"name.0.family": "Example", "name.0.given.1": "B", "name.0.use": "official", "birthDate": "1980-01-02", "gender": "female",
		"address.0.line.0": "1 Way", "address.0.use": "home", "telecom.0.value": "555 1234567", "telecom.0.system": "phone", "telecom.0.use": "home",
	} {
		if got := get(p, path); got != want {
			t.Errorf("Patient.%s: got %q, want %q", path, got, want)
		}
	}
	v := e.of("Encounter")[0]
	for path, want := range map[string]string{"status": "in-progress", "class.code": "IMP", "period.start": "2026-01-02", "participant.0.type.0.coding.0.code": "ATND", "location.0.status": "active"} {
		if got := get(v, path); got != want {
			t.Errorf("Encounter.%s: got %q, want %q", path, got, want)
		}
	}
	if got := len(e.of("Location")); got != 4 {
		t.Errorf("got %d locations, want bed, room, point of care, facility", got)
	}
	if got := paths(r); got != "" {
		t.Errorf("unmapped: %s", got)
	}
	if p := e.of("Provenance")[0]; get(p, "entity.0.what.identifier.value") != "M1" || len(get(p, "entity.1.what.identifier.value")) != 64 {
		t.Errorf("provenance: got %v", p["entity"])
	}
}

func TestEventsTellTheVisitsStatus(t *testing.T) {
	for event, want := range map[string]string{"A01": "in-progress", "A02": "in-progress", "A03": "finished", "A04": "in-progress", "A05": "planned", "A08": "in-progress", "A11": "cancelled", "A13": "in-progress"} {
		r, e := do(t, head+"ADT^"+event+"|M1|P|2.5.1\nEVN||20260103101500"+pid+"\nPV1|1|I|||||||||||||||||V-1")
		if got := get(e.of("Encounter")[0], "status"); got != want {
			t.Errorf("%s: got %q, want %q", event, got, want)
		}
		if end := get(e.of("Encounter")[0], "period.end"); (end != "") != (event == "A03") {
			t.Errorf("%s: end %q", event, end)
		}
		if s := invalid(t, r); s != nil {
			t.Errorf("%s: %v", event, s)
		}
	}
}

func TestTheSameMessageGivesTheSameBytes(t *testing.T) {
	msg := head + "ADT^A01|M1|P|2.5.1" + pid + "\nNK1|1|Next^Kin|MTH\nAL1|1|DA|PEN^Penicillin|SV|Rash\nPV1|1|I|||||||||||||||||V-1"
	a, _ := do(t, msg)
	b, _ := do(t, msg)
	if !bytes.Equal(a.Bundle, b.Bundle) {
		t.Error("other bytes")
	}
	for i, x := range a.Entries {
		if x.Type != "Provenance" && x.Identifier.Value == "" {
			t.Errorf("entry %d (%s) cannot be found again", i, x.Type)
		}
	}
}

// Every field with content that is not mapped is listed, never dropped in silence.
func TestWhatIsNotMappedIsListed(t *testing.T) {
	r, _ := do(t, head+"ADT^A08|M1|P|2.5.1|42"+pid+"||2106-3^White~2028-9^Asian|||||||||||||||||||||||||||||\nZPI|1|local^a&b\nPV1|1|Q|||||||||||||||||V-1\nXXX|a~b")
	want := "MSH[1]-13[1] PID[1]-10[1].1 PID[1]-10[1].2 PID[1]-10[2].1 PID[1]-10[2].2 ZPI[1]-1[1] ZPI[1]-2[1].1 ZPI[1]-2[1].2.1 ZPI[1]-2[1].2.2 XXX[1]-1[1] XXX[1]-1[2]"
	if got := paths(r); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if r, _ := do(t, head+"ADT^A08|M1|P|2.5.1\nPID|1||S^^^F||E^A||198O|X"); paths(r) != "PID[1]-7[1] PID[1]-8[1]" {
		t.Errorf("a date that is none and a code that is not in the map: got %s", paths(r))
	}
}

func TestCorrectionUpdatesTheSameObservation(t *testing.T) {
	lab := func(id, status, value string) (Entry, map[string]any) {
		r, e := do(t, head+"ORU^R01|"+id+"|P|2.5.1"+pid+"\nOBR|1|P1|F1|24323-8^Panel^LN|||20260102\nOBX|1|NM|2345-7^Glucose^LN|1|"+value+"|mmol/L^mmol/L^UCUM|4-6|N|||"+status)
		for i, x := range r.Entries {
			if x.Type == "Observation" {
				return x, e[i]
			}
		}
		t.Fatal("no observation")
		return Entry{}, nil
	}
	a, x := lab("M1", "F", "5.40")
	b, y := lab("M2", "C", "5.50")
	if a.Identifier != b.Identifier || get(x, "status") != "final" || get(y, "status") != "corrected" {
		t.Errorf("got %v %v", get(x, "status"), get(y, "status"))
	}
	if get(x, "valueQuantity.value") != "5.40" || get(x, "valueQuantity.system") != "http://unitsofmeasure.org" || get(x, "referenceRange.0.text") != "4-6" {
		t.Errorf("got %v", x)
	}
}

func TestValueTypes(t *testing.T) {
	for in, want := range map[string]string{
		"NM|-.50": "valueQuantity map[value:-0.50]", "NM|many": "valueString many", "ST|a\\T\\b": "valueString a&b",
		"SN|>^100": "valueQuantity map[comparator:> value:100]", "SN|^1^-^2": "valueRange map[high:map[value:2] low:map[value:1]]",
		"SN|^1^:^128": "valueRatio map[denominator:map[value:128] numerator:map[value:1]]", "SN|<>^5": "valueString <>^5",
		"TX|one~two": "valueString one\ntwo", "FT|page one\fpage\\X0B\\two": "valueString page one\npage\ntwo", "DT|20260102": "valueDateTime 2026-01-02", "TM|101500": "valueTime 10:15:00",
		"TS|20260102101500-0500": "valueDateTime 2026-01-02T10:15:00-05:00",
		"CE|A^Alpha^LN^B^Beta^L": "valueCodeableConcept map[coding:[map[code:A display:Alpha system:http://loinc.org] map[code:B display:Beta system:urn:salus:feed:test:code-system:L]] text:Alpha]",
		"CWE|A^Alpha^LN":         "valueCodeableConcept map[coding:[map[code:A display:Alpha system:http://loinc.org]] text:Alpha]",
	} {
		r, e := do(t, head+"ORU^R01|M1|P|2.5.1"+pid+"\nOBR|1|P1|F1|C^P^LN\nOBX|1|"+strings.Replace(in, "|", "|X^X^LN||", 1)+"||||||F")
		o := e.of("Observation")[0]
		k, v, _ := strings.Cut(want, " ")
		if got := fmt.Sprint(o[k]); got != v {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		if s := invalid(t, r); s != nil {
			t.Errorf("%s: %v", in, s)
		}
	}
	r, e := do(t, head+"ORU^R01|M1|P|2.5.1"+pid+"\nOBR|1|P1|F1|C^P^LN\nOBX|1|NM|X^X^LN||1~2~3||||||F")
	if o := e.of("Observation")[0]; get(o, "component.2.valueQuantity.value") != "3" || get(o, "component.2.code.coding.0.code") != "X" || o["valueQuantity"] != nil {
		t.Errorf("repetitions: got %v", o)
	}
	if s := invalid(t, r); s != nil {
		t.Errorf("repetitions: %v", s)
	}
}

func TestTimesWithoutAZone(t *testing.T) {
	msg := head + "ORU^R01|M1|P|2.5.1" + pid + "\nOBR|1|P1|F1|C^P^LN|||202601021015|||||||||||||||20260102101500\nOBX|1|ST|X^X^LN||a||||||F"
	o := options()
	o.Zone = nil
	r, err := Map(parse(t, msg), o)
	if err != nil {
		t.Fatal(err)
	}
	d := resources(t, r).of("DiagnosticReport")[0]
	if get(d, "effectiveDateTime") != "2026-01-02" || d["issued"] != nil || paths(r) != "OBR[1]-7[1] OBR[1]-22[1]" {
		t.Errorf("got %v %v, unmapped %s", d["effectiveDateTime"], d["issued"], paths(r))
	}
	o.Zone, _ = time.LoadLocation("America/New_York")
	if o.Zone == nil {
		t.Skip("no time zones here")
	}
	if r, err = Map(parse(t, msg), o); err != nil {
		t.Fatal(err)
	}
	d = resources(t, r).of("DiagnosticReport")[0]
	if get(d, "effectiveDateTime") != "2026-01-02T10:15:00-05:00" || paths(r) != "" {
		t.Errorf("got %v, unmapped %s", d["effectiveDateTime"], paths(r))
	}
}

func TestCharacterSetOfMSH18(t *testing.T) {
	m := head + "ADT^A28|M1|P|2.5.1||||||8859/1\nPID|1||S^^^F||M\xfcller^J\xf6rg"
	if _, e := do(t, m); get(e.of("Patient")[0], "name.0.family") != "Müller" {
		t.Errorf("got %v", e.of("Patient")[0]["name"])
	}
	_, err := Map(parse(t, strings.Replace(m, "8859/1", "UNICODE UTF-8", 1)), options())
	if !errors.Is(err, &hl7.Error{Code: hl7.CodeCharset}) {
		t.Errorf("got %v, want %s", err, hl7.CodeCharset)
	}
}

func TestMergeAndItsUndo(t *testing.T) {
	r, e := do(t, head+"ADT^A40|M1|P|2.5.1"+pid+"\nMRG|SYN-2^^^FAC&1.2.3&ISO^MR")
	if want := (Merge{Survivor: Identifier{"urn:oid:1.2.3", "SYN-1"}, Replaced: Identifier{"urn:oid:1.2.3", "SYN-2"}}); r.Merge == nil || *r.Merge != want {
		t.Errorf("got %+v", r.Merge)
	}
	if len(e.of("Patient")) != 1 || paths(r) != "" {
		t.Errorf("got %d patients, unmapped %s", len(e.of("Patient")), paths(r))
	}
	r, e = do(t, head+"ADT^A37|M2|P|2.5.1"+pid+"\nPID|2||SYN-2^^^FAC&1.2.3&ISO^MR||Other^Bo")
	if r.Merge == nil || !r.Merge.Undo || r.Merge.Replaced.Value != "SYN-2" || len(e.of("Patient")) != 2 {
		t.Errorf("got %+v", r.Merge)
	}
	for _, bad := range []string{"", "\nMRG|", "\nMRG|SYN-1^^^FAC&1.2.3&ISO^MR"} {
		if r, err := Map(parse(t, head+"ADT^A40|M1|P|2.5.1"+pid+bad), options()); err == nil && r.Merge != nil {
			t.Errorf("merged by %q", bad)
		}
	}
}

func TestMapRefuses(t *testing.T) {
	for in, want := range map[string]error{
		head + "ADT^A01|M1|P|2.5.1" + pid + pid:              ErrPatients,
		head + "ADT^A01|M1|P|2.5.1\nPID|1||||Example":        &hl7.Error{Code: hl7.CodeRequired},
		head + "ADT^A01|M1|P|2.5.1":                          &hl7.Error{Code: hl7.CodeRequired},
		head + "ADT^A99|M1|P|2.5.1" + pid:                    &hl7.Error{Code: hl7.CodeEvent},
		head + "BAR^P01|M1|P|2.5.1" + pid:                    &hl7.Error{Code: hl7.CodeType},
		head + "ADT^A37|M1|P|2.5.1" + pid + pid:              &hl7.Error{Code: hl7.CodeValue},
		head + "ADT^A01||P|2.5.1" + pid:                      &hl7.Error{Code: hl7.CodeRequired},
		head + "ADT^A40|M1|P|2.5.1" + pid + "\nMRG|^^^F":     &hl7.Error{Code: hl7.CodeRequired},
		head + "ADT^A40|M1|P|2.5.1" + pid + "\nMRG|a\nMRG|b": ErrPatients,
	} {
		if _, err := Map(parse(t, in), options()); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if _, err := Map(parse(t, head+"ADT^A01|M1|P|2.5.1"+pid), Options{Base: "x"}); !errors.Is(err, ErrOptions) {
		t.Errorf("got %v", err)
	}
}

func TestOtherMessages(t *testing.T) {
	pdf := "\nTXA|1|DS^Summary|AP|20260102||20260102101500||||||DOC1^FAC|||||AU||AV\nOBX|1|ED|D^Letter^L||^application^pdf^Base64^JVBERi0=||||||F"
	_, e := do(t, head+"MDM^T02|M1|P|2.5.1"+pid+pdf)
	if d := e.of("DocumentReference")[0]; get(d, "content.0.attachment.contentType") != "application/pdf" || get(d, "content.0.attachment.data") != "JVBERi0=" || get(d, "docStatus") != "final" || get(d, "content.0.attachment.title") != "Letter" {
		t.Errorf("got %v", d)
	}
	if _, e = do(t, head+"MDM^T11|M1|P|2.5.1"+pid+pdf); get(e.of("DocumentReference")[0], "status") != "entered-in-error" {
		t.Error("a cancelled document is still current")
	}
	_, e = do(t, head+"VXU^V04|M1|P|2.5.1"+pid+"\nORC|RE||F4\nRXA|0|1|20260102||208^Vaccine^CVX|0.30|mL^mL^UCUM||||||||L1|20270101|PFR^Maker^MVX|||CP|A\nRXR|IM\nOBX|1|CE|64994-7^Eligibility^LN|1|V02||||||F")
	i := e.of("Immunization")[0]
	for path, want := range map[string]string{"status": "completed", "vaccineCode.coding.0.system": "http://hl7.org/fhir/sid/cvx", "doseQuantity.value": "0.30", "doseQuantity.code": "mL", "lotNumber": "L1", "expirationDate": "2027-01-01", "route.coding.0.code": "IM", "occurrenceDateTime": "2026-01-02"} {
		if got := get(i, path); got != want {
			t.Errorf("Immunization.%s: got %q, want %q", path, got, want)
		}
	}
	if get(e.of("Observation")[0], "partOf.0.reference") == "" {
		t.Error("the observation is not of the immunization")
	}
	for event, want := range map[string]string{"S12": "booked", "S13": "booked", "S14": "booked", "S15": "cancelled", "S17": "entered-in-error", "S26": "noshow"} {
		r, e := do(t, head+"SIU^"+event+"|M1|P|2.5.1\nSCH|A1|B1|||||CHECKUP||||^^30^20260102101500+0000^20260102104500+0000"+pid+"\nRGS|1\nAIP|1||D1^Sample^Dora\nAIL|1||W1^2^^FAC")
		a := e.of("Appointment")[0]
		if event != "S17" && get(a, "status") != want {
			t.Errorf("%s: got %v", event, a["status"])
		}
		if len(a["participant"].([]any)) != 3 || get(a, "start") != "2026-01-02T10:15:00Z" {
			t.Errorf("%s: got %v", event, a)
		}
		if s := invalid(t, r); s != nil {
			t.Errorf("%s: %v", event, s)
		}
	}
	_, e = do(t, head+"DFT^P03|M1|P|2.5.1"+pid+"||||||||||ACC-1\nFT1|1|T1||20260102|20260103|CG|CONS^Consultation|||2")
	if x := e.of("ChargeItem")[0]; get(x, "status") != "billable" || get(x, "quantity.value") != "2" || get(x, "account.0.reference") == "" || len(e.of("Account")) != 1 {
		t.Errorf("got %v", x)
	}
}

// What protects a document in v2 protects it here: a code of table 0272 that the labels of FHIR have is said in those.
func TestADocumentsConfidentialityIsALabel(t *testing.T) {
	for code, want := range map[string]string{
		"R": "v3-Confidentiality R", "V": "v3-Confidentiality V", "U": "v3-Confidentiality N", "LOCAL": "v2-0272 LOCAL",
	} {
		r, e := do(t, head+"MDM^T02|M1|P|2.5.1"+pid+"\nTXA|1|DS|TX|20260102||||||||D1^FAC||||||"+code)
		d := e.of("DocumentReference")[0]
		if got := strings.TrimPrefix(get(d, "securityLabel.0.coding.0.system"), tho) + " " + get(d, "securityLabel.0.coding.0.code"); got != want {
			t.Errorf("%s: got %s, want %s", code, got, want)
		}
		if s := invalid(t, r); s != nil {
			t.Errorf("%s: %v", code, s)
		}
	}
}

func TestOverlayKeepsWhatTheMessageDoesNotSay(t *testing.T) {
	got, err := Overlay([]byte(`{"resourceType":"Patient","id":"1","gender":"male","deceasedBoolean":false,"birthDate":"1980","identifier":[{"system":"a","value":"1"}],"maritalStatus":{"text":"x"}}`),
		[]byte(`{"resourceType":"Patient","gender":"female","deceasedDateTime":"2026","identifier":[{"system":"b","value":"2"}]}`), []string{"maritalStatus"})
	want := `{"birthDate":"1980","deceasedDateTime":"2026","gender":"female","id":"1","identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"}],"resourceType":"Patient"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s %v", got, err)
	}
	if _, err := Overlay([]byte(`{"resourceType":"Patient"}`), []byte(`{"resourceType":"Encounter"}`), nil); err == nil {
		t.Error("two types are overlaid")
	}
	if r, _ := do(t, head+"ADT^A31|M1|P|2.5.1"+pid+"||||||||\"\""); len(r.Entries[0].Nulls) != 1 || r.Entries[0].Nulls[0] != "maritalStatus" {
		t.Errorf("got %v", r.Entries[0].Nulls)
	}
	// PV1-8 "" must not take away the attender, whom PV1-7 would name.
	if r, _ := do(t, head+"ADT^A08|M1|P|2.5.1"+pid+"\nPV1|1|I||||||\"\"|||||||||||V-1"); paths(r) != "PV1[1]-8[1]" || len(r.Entries[1].Nulls) != 0 {
		t.Errorf("got %s, nulls %v", paths(r), r.Entries[1].Nulls)
	}
}

func TestRowsNameMapsThatExist(t *testing.T) {
	have := map[string]bool{}
	for k := range codeMaps() {
		name, _, _ := strings.Cut(k, "|")
		have[name] = true
	}
	for _, set := range rowSets() {
		for _, r := range set.rows {
			p := strings.Split(r.kind, ":")
			for i, k := range p[:len(p)-1] {
				if (k == "CWE" || k == "CODE" || k == "CODING" || k == "IDCC") && !have[p[i+1]] {
					t.Errorf("%s-%d: no map %s", set.segment, r.field, p[i+1])
				}
			}
		}
	}
}

func TestTheMessageItselfIsKept(t *testing.T) {
	o := options()
	raw := strings.ReplaceAll(head+"ADT^A01|7|P|2.5.1"+pid+"\nPV1|1|I|||||||||||||||||V-1^^^FAC\nZZZ|kept\n", "\n", "\r")
	o.Original, o.Restrict = []byte(raw), []Identifier{{tho + "v3-Confidentiality", "R"}}
	r, err := Map(parse(t, raw), o)
	if err != nil {
		t.Fatal(err)
	}
	if s := invalid(t, r); s != nil {
		t.Errorf("got %v", s)
	}
	docs := resources(t, r).of("DocumentReference")
	if len(docs) != 1 {
		t.Fatalf("got %d documents, want 1", len(docs))
	}
	data, err := base64.StdEncoding.DecodeString(get(docs[0], "content.0.attachment.data"))
	if err != nil || string(data) != raw {
		t.Errorf("got %q, %v", data, err)
	}
	if got := get(docs[0], "securityLabel.0.coding.0.code"); got != "R" {
		t.Errorf("got label %q", got)
	}
	p := resources(t, r).of("Provenance")[0]
	targets, _ := json.Marshal(p["target"])
	entities, _ := json.Marshal(p["entity"])
	var doc string
	var b struct {
		Entry []struct {
			FullURL  string
			Resource struct{ ResourceType string }
		}
	}
	if err := json.Unmarshal(r.Bundle, &b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Entry {
		if e.Resource.ResourceType == "DocumentReference" {
			doc = e.FullURL
		}
	}
	if doc == "" || bytes.Contains(targets, []byte(doc)) || !bytes.Contains(entities, []byte(doc)) {
		t.Errorf("the Provenance of %q has targets %s and entities %s", doc, targets, entities)
	}
	if Known("ADT", "A06") || Known("ADT", "") || !Known("VXU", "V04") {
		t.Error("what is mapped is not what is known")
	}
}

func TestAnIdentifierIsOneTokenWhateverItHolds(t *testing.T) {
	r, _ := do(t, head+"ADT^A01|1|P|2.5.1\nPID|1||S,1\\F\\2$\\E\\^^^FAC^MR||Example^Ann")
	q, err := url.QueryUnescape(strings.SplitN(string(r.Bundle), "Patient?identifier=", 2)[1])
	if err != nil || !strings.HasPrefix(q, `urn:salus:feed:test:authority:FAC|S\,1\|2\$\\"`) {
		t.Errorf("got %.60s, %v", q, err)
	}
}
