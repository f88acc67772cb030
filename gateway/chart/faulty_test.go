package chart

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/gateway/rest"
	"salus/gateway/summary"
	"salus/internal/sample"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
	"salus/store/storetest"
)

// wrong are values that stand where another should.
var wrong = []string{`null`, `true`, `0`, `-1e400`, `""`, `"\u0000"`, `"2026-13-45"`, `"Patient/x"`, `"#"`, `"urn:uuid:x"`, `[]`, `{}`, `[null]`, `[[{}]]`, `{"reference":1}`, `{"coding":{"code":[]}}`, `[{"url":"x","extension":{}}]`}

// spoil replaces one of the values of a resource, but not its type.
func spoil(rnd *rand.Rand, v any) any {
	switch x := v.(type) {
	case map[string]any:
		keys := slices.Sorted(func(yield func(string) bool) {
			for k := range x {
				if k != "resourceType" && !yield(k) {
					return
				}
			}
		})
		if len(keys) == 0 {
			break
		}
		k := keys[rnd.IntN(len(keys))]
		if x[k] = spoil(rnd, x[k]); rnd.IntN(8) == 0 {
			x["_"+k] = json.RawMessage(wrong[rnd.IntN(len(wrong))])
		}
		return x
	case []any:
		if len(x) == 0 || rnd.IntN(4) == 0 {
			break
		}
		i := rnd.IntN(len(x))
		x[i] = spoil(rnd, x[i])
		return x
	}
	return json.RawMessage(wrong[rnd.IntN(len(wrong))])
}

// another is the guard of somebody who sees another member's records.
type another struct{ scope store.Scope }

// Admit implements rest.Guard.
func (a another) Admit(*http.Request) (*rest.Leave, error) {
	return &rest.Leave{Scopes: []store.Scope{store.Own, a.scope}, Client: "app"}, nil
}

// Another member seals what nobody has checked. Whatever it is, it ends no answer: neither its own nor that of the
// resources beside it. In XML, which cannot say all that JSON can, the answer is 406.
func TestWhatAnotherMemberSealsEndsNoAnswer(t *testing.T) {
	x, err := index.New(definition.R4(), "http://example.org/fhir")
	if err != nil {
		t.Fatal(err)
	}
	var whole []any
	for line := range bytes.Lines(sample.NDJSON(7, 120)) {
		var r any
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		whole = append(whole, r)
	}
	st := storetest.Open(t, store.Options{})
	s := &Service{Config: Config{Index: x, Store: st}}
	c := &chart{ref: "Patient/me", scope: st.NewScope(), state: map[store.Key]standing{}}
	rnd := rand.New(rand.NewPCG(1, 2))
	types := map[string]string{}
	put := func(body []byte) {
		a, ok := s.arrive(c, &record.Opened{Body: body, Located: record.Located{Author: tx.Account{1}, Time: 1_700_000_000}}, false)
		if !ok {
			return
		}
		if err := st.Write(context.Background(), func(t *store.Tx) error { return c.write(t, &a) }); err != nil {
			t.Fatalf("it is not stored: %v\n%s", err, body)
		}
		types[a.put.Type] = a.put.ID
	}
	for i := range 1500 {
		b, err := json.Marshal(whole[i%len(whole)])
		if err != nil {
			t.Fatal(err)
		}
		var r map[string]any
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		r["id"] = fmt.Sprint("r", i)
		for range 1 + rnd.IntN(3) {
			spoil(rnd, r)
		}
		if b, err = json.Marshal(r); err != nil {
			continue // a number that Go does not write
		}
		put(b)
	}
	if len(types) < 8 {
		t.Fatalf("got resources of %d types", len(types))
	}
	put([]byte(`{"resourceType":"Observation","id":"sound","status":"final","code":{"text":"Sound"},"subject":{"reference":"Patient/me"}}`))

	known := []string{"Patient"}
	for typ := range types {
		known = append(known, typ)
	}
	slices.Sort(known)
	var log bytes.Buffer
	h := rest.InXML(definition.R4().Model(), 1<<24, rest.New(rest.Config{
		Store: st, Params: x, Types: slices.Compact(known), Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: another{c.scope}, Base: "http://example.org/fhir", Prefix: "/fhir",
		Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)), Operations: slices.Concat(summary.Operations(summary.Config{Author: "Salus"}), []rest.Operation{rest.Everything(), rest.LastN()}),
	}))
	get := func(path, accept string) (int, []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/fhir/"+path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s: got %d: %s", path, w.Code, log.String())
			log.Reset()
		}
		return w.Code, w.Body.Bytes()
	}
	if err := st.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Put(store.Put{Key: store.Key{Type: "Patient", ID: "me"}, Body: []byte(`{"resourceType":"Patient","id":"me"}`), Owner: c.ref, Expect: store.Any})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"Patient/me/$everything?_count=1000", "Patient/me/$summary", "Observation/$lastn?patient=Patient/me", "Observation?patient=Patient/me&_count=1000&_sort=-date"} {
		if code, b := get(path, "application/fhir+json"); code != http.StatusOK || path[0] == 'O' && path[11] != '/' && !bytes.Contains(b, []byte("Sound")) || !json.Valid(b) {
			t.Errorf("%s: got %d", path, code)
		}
	}
	for typ, id := range types {
		for _, path := range []string{
			typ + "/" + id, typ + "/" + id + "/_history", typ + "?_count=1000", typ + "?_summary=true&_count=1000", typ + "?_elements=code&_count=1000", typ + "?_include=*&_revinclude=Provenance:*&_count=1000", typ + "?_summary=count",
			typ + "?_sort=_lastUpdated,_id", typ + "?_filter=_id%20pr%20true",
		} {
			for _, accept := range []string{"application/fhir+json", "application/fhir+xml"} {
				get(path, accept)
			}
		}
	}
}
