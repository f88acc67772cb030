package state_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/state"
)

type pet struct {
	Name string `cbor:"1,keyasint"`
	Age  uint64 `cbor:"2,keyasint"`
}

var pets = state.NewTable[pet]("pets", 0x7f, 0x01)

func TestTableRoundTrip(t *testing.T) {
	c := state.NewCache(view(t, storeOf(t, newModel())))
	c.Set([]byte{0x7f, 0x02}, []byte("of another table"))
	if _, ok := pets.Get(c, []byte("a")); ok || pets.Has(c, []byte("a")) {
		t.Fatal("there is a row in an empty table")
	}
	pets.Put(c, []byte("b1"), pet{"Sample", 3})
	pets.Put(c, []byte("a"), pet{"Example", 5})
	pets.Put(c, nil, pet{"Only", 1})
	pets.Put(c, []byte("b0"), pet{"Instance", 9})
	if got, ok := pets.Get(c, []byte("a")); !ok || got != (pet{"Example", 5}) {
		t.Fatalf("got %v, %v", got, ok)
	}
	if got, ok := pets.Get(c, nil); !ok || got.Name != "Only" {
		t.Fatalf("got %v, %v", got, ok)
	}
	var got []string
	pets.Scan(c, []byte("b"), func(id []byte, p pet) bool {
		got = append(got, string(id)+" "+p.Name)
		return true
	})
	if diff := cmp.Diff([]string{"b0 Instance", "b1 Sample"}, got); diff != "" {
		t.Fatal(diff)
	}
	pets.Delete(c, []byte("a"))
	if pets.Has(c, []byte("a")) {
		t.Fatal("the row was not deleted")
	}
	want := state.TableInfo{Name: "pets", Prefix: []byte{0x7f, 0x01}, Value: pet{}}
	if diff := cmp.Diff(want, pets.Info()); diff != "" {
		t.Fatal(diff)
	}
}

// TestCorruptRowHalts: a replica that cannot read its state must not answer.
func TestCorruptRowHalts(t *testing.T) {
	c := state.NewCache(view(t, storeOf(t, newModel())))
	c.Set(pets.Key([]byte("a")), []byte("not CBOR of a pet"))
	for name, read := range map[string]func(){
		"get":  func() { pets.Get(c, []byte("a")) },
		"scan": func() { pets.Scan(c, nil, func([]byte, pet) bool { return true }) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				r, ok := recover().(string)
				if !ok || !strings.HasPrefix(r, "state: corrupt row") || strings.Contains(r, "CBOR") {
					t.Fatalf("got panic %q", r)
				}
			}()
			read()
		})
	}
}
