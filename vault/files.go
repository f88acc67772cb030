package vault

import (
	"container/list"
	"sync"
)

// files keeps segment files open for reading, the most recently used ones.
type files struct {
	be  Backend
	cap int

	mu   sync.Mutex
	open map[uint32]*openFile
	lru  list.List // of *openFile, most recent first
}

type openFile struct {
	File
	of   *files
	num  uint32
	refs int // owner: files.mu; closed when it is out of the list and refs is 0
	out  bool
	elem *list.Element
}

func newFiles(be Backend, cap int) *files {
	return &files{be: be, cap: max(cap, 1), open: map[uint32]*openFile{}}
}

// acquire opens a segment's current generation; release gives it back. A caller holds Store.mu, so that the generation
// it was told is still the one on disk.
func (fs *files) acquire(num, gen uint32) (*openFile, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.open[num]
	if f == nil {
		h, err := fs.be.Open(segmentName(num, gen))
		if err != nil {
			return nil, err
		}
		f = &openFile{File: h, of: fs, num: num}
		f.elem = fs.lru.PushFront(f)
		fs.open[num] = f
		if fs.lru.Len() > fs.cap {
			fs.evict(fs.lru.Back().Value.(*openFile))
		}
	}
	fs.lru.MoveToFront(f.elem)
	f.refs++
	return f, nil
}

func (f *openFile) release() {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	if f.refs--; f.refs == 0 && f.out {
		f.Close()
	}
}

// evict wants fs.mu.
func (fs *files) evict(f *openFile) {
	fs.lru.Remove(f.elem)
	delete(fs.open, f.num)
	f.out = true
	if f.refs == 0 {
		f.Close()
	}
}

// forget makes the next acquire open the segment anew.
func (fs *files) forget(num uint32) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.open[num]; f != nil {
		fs.evict(f)
	}
}

func (fs *files) close() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.open {
		fs.evict(f)
	}
}
