package canary

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/cockroachdb/pebble"
	"github.com/klauspost/compress/zstd"

	"salus/seal/compress"
)

// keySize is what the scanner looks up at each position; no pattern is shorter.
const keySize = 5

// scanner finds many byte strings at once.
type scanner struct {
	first [1 << 16]bool // by the first two bytes
	by    map[[keySize]byte][]pattern
	zstd  *zstd.Decoder
	fhir  byte // version byte of a record compressed with the dictionary

	scanned int64 // bytes, decompressed ones too
	found   []string
}

// pattern is one form of one canary.
type pattern struct {
	class, form string
	b           []byte
}

func newScanner() (*scanner, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxInner))
	if err != nil {
		return nil, err
	}
	return &scanner{by: map[[keySize]byte][]pattern{}, zstd: d, fhir: compress.Compress(bytes.Repeat([]byte("x"), 1<<10))[0]}, nil
}

func (s *scanner) add(class, form string, b []byte) {
	if len(b) < keySize {
		return
	}
	k := [keySize]byte(b)
	for _, p := range s.by[k] {
		if bytes.Equal(p.b, b) {
			return
		}
	}
	s.first[binary.BigEndian.Uint16(b)] = true
	s.by[k] = append(s.by[k], pattern{class, form, b})
}

// secret adds every form of a text that must not be found.
func (s *scanner) secret(class, text string) {
	for form, v := range map[string]string{
		"raw": text, "lower case": strings.ToLower(text), "upper case": strings.ToUpper(text),
		"url": url.QueryEscape(text), "url path": url.PathEscape(text), "json": strings.Trim(fmt.Sprintf("%+q", text), `"`),
	} {
		s.add(class, form, []byte(v))
		h := hex.EncodeToString([]byte(v))
		s.add(class, form+", hex", []byte(h))
		s.add(class, form+", hex upper", []byte(strings.ToUpper(h)))
		s.digest(class+", "+form, []byte(v))
	}
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	s.add(class, "utf-16le", wide)
	back := []byte(text)
	slices.Reverse(back)
	s.add(class, "reversed", back)
	s.base64(class, []byte(text))
}

// base64 adds what an encoding of something with b in it holds, for each of the three places
// at which b may begin, without the characters that depend on its neighbours.
func (s *scanner) base64(class string, b []byte) {
	for skip := range 3 {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			e := enc.EncodeToString(append(make([]byte, skip), b...))
			from := (skip*8 + 5) / 6
			to := (skip + len(b)) * 8 / 6
			if to-from >= 8 {
				s.add(class, name, []byte(e[from:to]))
			}
		}
	}
}

// digest adds the unsalted SHA-256 of b: whoever has a dictionary would look names up by it.
func (s *scanner) digest(class string, b []byte) {
	d := sha256.Sum256(b)
	back := slices.Clone(d[:])
	slices.Reverse(back)
	for form, v := range map[string][]byte{"sha-256": d[:], "sha-256 reversed": back} {
		h := hex.EncodeToString(v)
		s.add(class, form, v)
		s.add(class, form+", hex", []byte(h))
		s.add(class, form+", hex upper", []byte(strings.ToUpper(h)))
		s.base64(class+", "+form, v)
	}
}

// maxInner bounds what one compressed region may become.
const maxInner = 16 << 20

// bytes searches b, and what is compressed in it.
func (s *scanner) bytes(place string, b []byte) { s.search(place, b, 3) }

func (s *scanner) search(place string, b []byte, depth int) {
	s.scanned += int64(len(b))
	for i := 0; i+keySize <= len(b); i++ {
		at := binary.BigEndian.Uint16(b[i:])
		if depth > 0 && (at == 0x28b5 || at == 0x1f8b) {
			for _, inner := range s.inflate(b[i:]) {
				s.search(place+" (decompressed)", inner, depth-1)
			}
		}
		if !s.first[at] {
			continue
		}
		for _, p := range s.by[[keySize]byte(b[i:])] {
			if bytes.HasPrefix(b[i:], p.b) {
				s.found = append(s.found, fmt.Sprintf("%s: %s as %s at %d", place, p.class, p.form, i))
			}
		}
	}
}

// inflate returns what the compressed region at the start of b holds, as far as it is whole.
func (s *scanner) inflate(b []byte) (out [][]byte) {
	keep := func(r io.Reader) {
		plain, _ := io.ReadAll(io.LimitReader(r, maxInner)) // a damaged end leaves what was before it
		if len(plain) > 0 {
			out = append(out, plain)
		}
	}
	if b[0] == 0x1f {
		if r, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			keep(r)
		}
		return out
	}
	if !bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return nil
	}
	if n := frameSize(b); n > 0 {
		if plain, err := compress.Decompress(append([]byte{s.fhir}, b[:n]...), maxInner); err == nil {
			return append(out, plain)
		}
	}
	if s.zstd.Reset(bytes.NewReader(b)) == nil {
		keep(s.zstd)
	}
	return out
}

// frameSize is the length of the zstd frame (RFC 8878, 3.1.1) at the start of b, 0 if it is not whole.
func frameSize(b []byte) int {
	var h zstd.Header
	if h.Decode(b) != nil {
		return 0
	}
	for i := h.HeaderSize; i+3 <= len(b); {
		block := uint32(binary.LittleEndian.Uint16(b[i:])) | uint32(b[i+2])<<16
		size := int(block >> 3)
		if block>>1&3 == 1 {
			size = 1 // one byte, repeated
		}
		if i += 3 + size; i > len(b) {
			return 0
		}
		if block&1 == 1 {
			return i
		}
	}
	return 0
}

// dir searches names and bytes of every file below dir, and every key and value of every
// Pebble database there; their nodes must be stopped. It returns how many of each it read.
func (s *scanner) dir(dir string) (files, rows int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		s.bytes("name of "+name, []byte(name))
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		s.bytes(name, b)
		if strings.HasPrefix(d.Name(), "MANIFEST-") {
			n, err := s.rows(filepath.Dir(name), filepath.Dir(path))
			rows += n
			return err
		}
		return nil
	})
	return files, rows, err
}

// rows searches a Pebble database: its tables are compressed, so their bytes alone show nothing.
func (s *scanner) rows(name, dir string) (n int, err error) {
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: quiet{}})
	if err != nil {
		return 0, fmt.Errorf("canary: %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	it, err := db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return n, err
		}
		n++
		s.bytes(name+" (key)", it.Key())
		s.bytes(name+" (value)", v)
	}
	return n, it.Error()
}

// quiet drops Pebble's lines.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
