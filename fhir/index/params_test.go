package index

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/search"
)

func TestParamsAreThoseThatCanBeSearchedBy(t *testing.T) {
	x := fast()
	var _ search.Params = x
	var _ search.Localizer = x
	var _ search.Measurer = x
	for _, tt := range []struct {
		typ, code string
		kind      search.Kind // 0: there is none
	}{
		{"Patient", "name", search.String},
		{"Patient", "_id", search.Token},
		{"Patient", "_lastUpdated", search.Date},
		{"Patient", "_profile", search.URI},
		{"Observation", "code-value-quantity", search.Composite},
		{"Observation", "code-value-string", search.Composite},
		{"Observation", "date", search.Date},
		{"Resource", "_tag", search.Token},
		{"Resource", "name", 0},
		{"DomainResource", "_id", 0},
		{"Nothing", "_id", 0},
		{"", "_id", 0},
		{"Location", "near", search.Spot},
		{"Patient", "_filter", search.Special},
		{"Patient", "_text", 0},
		{"Patient", "_content", 0},
		{"Patient", "_query", 0},
		{"Patient", "_list", 0},
	} {
		p, ok := x.Param(tt.typ, tt.code)
		if ok != (tt.kind > 0) || ok && p.Kind != tt.kind {
			t.Errorf("%s.%s: got %v %v, want %v", tt.typ, tt.code, p, ok, tt.kind)
		}
	}
	for _, typ := range []string{"Resource", "DomainResource", "HumanName", "Element", "string", ""} {
		if x.Known(typ) {
			t.Errorf("%s: no resource has this type", typ)
		}
	}
	for _, typ := range append(definition.R4().Types(), "Resource") {
		var codes []string
		for _, p := range x.List(typ) {
			codes = append(codes, p.Code)
			if q, ok := x.Param(typ, p.Code); !ok || q != p {
				t.Errorf("%s.%s is listed and not known", typ, p.Code)
			}
			if p.Kind == search.Special || p.Expression == "" || p.Kind == search.Reference && len(p.Targets) == 0 || (p.Kind == search.Composite) != (len(p.Components) > 1) {
				t.Errorf("%s.%s: got %+v", typ, p.Code, p)
			}
		}
		if !slices.IsSorted(codes) || len(slices.Compact(codes)) != len(x.List(typ)) {
			t.Errorf("%s: not sorted, or one code twice: %v", typ, codes)
		}
	}
}

// TestWhatIsNotOfferedIsRefused by HTTP, so that nobody takes an answer that ignores it.
func TestWhatIsNotOfferedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.put(fixtures(t))
	for query, code := range map[string]string{
		"Location?near=42.2": search.CodeValue, "Location?near:not=1|2": search.CodeModifier,
		"Patient?_filter=name+is+x": search.CodeFilter, "Patient?_filter=name+gt+x": search.CodeOperator, "Patient?_filter=subject.near+eq+1": search.CodeUnknownParam, "Patient?_text=x": search.CodeNotSupported, "Patient?_content=x": search.CodeNotSupported,
		"Patient?_query=x":   search.CodeNotSupported,
		"Patient?nonsense=x": search.CodeUnknownParam, "Location?_sort=near": search.CodeSort, "Observation?_sort=code-value-quantity": search.CodeSort,
		"Patient?general-practitioner.near=1": search.CodeChain, "Observation?code-value-quantity=x": search.CodeValue,
		"Patient?name:ucum=1": search.CodeModifier, "Observation?value-quantity:ucum=1": search.CodeModifier,
	} {
		status, body := w.get(query)
		if status != http.StatusBadRequest || !strings.Contains(body, `"`+code+`"`) {
			t.Errorf("%s: got %d %s, want %s", query, status, body, code)
		}
	}
}

// get is one answer as it comes.
func (w *world) get(query string) (int, string) {
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/fhir/"+query, nil))
	return rec.Code, rec.Body.String()
}

// TestSearchesByEveryForm asks by HTTP in forms that the entries do not show by themselves.
func TestSearchesByEveryForm(t *testing.T) {
	w := newWorld(t)
	for _, x := range fixtures(t) {
		w.put1(string(x.Raw()))
	}
	w.put1(`{"resourceType":"Location","id":"l2","position":{"latitude":-17.000,"longitude":-179.99}}`)
	w.put1(`{"resourceType":"Location","id":"l3","partOf":{"reference":"Location/l1"},"position":{"latitude":-170,"longitude":0}}`) // nowhere
	const ucumIn = "|http://unitsofmeasure.org|"
	for query, want := range map[string]string{
		// A reference in all its forms; a foreign one is not ours.
		"Observation?subject=Patient/p1": "Observation/o1", "Observation?subject=p1": "Observation/o1", "Observation?patient=p1": "Observation/o1",
		"Observation?subject:Patient=p1": "Observation/o1", "Observation?subject=http://example.org/fhir/Patient/p1": "Observation/o1",
		"Observation?subject=http://example.org/fhir/Patient/p1/_history/7": "Observation/o1", "Observation?subject=https://elsewhere.example/Patient/p1": "",
		"Observation?subject:Group=g1": "Observation/o2", "Observation?patient=g1": "",
		"Patient?general-practitioner=d2": "Patient/p1", "Patient?general-practitioner=d3": "", "Patient?general-practitioner=https://elsewhere.example/Practitioner/d3": "Patient/p1",
		"Patient?general-practitioner=c1": "", "Patient?general-practitioner=%23c1": "400", "Patient?general-practitioner:identifier=http://example.org/npi|77": "Patient/p1",
		"DocumentReference?subject:missing=true": "", "DocumentReference?patient:identifier=12345": "DocumentReference/d1",
		"QuestionnaireResponse?subject:missing=false": "QuestionnaireResponse/q1",
		// Units: what is the same in UCUM, and what is not.
		"Condition?abatement-age=ge3000" + ucumIn + "mg&abatement-age=le0.007" + ucumIn + "kg": "Condition/c1", "Condition?abatement-age=gt8000" + ucumIn + "mg": "",
		"Condition?onset-age=35" + ucumIn + "d": "Condition/c1", "Condition?onset-age=5" + ucumIn + "wk": "Condition/c1", "Condition?onset-age=5" + ucumIn + "d": "", "Condition?onset-age=ne35" + ucumIn + "d": "",
		"Condition?onset-age=5||weeks": "Condition/c1", "Condition?onset-age=5": "Condition/c1", "Condition?onset-age=35": "", "Condition?onset-age=gt100": "",
		"Condition?onset-age=5" + ucumIn + "cm": "", "Condition?onset-age=5" + ucumIn + "unheard,5" + ucumIn + "wk": "Condition/c1",
		"Observation?component-value-quantity=16" + ucumIn + "kPa": "Observation/o1", "Observation?component-value-quantity=gt17" + ucumIn + "kPa": "", // 120 mm[Hg] are 15.999 kPa
		"Invoice?totalnet=12.50|urn:iso:std:iso:4217|EUR": "Invoice/i1", "Invoice?totalnet=12.50|urn:iso:std:iso:4217|USD": "", "Invoice?totalnet=12.5||EUR": "Invoice/i1",
		// Parts of one value only.
		"Observation?component-code-value-quantity=8480-6$120": "Observation/o1", "Observation?component-code-value-quantity=8480-6$80": "", "Observation?component-code-value-quantity=8462-4$80": "Observation/o1",
		"Observation?combo-code-value-quantity=85354-9$gt1000": "Observation/o1", "Observation?code-value-date=11778-8$2020-08-01": "Observation/o2",
		// What other parameters find together.
		"Observation?combo-code=85354-9": "Observation/o1", "Observation?combo-code=8480-6": "Observation/o1", "Observation?combo-code=http://loinc.org|11778-8": "Observation/o2", "Observation?combo-code=99999-9": "",
		"Observation?combo-code:missing=true": "", "Observation?combo-code:not=8480-6": "Observation/o2", "Observation?combo-value-quantity=16" + ucumIn + "kPa": "Observation/o1", "Observation?combo-value-quantity=lt1": "",
		"Observation?combo-code-value-quantity=8480-6$120": "Observation/o1", "Observation?combo-code-value-quantity=8480-6$80": "", "Observation?combo-code-value-quantity=8462-4$gt1000": "",
		"Patient?_has:Observation:patient:combo-code=8480-6": "Patient/p1", "Patient?_has:Observation:patient:combo-code=11778-8": "", "Observation?_filter=combo-code+eq+8480-6+and+not+(combo-code+eq+11778-8)": "Observation/o1",
		"Patient?phonetic=unal": "Patient/p1", "Patient?phonetic:exact=unal": "", "Observation?_sort=combo-value-quantity&combo-value-quantity:missing=false": "Observation/o1",
		"DocumentReference?relationship=replaces$DocumentReference/d0": "DocumentReference/d1", "DocumentReference?relationship=appends$DocumentReference/d0": "",
		"MolecularSequence?chromosome-variant-coordinate=1$150$155": "MolecularSequence/m1", "MolecularSequence?chromosome-variant-coordinate=1$110$155": "",
		"Measure?context-type-quantity=age$ge12" + ucumIn + "a": "Measure/me1", "Measure?context-type-quantity=focus$ge12": "", "Measure?context-type-value=focus$http://snomed.info/sct|2": "Measure/me1",
		"Group?characteristic-value=sex$true": "Group/g1", "Group?characteristic-value=kind$true": "",
		// Dates.
		"Observation?date=2020-01": "", "Observation?date=ge2020-03": "Observation/o1", "Observation?date=le2020-02": "Observation/o2 Observation/o1", "Patient?birthdate=1970-02": "Patient/p1", "Patient?birthdate=1970-02-14": "", "Patient?birthdate=1970": "Patient/p1", "Patient?birthdate=ap1970-02-14": "Patient/p1",
		"Patient?death-date=2020-02-29T22:00:00Z": "", "Patient?death-date=2020-02-29T21:59:59Z": "Patient/p1", "Observation?value-date=sa2020-07-31": "Observation/o2",
		// Texts, tokens, numbers, URIs.
		"Patient?name=ünal": "Patient/p1", "Patient?name=UNAL": "Patient/p1", "Patient?name:exact=Ünal": "Patient/p1", "Patient?name:exact=unal": "", "Patient?name=contained": "",
		"Patient?address=SAMPLETOWN": "Patient/p1", "Patient?address-city=sample": "Patient/p1", "Patient?deceased=true": "Patient/p1", "Patient?active:not=true": "",
		"Patient?gender=female": "Patient/p1", "Patient?gender=http://hl7.org/fhir/administrative-gender|female": "Patient/p1", "Patient?gender=http://example.org|female": "",
		"Patient?identifier=|no-system": "Patient/p1", "Patient?identifier=|12345": "", "Patient?identifier=http://example.org/only-system|": "Patient/p1", "Patient?identifier:text=record": "Patient/p1",
		"Patient?email=sample@example.org": "Patient/p1", "Patient?phone=sample@example.org": "", "Patient?telecom=%2B1+555+0100": "Patient/p1",
		"Condition?code:missing=false": "Condition/c1", "Condition?code:text=nothing": "Condition/c1", "Condition?evidence:missing=true": "Condition/c1",
		"RiskAssessment?probability=0.25": "RiskAssessment/r1", "RiskAssessment?probability=gt0.69": "RiskAssessment/r1", "RiskAssessment?probability=gt0.71": "",
		"Patient?_profile=http://example.org/StructureDefinition/plain": "Patient/p1", "Patient?_profile=http://example.org/StructureDefinition/plain|1.2": "Patient/p1", "Patient?_profile=http://example.org/StructureDefinition/plain|2": "",
		"Patient?_tag=http://example.org/tags|t1": "Patient/p1", "Patient?_security=R": "Patient/p1", "Patient?_source=urn:example:feed": "Patient/p1", "Patient?_id=p1": "Patient/p1", "Patient?_lastUpdated=gt2020": "Patient/p1",
		"?_type=Patient,Observation&_tag=t1": "Patient/p1", "Measure?depends-on=http://example.org/Library/l": "Measure/me1", "Measure?successor=Measure/me2": "Measure/me1",
		"Measure?successor=http://example.org/fhir/Measure/me2": "Measure/me1", "Bundle?composition=Composition/k1": "Bundle/b1", "Bundle?message:missing=true": "Bundle/b1",
		"QuestionnaireResponse?item-subject=Patient/p5": "QuestionnaireResponse/q1", "Observation?gene-identifier=http://www.genenames.org|HGNC:1": "Observation/o1",
		// Places: two kilometres apart, across the date line.
		"Location?near=-17|179.999|10|km": "Location/l1 Location/l2", "Location?near=-17|179.999|1|km": "Location/l1", "Location?near=-17|-179.99|0.5": "Location/l2", "Location?near=-17|-179.99|1.9|km": "Location/l2",
		"Location?near=-17|-179.99|3|km": "Location/l1 Location/l2", "Location?near=17|-179.99|3|km": "", "Location?near=17|179,-17|179.99|10|m": "Location/l1", "Location?near=0|0|21000": "Location/l1 Location/l2",
		"Location?near:missing=true": "Location/l3", "Location?near:missing=false&near=-17|179.999|1|km": "Location/l1", "Location?partof.near=-17|179.99|1|km": "Location/l3",
		// Filters.
		`Patient?_filter=name+eq+%22sample-Test%22+and+not+(gender+eq+male)`: "Patient/p1", `Patient?_filter=name+eq+samp`: "", `Patient?_filter=name+sw+SAMP`: "Patient/p1", `Patient?_filter=name+ew+TEST`: "Patient/p1",
		`Patient?_filter=gender+ne+male+and+(name+co+x+or+address-city+co+town)`: "Patient/p1", `Patient?_filter=general-practitioner+re+Practitioner/d2`: "Patient/p1", `Patient?_filter=gender+pr+false`: "",
		`Observation?_filter=subject.family+sw+sample+and+component-value-quantity+ge+15` + ucumIn + "kPa": "Observation/o1", `Observation?_filter=date+po+2020-03+or+code+eq+11778-8`: "Observation/o2 Observation/o1",
		`Location?_filter=partof.name+pr+true`: "Location/l3", `Condition?_filter=onset-age+eq+35` + ucumIn + "d": "Condition/c1",
		// The other end.
		"Observation?subject:Patient.family=sample": "Observation/o1", "Observation?patient.gender=male": "", "Patient?_has:Observation:patient:component-code=8480-6": "Patient/p1", "Patient?_has:Observation:patient:status=amended": "",
		"Group?_has:Observation:subject:code=11778-8": "Group/g1", "Patient?link.name=x": "",
	} {
		query = strings.ReplaceAll(query, "[", "%5B")
		status, got, _ := w.find(query)
		switch {
		case want == "400":
			if status != http.StatusBadRequest {
				t.Errorf("%s: got %d %v", query, status, got)
			}
		case status != http.StatusOK || strings.Join(got, " ") != want:
			t.Errorf("%s: got %d %v, want %q", query, status, got, want)
		}
	}
}

// TestFurtherPackagesAddParameters: US Core's race is in an extension within an extension, its
// asserted-date is written in a way that FHIRPath does not know.
func TestFurtherPackagesAddParameters(t *testing.T) {
	f, err := os.Open(filepath.Join(shared, "fhir-packages", "us_core_610.tgz"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the package of US Core is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	set, err := definition.R4().Add(f)
	if err != nil {
		t.Fatal(err)
	}
	x, err := With(definition.R4(), set.Further())
	if err != nil {
		t.Fatal(err)
	}
	if s := x.Skipped(); len(s) > 0 {
		t.Errorf("got %v skipped, want none", s)
	}
	for _, tt := range []struct{ body, want string }{
		{`{"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}}]}]}`, "race=2106-3"},
		{`{"resourceType":"Condition","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/condition-assertedDate","valueDateTime":"2020-05-05"}]}`, "asserted-date=2020-05-05..2020-05-05T23:59:59.999"},
	} {
		r, err := fhir.Parse([]byte(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := x.Entries(r)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range entries {
			got = append(got, show(&entries[i]))
		}
		if !slices.Contains(got, tt.want) {
			t.Errorf("got %v, want %s", got, tt.want)
		}
	}
	// Of the published examples, both ways.
	slow, err := build(definition.R4(), set.Further(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, e := range packaged(t) {
		if !slices.Contains([]string{"Patient", "Condition", "Goal", "CareTeam", "Encounter"}, e.Type()) {
			continue
		}
		of := func(x *Index) map[string]bool {
			entries, err := x.Entries(e.Resource)
			if err != nil {
				t.Fatal(e.name, err)
			}
			return setOf(slices.DeleteFunc(entries, func(e2 search.Entry) bool {
				p, _ := x.Param(e.Type(), e2.Code)
				found[e2.Code] = found[e2.Code] || p.Definition != ""
				return p.Definition == ""
			}))
		}
		if a, b := of(x), of(slow); !maps.Equal(a, b) {
			t.Errorf("%s: got %v and evaluated %v", e.name, a, b)
		}
	}
	for _, code := range []string{"race", "ethnicity", "discharge-disposition", "role"} {
		if !found[code] {
			t.Errorf("no example has %s", code)
		}
	}
}

func TestEntriesAreTheSameFromManyGoroutines(t *testing.T) {
	x, err := New(definition.R4(), base)
	if err != nil {
		t.Fatal(err)
	}
	all := fixtures(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for _, r := range all {
					e, err := x.Entries(r.Resource)
					if err != nil || len(e) == 0 {
						t.Errorf("%s: %v", r.name, err)
					}
					x.Owner(r.Resource)
				}
			}
		})
	}
	wg.Wait()
}

// TestUnitsThatSendersInventAreForgotten: what is remembered of units is bounded.
func TestUnitsThatSendersInventAreForgotten(t *testing.T) {
	x, err := New(definition.R4())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxUnits {
		if u := x.unit("{" + time.Unix(int64(i), 0).UTC().Format("150405") + "}"); !u.known || u.factor != 1 {
			t.Fatalf("got %+v", u)
		}
	}
	n := 0
	x.units.Range(func(any, any) bool { n++; return true })
	if n > maxUnits+16 {
		t.Errorf("got %d units remembered, want at most %d", n, maxUnits)
	}
}
