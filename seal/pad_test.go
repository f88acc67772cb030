package seal

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestBuckets(t *testing.T) {
	for _, c := range []struct{ size, want int }{
		{0, 64},
		{1, 64},
		{63, 64},
		{64, 128},
		{127, 128},
		{128, 192},
		{150, 192},
		{300, 320},
		{400, 448},
		{1023, 1024},
		{1024, 1088},
		{2047, 2048},
		{2048, 2176},
		{4095, 4096},
		{4096, 4352},
		{9000, 9216},
		{100_000, 100_352},
		{1 << 20, 1<<20 + 32768},
		{MaxPlain, MaxPlain + 1<<19},
	} {
		if got := padded(c.size); got != c.want {
			t.Errorf("bucket of %d bytes: got %d, want %d", c.size, got, c.want)
		}
	}
}

func TestPaddingIsSmallMonotoneAndUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 5000), rapid.IntRange(0, MaxPlain-1)).Draw(t, "size")
		p := padded(size)
		if p <= size || p > padded(size+1) || p%padStep != 0 {
			t.Fatalf("%d bytes: got bucket %d", size, p)
		}
		if extra := p - size; extra > padStep && extra > size/16+1 {
			t.Fatalf("%d bytes: got %d bytes of padding, want at most %d or a sixteenth", size, extra, padStep)
		}
		if padded(p-1) != p {
			t.Fatalf("bucket %d: got another one for its largest record", p)
		}
	})
	for size := range 3000 {
		plain := bytes.Repeat([]byte{0x80}, size) // the worst content: all end marks
		got, ok := unpad(pad(plain))
		if !ok || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: got %d back, %v", size, len(got), ok)
		}
	}
}

func TestUnpadRefusesWhatPadNeverMakes(t *testing.T) {
	good := pad(make([]byte, 100))
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"no end mark":     make([]byte, 64),
		"another mark":    append(make([]byte, 63), 0x81),
		"cut":             good[:127],
		"longer by a bit": append(bytes.Clone(good), 0),
		"another bucket":  append(bytes.Clone(good), make([]byte, 64)...),
	} {
		if _, ok := unpad(b); ok {
			t.Errorf("%s: got accepted", name)
		}
	}
}
