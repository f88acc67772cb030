package state

import (
	"bytes"
	"crypto/sha256"
	"math/bits"
	"slices"
)

// An op sets or removes one leaf.
type op struct {
	path  [32]byte
	leaf  entry // with its hash
	gone  bool
	moved bool // the leaf was there before and only moves down
	row   int  // index of the row, for the caller
}

// set makes o the op of a change.
func (o *op) set(c *rowChange) {
	o.leaf.key = sha256.Sum256(c.key)
	o.path = o.leaf.path()
	if o.gone = c.gone; !c.gone {
		o.leaf.value = sha256.Sum256(c.value)
		o.leaf.hash = leafHash(&o.path, &o.leaf.value)
	}
}

// sortOps puts ops in the order of their paths.
func sortOps(ops []op) {
	slices.SortFunc(ops, func(a, b op) int { return bytes.Compare(a.path[:], b.path[:]) })
}

// A tree applies ops to pages. It belongs to the writer.
type tree struct {
	pages  *pageCache                     // of the last committed version
	read   func(k pageKey, p *page) error // what the cache does not hold, into p
	write  func(k pageKey, p *page)       // p is nil for a page that is no more
	effect func(o *op)                    // called for each op that changes a row
	work   [maxDepth]struct {             // of update, by depth
		old     page // read from the database
		entries [pageSlots]entry
	}
}

// maxDepth is the number of pages on the longest path.
const maxDepth = 256 / pageBits

// A node is what update makes of a subtree.
type node struct {
	kind  nodeKind
	same  bool // nothing changed
	entry entry
}

type nodeKind uint8

const (
	nodeEmpty nodeKind = iota
	nodeLeaf
	nodePage
)

// apply applies ops, sorted by path and without two of one path, and returns
// the new root hash. It leaves root alone if nothing changes.
func (t *tree) apply(root [32]byte, ops []op) ([32]byte, error) {
	if len(ops) == 0 {
		return root, nil
	}
	var k pageKey
	var old *page
	if root != zeroHash {
		var err error
		if old, err = t.page(k); err != nil {
			return root, err
		}
	}
	n, err := t.update(k, old, ops)
	switch {
	case err != nil || n.same:
		return root, err
	case n.kind == nodeEmpty:
		return zeroHash, nil
	}
	return n.entry.hash, nil
}

// page returns a page that is there. It is good until the next page of that
// depth is asked for. What is read is not cached: the changed page will be.
func (t *tree) page(k pageKey) (*page, error) {
	if p := t.pages.get(k); p != nil {
		return p, nil
	}
	p := &t.work[k.n].old
	return p, t.read(k, p)
}

// update applies ops to the page k, which is old, or nil for none; then all ops
// set leaves.
func (t *tree) update(k pageKey, old *page, ops []op) (node, error) {
	var next struct {
		leaves, inner uint16
		known         uint32
	}
	entries := t.work[k.n].entries[:0]
	var changed uint16
	before := 0 // entries of old so far
	for slot := range pageSlots {
		bit := uint16(1) << slot
		n := 0
		for n < len(ops) && k.slot(&ops[n].path) == slot {
			n++
		}
		mine := ops[:n]
		ops = ops[n:]
		var was *entry
		if old != nil && old.occupied()&bit != 0 {
			was = &old.entries[before]
			before++
		}
		var got node
		var err error
		switch {
		case n == 0:
			got.same = true
		case was != nil && old.inner&bit != 0:
			c := k.child(slot)
			var below *page
			if below, err = t.page(c); err == nil {
				got, err = t.update(c, below, mine)
			}
		default:
			got, err = t.place(k, slot, was, mine)
		}
		if err != nil {
			return node{}, err
		}
		if got.same {
			if was != nil {
				entries = append(entries, *was)
				next.leaves |= old.leaves & bit
				next.inner |= old.inner & bit
				next.known |= old.known & (1 << (pageSlots + slot))
			}
			continue
		}
		changed |= bit
		switch got.kind {
		case nodeLeaf:
			next.leaves |= bit
		case nodePage:
			next.inner |= bit
		case nodeEmpty:
			continue
		}
		entries = append(entries, got.entry)
		next.known |= 1 << (pageSlots + slot)
	}
	if changed == 0 {
		return node{same: true}, nil
	}
	if k.n > 0 && next.inner == 0 && len(entries) <= 1 || len(entries) == 0 {
		if old != nil {
			t.write(k, nil)
		}
		if len(entries) == 0 {
			return node{kind: nodeEmpty}, nil
		}
		// A leaf that comes up from an old slot may not have been hashed yet.
		if next.known == 0 {
			path := entries[0].path()
			entries[0].hash = leafHash(&path, &entries[0].value)
		}
		return node{kind: nodeLeaf, entry: entries[0]}, nil
	}
	p := &page{leaves: next.leaves, inner: next.inner, known: next.known, entries: slices.Clone(entries)}
	p.shape()
	if old != nil {
		same := p.forks & old.forks & uint16(old.known)
		for m := same; m != 0; m &= m - 1 {
			if i := bits.TrailingZeros16(m); slots(i)&changed == 0 {
				*p.node(i) = *old.node(i)
				p.known |= 1 << i
			}
		}
	}
	t.write(k, p)
	return node{kind: nodePage, entry: entry{hash: *p.hash(1)}}, nil
}

// place applies ops to a slot that is empty or the leaf was.
func (t *tree) place(k pageKey, slot int, was *entry, ops []op) (node, error) {
	if was == nil && len(ops) == 1 && !ops[0].gone { // by far the most frequent
		t.took(&ops[0])
		return node{kind: nodeLeaf, entry: ops[0].leaf}, nil
	}
	var wasOp op
	if was != nil {
		wasOp = op{path: was.path(), leaf: *was, moved: true}
		wasOp.leaf.hash = leafHash(&wasOp.path, &was.value)
	}
	live := make([]op, 0, len(ops)+1)
	kept := was == nil
	same := true
	for i := range ops {
		o := &ops[i]
		switch c := bytes.Compare(wasOp.path[:], o.path[:]); {
		case kept:
		case c < 0:
			live, kept = append(live, wasOp), true
		case c == 0:
			kept = true
			if !o.gone && o.leaf.sameLeaf(was) {
				live = append(live, wasOp)
				continue
			}
			t.took(o)
			same = false
			if !o.gone {
				moved := *o
				moved.moved = true // reported already
				live = append(live, moved)
			}
			continue
		}
		if !o.gone {
			same = false
			live = append(live, *o)
		}
	}
	if !kept {
		live = append(live, wasOp)
	}
	switch {
	case same:
		return node{same: true}, nil
	case len(live) == 0:
		return node{kind: nodeEmpty}, nil
	case len(live) == 1:
		t.took(&live[0])
		return node{kind: nodeLeaf, entry: live[0].leaf}, nil
	}
	return t.update(k.child(slot), nil, live)
}

// took reports an op that changes a row, once.
func (t *tree) took(o *op) {
	if !o.moved {
		t.effect(o)
	}
}
