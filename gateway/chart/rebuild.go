package chart

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"salus/fhir"
	"salus/ledger/module/anchor"
	"salus/ledger/state"
	"salus/record"
	"salus/store"
)

// A restored is one version as its record has it.
type restored struct {
	put   store.Put
	gone  bool
	log   uint64 // of its batch; the last for what is not anchored yet
	index uint16
}

// Rebuild writes the versions that an organisation's records hold into an empty clinical store, as
// they were: their ids, numbers, times and bytes. Where they are on the ledger, the Service writes
// again when it runs. It returns how many versions there are.
func Rebuild(ctx context.Context, st *store.Store, rs *record.Service, x Indexer, view func() *state.View) (int, error) {
	all := map[store.Key]map[int64]*restored{}
	v := view()
	defer v.Close()
	err := rs.Versions(func(reference string, o record.Owned, body []byte) error {
		r, err := fhir.Parse(body)
		if err != nil {
			return errVersion
		}
		one, err := restore(x, r)
		if err != nil {
			return err
		}
		if strings.HasPrefix(reference, "Patient/") {
			one.put.Owner = reference
		}
		one.log, one.index = ^uint64(0), o.Index
		if b, ok := anchor.Lookup(v, o.Batch); ok {
			one.log = b.Index
		}
		of := all[one.put.Key]
		if of == nil {
			of = map[int64]*restored{}
			all[one.put.Key] = of
		}
		// A deletion beside a version of that number only took back what came before it.
		if there := of[one.put.VID]; there == nil || there.gone && !one.gone {
			of[one.put.VID] = one
		}
		return ctx.Err()
	})
	if err != nil {
		return 0, err
	}
	var list []*restored
	for _, of := range all {
		for _, one := range of {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b *restored) int {
		return cmp.Or(a.put.Updated.Compare(b.put.Updated), cmp.Compare(a.log, b.log), cmp.Compare(a.index, b.index), cmp.Compare(a.put.VID, b.put.VID))
	})
	for part := range slices.Chunk(list, 500) {
		if err := st.Write(ctx, func(t *store.Tx) error {
			for _, one := range part {
				if err := one.write(t); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

var errUntold = errors.New("chart: a record of a version does not tell its number and time")

func restore(x Indexer, r fhir.Resource) (*restored, error) {
	if g, ok := deletionOf(r); ok {
		return &restored{gone: true, put: store.Put{Key: store.Key{Type: g.Type, ID: g.ID}, VID: g.VID, Updated: g.At, Expect: store.Any}}, nil
	}
	at, ok := r.LastUpdated()
	vid, _ := versionOf(r, 0)
	if !ok || r.VersionID() == "" || r.ID() == "" {
		return nil, errUntold
	}
	entries, err := x.Entries(r)
	return &restored{put: store.Put{
		Key: store.Key{Type: r.Type(), ID: r.ID()}, Body: r.Raw(), Entries: entries, VID: vid, Updated: at.UTC().Truncate(time.Millisecond), Expect: store.Any,
	}}, err
}

func (o *restored) write(t *store.Tx) error {
	if o.gone {
		_, err := t.Delete(o.put)
		return err
	}
	_, err := t.Put(o.put)
	return err
}
