package state_test

import (
	"fmt"
	"strings"
	"testing"

	"salus/ledger/state"
)

func keysOf(r state.Reader, prefix string) string {
	var keys []string
	r.Scan([]byte(prefix), func(k, v []byte) bool {
		keys = append(keys, string(k)+"="+string(v))
		return true
	})
	return strings.Join(keys, " ")
}

func TestCacheShowsItsChangesOverItsBase(t *testing.T) {
	v := view(t, storeOf(t, &model{rows: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}, entries: []string{"x"}}))
	c := state.NewCache(v)
	if c.Dirty() {
		t.Fatal("a new cache is dirty")
	}
	c.Set([]byte("bb"), []byte("new"))
	c.Set([]byte("c"), []byte("other"))
	c.Delete([]byte("a"))
	c.Delete([]byte("zz"))
	c.Set([]byte("e"), nil)
	if got, want := keysOf(c, ""), "b=2 bb=new c=other d=4 e="; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	if got, want := keysOf(c, "b"), "b=2 bb=new"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	if _, ok := c.Get([]byte("a")); ok {
		t.Fatal("a deleted row is there")
	}
	if got, ok := c.Get([]byte("e")); !ok || got == nil {
		t.Fatal("an empty value is no value")
	}
	if got, want := keysOf(v, ""), "a=1 b=2 c=3 d=4"; got != want {
		t.Fatalf("the base changed: got %q", got)
	}
	if got := c.Append([]byte("y")); got != 1 || c.Size() != 2 || v.Size() != 1 {
		t.Fatalf("got index %d, size %d over %d", got, c.Size(), v.Size())
	}
	c.Discard()
	if c.Dirty() || c.Size() != 1 || keysOf(c, "") != keysOf(v, "") {
		t.Fatal("something is left after Discard")
	}
}

// TestCacheKeepsItsOwnCopies: callers reuse their buffers.
func TestCacheKeepsItsOwnCopies(t *testing.T) {
	c := state.NewCache(view(t, storeOf(t, newModel())))
	buf := []byte("abc")
	c.Set(buf, buf)
	c.Append(buf)
	copy(buf, "xyz")
	if got := keysOf(c, ""); got != "abc=abc" {
		t.Fatalf("got %q", got)
	}
}

// TestRefusedTransactionLeavesNothing, three caches deep.
func TestRefusedTransactionLeavesNothing(t *testing.T) {
	block := state.NewCache(view(t, storeOf(t, newModel())))
	block.Set([]byte("a"), []byte("1"))
	block.Append([]byte("kept"))
	tx := state.NewCache(block)
	inner := state.NewCache(tx)
	inner.Delete([]byte("a"))
	if got := inner.Append([]byte("lost")); got != 1 {
		t.Fatalf("got index %d", got)
	}
	inner.Flush()
	if _, ok := tx.Get([]byte("a")); ok || tx.Size() != 2 {
		t.Fatal("the flush did not reach the cache below")
	}
	tx.Discard()
	if got := keysOf(block, ""); got != "a=1" || block.Size() != 1 {
		t.Fatalf("got %q, size %d", got, block.Size())
	}
}

// TestScanDuringScan: nested scans, with writes between them, see their own time.
func TestScanDuringScan(t *testing.T) {
	c := state.NewCache(view(t, storeOf(t, newModel())))
	for i := range 50 {
		c.Set(fmt.Appendf(nil, "k%02d", i), nil)
	}
	n := 0
	c.Scan([]byte("k"), func(k, _ []byte) bool {
		inner := 0
		c.Scan(k, func(_, _ []byte) bool { inner++; return true })
		if inner != 1 {
			t.Fatalf("got %d rows under %q", inner, k)
		}
		n++
		return true
	})
	if n != 50 {
		t.Fatalf("got %d rows", n)
	}
}

func TestFlushIntoAViewPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("got no panic")
		}
	}()
	state.NewCache(view(t, storeOf(t, newModel()))).Flush()
}
