package bulk

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"salus/fhir"
	"salus/store"
)

// now is the place in the store's order of the last version that is there.
func (s *Service) now(ctx context.Context) (int64, error) {
	// The history of one type alone would not do: the order is that of all.
	l, _, err := s.Store.History(ctx, store.Past{Scopes: []store.Scope{store.Own}, Count: 1, Uncounted: true})
	if err != nil || len(l) == 0 {
		return 0, err
	}
	return l[0].Seq, nil
}

// asOf is a resource as it was at seq; ok is false if it was not there. Who sees the resource now
// sees what it was.
func (s *Service) asOf(ctx context.Context, v *store.Version, seq int64) (store.Version, bool, error) {
	if v.Seq <= seq {
		return *v, v.Method != store.Delete, nil
	}
	l, _, err := s.Store.History(ctx, store.Past{Type: v.Type, ID: v.ID, Scopes: []store.Scope{v.Scope}, Before: seq + 1, Count: 1, Uncounted: true})
	if err != nil || len(l) == 0 {
		return store.Version{}, false, err
	}
	return l[0], l[0].Method != store.Delete, nil
}

// vanished writes what was there at the start of the job and is deleted now, unless it was found
// before. It has no index any more that a condition could be held against: where there is one, it
// is left out.
func (e *exporter) vanished(ctx context.Context) error {
	lost := map[string]store.Version{}
	for at := e.seq; ; {
		l, err := e.Store.After(ctx, at, e.PageSize)
		if err != nil {
			return err
		}
		if len(l) == 0 {
			break
		}
		at = l[len(l)-1].Seq
		for i := range l {
			v := &l[i]
			if v.Method != store.Delete || !e.sees(v) || len(e.filters[v.Type]) > 0 {
				continue
			}
			was, ok, err := e.asOf(ctx, v, e.seq)
			if err != nil {
				return err
			}
			if ok && (e.since.IsZero() || was.Updated.After(e.since)) {
				lost[v.Type+"/"+v.ID] = was
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	if err := e.found(lost); err != nil {
		return err
	}
	for _, ref := range slices.Sorted(maps.Keys(lost)) {
		v := lost[ref]
		if err := e.begin("output", v.Type); err != nil {
			return err
		}
		if err := e.put(&v); err != nil {
			return err
		}
	}
	return nil
}

// found takes out of lost what the job's files have already.
func (e *exporter) found(lost map[string]store.Version) error {
	if err := e.end(); err != nil {
		return err
	}
	for _, f := range e.job.Files {
		l := &lines{each: func(line []byte) {
			if r, err := fhir.Parse(line); err == nil {
				delete(lost, r.Type()+"/"+r.ID())
			}
		}}
		if err := openSealed(l, e.path(e.job.ID, f.Number), e.job.Key, f.Number); err != nil {
			return err
		}
	}
	return nil
}

// lines splits what is written to it.
type lines struct {
	rest []byte
	each func([]byte)
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, more, ok := bytes.Cut(p, []byte("\n"))
		l.rest = append(l.rest, line...)
		if !ok {
			return n, nil
		}
		l.each(l.rest)
		l.rest, p = l.rest[:0], more
	}
}

// sees reports whether a job may tell of a version that has no index: a deletion.
func (r *request) sees(v *store.Version) bool {
	_, conditions := r.leave.Within[v.Type]
	return !conditions && len(r.leave.Scopes) > 0 && r.has(v.Type) && r.whose(v.Owner) &&
		(r.leave.Owner == "" || v.Owner == "" || v.Owner == r.leave.Owner)
}

func (r *request) has(typ string) bool {
	return slices.Contains(r.types, typ)
}

// whose reports whether a compartment is one of those that are exported.
func (r *request) whose(owner string) bool {
	switch {
	case r.patients != nil:
		return slices.Contains(r.patients, owner)
	case r.within:
		return strings.HasPrefix(owner, "Patient/")
	}
	return true
}
