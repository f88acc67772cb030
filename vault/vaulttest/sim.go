package vaulttest

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"salus/vault"
)

// ErrCrashed is what everything answers after the crash.
var ErrCrashed = errors.New("vaulttest: crashed")

// Fault is what becomes of one operation.
type Fault int

const (
	None  Fault = iota
	Fail        // it fails; a write may have been done in part
	Crash       // the machine stops in the middle of it
)

// Keep is what a crash leaves of writes that were not synced.
type Keep int

const (
	KeepNothing Keep = iota
	KeepAll
	KeepPrefix  // the earlier ones, the last of them torn
	KeepSectors // any sectors of any of them, in no order

)

// Keeps are all of them.
func Keeps() []Keep { return []Keep{KeepNothing, KeepAll, KeepPrefix, KeepSectors} }

const sector = 64 // small, so that small tests tear often

// Sim is a backend in memory that knows what is durable. Each operation that changes something (and Sync) is numbered
// from 1 and shown to the fault function.
type Sim struct {
	mu      sync.Mutex
	files   map[string]*simData
	fault   func(n int, op string) Fault
	n       int
	crashed bool
	rng     *rand.Rand
}

type simData struct {
	now, durable []byte
	pending      []simWrite // since the last sync
}

type simWrite struct {
	off  int64
	b    []byte
	trim bool // truncate to off
}

// NewSim makes an empty one. fault may be nil; seed decides everything that is left to chance.
func NewSim(seed uint64, fault func(n int, op string) Fault) *Sim {
	return &Sim{files: map[string]*simData{}, fault: fault, rng: rand.New(rand.NewPCG(seed, 1))}
}

// Ops is the number of operations so far.
func (s *Sim) Ops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Crashed says whether it has.
func (s *Sim) Crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crashed
}

// Restart is the machine after the crash: what was durable, and of the rest what k says.
func (s *Sim) Restart(k Keep, seed uint64, fault func(n int, op string) Fault) *Sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crashed = true
	out := NewSim(seed, fault)
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		b := s.files[name].after(k, out.rng)
		out.files[name] = &simData{now: b, durable: slices.Clone(b)}
	}
	return out
}

func (d *simData) after(k Keep, rng *rand.Rand) []byte {
	b := slices.Clone(d.durable)
	pending := d.pending
	switch k {
	case KeepNothing:
		return b
	case KeepPrefix:
		if len(pending) > 0 {
			pending = slices.Clone(pending[:1+rng.IntN(len(pending))])
			last := &pending[len(pending)-1]
			if !last.trim {
				last.b = last.b[:rng.IntN(len(last.b)+1)]
			}
		}
	}
	for _, w := range pending {
		if w.trim {
			b = resize(b, w.off)
			continue
		}
		if k == KeepSectors && rng.IntN(2) == 0 { // the size may grow before the bytes are there
			b = resize(b, max(int64(len(b)), w.off+int64(len(w.b))))
		}
		for at := 0; at < len(w.b); at += sector {
			if k == KeepSectors && rng.IntN(3) == 0 {
				continue
			}
			b = put(b, w.b[at:min(at+sector, len(w.b))], w.off+int64(at))
		}
	}
	return b
}

func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n:n]
	}
	return append(slices.Clip(b), make([]byte, n-int64(len(b)))...)
}

func put(b, p []byte, off int64) []byte {
	b = resize(b, max(int64(len(b)), off+int64(len(p))))
	copy(b[off:], p)
	return b
}

// Bytes is a copy of a file as a reader sees it.
func (s *Sim) Bytes(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files[name].now)
}

// Flip damages a byte.
func (s *Sim) Flip(name string, off int, mask byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.files[name]
	d.now = slices.Clone(d.now)
	d.now[off] ^= mask
	d.durable = slices.Clone(d.now)
}

// Cut shortens a file.
func (s *Sim) Cut(name string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.files[name]
	d.now = slices.Clone(d.now[:size])
	d.durable = slices.Clone(d.now)
}

// step counts an operation; do says whether it takes effect. It wants s.mu.
func (s *Sim) step(op string) (do bool, err error) {
	if s.crashed {
		return false, ErrCrashed
	}
	s.n++
	if s.fault == nil {
		return true, nil
	}
	switch s.fault(s.n, op) {
	case Fail:
		return false, errors.New("vaulttest: injected failure of " + op)
	case Crash:
		s.crashed = true
		return s.rng.IntN(2) == 0, ErrCrashed
	}
	return true, nil
}

func (s *Sim) List() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed {
		return nil, ErrCrashed
	}
	return slices.Sorted(maps.Keys(s.files)), nil
}

func (s *Sim) Create(name string) (vault.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[name] != nil {
		return nil, fs.ErrExist
	}
	do, err := s.step("create")
	if do {
		s.files[name] = &simData{}
	}
	if err != nil {
		return nil, err
	}
	return &simFile{s, s.files[name]}, nil
}

func (s *Sim) Open(name string) (vault.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed {
		return nil, ErrCrashed
	}
	if s.files[name] == nil {
		return nil, fs.ErrNotExist
	}
	return &simFile{s, s.files[name]}, nil
}

func (s *Sim) Rename(old, new string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[old] == nil {
		return fs.ErrNotExist
	}
	do, err := s.step("rename")
	if do {
		s.files[new] = s.files[old]
		delete(s.files, old)
	}
	return err
}

func (s *Sim) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[name] == nil {
		return fs.ErrNotExist
	}
	do, err := s.step("remove")
	if do {
		delete(s.files, name)
	}
	return err
}

func (s *Sim) Free() (int64, error) { return 1 << 40, nil }

type simFile struct {
	s *Sim
	d *simData
}

func (f *simFile) ReadAt(b []byte, off int64) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.crashed {
		return 0, ErrCrashed
	}
	if off >= int64(len(f.d.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.d.now[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) WriteAt(b []byte, off int64) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.crashed {
		return 0, ErrCrashed
	}
	_, err := f.s.step("write")
	done := b
	if err != nil { // in part
		done = b[:f.s.rng.IntN(len(b)+1)]
	}
	if len(done) > 0 {
		f.d.now = put(slices.Clone(f.d.now), done, off)
		f.d.pending = append(f.d.pending, simWrite{off: off, b: slices.Clone(done)})
	}
	return len(done), err
}

func (f *simFile) Size() (int64, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.crashed {
		return 0, ErrCrashed
	}
	return int64(len(f.d.now)), nil
}

func (f *simFile) Truncate(size int64) error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	do, err := f.s.step("truncate")
	if do {
		f.d.now = resize(slices.Clone(f.d.now), size)
		f.d.pending = append(f.d.pending, simWrite{off: size, trim: true})
	}
	return err
}

func (f *simFile) Sync() error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	do, err := f.s.step("sync")
	if do {
		f.d.durable, f.d.pending = slices.Clone(f.d.now), nil
	}
	return err
}

func (f *simFile) Close() error { return nil }
