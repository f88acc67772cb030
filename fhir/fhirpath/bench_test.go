package fhirpath_test

import (
	"fmt"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

const observation = `{"resourceType":"Observation","id":"example","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]},"subject":{"reference":"Patient/example"},"encounter":{"reference":"Encounter/example"},"effectiveDateTime":"2016-03-28","valueQuantity":{"value":185.0,"unit":"lbs","system":"http://unitsofmeasure.org","code":"[lb_av]"}}`

const patient = `{"resourceType":"Patient","id":"example","identifier":[{"system":"urn:oid:1.2","value":"1"}],"active":true,"name":[{"use":"official","family":"Sample","given":["Ada","B"]}],"telecom":[{"system":"phone","value":"555-0100","use":"work"}],"gender":"female","birthDate":"1970-01-01","address":[{"city":"Sampletown","country":"XX"}],"managingOrganization":{"reference":"Organization/1"}}`

func root(tb testing.TB, src string) element.Element {
	tree, err := element.Parse([]byte(src))
	if err != nil {
		tb.Fatal(err)
	}
	return definition.R4().Model().Root(tree)
}

func Example() {
	engine := fhirpath.New(definition.R4())
	x, err := engine.Compile("name.where(use = 'official').given.first() & ' ' & name.family.first()")
	if err != nil {
		fmt.Println(err)
		return
	}
	tree, err := element.Parse([]byte(patient))
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := x.Eval(definition.R4().Model().Root(tree), nil)
	fmt.Println(out[0].String(), err)
	// Output: Ada Sample <nil>
}

func BenchmarkPath(b *testing.B) {
	e := fhirpath.New(definition.R4())
	for _, text := range []string{"Patient.birthDate", "Patient.name.given", "Patient.name.where(use='official').family", "Patient.name.exists()"} {
		x, err := e.Compile(text)
		if err != nil {
			b.Fatal(err)
		}
		r := root(b, patient)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			var out []fhirpath.Value
			for b.Loop() {
				if out, err = x.Append(out[:0], r, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSearch extracts all search parameters of a resource; one operation is all of them.
func BenchmarkSearch(b *testing.B) {
	defs := definition.R4()
	e := fhirpath.New(defs)
	for typ, src := range map[string]string{"Observation": observation, "Patient": patient} {
		var all []*fhirpath.Expression
		for _, p := range defs.Params(typ) {
			if p.Expression != "" {
				x, err := e.CompileFor(typ, p.Expression, fhirpath.Lenient)
				if err != nil {
					b.Fatal(err)
				}
				all = append(all, x)
			}
		}
		r := root(b, src)
		b.Run(typ, func(b *testing.B) {
			b.ReportAllocs()
			env := &fhirpath.Env{ByType: true}
			var out []fhirpath.Value
			for b.Loop() {
				out = out[:0]
				for _, x := range all {
					var err error
					if out, err = x.Append(out, r, env); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(len(all)), "params")
		})
	}
}

func BenchmarkParseAndModel(b *testing.B) {
	src := []byte(observation)
	m := definition.R4().Model()
	b.ReportAllocs()
	for b.Loop() {
		t, err := element.Parse(src)
		if err != nil {
			b.Fatal(err)
		}
		if m.Root(t).IsZero() {
			b.Fatal("no root")
		}
	}
}
