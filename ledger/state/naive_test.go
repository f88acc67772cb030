package state_test

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"salus/ledger/state"
)

// The definitions of spec/state-tree.md, as directly as they can be written:
// no pages, no stored nodes, nothing shared with the package.

func sum(parts ...[]byte) [32]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

type naiveLeaf struct{ path, hash [32]byte }

func naiveTreeRoot(rows map[string]string) [32]byte {
	var leaves []naiveLeaf
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		key, value := sum([]byte(k)), sum([]byte(rows[k]))
		path, v := sum(key[:]), sum(value[:])
		leaves = append(leaves, naiveLeaf{path, sum([]byte{0}, path[:], v[:])})
	}
	return naiveSubtree(leaves, 0)
}

func naiveSubtree(leaves []naiveLeaf, depth int) [32]byte {
	switch len(leaves) {
	case 0:
		return [32]byte{}
	case 1:
		return leaves[0].hash
	}
	var half [2][]naiveLeaf
	for _, l := range leaves {
		bit := l.path[depth/8] >> (7 - depth%8) & 1
		half[bit] = append(half[bit], l)
	}
	left, right := naiveSubtree(half[0], depth+1), naiveSubtree(half[1], depth+1)
	return sum([]byte{1}, left[:], right[:])
}

// naiveLogRoot is RFC 6962 section 2.1, word for word.
func naiveLogRoot(entries []string) [32]byte {
	switch n := len(entries); n {
	case 0:
		return sum()
	case 1:
		return sum([]byte{0}, []byte(entries[0]))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		left, right := naiveLogRoot(entries[:k]), naiveLogRoot(entries[k:])
		return sum([]byte{1}, left[:], right[:])
	}
}

// A model is a state as a map and a slice.
type model struct {
	rows    map[string]string
	entries []string
}

func newModel() *model { return &model{rows: map[string]string{}} }

func (m *model) clone() *model {
	return &model{rows: maps.Clone(m.rows), entries: slices.Clone(m.entries)}
}

func (m *model) roots() state.Roots {
	return state.Roots{Tree: naiveTreeRoot(m.rows), Log: naiveLogRoot(m.entries), Size: uint64(len(m.entries))}
}

func (m *model) appHash() [32]byte {
	r := m.roots()
	return sum([]byte("salus/apphash/v1\x00"), r.Tree[:], r.Log[:], binary.BigEndian.AppendUint64(nil, r.Size))
}

func sortedKeys(rows map[string]string) []string { return slices.Sorted(maps.Keys(rows)) }
