package index

import (
	"strings"

	"salus/fhir/element"
	"salus/fhir/search"
)

// A walk is one reading of a resource.
type walk struct {
	index   *Index
	root    element.Node
	entries []search.Entry
	group   int    // of the composite value under way; 0 for none
	have    uint64 // its parts that have an entry
	counts  []int  // groups that each composite has had
	few     [16]int

	contained map[string]string // types by id, once they are wanted
}

// visit reads a value that is at n.
func (w *walk) visit(n *node, v element.Node) {
	for i := range n.give {
		w.emit(&n.give[i], v)
	}
	for i := range n.when {
		if f := &n.when[i]; w.holds(&f.step, v) {
			w.visit(f.to, v)
		}
	}
	for _, c := range n.groups {
		w.compose(c, v)
	}
	if len(n.edges) == 0 || v.Kind() != element.Object {
		return
	}
	for m := range v.Children() {
		to := n.to(m.Name())
		if to == nil || m.Kind() == element.Null {
			continue
		}
		if m.Kind() != element.Array {
			w.visit(to, m)
			for i := range to.nths {
				if to.nths[i].nth == 0 {
					w.visit(to.nths[i].to, m)
				}
			}
			continue
		}
		i := 0
		for item := range m.Children() {
			if item.Kind() == element.Null {
				continue
			}
			w.visit(to, item)
			for j := range to.nths {
				if to.nths[j].nth == i {
					w.visit(to.nths[j].to, item)
				}
			}
			i++
		}
	}
}

// holds decides a where(...).
func (w *walk) holds(s *step, v element.Node) bool {
	if s.op == equals {
		x := v.Get(s.name)
		return x.Kind() == element.String && x.Text() == s.want
	}
	return w.leadsTo(v, s.name)
}

// leadsTo decides resolve() is typ: by the type that the reference is written with, the contained
// resource that it names, or Reference.type.
func (w *walk) leadsTo(ref element.Node, typ string) bool {
	is := func(name string) bool { return name != "" && (name == typ || w.index.model.Type(name).Is(typ)) }
	text := ref.Get("reference").Text()
	if id, ok := strings.CutPrefix(text, "#"); ok {
		if id == "" {
			return is(w.root.Get("resourceType").Text())
		}
		return is(w.typeWithin(id))
	}
	if t := w.index.typeIn(text); t != "" {
		return is(t)
	}
	return is(ref.Get("type").Text())
}

// typeWithin is the type of a contained resource. It notes all of them at once: there may be as many
// as references to them.
func (w *walk) typeWithin(id string) string {
	if w.contained == nil {
		w.contained = map[string]string{}
		for c := range w.root.Get("contained").Children() {
			if of := c.Get("id").Text(); of != "" && w.contained[of] == "" {
				w.contained[of] = c.Get("resourceType").Text()
			}
		}
	}
	return w.contained[id]
}

// typeIn reads the type out of Type/id and http://host/fhir/Type/id.
func (x *Index) typeIn(ref string) string {
	ref, _, _ = strings.Cut(ref, "/_history/")
	ref, _, _ = strings.Cut(ref, "|")
	end := strings.LastIndexByte(ref, '/')
	if end < 0 {
		return ""
	}
	name := ref[strings.LastIndexByte(ref[:end], '/')+1 : end]
	if x.Known(name) {
		return name
	}
	return ""
}

// compose reads one value of a composite.
func (w *walk) compose(c *composite, v element.Node) {
	if w.group > 0 {
		return // composites of composites do not exist
	}
	from := len(w.entries)
	w.group, w.have = w.counts[c.index]+1, 0
	w.visit(c.here, v)
	if c.there != nil {
		w.visit(c.there, w.root)
	}
	if w.have == c.all {
		w.counts[c.index]++
	} else {
		w.entries = w.entries[:from]
	}
	w.group = 0
}
