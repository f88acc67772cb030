package state

import "github.com/cockroachdb/pebble"

// Database is what lies under the store, for tests that damage it.
func (s *Store) Database() *pebble.DB { return s.base.db }

// PageCacheUsed returns how many bytes of tree pages are kept, as counted.
func (s *Store) PageCacheUsed() int64 { return s.base.pages.used }

// RecodePage, RecodeChunk and RecodeMeta decode b and encode it again.
func RecodePage(b []byte) ([]byte, error) {
	var p page
	if err := decodePage(b, &p); err != nil {
		return nil, err
	}
	p.hash(1)
	return p.append(nil), nil
}

func RecodeChunk(b []byte) ([]byte, error) {
	records, err := decodeChunk(b)
	if err != nil {
		return nil, err
	}
	out := []byte{}
	for i := range records {
		out = records[i].append(out)
	}
	return out, nil
}

func RecodeMeta(b []byte) ([]byte, error) {
	m, err := decodeMeta(b)
	if err != nil {
		return nil, err
	}
	return encodeMeta(m), nil
}
