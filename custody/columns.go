package custody

import (
	"encoding/binary"
	"slices"

	"salus/seal"
	"salus/vault"
)

// A custodian keeps the manifest of every batch for as long as the batch lives, so its rows
// are laid out in columns: a record costs what cannot be had otherwise (id, hash, its
// share) and some three bytes.

// manifestRow is what Locate answers from.
type manifestRow struct {
	Entries    []seal.Entry
	ShareRoots [][32]byte
	Pack       [32]byte
	Erased     []erasedEntry // records erased by themselves, by position; their entries are empty but for the kind
}

// An erasedEntry is what stays of a record's entry: with it the others' paths are as they were.
type erasedEntry struct {
	Index int
	Leaf  [32]byte
}

// leaves are the leaves of the manifest's tree.
func (m *manifestRow) leaves() [][32]byte {
	out := make([][32]byte, len(m.Entries))
	for i := range m.Entries {
		out[i] = m.Entries[i].Leaf(i)
	}
	for _, e := range m.Erased {
		out[e.Index] = e.Leaf
	}
	return out
}

// gone reports whether the record at that position was erased by itself.
func (m *manifestRow) gone(i int) bool {
	return slices.ContainsFunc(m.Erased, func(e erasedEntry) bool { return e.Index == i })
}

// erase empties the entry at that position.
func (m *manifestRow) erase(i int, leaf [32]byte) {
	m.Entries[i] = seal.Entry{Kind: m.Entries[i].Kind}
	m.Erased = append(m.Erased, erasedEntry{i, leaf})
	slices.SortFunc(m.Erased, func(a, b erasedEntry) int { return a.Index - b.Index })
}

// A Blob is a piece of ciphertext that is erased, and the record it was of.
type Blob struct {
	Address vault.Address
	Record  [16]byte
}

// blobs are the ciphertext of the entries at these positions, or of all.
func (m *manifestRow) blobs(of ...int) (out []Blob) {
	for i := range m.Entries {
		if len(of) > 0 && !slices.Contains(of, i) || m.gone(i) {
			continue
		}
		out = append(out, Blob{m.Entries[i].Ciphertext, m.Entries[i].ID})
		if meta := m.Entries[i].Meta; meta != [32]byte{} {
			out = append(out, Blob{meta, m.Entries[i].ID})
		}
	}
	return out
}

const (
	manifestVersion = 1
	manifestErased  = 2 // with erased records
)

// The layout: version (1, or 2 with erased records) ‖ pack (32) ‖ n (1) ‖ n share roots (32 each) ‖ count B (2) ‖ masks ‖
// kinds ‖ metas ‖ B sizes (uvarint) ‖ B ids (16 each) ‖ B ciphertext hashes
// (32 each) ‖ if there are erased records, their number (2) ‖ of each its position (2) and leaf (32).
func (m *manifestRow) encode() []byte {
	b := make([]byte, 0, 64+32*len(m.ShareRoots)+64*len(m.Entries))
	version := byte(manifestVersion)
	if len(m.Erased) > 0 {
		version = manifestErased
	}
	b = append(append(b, version), m.Pack[:]...)
	b = append(b, byte(len(m.ShareRoots)))
	for i := range m.ShareRoots {
		b = append(b, m.ShareRoots[i][:]...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Entries)))
	slots := make([]uint64, len(m.Entries))
	for i := range m.Entries {
		slots[i] = m.Entries[i].Slots
	}
	b = appendMasks(b, slots)
	b = appendMetas(appendKinds(b, m.Entries), m.Entries)
	for i := range m.Entries {
		b = binary.AppendUvarint(b, uint64(m.Entries[i].Size))
	}
	for i := range m.Entries {
		b = append(b, m.Entries[i].ID[:]...)
	}
	for i := range m.Entries {
		b = append(b, m.Entries[i].Ciphertext[:]...)
	}
	if len(m.Erased) > 0 {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Erased)))
		for _, e := range m.Erased {
			b = append(binary.BigEndian.AppendUint16(b, uint16(e.Index)), e.Leaf[:]...)
		}
	}
	return b
}

func decodeManifest(b []byte) (*manifestRow, bool) {
	c := &columns{rest: b, ok: true}
	version := c.number(1)
	if version != manifestVersion && version != manifestErased {
		return nil, false
	}
	m := &manifestRow{}
	copy(m.Pack[:], c.take(32))
	m.ShareRoots = make([][32]byte, c.number(1))
	for i := range m.ShareRoots {
		copy(m.ShareRoots[i][:], c.take(32))
	}
	count := c.number(2)
	if count*(16+32) > len(c.rest) {
		return nil, false
	}
	m.Entries = make([]seal.Entry, count)
	for i, s := range c.masks(count) {
		m.Entries[i].Slots = s
	}
	c.kinds(m.Entries)
	c.metas(m.Entries)
	for i := range m.Entries {
		m.Entries[i].Size = c.size()
	}
	for i := range m.Entries {
		copy(m.Entries[i].ID[:], c.take(16))
	}
	for i := range m.Entries {
		copy(m.Entries[i].Ciphertext[:], c.take(32))
	}
	if version == manifestErased {
		c.erased(m)
	}
	return m, c.ok && len(c.rest) == 0
}

// appendMasks writes which slot mask each record has: the number M of different masks (2) ‖
// these in rising order (8 each) ‖ the place of each record's in that list, in no bytes if
// M is 1, one up to 256 and two beyond.
func appendMasks(b []byte, slots []uint64) []byte {
	list := slices.Compact(slices.Sorted(slices.Values(slots)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(list)))
	for _, m := range list {
		b = binary.BigEndian.AppendUint64(b, m)
	}
	width := placeWidth(len(list))
	for _, s := range slots {
		at, _ := slices.BinarySearch(list, s)
		b = appendNumber(b, at, width)
	}
	return b
}

func placeWidth(masks int) int {
	switch {
	case masks <= 1:
		return 0
	case masks <= 256:
		return 1
	}
	return 2
}

func appendNumber(b []byte, v, width int) []byte {
	for width--; width >= 0; width-- {
		b = append(b, byte(v>>(8*width)))
	}
	return b
}

// appendKinds writes the kinds as runs: their number (2) ‖ of each its length (2) and kind (1).
// The index records of a batch come last, so there are two.
func appendKinds(b []byte, entries []seal.Entry) []byte {
	at, runs := len(b), 0
	b = append(b, 0, 0)
	for i := 0; i < len(entries); runs++ {
		end := i + 1
		for end < len(entries) && entries[end].Kind == entries[i].Kind {
			end++
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(end-i)), entries[i].Kind)
		i = end
	}
	binary.BigEndian.PutUint16(b[at:], uint16(runs))
	return b
}

// appendMetas writes the metadata hashes that are not zero: their number (2) ‖ of each the
// position (2) and hash (32).
func appendMetas(b []byte, entries []seal.Entry) []byte {
	at, n := len(b), 0
	b = append(b, 0, 0)
	for i := range entries {
		if entries[i].Meta != [32]byte{} {
			b = append(binary.BigEndian.AppendUint16(b, uint16(i)), entries[i].Meta[:]...)
			n++
		}
	}
	binary.BigEndian.PutUint16(b[at:], uint16(n))
	return b
}

// columns reads what the functions above write, and only that: one row, one encoding.
type columns struct {
	rest []byte
	ok   bool // nothing was wrong so far
}

func (c *columns) fail() { c.rest, c.ok = nil, false }

func (c *columns) take(n int) []byte {
	if len(c.rest) < n {
		c.fail()
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *columns) number(width int) (v int) {
	for _, x := range c.take(width) {
		v = v<<8 | int(x)
	}
	return v
}

// masks returns count masks, or none after a fault.
func (c *columns) masks(count int) []uint64 {
	n := c.number(2)
	if n > count || n == 0 && count > 0 {
		c.fail()
		return nil
	}
	list, used := make([]uint64, n), make([]bool, n)
	for i := range list {
		if b := c.take(8); b != nil {
			list[i] = binary.BigEndian.Uint64(b)
		}
		if i > 0 && list[i-1] >= list[i] {
			c.fail()
		}
	}
	width := placeWidth(n)
	if len(c.rest) < count*width {
		c.fail()
		return nil
	}
	out := make([]uint64, count)
	for i := range out {
		at := c.number(width)
		if at >= n {
			c.fail()
			return nil
		}
		out[i], used[at] = list[at], true
	}
	if slices.Contains(used, false) {
		c.fail()
	}
	return out
}

func (c *columns) kinds(entries []seal.Entry) {
	at := 0
	for run := range c.number(2) {
		n, kind := c.number(2), byte(c.number(1))
		if !c.ok || n == 0 || n > len(entries)-at || run > 0 && entries[at-1].Kind == kind {
			c.fail()
			return
		}
		for range n {
			entries[at].Kind = kind
			at++
		}
	}
	if at != len(entries) {
		c.fail()
	}
}

func (c *columns) metas(entries []seal.Entry) {
	last := -1
	for range c.number(2) {
		at := c.number(2)
		hash := c.take(32)
		if !c.ok || at <= last || at >= len(entries) || [32]byte(hash) == [32]byte{} {
			c.fail()
			return
		}
		entries[at].Meta, last = [32]byte(hash), at
	}
}

// erased reads which records were erased: at least one, by rising position, with empty entries.
func (c *columns) erased(m *manifestRow) {
	n, last := c.number(2), -1
	if n == 0 {
		c.fail()
	}
	for range n {
		at, leaf := c.number(2), c.take(32)
		if !c.ok || at <= last || at >= len(m.Entries) || m.Entries[at] != (seal.Entry{Kind: m.Entries[at].Kind}) {
			c.fail()
			return
		}
		m.Erased, last = append(m.Erased, erasedEntry{at, [32]byte(leaf)}), at
	}
}

func (c *columns) size() uint32 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 || v > 1<<32-1 || n > 1 && c.rest[n-1] == 0 { // the last would be a longer form of the same
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return uint32(v)
}
