package store

import (
	"context"
	"fmt"

	"salus/fhir/search"
)

// walk tells whether the matches of a search are the rows of one value in an index, one after the other in the order of
// a page: then a page reads its own rows and no others, however many more have that value. It returns from where to
// select and on what condition, with w for the index. That is so for one value of a token or reference, where nothing
// is sorted and nothing hidden by conditions.
func (b *builder) walk(ctx context.Context, q *Search) (from string, on sqlText, ok bool, err error) {
	where := q.Query.Where
	if len(where) != 1 || len(q.Query.Sort) > 0 || len(q.Query.Types) != 1 || len(q.Scopes) != 1 || q.Compartment != "" || q.Owner != "" || b.conditioned(q.Query.Types) {
		return "", nothing, false, nil
	}
	c := &where[0]
	ids := []any(nil)
	if countable(c, false) && c.Chain == nil && len(c.Values) == 1 && alternatives(q.Query.Types, c.Param) == 1 {
		ids = b.params(q.Query.Types, c.Param, search.Plain)
	}
	if len(ids) != 1 {
		return "", nothing, false, nil
	}
	v := c.Values[0]
	switch {
	case c.Param.Kind == search.Reference && c.Modifier != search.Identifier:
		return "idx_ref w", text("w.p = ? AND w.target = ?", ids[0], clip(v.Text, maxExact)), true, nil
	case c.Param.Kind != search.Token || c.Modifier != search.Plain:
		return "", nothing, false, nil
	case !v.HasSystem:
		systems, err := b.systemsOf(ctx, ids[0], clip(v.Text, maxText))
		if err != nil || len(systems) != 1 {
			return "", nothing, false, err
		}
		v.System = systems[0]
	}
	return "idx_token w", text("w.p = ? AND w.code = ? AND w.system = ?", ids[0], clip(v.Text, maxText), clip(v.System, maxText)), true, nil
}

// systemsOf are the systems that a code has in an index: none, one, or two of more.
func (b *builder) systemsOf(ctx context.Context, id any, code string) (out []string, err error) {
	next := ""
	args := []any{id, code}
	for len(out) < 2 {
		rows, err := b.src.rows(ctx, "SELECT COALESCE(MIN(system), ''), COUNT(*) FROM (SELECT system FROM idx_token WHERE p = ? AND code = ?"+next+" ORDER BY system LIMIT 1) s", args...)
		if err != nil {
			return nil, fmt.Errorf("store: search: %w", err)
		}
		var system string
		var n int
		if err := one(rows, &system, &n); err != nil {
			return nil, fmt.Errorf("store: search: %w", err)
		}
		if n == 0 {
			break
		}
		out = append(out, system)
		next, args = " AND system > ?", []any{id, code, system}
	}
	return out, nil
}
