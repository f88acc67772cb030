package index

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/fhir"
	"salus/fhir/search"
)

// show writes an entry down.
func show(e *search.Entry) string {
	v := &e.Value
	s := e.Name() + "="
	if e.Group > 0 {
		s = fmt.Sprintf("%s[%d]=", e.Name(), e.Group)
	}
	at := func(ms float64) string {
		if math.IsInf(ms, 0) {
			return ""
		}
		return strings.TrimSuffix(time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000"), "T00:00:00.000")
	}
	switch {
	case e.Kind == search.Date:
		return s + at(v.Range.Low) + ".." + at(v.Range.High)
	case e.Kind == search.Spot:
		return s + fmt.Sprintf("%.9f,%.9f", v.Range.Low, v.Range.High)
	case e.Kind == search.Number && v.Range.Low == v.Range.High:
		return s + fmt.Sprint(v.Range.Low)
	case e.Kind == search.Number:
		return s + fmt.Sprintf("%v..%v", v.Range.Low, v.Range.High)
	case e.Kind == search.Quantity:
		s += fmt.Sprintf("%v..%v|%s|%s", v.Range.Low, v.Range.High, v.System, v.Code)
		if e.Exact != "" {
			s += " (" + e.Exact + ")"
		}
		return s
	case e.Kind == search.String:
		return s + v.Text + " (" + e.Exact + ")"
	case e.Modifier == search.OfType:
		return s + v.System + "|" + v.Code + "|" + v.Text
	case v.System != "":
		return s + v.System + "|" + v.Text
	}
	return s + v.Text
}

func shown(t testing.TB, r fhir.Resource) (out []string) {
	t.Helper()
	entries, err := fast().Entries(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		out = append(out, show(&entries[i]))
	}
	return out
}

var update = flag.Bool("update", false, "write the entries of testdata anew, to be read before they are committed")

// TestEntriesOfFixtures compares with what is written beside each resource of testdata.
func TestEntriesOfFixtures(t *testing.T) {
	for _, x := range fixtures(t) {
		got := strings.Join(shown(t, x.Resource), "\n") + "\n"
		file := filepath.Join("testdata", strings.TrimSuffix(x.name, ".json")+".entries")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", x.name, diff)
		}
	}
}
