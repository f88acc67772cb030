package index

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A doc is a resource as encoding/json reads it: what the answers are computed from here shares
// nothing with the room.
type doc map[string]any

// at follows names through objects and all elements of arrays.
func at(v any, path ...string) (out []any) {
	if list, ok := v.([]any); ok {
		for _, x := range list {
			out = append(out, at(x, path...)...)
		}
		return out
	}
	if len(path) == 0 {
		return []any{v}
	}
	var next any
	switch o := v.(type) {
	case doc:
		next = o[path[0]]
	case map[string]any:
		next = o[path[0]]
	}
	if next == nil {
		return nil
	}
	return at(next, path[1:]...)
}

func texts(v any, path ...string) (out []string) {
	for _, x := range at(v, path...) {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func has(v any, want string, path ...string) bool { return slices.Contains(texts(v, path...), want) }

func num(v any, path ...string) (float64, bool) {
	for _, x := range at(v, path...) {
		if f, ok := x.(float64); ok {
			return f, true
		}
	}
	return 0, false
}

func (d doc) name() string {
	typ, _ := d["resourceType"].(string)
	id, _ := d["id"].(string)
	return typ + "/" + id
}

// A ward is Synthea's data as docs.
type ward []doc

func (w ward) where(typ string, f func(d doc) bool) (out []string) {
	for _, d := range w {
		if d["resourceType"] == typ && f(d) {
			out = append(out, d.name())
		}
	}
	slices.Sort(out)
	return out
}

func (w ward) get(name string) doc {
	for _, d := range w {
		if d.name() == name {
			return d
		}
	}
	return nil
}

// any reports whether some resource of a type satisfies f.
func (w ward) any(typ string, f func(d doc) bool) bool { return len(w.where(typ, f)) > 0 }

// most returns the codes that resources of a type have most often.
func (w ward) most(typ string, n int, path ...string) []string {
	count := map[string]int{}
	for _, d := range w {
		if d["resourceType"] == typ {
			for _, s := range texts(d, path...) {
				count[s]++
			}
		}
	}
	var all []string
	for s := range count {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	return all[:min(n, len(all))]
}

// when is the point of a dateTime.
func when(t testing.TB, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAnswersOnSyntheaAreThoseOfBruteForce(t *testing.T) {
	all := synthea(t, 8)
	w := newWorld(t)
	w.put(all)
	var data ward
	for _, x := range all {
		var d doc
		if err := json.Unmarshal(x.Raw(), &d); err != nil {
			t.Fatal(err)
		}
		data = append(data, d)
	}
	n, empty := 0, 0
	ask := func(query string, want []string) {
		t.Helper()
		n++
		if len(want) == 0 {
			empty++
		}
		status, got, _ := w.find(query)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); status != http.StatusOK || diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", query, status, diff)
		}
	}
	loinc := url.QueryEscape("http://loinc.org|")
	patients := data.where("Patient", func(doc) bool { return true })

	codes := data.most("Observation", 12, "code", "coding", "code")
	for _, c := range codes {
		coded := func(d doc) bool { return has(d, c, "code", "coding", "code") }
		ask("Observation?code="+loinc+c, data.where("Observation", coded))
		ask("Observation?code="+url.QueryEscape("http://snomed.info/sct|")+c, nil)
		ask("Patient?_has:Observation:patient:code="+c, data.where("Patient", func(p doc) bool {
			return data.any("Observation", func(o doc) bool { return coded(o) && has(o, p.name(), "subject", "reference") })
		}))
		for _, limit := range []string{"50", "100", "130"} {
			over := func(d doc) bool {
				v, ok := num(d, "valueQuantity", "value")
				return ok && coded(d) && v > map[string]float64{"50": 50, "100": 100, "130": 130}[limit]
			}
			ask("Observation?code-value-quantity="+loinc+c+"$gt"+limit, data.where("Observation", over))
			ask("Patient?_has:Observation:subject:code-value-quantity="+c+"$gt"+limit, data.where("Patient", func(p doc) bool {
				return data.any("Observation", func(o doc) bool { return over(o) && has(o, p.name(), "subject", "reference") })
			}))
		}
	}
	// The parts of a composite must hold of the same component.
	for _, c := range data.most("Observation", 4, "component", "code", "coding", "code") {
		for _, limit := range []struct {
			s string
			f float64
		}{{"75", 75}, {"90", 90}, {"120", 120}, {"135", 135}} {
			ask("Observation?component-code-value-quantity="+loinc+c+"$lt"+limit.s+"|http://unitsofmeasure.org|mm[Hg]", data.where("Observation", func(d doc) bool {
				return slices.ContainsFunc(at(d["component"]), func(k any) bool {
					v, ok := num(k, "valueQuantity", "value")
					return ok && v < limit.f && has(k, c, "code", "coding", "code") && has(k, "mm[Hg]", "valueQuantity", "code")
				})
			}))
		}
	}
	// Chains.
	for _, name := range patients {
		p := data.get(name)
		family := texts(p, "name", "family")[0]
		of := func(d doc) bool {
			for _, ref := range append(texts(d, "subject", "reference"), texts(d, "patient", "reference")...) {
				if has(data.get(ref), family, "name", "family") {
					return true
				}
			}
			return false
		}
		ask("Condition?subject:Patient.family="+url.QueryEscape(family), data.where("Condition", of))
		ask("Immunization?patient.name="+url.QueryEscape(strings.ToUpper(family)), data.where("Immunization", of))
		ask("Claim?encounter.subject:Patient.family="+url.QueryEscape(family), data.where("Claim", func(d doc) bool {
			return slices.ContainsFunc(texts(d, "item", "encounter", "reference"), func(r string) bool { return of(data.get(r)) })
		}))
		ask("Observation?patient.birthdate=ge"+texts(p, "birthDate")[0], data.where("Observation", func(d doc) bool {
			for _, ref := range texts(d, "subject", "reference") {
				if b := texts(data.get(ref), "birthDate"); len(b) > 0 && b[0] >= texts(p, "birthDate")[0] {
					return true
				}
			}
			return false
		}))
	}
	// Dates.
	for _, y := range []string{"2009", "2012", "2015"} {
		from, to := when(t, y+"-01-01T00:00:00Z"), when(t, y+"-12-31T23:59:59Z").Add(time.Second)
		ask("Observation?date="+y, data.where("Observation", func(d doc) bool {
			s := texts(d, "effectiveDateTime")
			return len(s) > 0 && !when(t, s[0]).Before(from) && when(t, s[0]).Before(to)
		}))
		ask("Encounter?date=ge"+y, data.where("Encounter", func(d doc) bool {
			return !when(t, texts(d, "period", "end")[0]).Before(from) // starts in it, or ends after
		}))
		ask("Encounter?date=sa"+y, data.where("Encounter", func(d doc) bool { return !when(t, texts(d, "period", "start")[0]).Before(to) }))
	}
	// Units of one kind.
	height := func(d doc) bool {
		v, ok := num(d, "valueQuantity", "value")
		return ok && v > 150 && has(d, "cm", "valueQuantity", "code")
	}
	ask("Observation?value-quantity=gt1.5|http://unitsofmeasure.org|m", data.where("Observation", height))
	ask("Observation?value-quantity=gt150|http://unitsofmeasure.org|cm", data.where("Observation", height))
	ask("Observation?value-quantity=gt150||cm", data.where("Observation", height))
	// Several conditions, negation, texts.
	ask("Encounter?class=AMB&status=finished", data.where("Encounter", func(d doc) bool { return has(d, "AMB", "class", "code") && d["status"] == "finished" }))
	ask("Patient?gender:not=female", data.where("Patient", func(d doc) bool { return d["gender"] != "female" }))
	ask("Patient?deceased=true", data.where("Patient", func(d doc) bool { return d["deceasedDateTime"] != nil || d["deceasedBoolean"] == true }))
	ask("Condition?code:text=viral", data.where("Condition", func(d doc) bool {
		return slices.ContainsFunc(append(texts(d, "code", "text"), texts(d, "code", "coding", "display")...), func(s string) bool { return strings.HasPrefix(strings.ToLower(s), "viral") })
	}))
	ask("Condition?abatement-date:missing=true", data.where("Condition", func(d doc) bool { return d["abatementDateTime"] == nil }))
	ask("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|"+texts(data.get(patients[0]), "id")[0], data.where("Patient", func(d doc) bool {
		return slices.ContainsFunc(at(d["identifier"]), func(i any) bool {
			return has(i, "MR", "type", "coding", "code") && has(i, "http://terminology.hl7.org/CodeSystem/v2-0203", "type", "coding", "system") && has(i, texts(data.get(patients[0]), "id")[0], "value")
		})
	}))
	sorted := func(query string, keys func(d doc) string, down bool) {
		t.Helper()
		_, got, _ := w.find(query)
		if len(got) < 10 {
			t.Errorf("%s: only %d matches", query, len(got))
		}
		var have []string
		for _, name := range got {
			have = append(have, keys(data.get(name)))
		}
		want := slices.Clone(have)
		slices.Sort(want)
		if down {
			slices.Reverse(want)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	instantOf := func(path ...string) func(doc) string {
		return func(d doc) string { return when(t, texts(d, path...)[0]).UTC().Format(time.RFC3339Nano) }
	}
	sorted("Observation?code="+codes[0]+"&_sort=date&_count=1000", instantOf("effectiveDateTime"), false)
	sorted("Observation?code="+codes[1]+"&_sort=-date&_count=7", instantOf("effectiveDateTime"), true)
	sorted("Encounter?_sort=-date", instantOf("period", "start"), true)
	sorted("Observation?code="+codes[0]+"&_sort=value-quantity", func(d doc) string {
		v, _ := num(d, "valueQuantity", "value")
		return fmt.Sprintf("%020.9f", v)
	}, false)
	if empty*2 > n {
		t.Errorf("%d of %d questions have no answer", empty, n)
	}
	t.Logf("%d resources, %d questions, %d without an answer", len(all), n, empty)
	includes(t, w, data, codes)
}

// includes asks for what matches refer to, and what refers to them.
func includes(t *testing.T, w *world, data ward, codes []string) {
	refs := func(names []string, path ...string) (out []string) {
		for _, n := range names {
			out = append(out, texts(data.get(n), path...)...)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	ask := func(query string, want []string) {
		t.Helper()
		_, matches, got := w.find(query)
		if len(matches) == 0 {
			t.Errorf("%s: no match", query)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for _, c := range codes[:4] {
		list := data.where("Observation", func(d doc) bool { return has(d, c, "code", "coding", "code") })
		ask("Observation?_count=1000&code="+c+"&_include=Observation:encounter", refs(list, "encounter", "reference"))
		both := append(refs(list, "encounter", "reference"), refs(list, "subject", "reference")...)
		slices.Sort(both)
		ask("Observation?_count=1000&code="+c+"&_include=Observation:encounter&_include=Observation:patient", both)
	}
	for _, c := range data.most("Condition", 4, "code", "coding", "code") {
		list := data.where("Condition", func(d doc) bool { return has(d, c, "code", "coding", "code") })
		encounters := refs(list, "encounter", "reference")
		more := refs(encounters, "participant", "individual", "reference")
		more = append(more, refs(encounters, "subject", "reference")...)
		more = append(more, encounters...)
		more = append(more, refs(encounters, "serviceProvider", "reference")...)
		slices.Sort(more)
		more = slices.DeleteFunc(slices.Compact(more), func(n string) bool { return data.get(n) == nil })
		ask("Condition?_count=1000&code="+c+"&_include=Condition:encounter&_include:iterate=Encounter:participant&_include:iterate=Encounter:patient&_include:iterate=Encounter:service-provider", more)
		back := data.where("Condition", func(d doc) bool {
			return slices.ContainsFunc(texts(d, "encounter", "reference"), func(r string) bool { return slices.Contains(encounters, r) })
		})
		ask("Encounter?_count=1000&_has:Condition:encounter:code="+c+"&_revinclude=Condition:encounter", back)
	}
}
