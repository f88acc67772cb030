// Package fhir reads FHIR R4 (4.0.1) as data: strict JSON in, resources that keep their
// bytes out, with what the rest of Salus needs to know about them: whose a resource is
// (compartment.go), how sensitive (label.go), when and what (summary.go).
//
// A Resource is the raw JSON, byte for byte: extensions, decimal precision and order of
// elements survive because nothing is ever rewritten. The accessors read from the raw
// bytes on demand. Parse checks what must hold for everything built on it (strict JSON, a
// known resourceType, a well-formed id); it does not check profiles or cardinality.
//
// The package must never put content of a resource into an error (see Issue), never log,
// never speak HTTP and know nothing of the ledger.
package fhir

import (
	"fmt"
	"log/slog"
)

// A Resource is one FHIR R4 resource in its original bytes. The zero Resource is empty.
// Resources are values; all methods are safe for concurrent use.
type Resource struct {
	raw []byte
	typ string
	id  string
}

// Parse checks one resource. The Resource aliases raw, which must not change afterwards.
// An error is an *Issue.
func Parse(raw []byte) (Resource, error) {
	if len(raw) > MaxResource {
		return Resource{}, issue(CodeSize, "")
	}
	s := scanner{b: raw, limit: MaxDepth}
	if s.peek() == 0 && s.i == len(raw) {
		return Resource{}, issue(CodeEmpty, "")
	}
	h, ok := s.resource()
	if !ok {
		return Resource{}, s.fault()
	}
	if s.space(); s.i != len(raw) {
		return Resource{}, issue(CodeTrailing, "").place(raw, s.i)
	}
	if f := s.fault(); f != nil {
		return Resource{}, f
	}
	if h.issue != nil {
		return Resource{}, h.issue
	}
	return Resource{raw: raw, typ: h.typ, id: h.id}, nil
}

// A head is what the scanner learns about a resource on its way.
type head struct {
	typ, id string
	issue   *Issue // what is wrong with them
}

// resource scans a resource; ok is false if the scan stopped.
func (s *scanner) resource() (h head, ok bool) {
	if s.peek() != '{' {
		start := s.i
		if !s.value() {
			return h, false
		}
		h.issue = issue(CodeType, "").place(s.b, start)
		return h, true
	}
	hasID := false
	ok = s.object(func(name []byte) bool {
		switch string(name) {
		case "resourceType":
			return s.text(&h.typ)
		case "id":
			hasID = true
			return s.text(&h.id)
		}
		return false
	})
	if !ok {
		return h, false
	}
	if h.typ = knownType(h.typ); h.typ == "" {
		h.issue = issue(CodeType, "resourceType")
	} else if hasID && !validID(h.id) {
		h.issue = issue(CodeID, h.typ+".id")
	}
	return h, true
}

// text takes a string value into dst; it leaves other values to the scanner.
func (s *scanner) text(dst *string) (taken bool) {
	if s.peek() != '"' {
		return false
	}
	start := s.i
	if _, ok := s.str(); !ok {
		return false
	}
	*dst = unquote(s.b[start:s.i])
	return true
}

func validID(id string) bool {
	if len(id) < 1 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && c-'0' > 9 && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// Type returns the resourceType, always one of FHIR R4.
func (r Resource) Type() string { return r.typ }

// ID returns the logical id, or "" for a resource that has none yet.
func (r Resource) ID() string { return r.id }

// Raw returns the resource's bytes as they came, spaces included. They must not be changed.
func (r Resource) Raw() []byte { return r.raw }

// String returns the type alone, so that printing a Resource shows nothing of it.
func (r Resource) String() string {
	if r.typ == "" {
		return "fhir.Resource{}"
	}
	return r.typ + "[sealed]"
}

// Format prints String for every verb: %+v and %#v would show the raw bytes.
func (r Resource) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// body returns the resource as a value to walk.
func (r Resource) body() value { return value(r.raw).trim() }

// LogValue prints String in structured logs.
func (r Resource) LogValue() slog.Value { return slog.StringValue(r.String()) }
