package smart

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var errStop = errors.New("stop")

// TestKeepers is what every Keeper must do.
func TestKeepers(t *testing.T) {
	disk, err := OpenDisk(t.TempDir(), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, k := range map[string]Keeper{"memory": NewMemory(), "disk": disk} {
		t.Run(name, func(t *testing.T) {
			if _, err := k.Load("a/1"); !errors.Is(err, ErrNoRow) {
				t.Errorf("got %v, want ErrNoRow", err)
			}
			set := func(pairs ...string) func(Rows) error {
				return func(r Rows) error {
					for i := 0; i+1 < len(pairs); i += 2 {
						if err := r.Put(pairs[i], []byte(pairs[i+1])); err != nil {
							return err
						}
					}
					return nil
				}
			}
			if err := k.Change(set("a/1", "x", "a/2", "y", "b/1", "z")); err != nil {
				t.Fatal(err)
			}
			all := func(from interface {
				Each(string, func(string, []byte) error) error
			},
			) (list []string) {
				if err := from.Each("a/", func(key string, v []byte) error { list = append(list, key+"="+string(v)); return nil }); err != nil {
					t.Error(err)
				}
				return list
			}
			if diff := cmp.Diff([]string{"a/1=x", "a/2=y"}, all(k)); diff != "" {
				t.Error(diff)
			}
			// An error leaves nothing behind.
			err := k.Change(func(r Rows) error { return errors.Join(set("a/3", "x")(r), r.Drop("a/1"), errStop) })
			if !errors.Is(err, errStop) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff([]string{"a/1=x", "a/2=y"}, all(k)); diff != "" {
				t.Error(diff)
			}
			// A change sees what it did, and may drop what it walks over.
			err = k.Change(func(r Rows) error {
				if err := set("a/0", "new")(r); err != nil {
					return err
				}
				if diff := cmp.Diff([]string{"a/0=new", "a/1=x", "a/2=y"}, all(r)); diff != "" {
					t.Error(diff)
				}
				return r.Each("a/", func(key string, _ []byte) error { return r.Drop(key) })
			})
			if err != nil {
				t.Error(err)
			}
			if got := all(k); len(got) > 0 {
				t.Errorf("got %v left", got)
			}
			if v, err := k.Load("b/1"); err != nil || string(v) != "z" {
				t.Errorf("got %q, %v", v, err)
			}
		})
	}
}

func TestDiskOutlivesItsProcessAndTellsNothing(t *testing.T) {
	dir := t.TempDir()
	disk, err := OpenDisk(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Keeper = disk })
	w.codes.Keeper = disk
	a := w.grant("public", "openid launch/patient patient/*.rs offline_access", doctor, "patient", "p1", "purpose", "TREAT")
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, secret := range []string{a.str("access_token"), a.str("refresh_token"), "Dr Dora Demo", "Practitioner/d1", w.secret, "Public App"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s is readable in %s", secret, d.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDisk(dir, [32]byte{2}); !errors.Is(err, ErrKey) {
		t.Errorf("got %v under another key, want ErrKey", err)
	}
	if disk, err = OpenDisk(dir, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	c := w.Config
	c.Keeper, c.Log = disk, slog.New(slog.DiscardHandler)
	next, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = next
	if tok, err := w.bears(a.str("access_token")); err != nil || tok.Patient != "p1" {
		t.Errorf("got %v, %v after a restart", tok, err)
	}
	b := w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token")))
	if b.status != 200 || b.str("id_token") == "" {
		t.Errorf("got %d %s after a restart", b.status, b.body)
	}
	keys, err := next.signing()
	if err != nil || len(keys) != 1 {
		t.Errorf("got %d signing keys, %v, want the one from before", len(keys), err)
	}
}

func TestRowsCannotBeSwapped(t *testing.T) {
	disk, err := OpenDisk(t.TempDir(), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := disk.Change(func(r Rows) error { return r.Put("a", []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	raw, closer, err := disk.db.Get([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	moved := bytes.Clone(raw)
	closer.Close()
	if err := disk.db.Set([]byte("b"), moved, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Load("b"); !errors.Is(err, ErrKey) {
		t.Errorf("got %v, want ErrKey", err)
	}
}

// A token that was read before a revocation must not enter the cache after it.
func TestCacheForgetsWhatIsOnItsWay(t *testing.T) {
	var c cache
	_, turn := c.find("k")
	c.forget("k")
	c.hold("k", &Token{}, turn)
	if tok, _ := c.find("k"); tok != nil {
		t.Error("a token that was forgotten is held")
	}
	_, turn = c.find("k")
	c.hold("k", &Token{}, turn)
	if tok, _ := c.find("k"); tok == nil {
		t.Error("a token is not held")
	}
}
