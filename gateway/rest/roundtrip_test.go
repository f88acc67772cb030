package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/fhirtest"
	"salus/fhir/index"
	"salus/gateway/rest"
	"salus/store"
	"salus/store/storetest"
)

// A trip is a server over a store with R4's whole index, that takes and gives resources.
type trip struct {
	t    *testing.T
	s    *rest.Server
	st   *store.Store
	done int
}

type everybody struct{}

// Admit implements rest.Guard.
func (everybody) Admit(*http.Request) (*rest.Leave, error) {
	return &rest.Leave{Scopes: []store.Scope{store.Own}}, nil
}

func newTrip(t *testing.T) *trip {
	t.Helper()
	set := definition.R4()
	x, err := index.New(set, "http://example.org/fhir")
	if err != nil {
		t.Fatal(err)
	}
	st := storetest.Open(t, store.Options{})
	var types []string
	for _, name := range set.Types() {
		if d := set.Type(name); d.Kind == "resource" && !d.Abstract && !d.Profile {
			types = append(types, name)
		}
	}
	return &trip{t: t, st: st, s: rest.New(rest.Config{
		Store: st, Params: x, Types: types, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: everybody{},
		Base: "http://example.org/fhir", Prefix: "/fhir", Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})}
}

func (x *trip) do(method, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(x.t.Context(), method, "/fhir/"+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/fhir+json")
	w := httptest.NewRecorder()
	x.s.ServeHTTP(w, r)
	return w
}

// there writes a resource and wants it back.
func (x *trip) there(name string, sent []byte) {
	x.t.Helper()
	r, err := fhir.Parse(sent)
	if err != nil || r.ID() == "" || !x.s.Serves(r.Type()) {
		return // no resource that stands for itself
	}
	at := r.Type() + "/" + r.ID()
	for _, way := range []struct{ method, path string }{{http.MethodPut, at}, {http.MethodPost, r.Type()}} {
		w := x.do(way.method, way.path, sent)
		if w.Code != http.StatusCreated && w.Code != http.StatusOK {
			x.t.Errorf("%s: %s: got %d %s", name, way.method, w.Code, w.Body)
			return
		}
		location := strings.TrimPrefix(w.Header().Get("Location"), "http://example.org/fhir/")
		current, _, _ := strings.Cut(location, "/_history/")
		typ, id, _ := strings.Cut(current, "/")
		v, err := x.st.Read(x.t.Context(), store.Key{Type: typ, ID: id})
		if err != nil || !bytes.Equal(v.Body, sent) {
			x.t.Errorf("%s: %s: what is stored is not what was sent: %v", name, way.method, err)
		}
		for _, read := range []string{current, location} {
			w := x.do(http.MethodGet, read, nil)
			if w.Code != http.StatusOK {
				x.t.Errorf("%s: %s: got %d", name, read, w.Code)
				return
			}
			x.same(name, sent, w.Body.Bytes(), id)
		}
	}
	x.done++
}

// A part is a member of an object in its bytes.
type part struct{ name, raw string }

// parts are those of an object, but for some, in their order.
func (x *trip) parts(b []byte, without ...string) (out []part) {
	x.t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		x.t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	for depth := 0; ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			x.t.Fatal(err)
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
		case string:
			if depth != 1 {
				continue
			}
			var skip json.RawMessage // the value
			if err := d.Decode(&skip); err != nil {
				x.t.Fatal(err)
			}
			if !slices.Contains(without, v) {
				out = append(out, part{v, string(all[v])})
			}
		}
	}
}

// same wants every byte of every element as it was sent, in its order, but for what the server says
// itself.
func (x *trip) same(name string, sent, got []byte, id string) {
	x.t.Helper()
	if a, b := x.parts(sent, "id", "meta"), x.parts(got, "id", "meta"); !slices.Equal(a, b) {
		x.t.Errorf("%s: got %s", name, got)
	}
	var before, after struct {
		ID   string
		Meta json.RawMessage
	}
	if err := errors.Join(json.Unmarshal(sent, &before), json.Unmarshal(got, &after)); err != nil {
		x.t.Fatal(err)
	}
	if after.ID != id {
		x.t.Errorf("%s: got the id %s, want %s", name, after.ID, id)
	}
	var a []part
	if len(before.Meta) > 0 {
		a = x.parts(before.Meta, "versionId", "lastUpdated")
	}
	if b := x.parts(after.Meta, "versionId", "lastUpdated"); !slices.Equal(a, b) {
		x.t.Errorf("%s: got the meta %s, want %s", name, after.Meta, before.Meta)
	}
}

func TestWhatIsWrittenReadsByteForByte(t *testing.T) {
	x := newTrip(t)
	files, err := filepath.Glob(filepath.Join("testdata", "roundtrip", "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		x.there(filepath.Base(f), b)
	}
	if x.done != len(files) {
		t.Errorf("%d of %d made the round trip", x.done, len(files))
	}
}

// TestPublishedExamplesReadByteForByte are those of US Core and IPS, and, where HL7_R4 names the npm
// package hl7.fhir.r4.examples, all of R4.
func TestPublishedExamplesReadByteForByte(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand examples: ten seconds")
	}
	packs, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "fhir-packages", "*.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if f := os.Getenv("HL7_R4"); f != "" {
		packs = append(packs, f)
	}
	if len(packs) == 0 {
		t.Skip("the packages with the examples of US Core, IPS and R4 are not here")
	}
	for _, pack := range packs {
		t.Run(filepath.Base(pack), func(t *testing.T) {
			x := newTrip(t)
			fhirtest.Each(t, pack, x.there)
			if x.done < 40 {
				t.Errorf("%d examples made the round trip: that is not the package", x.done)
			}
			t.Logf("%d examples made the round trip", x.done)
		})
	}
}
