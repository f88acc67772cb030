package vault

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// Memory is a Backend for tests and for rooms that test against a vault: files that live as long as it does.
type Memory struct {
	mu    sync.Mutex
	files map[string]*memoryData
	limit int64 // bytes in all files together
}

type memoryData struct {
	mu sync.RWMutex
	b  []byte
}

// NewMemory holds at most limit bytes; 0 means no limit.
func NewMemory(limit int64) *Memory {
	if limit <= 0 {
		limit = 1 << 62
	}
	return &Memory{files: map[string]*memoryData{}, limit: limit}
}

// SetLimit changes the limit, as a grown disk does.
func (m *Memory) SetLimit(limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = limit
}

func (m *Memory) List() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files)), nil
}

func (m *Memory) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		return nil, fmt.Errorf("vault: create %s: %w", name, fs.ErrExist)
	}
	m.files[name] = &memoryData{}
	return &memoryFile{m, m.files[name]}, nil
}

func (m *Memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] == nil {
		return nil, fmt.Errorf("vault: open %s: %w", name, fs.ErrNotExist)
	}
	return &memoryFile{m, m.files[name]}, nil
}

func (m *Memory) Rename(old, new string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[old] == nil {
		return fmt.Errorf("vault: rename %s: %w", old, fs.ErrNotExist)
	}
	m.files[new] = m.files[old]
	delete(m.files, old)
	return nil
}

func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] == nil {
		return fmt.Errorf("vault: remove %s: %w", name, fs.ErrNotExist)
	}
	delete(m.files, name)
	return nil
}

func (m *Memory) Free() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free(), nil
}

// free wants m.mu.
func (m *Memory) free() int64 {
	n := m.limit
	for _, d := range m.files {
		d.mu.RLock()
		n -= int64(len(d.b))
		d.mu.RUnlock()
	}
	return max(n, 0)
}

type memoryFile struct {
	m *Memory
	d *memoryData
}

func (f *memoryFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.RLock()
	defer f.d.mu.RUnlock()
	if off < 0 || off >= int64(len(f.d.b)) {
		return 0, io.EOF
	}
	n := copy(b, f.d.b[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt fills what space there is and then fails, as a disk does.
func (f *memoryFile) WriteAt(b []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	free := f.m.free()
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	room := int64(len(f.d.b)) + free - off
	n := int(max(0, min(int64(len(b)), room)))
	if grow := off + int64(n) - int64(len(f.d.b)); grow > 0 {
		f.d.b = append(f.d.b, make([]byte, grow)...)
	}
	copy(f.d.b[min(off, int64(len(f.d.b))):], b[:n])
	if n < len(b) {
		return n, ErrNoSpace
	}
	return n, nil
}

func (f *memoryFile) Size() (int64, error) {
	f.d.mu.RLock()
	defer f.d.mu.RUnlock()
	return int64(len(f.d.b)), nil
}

func (f *memoryFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if size <= int64(len(f.d.b)) {
		f.d.b = slices.Clone(f.d.b[:size])
	} else {
		f.d.b = append(f.d.b, make([]byte, size-int64(len(f.d.b)))...)
	}
	return nil
}

func (f *memoryFile) Sync() error  { return nil }
func (f *memoryFile) Close() error { return nil }
