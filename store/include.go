package store

import (
	"context"
	"slices"
	"strings"

	"salus/fhir/search"
)

// include follows _include and _revinclude from the matches, and with :iterate from what they
// brought. It brings nothing that the scopes do not show. cut says that there may be more than it brings.
func (b *builder) include(ctx context.Context, q *search.Query, matches []found) (all []found, cut bool, err error) {
	if len(q.Include)+len(q.RevInclude) == 0 {
		return nil, false, nil
	}
	have := map[int64]bool{}
	for i := range matches {
		have[matches[i].rid] = true
	}
	from, first := matches, true
	for len(from) > 0 && len(all) < maxIncluded {
		var fresh []found
		take := func(l []found) {
			for i := range l {
				switch {
				case have[l[i].rid]:
				case len(all)+len(fresh) == maxIncluded:
					cut = true
				default:
					have[l[i].rid] = true
					fresh = append(fresh, l[i])
				}
			}
		}
		for i := range q.Include {
			if x := &q.Include[i]; first || x.Iterate {
				l, err := b.forward(ctx, x, from)
				if err != nil {
					return nil, false, err
				}
				take(l)
			}
		}
		for i := range q.RevInclude {
			if x := &q.RevInclude[i]; first || x.Iterate {
				l, more, err := b.backward(ctx, x, from)
				if err != nil {
					return nil, false, err
				}
				take(l)
				cut = cut || more
			}
		}
		all = append(all, fresh...)
		from, first = fresh, false
	}
	// What came last was not asked what it brings.
	iterates := func(x search.Include) bool { return x.Iterate }
	cut = cut || len(from) > 0 && (slices.ContainsFunc(q.Include, iterates) || slices.ContainsFunc(q.RevInclude, iterates))
	return all, cut, nil
}

// forward reads what resources refer to.
func (b *builder) forward(ctx context.Context, x *search.Include, from []found) ([]found, error) {
	var keys []any
	asked := map[string]bool{}
	for i := range from {
		if x.Source != "*" && x.Source != from[i].Type {
			continue
		}
		var wanted []int64 // of no parameter: every reference
		if x.Param != nil {
			for _, code := range x.Param.Entries(from[i].Type) {
				if id, ok := b.src.number(from[i].Type + "." + search.IndexName(code, search.Plain, 0)); ok {
					wanted = append(wanted, from[i].Scope.param(id))
				}
			}
		}
		rows, err := decodeRows(from[i].entries)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.Table != refTable || x.Param != nil && !slices.Contains(wanted, r.Param) || asked[r.A] {
				continue
			}
			if typ, _, ok := strings.Cut(r.A, "/"); !ok || x.Target != "" && typ != x.Target {
				continue
			}
			asked[r.A] = true
			keys = append(keys, r.A)
		}
	}
	var out []found
	for len(keys) > 0 {
		n := min(len(keys), 200)
		part := keys[:n]
		keys = keys[n:]
		// Type and id apart, so that the index over both finds them.
		var ors []sqlText
		for _, k := range part {
			typ, id, _ := strings.Cut(k.(string), "/") //nolint:forcetypeassert // put there above
			ors = append(ors, text("r.type = ? AND r.id = ?", typ, id))
		}
		seen, err := b.seen("r", nil)
		if err != nil {
			return nil, err
		}
		w := join([]sqlText{seen, join(ors, " OR ")}, " AND ")
		l, err := b.list(ctx, true, "SELECT "+columns+", r.entries FROM resource r WHERE "+w.s+" ORDER BY r.rid", w.args...)
		if err != nil {
			return nil, err
		}
		out = append(out, l...)
	}
	return out, nil
}

// backward reads what refers to resources; more says that it may not be all.
func (b *builder) backward(ctx context.Context, x *search.Include, from []found) (out []found, more bool, err error) {
	var targets []any
	for i := range from {
		if x.Target == "" || x.Target == from[i].Type {
			targets = append(targets, from[i].Type+"/"+from[i].ID)
		}
	}
	if len(targets) == 0 || x.Source == "*" || x.Param == nil {
		return nil, false, nil // _revinclude names a parameter: everything that refers here has no bound
	}
	ids := b.params([]string{x.Source}, x.Param, search.Plain)
	if len(ids) == 0 {
		return nil, false, nil
	}
	for len(targets) > 0 && len(out) <= maxIncluded {
		n := min(len(targets), 200)
		w, err := b.seen("r", []string{x.Source})
		if err != nil {
			return nil, false, err
		}
		args := slices.Concat(ids, targets[:n], w.args)
		targets = targets[n:]
		limit := bounded(maxIncluded + 1)
		l, err := b.list(ctx, true, "SELECT "+columns+`, r.entries FROM resource r WHERE r.rid IN
			(SELECT rid FROM idx_ref WHERE p IN (`+marks(len(ids))+`) AND target IN (`+marks(n)+")) AND "+w.s+" ORDER BY r.rid"+limit.s, append(args, limit.args...)...)
		if err != nil {
			return nil, false, err
		}
		out, more = append(out, l...), more || len(l) > maxIncluded
	}
	return out, more || len(targets) > 0, nil
}
