package sim

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/vfs"
)

// A disk is a file system in memory that knows what of it is durable: bytes after a sync of
// their file, names after a sync of their directory. Pebble's background goroutines use it
// beside the one thread of the simulation, hence the lock.
type disk struct {
	mu    sync.Mutex
	names map[string]*inode // as processes see it
	safe  map[string]*inode // as a power cut leaves it

	moves []move // of directories, that no sync has made durable

	arm     int   // counted syncs until the crash; 0 for none
	how     crash // what becomes of the sync it falls into
	cut     float64
	after   *disk // the disk after the crash; nil before
	syncs   int   // counted
	crashed bool

	lies func(name string) bool // a mutant: syncs of these files do nothing
}

// A crash says what a crash inside a sync leaves of the bytes that were to be synced.
type crash int

const (
	lost crash = iota // none of them
	torn              // some of the first
	done              // all, but the caller is dead before it learns so
	crashes
)

func (c crash) String() string { return [...]string{"lost", "torn", "done"}[c] }

// An inode is a file's bytes. The durable ones are old, if it is not nil, or else the first
// kept of data.
type inode struct {
	data []byte
	kept int
	old  []byte
}

func (n *inode) durable() []byte {
	if n.old != nil {
		return n.old
	}
	return n.data[:n.kept]
}

// change is called before bytes at and after from change.
func (n *inode) change(from int) {
	if from < n.kept && n.old == nil {
		n.old = slices.Clone(n.data[:n.kept])
	}
}

func newDisk() *disk { return &disk{names: map[string]*inode{}, safe: map[string]*inode{}} }

// counted are the files whose syncs are crash points: write-ahead logs, receipts and roots.
// What Pebble's background work writes can be done again and comes at no fixed moment.
func counted(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "receipts") || strings.HasPrefix(base, "roots")
}

// trailer is what Pebble may add to a log that it closes.
const trailer = 16

// sync makes a file durable, or crashes on the way.
func (d *disk) sync(name string, n *inode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lies != nil && d.lies(name) {
		return
	}
	if counted(name) && len(n.data)-n.kept > trailer && !d.crashed {
		d.syncs++
		if d.arm > 0 {
			if d.arm--; d.arm == 0 {
				d.fall(n)
			}
		}
	}
	n.kept, n.old = len(n.data), nil
}

// fall leaves what a crash at this moment leaves. at is the file that is being synced, nil
// for none.
func (d *disk) fall(at *inode) {
	d.crashed = true
	d.after = newDisk()
	d.after.lies = d.lies
	for name, n := range d.safe {
		b := slices.Clone(n.durable())
		if n == at && n.old == nil {
			switch d.how {
			case torn:
				b = slices.Clone(n.data[:n.kept+int(d.cut*float64(len(n.data)-n.kept))])
			case done:
				b = slices.Clone(n.data)
			}
		}
		c := &inode{data: b, kept: len(b)}
		d.after.names[name], d.after.safe[name] = c, c
	}
}

// armCrash lets the count-th counted sync from now on crash.
func (d *disk) armCrash(count int, how crash, cut float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arm, d.how, d.cut = count, how, cut
}

// dead reports whether the machine has crashed: nothing that a process does from then on
// happened.
func (d *disk) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashed
}

// cutPower crashes now, if nothing has before, and returns the disk as the next start finds it.
func (d *disk) cutPower() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.crashed {
		d.fall(nil)
	}
	return d.after
}

// durableBytes is what a power cut now would leave of a file.
func (d *disk) durableBytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.safe[path.Clean(name)]; n != nil {
		return slices.Clone(n.durable())
	}
	return nil
}

// wipe loses everything under a folder.
func (d *disk) wipe(folder string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range []map[string]*inode{d.names, d.safe} {
		for name := range m {
			if strings.HasPrefix(name, folder+"/") {
				delete(m, name)
			}
		}
	}
}

func (d *disk) open(name string, make, fresh bool) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	n := d.names[name]
	if n == nil && !make {
		return nil, &os.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if n == nil || fresh {
		n = &inode{}
		d.names[name] = n
	}
	return &handle{d: d, name: name, n: n}, nil
}

func (d *disk) Create(name string) (vfs.File, error) { return d.open(name, true, true) }
func (d *disk) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	return d.open(name, false, false)
}

func (d *disk) OpenReadWrite(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	return d.open(name, true, false)
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	return &handle{d: d, name: path.Clean(name), dir: true}, nil
}

// A move is a directory that was renamed, or removed if to is empty.
type move struct{ from, to string }

// apply does it to the names under the directory.
func (m move) apply(names map[string]*inode) {
	for _, name := range slices.Collect(maps.Keys(names)) {
		rest, in := strings.CutPrefix(name, m.from+"/")
		if in && m.to != "" {
			names[m.to+"/"+rest] = names[name]
		}
		if in {
			delete(names, name)
		}
	}
}

func (d *disk) Link(from, to string) error   { return d.move(from, to, false) }
func (d *disk) Rename(from, to string) error { return d.move(from, to, true) }

func (d *disk) move(from, to string, away bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to = path.Clean(from), path.Clean(to)
	n := d.names[from]
	if n == nil && away && d.holds(from) {
		d.moves = append(d.moves, move{from, to})
		move{from, to}.apply(d.names)
		return nil
	}
	if n == nil {
		return &os.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if away {
		delete(d.names, from)
	}
	d.names[to] = n
	return nil
}

func (d *disk) ReuseForWrite(from, to string) (vfs.File, error) {
	if err := d.Rename(from, to); err != nil {
		return nil, err
	}
	return d.open(to, false, false)
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if d.names[name] == nil {
		return &os.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.names, name)
	return nil
}

func (d *disk) RemoveAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	delete(d.names, name)
	if d.holds(name) {
		d.moves = append(d.moves, move{name, ""})
		move{name, ""}.apply(d.names)
	}
	return nil
}

// holds reports whether there is a directory of that name.
func (d *disk) holds(dir string) bool {
	for name := range d.names {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// MkdirAll does nothing: directories are there as soon as something is in them.
func (d *disk) MkdirAll(string, os.FileMode) error { return nil }

func (d *disk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (d *disk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	prefix := path.Clean(dir) + "/"
	var out []string
	for name := range d.names {
		if rest, in := strings.CutPrefix(name, prefix); in {
			first, _, _ := strings.Cut(rest, "/")
			out = append(out, first)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (d *disk) Stat(name string) (os.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if n := d.names[name]; n != nil {
		return info{name: path.Base(name), size: int64(len(n.data))}, nil
	}
	if d.holds(name) {
		return info{name: path.Base(name), dir: true}, nil
	}
	return nil, &os.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

func (d *disk) PathBase(p string) string       { return path.Base(p) }
func (d *disk) PathJoin(elem ...string) string { return path.Join(elem...) }
func (d *disk) PathDir(p string) string        { return path.Dir(p) }
func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40}, nil
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string { return i.name }
func (i info) Size() int64  { return i.size }
func (i info) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o700
	}
	return 0o600
}
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }

// A handle is an open file or directory.
type handle struct {
	d    *disk
	name string
	n    *inode
	dir  bool
	at   int64
}

func (h *handle) Close() error { return nil }

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if off >= int64(len(h.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) Read(p []byte) (int, error) {
	n, err := h.ReadAt(p, h.at)
	h.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	h.n.change(int(off))
	if end := int(off) + len(p); end > len(h.n.data) {
		h.n.data = append(h.n.data, make([]byte, end-len(h.n.data))...)
	}
	return copy(h.n.data[off:], p), nil
}

func (h *handle) Write(p []byte) (int, error) {
	n, err := h.WriteAt(p, h.at)
	h.at += int64(n)
	return n, err
}

func (h *handle) Seek(off int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.New("sim: seek from elsewhere")
	}
	h.at = off
	return off, nil
}

func (h *handle) Truncate(size int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	h.n.change(int(size))
	h.n.data = h.n.data[:size:size]
	return nil
}

func (h *handle) Sync() error {
	if !h.dir {
		h.d.sync(h.name, h.n)
		return nil
	}
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	var rest []move
	for _, m := range h.d.moves {
		if path.Dir(m.from) == h.name {
			m.apply(h.d.safe)
		} else {
			rest = append(rest, m)
		}
	}
	h.d.moves = rest
	for _, m := range []map[string]*inode{h.d.names, h.d.safe} {
		for name := range m {
			if path.Dir(name) != h.name {
				continue
			}
			if n := h.d.names[name]; n != nil {
				h.d.safe[name] = n
			} else {
				delete(h.d.safe, name)
			}
		}
	}
	return nil
}

func (h *handle) SyncData() error            { return h.Sync() }
func (h *handle) SyncTo(int64) (bool, error) { return false, nil }
func (h *handle) Stat() (os.FileInfo, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.dir {
		return info{name: path.Base(h.name), dir: true}, nil
	}
	return info{name: path.Base(h.name), size: int64(len(h.n.data))}, nil
}
func (h *handle) Preallocate(int64, int64) error { return nil }
func (h *handle) Prefetch(int64, int64) error    { return nil }
func (h *handle) Fd() uintptr                    { return vfs.InvalidFd }

var (
	_ vfs.FS   = (*disk)(nil)
	_ vfs.File = (*handle)(nil)
)
