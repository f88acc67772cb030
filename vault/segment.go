package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A segment is a header and frames; spec/vault.md 2. Every frame begins with the segment's random salt, which never
// leaves the machine: after damage the scanner finds the next frame by it, and nobody who supplies ciphertext can put
// something into it that the scanner would take for a frame.

const (
	segMagic     = "SALUSEG1"
	segCopy      = 36          // magic 8, number 4, generation 4, salt 16, checksum 4
	segHeader    = 2 * segCopy // written twice: one bad byte does not lose the salt
	frameHeader  = 64          // salt 16, kind 1, zero 3, length 4, id 32, payload checksum 4, header checksum 4
	maxFrameBody = MaxPack + MaxBlobs
)

// Frame kinds.
const (
	framePack    = 1 // a pack as it is
	frameReduced = 2 // a pack some of whose blobs were dropped: its head, a bitmap of what is left, its checksum, what is left
	frameDrop    = 3 // addresses that were dropped, sorted
)

type salt [16]byte

func encodeSegmentHeader(num, gen uint32, s salt) []byte {
	b := make([]byte, 0, segHeader)
	for range 2 {
		at := len(b)
		b = append(b, segMagic...)
		b = binary.BigEndian.AppendUint32(b, num)
		b = binary.BigEndian.AppendUint32(b, gen)
		b = append(b, s[:]...)
		b = binary.BigEndian.AppendUint32(b, checksum(b[at:]))
	}
	return b
}

// readSalt finds a segment's salt: in either copy of its header, else in its first frame.
func readSalt(r io.ReaderAt, size int64) (s salt, ok bool) {
	b := make([]byte, segHeader+frameHeader)
	n := readSoft(r, b, 0, size)
	b = b[:n]
	for at := 0; at+segCopy <= len(b) && at < segHeader; at += segCopy {
		c := b[at : at+segCopy]
		if bytes.HasPrefix(c, []byte(segMagic)) && checksum(c[:32]) == binary.BigEndian.Uint32(c[32:]) {
			copy(s[:], c[16:32])
			return s, true
		}
	}
	if len(b) == segHeader+frameHeader {
		copy(s[:], b[segHeader:])
		if _, ok := decodeFrameHeader(b[segHeader:], s); ok {
			return s, true
		}
	}
	return salt{}, false
}

// frame is one frame's header and place.
type frame struct {
	off  int64  // of its header in the segment
	kind byte   // framePack, frameReduced, frameDrop
	size uint32 // of its payload
	id   PackID // for frameDrop the SHA-256 of the payload
	sum  uint32 // CRC-32C of the payload
}

func (f frame) end() int64 { return f.off + frameHeader + int64(f.size) }

// putFrameHeader fills in b[:frameHeader] for the payload behind it.
func putFrameHeader(b []byte, s salt, kind byte, id PackID, sum uint32) {
	copy(b, s[:])
	b[16], b[17], b[18], b[19] = kind, 0, 0, 0
	binary.BigEndian.PutUint32(b[20:], uint32(len(b)-frameHeader))
	copy(b[24:56], id[:])
	binary.BigEndian.PutUint32(b[56:], sum)
	binary.BigEndian.PutUint32(b[60:], checksum(b[:60]))
}

func decodeFrameHeader(b []byte, s salt) (f frame, ok bool) {
	if len(b) < frameHeader || !bytes.Equal(b[:16], s[:]) ||
		checksum(b[:60]) != binary.BigEndian.Uint32(b[60:]) {
		return f, false
	}
	f.kind = b[16]
	f.size = binary.BigEndian.Uint32(b[20:])
	copy(f.id[:], b[24:56])
	f.sum = binary.BigEndian.Uint32(b[56:])
	ok = f.kind >= framePack && f.kind <= frameDrop && b[17]|b[18]|b[19] == 0 && f.size > 0 && f.size <= maxFrameBody
	return f, ok
}

// scanned is what scanFrames saw at one place.
type scanned struct {
	frame
	cut bool // the file ends inside the payload
}

// scanFrames walks the frames in [from, size) and skips what is not a frame. It reads headers only: payloads are fn's
// business. It returns where the last frame header-wise complete ends, which is size if there is no torn tail.
func scanFrames(r io.ReaderAt, s salt, from, size int64, fn func(scanned) error) (end int64, err error) {
	hdr := make([]byte, frameHeader)
	end = from
	for at := from; at < size; {
		n := readSoft(r, hdr, at, size)
		f, ok := decodeFrameHeader(hdr[:n], s)
		if !ok {
			next, found := findFrame(r, s, at+1, size)
			if !found {
				return end, nil
			}
			at = next
			continue
		}
		f.off = at
		cut := f.end() > size
		if err := fn(scanned{f, cut}); err != nil {
			return end, err
		}
		if cut {
			return end, nil
		}
		at = f.end()
		end = at
	}
	return end, nil
}

// findFrame returns the offset of the first good frame header at or after from.
func findFrame(r io.ReaderAt, s salt, from, size int64) (int64, bool) {
	const window = 1 << 18
	buf := make([]byte, max(0, min(window, size-from)))
	for at := from; at+frameHeader <= size; at += window - frameHeader + 1 {
		b := buf[:readSoft(r, buf, at, size)]
		for i := 0; ; i++ {
			j := bytes.Index(b[i:], s[:])
			if j < 0 || i+j+frameHeader > len(b) {
				break
			}
			i += j
			if _, ok := decodeFrameHeader(b[i:i+frameHeader], s); ok {
				return at + int64(i), true
			}
		}
	}
	return 0, false
}

// readSoft fills b from off, not past size, and returns how much it covered. Blocks that the medium cannot read come
// back as zeros, so that a bad sector costs what lies in it and not the rest of the segment.
func readSoft(r io.ReaderAt, b []byte, off, size int64) int {
	if off >= size {
		return 0
	}
	b = b[:min(int64(len(b)), size-off)]
	n, err := r.ReadAt(b, off)
	if err == nil || n == len(b) {
		return len(b)
	}
	if errors.Is(err, io.EOF) {
		return n
	}
	const block = 4096
	for at := 0; at < len(b); at += block {
		c := b[at:min(at+block, len(b))]
		if _, err := r.ReadAt(c, off+int64(at)); err != nil {
			clear(c)
		}
	}
	return len(b)
}

// layout says where a frame's blobs are.
type layout struct {
	all     []Address // of the pack as it was sealed
	live    []blobAt
	dropped []Address
}

// blobAt is a blob inside a frame; off counts from the start of the frame's header.
type blobAt struct {
	addr      Address
	off, size uint32
}

// layoutOf reads the front of a pack frame's payload.
func layoutOf(kind byte, payload []byte) (*layout, error) {
	h, err := decodeHead(payload)
	if err != nil {
		return nil, err
	}
	at := headSize(len(h.addrs))
	gone := func(int) bool { return false }
	if kind == frameReduced {
		n := (len(h.addrs) + 7) / 8
		if len(payload) < at+n+4 {
			return nil, fmt.Errorf("%w: cut short in its bitmap", ErrInvalid)
		}
		bits := payload[at : at+n]
		if checksum(bits) != binary.BigEndian.Uint32(payload[at+n:]) {
			return nil, fmt.Errorf("%w: bitmap checksum", ErrInvalid)
		}
		gone = func(i int) bool { return bits[i/8]&(1<<(i%8)) == 0 }
		at += n + 4
	}
	l := &layout{all: h.addrs, live: make([]blobAt, 0, len(h.addrs))}
	for i, a := range h.addrs {
		if gone(i) {
			l.dropped = append(l.dropped, a)
			continue
		}
		l.live = append(l.live, blobAt{a, uint32(frameHeader + at), h.sizes[i]})
		at += int(h.sizes[i])
	}
	return l, nil
}

// size is the length of the payload the layout describes.
func (l *layout) size() int64 {
	if len(l.live) > 0 {
		b := l.live[len(l.live)-1]
		return int64(b.off) + int64(b.size) - frameHeader
	}
	return int64(headSize(len(l.all)) + (len(l.all)+7)/8 + 4)
}

// frontSize is how much of a payload layoutOf needs, given its first packFixed bytes.
func frontSize(kind byte, fixed []byte) (int, error) {
	n, err := headLen(fixed)
	if err == nil && kind == frameReduced {
		n += ((n-4-packFixed)/packRow+7)/8 + 4
	}
	return n, err
}

// readLayout reads only the front of a frame in a segment.
func readLayout(r io.ReaderAt, f frame) (*layout, error) {
	at, end := f.off+frameHeader, f.end()
	b := make([]byte, packFixed)
	n, err := frontSize(f.kind, b[:readSoft(r, b, at, end)])
	if err != nil {
		return nil, err
	}
	b = make([]byte, n)
	l, err := layoutOf(f.kind, b[:readSoft(r, b, at, end)])
	if err == nil && l.size() != int64(f.size) {
		return nil, fmt.Errorf("%w: length", ErrInvalid)
	}
	return l, err
}

// reduceFrame makes a frame (header still empty) with only the blobs of src that keep allows. src is a whole frame.
func reduceFrame(src []byte, l *layout, keep func(Address) bool) []byte {
	n := headSize(len(l.all))
	out := make([]byte, frameHeader, len(src)+(len(l.all)+7)/8+4)
	out = append(out, src[frameHeader:frameHeader+n]...)
	at := len(out)
	out = append(out, make([]byte, (len(l.all)+7)/8)...)
	live := 0
	var parts [][]byte
	for i, a := range l.all {
		if live == len(l.live) || l.live[live].addr != a {
			continue
		}
		b := l.live[live]
		live++
		if keep(a) {
			out[at+i/8] |= 1 << (i % 8)
			parts = append(parts, src[b.off:b.off+b.size])
		}
	}
	out = binary.BigEndian.AppendUint32(out, checksum(out[at:]))
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// verifyFrame checks a whole frame (header and payload) against everything it claims.
func verifyFrame(b []byte, s salt) (frame, *layout, error) {
	f, ok := decodeFrameHeader(b, s)
	if !ok {
		return f, nil, fmt.Errorf("%w: frame header", ErrCorrupt)
	}
	p := b[frameHeader:]
	if len(p) != int(f.size) || checksum(p) != f.sum {
		return f, nil, fmt.Errorf("%w: frame checksum", ErrCorrupt)
	}
	switch f.kind {
	case frameDrop:
		if IDOf(p) != f.id || len(p)%32 != 0 {
			return f, nil, fmt.Errorf("%w: drop frame", ErrCorrupt)
		}
		return f, nil, nil
	case framePack:
		if IDOf(p) != f.id {
			return f, nil, fmt.Errorf("%w: pack id", ErrCorrupt)
		}
	}
	l, err := layoutOf(f.kind, p)
	if err != nil {
		return f, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if l.size() != int64(f.size) {
		return f, nil, fmt.Errorf("%w: frame length", ErrCorrupt)
	}
	if f.kind == frameReduced { // a whole pack's id covers its blobs; a reduced one's cannot any more
		for _, x := range l.live {
			if AddressOf(b[x.off:x.off+x.size]) != x.addr {
				return f, nil, fmt.Errorf("%w: blob", ErrCorrupt)
			}
		}
	}
	return f, l, nil
}
