package bulk

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A sealed file is a sequence of chunks of AES-256-GCM. The nonce is the number of the file in its
// job (3 bytes), that of the chunk (8 bytes) and whether it is the last (1 byte): no chunk can be
// left out, moved or cut off unnoticed, and none repeats under one key.
const (
	chunkSize = 64 << 10
	tagSize   = 16
	maxFiles  = 1 << 24
)

var errDamaged = errors.New("bulk: a file is damaged")

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("bulk: key: %w", err)
	}
	return cipher.NewGCM(block)
}

func nonce(file uint32, chunk uint64, last bool) []byte {
	var n [12]byte
	binary.BigEndian.PutUint32(n[:4], file<<8)
	binary.BigEndian.PutUint64(n[3:11], chunk)
	if last {
		n[11] = 1
	}
	return n[:]
}

// A sealer writes a sealed file.
type sealer struct {
	f     *os.File
	aead  cipher.AEAD
	file  uint32
	chunk uint64
	buf   []byte
	out   []byte
	wrote int64
}

func createSealed(path string, key []byte, file uint32) (*sealer, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("bulk: file: %w", err)
	}
	return &sealer{f: f, aead: aead, file: file, buf: make([]byte, 0, chunkSize)}, nil
}

// Write implements io.Writer.
func (s *sealer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(s.buf) == chunkSize {
			if err := s.flush(false); err != nil {
				return n, err
			}
		}
		k := min(len(p), chunkSize-len(s.buf))
		s.buf, p, n = append(s.buf, p[:k]...), p[k:], n+k
	}
	return n, nil
}

func (s *sealer) flush(last bool) error {
	s.out = s.aead.Seal(s.out[:0], nonce(s.file, s.chunk, last), s.buf, nil)
	s.wrote += int64(len(s.out))
	s.buf = s.buf[:0]
	s.chunk++
	if _, err := s.f.Write(s.out); err != nil {
		return fmt.Errorf("bulk: file: %w", err)
	}
	return nil
}

// close writes the last chunk and makes the file durable.
func (s *sealer) close() error {
	err := s.flush(true)
	if err == nil {
		err = s.f.Sync()
	}
	return errors.Join(err, s.f.Close())
}

// abandon closes without finishing: what is there does not open.
func (s *sealer) abandon() { _ = s.f.Close() }

// openSealed copies a sealed file in the clear. An error after the first byte leaves the copy
// incomplete.
func openSealed(w io.Writer, path string, key []byte, file uint32) (err error) {
	aead, err := newAEAD(key)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bulk: file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReaderSize(f, chunkSize+tagSize+1)
	in, out := make([]byte, chunkSize+tagSize), []byte(nil)
	for chunk := uint64(0); ; chunk++ {
		n, err := io.ReadFull(r, in)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return errDamaged
		}
		_, peek := r.Peek(1)
		last := errors.Is(peek, io.EOF)
		if out, err = aead.Open(out[:0], nonce(file, chunk, last), in[:n], nil); err != nil {
			return errDamaged
		}
		if _, err := w.Write(out); err != nil {
			return fmt.Errorf("bulk: send: %w", err)
		}
		if last {
			return nil
		}
	}
}
