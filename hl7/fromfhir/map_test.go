package fromfhir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/hl7"
)

var recorded = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (w world) put(t testing.TB, ref string, o object) []byte {
	t.Helper()
	o["resourceType"], o["id"], _ = strings.Cut(ref, "/")
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	w[ref] = b
	return b
}

// text is a person and a result whose every text is s.
func said(t testing.TB, s string) (world, []byte) {
	w := world{}
	w.put(t, "Patient/p", object{
		"identifier": []any{object{"system": "urn:oid:1.2.3", "value": s}}, "name": []any{object{"family": s, "given": []any{s, s}, "prefix": []any{s}, "suffix": []any{s}}},
		"address": []any{object{"line": []any{s, s}, "city": s, "country": s}}, "telecom": []any{object{"system": "phone", "value": s, "use": "home"}, object{"system": "email", "value": s}},
		"maritalStatus": object{"text": s},
	})
	w.put(t, "Practitioner/d", object{"identifier": []any{object{"system": s, "value": s}}, "name": []any{object{"family": s}}})
	w.put(t, "Location/l", object{"name": s, "description": s})
	w.put(t, "Encounter/e", object{
		"class": object{"system": tho + "v3-ActCode", "code": "IMP"}, "status": "in-progress", "subject": object{"reference": "Patient/p"}, "location": []any{object{"status": "active", "location": object{"reference": "Location/l"}}},
		"participant": []any{object{"type": []any{object{"coding": []any{object{"system": tho + "v3-ParticipationType", "code": "ATND"}}}}, "individual": object{"reference": "Practitioner/d"}}},
	})
	w.put(t, "Observation/o", object{
		"code": object{"coding": []any{object{"system": s, "code": s, "display": s, "version": s}}, "text": s + "."}, "status": "final", "valueString": s, "note": []any{object{"text": s}},
		"referenceRange": []any{object{"text": s}}, "interpretation": []any{object{"text": s}},
	})
	w.put(t, "Observation/q", object{"code": object{"text": s}, "status": "final", "valueQuantity": object{"value": json.Number("5.40"), "unit": s, "code": s, "system": s}})
	return w, w.put(t, "DiagnosticReport/r", object{
		"code": object{"text": s}, "status": "final", "subject": object{"reference": "Patient/p"}, "encounter": object{"reference": "Encounter/e"}, "conclusion": s,
		"result": []any{object{"reference": "Observation/o"}, object{"reference": "Observation/q"}}, "identifier": []any{object{"value": s, "system": s}},
	})
}

// shape is a message without its text.
func shape(t testing.TB, raw []byte) string {
	t.Helper()
	m, err := hl7.Parse(raw)
	if err != nil {
		t.Fatalf("got what is no message: %v: %q", err, raw)
	}
	var b strings.Builder
	for i := range m.Len() {
		s := m.At(i)
		fmt.Fprintf(&b, "%s:%d", s.Name(), s.Fields())
		for f := 1; f <= s.Fields(); f++ {
			v := s.Field(f)
			fmt.Fprintf(&b, " %d/%d", v.Repetitions(), v.Components())
			if v.Null() {
				b.WriteString("null")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestTextNeverLeavesItsField(t *testing.T) {
	make := func(s string) []byte {
		w, r := said(t, s)
		out, err := Map(t.Context(), Change{Resource: r, Event: "ORU^R01", Control: "C", Time: recorded}, w, options())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := shape(t, make("x"))
	for _, s := range []string{
		"a|b", "a^b~c&d", `\`, `\F\`, `\.br\`, `\X0D\PID|1`, "x\rPID|1||EVIL", "x\nOBX|9|ST|EVIL", "x\r\nMSH|^~\\&|EVIL", "x\x0b\x1c\ry", `""`, `"`, "x\u2028y", "x\u0085y", "Ä漢😀", "x\x7f\x00y", "|MSH|", "x\ufffdy",
	} {
		raw := make(s)
		if got := shape(t, raw); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", s, got, want)
		}
		if bytes.ContainsAny(raw, "\n\x0b\x1c\x00") || bytes.Count(raw, []byte("MSH|^~")) != 1 {
			t.Errorf("%q: got a message that a receiver may cut: %q", s, raw)
		}
	}
}

func TestAnyTextIsReadAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("ab \\|^~&\"\n\tFSTREXH.br0D漢é"))).Draw(t, "text")
		m, err := hl7.Parse([]byte(`MSH|^~\&|||||||ADT^A01|1|P|2.5.1||||||UNICODE UTF-8` + "\rPID|||x|||||||" + escape(s) + "\r"))
		if err != nil {
			t.Fatal(err)
		}
		f := m.Segment("PID").Field(10)
		got, err := f.Text()
		if err != nil || got != s || f.Repetitions() > 1 || f.Components() > 1 || f.Null() {
			t.Fatalf("got %q %v, want %q", got, err, s)
		}
	})
}

func TestDecimalsKeepTheirDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?`).Draw(t, "decimal")
		if got := number(json.Number(s)); got != s {
			t.Fatalf("got %s, want %s", got, s)
		}
	})
	for in, want := range map[string]string{"5.40": "5.40", "1e3": "1000", "1.50E1": "15.0", "2.5e-3": "0.0025", "-0.10e2": "-10", "1e99": "", "x": "", "01": ""} {
		if got := number(json.Number(in)); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestTimesKeepPrecisionAndOffset(t *testing.T) {
	for in, want := range map[string]string{
		"2026": "2026", "2026-03": "202603", "2026-03-04": "20260304", "2026-03-04T05:06:07Z": "20260304050607+0000", "2026-03-04T05:06:07.1234567-05:30": "20260304050607.1234-0530",
		"2026-13-01": "", "2026-03-04T25:00:00Z": "", "yesterday": "", "2026-03-04T05:06": "", "2026|03": "",
	} {
		if got := when(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestValuesHaveTheirTypes(t *testing.T) {
	w := world{}
	w.put(t, "Patient/p", object{})
	for _, c := range []struct {
		name  string
		value any
		want  string // OBX-2, 5, 6
	}{
		{"valueQuantity", object{"value": json.Number("5.40"), "unit": "mmol/L", "code": "mmol/L", "system": "http://unitsofmeasure.org"}, "NM|5.40|mmol/L^mmol/L^UCUM"},
		{"valueQuantity", object{"value": json.Number("0.5"), "comparator": "<", "unit": "mg"}, "SN|<^0.5|mg"},
		{"valueQuantity", object{"value": json.Number("5"), "comparator": "ad"}, "ST|ad5|"},
		{"valueCodeableConcept", object{"coding": []any{object{"system": "http://loinc.org", "code": "1-8", "display": "A"}}}, "CWE|1-8^A^LN|"},
		{"valueString", "line", "ST|line|"},
		{"valueString", "a\nb", `TX|a\.br\b|`},
		{"valueBoolean", true, "CWE|Y^Yes^HL70136|"},
		{"valueInteger", json.Number("7"), "NM|7|"},
		{"valueRange", object{"low": object{"value": json.Number("1.0"), "unit": "g"}, "high": object{"value": json.Number("2.0"), "unit": "g"}}, "SN|^1.0^-^2.0|g"},
		{"valueRange", object{"low": object{"value": json.Number("1"), "unit": "g"}}, "SN|>=^1|g"},
		{"valueRatio", object{"numerator": object{"value": json.Number("1")}, "denominator": object{"value": json.Number("128")}}, "SN|^1^:^128|"},
		{"valueRatio", object{"numerator": object{"value": json.Number("1"), "unit": "mg"}, "denominator": object{"value": json.Number("5"), "unit": "mL"}}, "ST|1 mg / 5 mL|"},
		{"valueDateTime", "2026-01-02", "DT|20260102|"},
		{"valueDateTime", "2026-01-02T03:04:05+01:00", "TS|20260102030405+0100|"},
		{"valueTime", "03:04:05", "TM|030405|"},
		{"valuePeriod", object{"start": "2026-01-02", "end": "2026-01-03"}, "DR|20260102^20260103|"},
	} {
		w.put(t, "Observation/o", object{"code": object{"text": "x"}, "status": "final", c.name: c.value})
		r := w.put(t, "DiagnosticReport/r", object{"code": object{"text": "x"}, "status": "final", "subject": object{"reference": "Patient/p"}, "result": []any{object{"reference": "Observation/o"}}})
		out, err := Map(t.Context(), Change{Resource: r, Event: "ORU^R01", Control: "C", Time: recorded}, w, options())
		if err != nil {
			t.Fatal(err)
		}
		m, err := hl7.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		x := m.Segment("OBX")
		if got := fmt.Sprintf("%s|%s|%s", x.Field(2).Raw(), x.Field(5).Raw(), x.Field(6).Raw()); got != c.want {
			t.Errorf("%s %v: got %s, want %s", c.name, c.value, got, c.want)
		}
	}
}

func TestEqualNumbersOfTwoSendersStayTwo(t *testing.T) {
	w := world{}
	var ids []string
	for _, feed := range []string{"adt", "lab"} {
		b := w.put(t, "Patient/p", object{"identifier": []any{object{"system": "urn:salus:feed:" + feed + ":authority:HOSP", "value": "1", "assigner": object{"display": "HOSP"}}}})
		out, err := Map(t.Context(), Change{Resource: b, Event: "ADT^A28", Control: "C", Time: recorded}, w, options())
		if err != nil {
			t.Fatal(err)
		}
		m, _ := hl7.Parse(out)
		ids = append(ids, string(m.Segment("PID").Field(3).Raw()))
	}
	if ids[0] == ids[1] || !strings.HasPrefix(ids[0], "1^^^HOSP&urn:salus:feed:adt:") {
		t.Errorf("got %q", ids)
	}
	o := options()
	o.Authorities = map[string]string{"MRN": "urn:salus:feed:adt:authority:HOSP"}
	out, err := Map(t.Context(), Change{Resource: w.put(t, "Patient/p", object{"identifier": []any{object{"system": "urn:salus:feed:adt:authority:HOSP", "value": "1"}, object{"system": "urn:salus:feed:adt:derived", "value": "secret"}}}), Event: "ADT^A28", Control: "C", Time: recorded}, w, o)
	if err != nil || !bytes.Contains(out, []byte("|1^^^MRN|")) || bytes.Contains(out, []byte("secret")) {
		t.Errorf("got %q %v, want the configured name and no derived identifier", out, err)
	}
}

func TestMergesNameSurvivorAndReplaced(t *testing.T) {
	w := world{}
	w.put(t, "Patient/a", object{"identifier": []any{object{"system": "urn:oid:1.2", "value": "A"}}})
	b := w.put(t, "Patient/b", object{"identifier": []any{object{"system": "urn:oid:1.2", "value": "B"}}, "link": []any{object{"type": "replaced-by", "other": object{"reference": "Patient/a"}}}})
	out, err := Map(t.Context(), Change{Resource: b, Event: "ADT^A40", Control: "C", Time: recorded}, w, options())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := hl7.Parse(out)
	if m.Get("PID-3.1").Plain() != "A" || m.Get("MRG-1.1").Plain() != "B" {
		t.Errorf("got %q", out)
	}
	if _, err := Map(t.Context(), Change{Resource: b, Event: "ADT^A37", Control: "C", Time: recorded}, w, options()); !errors.Is(err, ErrPatient) {
		t.Errorf("an unlink without the other: got %v", err)
	}
	out, err = Map(t.Context(), Change{Resource: b, Event: "ADT^A37", Control: "C", Time: recorded, Other: w["Patient/a"]}, w, options())
	m, _ = hl7.Parse(out)
	if err != nil || len(m.Segments("PID")) != 2 || m.Get("PID-3.1").Plain() != "A" {
		t.Errorf("got %q %v", out, err)
	}
}

func TestAChangeCallsForItsMessages(t *testing.T) {
	visit := func(status, class string) object {
		return object{"resourceType": "Encounter", "status": status, "class": object{"code": class}}
	}
	meeting := func(status, start string) object {
		return object{"resourceType": "Appointment", "status": status, "start": start}
	}
	patient := func(o object) object { o["resourceType"] = "Patient"; return o }
	linked := patient(object{"link": []any{object{"type": "replaced-by", "other": object{"reference": "Patient/a"}}}})
	for _, c := range []struct {
		now, was object
		want     string
	}{
		{visit("in-progress", "IMP"), nil, "ADT^A01"},
		{visit("arrived", "AMB"), nil, "ADT^A04"},
		{visit("planned", "IMP"), nil, "ADT^A05"},
		{visit("in-progress", "IMP"), visit("planned", "IMP"), "ADT^A01"},
		{visit("onleave", "IMP"), visit("in-progress", "IMP"), "ADT^A08"},
		{visit("finished", "IMP"), visit("in-progress", "IMP"), "ADT^A03"},
		{visit("finished", "AMB"), nil, "ADT^A04 ADT^A03"},
		{visit("in-progress", "IMP"), visit("finished", "IMP"), "ADT^A13"},
		{visit("cancelled", "IMP"), visit("in-progress", "IMP"), "ADT^A11"},
		{visit("cancelled", "IMP"), nil, ""},
		{visit("unknown", "IMP"), nil, ""},
		{patient(object{}), nil, "ADT^A28"},
		{patient(object{"gender": "female"}), patient(object{}), "ADT^A31"},
		{patient(object{"meta": object{"versionId": "2"}}), patient(object{"meta": object{"versionId": "1"}}), ""},
		{linked, patient(object{}), "ADT^A40"},
		{patient(object{}), linked, "ADT^A37"},
		{patient(object{"link": []any{object{"type": "replaces"}}}), patient(object{}), ""},
		{object{"resourceType": "ServiceRequest", "status": "active", "intent": "order"}, nil, "OML^O21 ORM^O01"},
		{object{"resourceType": "ServiceRequest", "status": "draft", "intent": "order"}, nil, ""},
		{object{"resourceType": "ServiceRequest", "status": "active", "intent": "proposal"}, nil, ""},
		{object{"resourceType": "ServiceRequest", "status": "active", "intent": "order", "doNotPerform": true}, nil, ""},
		{meeting("proposed", ""), nil, ""},
		{meeting("booked", "a"), nil, "SIU^S12"},
		{meeting("booked", "b"), meeting("booked", "a"), "SIU^S13"},
		{meeting("arrived", "a"), meeting("booked", "a"), "SIU^S14"},
		{meeting("cancelled", "a"), meeting("booked", "a"), "SIU^S15"},
		{meeting("cancelled", "a"), nil, ""},
		{object{"resourceType": "DocumentReference", "status": "current"}, nil, "MDM^T02"},
		{object{"resourceType": "DocumentReference", "status": "current", "content": []any{object{"attachment": object{"contentType": "application/hl7-v2"}}}}, nil, ""},
		{object{"resourceType": "Claim", "status": "draft", "use": "claim"}, nil, ""},
		{object{"resourceType": "Claim", "status": "active", "use": "claim"}, nil, "DFT^P03"},
		{object{"resourceType": "Observation", "status": "final"}, nil, ""},
		{object{"resourceType": "Consent"}, nil, ""},
	} {
		now, _ := json.Marshal(c.now)
		var was []byte
		if c.was != nil {
			was, _ = json.Marshal(c.was)
		}
		if got := strings.Join(EventsOf(now, was), " "); got != c.want {
			t.Errorf("%s after %s: got %q, want %q", now, was, got, c.want)
		}
		for _, e := range EventsOf(now, was) {
			if !slices.Contains(Events(), e) {
				t.Errorf("%s is not among Events", e)
			}
		}
	}
}

// A keeper refuses one reference.
type keeper struct {
	world
	kept string
}

var errKept = errors.New("may not be told")

func (k keeper) Read(ctx context.Context, ref string) ([]byte, error) {
	if ref == k.kept {
		return nil, errKept
	}
	return k.world.Read(ctx, ref)
}

func TestWhatMayNotBeToldEndsTheMessage(t *testing.T) {
	w, r := said(t, "x")
	for _, ref := range []string{"Patient/p", "Encounter/e", "Observation/q", "Practitioner/d", "Location/l"} {
		out, err := Map(t.Context(), Change{Resource: r, Event: "ORU^R01", Control: "C", Time: recorded}, keeper{w, ref}, options())
		if !errors.Is(err, errKept) || out != nil {
			t.Errorf("%s: got %q %v, want nothing", ref, out, err)
		}
	}
}

func TestWrongInputIsRefused(t *testing.T) {
	for _, c := range []struct {
		event, body string
		want        error
	}{
		{"ORU^R01", "{", ErrJSON},
		{"ORU^R01", "[]", ErrJSON},
		{"ORU^R01", `{} {}`, ErrJSON},
		{"ORU^R02", `{"resourceType":"DiagnosticReport"}`, ErrEvent},
		{"ADT^A01", `{"resourceType":"DiagnosticReport"}`, ErrEvent},
		{"ADT^A01", `{"resourceType":"Patient"}`, ErrEvent},
		{"ORU^R01", `{"resourceType":"DiagnosticReport"}`, ErrPatient},
		{"ORU^R01", `{"resourceType":"DiagnosticReport","subject":{"reference":"Patient/gone"}}`, ErrPatient},
		{"ORU^R01", `{"resourceType":"DiagnosticReport","subject":{"reference":"https://elsewhere.example/fhir/Patient/1"}}`, ErrPatient},
		{"ORU^R01", `{"resourceType":"DiagnosticReport","subject":"Patient/1"}`, ErrPatient},
		{"SIU^S12", `{"resourceType":"Appointment"}`, ErrPatient},
	} {
		if _, err := Map(t.Context(), Change{Resource: []byte(c.body), Event: c.event, Control: "C", Time: recorded}, world{}, options()); !errors.Is(err, c.want) {
			t.Errorf("%s %s: got %v, want %v", c.event, c.body, err, c.want)
		}
	}
}

// FuzzMap: whatever JSON a resource and what it refers to are, nothing panics, and what is made is one message that
// is read as it was written.
func FuzzMap(f *testing.F) {
	w, r := said(f, "x|^~\\&\r\n")
	for _, e := range Events() {
		for _, b := range w {
			f.Add(b, r, e)
		}
		f.Add(r, w["Patient/p"], e)
	}
	f.Add([]byte(`{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}},7,null,{"actor":[]}],"start":1}`), []byte(`{"resourceType":"Patient","name":{},"identifier":[[]]}`), "SIU^S12")
	f.Fuzz(func(t *testing.T, resource, other []byte, event string) {
		EventsOf(resource, other)
		Unlinked(resource, other)
		out, err := Map(t.Context(), Change{Resource: resource, Event: event, Control: "C1", Time: recorded, Encounter: other, Other: other}, all(other), options())
		if err != nil {
			return
		}
		m, err := hl7.Parse(out)
		if err != nil || !bytes.Equal(m.Encode(), out) || m.ControlID() != "C1" || len(m.Segments("MSH")) != 1 || !m.Segment("PID").Exists() {
			t.Fatalf("got %q %v", out, err)
		}
		if !bytes.HasSuffix(out, []byte("\r")) || bytes.ContainsAny(out, "\n\x0b\x1c\x00") {
			t.Fatalf("got a message that a receiver may cut: %q", out)
		}
	})
}

// all is one resource, whatever is asked for.
type all []byte

func (a all) Read(context.Context, string) ([]byte, error) { return a, nil }
