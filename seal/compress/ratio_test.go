package compress

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// syntheaResources returns the resources of the Synthea bundles, as they are and minified.
func syntheaResources(t testing.TB) (raw, minified [][]byte) {
	t.Helper()
	files, _ := filepath.Glob("../../../shared/data/synthea/*.json")
	if len(files) == 0 {
		t.Skip("the Synthea bundles are not here; put them into ../shared/data/synthea beside the repository to run this test")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var bundle struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(b, &bundle); err != nil {
			t.Fatal(err)
		}
		for _, e := range bundle.Entry {
			var m bytes.Buffer
			if err := json.Compact(&m, e.Resource); err != nil {
				t.Fatal(err)
			}
			raw, minified = append(raw, e.Resource), append(minified, m.Bytes())
		}
	}
	return raw, minified
}

func TestSyntheaResourcesShrinkBelow300BytesOnAverage(t *testing.T) {
	raw, minified := syntheaResources(t)
	for name, set := range map[string][][]byte{"raw": raw, "minified": minified} {
		in, out := 0, 0
		for _, r := range set {
			c := Compress(r)
			in, out = in+len(r), out+len(c)
		}
		t.Logf("%s: %d resources, average %d -> %d bytes (%.1f times)", name, len(set), in/len(set), out/len(set), float64(in)/float64(out))
		if name == "minified" && out/len(set) >= 300 {
			t.Errorf("got %d bytes on average, want below 300", out/len(set))
		}
	}
}
