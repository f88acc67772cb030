package rest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// echo is an operation that tells how it was called.
func echo(w *world) {
	tell := func(_ context.Context, c *Call) (*Reply, error) {
		var b strings.Builder
		b.WriteString(c.Method + " " + c.Type + " " + c.ID)
		for _, p := range c.Params {
			b.WriteString(" " + p.Name + "=" + p.Value)
		}
		if c.Reader != nil {
			n, err := io.Copy(io.Discard, c.Reader)
			if err != nil {
				return nil, err
			}
			b.WriteString(" " + strings.Repeat("x", int(n)))
		}
		return &Reply{Header: http.Header{"Content-Type": {"text/plain"}, "X-Resource": {string(c.Resource("resource"))}}, Body: []byte(b.String())}, nil
	}
	w.s.Operations = []Operation{
		{Name: "echo", System: true, Types: []string{"Patient"}, Instances: []string{"Patient"}, ReadOnly: true, Definition: "http://example.org/OperationDefinition/echo", Handle: tell},
		{Name: "post", Types: []string{"Patient"}, Definition: "http://example.org/OperationDefinition/post", Handle: tell},
		{Name: "drain", System: true, Stream: true, Definition: "http://example.org/OperationDefinition/drain", Handle: tell},
		{Name: "fhir", System: true, ReadOnly: true, Handle: func(context.Context, *Call) (*Reply, error) { return &Reply{Body: []byte(smith)}, nil }},
		{Name: "fail", System: true, Handle: func(context.Context, *Call) (*Reply, error) {
			return nil, NewFault(http.StatusConflict, "conflict", "test-fail", "it failed")
		}},
	}
}

func TestAnOperationIsCalledWhereItIsOffered(t *testing.T) {
	w := newWorld(t)
	echo(w)
	w.want(201, "PUT /Patient/a", `{"resourceType":"Patient","id":"a"}`)
	parameters := `{"resourceType":"Parameters","parameter":[{"name":"b","valueInteger":2},{"name":"c","valueString":"x"},{"name":"d","valueCoding":{"code":"y"}},{"name":"resource","resource":{"resourceType":"Patient","x":1.50}}]}`
	for _, tt := range []struct{ what, body, want string }{
		{"GET /$echo?a=1&_format=json", "", "GET   a=1"},
		{"GET /Patient/$echo", "", "GET Patient "},
		{"GET /Patient/a/$echo?a=1&a=2", "", "GET Patient a a=1 a=2"},
		{"POST /Patient/a/$echo?a=1", parameters, "POST Patient a a=1 b=2 c=x"},
		{"POST /Patient/$post", "", "POST Patient "},
		{"POST /$drain", "{no JSON", "POST   xxxxxxxx"},
	} {
		r := w.want(200, tt.what, tt.body)
		if string(r.body) != tt.want || r.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: got %q, want %q", tt.what, r.body, tt.want)
		}
	}
	if r := w.do("POST /Patient/$post", parameters); r.Header.Get("X-Resource") != `{"resourceType":"Patient","x":1.50}` {
		t.Errorf("got the resource %s", r.Header.Get("X-Resource"))
	}
	if r := w.do("POST /Patient/$post", smith); r.Header.Get("X-Resource") != smith {
		t.Errorf("got the resource %s", r.Header.Get("X-Resource"))
	}
	for _, tt := range []struct {
		status           int
		code, what, body string
	}{
		{404, "rest-operation", "GET /$nothing", ""},
		{404, "rest-operation", "GET /Observation/$echo", ""},
		{404, "rest-operation", "POST /Patient/a/$post", ""},
		{404, "rest-type", "GET /Nonsense/$echo", ""},
		{400, "rest-id", "GET /Patient/a_b/$echo", ""},
		{404, "rest-not-found", "GET /Patient/none/$echo", ""},
		{404, "rest-no-route", "GET /Patient/a/b/$echo", ""},
		{405, "rest-operation-method", "GET /Patient/$post", ""},
		{405, "rest-operation-method", "DELETE /Patient/$echo", ""},
		{400, "fhir-json", "POST /Patient/$post", "{"},
		{409, "test-fail", "POST /$fail", ""},
	} {
		w.refused(tt.status, tt.code, tt.what, tt.body)
	}
	w.refused(415, "rest-media-type", "POST /Patient/$post", "<x/>", "Content-Type: application/fhir+xml")
	w.refused(401, "rest-login", "POST /$drain", "x", "X-Nobody: yes")

	r := w.want(200, "POST /", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/$echo"}},{"request":{"method":"GET","url":"$nothing"}},{"request":{"method":"GET","url":"$fhir"}}]}`).set(t)
	if !strings.HasPrefix(r.Entry[0].Response.Status, "400") || !strings.HasPrefix(r.Entry[2].Response.Status, "200") || string(r.Entry[2].Resource) != smith || !strings.HasPrefix(r.Entry[1].Response.Status, "404") {
		t.Errorf("in a batch: got %+v", r.Entry)
	}
	w.refused(400, "rest-entry-operation", "POST /", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/$echo"}}]}`)

	w.guard.leave = Leave{Owner: "Patient/b"}
	w.refused(404, "rest-not-found", "GET /Patient/a/$echo", "")
	w.guard.leave = Leave{}
	w.want(201, "PUT /Patient/was", `{"resourceType":"Patient","id":"was"}`)
	w.want(204, "DELETE /Patient/was", "")
	w.refused(410, "rest-gone", "GET /Patient/was/$echo", "")
	w.guard.leave = Leave{May: func(i Interaction, _ string) bool { return i == Operate }}
	w.refused(404, "rest-not-found", "GET /Patient/was/$echo", "")
	w.guard.leave = Leave{May: func(i Interaction, typ string) bool { return i == Operate && typ == "Patient" }}
	w.want(200, "GET /Patient/$echo", "")
	w.refused(403, "rest-forbidden", "GET /$echo", "")
}

func TestTheStatementListsOperations(t *testing.T) {
	w := newWorld(t)
	echo(w)
	var c capability
	if err := json.Unmarshal(w.want(200, "GET /metadata", "").body, &c); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, o := range c.Rest[0].Operation {
		got += o.Name + " "
	}
	for _, r := range c.Rest[0].Resource {
		for _, o := range r.Operation {
			got += r.Type + "/" + o.Name + "=" + o.Definition + " "
		}
	}
	if want := "echo drain fhir fail Patient/echo=http://example.org/OperationDefinition/echo Patient/post=http://example.org/OperationDefinition/post "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
