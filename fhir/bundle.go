package fhir

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
)

// An Item is one resource of a Bundle or of NDJSON.
type Item struct {
	Resource Resource
	FullURL  string // Bundle.entry.fullUrl, or ""
	Index    int    // of the entry, or of the line; from 0
	Type     string // resourceType as far as it is known, also of an item that is refused
}

// whole is the index of an error that concerns the input as a whole.
const whole = -1

// bundleTypes are the types whose entries are records (R4 valueset-bundle-type). Those of
// responses carry none.
var bundleTypes = map[string]bool{
	"transaction": true, "batch": true, "collection": true, "searchset": true, "history": true, "document": true, "message": true,
}

// notRecords are resources that speak about a request and tell nothing about a patient.
var notRecords = map[string]bool{"OperationOutcome": true, "Parameters": true}

// ReadBundle yields the resources of one Bundle of at most MaxBundle bytes. It reads and
// checks all of it before it yields anything, in one pass; the resources are slices of the
// bytes read, not copies.
//
// An error is an *Issue. With Item.Index -1 the Bundle as a whole is refused and the
// sequence ends; otherwise the one entry is refused and the sequence goes on.
func ReadBundle(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		b, fault := readAll(r, MaxBundle)
		if fault != nil {
			yield(Item{Index: whole}, fault)
			return
		}
		entries, fault := scanBundle(b)
		if fault != nil {
			yield(Item{Index: whole}, fault)
			return
		}
		for i, e := range entries {
			it, fault := e.item(i)
			var err error
			if fault != nil {
				err = fault
			}
			if !yield(it, err) {
				return
			}
		}
	}
}

func readAll(r io.Reader, limit int64) ([]byte, *Issue) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		f := issue(CodeRead, "")
		f.cause = err
		return nil, f
	}
	if int64(len(b)) > limit {
		return nil, issue(CodeSize, "")
	}
	return b, nil
}

// An entry is what the scanner found of one Bundle.entry.
type entry struct {
	raw     []byte
	head    head
	fullURL string
	method  string
	fault   *Issue
}

// scanBundle checks a Bundle and finds its entries.
func scanBundle(b []byte) ([]entry, *Issue) {
	s := scanner{b: b, limit: MaxDepth}
	if s.peek() == 0 && s.i == len(b) {
		return nil, issue(CodeEmpty, "")
	}
	if s.b[s.i] != '{' {
		if !s.value() {
			return nil, s.fault()
		}
		return nil, issue(CodeBundleType, "").place(b, 0)
	}
	var typ, kind string
	var entries []entry
	ok := s.object(func(name []byte) bool {
		switch string(name) {
		case "resourceType":
			return s.text(&typ)
		case "type":
			return s.text(&kind)
		case "entry":
			return s.peek() == '[' && s.array(func() bool {
				e, ok := s.entry(len(entries))
				entries = append(entries, e)
				return ok
			})
		}
		return false
	})
	if ok {
		if s.space(); s.i != len(b) {
			return nil, issue(CodeTrailing, "").place(b, s.i)
		}
	}
	switch {
	case s.fault() != nil:
		return nil, s.fault()
	case typ != "Bundle":
		return nil, issue(CodeBundleType, "resourceType")
	case !bundleTypes[kind]:
		return nil, issue(CodeBundleType, "Bundle.type")
	case len(entries) == 0:
		return nil, issue(CodeBundleEmpty, "Bundle.entry")
	}
	return entries, nil
}

// entry scans one entry. Faults that leave the grammar intact stay with the entry.
func (s *scanner) entry(index int) (e entry, ok bool) {
	outer, outerAt := s.soft, s.softAt
	s.soft = ""
	if s.peek() == '{' {
		ok = s.object(func(name []byte) bool {
			switch string(name) {
			case "fullUrl":
				return s.text(&e.fullURL)
			case "resource":
				return s.entryResource(&e)
			case "request":
				return s.peek() == '{' && s.object(func(name []byte) bool {
					return string(name) == "method" && s.text(&e.method)
				})
			}
			return false
		})
	} else {
		ok = s.value()
	}
	if ok && s.soft != "" {
		e.fault = issue(s.soft, "").place(s.b, s.softAt)
	}
	s.soft, s.softAt = outer, outerAt
	if e.fault != nil {
		e.fault = e.fault.under(entryName(index))
	}
	return e, ok
}

// entryResource scans the resource with a depth limit of its own, the same as Parse has.
func (s *scanner) entryResource(e *entry) (taken bool) {
	s.peek()
	start, limit := s.i, s.limit
	s.limit = s.depth + MaxDepth
	e.head, taken = s.resource()
	s.limit = limit
	e.raw = s.b[start:s.i:s.i]
	return taken
}

func entryName(index int) string { return "Bundle.entry[" + strconv.Itoa(index) + "]" }

// item makes the Item of an entry, or says why there is none.
func (e *entry) item(index int) (Item, *Issue) {
	it := Item{Index: index, FullURL: e.fullURL, Type: e.head.typ}
	at := entryName(index)
	switch {
	case e.fault != nil:
		return it, e.fault
	case e.raw == nil, e.method != "" && e.method != "POST" && e.method != "PUT", notRecords[e.head.typ]:
		return it, issue(CodeEntry, at)
	case e.head.issue != nil:
		return it, e.head.issue.under(at + ".resource")
	case len(e.raw) > MaxResource:
		return it, issue(CodeSize, at+".resource")
	}
	it.Resource = Resource{raw: e.raw, typ: e.head.typ, id: e.head.id}
	return it, nil
}

// Encode writes a collection Bundle of resources, each byte for byte.
func Encode(w io.Writer, resources []Resource) error {
	if _, err := io.WriteString(w, `{"resourceType":"Bundle","type":"collection","entry":[`); err != nil {
		return fmt.Errorf("fhir: write bundle: %w", err)
	}
	for i, r := range resources {
		sep := `,{"resource":`
		if i == 0 {
			sep = sep[1:]
		}
		_, err := io.WriteString(w, sep)
		_, err2 := w.Write(r.raw)
		_, err3 := io.WriteString(w, "}")
		if err = errors.Join(err, err2, err3); err != nil {
			return fmt.Errorf("fhir: write bundle: %w", err)
		}
	}
	if _, err := io.WriteString(w, "]}"); err != nil {
		return fmt.Errorf("fhir: write bundle: %w", err)
	}
	return nil
}
