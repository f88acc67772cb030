package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"salus/fhir/search"
)

// terms knows one value set, that one only the server's own people may see, and one hierarchy.
type terms struct {
	seesAll bool
	asked   *[]string
}

func (x terms) In(set string) ([]search.Value, error) {
	*x.asked = append(*x.asked, set)
	switch {
	case set == "urn:lab", set == "urn:hidden" && x.seesAll:
		return []search.Value{{System: "s", HasSystem: true, Text: "1"}, {System: "s", HasSystem: true, Text: "2"}}, nil
	case set == "urn:broken":
		return nil, errors.New("the disk is gone")
	}
	return nil, search.Refuse(search.CodeNoTerminology)
}

func (x terms) Above(system, code string) ([]search.Value, error) { return x.Below(system, code) }

func (x terms) Below(system, code string) ([]search.Value, error) {
	*x.asked = append(*x.asked, code)
	return []search.Value{{System: system, HasSystem: true, Text: code}, {System: system, HasSystem: true, Text: code + "1"}}, nil
}

func newTermsWorld(t *testing.T) (w *world, asked *[]string) {
	w, asked = newWorld(t), new([]string)
	w.s.Terminology = func(_ context.Context, l *Leave) search.Terminology { return terms{l.Owner == "", asked} }
	w.want(201, "PUT /Patient/a", `{"resourceType":"Patient","id":"a"}`)
	return w, asked
}

func coded(id, code string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return `{"resourceType":"Observation",` + id + `"status":"final","code":{"coding":[{"system":"s","code":"` + code + `"}]},"subject":{"reference":"Patient/a"}}`
}

func TestConditionsOfWritesGoByValueSetsAsSearchesDo(t *testing.T) {
	w, asked := newTermsWorld(t)
	// Conditional create: what is there is found, and else it is made.
	w.want(201, "POST /Observation", coded("", "2"), "If-None-Exist: code:in=urn:lab&subject=Patient/a")
	w.want(200, "POST /Observation", coded("", "1"), "If-None-Exist: code:in=urn:lab&subject=Patient/a")
	w.want(201, "POST /Observation", coded("", "3"), "If-None-Exist: code:not-in=urn:lab")
	w.want(200, "POST /Observation", coded("", "3"), "If-None-Exist: _filter=code%20ni%20urn:lab")
	if len(*asked) != 4 {
		t.Errorf("asked %v: each condition asks once", *asked)
	}
	// Conditional update and patch.
	w.want(200, "PUT /Observation?code:below=s%7C2", coded("", "21"))
	w.want(200, "PUT /Observation?code:below=s%7C2", coded("", "2"))
	w.want(200, "PATCH /Observation?code:in=urn:lab", `[{"op":"replace","path":"/status","value":"amended"}]`, "Content-Type: application/json-patch+json")
	// In a transaction: the condition of an entry, and a reference by a search.
	r := w.want(200, "POST /", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":`+coded("", "1")+`,"request":{"method":"POST","url":"Observation","ifNoneExist":"code:in=urn:lab"}},
		{"resource":`+strings.Replace(coded("", "9"), "Patient/a", "Patient?_has:Observation:patient:code:in=urn:lab", 1)+`,"request":{"method":"POST","url":"Observation"}},
		{"request":{"method":"DELETE","url":"Observation?code:above=s%7C3"}}]}`)
	if s := r.set(t); !strings.HasPrefix(s.Entry[0].Response.Status, "200") || !strings.HasPrefix(s.Entry[1].Response.Status, "201") || !strings.HasPrefix(s.Entry[2].Response.Status, "204") {
		t.Errorf("got %+v", s.Entry)
	}
	if got := w.want(200, "GET /Observation?code=9", "").body; !contains(got, `"Patient/a"`) {
		t.Errorf("the reference leads elsewhere: %s", got)
	}
	// And in a batch; then conditional delete.
	r = w.want(200, "POST /", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"DELETE","url":"Observation?code:not-in=urn:lab"}}]}`)
	if s := r.set(t); !strings.HasPrefix(s.Entry[0].Response.Status, "204") {
		t.Errorf("got %+v", s.Entry)
	}
	w.want(204, "DELETE /Observation?code:in=urn:lab", "")
	if ids := w.want(200, "GET /Observation", "").set(t).ids(t); len(ids) != 0 {
		t.Errorf("left: %v", ids)
	}
}

func TestConditionsOfWritesAreRefusedWithoutTheValueSet(t *testing.T) {
	w, asked := newTermsWorld(t)
	w.want(201, "PUT /Observation/x", coded("x", "1"))
	for _, c := range []struct{ what, body, header string }{
		{"POST /Observation", coded("", "1"), "If-None-Exist: code:in=urn:none"},
		{"PUT /Observation?code:not-in=urn:none", coded("", "1"), ""},
		{"DELETE /Observation?code:in=urn:none", "", ""},
		{"DELETE /Observation?_filter=code+in+urn:none", "", ""},
	} {
		header := c.header
		if header == "" {
			header = "Accept: */*"
		}
		w.refused(400, search.CodeNoTerminology, c.what, c.body, header)
	}
	// Of one patient's compartment: what she may not see of terminology is as if it were not there.
	w.guard.leave = Leave{Owner: "Patient/a"}
	w.refused(400, search.CodeNoTerminology, "DELETE /Observation?code:in=urn:hidden", "")
	w.refused(400, search.CodeNoTerminology, "DELETE /Observation?code:in=urn:none", "")
	// Who may not write, asks for nothing.
	*asked = nil
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Read || i == Search }}
	if r := w.do("DELETE /Observation?code:in=urn:lab", ""); r.StatusCode != http.StatusForbidden || len(*asked) != 0 {
		t.Errorf("got %d, asked %v", r.StatusCode, *asked)
	}
	// Without any terminology, as ever.
	w.guard.leave, w.s.Terminology = Leave{}, nil
	w.refused(400, search.CodeNotSupported, "DELETE /Observation?code:in=urn:lab", "")
	w.want(200, "GET /Observation/x", "")
}
