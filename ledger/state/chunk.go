package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"salus/ledger/tx"
)

// A chunk is a sequence of records, rows in the order of their keys and then
// log entries in the order of their indexes:
//
//	1 || len(key)[4] || key || len(value)[4] || value
//	2 || len(entry)[4] || entry
const (
	recordRow   = 1
	recordEntry = 2

	chunkTarget = 1 << 20 // a chunk ends before the record that would exceed it
	maxChunk    = 8 << 20 // of what Add takes
	maxChunks   = 1 << 18
	maxManifest = 64 + 256 + 40*maxChunks
)

// manifest describes an export; spec/state-tree.md.
type manifest struct {
	Version uint64     `cbor:"1,keyasint"`
	Height  uint64     `cbor:"2,keyasint"`
	Time    uint64     `cbor:"3,keyasint"` // unix seconds
	Roots   Roots      `cbor:"4,keyasint"`
	Chunks  [][32]byte `cbor:"5,keyasint"` // SHA-256 of each
}

const manifestVersion = 1

func (m *manifest) meta() Meta {
	return Meta{
		Height: int64(m.Height), Time: m.Time, AppHash: m.Roots.AppHash(),
		TreeRoot: m.Roots.Tree, LogRoot: m.Roots.Log, LogSize: m.Roots.Size,
	}
}

func decodeManifest(b []byte) (*manifest, error) {
	m := new(manifest)
	if err := tx.DecodeAny(b, m, maxManifest); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrSnapshot, err)
	}
	if m.Version != manifestVersion || m.Height > 1<<62 || len(m.Chunks) == 0 || len(m.Chunks) > maxChunks {
		return nil, fmt.Errorf("%w: manifest: out of range", ErrSnapshot)
	}
	return m, nil
}

// A record is a row, or a log entry if key is nil.
type record struct{ key, value []byte }

func (r *record) size() int {
	if r.key == nil {
		return 5 + len(r.value)
	}
	return 9 + len(r.key) + len(r.value)
}

func (r *record) append(b []byte) []byte {
	if r.key == nil {
		b = append(b, recordEntry)
	} else {
		b = append(b, recordRow)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(r.key))), r.key...)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(r.value))), r.value...)
}

var errChunk = errors.New("chunk is malformed")

// decodeChunk reads the records of a chunk; they point into it.
func decodeChunk(b []byte) ([]record, error) {
	var out []record
	field := func() ([]byte, bool) {
		if len(b) < 4 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(b)
		b = b[4:]
		if uint64(n) > uint64(len(b)) {
			return nil, false
		}
		f := b[:n:n]
		b = b[n:]
		return f, true
	}
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		var r record
		ok := kind == recordRow || kind == recordEntry
		if ok && kind == recordRow {
			r.key, ok = field()
		}
		if ok {
			r.value, ok = field()
		}
		if !ok {
			return nil, errChunk
		}
		out = append(out, r)
	}
	return out, nil
}
