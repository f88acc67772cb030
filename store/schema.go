package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// schemaVersion is that of the tables below: those of version 1 and what each step added.
const schemaVersion = 3

// steps make the tables of version 1 into those of 2, and so on.
var steps = []string{
	// A date or number of a resource that is known already.
	`CREATE INDEX idx_span_rid ON idx_span (rid, p)`,
	// Parameters that are found by others' rows (search.Param.Of) have none of their own any more: what there is has to be
	// indexed anew (markNext).
	`INSERT INTO meta (name, value) SELECT 'mark.index.next', '1' WHERE EXISTS (SELECT 1 FROM resource) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
}

// The tables. rid is a resource's row number. Index tables have no index by rid: what rows a
// resource has is kept beside it (entries), because most resources are written once and an index
// of their own would double every write.
//
// idx_sort has what most results are sorted by, dates, numbers and names, in the order of the
// resources: the lowest and the highest value that each has.
//
//	grp ties the parts of one value of a composite parameter together; 0 otherwise.
const schema = `
CREATE TABLE meta (name {text} PRIMARY KEY, value {text} NOT NULL);
CREATE TABLE param (id BIGINT PRIMARY KEY, name {text} NOT NULL UNIQUE);
CREATE TABLE resource (
	rid BIGINT PRIMARY KEY, scope BIGINT NOT NULL, type {text} NOT NULL, id {text} NOT NULL,
	vid BIGINT NOT NULL, seq BIGINT NOT NULL, updated BIGINT NOT NULL, method BIGINT NOT NULL,
	owner {text} NOT NULL, record {text} NOT NULL, body {blob}, entries {blob}
);
CREATE UNIQUE INDEX resource_key ON resource (type, id, scope);
CREATE INDEX resource_type ON resource (scope, type, rid);
CREATE INDEX resource_seq ON resource (seq);
CREATE INDEX resource_updated ON resource (scope, type, updated, rid);
CREATE INDEX resource_owner ON resource (owner, type, rid);
CREATE TABLE version (
	rid BIGINT NOT NULL, vid BIGINT NOT NULL, seq BIGINT NOT NULL, updated BIGINT NOT NULL, method BIGINT NOT NULL,
	record {text} NOT NULL, body {blob}, PRIMARY KEY (rid, vid)
){tail};
CREATE INDEX version_seq ON version (seq);
CREATE TABLE idx_token (p BIGINT NOT NULL, code {text} NOT NULL, system {text} NOT NULL, rid BIGINT NOT NULL, grp BIGINT NOT NULL, PRIMARY KEY (p, code, system, rid, grp)){tail};
CREATE TABLE idx_text (p BIGINT NOT NULL, value {text} NOT NULL, exact {text} NOT NULL, rid BIGINT NOT NULL, PRIMARY KEY (p, value, rid, exact)){tail};
CREATE TABLE idx_ref (p BIGINT NOT NULL, target {text} NOT NULL, rid BIGINT NOT NULL, grp BIGINT NOT NULL, PRIMARY KEY (p, target, rid, grp)){tail};
CREATE TABLE idx_span (p BIGINT NOT NULL, low {float} NOT NULL, high {float} NOT NULL, rid BIGINT NOT NULL, grp BIGINT NOT NULL, PRIMARY KEY (p, low, high, rid, grp)){tail};
CREATE TABLE idx_quantity (
	p BIGINT NOT NULL, low {float} NOT NULL, high {float} NOT NULL, code {text} NOT NULL, system {text} NOT NULL, unit {text} NOT NULL,
	rid BIGINT NOT NULL, grp BIGINT NOT NULL, PRIMARY KEY (p, low, high, code, system, unit, rid, grp)
){tail};
CREATE TABLE idx_sort (
	rid BIGINT NOT NULL, p BIGINT NOT NULL, low {float} NOT NULL, high {float} NOT NULL, first {text} NOT NULL, last {text} NOT NULL, PRIMARY KEY (rid, p)
){tail};`

// prepare makes the tables, or those of an older version into these.
func prepare(ctx context.Context, db *sql.DB, d *dialect) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: open: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	version, err := versionOf(ctx, tx, d)
	switch {
	case err != nil:
		return err
	case version == schemaVersion:
		return nil
	case version > schemaVersion:
		return ErrNewer
	}
	var statements []string
	if version == 0 {
		statements = strings.Split(d.expand(schema), ";")
		version = 1
	}
	statements = append(statements, steps[version-1:]...)
	for _, statement := range append(statements, `DELETE FROM meta WHERE name = 'schema'`) {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("store: schema: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, d.bind(`INSERT INTO meta (name, value) VALUES ('schema', ?)`), fmt.Sprint(schemaVersion)); err != nil {
		return fmt.Errorf("store: schema: %w", err)
	}
	return tx.Commit()
}

// versionOf is that of the tables there are, 0 for none.
func versionOf(ctx context.Context, tx *sql.Tx, d *dialect) (v int, err error) {
	tables := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'`
	if d.numbered {
		tables = `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'meta'`
	}
	if err := tx.QueryRowContext(ctx, tables).Scan(&v); err != nil {
		return 0, fmt.Errorf("store: open: %w", err)
	}
	if v == 0 {
		return 0, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'schema'`).Scan(&v)
	return v, err
}

func (d *dialect) expand(s string) string {
	return strings.NewReplacer("{text}", d.text, "{blob}", d.blob, "{float}", d.float, "{tail}", d.tail).Replace(s)
}
