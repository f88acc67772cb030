// Package compress makes records small before they are sealed: a ciphertext cannot be
// compressed any more. One resource is small and much like others of its kind, so it is
// compressed against a dictionary that both sides have.
//
// A compressed record is one version byte, then its content. Version 0 holds the record
// itself; version 1 one zstd frame (RFC 8878) that needs dictionary fhir-r4.v1 (ID 32769).
// A version's dictionary is never changed and never removed: records are kept for decades.
//
// The dictionaries are trained on the project's own synthetic patients and on nothing else,
// so they tell nothing about anybody. The package must never learn from what it compresses.
package compress

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The dictionary of version 1 is frozen; another one is trained under a new name and ID:
//
//	go run salus/internal/sample/train seal/compress/dict/fhir-r4.v2.zdict 32770

//go:embed dict/fhir-r4.v1.zdict
var dictV1 []byte

// Versions, the first byte of a compressed record.
const (
	versionStored = 0
	versionFHIR1  = 1
)

// dictIDv1 is the zstd ID of the first dictionary. IDs below 32768 are reserved (RFC 8878, 5).
const dictIDv1 = 32769

// Errors of Decompress. None holds a byte of the record.
var (
	ErrEmpty    = errors.New("compress: empty input")
	ErrVersion  = errors.New("compress: unknown version; this record needs a newer program")
	ErrTooLarge = errors.New("compress: record is larger than allowed")
	ErrCorrupt  = errors.New("compress: damaged record")
)

// A codec is one encoder and one decoder; both are safe for concurrent use.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

var v1 = sync.OnceValues(func() (*codec, error) {
	// Most of the time of a record goes into what the encoder's tables, 8 MiB, have to have back of the dictionary's
	// before the next: one encoder whose tables stay in the processor's cache is faster than several.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderDict(dictV1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), // the seal authenticates every byte
		zstd.WithSingleSegment(true), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compress: internal error: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderDicts(dictV1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, fmt.Errorf("compress: internal error: %w", err)
	}
	return &codec{enc, dec}, nil
})

// Compress returns plain in its compressed form, never more than one byte longer. The same
// program gives the same bytes for the same input.
func Compress(plain []byte) []byte {
	out := make([]byte, 1, len(plain)/2+64)
	if c, err := v1(); err == nil && len(plain) > 0 {
		out[0] = versionFHIR1
		out = c.enc.EncodeAll(plain, out)
		if len(out) <= len(plain) {
			return out
		}
	}
	return append(append(out[:0], versionStored), plain...)
}

// Decompress returns the record, of at most max bytes. It uses memory for the record alone,
// never more than max, whatever the input claims.
func Decompress(b []byte, max int) ([]byte, error) {
	if len(b) == 0 {
		return nil, ErrEmpty
	}
	body := b[1:]
	switch b[0] {
	case versionStored:
		if len(body) > max {
			return nil, ErrTooLarge
		}
		return append([]byte{}, body...), nil
	case versionFHIR1:
		return decompressV1(body, max)
	}
	return nil, ErrVersion
}

func decompressV1(frame []byte, max int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil || h.Skippable || !h.HasFCS || !h.SingleSegment || h.HasCheckSum || h.DictionaryID != dictIDv1 {
		return nil, ErrCorrupt
	}
	if max < 0 || h.FrameContentSize > uint64(max) {
		return nil, ErrTooLarge
	}
	if !oneFrame(frame, h.HeaderSize) {
		return nil, ErrCorrupt
	}
	c, err := v1()
	if err != nil {
		return nil, err
	}
	out, err := c.dec.DecodeAll(frame, make([]byte, 0, h.FrameContentSize))
	if err != nil || uint64(len(out)) != h.FrameContentSize {
		return nil, ErrCorrupt
	}
	return out, nil
}

// oneFrame checks that the blocks after the header end where the input ends: a decoder
// would take further frames, and skippable ones may hold anything.
func oneFrame(frame []byte, i int) bool {
	for {
		if i+3 > len(frame) {
			return false
		}
		block := uint32(binary.LittleEndian.Uint16(frame[i:])) | uint32(frame[i+2])<<16
		size := int(block >> 3)
		if block>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if i += 3 + size; i > len(frame) {
			return false
		}
		if block&1 == 1 {
			return i == len(frame)
		}
	}
}
