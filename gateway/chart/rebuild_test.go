package chart

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/store"
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
			st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "store.db"), [32]byte{1}, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := st.Close(); err != nil {
					t.Error(err)
				}
			}()
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
