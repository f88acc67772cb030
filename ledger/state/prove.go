package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	ics23 "github.com/cosmos/ics23/go"
	"github.com/transparency-dev/merkle/proof"
)

// ErrRange is the error of asking for a proof beyond the log's size.
var ErrRange = errors.New("state: beyond the end of the log")

// ProveKey proves the value under key, or that there is none.
func (v *View) ProveKey(key []byte) (*KeyProof, error) {
	p := &KeyProof{LogRoot: v.Meta().LogRoot, LogSize: v.Meta().LogSize}
	if v.Meta().TreeRoot == zeroHash {
		return p, nil
	}
	target := entry{key: sha256.Sum256(key)}
	path := target.path()
	at, err := v.descend(&path)
	if err != nil {
		return nil, err
	}
	var c ics23.CommitmentProof
	if at.leaf != nil && at.leaf.key == target.key {
		c.Proof = &ics23.CommitmentProof_Exist{Exist: at.existence()}
	} else {
		n := &ics23.NonExistenceProof{Key: target.key[:]}
		if n.Left, n.Right, err = v.neighbours(&path, at); err != nil {
			return nil, err
		}
		c.Proof = &ics23.CommitmentProof_Nonexist{Nonexist: n}
	}
	if p.Proof, err = c.Marshal(); err != nil {
		return nil, fmt.Errorf("state: prove: %w", err)
	}
	return p, nil
}

// A place is where a path ends in the tree: at a leaf, its own or another, or
// at nothing.
type place struct {
	leaf  *entry
	steps []step // from the root down
}

// A step goes down one level.
type step struct {
	page    *page
	key     pageKey
	sibling int // the node of page not taken
	right   bool
	hash    [32]byte // of the sibling
}

// descend follows path from the root as far as the tree goes.
func (v *View) descend(path *[32]byte) (*place, error) {
	at := &place{}
	var k pageKey
	p, err := readPage(v.version.snap, k)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	node := 1
	for depth := 0; ; {
		if p.empty(node) {
			return at, nil
		}
		if slot, ok := p.single(node); ok {
			at.leaf = p.entry(slot)
			return at, nil
		}
		if node >= pageSlots {
			k = k.child(node - pageSlots)
			if p, err = readPage(v.version.snap, k); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			node = 1
			continue
		}
		right := path[depth/8]>>(7-depth%8)&1 == 1
		s := step{page: p, key: k, sibling: 2 * node, right: right}
		node = 2*node + 1
		if !right {
			s.sibling, node = node, s.sibling
		}
		s.hash = *p.hash(s.sibling)
		at.steps = append(at.steps, s)
		depth++
	}
}

// existence returns the ICS23 proof of the leaf.
func (a *place) existence() *ics23.ExistenceProof {
	ops := make([]*ics23.InnerOp, 0, len(a.steps))
	for i := len(a.steps) - 1; i >= 0; i-- {
		s := &a.steps[i]
		op := &ics23.InnerOp{Hash: ics23.HashOp_SHA256, Prefix: []byte{1}}
		if s.right {
			op.Prefix = append(op.Prefix, s.hash[:]...)
		} else {
			op.Suffix = s.hash[:]
		}
		ops = append(ops, op)
	}
	return &ics23.ExistenceProof{
		Key:   a.leaf.key[:],
		Value: a.leaf.value[:],
		Leaf:  ics23.SmtSpec.LeafSpec,
		Path:  ops,
	}
}

// neighbours proves the leaves next to path, where there is none.
func (v *View) neighbours(path *[32]byte, at *place) (left, right *ics23.ExistenceProof, err error) {
	var l, r *entry
	if at.leaf != nil {
		if p := at.leaf.path(); bytes.Compare(p[:], path[:]) < 0 {
			l = at.leaf
		} else {
			r = at.leaf
		}
	}
	for i := len(at.steps) - 1; i >= 0 && (l == nil || r == nil); i-- {
		s := &at.steps[i]
		if s.hash == zeroHash {
			continue
		}
		if s.right && l == nil {
			l, err = v.edge(s, true)
		} else if !s.right && r == nil {
			r, err = v.edge(s, false)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if left, err = v.exists(l); err == nil {
		right, err = v.exists(r)
	}
	return left, right, err
}

// edge returns the last or first leaf under the sibling of a step.
func (v *View) edge(s *step, last bool) (*entry, error) {
	p, k, mask := s.page, s.key, slots(s.sibling)
	for {
		m := p.occupied() & mask
		if m == 0 {
			return nil, fmt.Errorf("%w: tree page: empty", ErrCorrupt)
		}
		slot := bits.TrailingZeros16(m)
		if last {
			slot = bits.Len16(m) - 1
		}
		if p.leaves&(1<<slot) != 0 {
			return p.entry(slot), nil
		}
		k = k.child(slot)
		var err error
		if p, err = readPage(v.version.snap, k); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		mask = slots(1)
	}
}

// exists proves a leaf of the tree; nil for nil.
func (v *View) exists(e *entry) (*ics23.ExistenceProof, error) {
	if e == nil {
		return nil, nil
	}
	path := e.path()
	at, err := v.descend(&path)
	if err != nil {
		return nil, err
	}
	if at.leaf == nil || !at.leaf.sameLeaf(e) {
		return nil, fmt.Errorf("%w: tree: a leaf is not where its path leads", ErrCorrupt)
	}
	return at.existence(), nil
}

// ProveEntry proves the log entry at index. Errors: ErrRange, ErrCorrupt.
func (v *View) ProveEntry(index uint64) (*EntryProof, error) {
	m := v.Meta()
	if index >= m.LogSize {
		return nil, ErrRange
	}
	nodes, err := proof.Inclusion(index, m.LogSize)
	if err != nil {
		return nil, fmt.Errorf("state: prove: %w", err)
	}
	path, err := v.logPath(nodes)
	return &EntryProof{Path: path, TreeRoot: m.TreeRoot, LogSize: m.LogSize}, err
}

// ProveExtension proves that the log only grew since it had oldSize entries.
// Errors: ErrRange, ErrCorrupt.
func (v *View) ProveExtension(oldSize uint64) (*ExtensionProof, error) {
	m := v.Meta()
	if oldSize > m.LogSize {
		return nil, ErrRange
	}
	nodes, err := proof.Consistency(oldSize, m.LogSize)
	if err != nil {
		return nil, fmt.Errorf("state: prove: %w", err)
	}
	path, err := v.logPath(nodes)
	return &ExtensionProof{Path: path, New: m.Roots()}, err
}

// logPath reads the nodes of a proof and joins those that the proof wants joined.
func (v *View) logPath(nodes proof.Nodes) ([][32]byte, error) {
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		var err error
		if hashes[i], err = readNode(v.version.snap, id); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	hashes, err := nodes.Rehash(hashes, logHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("state: prove: %w", err)
	}
	path := make([][32]byte, len(hashes))
	for i, h := range hashes {
		path[i] = [32]byte(h)
	}
	return path, nil
}
