package compress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"salus/internal/sample"
)

var update = flag.Bool("update", false, "write spec/vectors/seal/compress.json anew")

const vectorFile = "../../spec/vectors/seal/compress.json"

// vector is shared with readers in other languages: a compressed record in hex, and the
// SHA-256 of what it holds.
type vector struct {
	Name   string `json:"name"`
	Packed string `json:"packed"`
	SHA256 string `json:"sha256,omitempty"`
	Valid  bool   `json:"valid"`
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func vectors(tb testing.TB) (out []vector) {
	tb.Helper()
	add := func(name string, packed []byte) {
		v := vector{Name: name, Packed: hex.EncodeToString(packed)}
		if plain, err := Decompress(packed, 1<<20); err == nil {
			v.SHA256, v.Valid = digest(plain), true
		}
		out = append(out, v)
	}
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	add("nothing", nil)
	add("an empty record", Compress(nil))
	add("stored", Compress(noise[:40]))
	for line := range bytes.Lines(sample.NDJSON(9001, 12)) {
		add("a resource", Compress(bytes.TrimSpace(line)))
	}
	long := []byte(strings.Repeat(`{"resourceType":"Observation","status":"final"},`, 4000))
	add("long, repeating", Compress(long))
	var words bytes.Buffer
	for words.Len() < 140_000 {
		words.WriteString([]string{"systolic ", "diastolic ", "90 ", "mm[Hg] ", "a", "e", "\n"}[random.IntN(7)])
		if random.IntN(9) == 0 {
			words.WriteByte(byte(random.Uint32()))
		}
	}
	add("several blocks", Compress(words.Bytes()))
	add("noise between text", Compress(append(append(bytes.Clone(long[:5000]), noise...), long[:5000]...)))
	text := Compress(long[:1000])
	add("unknown version", append([]byte{2}, text[1:]...))
	add("cut short", text[:len(text)-1])
	add("a byte behind", append(bytes.Clone(text), 0))
	add("two frames", append(bytes.Clone(text), text[1:]...))
	small := Compress(long[:400])
	for i := 1; i < len(small); i += 3 {
		bad := bytes.Clone(small)
		bad[i] ^= 1 << (i % 8)
		add("altered", bad)
	}
	return out
}

// TestVectors; run with -update to write the file.
func TestVectors(t *testing.T) {
	if *update {
		b, err := json.MarshalIndent(vectors(t), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases []vector
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		packed, err := hex.DecodeString(c.Packed)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Decompress(packed, 1<<20)
		if (err == nil) != c.Valid || err == nil && digest(plain) != c.SHA256 {
			t.Errorf("%s: got %d bytes and %v, want valid %t", c.Name, len(plain), err, c.Valid)
		}
	}
}
