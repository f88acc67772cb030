package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"salus/fhir/search"
)

// A Fault is one way in which what is stored is wrong.
type Fault string

// The faults.
const (
	FaultUnreadable Fault = "resources that cannot be read"
	FaultOwner      Fault = "resources in another compartment"
	FaultEntries    Fault = "resources with other entries beside them"
	FaultFewer      Fault = "resources with too few rows in the index"
	FaultMore       Fault = "resources with too many rows in the index"
	FaultOther      Fault = "resources with other rows in the index"
	FaultVersions   Fault = "resources whose versions are not complete"
	FaultNoResource Fault = "rows without a resource"
	FaultDatabase   Fault = "faults by the database's own check"
)

// A Finding counts one fault of one type of resource, "" where that is not known any more.
type Finding struct {
	Fault Fault
	Type  string
	Count int
}

// A Health is what Check found.
type Health struct {
	Resources, Versions int
	// Unindexed are those that Reindex has not come to: their index was compared with their entries only.
	Unindexed int
	Findings  []Finding
}

// An Expecter says by what a version of a resource must be found now, and whose it must be.
type Expecter func(v *Version) (entries []search.Entry, owner string, err error)

// checkWindow is how many resources are compared with the index at a time. Each time costs a look at all of it,
// because its tables have no order by resource.
const checkWindow = 1 << 19

// Check reads everything there is and compares it: bodies with the owners, entries and index rows beside them,
// index rows and former versions with the resources they belong to, and SQLite's pages with one another. It
// changes nothing. set is the set of parameters that expect knows; what is indexed by another one, and what a
// session opened, is not asked of expect.
func (s *Store) Check(ctx context.Context, set int64, expect Expecter) (*Health, error) {
	o := sql.TxOptions{ReadOnly: true}
	if s.d.numbered {
		o.Isolation = sql.LevelRepeatableRead // one state of all tables; a transaction of SQLite has no other
	}
	tx, err := s.db.BeginTx(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("store: check: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it has written nothing
	return check(ctx, s.d, tx, set, expect, checkWindow)
}

// check is Check within a transaction, of so many resources at a time.
func check(ctx context.Context, d *dialect, tx *sql.Tx, set int64, expect Expecter, window int) (*Health, error) {
	c := &checker{
		ctx: ctx, d: d, tx: tx, expect: expect, size: window, until: math.MaxInt64, seed: maphash.MakeSeed(),
		params: map[int64]string{}, numbers: map[string]int64{}, types: map[string]int32{}, found: map[Finding]int{},
	}
	if err := c.run(set); err != nil {
		return nil, fmt.Errorf("store: check: %w", err)
	}
	return &c.health, nil
}

// A checker is a check under way.
type checker struct {
	ctx    context.Context //nolint:containedctx // of the one call it lives for
	d      *dialect
	tx     *sql.Tx
	expect Expecter
	size   int
	until  int64 // the first row number that is not indexed by the set of expect
	seed   maphash.Seed

	params  map[int64]string // types of the numbers of parameters
	numbers map[string]int64 // of parameters
	types   map[string]int32 // their places in names
	names   []string
	window  []checked // the resources that are compared now, by their row numbers
	found   map[Finding]int
	health  Health
}

// checked is a resource that waits for what the tables say of it. Its index rows are known by the sum of their
// hashes: what is left when those of the tables are taken away is the difference.
type checked struct {
	rid     int64
	vid     int64 // 0: its versions are another organisation's to count
	missing int64 // former versions
	sum     uint64
	rows    int32
	typ     int32
}

func (c *checker) run(set int64) error {
	if err := c.integrity(); err != nil {
		return err
	}
	if err := c.parameters(set); err != nil {
		return err
	}
	for after := int64(math.MinInt64); ; {
		if err := c.resources(after); err != nil {
			return err
		}
		last := len(c.window) < c.size
		to := int64(math.MaxInt64)
		if !last {
			to = c.window[len(c.window)-1].rid
		}
		if err := errors.Join(c.index(after, to), c.versions(after, to)); err != nil {
			return err
		}
		c.compare()
		if after = to; last {
			break
		}
	}
	for f, n := range c.found {
		f.Count = n
		c.health.Findings = append(c.health.Findings, f)
	}
	slices.SortFunc(c.health.Findings, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Fault, b.Fault), cmp.Compare(a.Type, b.Type)) })
	return nil
}

func (c *checker) note(f Fault, typ string) { c.found[Finding{Fault: f, Type: typ}]++ }

// each calls f with each row of an answer.
func (c *checker) each(f func(scan func(...any) error) error, q string, args ...any) (err error) {
	rows, err := c.tx.QueryContext(c.ctx, c.d.bind(q), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// integrity has SQLite compare its pages, tables and their indexes. Of PostgreSQL that is its operator's.
func (c *checker) integrity() error {
	if c.d.numbered {
		return nil
	}
	return c.each(func(scan func(...any) error) error {
		var line string
		if err := scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			c.note(FaultDatabase, "")
		}
		return nil
	}, `PRAGMA integrity_check`)
}

// parameters reads the numbers of parameters, and how far what is there is indexed by a set of them.
func (c *checker) parameters(set int64) error {
	if err := c.each(func(scan func(...any) error) error {
		var id int64
		var name string
		if err := scan(&id, &name); err != nil {
			return err
		}
		c.params[id], c.numbers[name] = typeOf(name), id
		return nil
	}, `SELECT id, name FROM param`); err != nil {
		return err
	}
	marks := map[string]int64{}
	if err := c.each(func(scan func(...any) error) error {
		var name string
		var n int64
		if err := scan(&name, &n); err != nil {
			return err
		}
		marks[name] = n
		return nil
	}, `SELECT name, CAST(value AS BIGINT) FROM meta WHERE name IN (?, ?)`, "mark."+markSet, "mark."+markNext); err != nil {
		return err
	}
	if marks["mark."+markSet] != set {
		c.until = math.MinInt64
	} else if next := marks["mark."+markNext]; next != 0 {
		c.until = next
	}
	return nil
}
