package terminology

import (
	"fmt"
	"strings"
	"testing"

	"salus/fhir/terminology"
	"salus/gateway/rest"
	"salus/store"
)

// A code system of 10,000 concepts in the store, asked for as somebody types.
func BenchmarkExpandStored10k(b *testing.B) {
	st, err := store.OpenSQLite(b.Context(), b.TempDir()+"/store.db", [32]byte{1}, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	w := newWorldOn(b, st)
	var c strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&c, `,{"code":"C%d","display":"Concept number %d of kind %d"}`, i, i, i%100)
	}
	w.put(`{"resourceType":"CodeSystem","id":"large","url":"urn:large","status":"active","content":"complete","concept":[` + c.String()[1:] + `]}`)
	e := w.service.engine(&rest.Leave{Scopes: []store.Scope{store.Own}})
	v, err := terminology.ParseValueSet([]byte(`{"resourceType":"ValueSet","url":"urn:v","compose":{"include":[{"system":"urn:large"}]}}`))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := e.Expand(b.Context(), &terminology.Expand{Set: v, Filter: "number 77", Count: 20}); err != nil {
			b.Fatal(err)
		}
	}
}
