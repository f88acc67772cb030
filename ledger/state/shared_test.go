package state_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger/state"
)

// herd is a row with a slice, which readers share.
type herd struct {
	Names []string `cbor:"1,keyasint"`
}

var herds = state.NewTable[herd]("herds", 0x7f, 0x02)

// TestSharedReadsAreReads compares Shared and SharedScan with Get and Scan, over committed
// versions and caches on caches, while rows change and go.
func TestSharedReadsAreReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := state.Open("store", state.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		id := rapid.Custom(func(t *rapid.T) []byte {
			return []byte{'a' + byte(rapid.IntRange(0, 1).Draw(t, "a")), byte(rapid.IntRange(0, 3).Draw(t, "b"))}
		})
		compare := func(r state.Reader) {
			for _, a := range "ab" {
				for b := range byte(4) {
					k := []byte{byte(a), b}
					got, ok := herds.Shared(r, k)
					want, is := herds.Get(r, k)
					if ok != is || !cmp.Equal(got, want) {
						t.Fatalf("%v: got %v, %v; want %v, %v", k, got, ok, want, is)
					}
				}
				var got, want []string
				herds.SharedScan(r, []byte{byte(a)}, func(id []byte, h herd) bool { got = append(got, fmt.Sprint(id, h)); return len(got) < 3 })
				herds.Scan(r, []byte{byte(a)}, func(id []byte, h herd) bool { want = append(want, fmt.Sprint(id, h)); return len(want) < 3 })
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("scan (-want +got):\n%s", d)
				}
			}
		}
		for height := range int64(rapid.IntRange(1, 5).Draw(t, "blocks")) {
			v := s.View()
			block := state.NewCache(v)
			for range rapid.IntRange(0, 4).Draw(t, "transactions") {
				scratch := state.NewCache(block)
				for range rapid.IntRange(0, 4).Draw(t, "writes") {
					if k := id.Draw(t, "id"); rapid.Bool().Draw(t, "delete") {
						herds.Delete(scratch, k)
					} else {
						herds.Put(scratch, k, herd{Names: []string{fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "name"))}})
					}
					compare(scratch)
				}
				if rapid.Bool().Draw(t, "refused") {
					scratch.Discard()
				} else {
					scratch.Flush()
				}
				compare(block)
			}
			if _, err := s.Stage(state.Block{Height: height + 1, Changes: block}); err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(); err != nil {
				t.Fatal(err)
			}
			compare(v) // the version before: nothing of the new one shows
			v.Close()
			v = s.View()
			compare(v)
			if err := v.CheckShared(); err != nil {
				t.Fatal(err)
			}
			v.Close()
		}
	})
}
