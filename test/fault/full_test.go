package fault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"salus/ledger/tx"
	"salus/record"
)

// small is the size of the disk that is filled: four times what the vault keeps free.
const small = 256 << 20

// TestFullDiskRefusesAndGoesOnOnceThereIsSpace fills the disk of one organisation that writes. It refuses new records,
// the three others go on, and after a restart with free space everything continues.
func TestFullDiskRefusesAndGoesOnOnceThereIsSpace(t *testing.T) {
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("a small file system can only be mounted by root")
	}
	const victim = "clinic"
	var ballast string
	w := newWorld(t, func(w *world) {
		home := w.Home(victim)
		ballast = filepath.Join(home, "ballast")
		copied := home + ".copy"
		if err := os.Rename(home, copied); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", home, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", small)); err != nil {
			t.Skipf("no small file system: mount: %v", err)
		}
		t.Cleanup(func() { // after the processes have ended
			_ = w.Close()
			if err := syscall.Unmount(home, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		if err := copyHome(home, copied); err != nil {
			t.Fatal(err)
		}
	})
	mine, theirs := w.patient(victim, false), w.patient("hospital", true)

	// Before the disk is full, it refuses with a code of its own and lives on.
	fillTo(t, ballast, 48<<20)
	w.until("a refusal with a code", func() bool {
		ctx, cancel := w.within()
		defer cancel()
		var p *tx.Refusal // at the door, before an answer begins
		err := w.write(ctx, mine, 1, "stored")
		return errors.As(err, &p) && p.Code == record.ErrNoSpace.Code
	})
	w.until("the others go on beside it", func() bool {
		ctx, cancel := w.within()
		defer cancel()
		return w.write(ctx, theirs, 1, "active") == nil
	})

	// When others have taken the last of it, the node may end, but it acknowledges nothing that it cannot keep.
	fill(t, ballast)
	var refused error
	w.until("a refusal by the organisation whose disk is full", func() bool {
		ctx, cancel := w.within()
		defer cancel()
		refused = w.write(ctx, mine, 20, "stored")
		fill(t, ballast)
		return refused != nil
	})
	t.Logf("refused: %v", refused)

	// The three others go on, and decide without it.
	w.until("the others go on", func() bool {
		ctx, cancel := w.within()
		defer cancel()
		return w.write(ctx, theirs, 1, "active") == nil
	})
	ctx, cancel := w.within()
	defer cancel()
	if err := w.decide(ctx, theirs, granted); err != nil {
		t.Errorf("a grant with one disk full: %v", err)
	}
	s, err := w.status(victim)
	t.Logf("status of the full one: ready %t, %q, %v", s.Ready, s.Why, err)

	// A node that lost its disk ends or is stopped; then there is space, and it starts again.
	if err := w.Signal(victim, syscall.SIGINT); err == nil {
		err = w.Wait(ctx, victim)
		t.Logf("the full node's end: %v", err)
	} else if err := w.Wait(ctx, victim); err == nil {
		t.Error("the full node ended by itself with exit code 0")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	t.Logf("ready %s after there was space", w.up(victim))
	w.until("writing goes on", func() bool {
		ctx, cancel := w.within()
		defer cancel()
		return w.write(ctx, mine, 1, "active") == nil
	})
	if err := w.look(ctx, theirs); err != nil {
		t.Errorf("reading with space again: %v", err)
	}
	w.settled(false, victim)
}

// fillTo takes what is left of a file system but for some bytes.
func fillTo(t *testing.T, path string, left int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		var s syscall.Statfs_t
		if err := syscall.Statfs(path, &s); err != nil {
			t.Fatal(err)
		}
		free := int64(s.Bavail)*s.Bsize - left
		if free <= 0 {
			return
		}
		if _, err := f.Write(make([]byte, min(free, 1<<20))); err != nil {
			t.Fatal(err)
		}
	}
}

// fill takes what is left of a file system.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil && errors.Is(err, syscall.ENOSPC) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		n, err := f.Write(make([]byte, size))
		if errors.Is(err, syscall.ENOSPC) || n < size {
			size /= 2
		}
	}
}

// copyHome copies a home with its modes, which a node insists on.
func copyHome(to, from string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}
