package balp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A segment is a file of the journal:
//
//	magic[8] ‖ first sequence number[8] ‖ head before it[32] ‖ frames
//	frame: bytes of what follows[4] ‖ sequence number[8] ‖ AES-256-GCM(nonce[12] ‖ event in JSON ‖ tag[16])
//
// Integers are big-endian. The additional data of a frame is the sequence number and the head before
// it; the head after it is SHA-256("salus/balp/v1" 00 ‖ head before ‖ SHA-256(frame)). So a frame opens
// only in its place behind exactly those that were before it.
const (
	magic      = "salusaud"
	headerSize = 8 + 8 + 32
	frameHead  = 4 + 8
	maxFrame   = 1 << 20
)

// Errors of the journal.
var (
	ErrDamaged = errors.New("balp: the journal is damaged: an event was changed, taken out or put elsewhere")
	ErrKey     = errors.New("balp: the journal is sealed under another key, or its first event was changed")
	ErrFailed  = errors.New("balp: the journal could not be written; no event is acknowledged any more")
	ErrClosed  = errors.New("balp: the journal is closed")
	ErrLarge   = errors.New("balp: the event is larger than 1 MiB")
)

// A Head says how far the journal has come: its last sequence number and the hash over all events.
type Head struct {
	Seq  uint64   `json:"seq"`
	Hash [32]byte `json:"hash"`
}

func (h Head) after(frame []byte) Head {
	sum := sha256.Sum256(frame)
	d := sha256.New()
	d.Write([]byte("salus/balp/v1\x00"))
	d.Write(h.Hash[:])
	d.Write(sum[:])
	next := Head{Seq: h.Seq + 1}
	d.Sum(next.Hash[:0])
	return next
}

// additional is what a frame's seal binds besides its content.
func (h Head) additional() []byte {
	b := binary.BigEndian.AppendUint64([]byte("salus/balp/v1\x00"), h.Seq+1)
	return append(b, h.Hash[:]...)
}

func newSeal(key [32]byte) (cipher.AEAD, error) {
	d := sha256.Sum256(append([]byte("salus/balp/seal/v1\x00"), key[:]...))
	block, err := aes.NewCipher(d[:])
	if err != nil {
		return nil, fmt.Errorf("balp: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// frame adds an event, sealed behind a head, to b.
func frame(aead cipher.AEAD, b []byte, h Head, plain []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0), h.Seq+1)
	b = aead.Seal(b, nil, plain, h.additional()) //nolint:gosec // the AEAD draws its nonces itself
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// opened opens a whole frame behind a head.
func opened(aead cipher.AEAD, h Head, b []byte) ([]byte, error) {
	if len(b) < frameHead || binary.BigEndian.Uint64(b[4:]) != h.Seq+1 {
		return nil, ErrDamaged
	}
	plain, err := aead.Open(nil, nil, b[frameHead:], h.additional())
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// frameAt reads the frame at an offset of a file.
func frameAt(f *os.File, offset int64) ([]byte, error) {
	var size [4]byte
	if _, err := f.ReadAt(size[:], offset); err != nil {
		return nil, fmt.Errorf("balp: journal: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return nil, ErrDamaged
	}
	b := make([]byte, 4+n)
	if _, err := f.ReadAt(b, offset); err != nil {
		return nil, fmt.Errorf("balp: journal: %w", err)
	}
	return b, nil
}

// whole is the size of the frame that b begins with; 0 if b ends within it.
func whole(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, nil
	}
	n := int(binary.BigEndian.Uint32(b))
	switch {
	case n < frameHead-4 || n > maxFrame:
		return 0, ErrDamaged
	case len(b) < 4+n:
		return 0, nil
	}
	return 4 + n, nil
}

func header(h Head) []byte {
	b := binary.BigEndian.AppendUint64([]byte(magic), h.Seq+1)
	return append(b, h.Hash[:]...)
}

func parseHeader(b []byte) (h Head, err error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return h, ErrDamaged
	}
	first := binary.BigEndian.Uint64(b[8:])
	if first == 0 {
		return h, ErrDamaged
	}
	h.Seq = first - 1
	copy(h.Hash[:], b[16:])
	return h, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%020d.audit", first) }

// segments lists the files of a journal in their order.
func segments(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("balp: journal: %w", err)
	}
	var out []string
	for _, f := range list {
		if strings.HasSuffix(f.Name(), ".audit") {
			out = append(out, filepath.Join(dir, f.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}
