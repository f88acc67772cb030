package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"salus/ledger/tx"
)

// An Export is the rows and log entries of one version, cut into chunks, for
// the state sync of a new member. Two members export the same version to the
// same bytes. It holds the version on disk until it is closed, and is safe for
// concurrent use.
type Export struct {
	view     *View
	manifest []byte
	hash     [32]byte
	starts   [][]byte // database key of each chunk's first record
}

// Export cuts the version of v into chunks of about 1 MiB. It reads everything
// once to hash it, in bounded memory. v may be closed afterwards.
func (s *Store) Export(v *View) (*Export, error) {
	if v.store != s {
		return nil, errors.New("state: export: the view is of another store")
	}
	e := &Export{view: v.clone()}
	m := manifest{Version: manifestVersion, Height: uint64(v.Meta().Height), Time: v.Meta().Time, Roots: v.Meta().Roots()}
	var chunk []byte
	end := func() {
		m.Chunks = append(m.Chunks, sha256.Sum256(chunk))
		chunk = chunk[:0]
	}
	e.starts = [][]byte{{spaceRow}}
	err := e.records([]byte{spaceRow}, func(key []byte, r *record) bool {
		if len(chunk) > 0 && len(chunk)+r.size() > chunkTarget {
			end()
			e.starts = append(e.starts, bytes.Clone(key))
		}
		chunk = r.append(chunk)
		return true
	})
	if err == nil {
		end()
		e.manifest, err = tx.Encode(&m)
	}
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("state: export: %w", err)
	}
	e.hash = sha256.Sum256(e.manifest)
	return e, nil
}

// records calls fn for every record from a database key on.
func (e *Export) records(from []byte, fn func(key []byte, r *record) bool) error {
	more := true
	if from[0] == spaceRow {
		err := e.view.walk(from, []byte{spaceRow + 1}, func(key, value []byte) bool {
			more = fn(key, &record{key: key[1:], value: value})
			return more
		})
		if err != nil || !more {
			return err
		}
		from = []byte{spaceEntry}
	}
	return e.view.walk(from, []byte{spaceEntry + 1}, func(key, value []byte) bool {
		return fn(key, &record{value: value})
	})
}

// Chunks returns the number of chunks, at least one.
func (e *Export) Chunks() int { return len(e.starts) }

// Chunk returns the bytes of chunk i.
func (e *Export) Chunk(i int) ([]byte, error) {
	if i < 0 || i >= len(e.starts) {
		return nil, fmt.Errorf("state: export: no chunk %d", i)
	}
	chunk := []byte{}
	err := e.records(e.starts[i], func(key []byte, r *record) bool {
		if i+1 < len(e.starts) && bytes.Equal(key, e.starts[i+1]) {
			return false
		}
		chunk = r.append(chunk)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("state: export: %w", err)
	}
	return chunk, nil
}

// Manifest describes the version and lists the hashes of the chunks, in
// canonical CBOR. Import takes it first.
func (e *Export) Manifest() []byte { return e.manifest }

// Hash is the SHA-256 of the manifest.
func (e *Export) Hash() [32]byte { return e.hash }

// Meta describes the exported version.
func (e *Export) Meta() Meta { return e.view.Meta() }

// Close gives the version back.
func (e *Export) Close() { e.view.Close() }
