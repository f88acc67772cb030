package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble"
)

// checkRows reads every row of every database below dir, so that Pebble compares every block
// with its checksum: also rows that no rule of the part speaks of.
func checkRows(ctx context.Context, dir string) error {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		// Every format of Pebble names its tables in a manifest.
		if at := filepath.Dir(path); err == nil && strings.HasPrefix(d.Name(), "MANIFEST-") && !slices.Contains(found, at) {
			found = append(found, at)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a part that never ran
	}
	for _, db := range found {
		if rerr := readRows(ctx, db); rerr != nil {
			err = errors.Join(err, fmt.Errorf("node: %s: %w", filepath.Base(db), rerr))
		}
	}
	return err
}

func readRows(ctx context.Context, dir string) (err error) {
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: silent{}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	it, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		if _, err := it.ValueAndErr(); err != nil {
			return err
		}
	}
	return errors.Join(it.Error(), ctx.Err())
}

// silent drops Pebble's lines; what it finds is in its errors.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
