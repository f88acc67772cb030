package chart

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/store"
	"salus/store/storetest"
)

// What is made again has every number that was given, and none twice: also where a record was erased, or there never
// was one.
func TestARebuiltResourceHasAllItsVersions(t *testing.T) {
	for name, x := range map[string]struct {
		records string // v: a version, d: a deletion, e: erased, -: none
		want    string // v: to be read, g: gone
	}{
		"all":                               {"vvdv", "vvgv"},
		"the first is erased":               {"evv", "gvv"},
		"the last is erased":                {"vve", "vvg"},
		"one in the middle is erased":       {"vevv", "vgvv"},
		"a deletion that nobody could read": {"e-v", "ggv"},
		"a deletion after what is erased":   {"ed", "gg"},
		"all are erased":                    {"eee", "ggg"},
	} {
		t.Run(name, func(t *testing.T) {
			st := storetest.Open(t, store.Options{})
			key := store.Key{Type: "Observation", ID: "o"}
			of := map[int64]*restored{}
			for i, r := range x.records {
				vid := int64(i) + 1
				// What is left of an erased record is the time of its batch, later than that of its version.
				one := &restored{log: uint64(vid), put: store.Put{Key: key, VID: vid, Owner: "Patient/p", Updated: time.UnixMilli(1000 * vid).UTC(), Expect: store.Any}}
				switch r {
				case 'v':
					one.put.Body = fmt.Appendf(nil, "version %d", vid)
				case 'd':
					one.gone = true
				case 'e':
					one.gone, one.hollow, one.put.Updated = true, true, one.put.Updated.Add(time.Hour)
				default:
					continue
				}
				of[vid] = one
			}
			list := inOrder(map[store.Key]map[int64]*restored{key: of})
			if err := st.Write(t.Context(), func(tx *store.Tx) error {
				for _, one := range list {
					if err := one.write(tx); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for vid := range int64(len(x.want)) {
				switch v, err := st.ReadVersion(t.Context(), key, vid+1); {
				case errors.Is(err, store.ErrGone) && v.Owner == "Patient/p":
					got.WriteByte('g')
				case err == nil && string(v.Body) == fmt.Sprint("version ", vid+1):
					got.WriteByte('v')
				default:
					t.Errorf("version %d: %v", vid+1, err)
				}
			}
			if got.String() != x.want {
				t.Errorf("got %s, want %s", &got, x.want)
			}
			if v, _ := st.Read(t.Context(), key); v.VID != int64(len(x.want)) {
				t.Errorf("got version %d as the current one, want %d", v.VID, len(x.want))
			}
		})
	}
}

// What no record holds yet is taken from the store that is replaced: of what the pump has not noted as handed on, all
// but what the records gave, what is derived, and what is no resource any more.
func TestARebuildingTakesWhatIsInNoRecord(t *testing.T) {
	x, err := index.New(definition.R4(), "http://example.org/fhir")
	if err != nil {
		t.Fatal(err)
	}
	old := storetest.Open(t, store.Options{})
	patient := func(id string) store.Put {
		return store.Put{Key: store.Key{Type: "Patient", ID: id}, Owner: "Patient/" + id, Expect: store.Any, Body: fmt.Appendf(nil, `{"resourceType":"Patient","id":%q}`, id)}
	}
	noted, recorded, waits, gone, damaged := patient("noted"), patient("recorded"), patient("waits"), patient("gone"), patient("damaged")
	damaged.Body = []byte("not a resource")
	said := store.Put{Key: store.Key{Type: "Provenance", ID: "said"}, Owner: "Patient/waits", Record: derived, Expect: store.Any, Body: []byte(`{"resourceType":"Provenance","id":"said"}`)}
	if err := old.Write(t.Context(), func(tx *store.Tx) error {
		v, err := tx.Put(noted)
		if err != nil {
			return err
		}
		for _, p := range []store.Put{recorded, waits, gone, damaged, said} {
			if _, err := tx.Put(p); err != nil {
				return err
			}
		}
		if _, err := tx.Delete(store.Put{Key: gone.Key, Expect: store.Any}); err != nil {
			return err
		}
		return tx.SetMark(markName, v.Seq)
	}); err != nil {
		t.Fatal(err)
	}
	b := &Rebuilding{index: x, all: map[store.Key]map[int64]*restored{}}
	for _, p := range []store.Put{noted, recorded} {
		p.VID = 1
		b.add(&restored{put: p})
	}
	if n, err := b.Take(t.Context(), old); err != nil || n != 3 {
		t.Fatalf("got %d, %v; want what waits, and what is gone with its deletion", n, err)
	}
	for key, versions := range map[store.Key]int{noted.Key: 1, recorded.Key: 1, waits.Key: 1, gone.Key: 2, damaged.Key: 0, said.Key: 0} {
		if got := len(b.all[key]); got != versions {
			t.Errorf("%s: got %d versions, want %d", key.ID, got, versions)
		}
	}
	if one := b.all[waits.Key][1]; len(one.put.Entries) == 0 || one.put.Owner != "Patient/waits" {
		t.Errorf("got %d entries of %q, want those it is found by", len(one.put.Entries), one.put.Owner)
	}
	if one := b.all[gone.Key][2]; !one.gone {
		t.Error("a deletion is none any more")
	}
}
