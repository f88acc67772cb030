package tofhir

import (
	"sort"
	"strings"
	"time"

	"salus/hl7"
)

// A place is one value of a message: the segment's index, then as in Path. Fields
// without components are component 1, those without subcomponents subcomponent 1.
type place struct{ seg, field, rep, comp, sub int }

// A val is one repetition of a field; reading from it marks what was read.
type val struct {
	c     *mapping
	v     hl7.Value // of the repetition
	at    place
	shift int // components are counted from this one on
	comp  int // 0, or the component that stands for a whole value (a subcomponent list)
}

// vals returns the valued repetitions of a field.
func (c *mapping) vals(s hl7.SegmentRef, field int) []val {
	f := s.Field(field)
	var out []val
	for i := 1; i <= f.Repetitions(); i++ {
		if r := f.Repetition(i); r.Valued() {
			out = append(out, val{c: c, v: r, at: place{seg: s.Index(), field: field, rep: i}})
		}
	}
	return out
}

func (c *mapping) first(s hl7.SegmentRef, field int) val {
	if all := c.vals(s, field); len(all) > 0 {
		return all[0]
	}
	return val{c: c, at: place{seg: s.Index(), field: field, rep: 1}}
}

// peek is the text of a field's first component without marking it.
func (c *mapping) peek(s hl7.SegmentRef, field int) string {
	return strings.TrimSpace(s.Field(field).Repetition(1).Component(1).Plain())
}

// part is component n as a value of its own, whose components are its subcomponents.
func (x val) part(n int) val {
	x.comp = n
	return x
}

func (x val) place(n int) (place, hl7.Value) {
	p := x.at
	n += x.shift
	if x.comp > 0 {
		p.comp, p.sub = x.comp, n
		return p, x.v.Component(x.comp).Subcomponent(n)
	}
	p.comp, p.sub = n, 1
	return p, x.v.Component(n).Subcomponent(1)
}

// t is the text of component n; reading it marks it as mapped.
func (x val) t(n int) string {
	p, v := x.place(n)
	s := strings.TrimSpace(x.c.decode(p, v.Text))
	if s != "" {
		x.c.read[p] = true
	}
	return s
}

// has says whether component n has text, without marking it. Blanks alone, also
// escaped ones, are none, as they are to t.
func (x val) has(n int) bool {
	_, v := x.place(n)
	s, err := v.Text()
	return err != nil || strings.TrimSpace(s) != "" // t tells what is wrong with it
}

// drop takes back that component n was mapped: it was read and could not be said.
func (x val) drop(n int) {
	p, _ := x.place(n)
	x.c.lost[p] = true
}

// pages are the breaks of printed reports that text in FHIR cannot have.
var pages = strings.NewReplacer("\f", "\n", "\v", "\n")

// whole is all of the repetition as text, delimiters kept. The break of a page is one of a line.
func (x val) whole() string {
	for n := 1; n <= x.v.Components(); n++ {
		for k := 1; k <= x.v.Component(n).Subcomponents(); k++ {
			p := x.at
			p.comp, p.sub = n, k
			x.c.read[p] = true
		}
	}
	return x.c.decode(x.at, func() (string, error) {
		s, err := x.v.Whole()
		return pages.Replace(s), err
	})
}

// decode reads a value as text that FHIR can say. Control characters, which an escape
// sequence may bring, cannot be said, and a value without them would be another one:
// the message is refused.
func (c *mapping) decode(at place, read func() (string, error)) string {
	s, err := read()
	if err == nil && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r", r) }) {
		s = ""
		c.refuse(at)
	}
	if err != nil && c.err == nil {
		c.err = err
	}
	return s
}

// refuse makes a value that FHIR does not admit where it stands the error of the map, if it is the first.
func (c *mapping) refuse(at place) {
	if c.err == nil {
		c.err = &hl7.Error{Code: hl7.CodeValue, Segment: c.m.At(at.seg).Name(), Index: at.seg + 1, Field: at.field, Condition: hl7.DataType}
	}
}

// ordered refuses a Period that ends before it starts (per-1). Of dates of different
// precision what both have is compared.
func (c *mapping) ordered(at place, period any) {
	p, _ := period.(object)
	start, _ := p["start"].(string)
	end, _ := p["end"].(string)
	if len(start) > 10 && len(end) > 10 {
		from, err1 := time.Parse(time.RFC3339Nano, start)
		to, err2 := time.Parse(time.RFC3339Nano, end)
		if err1 == nil && err2 == nil && to.Before(from) {
			c.refuse(at)
		}
		return
	}
	if n := min(len(start), len(end), 10); end[:n] < start[:n] {
		c.refuse(at)
	}
}

// use marks fields that are the form of the message, not its content.
func (c *mapping) use(s hl7.SegmentRef, fields ...int) {
	for _, f := range fields {
		for _, x := range c.vals(s, f) {
			for n := 1; n <= x.v.Components(); n++ {
				for k := 1; k <= x.v.Component(n).Subcomponents(); k++ {
					c.read[place{s.Index(), f, x.at.rep, n, k}] = true
				}
			}
		}
	}
}

// form says that a field tells how a message is carried or numbered: delimiters,
// receiver, control id, versions, set ids. It is of no resource.
func form(segment string, field int) bool {
	if segment == "MSH" {
		switch field {
		case 1, 2, 5, 6, 9, 10, 11, 12, 15, 16, 18:
			return true
		}
		return false
	}
	switch segment {
	case "PID", "PV1", "NK1", "AL1", "DG1", "OBR", "OBX", "SPM", "NTE", "IN1", "FT1", "TXA", "AIS", "AIG", "AIL", "AIP", "RGS", "PR1", "GT1", "TQ1":
		return field == 1
	}
	return false
}

// unmapped lists every value that no map read, or that could not be expressed, and
// every "" that takes nothing away.
func (c *mapping) unmapped() []Path {
	var out []Path
	seen := map[string]int{}
	for i := range c.m.Len() {
		s := c.m.At(i)
		seen[s.Name()]++
		for f := 1; f <= s.Fields(); f++ {
			if form(s.Name(), f) {
				continue
			}
			for r := 1; r <= s.Field(f).Repetitions(); r++ {
				if s.Field(f).Repetition(r).Null() && !c.read[place{i, f, r, 0, 0}] {
					out = append(out, Path{Segment: s.Name(), Occurrence: seen[s.Name()], Field: f, Repetition: r})
				}
			}
			for _, x := range c.vals(s, f) {
				for n := 1; n <= x.v.Components(); n++ {
					subs := x.v.Component(n).Subcomponents()
					for k := 1; k <= subs; k++ {
						p := place{i, f, x.at.rep, n, k}
						if !x.v.Component(n).Subcomponent(k).Valued() || c.read[p] && !c.lost[p] {
							continue
						}
						path := Path{Segment: s.Name(), Occurrence: seen[s.Name()], Field: f, Repetition: x.at.rep}
						if x.v.Components() > 1 || subs > 1 {
							path.Component = n
						}
						if subs > 1 {
							path.Subcomponent = k
						}
						out = append(out, path)
					}
				}
			}
		}
	}
	return out
}

// nulls notes for a resource the elements for which "" was sent.
func (x *resource) null(element string) {
	i := sort.SearchStrings(x.entry.Nulls, element)
	if i == len(x.entry.Nulls) || x.entry.Nulls[i] != element {
		x.entry.Nulls = append(x.entry.Nulls[:i], append([]string{element}, x.entry.Nulls[i:]...)...)
	}
}
