package compress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"salus/internal/sample"
)

// patient is a resource that no dictionary was trained on.
func patient() []byte { return bytes.TrimSpace(sample.NDJSON(9001, 1)) }

func TestDictionariesNeverChange(t *testing.T) {
	const want = "ded84ddbea85a480283ce33af8ead0e2e26bcbcc8c4edf91ad04630c5a0de073"
	sum := sha256.Sum256(dictV1)
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("got dictionary %s, want %s: every record sealed with version 1 needs the old one; make a new version instead", got, want)
	}
	info, err := zstd.InspectDictionary(dictV1)
	if err != nil || info.ID() != dictIDv1 {
		t.Errorf("got dictionary ID %v, error %v; want %d", info, err, dictIDv1)
	}
}

// goldenV1 was written by the first version of this package.
const goldenV1 = "0128b52ffd22018057e50000106f7d08f0411f72648fa5cedb2a50c0b1f60f2338730a34daf53831"

func TestOldRecordsStayReadable(t *testing.T) {
	old, err := hex.DecodeString(goldenV1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decompress(old, 1<<20)
	if want := `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"Body Weight"}}`; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestWhatGoesInComesOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 4096), rapid.Custom(func(t *rapid.T) []byte {
			return sample.NDJSON(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 20).Draw(t, "n"))
		})).Draw(t, "plain")
		c := Compress(plain)
		if len(c) > len(plain)+1 {
			t.Fatalf("got %d bytes for %d, want at most one more", len(c), len(plain))
		}
		if !bytes.Equal(c, Compress(plain)) {
			t.Fatal("got different bytes for the same input, want the same")
		}
		got, err := Decompress(c, len(plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("got %d bytes, %v; want the %d that went in", len(got), err, len(plain))
		}
	})
}

func TestARecordLargerThanAllowedIsRefused(t *testing.T) {
	for name, plain := range map[string][]byte{"stored": []byte("?"), "zstd": patient(), "bomb": bytes.Repeat([]byte{'a'}, 8<<20)} {
		c := Compress(plain)
		if _, err := Decompress(c, len(plain)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
		if _, err := Decompress(c, len(plain)); err != nil {
			t.Errorf("%s: got %v, want no error at exactly the limit", name, err)
		}
	}
	if _, err := Decompress(Compress(patient()), -1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge for a negative limit", err)
	}
}

func TestDamageIsRefused(t *testing.T) {
	good := Compress(patient())
	with := func(opts ...zstd.EOption) []byte {
		enc, err := zstd.NewWriter(nil, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return enc.EncodeAll(patient(), []byte{versionFHIR1})
	}
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":              {nil, ErrEmpty},
		"unknown version":      {append([]byte{9}, good[1:]...), ErrVersion},
		"version alone":        {[]byte{versionFHIR1}, ErrCorrupt},
		"cut short":            {good[:len(good)-1], ErrCorrupt},
		"something after":      {append(bytes.Clone(good), 0), ErrCorrupt},
		"a second frame":       {append(bytes.Clone(good), good[1:]...), ErrCorrupt},
		"a skippable frame":    {append(bytes.Clone(good), 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7), ErrCorrupt},
		"no dictionary":        {with(zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false)), ErrCorrupt},
		"a checksum":           {with(zstd.WithEncoderDict(dictV1), zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true)), ErrCorrupt},
		"not zstd":             {append([]byte{versionFHIR1}, patient()...), ErrCorrupt},
		"skippable frame only": {[]byte{versionFHIR1, 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, ErrCorrupt},
	} {
		got, err := Decompress(c.in, 1<<20)
		if !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %d bytes, %v; want %v", name, len(got), err, c.want)
		}
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{versionStored, 'x'})
	f.Add(Compress(patient()))
	f.Add(Compress(bytes.Repeat([]byte("salus"), 1000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		plain, err := Decompress(b, limit)
		if err != nil {
			return
		}
		if len(plain) > limit {
			t.Fatalf("got %d bytes, want at most %d", len(plain), limit)
		}
		if again, err := Decompress(Compress(plain), limit); err != nil || !bytes.Equal(again, plain) {
			t.Fatalf("got %v after compressing again, want the same record", err)
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	p := patient()
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		Compress(p)
	}
}

func BenchmarkDecompress(b *testing.B) {
	p := patient()
	c := Compress(p)
	b.SetBytes(int64(len(p)))
	b.ReportMetric(float64(len(c)), "compressed-bytes")
	for b.Loop() {
		if _, err := Decompress(c, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
