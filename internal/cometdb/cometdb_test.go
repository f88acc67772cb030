package cometdb

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	dbm "github.com/cometbft/cometbft-db"
	"pgregory.net/rapid"
)

// TestBehavesLikeMemDB compares every operation with cometbft-db's own reference, MemDB.
func TestBehavesLikeMemDB(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		got, err := Open(t.TempDir())
		if err != nil {
			r.Fatal(err)
		}
		defer got.Close()
		want := dbm.NewMemDB()
		key := rapid.SliceOfN(rapid.ByteRange(1, 4), 1, 3)
		val := rapid.SliceOfN(rapid.Byte(), 0, 4).Filter(func(b []byte) bool { return b != nil })
		both := func(f func(dbm.DB) error) {
			if g, w := f(got), f(want); (g == nil) != (w == nil) {
				r.Fatalf("got error %v, want %v", g, w)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"set": func(r *rapid.T) {
				k, v := key.Draw(r, "k"), val.Draw(r, "v")
				both(func(d dbm.DB) error { return d.Set(k, v) })
			},
			"delete": func(r *rapid.T) { k := key.Draw(r, "k"); both(func(d dbm.DB) error { return d.DeleteSync(k) }) },
			"batch": func(r *rapid.T) {
				k, l, v := key.Draw(r, "k"), key.Draw(r, "l"), val.Draw(r, "v")
				both(func(d dbm.DB) error {
					b := d.NewBatch()
					defer b.Close()
					if err := b.Set(k, v); err != nil {
						return err
					}
					if err := b.Delete(l); err != nil {
						return err
					}
					return b.WriteSync()
				})
			},
			"": func(r *rapid.T) {
				for _, bounds := range [][2][]byte{{nil, nil}, {{2}, nil}, {nil, {3}}, {{1, 2}, {3, 1}}} {
					for _, reverse := range []bool{false, true} {
						if g, w := dump(r, got, bounds, reverse), dump(r, want, bounds, reverse); !slices.Equal(g, w) {
							r.Fatalf("%v reverse=%v: got %v, want %v", bounds, reverse, g, w)
						}
					}
				}
				k := key.Draw(r, "k")
				g, _ := got.Get(k)
				w, _ := want.Get(k)
				if !bytes.Equal(g, w) || (g == nil) != (w == nil) {
					r.Fatalf("get: got %v, want %v", g, w)
				}
			},
		})
	})
}

func dump(r *rapid.T, d dbm.DB, b [2][]byte, reverse bool) (out []string) {
	open := d.Iterator
	if reverse {
		open = d.ReverseIterator
	}
	it, err := open(b[0], b[1])
	if err != nil {
		r.Fatal(err)
	}
	defer it.Close()
	for ; it.Valid(); it.Next() {
		out = append(out, fmt.Sprintf("%x=%x", it.Key(), it.Value()))
	}
	return out
}

func TestRefusesEmptyKeysAndNilValues(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := d.NewBatch()
	if d.Set(nil, []byte{1}) == nil || d.Set([]byte{1}, nil) == nil || b.Set(nil, nil) == nil {
		t.Error("accepted an empty key or a nil value")
	}
	if err := b.Write(); err != nil {
		t.Fatal(err)
	}
	if b.Set([]byte{1}, []byte{1}) == nil {
		t.Error("a written batch took another row")
	}
	if _, err := d.Iterator([]byte{}, nil); err == nil {
		t.Error("accepted an empty bound")
	}
}

func TestAfterCloseReadsFindNothingAndWritesFail(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetSync([]byte{1}, []byte{1}); err != nil {
		t.Fatal(err)
	}
	b := d.NewBatch()
	stop, done := make(chan struct{}), make(chan error)
	go func() { // what a gossip routine does while the node stops
		for {
			if _, err := d.Get([]byte{1}); err != nil {
				done <- err
				return
			}
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
		}
	}()
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if v, err := d.Get([]byte{1}); v != nil || err != nil {
		t.Errorf("get: got %v, %v, want nothing", v, err)
	}
	if ok, err := d.Has([]byte{1}); ok || err != nil {
		t.Errorf("has: got %v, %v, want nothing", ok, err)
	}
	for name, err := range map[string]error{
		"set": d.Set([]byte{1}, []byte{2}), "delete": d.DeleteSync([]byte{1}), "batch": b.Write(), "late batch": d.NewBatch().Write(), "compact": d.Compact(nil, nil),
	} {
		if err == nil {
			t.Errorf("%s on a closed database was accepted", name)
		}
	}
	if _, err := d.Iterator(nil, nil); err == nil {
		t.Error("an iterator on a closed database was made")
	}
	d.Stats()
}
