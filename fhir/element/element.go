package element

// An Element is one FHIR element: a value, a primitive's "_" sibling, or both, with its
// type. The type is nil where the definitions know none. The zero Element is absent.
type Element struct {
	tree     *Tree
	typ      *Type
	val, ext uint32 // nodes, counted from 1; 0 for none
}

// as sets the type; a resource's is told by its resourceType.
func (e Element) as(t *Type) Element {
	e.typ = t
	if t != nil && t.Kind == Resource && e.val != 0 {
		n := Node{e.tree, e.val - 1}
		if name := n.Get("resourceType"); name.Kind() == String {
			if r := t.Model.types[name.Text()]; r != nil && r.Kind == Resource {
				e.typ = r
			} else {
				e.typ = nil
			}
		}
	}
	return e
}

// IsZero reports whether the element is absent.
func (e Element) IsZero() bool { return e.tree == nil }

// Type returns the element's type, or nil.
func (e Element) Type() *Type { return e.typ }

// Tree returns the tree that the element is in.
func (e Element) Tree() *Tree { return e.tree }

// Value returns the element's own node; absent for a primitive that has only extensions.
func (e Element) Value() Node {
	if e.val == 0 || e.tree.nodes[e.val-1].kind == Null {
		return Node{}
	}
	return Node{e.tree, e.val - 1}
}

// Extra returns the object of a primitive's "_" sibling, or the zero Node.
func (e Element) Extra() Node {
	if e.ext == 0 || e.tree.nodes[e.ext-1].kind != Object {
		return Node{}
	}
	return Node{e.tree, e.ext - 1}
}

// Same reports whether both are the same place in the same tree.
func (e Element) Same(o Element) bool { return e.tree == o.tree && e.val == o.val && e.ext == o.ext }

// Path returns the place in the manner of FHIRPath (see Node.Path).
func (e Element) Path() string {
	switch {
	case e.val != 0:
		return Node{e.tree, e.val - 1}.Path()
	case e.ext != 0:
		return Node{e.tree, e.ext - 1}.Path()
	}
	return ""
}

// object returns the index of the node that holds the children.
func (e Element) object() (at uint32, ok bool) {
	if e.val != 0 && e.tree.nodes[e.val-1].kind == Object {
		return e.val - 1, true
	}
	if e.ext != 0 && e.tree.nodes[e.ext-1].kind == Object {
		return e.ext - 1, true
	}
	return 0, false
}

// A Cursor walks some children of an element. The zero Cursor is at its end.
type Cursor struct {
	tree     *Tree
	typ      *Type  // of what item and extra yield
	parent   *Type  // of the children that remain, if all are wanted
	at, end  uint32 // members that remain, if all are wanted
	item     uint32 // next value or array element
	itemEnd  uint32
	extra    uint32 // next "_" value or array element
	extraEnd uint32
}

// Select returns the children with a name, which sym stands for in the model. A choice is
// found by its name without type.
func (e Element) Select(name string, sym Sym) Cursor {
	at, ok := e.object()
	if !ok {
		return Cursor{}
	}
	c := Cursor{tree: e.tree}
	if e.typ == nil {
		if i := e.tree.member(at, name); i != 0 {
			c.start(i, nil)
		} else if i = e.tree.member(at, "_"+name); i != 0 {
			c.start(i, nil)
		}
		return c
	}
	for i, s := range e.typ.syms {
		if s == sym && sym != 0 {
			c.find(at, &e.typ.Fields[i])
			break
		}
	}
	return c
}

// find starts the cursor at the members that hold a field.
func (c *Cursor) find(at uint32, f *Field) {
	t := c.tree
	if !f.Choice {
		var typ *Type
		if len(f.Types) > 0 {
			typ = f.Types[0].Type
		}
		for i, end := at+1, t.nodes[at].next; i < end; i = t.nodes[i].next {
			if d := &t.nodes[i]; d.flags&(underscore|nameEscaped) == 0 {
				if int(d.nameLen) == len(f.Name) && string(t.src[d.name:d.name+uint32(d.nameLen)]) == f.Name {
					c.start(i, typ)
					return
				}
			} else if d.twin == 0 || d.flags&underscore == 0 {
				if n := t.nameOf(i); n == f.Name || len(n) > 0 && n[0] == '_' && n[1:] == f.Name {
					c.start(i, typ)
					return
				}
			}
		}
		return
	}
	for i, end := at+1, t.nodes[at].next; i < end; i = t.nodes[i].next {
		d := &t.nodes[i]
		if int(d.nameLen) <= len(f.Name) || d.flags&underscore != 0 && d.twin != 0 {
			continue
		}
		n := t.nameOf(i)
		if d.flags&underscore != 0 {
			n = n[1:]
		}
		if len(n) <= len(f.Name) || n[:len(f.Name)] != f.Name {
			continue
		}
		for j := range f.Types {
			if f.Types[j].JSON == n {
				c.start(i, f.Types[j].Type)
				return
			}
		}
	}
}

// start makes the cursor yield the values of member i, joined with its twin.
func (c *Cursor) start(i uint32, typ *Type) {
	c.typ = typ
	c.item, c.itemEnd, c.extra, c.extraEnd = 0, 0, 0, 0
	d := &c.tree.nodes[i]
	main, extra := i+1, d.twin+1
	if d.flags&underscore != 0 && (typ == nil || typ.Kind == Primitive) {
		main, extra = d.twin+1, i+1
	}
	if main > 1 {
		c.item, c.itemEnd = c.tree.span(main - 1)
	}
	if extra > 1 {
		c.extra, c.extraEnd = c.tree.span(extra - 1)
	}
}

// span returns the values of a member: itself, or the elements of an array.
func (t *Tree) span(i uint32) (from, to uint32) {
	if d := &t.nodes[i]; d.kind == Array {
		return i + 1, d.next
	}
	return i, i + 1
}

// Children returns all children in the order of the input; resourceType is none.
func (e Element) Children() Cursor {
	at, ok := e.object()
	if !ok {
		return Cursor{}
	}
	return Cursor{tree: e.tree, parent: e.typ, at: at + 1, end: e.tree.nodes[at].next}
}

// Next returns the next child, and false after the last.
func (c *Cursor) Next() (Element, bool) {
	for {
		if c.item < c.itemEnd || c.extra < c.extraEnd {
			e := Element{tree: c.tree}
			if c.item < c.itemEnd {
				e.val = c.item + 1
				if c.item = c.tree.nodes[c.item].next; c.item > c.itemEnd {
					c.item = c.itemEnd // a lone object: its subtree is not walked
				}
			}
			if c.extra < c.extraEnd {
				e.ext = c.extra + 1
				if c.extra = c.tree.nodes[c.extra].next; c.extra > c.extraEnd {
					c.extra = c.extraEnd
				}
			}
			if e.Value().t == nil && e.Extra().t == nil { // null on both sides
				continue
			}
			return e.as(c.typ), true
		}
		if c.at >= c.end {
			return Element{}, false
		}
		i := c.at
		c.at = c.tree.nodes[i].next
		d := &c.tree.nodes[i]
		if d.flags&underscore != 0 && d.twin != 0 {
			continue // yielded with its twin
		}
		name := c.tree.nameOf(i)
		if name == "resourceType" && (c.parent == nil || c.parent.Kind == Resource) {
			continue
		}
		if d.flags&underscore != 0 {
			name = name[1:]
		}
		if _, o := c.parent.Member(name); o != nil {
			c.start(i, o.Type)
		} else {
			c.start(i, nil)
		}
	}
}
