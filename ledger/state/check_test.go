package state_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"

	"salus/ledger/state"
)

// TestCheckFindsEveryKindOfDamage alters what is stored behind the store's back.
func TestCheckFindsEveryKindOfDamage(t *testing.T) {
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)-1] ^= 1
		return b
	}
	for _, c := range []struct {
		rule   string
		prefix string // of database keys
		alter  func(db *pebble.DB, key, value []byte) error
		want   error
	}{
		{"a row's value", "r", func(db *pebble.DB, k, v []byte) error { return db.Set(k, flip(v), nil) }, state.ErrDamagedRow},
		{"a row lost", "r", func(db *pebble.DB, k, _ []byte) error { return db.Delete(k, nil) }, state.ErrDamagedRow},
		{"a row added", "r", func(db *pebble.DB, k, v []byte) error { return db.Set(append(k, 'x'), v, nil) }, state.ErrDamagedRow},
		{"a page's last slot", "t\x02", func(db *pebble.DB, k, v []byte) error { return db.Set(k, flip(v), nil) }, state.ErrDamagedTree},
		{"the root page", "t\x00", func(db *pebble.DB, k, v []byte) error { return db.Set(k, flip(v), nil) }, state.ErrDamagedTree},
		{"a page cut", "t\x02", func(db *pebble.DB, k, v []byte) error { return db.Set(k, v[:len(v)-1], nil) }, state.ErrDamagedTree},
		{"a page lost", "t\x02", func(db *pebble.DB, k, _ []byte) error { return db.Delete(k, nil) }, state.ErrDamagedTree},
		{"a page too many", "t\x02", func(db *pebble.DB, k, v []byte) error { return db.Set([]byte("t\x07abcd"), v, nil) }, state.ErrDamagedTree},
		{"an entry", "l", func(db *pebble.DB, k, v []byte) error { return db.Set(k, flip(v), nil) }, state.ErrDamagedLog},
		{"an entry lost", "l", func(db *pebble.DB, k, _ []byte) error { return db.Delete(k, nil) }, state.ErrDamagedLog},
		{"a node of the log", "n\x01", func(db *pebble.DB, k, v []byte) error { return db.Set(k, flip(v), nil) }, state.ErrDamagedLog},
		{"a leaf of the log lost", "n\x00", func(db *pebble.DB, k, _ []byte) error { return db.Delete(k, nil) }, state.ErrDamagedLog},
		{"a node too many", "n\x01", func(db *pebble.DB, k, v []byte) error { return db.Set([]byte("n\x09x"), v, nil) }, state.ErrDamagedLog},
		{"the last entry lost", "l\x00\x00\x00\x00\x00\x00\x00\x28", func(db *pebble.DB, k, _ []byte) error { return db.Delete(k, nil) }, state.ErrDamagedLog},
	} {
		s := storeOf(t, sample(2000, 41))
		var progress []string
		if err := s.Check(func(p string) { progress = append(progress, p) }); err != nil || len(progress) < 3 {
			t.Fatal(err, progress)
		}
		db := s.Database()
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte(c.prefix)})
		if err != nil {
			t.Fatal(err)
		}
		if !it.First() || !strings.HasPrefix(string(it.Key()), c.prefix) {
			t.Fatalf("%s: nothing to damage", c.rule)
		}
		k, v := bytes.Clone(it.Key()), bytes.Clone(it.Value())
		if err := errors.Join(it.Close(), c.alter(db, k, v)); err != nil {
			t.Fatal(err)
		}
		// The last version's snapshot does not see it: commit an empty one.
		if _, err := s.Stage(state.Block{Height: 2}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(); err != nil {
			t.Fatal(err)
		}
		err = s.Check(nil)
		if !errors.Is(err, c.want) || !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("%s: got %v, want %v", c.rule, err, c.want)
		} else if strings.Contains(err.Error(), "row 1") || strings.Contains(err.Error(), "value") {
			t.Errorf("%s: the error shows a key or value: %v", c.rule, err)
		}
	}
}

// TestOpenComparesTheRoots with what was committed.
func TestOpenComparesTheRoots(t *testing.T) {
	for _, key := range []string{"t\x00", "n\x05\x00\x00\x00\x00\x00\x00\x00\x00", "m"} {
		for _, lose := range []bool{false, true} {
			o := state.Options{FS: vfs.NewMem()}
			s, err := state.Open("s", o)
			if err != nil {
				t.Fatal(err)
			}
			commit(t, s, func(c *state.Cache) {
				m := sample(100, 41)
				for k, v := range m.rows {
					c.Set([]byte(k), []byte(v))
				}
				for _, e := range m.entries {
					c.Append([]byte(e))
				}
			})
			db := s.Database()
			v, closer, err := db.Get([]byte(key))
			if err != nil {
				t.Fatal(err)
			}
			v = bytes.Clone(v)
			v[len(v)-1] ^= 1
			closer.Close()
			if lose {
				err = db.Delete([]byte(key), nil)
			} else {
				err = db.Set([]byte(key), v, nil)
			}
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
			_, err = state.Open("s", o)
			if !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("%q, lost %v: got %v, want ErrCorrupt", key, lose, err)
			}
		}
	}
}

// TestFlippedByteOnDiskIsFound: one wrong byte in any file is found by opening
// or checking the store, or was in nothing that counts; no wrong row is ever
// read.
func TestFlippedByteOnDiskIsFound(t *testing.T) {
	disk := vfs.NewMem()
	s, err := state.Open("s", state.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	m := sample(300, 40)
	commit(t, s, func(c *state.Cache) {
		for k, v := range m.rows {
			c.Set([]byte(k), []byte(v))
		}
		for _, e := range m.entries {
			c.Append([]byte(e))
		}
	})
	if err := errors.Join(s.Database().Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := disk.List("s")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	tried, found := 0, 0
	for _, name := range names {
		path := disk.PathJoin("s", name)
		f, err := disk.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		stride := max(1, len(whole)/40)
		for i := 0; i < len(whole); i += stride {
			again := cloneOf(t, disk, "s", "s")
			b := bytes.Clone(whole)
			b[i] ^= 0x10
			f, err := again.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			tried++
			if opened(t, again, m) != nil {
				found++
			}
		}
	}
	t.Logf("%d bytes flipped, %d found, the others without effect", tried, found)
	if found == 0 {
		t.Fatal("nothing found")
	}
}

// opened opens and checks a store that may be damaged. If all is said to be
// well, all must be well.
func opened(t *testing.T, disk vfs.FS, m *model) (err error) {
	s, err := state.Open("s", state.Options{FS: disk})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Check(nil); err != nil {
		return err
	}
	if s.Last().Height == 0 {
		t.Error("the store passes for a new one")
	}
	v := s.View()
	defer v.Close()
	got := 0
	v.Scan(nil, func(k, value []byte) bool {
		if m.rows[string(k)] != string(value) {
			t.Error("a wrong row was read")
		}
		got++
		return true
	})
	if got != len(m.rows) || v.Meta().AppHash != m.appHash() {
		t.Errorf("got %d rows, want %d", got, len(m.rows))
	}
	return nil
}
