package ledger

import (
	"crypto/sha256"
	"testing"
)

func TestShelfKeepsWithinItsBound(t *testing.T) {
	s := newShelf()
	key := func(i int) [32]byte { return sha256.Sum256([]byte{byte(i), byte(i >> 8)}) }
	const each = parsedBytes / 64
	for i := range 1000 {
		s.put(key(i), &parsed{}, each)
		s.put(key(i), &parsed{}, each) // again: once is enough
	}
	if len(s.byRaw) != 64 || s.bytes != parsedBytes || len(s.queue) > 2*64+1 {
		t.Errorf("got %d transactions of %d bytes in a queue of %d, want 64 of %d", len(s.byRaw), s.bytes, len(s.queue), parsedBytes)
	}
	if s.get(key(935)) != nil || s.get(key(936)) == nil || s.get(key(999)) == nil {
		t.Error("it did not forget the oldest")
	}
	s.drop([][]byte{{999 & 0xff, 999 >> 8}})
	if s.get(key(999)) != nil {
		t.Error("a committed transaction is still there")
	}
}
