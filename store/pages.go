package store

import (
	"crypto/sha256"
	"sync"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// maxPages is how many pages of each file are kept, 32 MiB of them.
const maxPages = 8192

// A pageCache has the pages of a file that were read or written not long ago, decrypted. All connections to the file
// share them: SQLite lets each forget everything it has read as soon as another one commits, and with a commit every few
// milliseconds a reader would decrypt the upper pages of every index for each row.
//
// SQLite's locks keep two writes, or a write and a read, of one page apart, between the connections of one process.
// Another process that wrote would not be noticed: a node locks its folder.
type pageCache struct {
	first, head int64 // page n follows head bytes after first + n*(head+pageSize)

	users int // handles; guarded by caches

	mu      sync.Mutex // guards what follows
	at      map[int64]int
	slots   []slot
	hand    int    // where to look for a slot to use again
	writing int    // writes under way
	writes  uint64 // that ended
}

type slot struct {
	n    int64
	used bool // since the hand last passed
	page *[pageSize]byte
}

// caches are the pages of the files that are open, by path and key: who opens one with another key reads nothing.
var caches = struct {
	mu sync.Mutex
	by map[[32]byte]*pageCache
}{by: map[[32]byte]*pageCache{}}

// shared returns the pages of a file, and what is to be called when its handle is closed.
func shared(path, key string, wal bool) (p *pageCache, done func()) {
	file := sha256.Sum256([]byte(key + "\x00" + path))
	caches.mu.Lock()
	defer caches.mu.Unlock()
	p = caches.by[file]
	if p == nil {
		p = &pageCache{at: map[int64]int{}}
		if wal {
			p.first, p.head = walHeader, walFrame-pageSize
		}
		caches.by[file] = p
	}
	p.users++
	return p, sync.OnceFunc(func() {
		caches.mu.Lock()
		defer caches.mu.Unlock()
		if p.users--; p.users == 0 {
			delete(caches.by, file)
		}
	})
}

// place is where an offset is: in which page, and how far behind its first byte. Its header is before that.
func (p *pageCache) place(off int64) (n, behind int64) {
	step := p.head + pageSize
	n = (off - p.first) / step
	return n, off - p.first - n*step - p.head
}

// take copies what is in a page, from behind its first byte on, if that is kept. Otherwise it returns what keep
// needs to know.
func (p *pageCache) take(to []byte, n, behind int64) (ok bool, writes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.at[n]
	if ok {
		p.slots[i].used = true
		copy(to, p.slots[i].page[behind:])
	}
	return ok, p.writes
}

// keep keeps a page that was read, unless something was written meanwhile: it may be of before or, in part, after.
func (p *pageCache) keep(b []byte, n int64, writes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing == 0 && writes == p.writes {
		p.put(b, n)
	}
}

func (p *pageCache) put(b []byte, n int64) {
	i, ok := p.at[n]
	if !ok {
		i = p.free()
		p.at[n] = i
	}
	p.slots[i].n, p.slots[i].used = n, true
	copy(p.slots[i].page[:], b)
}

// free returns a slot: a new one, or that of a page that nobody asked for since the hand last came by.
func (p *pageCache) free() int {
	if len(p.slots) < maxPages {
		p.slots = append(p.slots, slot{page: new([pageSize]byte)})
		return len(p.slots) - 1
	}
	for p.slots[p.hand].used {
		p.slots[p.hand].used = false
		p.hand = (p.hand + 1) % maxPages
	}
	i := p.hand
	p.hand = (p.hand + 1) % maxPages
	if at, ok := p.at[p.slots[i].n]; ok && at == i {
		delete(p.at, p.slots[i].n)
	}
	return i
}

// begin forgets what is about to be written.
func (p *pageCache) begin(b []byte, off int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing++
	p.forget(b, off)
}

func (p *pageCache) forget(b []byte, off int64) {
	last, _ := p.place(off + int64(len(b)) - 1)
	for n, _ := p.place(off); n <= last; n++ {
		if i, ok := p.at[n]; ok {
			p.slots[i].used = false
			delete(p.at, n)
		}
	}
}

// end keeps the whole pages of what was written.
func (p *pageCache) end(b []byte, off int64, written bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing--
	p.writes++
	if !written {
		return
	}
	n, behind := p.place(off)
	if behind > 0 || off < p.first {
		return // the rest of a page: forgotten, which is enough
	}
	skip := -behind // what the first page has of its header
	for ; int64(len(b)) >= skip+pageSize; n++ {
		p.put(b[skip:skip+pageSize], n)
		b, skip = b[skip+pageSize:], p.head
	}
}

// clear forgets everything: the file is cut.
func (p *pageCache) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	clear(p.at)
	p.slots, p.hand = nil, 0
}

// A paged file reads through the pages that all its handles share.
type paged struct {
	vfs.File
	pages *pageCache
	done  func()
}

func (f *paged) ReadAt(p []byte, off int64) (int, error) {
	n, behind := f.pages.place(off)
	if behind < 0 || behind+int64(len(p)) > pageSize {
		return f.File.ReadAt(p, off) // of a header, or of several pages
	}
	ok, writes := f.pages.take(p, n, behind)
	if ok {
		return len(p), nil
	}
	k, err := f.File.ReadAt(p, off)
	if k == pageSize && err == nil {
		f.pages.keep(p, n, writes)
	}
	return k, err
}

func (f *paged) WriteAt(p []byte, off int64) (int, error) {
	f.pages.begin(p, off)
	n, err := f.File.WriteAt(p, off)
	f.pages.end(p, off, err == nil)
	return n, err
}

func (f *paged) Truncate(size int64) error {
	defer f.pages.clear()
	return f.File.Truncate(size)
}

func (f *paged) Close() error {
	f.done()
	return f.File.Close()
}

// Unwrap implements vfs.FileUnwrap.
func (f *paged) Unwrap() vfs.File { return f.File }

// SharedMemory implements vfs.FileSharedMemory: where SQLite has the index of its log.
func (f *paged) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// SizeHint implements vfs.FileSizeHint.
func (f *paged) SizeHint(size int64) error { return vfsutil.WrapSizeHint(f.File, size) }

// HasMoved implements vfs.FileHasMoved.
func (f *paged) HasMoved() (bool, error) { return vfsutil.WrapHasMoved(f.File) }
