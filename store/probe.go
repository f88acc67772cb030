package store

import (
	"context"
	"fmt"
)

// Left counts what is still there of what an Erasure names: bodies, current or former, and index rows.
func (s *Store) Left(ctx context.Context, e Erasure) (n int, err error) {
	count := func(q string, args ...any) {
		if err != nil {
			return
		}
		var found int
		rows, qerr := s.reader().src.rows(ctx, q, args...)
		if qerr == nil {
			qerr = one(rows, &found)
		}
		if qerr != nil {
			err = fmt.Errorf("store: probe: %w", qerr)
		}
		n += found
	}
	for _, v := range e.Versions {
		count(`SELECT COUNT(*) FROM resource WHERE type = ? AND id = ? AND scope = 0 AND vid = ? AND (body IS NOT NULL OR LENGTH(entries) > 0)`, v.Type, v.ID, v.VID)
		count(`SELECT COUNT(*) FROM resource r JOIN version v ON v.rid = r.rid WHERE r.type = ? AND r.id = ? AND r.scope = 0 AND v.vid = ? AND v.body IS NOT NULL`, v.Type, v.ID, v.VID)
	}
	for _, o := range e.Owners {
		count(`SELECT COUNT(*) FROM resource WHERE owner = ? AND owner <> '' AND (body IS NOT NULL OR LENGTH(entries) > 0)`, o)
		count(`SELECT COUNT(*) FROM resource r JOIN version v ON v.rid = r.rid WHERE r.owner = ? AND r.owner <> '' AND v.body IS NOT NULL`, o)
	}
	for _, r := range e.Records {
		count(`SELECT COUNT(*) FROM resource WHERE scope > 0 AND record = ?`, r)
	}
	return n, err
}
