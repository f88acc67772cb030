package state_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger/state"
)

// machine drives a store and a model with the same steps.
type machine struct {
	fs     *vfs.MemFS
	opts   state.Options
	store  *state.Store
	height int64
	past   map[int64]*model // of the versions since the store was opened
	now    *model           // committed
	next   *model           // with what the block's cache holds
	view   *state.View
	block  *state.Cache
	tx     *state.Cache // over block
	scrap  *model       // with what tx holds
}

func (m *machine) open(t *rapid.T) {
	s, err := state.Open("s", m.opts)
	if err != nil {
		t.Fatal(err)
	}
	m.store = s
	m.past = map[int64]*model{m.height: m.now.clone()}
	m.begin()
}

func (m *machine) begin() {
	m.view = m.store.View()
	m.block = state.NewCache(m.view)
	m.next = m.now.clone()
	m.tx = state.NewCache(m.block)
	m.scrap = m.next.clone()
}

// drawKey gives few keys, some of which are prefixes of others.
func drawKey(t *rapid.T) string {
	return rapid.StringMatching(`[ab]{0,3}[0-9]?`).Draw(t, "key")
}

func (m *machine) commit(t *rapid.T, height int64) {
	hash, err := m.store.Stage(state.Block{Height: height, Time: uint64(height) * 5, Changes: m.block})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.store.Last().Height; got != m.height {
		t.Fatalf("height %d is visible before the commit", got)
	}
	if err := m.store.Commit(); err != nil {
		t.Fatal(err)
	}
	m.view.Close()
	m.height, m.now = height, m.next
	if want := m.now.appHash(); hash != want || m.store.Last().AppHash != want {
		t.Fatalf("got app hash %x, want %x", hash, want)
	}
	if diff := cmp.Diff(m.now.roots(), m.store.Last().Roots()); diff != "" {
		t.Fatal(diff)
	}
	m.past[height] = m.now.clone()
	m.begin()
}

// compare compares all that can be read of r with want.
func compare(t *rapid.T, r state.Base, want *model) {
	got := map[string]string{}
	last := ""
	r.Scan(nil, func(k, v []byte) bool {
		if len(got) > 0 && string(k) <= last {
			t.Fatalf("scan: key %q after %q", k, last)
		}
		last = string(k)
		got[last] = string(v)
		return true
	})
	if diff := cmp.Diff(want.rows, got); diff != "" {
		t.Fatalf("scan (-want +got):\n%s", diff)
	}
	if r.Size() != uint64(len(want.entries)) {
		t.Fatalf("got size %d, want %d", r.Size(), len(want.entries))
	}
}

// TestStoreIsItsModel: whatever the order of changes, blocks, refusals and
// restarts, the store holds what a map would and hashes to what the naive
// definitions say.
func TestStoreIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := vfs.NewMem()
		m := &machine{
			fs:   disk,
			opts: state.Options{FS: disk, Keep: 3, PageCache: int64(rapid.SampledFrom([]int{1, 4 << 10, 1 << 20}).Draw(t, "cache")), MemTable: 1 << 20, BlockCache: 1 << 20},
			now:  newModel(),
		}
		m.open(t)
		defer func() {
			m.view.Close()
			if err := m.store.Close(); err != nil {
				t.Fatal(err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, v := drawKey(t), rapid.StringN(0, 4, -1).Draw(t, "value")
				m.tx.Set([]byte(k), []byte(v))
				m.scrap.rows[k] = v
			},
			"set many": func(t *rapid.T) {
				n := rapid.IntRange(1, 200).Draw(t, "n")
				for i := range n {
					k := "many/" + string(rune('0'+i%10)) + strings.Repeat("x", i/10)
					m.tx.Set([]byte(k), []byte{byte(n)})
					m.scrap.rows[k] = string([]byte{byte(n)})
				}
			},
			"delete": func(t *rapid.T) {
				k := drawKey(t)
				m.tx.Delete([]byte(k))
				delete(m.scrap.rows, k)
			},
			"delete under": func(t *rapid.T) {
				p := rapid.SampledFrom([]string{"a", "b", "many/", "many/3"}).Draw(t, "prefix")
				var keys []string
				m.tx.Scan([]byte(p), func(k, _ []byte) bool { keys = append(keys, string(k)); return true })
				for _, k := range keys {
					m.tx.Delete([]byte(k))
				}
				maps.DeleteFunc(m.scrap.rows, func(k, _ string) bool { return strings.HasPrefix(k, p) })
			},
			"append": func(t *rapid.T) {
				e := rapid.StringN(0, 5, -1).Draw(t, "entry")
				if got, want := m.tx.Append([]byte(e)), uint64(len(m.scrap.entries)); got != want {
					t.Fatalf("got index %d, want %d", got, want)
				}
				m.scrap.entries = append(m.scrap.entries, e)
			},
			"accept": func(t *rapid.T) {
				m.tx.Flush()
				m.next = m.scrap.clone()
				if m.tx.Dirty() {
					t.Fatal("dirty after a flush")
				}
			},
			"refuse": func(t *rapid.T) {
				m.tx.Discard()
				m.scrap = m.next.clone()
			},
			"scan": func(t *rapid.T) {
				p := drawKey(t)
				stop := rapid.IntRange(1, 5).Draw(t, "stop")
				var got []string
				m.tx.Scan([]byte(p), func(k, v []byte) bool {
					got = append(got, string(k)+"="+string(v))
					return len(got) < stop
				})
				var want []string
				for _, k := range slices.Sorted(maps.Keys(m.scrap.rows)) {
					if strings.HasPrefix(k, p) && len(want) < stop {
						want = append(want, k+"="+m.scrap.rows[k])
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			},
			"get": func(t *rapid.T) {
				k := drawKey(t)
				got, ok := m.tx.Get([]byte(k))
				if want, has := m.scrap.rows[k]; string(got) != want || ok != has {
					t.Fatalf("got %q, %v, want %q, %v", got, ok, want, has)
				}
			},
			"stage and forget": func(t *rapid.T) {
				c := state.NewCache(m.view)
				c.Set([]byte("forgotten"), nil)
				c.Append([]byte("forgotten"))
				if _, err := m.store.Stage(state.Block{Height: m.height + 1, Changes: c}); err != nil {
					t.Fatal(err)
				}
			},
			"commit": func(t *rapid.T) {
				m.tx.Discard()
				m.commit(t, m.height+int64(rapid.IntRange(1, 3).Draw(t, "step")))
			},
			"reopen": func(t *rapid.T) {
				m.view.Close()
				if err := m.store.Close(); err != nil {
					t.Fatal(err)
				}
				m.open(t)
			},
			"past": func(t *rapid.T) {
				known := 0
				for h := m.height; h >= 0; h-- {
					v, ok := m.store.At(h)
					was, had := m.past[h]
					if want := had && known < 3; ok != want {
						t.Fatalf("height %d: got %v, want %v", h, ok, want)
					}
					if had {
						known++
					}
					if ok {
						compare(t, v, was)
						prove(t, v, was, drawKey(t))
						v.Close()
					}
				}
			},
			"check": func(t *rapid.T) {
				if err := m.store.Check(nil); err != nil {
					t.Fatal(err)
				}
			},
			"sync": func(t *rapid.T) { syncTo(t, m.store, m.now, m.opts) },
			"": func(t *rapid.T) {
				compare(t, m.tx, m.scrap)
				compare(t, m.view, m.now)
				prove(t, m.view, m.now, drawKey(t))
			},
		})
	})
}

// prove checks proofs of key and of a log entry against the app hash.
func prove(t *rapid.T, v *state.View, want *model, key string) {
	p, err := v.ProveKey([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	hash := want.appHash()
	var value []byte
	if s, ok := want.rows[key]; ok {
		value = append([]byte{}, s...)
	}
	if err := p.Verify(hash, []byte(key), value); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(hash, []byte(key), []byte("never a value")); !errors.Is(err, state.ErrProof) {
		t.Fatalf("another value: got %v", err)
	}
	if value != nil {
		if err := p.Verify(hash, []byte(key), nil); !errors.Is(err, state.ErrProof) {
			t.Fatalf("absence of what is there: got %v", err)
		}
	}
	n := len(want.entries)
	if n == 0 {
		return
	}
	i := rapid.IntRange(0, n-1).Draw(t, "index")
	e, err := v.ProveEntry(uint64(i))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(hash, uint64(i), []byte(want.entries[i])); err != nil {
		t.Fatal(err)
	}
	if got, ok := v.Entry(uint64(i)); !ok || string(got) != want.entries[i] {
		t.Fatalf("entry %d: got %q, %v", i, got, ok)
	}
	old := *want
	old.entries = want.entries[:i]
	x, err := v.ProveExtension(uint64(i))
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Verify(old.appHash(), old.roots(), hash); err != nil {
		t.Fatal(err)
	}
}

// syncTo exports the store and imports it into another place.
func syncTo(t *rapid.T, s *state.Store, want *model, o state.Options) {
	v := s.View()
	e, err := s.Export(v)
	if err != nil {
		t.Fatal(err)
	}
	v.Close()
	defer e.Close()
	o.FS = vfs.NewMem()
	p, err := state.Import("copy", o, e.Manifest())
	if err != nil {
		t.Fatal(err)
	}
	for i := range e.Chunks() {
		c, err := e.Chunk(i)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Add(i, c); err != nil {
			t.Fatal(err)
		}
	}
	got, err := p.Finish(want.appHash())
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Last(), got.Last()); diff != "" {
		t.Fatal(diff)
	}
	w := got.View()
	compare(t, w, want)
	prove(t, w, want, drawKey(t))
	w.Close()
	if err := got.Close(); err != nil {
		t.Fatal(err)
	}
}
