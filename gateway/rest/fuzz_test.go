package rest

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"salus/fhir"
)

// FuzzSplice: a resource with the server's id and meta is the resource that was sent, but for
// those, and putting them in again changes nothing.
func FuzzSplice(f *testing.F) {
	for _, s := range []string{
		smith, `{"resourceType":"Patient"}`, `{"meta":{},"resourceType":"Patient"}`, `{"id":"a","resourceType":"Patient","meta":{"versionId":"7","profile":["x"]}}`,
		` { "id" : "a" , "meta" : { "lastUpdated" : "x" , "tag" : [ ] } , "resourceType" : "Patient" } `, `{"resourceType":"Patient","m\u0065ta":{"a":"\"}"},"b":[{},[],"]"]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := fhir.Parse(b); err != nil {
			return
		}
		var meta struct{ Meta json.RawMessage }
		if json.Unmarshal(b, &meta) != nil || len(meta.Meta) > 0 && meta.Meta[0] != '{' {
			return // a validator's business
		}
		got := splice(b, "new-id", "3", "2024-01-01T00:00:00.000Z")
		r, err := fhir.Parse(got)
		if err != nil || r.ID() != "new-id" {
			t.Fatalf("%s became %s: %v", b, got, err)
		}
		if again := splice(got, "new-id", "3", "2024-01-01T00:00:00.000Z"); !bytes.Equal(again, got) {
			t.Fatalf("twice: %s", again)
		}
		clean := func(b []byte) map[string]any {
			var m map[string]any
			d := json.NewDecoder(bytes.NewReader(b))
			d.UseNumber()
			if err := d.Decode(&m); err != nil {
				t.Fatal(err)
			}
			delete(m, "id")
			if x, ok := m["meta"].(map[string]any); ok {
				for _, name := range []string{"versionId", "lastUpdated", "_versionId", "_lastUpdated"} {
					delete(x, name)
				}
				if len(x) == 0 {
					delete(m, "meta")
				}
			}
			return m
		}
		if !reflect.DeepEqual(clean(b), clean(got)) {
			t.Fatalf("%s became %s", b, got)
		}
	})
}

// FuzzRequest: whatever is sent, the server answers, below 500, with FHIR JSON if with anything.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	for _, s := range [][4]string{
		{"GET", "/Patient?family=x&_sort=-family", "", ""},
		{"POST", "/Patient", smith, "If-None-Exist: identifier=1"},
		{"PUT", "/Patient/a", `{"resourceType":"Patient","id":"a"}`, `If-Match: W/"1"`},
		{"PATCH", "/Patient/a", `[{"op":"add","path":"/x","value":1}]`, "Content-Type: application/json-patch+json"},
		{"DELETE", "/Patient?identifier=s|1", "", ""},
		{"POST", "/", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}`, ""},
		{"POST", "/Patient", `{"resourceType":"Patient","meta":null}`, ""},
		{"GET", "/Patient/a/_history/1", "", "Prefer: return=minimal"},
		{"POST", "/Patient/_search", "family=x", "Content-Type: application/x-www-form-urlencoded"},
		{"GET", "/Patient/a/*?_type=Observation", "", "Accept: */*"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, method, path, body, header string) {
		for _, c := range method {
			if c < 'A' || c > 'Z' {
				return
			}
		}
		if method == "" || !strings.HasPrefix(path, "/") || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' || r > 0x7e }) {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/fhir/", strings.NewReader(body))
		r.Method = method
		u, err := r.URL.Parse("http://example.org/fhir" + path)
		if err != nil {
			return
		}
		r.URL = u
		r.Header.Set("Content-Type", "application/fhir+json")
		if name, value, ok := strings.Cut(header, ": "); ok && !strings.ContainsAny(header, "\r\n") {
			r.Header.Set(name, value)
		}
		rec := httptest.NewRecorder()
		w.s.ServeHTTP(rec, r)
		if rec.Code >= 500 || rec.Code < 200 {
			t.Fatalf("got %d %s", rec.Code, rec.Body)
		}
		if b := rec.Body.Bytes(); len(b) > 0 {
			if _, err := fhir.Parse(b); err != nil {
				t.Fatalf("the answer is no resource: %v\n%s", err, b)
			}
		}
	})
}
