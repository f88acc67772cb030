package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"salus/config"
	"salus/fhir/index"
	"salus/gateway/chart"
	"salus/internal/durable"
	"salus/store"
)

// errUnrecorded ends a rebuild that would lose what was acknowledged.
var errUnrecorded = errors.New("node: the clinical store has versions that are in no record yet, and in PostgreSQL nothing but a start carries them over: " +
	"start the node, until salus node status shows nothing on its way")

// rebuildFHIR makes the clinical store of a stopped node again from its records, and from what the store itself has
// that is in none yet.
func rebuildFHIR(ctx context.Context, c *config.Config, s *stopped, rep *RebuildReport) error {
	keys, err := loadKeys(c)
	if err != nil {
		return err
	}
	_, x, err := openSearch(c)
	if err != nil {
		return err
	}
	b, err := chart.Gather(ctx, s.record, x, s.app.View)
	if err != nil {
		return err
	}
	if c.FHIR.Store == "sqlite" {
		return rebuildFile(ctx, clinicalFile(c), keys.store, b, x, rep)
	}
	st, err := openClinicalStore(ctx, c, keys.store)
	if err != nil {
		return err
	}
	return errors.Join(rebuildTables(ctx, st, b, x, rep), st.Close())
}

// rebuildTables makes the new store in the place of the old one, which must have nothing that is in no record yet.
func rebuildTables(ctx context.Context, st *store.Store, b *chart.Rebuilding, x *index.Index, rep *RebuildReport) error {
	n, err := b.Take(ctx, st)
	if err != nil {
		return err
	}
	if n > 0 {
		return errUnrecorded
	}
	if err := st.Clear(ctx); err != nil {
		return err
	}
	return writeAgain(ctx, st, b, x, rep)
}

// writeAgain fills an empty store.
func writeAgain(ctx context.Context, st *store.Store, b *chart.Rebuilding, x *index.Index, rep *RebuildReport) (err error) {
	if rep.Versions, err = b.Write(ctx, st); err != nil {
		return err
	}
	return st.Indexed(ctx, x.Digest())
}

// rebuildFile makes the new store beside the old one, and puts it into its place when it is whole.
func rebuildFile(ctx context.Context, file string, key [32]byte, b *chart.Rebuilding, x *index.Index, rep *RebuildReport) error {
	if err := dropUnfinished(file); err != nil {
		return err
	}
	if err := takeOver(ctx, file, key, b, rep); err != nil {
		return err
	}
	fresh := file + unfinished
	st, err := openStoreFile(ctx, fresh, key)
	if err != nil {
		return err
	}
	if err := errors.Join(writeAgain(ctx, st, b, x, rep), st.Close()); err != nil {
		return err
	}
	// A log that a damaged store left must not be taken for the new one's. What could be read has none any more.
	if err := removeAll(logsOf(file)...); err != nil {
		return err
	}
	if err := os.Rename(fresh, file); err != nil {
		return fmt.Errorf("node: clinical store: %w", err)
	}
	return durable.SyncDir(filepath.Dir(file))
}

// takeOver takes from the old store what is in no record yet. One that cannot be read has nothing to give; the
// report says so.
func takeOver(ctx context.Context, file string, key [32]byte, b *chart.Rebuilding, rep *RebuildReport) error {
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	old, err := openStoreFile(ctx, file, key)
	if errors.Is(err, store.ErrNewer) {
		return err // another version of this program can read it
	}
	if err == nil {
		rep.Unrecorded, err = b.Take(ctx, old)
		err = errors.Join(err, old.Close())
	}
	rep.Unread = err != nil
	return ctx.Err()
}

// unfinished ends the name of a store that a rebuild is making.
const unfinished = ".new"

// dropUnfinished removes what a rebuild that was killed has left. No erasure would reach what is in it.
func dropUnfinished(file string) error {
	return removeAll(append(logsOf(file+unfinished), file+unfinished)...)
}

// logsOf are the files that SQLite keeps beside a store.
func logsOf(file string) []string { return []string{file + "-wal", file + "-shm", file + "-journal"} }

func removeAll(files ...string) error {
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("node: clinical store: %w", err)
		}
	}
	return nil
}
