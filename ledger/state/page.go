package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// The tree is cut into pages of four levels. A page at depth n nibbles has 16
// slots, one per value of the next nibble of the path. A slot is empty, a leaf
// (the only one below it), or the root of another page. A page with a single
// leaf and nothing else does not exist: the leaf stands in the page above. So
// the pages are a function of the rows.
const (
	pageBits  = 4
	pageSlots = 1 << pageBits
)

var errPage = errors.New("tree page is malformed")

// A pageKey names a page: the first n nibbles of the paths below it.
type pageKey struct {
	n    uint8
	path [32]byte // zero after n nibbles
}

// slot returns the slot of path in the page k.
func (k *pageKey) slot(path *[32]byte) int {
	b := path[k.n/2]
	if k.n%2 == 0 {
		return int(b >> 4)
	}
	return int(b & 15)
}

// child returns the key of the page below a slot.
func (k *pageKey) child(slot int) pageKey {
	c := pageKey{n: k.n + 1, path: k.path}
	if k.n%2 == 0 {
		c.path[k.n/2] |= byte(slot) << 4
	} else {
		c.path[k.n/2] |= byte(slot)
	}
	return c
}

// append appends the database key of the page.
func (k *pageKey) append(b []byte) []byte {
	b = append(b, spacePage, k.n)
	return append(b, k.path[:(k.n+1)/2]...)
}

// An entry is an occupied slot.
type entry struct {
	hash       [32]byte // of the leaf (once known) or of the page below
	key, value [32]byte // of a leaf: SHA-256 of the row's key and of its value
}

// path returns the place of a leaf in the tree. ICS23 hashes the key again, so
// the tree's key is already a hash.
func (e *entry) path() [32]byte { return sha256.Sum256(e.key[:]) }

func (e *entry) sameLeaf(f *entry) bool { return e.key == f.key && e.value == f.value }

// leafHash is ICS23's SmtSpec leaf: SHA-256(0 || SHA-256(key) || SHA-256(value)).
func leafHash(path, value *[32]byte) [32]byte {
	var b [65]byte
	copy(b[1:], path[:])
	v := sha256.Sum256(value[:])
	copy(b[33:], v[:])
	return sha256.Sum256(b[:])
}

// nodeHash is ICS23's SmtSpec inner node: SHA-256(1 || left || right); an empty
// child is 32 zero bytes.
func nodeHash(left, right *[32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// A page in memory. Its 31 nodes are numbered as in a heap: 1 is the root, 2i
// and 2i+1 are below i, 16+s is slot s.
type page struct {
	leaves  uint16     // slots that are leaves
	inner   uint16     // slots that are pages
	forks   uint16     // nodes 1..15 that are inner nodes of the tree
	known   uint32     // nodes whose hash is computed
	nodes   [][32]byte // hashes of the forks, in order
	entries []entry    // the occupied slots, in order
}

// size is about the memory the page takes, in bytes.
func (p *page) size() int64 { return 96 + 34*int64(len(p.nodes)) + 102*int64(len(p.entries)) }

func (p *page) occupied() uint16 { return p.leaves | p.inner }

// shape prepares the page for hashes once its slots are known.
func (p *page) shape() {
	p.forks = 0
	for node := 1; node < pageSlots; node++ {
		if m := slots(node); p.inner&m != 0 || bits.OnesCount16(p.leaves&m) > 1 {
			p.forks |= 1 << node
		}
	}
	n := bits.OnesCount16(p.forks)
	p.nodes = slices.Grow(p.nodes[:0], n)[:n]
}

// entry returns the entry of an occupied slot.
func (p *page) entry(slot int) *entry {
	return &p.entries[bits.OnesCount16(p.occupied()&(1<<slot-1))]
}

// node returns where the hash of a fork is kept.
func (p *page) node(node int) *[32]byte {
	return &p.nodes[bits.OnesCount16(p.forks&(1<<node-1))]
}

// masks holds the slots under each node.
var masks = func() (m [2 * pageSlots]uint16) {
	for node := 1; node < len(m); node++ {
		level := bits.Len(uint(node)) - 1
		width := pageSlots >> level
		m[node] = uint16((1<<width - 1) << ((node - 1<<level) * width))
	}
	return m
}()

// slots returns the slots under a node as a mask.
func slots(node int) uint16 { return masks[node] }

// single reports whether the node is one leaf alone, which then stands for it,
// and in which slot the leaf is.
func (p *page) single(node int) (slot int, ok bool) {
	m := slots(node)
	if p.inner&m != 0 || bits.OnesCount16(p.leaves&m) != 1 {
		return 0, false
	}
	return bits.TrailingZeros16(p.leaves & m), true
}

// empty reports whether there is nothing under a node.
func (p *page) empty(node int) bool { return p.occupied()&slots(node) == 0 }

var zeroHash [32]byte

// hash returns the hash of a node and remembers what it computes.
func (p *page) hash(node int) *[32]byte {
	if node < pageSlots && p.forks&(1<<node) != 0 {
		h := p.node(node)
		if p.known&(1<<node) == 0 {
			*h = nodeHash(p.hash(2*node), p.hash(2*node+1))
			p.known |= 1 << node
		}
		return h
	}
	m := p.occupied() & slots(node)
	if m == 0 {
		return &zeroHash
	}
	slot := bits.TrailingZeros16(m) // the only one: node is no fork
	e := p.entry(slot)
	if p.known&(1<<(pageSlots+slot)) == 0 {
		if p.leaves&m != 0 {
			path := e.path()
			e.hash = leafHash(&path, &e.value)
		}
		p.known |= 1 << (pageSlots + slot)
	}
	return &e.hash
}

// append appends the bytes of the page: the two masks, big endian, then each
// occupied slot: key and value hash of a leaf, the hash of a page.
func (p *page) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.leaves)
	b = binary.BigEndian.AppendUint16(b, p.inner)
	i := 0
	for m := p.occupied(); m != 0; m &= m - 1 {
		e := &p.entries[i]
		if p.leaves&m&-m != 0 {
			b = append(append(b, e.key[:]...), e.value[:]...)
		} else {
			b = append(b, e.hash[:]...)
		}
		i++
	}
	return b
}

// length returns how many bytes append appends.
func (p *page) length() int {
	return 4 + 64*bits.OnesCount16(p.leaves) + 32*bits.OnesCount16(p.inner)
}

// decodePage reads the bytes of a page into p, whose memory it uses, and
// refuses all but what append gives.
func decodePage(b []byte, p *page) error {
	if len(b) < 4 {
		return errPage
	}
	p.leaves, p.inner, p.known = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), 0
	b = b[4:]
	if p.leaves&p.inner != 0 || p.occupied() == 0 ||
		len(b) != p.length()-4 {
		return errPage
	}
	p.entries = slices.Grow(p.entries[:0], bits.OnesCount16(p.occupied()))
	for m := p.occupied(); m != 0; m &= m - 1 {
		p.entries = p.entries[:len(p.entries)+1]
		e := &p.entries[len(p.entries)-1]
		if p.leaves&m&-m != 0 {
			b = b[copy(e.key[:], b):]
			b = b[copy(e.value[:], b):]
		} else {
			b = b[copy(e.hash[:], b):]
		}
	}
	p.shape()
	return nil
}

// under reports whether every leaf of the page lies where its path says.
func (p *page) under(k pageKey) bool {
	i := 0
	for m := p.occupied(); m != 0; m &= m - 1 {
		slot := bits.TrailingZeros16(m)
		if p.leaves&(1<<slot) != 0 {
			path := p.entries[i].path()
			c := k.child(slot)
			if !bytes.Equal(path[:c.n/2], c.path[:c.n/2]) || c.n%2 == 1 && path[c.n/2]>>4 != c.path[c.n/2]>>4 {
				return false
			}
		}
		i++
	}
	return true
}
