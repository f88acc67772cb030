// Package tofhir maps HL7 v2 messages to FHIR R4 resources after HL7's
// v2-to-FHIR tables (tables.go), with maps of its own where HL7 has none (A03,
// A40, DFT; docs/hl7v2.md).
//
// Its contract: the same message, feed and secret give the same Bundle; ids are
// keyed hashes, so that they are no dictionary of record numbers; what has a
// value and is not mapped is listed in Result.Unmapped by its path.
//
// A resource holds what one message says. HL7's absent means "unchanged": whoever
// stores an update merges it with what is known, and deletes what Result.Nulls
// names. The package must never put values into errors or paths, read a clock, or
// touch a store or the network.
package tofhir

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"salus/hl7"
)

// Options say for whom a message is mapped.
type Options struct {
	Feed     string         // of the sender; part of every id
	Secret   []byte         // at least 16 bytes, kept by the organisation
	Zone     *time.Location // of times sent without offset; nil: unknown
	Recorded time.Time      // Provenance.recorded
}

// A Result is a mapped message.
type Result struct {
	Bundle   []byte   // FHIR R4 transaction Bundle, JSON, every entry a PUT
	Count    int      // entries
	Unmapped []string // paths of values that are in no resource, such as OBX[2]-13
	Nulls    []string // paths where "" was sent: to be deleted
	Merge    *Merge   // of A40, else nil
}

// A Merge says that records of one patient were kept under two ids. It is applied
// by setting Patient.link on both and active=false on the replaced one; nothing
// of either is deleted, so that Undo can be applied the same way.
type Merge struct {
	Survivor, Replaced string // Patient/<id>
	Undone             bool   // take the links away and make Replaced active
}

// Undo returns what takes the merge back.
func (m Merge) Undo() Merge { m.Undone = !m.Undone; return m }

type mapping struct {
	m         *hl7.Message
	opts      Options
	entries   []any
	ids       map[string]object
	used      map[int]string
	result    Result
	imprecise bool
	err       error
	patient   object
	encounter object
}

// ErrSecret says that Options.Secret is too short.
var ErrSecret = errors.New("tofhir: secret shorter than 16 bytes")

// Map maps a message. Other errors are *hl7.Error: not a message that is mapped,
// PID-3 or another required field missing, text outside of the character set.
func Map(m *hl7.Message, o Options) (*Result, error) {
	if len(o.Secret) < 16 {
		return nil, ErrSecret
	}
	code, event, _ := m.Type()
	for _, err := range (hl7.Accepts{}).Check(m) {
		var e *hl7.Error
		if errors.As(err, &e) && (e.Field == 9 || e.Field == 10) {
			return nil, err
		}
	}
	c := &mapping{m: m, opts: o, ids: map[string]object{}, used: map[int]string{}}
	pid := m.Segment("PID")
	if all := m.Segments("PID"); len(all) > 1 { // never one patient's results under another
		return nil, &hl7.Error{Code: hl7.CodeSequence, Segment: "PID", Index: all[1].Index() + 1, Condition: hl7.Cardinality}
	}
	key := c.patientKey(pid.Field(3).Repetition(1))
	if key == "" {
		return nil, &hl7.Error{Code: hl7.CodeRequired, Segment: "PID", Index: pid.Index() + 1, Field: 3, Condition: hl7.RequiredMissing}
	}
	p := object{}
	c.segment(pid, "Patient", p)
	c.patient = c.add("Patient", key, p)
	if event == "A40" {
		old := m.Segment("MRG")
		k := c.patientKey(old.Field(1).Repetition(1))
		if k == "" || k == key {
			return nil, &hl7.Error{Code: hl7.CodeRequired, Segment: "MRG", Index: old.Index() + 1, Field: 1, Condition: hl7.RequiredMissing}
		}
		c.use(old, 1)
		c.result.Merge = &Merge{Survivor: c.patient["reference"].(string), Replaced: "Patient/" + c.id("Patient", k)}
		p["link"] = []any{object{"other": object{"reference": c.result.Merge.Replaced}, "type": "replaces"}}
	}
	c.visit(event)
	c.walk(code, event)
	c.message(code, event)
	c.report()
	if c.err != nil {
		return nil, c.err
	}
	c.result.Count = len(c.entries)
	b, err := json.Marshal(object{"resourceType": "Bundle", "type": "transaction", "entry": c.entries})
	c.result.Bundle = b
	return &c.result, err
}

func (c *mapping) patientKey(v hl7.Value) string {
	if c.text(v.Component(1)) == "" {
		return ""
	}
	return c.text(v.Component(1)) + "|" + c.text(v.Component(4).Subcomponent(1)) + "|" + c.text(v.Component(4).Subcomponent(2))
}

func (c *mapping) text(v hl7.Value) string {
	s, err := v.Text()
	if err != nil && c.err == nil {
		c.err = err
	}
	return strings.TrimSpace(s)
}

func (c *mapping) id(kind, key string) string {
	h := hmac.New(sha256.New, c.opts.Secret)
	for _, s := range []string{c.opts.Feed, kind, key} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// add puts a resource into the Bundle, once for each id, and returns a reference.
func (c *mapping) add(kind, key string, r object) object {
	id := c.id(kind, key)
	ref := kind + "/" + id
	if c.ids[ref] == nil {
		r["resourceType"], r["id"] = kind, id
		c.ids[ref] = r
		c.entries = append(c.entries, object{"fullUrl": "urn:salus:v2:" + id, "resource": r, "request": object{"method": "PUT", "url": ref}})
	}
	return object{"reference": ref}
}

func (c *mapping) use(s hl7.SegmentRef, fields ...int) {
	for _, f := range fields {
		c.used[s.Index()] += " " + strconv.Itoa(f) + " "
	}
}

func (c *mapping) path(s hl7.SegmentRef, field int) string {
	n := 1
	for i := range s.Index() {
		if c.m.At(i).Name() == s.Name() {
			n++
		}
	}
	return s.Name() + "[" + strconv.Itoa(n) + "]-" + strconv.Itoa(field)
}

// segment applies the table of a segment and resource.
func (c *mapping) segment(s hl7.SegmentRef, kind string, into object) {
	for _, row := range segmentRows()[s.Name()+">"+kind] {
		f := s.Field(row.Field)
		if f.Valued() {
			c.use(s, row.Field)
		}
		for i := 1; i <= f.Repetitions(); i++ {
			v := f.Repetition(i)
			if !v.Valued() {
				continue
			}
			c.imprecise = false
			out, ok := c.convert(row.Type, v)
			if !ok || c.imprecise || i > 1 && !row.Many {
				c.result.Unmapped = append(c.result.Unmapped, c.path(s, row.Field))
			}
			base, _, _ := strings.Cut(row.Type, ":")
			for n := 2; n <= v.Components(); n++ {
				if v.Component(n).Valued() && !strings.Contains(parts(base), " "+strconv.Itoa(n)+" ") {
					c.result.Unmapped = append(c.result.Unmapped, c.path(s, row.Field)+"."+strconv.Itoa(n))
				}
			}
			if ok && (i == 1 || row.Many) {
				set(into, row.To, out, row.Many)
			}
		}
	}
}

func set(o object, path string, v any, many bool) {
	head, rest, deeper := strings.Cut(path, ".")
	if deeper {
		in, _ := o[head].(object)
		if in == nil {
			in = object{}
			o[head] = in
		}
		set(in, rest, v, many)
		return
	}
	if many {
		list, _ := o[head].([]any)
		v = append(list, v)
	}
	o[head] = v
}

func orElse(o object, k string, v any) {
	if o[k] == nil {
		o[k] = v
	}
}

// report lists what no table read.
func (c *mapping) report() {
	for i := range c.m.Len() {
		s := c.m.At(i)
		for f := 1; f <= s.Fields(); f++ {
			v := s.Field(f)
			for r := 1; r <= v.Repetitions(); r++ {
				if v.Repetition(r).Null() {
					c.result.Nulls = append(c.result.Nulls, c.path(s, f))
				}
			}
			if v.Valued() && !strings.Contains(c.used[i], " "+strconv.Itoa(f)+" ") {
				c.result.Unmapped = append(c.result.Unmapped, c.path(s, f))
			}
		}
	}
}
