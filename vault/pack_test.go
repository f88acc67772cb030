package vault

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPackVector(t *testing.T) {
	id, b := EncodePack([][]byte{[]byte("first"), []byte("second")})
	want := "53414c5553504b3100000002" + // magic, count
		"a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e" + "00000005" +
		"16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4" + "00000006" +
		"e2134586" + hex.EncodeToString([]byte("firstsecond"))
	if d := cmp.Diff(want, hex.EncodeToString(b)); d != "" {
		t.Error(d)
	}
	if id != IDOf(b) {
		t.Errorf("got id %s, want %s", id, IDOf(b))
	}
}

func TestPackRefusesEveryFlippedByteAndLength(t *testing.T) {
	_, b := EncodePack([][]byte{[]byte("first"), []byte("second"), []byte("x")})
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x20
		if _, err := DecodePack(c); !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
			t.Fatalf("byte %d flipped: got %v", i, err)
		}
		if _, err := DecodePack(b[:i]); !errors.Is(err, ErrInvalid) {
			t.Fatalf("cut to %d: got %v, want ErrInvalid", i, err)
		}
	}
	if _, err := DecodePack(append(bytes.Clone(b), 0)); !errors.Is(err, ErrInvalid) {
		t.Fatalf("trailing byte: got %v, want ErrInvalid", err)
	}
	for _, blobs := range [][][]byte{nil, {{}}, {{1}, nil}} {
		if _, b := EncodePack(blobs); true {
			if _, err := DecodePack(b); !errors.Is(err, ErrInvalid) {
				t.Errorf("%d blobs, one empty: got %v, want ErrInvalid", len(blobs), err)
			}
		}
	}
	if _, b := EncodePack(make([][]byte, MaxBlobs+1)); true {
		if _, err := DecodePack(b); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too many blobs: got %v, want ErrTooLarge", err)
		}
	}
}

func TestHashTextIsLowerCaseHexOnly(t *testing.T) {
	a := AddressOf([]byte("x"))
	got, err := ParseAddress(a.String())
	if err != nil || got != a {
		t.Errorf("got %s, %v, want %s", got, err, a)
	}
	var id PackID
	if err := id.UnmarshalText([]byte(a.String())); err != nil || id != PackID(a) {
		t.Errorf("got %s, %v", id, err)
	}
	for _, s := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.ToUpper(a.String()), strings.Repeat("g", 64)} {
		if _, err := ParsePackID(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", s, err)
		}
	}
}

func FuzzDecodePack(f *testing.F) {
	for _, blobs := range [][][]byte{{{1}}, {[]byte("first"), []byte("second")}, {{0}, {0}}} {
		_, b := EncodePack(blobs)
		f.Add(b)
	}
	f.Add([]byte(packMagic + "\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePack(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("error without a sentinel: %v", err)
			}
			return
		}
		if _, again := EncodePack(p.Blobs); !bytes.Equal(again, b) {
			t.Fatal("decodes, and encodes to other bytes")
		}
		if _, err := checkBlobs(p.Blobs); err != nil {
			t.Fatalf("decodes what a put refuses: %v", err)
		}
	})
}

// FuzzSegment gives the scanner, the frame decoder and the layout arbitrary segments, first as they are, then with the
// checksums mended so that what lies behind them is reached.
func FuzzSegment(f *testing.F) {
	var sl salt
	copy(sl[:], "sixteen bytes...")
	seg := encodeSegmentHeader(3, 1, sl)
	frame := func(kind byte, payload []byte) []byte {
		b := append(make([]byte, frameHeader), payload...)
		putFrameHeader(b, sl, kind, IDOf(payload), checksum(payload))
		return b
	}
	_, pack := EncodePack([][]byte{[]byte("first"), []byte("second"), []byte("third")})
	whole := frame(framePack, pack)
	l, _ := layoutOf(framePack, pack)
	reduced := reduceFrame(whole, l, func(a Address) bool { return a != l.all[1] })
	seg = append(seg, whole...)
	seg = append(seg, frame(frameReduced, reduced[frameHeader:])...)
	seg = append(seg, frame(frameDrop, l.all[1][:])...)
	f.Add(seg)
	f.Add(seg[:len(seg)-5])
	f.Add(append(append(bytes.Clone(seg[:100]), 9), seg[100:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		size := int64(len(b))
		sl := sl
		if s, ok := readSalt(r, size); ok {
			sl = s
		}
		last := int64(0)
		end, err := scanFrames(r, sl, 0, size, func(x scanned) error {
			if x.off < last || !x.cut && x.end() > size || x.size == 0 {
				t.Fatalf("frame at %d, size %d, after %d, in %d", x.off, x.size, last, size)
			}
			last = min(x.end(), size)
			l, err := readLayout(r, x.frame)
			if err == nil {
				for _, y := range l.live {
					if int64(y.off)+int64(y.size) > frameHeader+int64(x.size) {
						t.Fatal("a blob outside its frame")
					}
				}
			}
			if x.cut {
				return nil
			}
			raw := b[x.off:x.end()]
			got, l, err := verifyFrame(raw, sl)
			if err != nil {
				return nil
			}
			again := append(make([]byte, frameHeader), raw[frameHeader:]...)
			putFrameHeader(again, sl, got.kind, got.id, got.sum)
			if !bytes.Equal(again, raw) {
				t.Fatal("a good frame encodes to other bytes")
			}
			if l != nil && got.kind == frameReduced {
				less := reduceFrame(raw, l, func(Address) bool { return true })
				if want := raw[frameHeader:]; !bytes.Equal(less[frameHeader:], want) {
					t.Fatal("a reduced frame reduced by nothing is another")
				}
			}
			return nil
		})
		if err != nil || end > size {
			t.Fatalf("end %d of %d, %v", end, size, err)
		}
		for kind := byte(framePack); kind <= frameReduced; kind++ {
			layoutOf(kind, b)
		}
	})
}

// TestScannerFindsTheFramesBehindDamage also shows that ciphertext cannot pass for a frame.
func TestScannerFindsTheFramesBehindDamage(t *testing.T) {
	var sl, other salt
	copy(sl[:], "sixteen bytes...")
	copy(other[:], "another segment.")
	_, pack := EncodePack([][]byte{[]byte("first")})
	frame := func(s salt, payload []byte) []byte {
		b := append(make([]byte, frameHeader), payload...)
		putFrameHeader(b, s, framePack, IDOf(payload), checksum(payload))
		return b
	}
	_, evil := EncodePack([][]byte{frame(other, pack), bytes.Repeat([]byte{7}, 1<<19)})
	seg := append(encodeSegmentHeader(1, 0, sl), frame(sl, pack)...)
	at := len(seg)
	seg = append(seg, frame(sl, evil)...)
	second := len(seg)
	seg = append(seg, frame(sl, pack)...)
	seg[at+20] ^= 1 // the evil frame's length
	var got []int64
	end, err := scanFrames(bytes.NewReader(seg), sl, segHeader, int64(len(seg)), func(x scanned) error {
		got = append(got, x.off)
		return nil
	})
	if err != nil || end != int64(len(seg)) {
		t.Fatalf("end %d, %v, want %d", end, err, len(seg))
	}
	if d := cmp.Diff([]int64{segHeader, int64(second)}, got); d != "" {
		t.Error(d)
	}
}

// TestDropBetweenLookupAndCommitRefusesThePut: the tombstones a put saw may be older than its turn.
func TestDropBetweenLookupAndCommitRefusesThePut(t *testing.T) {
	s, err := Open("", Options{Backend: NewMemory(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, pack := EncodePack([][]byte{[]byte("first"), []byte("second")})
	full := append(make([]byte, frameHeader), pack...)
	l, _ := layoutOf(framePack, pack)
	for _, put := range []bool{true, false} {
		w := &write{id: IDOf(pack), kind: framePack, full: full, lay: l, put: put, done: make(chan struct{})}
		if err := s.prepare(w, s.ix); put && err != nil {
			t.Fatal(err)
		}
		if err := s.Drop(t.Context(), l.all[:1]); err != nil {
			t.Fatal(err)
		}
		s.queue = append(s.queue, w)
		s.turn <- struct{}{}
		s.commitQueue()
		<-s.turn
		if put != errors.Is(w.err, ErrDropped) || !put && w.err != nil {
			t.Errorf("put %v: got %v", put, w.err)
		}
		if s.HasPack(w.id) == put {
			t.Errorf("put %v: held %v", put, s.HasPack(w.id))
		}
	}
}
