package fromfhir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// rich is a report, its result and its patient, each with what HL7 v2 has a place for and what it has none for.
func rich(t testing.TB) (world, Change) {
	w := world{}
	w.put(t, "Patient/p", object{
		"meta": object{"profile": []any{"http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"}}, "text": object{"status": "generated", "div": "<div>x</div>"},
		"identifier": []any{object{"system": "urn:oid:1.2.3", "value": "S1", "period": object{"start": "2020-01-01"}}}, "active": true,
		"name":      []any{object{"family": "Sample", "given": []any{"One"}}},
		"birthDate": "1970-01-01", "gender": "female", "multipleBirthInteger": json.Number("0"),
		"photo":     []any{object{"contentType": "image/png", "data": "YQ==", "title": "Portrait"}},
		"extension": []any{object{"url": "urn:example:eyes", "valueString": "brown"}},
	})
	w.put(t, "Observation/o", object{
		"status": "final", "code": object{"coding": []any{object{"system": "http://loinc.org", "code": "718-7", "display": "Haemoglobin"}}},
		"valueQuantity": object{"value": json.Number("13.10"), "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
		"device":        object{"display": "Analyser"}, "derivedFrom": []any{object{"reference": "Observation/none"}},
	})
	return w, Change{Event: "ORU^R01", Control: "C", Time: recorded, Resource: w.put(t, "DiagnosticReport/r", object{
		"status": "final", "code": object{"coding": []any{object{"system": "http://loinc.org", "code": "58410-2", "display": "Blood count"}}},
		"subject": object{"reference": "Patient/p", "display": "Sample One"}, "result": []any{object{"reference": "Observation/o"}},
		"media": []any{object{"comment": "a picture", "link": object{"reference": "Media/m"}}}, "conclusion": "Nothing to be seen.",
		"language": "en",
	})}
}

func TestWhatAMessageCannotSayIsListed(t *testing.T) {
	w, c := rich(t)
	got, more, err := Lost(t.Context(), c, w, options())
	if err != nil || more {
		t.Fatal(more, err)
	}
	want := []Missing{
		{"DiagnosticReport/r", "DiagnosticReport.language"},
		{"DiagnosticReport/r", "DiagnosticReport.media"},
		{"DiagnosticReport/r", "DiagnosticReport.subject.display"},
		{"Patient/p", "Patient.active"},
		{"Patient/p", "Patient.extension"},
		{"Patient/p", "Patient.photo"},
		{"Observation/o", "Observation.derivedFrom"},
		{"Observation/o", "Observation.device"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// The resources that were asked about are as they were.
	if after, _, err := Lost(t.Context(), c, w, options()); err != nil || !slices.Equal(after, got) {
		t.Errorf("got %v, %v the second time", after, err)
	}
}

// Each text is one of its own. What is not in the message must be listed, or decide something there, which a
// message shows in which the text is another; what is listed must not be in the message.
func TestNothingIsMissingThatIsNotListed(t *testing.T) {
	w, c := rich(t)
	marks := map[string]string{} // by place
	n := 0
	var mark func(path string, v any) any
	mark = func(path string, v any) any {
		switch x := v.(type) {
		case object:
			for _, k := range slices.Sorted(maps.Keys(x)) {
				switch k {
				case "resourceType", "id", "meta", "text", "reference", "status", "system", "birthDate", "start", "data", "gender", "language", "contentType", "url":
				default:
					x[k] = mark(path+"."+k, x[k])
				}
			}
		case []any:
			for i := range x {
				x[i] = mark(fmt.Sprintf("%s[%d]", path, i), x[i])
			}
		case string:
			n++
			marks[path] = fmt.Sprintf("Mark%03dx", n)
			return marks[path]
		}
		return v
	}
	for _, ref := range slices.Sorted(maps.Keys(w)) {
		typ, _, _ := strings.Cut(ref, "/")
		w.put(t, ref, mark(typ, decode(w[ref])).(object))
	}
	c.Resource = w["DiagnosticReport/r"]
	if n < 12 {
		t.Fatalf("got %d texts", n)
	}
	raw, err := Map(t.Context(), c, w, options())
	if err != nil {
		t.Fatal(err)
	}
	lost, _, err := Lost(t.Context(), c, w, options())
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range marks {
		listed := slices.ContainsFunc(lost, func(l Missing) bool {
			return path == l.Path || strings.HasPrefix(path, l.Path+".") || strings.HasPrefix(path, l.Path+"[")
		})
		if there := strings.Contains(string(raw), text); there == listed {
			t.Errorf("%s: in the message %t, listed %t", path, there, listed)
		}
	}
}

func TestLostRefusesWhatMapRefuses(t *testing.T) {
	w, c := rich(t)
	secret := errors.New("label")
	for _, x := range []struct {
		change func(*Change)
		src    Source
		want   error
	}{
		{func(c *Change) { c.Event = "ADT^A01" }, w, ErrEvent},
		{func(c *Change) { c.Resource = []byte(`[]`) }, w, ErrJSON},
		{func(c *Change) { c.Encounter = []byte(`1`) }, w, ErrJSON},
		{func(*Change) {}, world{}, ErrPatient},
		{func(*Change) {}, refuse{secret}, secret},
	} {
		c := c
		x.change(&c)
		if l, _, err := Lost(t.Context(), c, x.src, options()); !errors.Is(err, x.want) || l != nil {
			t.Errorf("got %v, %v, want %v", l, err, x.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Lost(ctx, c, w, options()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type refuse struct{ err error }

func (r refuse) Read(context.Context, string) ([]byte, error) { return nil, r.err }

func TestLostEndsAtItsBound(t *testing.T) {
	w, c := rich(t)
	p := &counted{world: w}
	some, more, err := lost(t.Context(), c, p, options(), 24)
	if err != nil || !more {
		t.Fatalf("got %d, more %t, %v", len(some), more, err)
	}
	all, more, err := Lost(t.Context(), c, w, options())
	if err != nil || more || len(some) == 0 || len(some) >= len(all) || !slices.Equal(some, all[:len(some)]) {
		t.Errorf("got %v of %v, more %t, %v", some, all, more, err)
	}
	if p.n > 10 { // what is tried asks for nothing again
		t.Errorf("the source was asked %d times", p.n)
	}
}

type counted struct {
	world
	n int
}

func (c *counted) Read(ctx context.Context, ref string) ([]byte, error) {
	c.n++
	return c.world.Read(ctx, ref)
}

func FuzzLost(f *testing.F) {
	w, c := rich(f)
	for _, b := range w {
		f.Add(b)
	}
	f.Add([]byte(`{"resourceType":"DiagnosticReport","id":"r","contained":[{"resourceType":"Patient","id":"p","name":[{"family":null}]}],"subject":{"reference":"#p"},"result":[[]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4<<10 {
			return
		}
		c.Resource = b
		l, more, err := Lost(t.Context(), c, w, options())
		if err != nil && (l != nil || more) {
			t.Errorf("got %v with %v", l, err)
		}
		for i, x := range l {
			if slices.Contains(l[:i], x) {
				t.Errorf("got %v twice", x)
			}
		}
	})
}
