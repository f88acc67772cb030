package fhir

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
)

// maxEntry is how much of a Bundle StreamBundle holds at once: an entry with the largest resource, and
// what stands around it.
const maxEntry = 2 * MaxResource

// StreamBundle yields the resources of one Bundle of any size as ReadBundle does, holding one entry at a
// time. What is wrong with the Bundle as a whole is known only when it is found: entries may have been
// yielded before. Whoever must take nothing of such a Bundle reads it twice. Lines and bytes in the text
// of an Issue are counted from the beginning of its entry.
func StreamBundle(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		in := &allowance{r: r, left: maxEntry}
		s := stream{d: json.NewDecoder(in), in: in, yield: yield, names: map[string]bool{}}
		if fault := s.bundle(); fault != nil && !s.over {
			yield(Item{Index: whole}, fault)
		}
	}
}

// errAllowance: more than maxEntry bytes without an end of an entry.
var errAllowance = errors.New("fhir: an entry is too large")

// An allowance gives out so many bytes, until it is given more.
type allowance struct {
	r    io.Reader
	left int
}

// Read implements io.Reader.
func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errAllowance
	}
	n, err := a.r.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

// A stream is a Bundle while it is read.
type stream struct {
	d     *json.Decoder
	in    *allowance
	yield func(Item, error) bool

	names     map[string]bool // that were read
	typ, kind string
	entries   int
	over      bool // the caller wants no more
}

// fault is what is wrong with the whole, of an error of the decoder.
func (s *stream) fault(err error) *Issue {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return issue(CodeJSON, "")
	case errors.Is(err, errAllowance):
		return issue(CodeSize, entryName(s.entries))
	}
	f := issue(CodeRead, "")
	f.cause = err
	return f
}

func (s *stream) bundle() *Issue {
	first, err := s.d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return issue(CodeEmpty, "")
	case err != nil:
		return s.fault(err)
	case first != json.Delim('{'):
		return issue(CodeBundleType, "")
	}
	for s.d.More() {
		if f := s.member(); f != nil || s.over {
			return f
		}
	}
	if _, err := s.d.Token(); err != nil {
		return s.fault(err)
	}
	if _, err := s.d.Token(); !errors.Is(err, io.EOF) {
		return issue(CodeTrailing, "")
	}
	switch {
	case s.typ != "Bundle":
		return issue(CodeBundleType, "resourceType")
	case !bundleTypes[s.kind]:
		return issue(CodeBundleType, "Bundle.type")
	case s.entries == 0:
		return issue(CodeBundleEmpty, "Bundle.entry")
	}
	return nil
}

// member reads one member of the Bundle.
func (s *stream) member() *Issue {
	s.in.left = maxEntry
	t, err := s.d.Token()
	if err != nil {
		return s.fault(err)
	}
	name, ok := t.(string)
	if !ok {
		return issue(CodeJSON, "")
	}
	if s.names[name] {
		return issue(CodeDuplicateKey, "")
	}
	switch name {
	case "resourceType", "type", "entry": // the others say nothing here
		s.names[name] = true
	}
	if name == "entry" {
		return s.list()
	}
	raw, f := s.value()
	if f != nil {
		return f
	}
	switch name {
	case "resourceType":
		s.typ = unquote(raw)
	case "type":
		s.kind = unquote(raw)
	}
	return nil
}

// value reads one whole value, a copy.
func (s *stream) value() ([]byte, *Issue) {
	var raw json.RawMessage
	if err := s.d.Decode(&raw); err != nil {
		return nil, s.fault(err)
	}
	s.in.left = maxEntry
	return raw, nil
}

// list reads Bundle.entry.
func (s *stream) list() *Issue {
	t, err := s.d.Token()
	if err != nil {
		return s.fault(err)
	}
	if t != json.Delim('[') {
		return issue(CodeBundleEmpty, "Bundle.entry")
	}
	for s.d.More() {
		raw, f := s.value()
		if f != nil {
			return f
		}
		it, fault := entryItem(raw, s.entries)
		s.entries++
		if fault != nil {
			err = fault
		} else {
			err = nil
		}
		if !s.yield(it, err) {
			s.over = true
			return nil
		}
	}
	if _, err := s.d.Token(); err != nil {
		return s.fault(err)
	}
	return nil
}

// entryItem makes the Item of an entry that stands alone.
func entryItem(raw []byte, index int) (Item, *Issue) {
	s := scanner{b: raw, limit: MaxDepth}
	e, ok := s.entry(index)
	if !ok {
		return Item{Index: index, FullURL: e.fullURL, Type: e.head.typ}, s.fault().under(entryName(index))
	}
	return e.item(index)
}
