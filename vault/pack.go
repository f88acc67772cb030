package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
)

// Limits of one pack. A batch has at most 1,024 records, each with at most one further blob of metadata.
const (
	MaxBlobs = 4096    // blobs in one pack
	MaxPack  = 1 << 27 // bytes of one pack, 128 MiB
)

const (
	packMagic = "SALUSPK1"
	packFixed = len(packMagic) + 4 // magic, count
	packRow   = 32 + 4             // address, length
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is CRC-32C.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Address is the SHA-256 of one blob (one ciphertext).
type Address [32]byte

// PackID is the SHA-256 of a pack's bytes.
type PackID [32]byte

// AddressOf returns the address of a blob.
func AddressOf(blob []byte) Address { return sha256.Sum256(blob) }

// IDOf returns the id of a pack's bytes.
func IDOf(pack []byte) PackID { return sha256.Sum256(pack) }

// String is 64 lower case hex digits.
func (a Address) String() string { return hex.EncodeToString(a[:]) }

// String is 64 lower case hex digits.
func (id PackID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText is String.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalText is String.
func (id PackID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Address) UnmarshalText(b []byte) (err error) { *a, err = ParseAddress(string(b)); return err }

// UnmarshalText reads what MarshalText writes.
func (id *PackID) UnmarshalText(b []byte) (err error) { *id, err = ParsePackID(string(b)); return err }

// ParseAddress reads 64 lower case hex digits.
func ParseAddress(s string) (Address, error) { return parseHash(s) }

// ParsePackID reads 64 lower case hex digits.
func ParsePackID(s string) (PackID, error) { return parseHash(s) }

func parseHash(s string) (h [32]byte, err error) {
	if len(s) != 64 {
		return h, fmt.Errorf("%w: want 64 hex digits, got %d characters", ErrInvalid, len(s))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return h, fmt.Errorf("%w: not lower case hex", ErrInvalid)
		}
	}
	_, err = hex.Decode(h[:], []byte(s))
	return h, err
}

// Pack is a decoded pack: its blobs in the order they were put, and their addresses.
type Pack struct {
	Addresses []Address
	Blobs     [][]byte // alias the decoded bytes
}

// EncodePack returns the one encoding of these blobs (spec/vault.md 1) and its id. It only lays out bytes; what DecodePack
// would refuse (no blob, an empty blob, over a limit) it encodes all the same, and PutPack refuses it.
func EncodePack(blobs [][]byte) (PackID, []byte) {
	addrs := make([]Address, len(blobs))
	size := headSize(len(blobs))
	for i, b := range blobs {
		addrs[i] = AddressOf(b)
		size += len(b)
	}
	b := appendPack(make([]byte, 0, size), addrs, blobs)
	return IDOf(b), b
}

// DecodePack reads a whole pack and checks everything it claims: lengths, checksum and each blob's address. The error is
// ErrInvalid, or ErrTooLarge. What it accepts, EncodePack makes again byte for byte.
func DecodePack(b []byte) (*Pack, error) {
	h, err := decodeHead(b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != h.total() {
		return nil, fmt.Errorf("%w: %d bytes where its table says %d", ErrInvalid, len(b), h.total())
	}
	p := &Pack{Addresses: h.addrs, Blobs: make([][]byte, len(h.addrs))}
	at := headSize(len(h.addrs))
	for i, n := range h.sizes {
		p.Blobs[i] = b[at : at+int(n) : at+int(n)]
		at += int(n)
		if AddressOf(p.Blobs[i]) != h.addrs[i] {
			return nil, fmt.Errorf("%w: blob %d does not hash to its address", ErrInvalid, i)
		}
	}
	return p, nil
}

// head is the front of a pack: what it holds, without the blobs.
type head struct {
	addrs []Address
	sizes []uint32
}

func headSize(blobs int) int { return packFixed + blobs*packRow + 4 }

// total is the length of the whole pack, head and blobs.
func (h *head) total() int64 {
	n := int64(headSize(len(h.addrs)))
	for _, s := range h.sizes {
		n += int64(s)
	}
	return n
}

// headLen says how many bytes of a pack are its head, from its first packFixed bytes.
func headLen(b []byte) (int, error) {
	if len(b) < packFixed || !bytes.HasPrefix(b, []byte(packMagic)) {
		return 0, fmt.Errorf("%w: no pack magic", ErrInvalid)
	}
	n := binary.BigEndian.Uint32(b[len(packMagic):])
	if n == 0 {
		return 0, fmt.Errorf("%w: holds no blob", ErrInvalid)
	}
	if n > MaxBlobs {
		return 0, fmt.Errorf("%w: %d blobs, at most %d", ErrTooLarge, n, MaxBlobs)
	}
	return headSize(int(n)), nil
}

// decodeHead checks the head alone; blobs behind it may be missing.
func decodeHead(b []byte) (*head, error) {
	n, err := headLen(b)
	if err != nil {
		return nil, err
	}
	if len(b) < n {
		return nil, fmt.Errorf("%w: cut short in its table", ErrInvalid)
	}
	if checksum(b[:n-4]) != binary.BigEndian.Uint32(b[n-4:]) {
		return nil, fmt.Errorf("%w: table checksum", ErrInvalid)
	}
	count := (n - 4 - packFixed) / packRow
	h := &head{addrs: make([]Address, count), sizes: make([]uint32, count)}
	for i := range count {
		row := b[packFixed+i*packRow:]
		copy(h.addrs[i][:], row)
		h.sizes[i] = binary.BigEndian.Uint32(row[32:])
		if h.sizes[i] == 0 {
			return nil, fmt.Errorf("%w: blob %d is empty", ErrInvalid, i)
		}
	}
	if t := h.total(); t > MaxPack {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, t, MaxPack)
	}
	return h, nil
}

func appendPack(dst []byte, addrs []Address, blobs [][]byte) []byte {
	start := len(dst)
	dst = append(dst, packMagic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(blobs)))
	for i, b := range blobs {
		dst = append(dst, addrs[i][:]...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	}
	dst = binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
	for _, b := range blobs {
		dst = append(dst, b...)
	}
	return dst
}

// checkBlobs refuses what no pack can hold, before anything is hashed.
func checkBlobs(blobs [][]byte) (size int, err error) {
	if len(blobs) == 0 {
		return 0, fmt.Errorf("%w: holds no blob", ErrInvalid)
	}
	if len(blobs) > MaxBlobs {
		return 0, fmt.Errorf("%w: %d blobs, at most %d", ErrTooLarge, len(blobs), MaxBlobs)
	}
	size = headSize(len(blobs))
	for i, b := range blobs {
		if len(b) == 0 {
			return 0, fmt.Errorf("%w: blob %d is empty", ErrInvalid, i)
		}
		if size += len(b); size > MaxPack {
			return 0, fmt.Errorf("%w: over %d bytes", ErrTooLarge, MaxPack)
		}
	}
	return size, nil
}
