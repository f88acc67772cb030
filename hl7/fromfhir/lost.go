package fromfhir

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// A Missing is something that a message was made from and does not say.
type Missing struct {
	Resource string // "Patient/1", whose it is
	Path     string // "Patient.contact[0].name", by the names of FHIR JSON; all that is there and below it
}

// MaxProbes bounds how many messages Lost makes.
const MaxProbes = 2048

// Lost lists what the message of a change does not say, of its resource and of every other that was read for it, each
// by its outermost element of which nothing is said; sorted by resource, in the order of reading, and path. What is
// missing is found by trying: a value is in the message, or decided something there, if the message is another one
// when the value is. So the list cannot say otherwise than Map does. Type, id, meta and narrative are passed over. Of
// a value that is said in part (a time without its fraction of a second) nothing is listed.
// more says that there was more to try than MaxProbes; what is listed is missing all the same. Errors: Map's.
func Lost(ctx context.Context, c Change, src Source, o Options) (list []Missing, more bool, err error) {
	return lost(ctx, c, src, o, MaxProbes)
}

func lost(ctx context.Context, c Change, src Source, o Options, most int) (list []Missing, more bool, err error) {
	p := &prober{ctx: ctx, c: c, o: o, src: src, read: map[string]object{}, raw: map[string][]byte{}, left: most}
	if p.own, err = p.keep(c.Resource); err != nil {
		return nil, false, err
	}
	if p.visit, err = p.keep(c.Encounter); err != nil {
		return nil, false, err
	}
	if p.other, err = p.keep(c.Other); err != nil {
		return nil, false, err
	}
	if p.said, err = Map(ctx, c, p, o); err != nil {
		return nil, false, err
	}
	p.src = nil // from here on there is nothing else to be read
	for _, ref := range p.refs {
		r := p.read[ref]
		p.below(ref, str(r["resourceType"]), r, true)
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	return p.list, p.left < 0, nil
}

// A prober makes one message again and again, of resources in which something is altered. It is their Source.
type prober struct {
	ctx               context.Context //nolint:containedctx // of one call of Lost
	c                 Change
	o                 Options
	src               Source
	own, visit, other string            // references of what the change brings along
	refs              []string          // what was read, in that order
	read              map[string]object // the same, as it is altered now
	raw               map[string][]byte // the same, not altered; nil: there is no such resource
	altered           string            // which of them is
	said              []byte
	list              []Missing
	left              int // how many messages it may make; below 0: there was more to try
}

// keep takes a resource that was read; "" is the reference of none.
func (p *prober) keep(b []byte) (string, error) {
	if b == nil {
		return "", nil
	}
	o := decode(b)
	if o == nil {
		return "", ErrJSON
	}
	ref := str(o["resourceType"]) + "/" + str(o["id"])
	if _, known := p.read[ref]; !known {
		p.refs, p.read[ref], p.raw[ref] = append(p.refs, ref), o, b
	}
	return ref, nil
}

// Read implements Source.
func (p *prober) Read(ctx context.Context, ref string) ([]byte, error) {
	if b, known := p.raw[ref]; known || p.src == nil {
		if ref == p.altered {
			return p.now(ref), nil
		}
		return b, nil
	}
	b, err := p.src.Read(ctx, ref)
	if err != nil {
		return nil, err
	}
	p.raw[ref] = b
	if o := decode(b); o != nil {
		p.refs, p.read[ref] = append(p.refs, ref), o
	}
	return b, nil
}

// now is a resource as it is altered.
func (p *prober) now(ref string) []byte {
	b, err := json.Marshal(p.read[ref])
	if err != nil {
		return nil // what was decoded can be encoded
	}
	return b
}

// below lists what is missing of an element and of what it consists of.
func (p *prober) below(ref, path string, v any, root bool) {
	children := func(name string, x any, put func(any)) {
		if p.left < 0 || p.ctx.Err() != nil {
			return
		}
		lost, alterable := true, false
		for _, way := range []func(string) string{func(s string) string { return s + "~" }, func(s string) string { return "~" + s }} {
			y, did := alter(x, way)
			if alterable = did; !did {
				break
			}
			put(y)
			lost = lost && p.same(ref)
			put(x)
			if !lost {
				break
			}
		}
		switch {
		case !alterable:
		case lost:
			p.list = append(p.list, Missing{ref, path + name})
		default:
			p.below(ref, path+name, x, false)
		}
	}
	switch x := v.(type) {
	case object:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if !fixed(k) && (!root || k != "meta" && k != "text") {
				children("."+k, x[k], func(y any) { x[k] = y })
			}
		}
	case []any:
		for i := range x {
			children(fmt.Sprintf("[%d]", i), x[i], func(y any) { x[i] = y })
		}
	}
}

// same says whether the message is what it was before a resource was altered.
func (p *prober) same(ref string) bool {
	if p.left--; p.left < 0 {
		return false
	}
	p.altered = ref
	defer func() { p.altered = "" }()
	c := p.c
	for at, b := range map[string]*[]byte{p.own: &c.Resource, p.visit: &c.Encounter, p.other: &c.Other} {
		if at == ref {
			*b = p.now(ref)
		}
	}
	b, err := Map(p.ctx, c, p, p.o)
	return err == nil && bytes.Equal(b, p.said)
}

// fixed are the names that say what an element is, not what it says.
func fixed(name string) bool { return name == "resourceType" || name == "id" }

// alter returns a copy in which every value is another one, texts by way; false: there is none.
func alter(v any, way func(string) string) (out any, did bool) {
	switch x := v.(type) {
	case object:
		c := make(object, len(x))
		for k, e := range x {
			if c[k] = e; !fixed(k) {
				y, other := alter(e, way)
				c[k], did = y, did || other
			}
		}
		return c, did
	case []any:
		c := make([]any, len(x))
		for i, e := range x {
			y, other := alter(e, way)
			c[i], did = y, did || other
		}
		return c, did
	case string:
		return way(x), true
	case json.Number:
		if x == "0" || x == "-0" { // 01 is no number
			x = ""
		}
		return json.Number(x.String() + "1"), true
	case bool:
		return !x, true
	}
	return v, false
}
