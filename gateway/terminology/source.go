package terminology

import (
	"context"
	"errors"
	"slices"
	"sync"

	"salus/fhir/search"
	"salus/fhir/terminology"
	"salus/gateway/rest"
	"salus/store"
)

// stored is the terminology of the store that a caller sees.
type stored struct {
	*Service
	leave *rest.Leave
}

// engine answers a caller: from the store, then from what was loaded.
func (s *Service) engine(l *rest.Leave) *terminology.Engine {
	return &terminology.Engine{Source: terminology.Join(stored{s, l}, s.Loaded), Now: s.Now()}
}

// maxVersions bounds how many resources of one canonical are looked at.
const maxVersions = 100

// find returns the resources that have a value of a parameter, the one to choose first.
func (s stored) find(ctx context.Context, typ, code, value, version string) ([]store.Version, error) {
	if value == "" || !s.leave.Allows(rest.Search, typ) {
		return nil, nil
	}
	clause := func(code string, kind search.Kind, text string) search.Clause {
		return search.Clause{Param: &search.Param{Code: code, Kind: kind}, Values: []search.Value{{Text: text}}}
	}
	q := &search.Query{Types: []string{typ}, Where: []search.Clause{clause(code, search.URI, value)}, Count: maxVersions}
	if version != "" {
		q.Where = append(q.Where, clause("version", search.Token, version))
	}
	p, err := s.Store.Search(ctx, store.Search{Query: q, Sight: s.leave.Sight()})
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(p.Matches, func(v store.Version) bool { return len(v.Body) == 0 })
	// What the organisation has stored itself comes before what a session brought.
	slices.SortStableFunc(list, func(a, b store.Version) int {
		switch {
		case a.Scope == store.Own && b.Scope != store.Own:
			return -1
		case b.Scope == store.Own && a.Scope != store.Own:
			return 1
		}
		x, y := headOf(a.Body), headOf(b.Body)
		if c := terminology.Prefer(x.Status, x.Version, y.Status, y.Version); c != 0 {
			return c
		}
		return b.Updated.Compare(a.Updated)
	})
	return list, nil
}

// CodeSystem implements terminology.Source.
func (s stored) CodeSystem(ctx context.Context, url, version string) (*terminology.CodeSystem, error) {
	list, err := s.find(ctx, "CodeSystem", "url", url, version)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if c, err := s.system(&list[i]); err != nil || c.Content != "supplement" {
			return c, err
		}
	}
	return nil, terminology.ErrNoSystem
}

// ValueSet implements terminology.Source.
func (s stored) ValueSet(ctx context.Context, url, version string) (*terminology.ValueSet, error) {
	list, err := s.find(ctx, "ValueSet", "url", url, version)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, terminology.ErrNoValueSet
	}
	return terminology.ParseValueSet(list[0].Body)
}

// ConceptMaps implements terminology.Source.
func (s stored) ConceptMaps(ctx context.Context, url, version, system string) (out []*terminology.ConceptMap, err error) {
	var list []store.Version
	if url != "" {
		if list, err = s.find(ctx, "ConceptMap", "url", url, version); err != nil {
			return nil, err
		}
		list = list[:min(1, len(list))]
	} else {
		for _, code := range []string{"source-system", "target-system"} {
			more, err := s.find(ctx, "ConceptMap", code, system, "")
			if err != nil {
				return nil, err
			}
			for _, v := range more {
				if !slices.ContainsFunc(list, func(o store.Version) bool { return o.Key == v.Key }) {
					list = append(list, v)
				}
			}
		}
	}
	for i := range list {
		m, err := terminology.ParseConceptMap(list[i].Body)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// system parses a code system, or takes it from the cache. What a session brought is not kept: it
// ends with the session.
func (s stored) system(v *store.Version) (*terminology.CodeSystem, error) {
	if v.Scope != store.Own {
		return terminology.ParseCodeSystem(v.Body)
	}
	at := place{v.ID, v.VID, v.Seq}
	if c := s.cache.get(at); c != nil {
		return c, nil
	}
	c, err := terminology.ParseCodeSystem(v.Body)
	if err == nil {
		s.cache.put(at, c, len(v.Body))
	}
	return c, err
}

// see reads a resource by its id.
func (s stored) see(ctx context.Context, typ, id string) (*store.Version, error) {
	if !s.leave.Allows(rest.Read, typ) {
		return nil, store.ErrNotFound // who may not read it does not learn that it is there
	}
	v, err := rest.See(ctx, s.Store, s.leave, typ, id)
	return &v, err
}

// A place is a version of a code system of the organisation's own.
type place struct {
	id       string
	vid, seq int64
}

type cached struct {
	system *terminology.CodeSystem
	size   int
	used   int64
}

// cache keeps code systems that were read, the last used, within maxCached bytes of their resources.
// Only what a search has shown to a caller is looked up in it.
type cache struct {
	mu    sync.Mutex
	kept  map[place]*cached
	size  int
	clock int64
}

const maxCached = 32 << 20

func (c *cache) get(at place) *terminology.CodeSystem {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.kept[at]
	if k == nil {
		return nil
	}
	c.clock++
	k.used = c.clock
	return k.system
}

func (c *cache) put(at place, s *terminology.CodeSystem, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[at] != nil || size > maxCached {
		return
	}
	c.clock++
	c.kept[at] = &cached{s, size, c.clock}
	for c.size += size; c.size > maxCached; {
		var oldest place
		var k *cached
		for p, x := range c.kept {
			if k == nil || x.used < k.used {
				oldest, k = p, x
			}
		}
		c.size -= k.size
		delete(c.kept, oldest)
	}
}

// gone reports whether an error says that there is nothing.
func gone(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) || errors.Is(err, terminology.ErrNoValueSet) || errors.Is(err, terminology.ErrNoSystem)
}
