package fromfhir

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/hl7"
	"salus/hl7/hl7test"
	"salus/hl7/tofhir"
)

const base = "https://clinic.example/fhir"

func options() Options {
	return Options{Base: base, Application: "SALUS", Sender: "CLINIC", Receiver: "LAB", ReceiverAt: "LAB"}
}

func reading() tofhir.Options {
	return tofhir.Options{Base: "urn:salus:feed:test", Key: []byte("0123456789abcdef"), Zone: time.UTC, Recorded: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// A world is resources by their references.
type world map[string][]byte

func (w world) Read(_ context.Context, ref string) ([]byte, error) { return w[ref], nil }

// worldOf maps a message and gives each resource an id of its own.
func worldOf(t testing.TB, raw []byte) (world, []string, error) {
	t.Helper()
	m, err := hl7.Parse(raw)
	if err != nil {
		return nil, nil, err
	}
	r, err := tofhir.Map(m, reading())
	if err != nil {
		return nil, nil, err
	}
	var b struct {
		Entry []struct {
			FullURL  string
			Resource json.RawMessage
		}
	}
	if err := json.Unmarshal(r.Bundle, &b); err != nil {
		t.Fatal(err)
	}
	var pairs, refs []string
	for i, e := range b.Entry {
		ref := fmt.Sprintf("%s/r%d", r.Entries[i].Type, i)
		refs = append(refs, ref)
		pairs = append(pairs, `"`+e.FullURL+`"`, `"`+ref+`"`)
	}
	refer := strings.NewReplacer(pairs...)
	w := world{}
	for i, e := range b.Entry {
		o := decode([]byte(refer.Replace(string(e.Resource))))
		_, o["id"], _ = strings.Cut(refs[i], "/")
		if w[refs[i]], err = json.Marshal(o); err != nil {
			t.Fatal(err)
		}
	}
	return w, refs, nil
}

// whole is a resource with what it refers to, by paths, without what docs/fhir-to-hl7v2.md says that a message
// cannot show. What is referred to again is named by its place.
func (w world) whole(ref string) map[string]string {
	out, seen := map[string]string{}, map[string]string{}
	var walk func(path string, v any)
	resource := func(path, ref string) {
		seen[ref] = path
		o := decode(w[ref])
		delete(o, "id")
		ids := []any{}
		for _, i := range objects(o["identifier"]) {
			if s := str(i["system"]); !strings.HasSuffix(s, ":derived") && !strings.HasPrefix(s, base) {
				ids = append(ids, i)
			}
		}
		o["identifier"] = ids
		if m := obj(o["masterIdentifier"]); strings.HasPrefix(str(m["system"]), base) {
			delete(o, "masterIdentifier")
		}
		unshown(o)
		walk(path, o)
	}
	walk = func(path string, v any) {
		switch x := v.(type) {
		case object:
			for _, k := range slices.Sorted(maps.Keys(x)) {
				r, _ := x[k].(string)
				switch {
				case k != "reference" || w[r] == nil:
					walk(path+"."+k, x[k])
				case seen[r] != "":
					out[path] = "as " + seen[r]
				default:
					resource(path, r)
				}
			}
		case []any:
			for i, e := range x {
				walk(fmt.Sprintf("%s.%d", path, i), e)
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	resource(strings.ToLower(ref[:strings.IndexByte(ref, '/')]), ref)
	return out
}

// unshown takes away what the document lists.
func unshown(o object) {
	by := func(name string, key func(object) string) { // they come in the order of the fields
		slices.SortStableFunc(list(o[name]), func(a, b any) int { return strings.Compare(key(obj(a)), key(obj(b))) })
	}
	by("participant", func(p object) string { return str(first(first(p["type"])["coding"])["code"]) })
	by("telecom", func(p object) string { return str(p["value"]) })
	by("note", func(p object) string { return str(p["text"]) })
	l := slices.DeleteFunc(list(o["telecom"]), func(t any) bool { return str(obj(t)["system"]) == "other" })
	for _, t := range objects(l) {
		if t["use"] == nil {
			t["use"] = "home" // what PID-13 says of a number without a use
		}
	}
	if o["telecom"] != nil {
		o["telecom"] = l
	}
	for _, n := range objects(o["note"]) {
		n["text"] = strings.Join(strings.Fields(str(n["text"])), " ") // lines end in one way
	}
	for _, k := range []string{"code", "method"} { // text alone is a display
		if c := obj(o[k]); c != nil && c["coding"] == nil {
			c["coding"] = []any{object{"display": c["text"]}}
		}
	}
	if c := obj(o["code"]); c != nil && c["text"] == nil && str(first(c["coding"])["display"]) != "" {
		c["text"] = first(c["coding"])["display"]
	}
	switch str(o["resourceType"]) {
	case "Observation":
		delete(o, "specimen") // results stand before the specimens
		for _, c := range append(objects(o["component"]), o) {
			if v := str(c["valueString"]); v != "" {
				c["valueString"] = strings.Join(strings.Fields(v), " ")
			}
		}
	case "ServiceRequest":
		delete(o, "supportingInfo")
		if o["status"] == "unknown" { // HL7's table takes it of new orders alone
			delete(o, "authoredOn")
		}
	case "Specimen": // SPM-4 is required
		if o["type"] == nil {
			o["type"] = object{"coding": []any{object{"display": "unknown"}}, "text": "unknown"}
		}
	}
}

// focus is what each message is made of: its events, by the type of resource.
func focus(code, event string) string {
	switch code {
	case "ORU":
		return "DiagnosticReport"
	case "ORM", "OML":
		return "ServiceRequest"
	case "VXU":
		return "Immunization"
	case "MDM":
		return "DocumentReference"
	case "SIU":
		return "Appointment"
	case "DFT":
		return "ChargeItem"
	}
	if event == "A28" || event == "A31" {
		return "Patient"
	}
	return "Encounter"
}

// round makes of every resource that a message is about a message, and reads it again.
func round(t *testing.T, name string, raw []byte) (made int) {
	t.Helper()
	w, refs, err := worldOf(t, raw)
	if err != nil {
		return 0
	}
	in, _ := hl7.Parse(raw)
	code, event, _ := in.Type()
	if code == "ORU" {
		event = "R01"
	}
	if !Known(code + "^" + event) {
		return 0
	}
	kind := focus(code, event)
	for _, ref := range refs {
		if !strings.HasPrefix(ref, kind+"/") {
			continue
		}
		out, err := Map(t.Context(), Change{Resource: w[ref], Event: code + "^" + event, Control: "C1", First: true, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, w, options())
		if err != nil {
			t.Errorf("%s %s: %v", name, ref, err)
			continue
		}
		m, err := hl7.Parse(out)
		if err != nil || !bytes.Equal(m.Encode(), out) {
			t.Fatalf("%s: got a message that is read otherwise (%v): %q", name, err, out)
		}
		w2, refs2, err := worldOf(t, out)
		if err != nil {
			t.Errorf("%s %s: the message made is refused: %v\n%s", name, ref, err, lines(out))
			continue
		}
		at := slices.IndexFunc(refs2, func(r string) bool { return strings.HasPrefix(r, kind+"/") })
		if at < 0 {
			t.Errorf("%s: got no %s again", name, kind)
			continue
		}
		made++
		if d := differ(w.whole(ref), w2.whole(refs2[at])); len(d) > 0 {
			t.Errorf("%s %s (sent, again):\n%s", name, ref, strings.Join(d, "\n"))
		}
	}
	return made
}

func differ(a, b map[string]string) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if a[k] != b[k] {
			out = append(out, fmt.Sprintf("\t%s: %.80q, %.80q", k, a[k], b[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[k]; !ok {
			out = append(out, fmt.Sprintf("\t%s: nothing, %.80q", k, b[k]))
		}
	}
	return out
}

func lines(b []byte) string { return strings.ReplaceAll(string(b), "\r", "\n") }

func TestWhatComesInAndGoesOutIsTheSameAgain(t *testing.T) {
	files, err := filepath.Glob("../testdata/*.hl7")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n += round(t, filepath.Base(f), b)
	}
	if n < 7 {
		t.Errorf("got %d messages, want 7 or more", n)
	}
}

// Repetitions of OBX-5 are components of one Observation without a value, and go out as repetitions (N-03).
func TestRepeatedValuesGoOutAsRepetitions(t *testing.T) {
	sample, err := os.ReadFile("../testdata/oru_r01.hl7")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"|NM|2345-7^Glucose^LN||5.40~5.60~5.80|mmol/L^mmol/L^UCUM", "|CWE|2345-7^Glucose^LN||A^Alpha^L~B^Beta^L",
		"|SN|2345-7^Glucose^LN||<^1~^1^-^2|", "|DT|2345-7^Glucose^LN||20260102~20260103",
	} {
		raw := bytes.Replace(sample, []byte("|NM|2345-7^Glucose^LN|1|5.40|mmol/L^mmol/L^UCUM|4-6"), []byte(want+"|"), 1)
		if round(t, want, raw) != 1 {
			t.Errorf("%s: no message", want)
		}
		w, refs, err := worldOf(t, raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			if !strings.HasPrefix(ref, "DiagnosticReport/") {
				continue
			}
			out, err := Map(t.Context(), Change{Resource: w[ref], Event: "ORU^R01", Control: "C1", First: true, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, w, options())
			if value := strings.Split(want, "|")[4]; err != nil || !bytes.Contains(out, []byte("|"+value)) || bytes.Count(out, []byte("OBX|")) != 2 {
				t.Errorf("%s: got %v %s", want, err, lines(out))
			}
		}
	}
}

// TXA-18: the strictest label that table 0272 has goes out, and comes in as the same.
func TestConfidentialityGoesOutAndComesInAgain(t *testing.T) {
	v3 := func(code string) object { return object{"system": tho + "v3-Confidentiality", "code": code} }
	label := func(c ...any) []any { return []any{object{"coding": c}} }
	for _, c := range []struct {
		say       object
		out, back string
	}{
		{object{"securityLabel": label(v3("V"))}, "V", "V"},
		{object{"securityLabel": label(v3("R"))}, "R", "R"},
		{object{"securityLabel": label(v3("N"))}, "U", "N"},
		{object{"securityLabel": label(v3("V"), v3("N"))}, "V", "V"},
		{object{"securityLabel": label(v3("N")), "meta": object{"security": []any{v3("R")}}}, "R", "R"},
		{object{"securityLabel": label(object{"system": tho + "v2-0272", "code": "V"})}, "V", "V"},
		{object{"securityLabel": label(v3("U"), v3("L"), v3("M"))}, "", ""}, // table 0272 has none of these
		{object{}, "", ""},
	} {
		w := world{}
		w.put(t, "Patient/p", object{"identifier": []any{object{"system": "urn:oid:1.2.3", "value": "S1"}}})
		c.say["subject"], c.say["status"] = object{"reference": "Patient/p"}, "current"
		c.say["content"] = []any{object{"attachment": object{"contentType": "text/plain", "data": "YQ=="}}}
		out, err := Map(t.Context(), Change{Resource: w.put(t, "DocumentReference/d", c.say), Event: "MDM^T02", Control: "C", Time: recorded}, w, options())
		if err != nil {
			t.Fatal(err)
		}
		m, err := hl7.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Get("TXA-18").Plain(); got != c.out {
			t.Errorf("%v: got TXA-18 %q, want %q", c.say, got, c.out)
		}
		w, refs, err := worldOf(t, out)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			if !strings.HasPrefix(ref, "DocumentReference/") {
				continue
			}
			got := first(first(decode(w[ref])["securityLabel"])["coding"])
			if str(got["code"]) != c.back || c.back != "" && str(got["system"]) != tho+"v3-Confidentiality" {
				t.Errorf("%v: got %v again, want %q", c.say, got, c.back)
			}
		}
	}
}

const samples = "../../../shared/data/hl7v2"

func TestSamplesThatComeInAndGoOutAreTheSameAgain(t *testing.T) {
	n := 0
	for name, raw := range hl7test.Samples(t, samples) {
		n += round(t, name, raw)
	}
	t.Logf("%d messages made", n)
}
