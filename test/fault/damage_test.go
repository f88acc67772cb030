package fault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salus/vault"
)

// damaged is one store of a stopped node whose bytes are flipped.
type damaged struct {
	name   string
	org    string
	dir    string // below data
	match  string // of the files' names
	starts bool   // the node may start with it: it mends it, or does not need what is damaged yet
	heals  bool   // fsck itself makes it again
	either bool   // an unfinished end looks the same: what it held is replayed from the blocks
	// repair is what docs/running-a-node.md tells to do, with the node stopped; nil: nothing.
	repair func(t *testing.T, w *world, data, backup string)
}

// TestDamagedStoresAreNoticedAndRepaired flips bytes in each store of a stopped node in turn while the other
// three go on. Damage is found, never served and never voted for, and the documented steps repair it.
func TestDamagedStoresAreNoticedAndRepaired(t *testing.T) {
	w := newWorld(t, nil)
	l := w.begin()
	w.until("some records", func() bool { return w.counted("active") > 5 && w.counted("decided") > 3 })
	l.end()
	w.interrupt("institute", "clinic")
	w.up("institute", "clinic") // what was in the databases' journals goes to tables
	for _, d := range []damaged{
		{name: "blocks", org: "institute", dir: "comet/data/blockstore.pebble", match: "*.sst", starts: true, repair: refetch},
		{name: "consensus state", org: "institute", dir: "comet/data/state.pebble", match: "*.sst", starts: true, repair: refetch},
		{name: "ledger", org: "institute", dir: "ledger", match: "*.sst", repair: refetch},
		{name: "ledger's journal", org: "institute", dir: "ledger", match: "*.log", starts: true, either: true, repair: refetch},
		{name: "vault's segments", org: "institute", dir: "vault/segments", match: "*", starts: true},
		{name: "vault's index", org: "institute", dir: "vault", match: "*.sst", starts: true, heals: true},
		{name: "own records", org: "clinic", dir: "record", match: "*.sst", repair: restore},
	} {
		t.Run(d.name, func(t *testing.T) {
			was := w.t
			w.t = t
			defer func() { w.t = was }()
			w.damage(d)
		})
	}
	w.settled(true, "institute", "clinic")

	// A custodian that lost its shares counts as one of the f: the three others still release.
	was := w.t
	t.Run("custody", func(t *testing.T) {
		w.t = t
		w.damage(damaged{org: "institute", dir: "custody", match: "*.sst", repair: func(t *testing.T, _ *world, data, _ string) {
			if err := os.RemoveAll(filepath.Join(data, "custody")); err != nil {
				t.Fatal(err)
			}
		}})
		for _, s := range w.all() {
			if _, c := s.expected(); c != granted {
				continue
			}
			ctx, cancel := w.within()
			if err := w.look(ctx, s); err != nil {
				t.Errorf("reading with one custodian's shares lost: %v", err)
			}
			cancel()
		}
		for _, f := range append(w.faults, forks(w.chains())...) {
			t.Error(f)
		}
	})
	w.t = was
}

// damage flips bytes of one store, looks at what fsck and the node say of it, and repairs it.
func (w *world) damage(d damaged) {
	t := w.t
	t.Helper()
	w.interrupt(d.org)
	data, backup := filepath.Join(w.Home(d.org), "data"), filepath.Join(w.Dir, "backup")
	if err := errors.Join(os.RemoveAll(backup), os.CopyFS(backup, os.DirFS(filepath.Join(data, "record")))); err != nil {
		t.Fatal(err)
	}
	n := flip(t, filepath.Join(data, d.dir), d.match)
	if n == 0 { // young: all of it is in the journal until the next start
		w.up(d.org)
		w.interrupt(d.org)
		n = flip(t, filepath.Join(data, d.dir), d.match)
	}
	if n == 0 {
		t.Fatalf("there is no %s in %s", d.match, d.dir)
	}
	ctx, cancel := w.within()
	defer cancel()
	if r, err := w.CLI(ctx, d.org, "node", "fsck"); err != nil || !d.either && strings.Contains(r.Out, "DAMAGED") == d.heals || (r.Code == 0) == strings.Contains(r.Out, "DAMAGED") {
		t.Errorf("fsck with %d bytes flipped: exit code %d, %v\n%s", n, r.Code, err, r.Out)
	}
	from := len(w.Log(d.org))
	if err := w.Start(d.org); err != nil {
		t.Fatal(err)
	}
	err := w.Ready(ctx, d.org)
	switch {
	case err == nil && !d.starts:
		t.Errorf("the node started with %d bytes flipped", n)
	case err != nil && w.Wait(ctx, d.org) == nil:
		t.Error("a node that does not start ended with exit code 0")
	case err != nil:
		if said := w.Log(d.org)[from:]; !strings.Contains(said, "0x2407") {
			t.Errorf("want the code 0x2407, got\n%s", said)
		}
	}
	if d.dir == "vault/segments" {
		w.run(d.org, 0, "vault", "repair")
		var s vault.Stats
		if w.call(d.org, "GET", "/v1/vault", nil, &s); s.Damaged != 0 {
			t.Errorf("%d packs are still damaged after the repair", s.Damaged)
		}
	}
	if d.repair != nil {
		if err == nil {
			w.interrupt(d.org)
		}
		d.repair(t, w, data, backup)
		t.Logf("ready %s after the repair", w.up(d.org))
	}
}

// refetch removes the ledger's data but for what the validator signed last: the members have the rest.
func refetch(t *testing.T, _ *world, data, _ string) {
	t.Helper()
	signed := filepath.Join(data, "comet", "priv_validator_state.json")
	b, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.RemoveAll(filepath.Join(data, "ledger")), os.RemoveAll(filepath.Join(data, "comet")), os.MkdirAll(filepath.Dir(signed), 0o700))
	if err = errors.Join(err, os.WriteFile(signed, b, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// restore brings the organisation's own records back from the backup, the only way there is.
func restore(t *testing.T, _ *world, data, backup string) {
	t.Helper()
	at := filepath.Join(data, "record")
	if err := errors.Join(os.RemoveAll(at), os.CopyFS(at, os.DirFS(backup))); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// flip changes a byte in the middle of every 4 KiB of all files below dir whose name matches.
func flip(t *testing.T, dir, match string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ok, err := filepath.Match(match, d.Name()); !ok {
			return err
		}
		b, err := os.ReadFile(path)
		was := bytes.Clone(b)
		for i := min(2048, len(b)/2); i < len(b); i += 4096 {
			b[i] ^= 0x55
			n++
		}
		if bytes.Equal(b, was) {
			return err
		}
		return errors.Join(err, os.WriteFile(path, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
