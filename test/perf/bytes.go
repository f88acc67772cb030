package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble"
	"golang.org/x/sync/errgroup"

	"salus/internal/devnet"
	"salus/internal/sample"
)

// parts are the folders of a node's data that hold each part.
var parts = map[string][]string{
	"ledger": {"ledger", "comet/data/blockstore.pebble", "comet/data/state.pebble", "comet/data/evidence.pebble"},
	"wal":    {"comet/data/cs.wal"},
	"vault":  {"vault"}, "custody": {"custody"}, "record": {"record"},
}

// usage is the bytes of each part on all four organisations' disks together.
type usage map[string]float64

// tidied is how long custodians keep whole parcels for others that may have missed them,
// and a little more (tidyEvery in package custody).
const tidied = 65 * time.Second

// measureBytes imports bundles into a fresh network and weighs what they left on the disks
// of all four organisations. The network runs in a process of its own, which ends before
// each weighing; then every store is compacted, as it compacts itself while it grows.
func measureBytes(ctx context.Context, b *bench) ([]Result, error) {
	dir := filepath.Join(b.dir, "bytes")
	all, source, err := bundles(pick(b, 25, 4))
	if err != nil {
		return nil, err
	}
	var before, fresh, after usage
	records, raw := 0, 0
	load := func(w *world) error {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(importers)
		for _, x := range all {
			records, raw = records+len(x.resources), raw+x.bytes
			g.Go(func() error { _, err := w.bring(gctx, "bundle", x.json); return err })
		}
		return g.Wait()
	}
	wait := func(w *world) error {
		t := time.NewTimer(pick(b, tidied, 0))
		defer t.Stop()
		select {
		case <-t.C:
			// What was deleted lazily becomes durable with the next write.
			_, err := w.put(ctx, "bundle", sample.Bundle(8000, 1))
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, step := range []func() error{
		func() error { return apart(ctx, dir, func(*world) error { return nil }) },
		func() error { return before.weigh(dir) },
		func() error { return apart(ctx, dir, load) },
		func() error { return fresh.weigh(dir) },
		func() error { return apart(ctx, dir, wait) },
		func() error { return after.weigh(dir) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	mean := []float64{float64(raw) / float64(records)}
	n := float64(len(devnet.Orgs()))
	per := func(u usage, part string, by float64) float64 {
		return (u[part] - before[part]) / by / float64(records)
	}
	against := fmt.Sprintf("the compact JSON of %d records: %s", records, source)
	one := func(name, target string, x float64, what string) Result {
		return newResult(name, "bytes/record", target, []float64{x}, mean).about(what, against)
	}
	ledger, wal, custody, vault := per(after, "ledger", 1), per(fresh, "wal", 1), per(after, "custody", 1), per(after, "vault", 1)
	return []Result{
		one("bytes.ledger", "ratio <= 0.05", ledger/n, "the ledger on one member's disk: blocks, state, log, transaction index"),
		one("bytes.wal", "ratio <= 0.1", wal/n, "CometBFT's write-ahead log of consensus on one member's disk, right after the import; a node keeps no more than the last minutes of it"),
		one("bytes.custody", "ratio <= 0.15", custody/n, "shares and manifests on one custodian's disk, a minute after the import"),
		one("bytes.custody.new", "ratio <= 0.4", per(fresh, "custody", n), "the same at once: with the parcels that are kept until every custodian has its share"),
		one("bytes.vault", "ratio <= 0.35", vault/2, "ciphertext on one of the two members that keep it"),
		one("bytes.total", "ratio <= 1.0", ledger+wal+custody+vault, "four ledgers with their write-ahead logs, four custodians, two copies of the ciphertext"),
		one("bytes.total.lasting", "ratio <= 1.0", ledger+custody+vault, "the same without the write-ahead logs: what stays of a record, and grows with their number"),
		one("bytes.own", "ratio <= 0.6", per(after, "record", 1), "apart: the author's own store of its records, encrypted"),
	}, nil
}

// weigh compacts the stores of a network that does not run and adds up its files.
func (u *usage) weigh(dir string) error {
	*u = usage{}
	for _, o := range devnet.Orgs() {
		c, err := devnet.LoadConfig(dir, o.Name)
		if err != nil {
			return err
		}
		for part, dirs := range parts {
			for _, d := range dirs {
				if err := compactAll(c.Data(d)); err != nil {
					return err
				}
				n, err := diskBytes(c.Data(d))
				if err != nil {
					return err
				}
				(*u)[part] += float64(n)
			}
		}
	}
	return nil
}

// compactAll compacts every Pebble store below dir that has Pebble's own options.
func compactAll(dir string) error {
	if base := filepath.Base(dir); base == "ledger" || base == "vault" {
		return nil // their stores choose their own, and delete next to nothing
	}
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "CURRENT" {
			return err
		}
		db, err := pebble.Open(filepath.Dir(file), &pebble.Options{Logger: quiet{}})
		if err != nil {
			return err
		}
		return errors.Join(db.Compact([]byte{0}, bytes.Repeat([]byte{0xff}, 64), true), db.Close())
	})
}

// quiet drops Pebble's event lines.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf("perf: store: "+format, a...)) }

// apart runs the network of a directory in another process while do uses it, and ends that
// process as a power cut would.
func apart(ctx context.Context, dir string, do func(*world) error) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, serveArg, dir) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && line == ready {
		var w *world
		if w, err = attach(dir); err == nil {
			w.pid = cmd.Process.Pid
			err = do(w)
		}
	}
	return errors.Join(err, in.Close(), cmd.Wait())
}

// serveArg makes this program run a network until its input ends.
const (
	serveArg = "serve"
	ready    = "ready\n"
)

func serve(ctx context.Context, dir string) error {
	if _, err := startWorld(ctx, dir); err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(ready); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
