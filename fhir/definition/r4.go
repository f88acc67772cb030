package definition

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

//go:embed r4.zst
var compact []byte

// R4 returns the definitions of FHIR R4 (4.0.1). The first call reads them; all others
// return the same Set.
var R4 = sync.OnceValue(func() *Set {
	s, err := Unpack(compact)
	if err != nil {
		panic("definition: internal error: the embedded definitions are damaged")
	}
	return s
})

// maxCompact bounds the bytes that Unpack makes of a file.
const maxCompact = 64 << 20

// Pack returns the set compressed, as it is embedded.
func (s *Set) Pack() ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return nil, fmt.Errorf("definition: pack: %w", err)
	}
	return z.EncodeAll(s.Encode(), nil), z.Close()
}

// Unpack reads what Pack wrote.
func Unpack(b []byte) (*Set, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxCompact), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("definition: unpack: %w", err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("definition: unpack: %w", err)
	}
	return Decode(raw)
}
