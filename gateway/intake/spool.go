package intake

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// held is how much of a file stays in memory; what is more waits on the disk.
	held = 4 << 20
	// block is how much of it is sealed together.
	block = 64 << 10
)

// A spool keeps a file that came in until it has been read as often as is needed. On the disk it is sealed
// with a key that is nowhere but in memory, under a name that is gone as soon as it is open: nobody can
// read it, not even this node after a crash.
type spool struct {
	memory []byte
	disk   *os.File // nil: it is all in memory
	aead   cipher.AEAD
	blocks uint64 // on the disk
}

// newSpool reads r to its end. free, asked before each write to the disk, says whether there is room for so
// many bytes. Errors: r's, free's, of the disk.
func newSpool(r io.Reader, dir string, free func(int64) error) (_ *spool, err error) {
	s := &spool{}
	if s.memory, err = io.ReadAll(io.LimitReader(r, held)); err != nil || len(s.memory) < held {
		return s, err
	}
	if s.disk, err = os.CreateTemp(dir, "import-*"); err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.Remove(s.disk.Name()); err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // it does not fail
	cell, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	if s.aead, err = cipher.NewGCM(cell); err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	in, out := make([]byte, block), []byte(nil)
	for n := uint64(0); ; n++ {
		s.blocks = n
		k, end := io.ReadFull(r, in)
		if end != nil && !errors.Is(end, io.EOF) && !errors.Is(end, io.ErrUnexpectedEOF) {
			return nil, end
		}
		if k > 0 {
			if err := free(int64(k)); err != nil {
				return nil, err
			}
			out = s.aead.Seal(out[:0], blockNonce(n), in[:k], nil)
			if _, err := s.disk.Write(out); err != nil {
				return nil, fmt.Errorf("intake: spool: %w", err)
			}
			s.blocks = n + 1
		}
		if end != nil {
			return s, nil
		}
	}
}

func blockNonce(n uint64) []byte {
	var b [12]byte
	binary.BigEndian.PutUint64(b[4:], n)
	return b[:]
}

// mark is what some editors put in front of UTF-8 (RFC 8259 section 8.1: a parser may ignore it).
var mark = []byte("\ufeff")

// open reads it from the beginning, without a byte order mark. One reader at a time.
func (s *spool) open() (io.Reader, error) {
	first := bytes.NewReader(bytes.TrimPrefix(s.memory, mark))
	if s.disk == nil {
		return first, nil
	}
	if _, err := s.disk.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	return io.MultiReader(first, &unspool{s: s, r: bufio.NewReaderSize(s.disk, block+16)}), nil
}

func (s *spool) close() error {
	s.memory = nil
	if s.disk == nil {
		return nil
	}
	return s.disk.Close()
}

// An unspool opens block by block.
type unspool struct {
	s    *spool
	r    io.Reader
	n    uint64
	in   []byte
	rest []byte
}

var errSpool = errors.New("intake: spool: what was written did not come back")

// Read implements io.Reader.
func (u *unspool) Read(p []byte) (int, error) {
	if len(u.rest) == 0 {
		if u.in == nil {
			u.in = make([]byte, block+16)
		}
		k, err := io.ReadFull(u.r, u.in)
		if k == 0 && errors.Is(err, io.EOF) && u.n == u.s.blocks {
			return 0, io.EOF
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, fmt.Errorf("intake: spool: %w", err)
		}
		if u.rest, err = u.s.aead.Open(u.in[:0], blockNonce(u.n), u.in[:k], nil); err != nil {
			return 0, errSpool
		}
		u.n++
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}
