package chart

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"salus/fhir"
	"salus/ledger/module/anchor"
	"salus/ledger/state"
	"salus/record"
	"salus/store"
)

// A restored is one version as its record has it.
type restored struct {
	put    store.Put
	gone   bool
	hollow bool   // nothing is left but its number
	log    uint64 // of its batch; the last for what is not anchored yet
	index  uint16
}

// A Rebuilding is what a clinical store is made of again: the versions of an organisation's resources as they
// were, with their ids, numbers, times and bytes. Where they are on the ledger, the Service writes again when it runs.
type Rebuilding struct {
	index Indexer
	all   map[store.Key]map[int64]*restored
}

// Gather takes the versions that records hold.
func Gather(ctx context.Context, rs *record.Service, x Indexer, view func() *state.View) (*Rebuilding, error) {
	b := &Rebuilding{index: x, all: map[store.Key]map[int64]*restored{}}
	v := view()
	defer v.Close()
	add := func(reference string, o record.Owned, one *restored) {
		if reference != Directory {
			one.put.Owner = reference
		}
		one.log, one.index = ^uint64(0), o.Index
		if batch, ok := anchor.Lookup(v, o.Batch); ok {
			one.log = batch.Index
			if one.hollow {
				one.put.Updated = time.Unix(int64(batch.Time), 0).UTC()
			}
		}
		// A deletion beside a version of that number only took back what came before it.
		if there := b.all[one.put.Key][one.put.VID]; there == nil || there.gone && !one.gone {
			b.add(one)
		}
	}
	err := rs.Versions(func(reference string, o record.Owned, body []byte) error {
		r, err := fhir.Parse(body)
		if err != nil {
			return errVersion
		}
		one, err := restore(x, r)
		if err != nil {
			return err
		}
		add(reference, o, one)
		return ctx.Err()
	})
	if err == nil {
		err = rs.ErasedVersions(func(reference string, o record.Owned, n record.Named) error {
			if n.Version > 0 {
				add(reference, o, &restored{gone: true, hollow: true, put: store.Put{Key: store.Key{Type: n.Type, ID: n.ID}, VID: n.Version, Expect: store.Any}})
			}
			return ctx.Err()
		})
	}
	return b, err
}

func (b *Rebuilding) add(one *restored) {
	of := b.all[one.put.Key]
	if of == nil {
		of = map[int64]*restored{}
		b.all[one.put.Key] = of
	}
	of[one.put.VID] = one
}

// Take adds the versions of the store that is to be replaced which no record holds yet: they were acknowledged, and
// are nowhere else. It returns how many there are, without those that are no resources any more.
func (b *Rebuilding) Take(ctx context.Context, old *store.Store) (n int, err error) {
	at, err := old.Mark(ctx, markName)
	if err != nil {
		return 0, err
	}
	expected := Expected(b.index)
	for {
		vs, err := old.After(ctx, at, 500)
		if err != nil || len(vs) == 0 {
			return n, err
		}
		for i := range vs {
			v := &vs[i]
			at = v.Seq
			if v.Record == derived || b.all[v.Key][v.VID] != nil {
				continue
			}
			one := &restored{gone: v.Method == store.Delete, log: ^uint64(0), put: store.Put{
				Key: v.Key, Owner: v.Owner, Record: v.Record, Body: v.Body, VID: v.VID, Updated: v.Updated, Method: v.Method, Expect: store.Any,
			}}
			if !one.gone {
				if one.put.Entries, one.put.Owner, err = expected(v); err != nil {
					continue
				}
			}
			b.add(one)
			n++
		}
	}
}

// Write writes all into an empty store. It returns how many versions there are.
func (b *Rebuilding) Write(ctx context.Context, st *store.Store) (int, error) {
	list := inOrder(b.all)
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

// inOrder are all versions of all resources in the order in which they were written.
func inOrder(all map[store.Key]map[int64]*restored) (list []*restored) {
	for _, of := range all {
		complete(of)
		list = slices.AppendSeq(list, maps.Values(of))
	}
	slices.SortFunc(list, func(a, b *restored) int {
		return cmp.Or(a.put.Updated.Compare(b.put.Updated), cmp.Compare(a.log, b.log), cmp.Compare(a.index, b.index), cmp.Compare(a.put.VID, b.put.VID))
	})
	return list
}

// complete gives a resource all its versions: those that are erased, and deletions of what nobody could read any
// more, which are in no record, are there without content. Else an erased one's number would be used again, and
// the version before it be the current one.
func complete(of map[int64]*restored) {
	vids := slices.Sorted(maps.Keys(of))
	before := of[vids[0]]
	for _, vid := range vids {
		if !of[vid].hollow {
			before = of[vid]
			break
		}
	}
	for vid := range vids[len(vids)-1] {
		one := of[vid+1]
		if one == nil || one.hollow {
			one = &restored{gone: true, log: before.log, index: before.index, put: before.put}
			one.put.VID, one.put.Body, one.put.Entries = vid+1, nil, nil
			of[vid+1] = one
		}
		before = one
	}
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
	if o.gone { // also where nothing was before it
		o.put.Method = store.Delete
	}
	_, err := t.Put(o.put)
	return err
}
